"""Methods against each other, paired by seed and by question.

Shape letters: Q questions, S pairs of runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Literal

import numpy as np
from jaxtyping import Float64
from scipy.stats import bootstrap

from gdesign.errors import ConfigError, UserError
from gdesign.learn.evaluate import NUM_RESAMPLES
from gdesign.report.folders import Evaluation
from gdesign.report.student import Interval, interval, p_value
from gdesign.report.tables import Group
from gdesign.runs.log import read_runs

Metric = Literal["utility", "score", "usd"]
Question = tuple[str, str, str]
"""Benchmark, task, text."""
AT_ONCE = 100
NO_SPREAD = 1e-12
"""Differences that coincide, as shares of few questions do, say nothing about how seeds differ."""


Answers = dict[Question, Float64[np.ndarray, "5"]]
"""What the runs of a question were worth on average: score, USD per 1,000 such questions, tokens of prompts and
completions, seconds of latency; and the question's weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How much larger one method's number is than another's.

    Attributes:
        first: Name of the method.
        second: Name of the other one.
        metric: Which number.
        difference: First minus second.
        seeds: The seeds that were paired; empty where all runs were asked the same questions and the means over
            each method's seeds were paired.
        seed_interval: 95 % over seeds, by Student's t; None for fewer than two pairs, and where
            all of them differ by the same, as for the next.
        seed_p: Two-sided p-value of the paired t-test.
        num_questions: Number of different questions.
        question_interval: 95 % over questions, by a bootstrap; a question of several seeds is drawn with all of them.
        question_p: Two-sided p-value by the same resamples.
    """

    first: str
    second: str
    metric: Metric
    difference: float
    seeds: tuple[int, ...]
    seed_interval: Interval | None
    seed_p: float | None
    num_questions: int
    question_interval: Interval
    question_p: float


def read_answers(groups: Sequence[Group]) -> dict[Path, Answers]:
    """Return what answers were worth, by folder; those whose `runs.jsonl` is no help are left out."""
    found = {}
    for e in (e for group in groups for e in group.members):
        try:
            found[e.folder] = _answers(e)
        except UserError:
            continue
    return found


def compare(
    first: Group, second: Group, *, metrics: Sequence[Metric], read: Mapping[Path, Answers], seed: int = 0
) -> list[Comparison]:
    """Compare two groups of the same task, split, label and price of cost.

    Runs of the same seed make a pair where both were asked the same questions. Where all runs of both groups
    were asked the same ones, and their seeds are not the same, the means over each group's seeds make one pair.

    Raises:
        UserError: There is no such pair; it says why.
    """
    seeds, pairs = _pairs(first, second, read)
    asked = sorted({question for a, _ in pairs for question in a})
    nothing = np.zeros(5)  # of a question that a pair was not asked, the weight too
    weight = np.array([[a.get(q, nothing)[4] for a, _ in pairs] for q in asked])
    apart = np.array([[(a.get(q, nothing) - b.get(q, nothing))[:4] for a, b in pairs] for q in asked])
    prices: dict[Metric, tuple[float, ...]] = {
        "utility": (1.0, -first.usd_weight, -first.token_weight, -first.second_weight),
        "score": (1.0, 0.0, 0.0, 0.0),
        "usd": (0.0, 1.0, 0.0, 0.0),
    }
    found = []
    for metric in metrics:
        gains = apart @ np.array(prices[metric])
        by_seed = ((weight * gains).sum(0) / weight.sum(0)).tolist()
        low, high, p = _over_questions(gains, weight, seed=seed)
        spread = len(by_seed) > 1 and stdev(by_seed) > NO_SPREAD
        found.append(
            Comparison(
                first=first.method,
                second=second.method,
                metric=metric,
                difference=mean(by_seed),
                seeds=seeds,
                seed_interval=interval(by_seed) if spread else None,
                seed_p=p_value(by_seed) if spread else None,
                num_questions=len(asked),
                question_interval=(low, high),
                question_p=p,
            )
        )
    return found


def find_baseline(groups: Sequence[Group], name: str) -> str:
    """Return the method that a name, a designer or a run folder stands for.

    Raises:
        ConfigError: There is none, or several.
    """
    methods = dict.fromkeys(g.method for g in groups)
    if name in methods:
        return name
    for g in groups:
        if any(e.folder.resolve() == Path(name).resolve() for e in g.members):
            return g.method
    named = dict.fromkeys(g.method for g in groups if g.designer == name)
    if len(named) == 1:
        return next(iter(named))
    which = "several methods" if named else "no method and no evaluated run folder"
    shown = ", ".join(f'"{method}"' for method in named or methods)
    raise ConfigError(f'--baseline "{name}" names {which} here; choose one of {shown}, or a run folder')


def _pairs(
    first: Group, second: Group, read: Mapping[Path, Answers]
) -> tuple[tuple[int, ...], list[tuple[Answers, Answers]]]:
    one, two = ({e.config["seed"]: e for e in group.members} for group in (first, second))
    for e in (*one.values(), *two.values()):
        if not read.get(e.folder):
            raise UserError(f"{e.folder / 'runs.jsonl'} does not hold the runs that were evaluated")
    a, b = ({seed: read[e.folder] for seed, e in found.items()} for found in (one, two))
    common = sorted(a.keys() & b.keys())
    paired = [(a[seed], b[seed]) for seed in common]
    everything = [*a.values(), *b.values()]
    if a.keys() != b.keys() and all(table.keys() == everything[0].keys() for table in everything):
        return (), [(_means(list(a.values())), _means(list(b.values())))]
    if not common:
        raise UserError("they share no seed, and not all of their questions")
    for seed, (x, y) in zip(common, paired, strict=True):
        if x.keys() != y.keys():
            raise UserError(
                f"at seed {seed} they share {len(x.keys() & y.keys())} questions and differ in "
                f"{len(x.keys() ^ y.keys())}"
            )
    return tuple(common), paired


def _answers(evaluation: Evaluation) -> Answers:
    split, num_samples = evaluation.summary["split"], evaluation.summary["num_samples"]
    latest: dict[Question, dict[int, tuple[float, ...]]] = {}
    for line in read_runs(evaluation.folder / "runs.jsonl", phase=split):
        if line["seed"] < num_samples:  # others are left over from an evaluation with more samples
            question = (line["benchmark"], line["task"], line.get("question", ""))
            tokens = line["prompt_tokens"] + line["completion_tokens"]
            worth = (line["score"], 1000 * line["usd"], tokens, line.get("latency", 0.0), line.get("weight", 1.0))
            latest.setdefault(question, {})[line["seed"]] = worth
    return {question: np.mean(list(samples.values()), axis=0) for question, samples in latest.items()}


def _means(tables: Sequence[Answers]) -> Answers:
    return {question: np.mean([table[question] for table in tables], axis=0) for question in tables[0]}


def _over_questions(
    gains: Float64[np.ndarray, "Q S"], weight: Float64[np.ndarray, "Q S"], *, seed: int
) -> tuple[float, float, float]:
    """Return the 95 % interval of the mean gain of resampled questions, and the p-value that it is 0."""
    if len(gains) == 1:  # scipy wants two; a lone question twice is the same in every resample
        gains, weight = np.repeat(gains, 2, axis=0), np.repeat(weight, 2, axis=0)
    found = bootstrap(
        ((weight * gains).sum(1), weight.sum(1)),
        lambda worth, total, axis: worth.sum(axis) / total.sum(axis),
        paired=True,
        n_resamples=NUM_RESAMPLES,
        batch=AT_ONCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    drawn = found.bootstrap_distribution
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    low, high = map(float, found.confidence_interval)
    return low, high, min(1.0, 2 * (1 + tail) / (1 + NUM_RESAMPLES))
