"""What answers questions where a learned designer lost: designs that were measured on validation questions.

Shape letters: T problems in a batch, B designs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.design.base import Designer, Draft, Expected
from gdesign.design.calibrated import Calibrated
from gdesign.design.draws import RNG
from gdesign.types import Design

SAME_PRICE = 1e-6
"""How far two prices of cost may lie apart, relative to themselves, to be one: tensors hold single precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A design, and what it was worth on average.

    Attributes:
        usd: USD for 1,000 questions.
        other: What its tokens and its latency cost, in utility.
    """

    design: Design
    score: float
    usd: float
    other: float = 0.0

    def utility(self, usd_weight: float) -> float:
        """Return what it is worth at a price of cost."""
        return self.score - usd_weight * self.usd - self.other


def serves_every_price(designer: Designer) -> bool:
    """Return whether a designer weighs designs at whatever price of cost it is asked for."""
    if isinstance(designer, Calibrated):
        designer = designer.learned
    return type(designer).frontier is not Designer.frontier


class Deployed(Designer):
    """A learned designer, and the measured designs that stand in for it.

    Its method decides where: a designer for one price of cost is stood in for at every price, one that serves every
    price only at the price at which it lost, for nothing was measured at others. Of the measured designs the best at
    the price is taken, so they serve budgets too.

    Args:
        learned: The designer that lost.
        measured: The designs, one or more.
        usd_weight: lambda at which they were compared.
    """

    def __init__(self, learned: Designer, *, measured: Sequence[Measured], usd_weight: float) -> None:
        super().__init__(space=learned.space)
        self.learned = learned
        self._measured = tuple(measured)
        self._usd_weight = usd_weight
        self._everywhere = not serves_every_price(learned)

    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Return the best measured design, as often as designs are drawn, where they stand in; else draw."""
        chosen = [best for price in problem.usd_weight.tolist() for best in [self.stands_in(price)] * num_designs]
        return self._draft(
            chosen, lambda: self.learned(problem, num_designs=num_designs, generator=generator, greedy=greedy)
        )

    def frontier(self, problem: Batch, usd_weights: Sequence[float]) -> Draft:
        """Return the best measured design at the prices at which they stand in; else what the learned designer does."""
        return self._draft(list(map(self.stands_in, usd_weights)), lambda: self.learned.frontier(problem, usd_weights))

    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " T"]:
        """Return 0 for the design that stands in and -inf for every other; elsewhere what the learned designer does."""
        chosen = list(map(self.stands_in, problem.usd_weight.tolist()))
        own = torch.tensor(
            [0.0 if c is None or c.design == d else -torch.inf for c, d in zip(chosen, designs, strict=True)]
        )
        if None not in chosen:
            return own
        learned = torch.tensor([c is None for c in chosen])
        return torch.where(learned, self.learned.log_prob(problem, designs), own)

    def expect(self, problem: Batch, designs: Sequence[Design], *, of: Int[Tensor, " B"] | None = None) -> Expected:
        """Return what was measured, or else what the learned designer expects."""
        known = {m.design: m for m in self._measured}
        if all(design in known for design in designs):
            return _expected([known[design] for design in designs])
        return self.learned.expect(problem, designs, of=of)

    def stands_in(self, usd_weight: float) -> Measured | None:
        """Return the measured design that answers at a price of cost; None where the learned designer does."""
        if self._everywhere or math.isclose(usd_weight, self._usd_weight, rel_tol=SAME_PRICE):
            return max(self._measured, key=lambda m: m.utility(usd_weight))
        return None

    def _draft(self, chosen: Sequence[Measured | None], draw: Callable[[], Draft]) -> Draft:
        standing = [m for m in chosen if m is not None]
        if len(standing) == len(chosen):
            designs = [m.design for m in standing]
            return Draft(designs=lambda: designs, log_prob=torch.zeros(len(designs)), expected=_expected(standing))
        draft = draw()
        if not standing:
            return draft
        learned = torch.tensor([m is None for m in chosen])
        expected = draft.expected
        if expected is not None:
            filled = [m or Measured(design=standing[0].design, score=0.0, usd=0.0) for m in chosen]
            pairs = zip(expected, _expected(filled), strict=True)
            expected = Expected(*(torch.where(learned, own, measured.to(own)) for own, measured in pairs))
        return Draft(
            designs=lambda: [d if m is None else m.design for m, d in zip(chosen, draft.designs, strict=True)],
            log_prob=torch.where(learned, draft.log_prob, torch.zeros_like(draft.log_prob)),
            expected=expected,
        )


def _expected(measured: Sequence[Measured]) -> Expected:
    return Expected(torch.tensor([m.score for m in measured]), torch.tensor([m.usd for m in measured]))
