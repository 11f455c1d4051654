"""`report.md` and `report.html`: of one run folder, or of many together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from itertools import combinations, groupby
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, BinaryIO

from gdesign.errors import BudgetExceededError, ConfigError, UserError
from gdesign.report import html
from gdesign.report.curves import learning, validations
from gdesign.report.examples import by_difficulty, examples
from gdesign.report.folders import Evaluation, Incomplete, find_evaluations, look_at, read_evaluation
from gdesign.report.html import HAS_MATPLOTLIB
from gdesign.report.tables import Group, Row, make_groups, make_rows, markdown, panel
from gdesign.report.text import describe
from gdesign.runs.config import CONFIG
from gdesign.runs.folder import typed
from gdesign.runs.log import read_runs
from gdesign.runs.money import bill

if TYPE_CHECKING:
    from gdesign.report.compare import Comparison

HAS_REPORT = HAS_MATPLOTLIB and find_spec("scipy") is not None
COMPARISON = (
    "first", "second", "number", "first - second", "95 % over seeds", "p", "seeds", "95 % over questions", "p",
    "questions",
)  # fmt: skip
MISSING = ("run", "what is missing", "to go on")
LACKING = "Seeds that others have and these lack:"
INSTALL = "pip install 'gdesign[report]'"
NO_PICTURES = f"Pictures need matplotlib: `{INSTALL}`."


@contextmanager
def reported(folder: Path) -> Iterator[None]:
    """Leave a report of what there is where a spent budget ends the work, or Ctrl-C.

    Args:
        folder: The run folder.
    """
    try:
        yield
    except BudgetExceededError as error:
        write_page(folder, stopped=f"{error}.")
        raise
    except KeyboardInterrupt:
        write_page(folder, stopped="it was interrupted.")
        raise


def write_page(folder: Path, *, stopped: str | None = None) -> Path:
    """Write the report of one run folder, with its pictures, and the same as `report.html`; return its path.

    Where the run was not evaluated yet, or stopped, the page says what was run so far, what it cost, and how to go on.

    Args:
        folder: The run folder.
        stopped: Why it stopped; None if it did not.
    """
    path = folder / "report.md"
    if stopped is not None or not (folder / "eval.json").is_file():
        command = _goes_on(folder)
        _write(path, _so_far(folder, stopped, command))
        if stopped is None and command is None:
            command = f"python eval.py {typed('checkpoint', folder)}"
        html.write_run(
            folder, evaluation=None, rows=[], stopped=stopped, resume=command, repeat=None, curve=_curve(folder)
        )
        return path
    evaluation = read_evaluation(folder)
    summary = evaluation.summary
    rows = make_rows(make_groups([evaluation])[0])
    repeat = f"python eval.py {typed('checkpoint', folder)} split={summary['split']}"
    curve = _curve(folder)
    training = summary["training"]
    lines = [f"# {folder.name}", "", markdown(rows)]
    lines += [
        f"Training took {training['runs']} runs, {training['calls']} calls, {training['usd']:.4f} USD and "
        f"{training['seconds']:.1f} seconds{_apart(training)}. A question costs {summary['calls']:.2f} calls, "
        f"{summary['prompt_tokens']:.0f} prompt tokens and {summary['completion_tokens']:.0f} completion tokens; "
        f"{summary['num_distinct_designs']} different designs were run.",
        "",
        f"`{repeat}` repeats it.",
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
        if curve is not None:
            curve(folder / "training.png")
            lines += ["## Training", "", "![validation utility and score](training.png)", ""]
    else:
        lines.append(NO_PICTURES)
    _write(path, lines)
    html.write_run(
        folder,
        evaluation=evaluation,
        rows=_with_others(evaluation, rows),
        stopped=None,
        resume=None,
        repeat=repeat,
        curve=curve,
    )
    return path


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines), encoding="utf-8", errors="backslashreplace")  # LLMs may say lone surrogates


def _with_others(evaluation: Evaluation, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the row of a run folder, and of what was evaluated within it on the same questions at other prices."""
    if not HAS_REPORT:
        return rows
    around, _ = find_evaluations([evaluation.folder])
    found = make_rows(make_groups(around)[0])
    (own,) = rows
    same = [r for r in found if (r.task, r.split, r.label) == (own.task, own.split, own.label)]
    return sorted(same, key=lambda r: r.usd_weight) if len(same) > 1 else rows


def _apart(training: Mapping[str, Any]) -> str:
    """Return what else is to be said of a training: what was paid, and the faults."""
    text = f", of which {training['paid_usd']:.4f} USD were paid" if training.get("paid_usd") else ""
    return text + (f"; {training['faults']} faults were survived" if training.get("faults") else "")


def _goes_on(folder: Path) -> str | None:
    """Return the command that goes on in a run folder without an evaluation; None where nobody knows."""
    look = look_at(folder) if (folder / CONFIG).is_file() else None
    return look.command if isinstance(look, Incomplete) else None


def _so_far(folder: Path, stopped: str | None, command: str | None) -> list[str]:
    """Return what a run folder without an evaluation, or with an unfinished one, holds."""
    lines = [f"# {folder.name}", ""]
    if stopped is not None:
        again = "the same command again" if command is None else f"the same command again, or `{command}`"
        lines += [f"Stopped: {stopped} Everything so far is kept. To go on: {again}.", ""]
    else:
        command = command or f"python eval.py {typed('checkpoint', folder)}"
        lines += [f"Not evaluated yet: `{command}`.", ""]
    phases: dict[str, list[dict[str, Any]]] = {}
    if (folder / "runs.jsonl").is_file():
        for row in read_runs(folder / "runs.jsonl"):
            row.pop("turns", None)  # the words of a long evaluation need not all be in memory
            phases.setdefault(row["phase"], []).append(row)
    if phases:
        lines += ["| phase | runs | mean score | calls | USD | paid | faults survived |", "|" + "---|" * 7]
        for phase, rows in phases.items():
            b, score = bill(rows), mean(row["score"] for row in rows)
            cells = f"{b['calls']} | {b['usd']:.4f} | {b['paid_usd']:.4f} | {b.get('faults', 0)}"
            lines.append(f"| {phase} | {b['runs']} | {score:.4f} | {cells} |")
        lines.append("")
    return lines


def write_overview(paths: Sequence[Path], out: Path, *, baseline: str | None = None) -> Path:
    """Write one report over many run folders, and the same as `report.html`; return its path.

    Args:
        paths: Run folders, or folders that hold some.
        out: The folder that gets `report.md` and its pictures.
        baseline: What every method is compared with: a method as the table names it, a designer, or a run
            folder. None compares the best methods with each other.

    Raises:
        MissingDataError: There is no run folder.
        ConfigError: The baseline is unknown, or the extra `report` is not installed.
    """
    if not HAS_REPORT:
        raise ConfigError(f"comparing runs needs the extra: {INSTALL}")
    from gdesign.report import plots
    from gdesign.report.compare import find_baseline

    evaluations, incomplete = find_evaluations(paths)
    groups, unsaid = make_groups(evaluations)
    against = None if baseline is None else find_baseline(groups, baseline)
    rows = make_rows(groups)
    compared, apart = _comparisons(groups, against)
    lacking = _lacking(groups)
    lines = ["# Runs", "", *([markdown(rows, unsaid)] if rows else ["No run was evaluated yet.", ""])]
    lines += _incomplete(incomplete, lacking)
    lines += _against(compared, apart, against)
    out.mkdir(parents=True, exist_ok=True)
    drawings: dict[str, tuple[Callable[[Path | BinaryIO], None], str]] = {}
    if rows:
        says = "score against cost"
        drawings["Score against cost"] = partial(plots.score_against_cost, rows), says
        plots.score_against_cost(rows, out / "score_cost.png")
        lines += ["## Score against cost", "", f"![{says}](score_cost.png)", ""]
    if any(r.training_runs for r in rows):
        says = "utility against runs of training"
        drawings["What training took"] = partial(plots.utility_against_runs, rows), says
        plots.utility_against_runs(rows, out / "runs_utility.png")
        lines += ["## What training took", "", f"![{says}](runs_utility.png)", ""]
    if trainings := learning(groups):
        says = "validation utility against runs and steps"
        drawings["Learning curves"] = partial(plots.learning_curves, trainings), says
        plots.learning_curves(trainings, out / "learning.png")
        lines += ["## Learning curves", "", f"![{says}](learning.png)", ""]
        lines += [
            "Bands are 95 % intervals over seeds, as far as all seeds of a method went; thin lines are seeds.",
            "",
        ]
    path = out / "report.md"
    _write(path, lines)
    missing = [[str(run.folder), run.missing, run.command or ""] for run in incomplete]
    sections: list[tuple[str, list[tuple[str, html.Table]], list[str]]] = []
    if compared or apart:
        tables = [
            (where, html.Table(head=COMPARISON, rows=[_cells(c) for c in found], words=3))
            for where, found in compared.items()
        ]
        num = sum(map(len, compared.values()))
        sections.append((_heading(against), tables, [*([_how(num)] if num else []), *apart]))
    if missing or lacking:
        tables = [("", html.Table(head=MISSING, rows=missing, words=3))] if missing else []
        sections.append(("Not in the table", tables, [LACKING, *lacking] if lacking else []))
    html.write_many(
        out / "report.html",
        title="Runs",
        rows=rows,
        unsaid=unsaid,
        drawings=drawings,
        sections=sections,
        best=(groups[0].method, groups[0].members[0]) if groups else None,
        folders=[*(e.folder for e in evaluations), *(run.folder for run in incomplete)],
    )
    return path


def _incomplete(incomplete: Sequence[Incomplete], lacking: Sequence[str]) -> list[str]:
    """Return which runs are not in the table and which seeds only others have."""
    lines = []
    if incomplete:
        lines += ["## Not in the table", "", f"| {' | '.join(MISSING)} |", "|---|---|---|"]
        for run in incomplete:
            command = "" if run.command is None else f"`{run.command}`"
            lines.append(f"| {run.folder} | {run.missing} | {command} |")
        lines.append("")
    if lacking:
        lines += [LACKING, "", *(f"- {text}" for text in lacking), ""]
    return lines


def _lacking(groups: Sequence[Group]) -> list[str]:
    """Return which seeds others have and a method lacks."""
    lacking = []
    for about, members in groupby(groups, key=panel):
        seeds = {g.method: {e.config["seed"] for e in g.members} for g in members}
        everybodys = set().union(*seeds.values())
        lacking += [
            f"{method} ({_where(about)}): {', '.join(map(str, sorted(everybodys - own)))}"
            for method, own in seeds.items()
            if everybodys - own
        ]
    return lacking


def _comparisons(
    groups: Sequence[Group], baseline: str | None, most: int = 6
) -> tuple[dict[str, list["Comparison"]], list[str]]:
    """Return paired tests of all methods against the baseline, or of the best ones against each other.

    Returns:
        The tests, by task, split, label and prices, and what could not be compared.
    """
    from gdesign.report.compare import Metric, compare, read_answers

    metrics: tuple[Metric, ...] = ("utility",) if baseline is None else ("utility", "score", "usd")
    tables: dict[str, list[Comparison]] = {}
    notes = []
    for about, found in groupby(groups, key=panel):
        members, where = list(found), _where(about)
        if about[2] == "calibrated":
            notes.append(f"{where}: calibrated answers support no claim that one method beats another")
            continue
        if baseline is None:
            pairs = list(combinations(members[:most], 2))
        else:
            reference = [g for g in members if g.method == baseline]
            if not reference:
                notes.append(f"{where}: {baseline} was not evaluated there")
            pairs = [(g, r) for r in reference for g in members if g is not r]
        involved = {g.method for pair in pairs for g in pair}
        read = read_answers([g for g in members if g.method in involved])
        for first, second in pairs:
            try:
                tables.setdefault(where, []).extend(compare(first, second, metrics=metrics, read=read))
            except UserError as error:
                notes.append(f"{first.method} and {second.method} ({where}): {error}")
    return tables, notes


def _against(tables: Mapping[str, Sequence["Comparison"]], notes: Sequence[str], baseline: str | None) -> list[str]:
    lines = []
    if num := sum(map(len, tables.values())):
        lines = [f"## {_heading(baseline)}", ""]
        for where, compared in tables.items():
            lines += [f"{where}:", "", "| " + " | ".join(COMPARISON) + " |", "|" + "---|" * len(COMPARISON)]
            lines += ["| " + " | ".join(_cells(c)) + " |" for c in compared]
            lines.append("")
        lines += [_how(num), ""]
        if baseline is None:
            lines += ["`--baseline NAME` compares every method with one, by score and cost too.", ""]
    if notes:
        lines += ["Not compared:", "", *(f"- {note}" for note in notes), ""]
    return lines


def _heading(baseline: str | None) -> str:
    return f"Against {baseline}" if baseline else "The best against each other"


def _how(num: int) -> str:
    return (
        "Paired. Over seeds: Student's t of the differences seed by seed; no seeds are named where the means over "
        "each method's seeds were compared. Over questions: a bootstrap in which a question that several seeds "
        "were asked counts with all of them; its p is never below 0.001. Every p is two-sided and not corrected "
        f"for making {num} comparisons. usd is per 1,000 questions."
    )


def _cells(c: "Comparison") -> list[str]:
    return [
        c.first,
        c.second,
        c.metric,
        f"{c.difference:+.4f}",
        "" if c.seed_interval is None else f"{c.seed_interval[0]:+.4f} to {c.seed_interval[1]:+.4f}",
        "" if c.seed_p is None else f"{c.seed_p:.3g}",
        ", ".join(map(str, c.seeds)),
        f"{c.question_interval[0]:+.4f} to {c.question_interval[1]:+.4f}",
        f"{c.question_p:.3g}",
        str(c.num_questions),
    ]


def _where(about: tuple[str, str, str, float, float, float]) -> str:
    task, split, label, usd_weight, token_weight, second_weight = about
    weights = f"lambda {usd_weight:g}" + (f" and {token_weight:g}" if token_weight else "")
    return f"{task}, {split}, {label}, {weights}" + (f", latency {second_weight:g}" if second_weight else "")


def _designs(folder: Path, evaluation: Evaluation) -> list[str]:
    """Return what typical designs look like, in words and as a picture."""
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in read_runs(folder / "runs.jsonl", phase=evaluation.summary["split"]):
        latest[row["benchmark"], row["task"]] = row
    rows = list(latest.values())
    chosen = [(e.title, e.question, e.design) for e in examples(rows)[: len(by_difficulty(rows))]]
    lines = ["## Designs", "", "The most frequent design of each kind of question, and the first such question.", ""]
    if HAS_MATPLOTLIB and chosen:
        from gdesign.report import plots

        plots.draw_designs([(f"{share}: {question}", d) for share, question, d in chosen], folder / "designs.png")
        lines += ["![designs](designs.png)", ""]
    for share, question, design in chosen:
        lines += [f"{share}:", "", f"> {question[:300]}", "", "```", describe(design), "```", ""]
    return lines


def _curve(folder: Path) -> Callable[[Path | BinaryIO], None] | None:
    """Return what draws the validations of a training; None where there are too few, or nothing to draw with."""
    if not HAS_MATPLOTLIB or not (folder / "metrics.csv").is_file():
        return None
    rows = validations(folder / "metrics.csv")
    if len(rows) < 2:
        return None
    from gdesign.report import plots

    return partial(
        plots.training_curve,
        [int(r["step"]) for r in rows],
        [float(r["val/utility"]) for r in rows],
        [float(r["val/score"]) for r in rows],
    )
