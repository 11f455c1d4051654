"""`report.md`: of one run folder, or of many together."""

import json
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

from gdesign.errors import UserError
from gdesign.execute.runs import design_from_json, read_runs
from gdesign.learn.metrics import read_metrics
from gdesign.report.tables import Evaluation, find_evaluations, make_rows, markdown, paired_interval, read_evaluation
from gdesign.report.text import describe
from gdesign.tasks.synthetic import read

HAS_MATPLOTLIB = find_spec("matplotlib") is not None
NO_PICTURES = "Pictures need matplotlib: `pip install 'gdesign[report]'`."


def write_page(folder: Path) -> Path:
    """Write the report of one run folder, with its pictures; return its path.

    Where the run was not evaluated yet, the page says so.
    """
    path = folder / "report.md"
    if not (folder / "eval.json").is_file():
        path.write_text(
            f"# {folder.name}\n\nNot evaluated yet: `python eval.py checkpoint={folder}`.\n", encoding="utf-8"
        )
        return path
    evaluation = read_evaluation(folder)
    summary = evaluation.summary
    rows = make_rows([evaluation])
    training = summary["training"]
    lines = [f"# {folder.name}", "", markdown(rows)]
    lines += [
        f"Training took {training['runs']} runs, {training['calls']} calls, {training['usd']:.4f} USD and "
        f"{training['seconds']:.1f} seconds. A question costs {summary['calls']:.2f} calls, "
        f"{summary['prompt_tokens']:.0f} prompt tokens and {summary['completion_tokens']:.0f} completion tokens; "
        f"{summary['num_distinct_designs']} different designs were run.",
        "",
        "`python eval.py checkpoint=" + str(folder) + f" split={summary['split']}` repeats it.",
        "",
    ]
    if summary["domains"]:
        lines += ["| domain | questions | score | USD per 1,000 | utility |", "|---|---|---|---|---|"]
        for name, d in summary["domains"].items():
            lines.append(f"| {name or '(none)'} | {d['n']} | {d['score']:.4f} | {d['usd']:.4f} | {d['utility']:.4f} |")
        lines.append("")
    lines += _designs(folder, evaluation)
    if HAS_MATPLOTLIB:
        from gdesign.report import plots

        plots.score_against_cost(rows, folder / "score_cost.png")
        lines += ["## Score against cost", "", "![score against cost](score_cost.png)", ""]
        lines += _curve(folder)
    else:
        lines.append(NO_PICTURES)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def write_overview(paths: Sequence[Path], out: Path) -> Path:
    """Write one report over many run folders; return its path.

    Args:
        paths: Run folders, or folders that hold some.
        out: The folder that gets `report.md` and its picture.

    Raises:
        MissingDataError: There is no run folder.
    """
    evaluations, incomplete = find_evaluations(paths)
    rows = make_rows(evaluations)
    lines = ["# Runs", "", markdown(rows, incomplete)]
    out.mkdir(parents=True, exist_ok=True)
    if rows and HAS_MATPLOTLIB:
        from gdesign.report import plots

        plots.score_against_cost(rows, out / "score_cost.png")
        lines += ["![score against cost](score_cost.png)", ""]
    elif rows:
        lines += [NO_PICTURES, ""]
    lines += _pairs(evaluations)
    path = out / "report.md"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _pairs(evaluations: Sequence[Evaluation], most: int = 6) -> list[str]:
    """Return paired intervals between the best evaluations of one task, split and label."""
    groups: dict[tuple[Any, ...], list[Evaluation]] = {}
    for e in evaluations:
        key = (e.config["names"]["task"], e.summary["split"], e.summary["label"])
        if e.summary["label"] != "calibrated":
            groups.setdefault(key, []).append(e)
    lines = []
    for (task, split, label), members in groups.items():
        best = sorted(members, key=lambda e: -e.summary["utility"])[:most]
        for a, b in combinations(best, 2):
            try:
                pair = paired_interval(a.folder, b.folder, split=split)
            except UserError:  # they were not asked the same questions, so there is no pair
                continue
            low, high = pair.interval
            lines.append(
                f"| {a.folder.name} | {b.folder.name} | {task}, {split}, {label} | {pair.difference:+.4f} | "
                f"{low:+.4f} to {high:+.4f} | {pair.n} |"
            )
    if not lines:
        return []
    head = [
        "## Same questions, run against run",
        "",
        "| first | second | on | score, first - second | 95 % interval | questions |",
    ]
    return [*head, "|---|---|---|---|---|---|", *lines, ""]


def _designs(folder: Path, evaluation: Evaluation) -> list[str]:
    """Return what typical designs look like, in words and as a picture."""
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in read_runs(folder / "runs.jsonl", phase=evaluation.summary["split"]):
        latest[row["benchmark"], row["task"]] = row
    groups = _by_difficulty(list(latest.values()))
    chosen = []
    for name, rows in groups.items():
        counts = Counter(json.dumps(row["design"]) for row in rows)
        # of equally frequent designs the largest team, which shows most
        text, count = max(counts.items(), key=lambda item: (item[1], len(item[0])))
        row = next(row for row in rows if json.dumps(row["design"]) == text)
        share = f"{count} of {len(rows)} {name}"
        chosen.append((share, " ".join(row.get("question", row["task"]).split()), design_from_json(row["design"])))
    lines = ["## Designs", "", "The most frequent design of each kind of question, and the first such question.", ""]
    if HAS_MATPLOTLIB and chosen:
        from gdesign.report import plots

        plots.draw_designs([(f"{share}: {question}", d) for share, question, d in chosen], folder / "designs.png")
        lines += ["![designs](designs.png)", ""]
    for share, question, design in chosen:
        lines += [f"{share}:", "", f"> {question[:300]}", "", "```", describe(design), "```", ""]
    return lines


def _by_difficulty(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return easy and hard questions apart where their text tells, else all together."""
    if not rows or any(row["benchmark"] != "synthetic" or "question" not in row for row in rows):
        return {"questions": list(rows)} if rows else {}
    groups: dict[str, list[dict[str, Any]]] = {"easy questions": [], "hard questions": []}
    for row in rows:
        if (name := f"{read(row['question']).difficulty} questions") in groups:
            groups[name].append(row)
    return {name: found for name, found in groups.items() if found}


def _curve(folder: Path) -> list[str]:
    if not (folder / "metrics.csv").is_file():
        return []
    rows = [r for r in read_metrics(folder / "metrics.csv") if r["val/utility"]]
    if len(rows) < 2:
        return []
    from gdesign.report import plots

    plots.training_curve(
        [int(r["step"]) for r in rows],
        [float(r["val/utility"]) for r in rows],
        [float(r["val/score"]) for r in rows],
        folder / "training.png",
    )
    return ["## Training", "", "![validation utility and score](training.png)", ""]
