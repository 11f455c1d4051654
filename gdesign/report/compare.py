"""Methods against each other, paired by seed and by question. Needs the extra `report`.

Shape letters: Q questions, S pairs of runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gdesign.errors import ConfigError, UserError
from gdesign.learn.evaluate import NUM_RESAMPLES
from gdesign.report.student import Interval, interval, p_value
from gdesign.report.tables import Answers, Group, Question, answers, mean_answer

Metric = Literal["utility", "score", "usd"]
AT_ONCE = 100
NO_SPREAD = 1e-12
"""Differences that coincide, as shares of few questions do, say nothing about how seeds differ."""


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
    """Return the answers of all evaluations, by folder; those whose `runs.jsonl` is no help are left out."""
    found = {}
    for e in (e for group in groups for e in group.members):
        try:
            found[e.folder] = answers(e)
        except UserError:
            continue
    return found


def compare(
    first: Group, second: Group, *, metrics: Sequence[Metric], read: Mapping[Path, Answers], seed: int = 0
) -> list[Comparison]:
    """Compare two groups of the same task, split, label and price of cost.

    Runs of the same seed make a pair where both were asked the same questions. Where all runs of both groups
    were asked the same ones, and their seeds are not the same, the means over each group's seeds make one pair.

    Args:
        first: One group.
        second: The other.
        metrics: What to compare.
        read: Answers by folder.
        seed: Draws the resamples.

    Raises:
        UserError: There is no such pair; it says why.
    """
    seeds, pairs = _pairs(first, second, read)
    asked = sorted({question for a, _ in pairs for question in a})
    weight = torch.tensor([[a[q].weight if q in a else 0.0 for a, _ in pairs] for q in asked], dtype=torch.float64)
    found = []
    for metric in metrics:
        gains = torch.tensor(
            [[_worth(a, q, metric, first) - _worth(b, q, metric, first) for a, b in pairs] for q in asked],
            dtype=torch.float64,
        )
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


def _worth(table: Answers, question: Question, metric: Metric, prices: Group) -> float:
    if question not in table:  # its weight is 0
        return 0.0
    if metric == "utility":
        return table[question].worth(prices.usd_weight, prices.token_weight, prices.second_weight)
    return table[question].usd if metric == "usd" else table[question].score


def _means(tables: Sequence[Answers]) -> Answers:
    return {question: mean_answer([table[question] for table in tables]) for question in tables[0]}


def _over_questions(
    gains: Float[Tensor, "Q S"], weight: Float[Tensor, "Q S"], *, seed: int
) -> tuple[float, float, float]:
    """Return the 95 % interval of the mean gain of resampled questions, and the p-value that it is 0."""
    q = len(gains)
    generator = torch.Generator().manual_seed(seed)
    worth, total = (weight * gains).sum(1), weight.sum(1)
    means = []
    for _ in range(NUM_RESAMPLES // AT_ONCE):
        drawn = torch.randint(q, (AT_ONCE, q), generator=generator)
        means.append(worth[drawn].sum(1) / total[drawn].sum(1))
    drawn_means = torch.cat(means)
    low, high = torch.quantile(drawn_means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    tail = min(int((drawn_means <= 0).sum()), int((drawn_means >= 0).sum()))
    return low, high, min(1.0, 2 * (1 + tail) / (1 + NUM_RESAMPLES))
