"""The one design to run: what a designer holds best at a price of cost, or within a budget."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from gdesign.design.base import Designer, Draft
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import ConfigError
from gdesign.types import Play, Task

PRICES = tuple(10 ** (k / 8) for k in range(-32, 25))
"""Prices of cost, lowest first, that a budget is looked for among: from 0.0001 to 1,000, eight for each power of 10."""


class Held(NamedTuple):
    """The design held best for a question.

    Attributes:
        design: The design, or the policy.
        usd_weight: lambda that it was chosen at.
        score: What is expected of it; None where the method expects nothing.
        usd: USD for 1,000 questions that are expected; None likewise.
    """

    design: Play
    usd_weight: float
    score: float | None = None
    usd: float | None = None


@torch.no_grad()
def held(
    designer: Designer, problems: ProblemEncoder, tasks: Sequence[Task], *, usd_weight: float | Sequence[float] = 0.0
) -> list[Held]:
    """Return the design that the designer holds best for each task, and what it expects of it.

    Args:
        usd_weight: lambda, one for all or one a task.
    """
    prices = [float(usd_weight)] * len(tasks) if isinstance(usd_weight, int | float) else list(usd_weight)
    training = designer.training
    designer.eval()
    draft = designer(problems(tasks, usd_weight=prices), greedy=True)
    designer.train(training)
    return _held(draft, prices)


def greedy(
    designer: Designer, problems: ProblemEncoder, tasks: Sequence[Task], *, usd_weight: float | Sequence[float] = 0.0
) -> list[Play]:
    """Return the design that the designer holds best for each task; see `held`."""
    return [best.design for best in held(designer, problems, tasks, usd_weight=usd_weight)]


@torch.no_grad()
def within(designer: Designer, problems: ProblemEncoder, task: Task, *, max_usd: float, lowest: float = 0.0) -> Held:
    """Return the design held best for a task at the lowest price of cost that keeps it within a budget.

    Args:
        max_usd: The most that may be expected, USD for 1,000 questions.
        lowest: The lowest price of cost that is looked at.

    Raises:
        ConfigError: The designer expects nothing of designs, or none is expected to cost so little.
    """
    prices = [lowest, *(price for price in PRICES if price > lowest)] if lowest else list(PRICES)
    expected = []
    for best in along(designer, problems, task, prices=prices):
        assert best.usd is not None
        if best.usd <= max_usd:
            return best
        expected.append(best.usd)
    raise ConfigError(
        f"no design is expected to cost {max_usd:g} USD per 1,000 questions or less; the cheapest is expected to cost "
        f"{min(expected):.3g}"
    )


@torch.no_grad()
def along(designer: Designer, problems: ProblemEncoder, task: Task, *, prices: Sequence[float]) -> list[Held]:
    """Return the design held best for a task at each of some prices of cost, with what is expected of it.

    Raises:
        ConfigError: The designer expects nothing of designs.
    """
    training = designer.training
    designer.eval()
    draft = designer.frontier(problems([task]), prices)
    designer.train(training)
    return _held(draft, prices)


def _held(draft: Draft, prices: Sequence[float]) -> list[Held]:
    if draft.expected is None:
        return [Held(design, price) for design, price in zip(draft.designs, prices, strict=True)]
    score, usd = (column.tolist() for column in draft.expected)
    return [Held(*row) for row in zip(draft.designs, prices, score, usd, strict=True)]
