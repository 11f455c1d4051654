"""What run folders say, as one table. Results of different labels, tasks or splits never share an average."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

import torch
import yaml

from gdesign.errors import DataError, MissingDataError, UserError
from gdesign.execute.runs import read_runs
from gdesign.learn.evaluate import bootstrap, weighted_mean
from gdesign.learn.runfolder import flat

SETTINGS = (
    "designer", "problem", "data", "learner", "trainer", "reward", "encoder", "task", "pool", "llm", "num_test_samples",
)  # fmt: skip
"""What may tell two runs of one method apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One run folder that was evaluated.

    Attributes:
        folder: Where it is.
        config: Its config.yaml.
        summary: Its eval.json.
    """

    folder: Path
    config: dict[str, Any]
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The evaluations that differ in their seed only.

    Attributes:
        method: Name of the designer, with the settings that tell it from others of that name.
        task: Name of the task.
        split: What it was evaluated on.
        label: Where the answers come from.
        seeds: The seeds.
        n: Number of questions.
        score: Mean over seeds, as for usd and utility.
        usd: USD per 1,000 questions.
        utility: score - lambda * cost, by each run's own lambda.
        score_spread: Standard deviation over seeds; None for one seed, as for utility_spread.
        utility_spread: The same of the utility.
        interval: 95 % of the score over questions; None for several seeds.
        unreadable: Number of decided answers that could not be parsed, over all seeds.
        failures: Number of calls that failed, over all seeds.
    """

    method: str
    task: str
    split: str
    label: str
    seeds: tuple[int, ...]
    n: int
    score: float
    usd: float
    utility: float
    score_spread: float | None
    utility_spread: float | None
    interval: tuple[float, float] | None
    unreadable: int
    failures: int


def find_evaluations(paths: Iterable[Path]) -> tuple[list[Evaluation], list[Path]]:
    """Return the evaluations in some folders and below, and the run folders without one; each folder once.

    Raises:
        MissingDataError: There is no run folder in one of them.
    """
    done: list[Evaluation] = []
    incomplete: list[Path] = []
    seen: set[Path] = set()
    for path in paths:
        configs = sorted(path.rglob("config.yaml"))
        if not configs:
            raise MissingDataError(
                f"{path} holds no run folder; train.py and eval.py write them, by default under runs/"
            )
        for found in configs:
            if found.resolve() in seen:
                continue
            seen.add(found.resolve())
            if (found.parent / "eval.json").is_file():
                done.append(read_evaluation(found.parent))
            else:
                incomplete.append(found.parent)
    return done, incomplete


def read_evaluation(folder: Path) -> Evaluation:
    """Return the config and the numbers of one run folder.

    Raises:
        MissingDataError: It was not evaluated.
        DataError: A file is broken.
    """
    path = folder / "eval.json"
    if not path.is_file():
        raise MissingDataError(f"{path} is not there; evaluate the run first: python eval.py checkpoint={folder}")
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"{folder} holds a broken eval.json or config.yaml ({error})") from error
    return Evaluation(folder=folder, config=config, summary=summary)


def make_rows(evaluations: Sequence[Evaluation]) -> list[Row]:
    """Return one row for the evaluations that differ in their seed only, best utility first within a task.

    A second evaluation of the same seed gets a row of its own, with the name of its folder.
    """
    keys = []
    seen = set()
    for e, name in zip(evaluations, _names(evaluations), strict=True):
        key = (e.config["names"]["task"], e.summary["split"], str(e.summary["label"]), name)
        if (key, e.config["seed"]) in seen:  # one seed twice is no spread over seeds
            key = (*key[:3], f"{name} ({e.folder.name})")
        seen.add((key, e.config["seed"]))
        keys.append(key)
    order = sorted(range(len(keys)), key=lambda i: (keys[i], evaluations[i].config["seed"]))
    rows = []
    for key, group in groupby(order, key=lambda i: keys[i]):
        same = [evaluations[i] for i in group]
        task, split, label, method = key
        numbers = {k: [float(e.summary[k]) for e in same] for k in ("score", "usd", "utility")}
        several = len(same) > 1
        low, high = same[0].summary["interval"]
        rows.append(
            Row(
                method=method,
                task=task,
                split=split,
                label=label,
                seeds=tuple(e.config["seed"] for e in same),
                n=same[0].summary["n"],
                score=mean(numbers["score"]),
                usd=mean(numbers["usd"]),
                utility=mean(numbers["utility"]),
                score_spread=stdev(numbers["score"]) if several else None,
                utility_spread=stdev(numbers["utility"]) if several else None,
                interval=None if several else (low, high),
                unreadable=sum(e.summary["unreadable"] for e in same),
                failures=sum(e.summary["failures"] for e in same),
            )
        )
    return sorted(rows, key=lambda r: (r.task, r.split, r.label, -r.utility))


def markdown(rows: Sequence[Row], incomplete: Sequence[Path] = ()) -> str:
    """Return the rows as a Markdown table, and the runs that are not in it."""
    head = (
        "method",
        "task",
        "split",
        "answers",
        "seeds",
        "questions",
        "score",
        "95 % interval",
        "USD per 1,000",
        "utility",
        "unreadable",
        "failed calls",
    )
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in rows:
        interval = "" if r.interval is None else f"{r.interval[0]:.4f} to {r.interval[1]:.4f}"
        cells = [
            r.method,
            r.task,
            r.split,
            r.label,
            ", ".join(map(str, r.seeds)),
            str(r.n),
            _with_spread(r.score, r.score_spread),
            interval,
            f"{r.usd:.4f}",
            _with_spread(r.utility, r.utility_spread),
            str(r.unreadable),
            str(r.failures),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "± is the standard deviation over seeds; the interval is over questions."]
    if any(r.label == "calibrated" for r in rows):
        lines.append("Calibrated rows support no claim that one method beats another.")
    if incomplete:
        lines += ["", "Not evaluated: " + ", ".join(f"`{p}`" for p in incomplete)]
    return "\n".join(lines) + "\n"


def _with_spread(value: float, spread: float | None) -> str:
    return f"{value:.4f}" if spread is None else f"{value:.4f} ± {spread:.4f}"


def _names(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return the designers' names, with the settings that differ among those of one name and task."""
    flats = [flat({k: e.config.get(k) for k in SETTINGS}) for e in evaluations]
    groups: dict[tuple[str, str], list[int]] = {}
    for i, e in enumerate(evaluations):
        groups.setdefault((e.config["names"]["designer"], e.config["names"]["task"]), []).append(i)
    names = [""] * len(evaluations)
    for (designer, _), members in groups.items():
        keys = {k: None for i in members for k in flats[i]}
        differing = [k for k in keys if len({json.dumps(flats[i].get(k)) for i in members}) > 1]
        for i in members:
            parts = [f"{k.split('.')[-1]}={flats[i][k]}" for k in differing if flats[i].get(k) is not None]
            names[i] = f"{designer} ({', '.join(parts)})" if parts else designer
    return names


# --------------------------------------------------------------------------- pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """How much better one run is than another on the same questions.

    Attributes:
        difference: First minus second.
        interval: 95 %, by a bootstrap over questions.
        n: Number of questions.
    """

    difference: float
    interval: tuple[float, float]
    n: int


def paired_interval(
    first: Path,
    second: Path,
    *,
    split: str = "test",
    metric: Literal["score", "utility"] = "score",
    usd_weight: float = 0.0,
    token_weight: float = 0.0,
    seed: int = 0,
) -> Paired:
    """Compare two run folders question by question.

    Args:
        first: A run folder.
        second: Another one, evaluated on the same questions.
        split: Which evaluation.
        metric: `score`, or `utility` at `usd_weight` and `token_weight`.
        usd_weight: lambda for USD per 1,000 questions.
        token_weight: lambda for tokens per question.
        seed: Draws the resamples.

    Raises:
        UserError: They were not evaluated on this split, or on the same questions of it.
        DataError: An `eval.json` was written by an earlier version.
    """
    weights = (usd_weight, token_weight) if metric == "utility" else (0.0, 0.0)
    values = [_by_question(folder, split, *weights) for folder in (first, second)]
    if values[0].keys() != values[1].keys() or not values[0]:
        only = len(values[0].keys() ^ values[1].keys())
        raise UserError(
            f"{first} and {second} share {len(values[0].keys() & values[1].keys())} questions of the split {split} and "
            f"differ in {only}; evaluate both on the same task and split"
        )
    keys = sorted(values[0])
    weight = torch.tensor([values[0][k][1] for k in keys], dtype=torch.float64)
    gain = torch.tensor([values[0][k][0] - values[1][k][0] for k in keys], dtype=torch.float64)
    low, high = bootstrap(gain[:, None], weight, seed=seed)[:, 0].tolist()
    return Paired(difference=weighted_mean(gain[:, None], weight).item(), interval=(low, high), n=len(keys))


def _by_question(
    folder: Path, split: str, usd_weight: float, token_weight: float
) -> dict[tuple[str, str], tuple[float, float]]:
    summary = read_evaluation(folder).summary
    if summary["split"] != split:
        raise UserError(f"{folder} was evaluated on the split {summary['split']}, not {split}")
    if "num_samples" not in summary:
        raise DataError(f"{folder / 'eval.json'} is of an earlier version; python eval.py checkpoint={folder} mends it")
    latest: dict[tuple[str, str, int], tuple[float, float]] = {}
    for row in read_runs(folder / "runs.jsonl", phase=split):
        if row["seed"] >= summary["num_samples"]:  # left over from an evaluation with more samples
            continue
        tokens = row["prompt_tokens"] + row["completion_tokens"]
        worth = row["score"] - usd_weight * 1000 * row["usd"] - token_weight * tokens
        latest[row["benchmark"], row["task"], row["seed"]] = (worth, row.get("weight", 1.0))
    values: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for (benchmark, task, _), value in latest.items():
        values.setdefault((benchmark, task), []).append(value)
    return {key: (mean(v for v, _ in found), found[0][1]) for key, found in values.items()}
