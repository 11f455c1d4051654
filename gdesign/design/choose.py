"""The one design to run: what a designer holds best at a price of cost, or within a budget."""

from collections.abc import Sequence

import torch

from gdesign.design.base import Designer, Draft
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import ConfigError
from gdesign.types import Design, Task

PRICES = tuple(10 ** (k / 8) for k in range(-32, 25))
"""Prices of cost, lowest first, that a budget is looked for among: from 0.0001 to 1,000, eight for each power of 10."""


@torch.no_grad()
def greedy(
    designer: Designer, problems: ProblemEncoder, tasks: Sequence[Task], *, usd_weight: float | Sequence[float] = 0.0
) -> list[Design]:
    """Return the design that the designer holds best for each task.

    Args:
        designer: Says which.
        problems: Encodes tasks.
        tasks: The tasks.
        usd_weight: lambda, one for all or one a task.
    """
    training = designer.training
    designer.eval()
    draft: Draft = designer(problems(tasks, usd_weight=usd_weight), greedy=True)
    designer.train(training)
    return draft.designs


@torch.no_grad()
def within(
    designer: Designer, problems: ProblemEncoder, task: Task, *, max_usd: float, lowest: float = 0.0
) -> tuple[Design, float]:
    """Return the design held best for a task at the lowest price of cost that keeps it within a budget, and that price.

    Args:
        designer: One that says what it expects a design to cost.
        problems: Encodes tasks.
        task: The task.
        max_usd: The most that may be expected, USD for 1,000 questions.
        lowest: The lowest price of cost that is looked at.

    Raises:
        ConfigError: The designer expects nothing of designs, or none is expected to cost so little.
    """
    prices = [lowest, *(price for price in PRICES if price > lowest)] if lowest else list(PRICES)
    training = designer.training
    designer.eval()
    draft = designer.frontier(problems([task]), prices)
    designer.train(training)
    assert draft.expected is not None
    costs = draft.expected.usd.tolist()
    for design, price, cost in zip(draft.designs, prices, costs, strict=True):
        if cost <= max_usd:
            return design, price
    raise ConfigError(
        f"no design is expected to cost {max_usd:g} USD per 1,000 questions or less; the cheapest is expected to cost "
        f"{min(costs):.3g}"
    )
