"""Matrix factorisation of the table of questions and agents.

RouteLLM (Ong et al., ICLR 2025, arXiv 2406.18665, section 4.2, "Matrix factorization"). Departures are named on
docs/methods/routers.md.

Shape letters: T training questions, B problems in a batch, S slots of the space, D text features, K factors.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gdesign.design.routers.base import Router
from gdesign.design.routers.ridge import fit_ridge
from gdesign.encode.problem import Space

HELD_OUT = 0.2
"""Share of the training questions that choose the number of steps."""


class Factors(NamedTuple):
    """What is learned: a question's factors are x @ query + shift; an agent's logit is their product with its own."""

    query: Float[Tensor, "D K"]
    shift: Float[Tensor, " K"]
    agent: Float[Tensor, "S K"]
    level: Float[Tensor, " S"]

    def logits(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B S"]:
        """Return the log-odds that each agent is right."""
        return (x @ self.query + self.shift) @ self.agent.T + self.level


class MatrixFactorization(Router):
    """The probability that agent m is right on question q is sigmoid(v_m . (W x_q + b) + a_m).

    USD are not factorised: they follow a ridge regression on the same features.

    Args:
        space: The agents on offer.
        num_factors: K.
        lr: Adam's step.
        weight_decay: Adam's (decoupled) weight decay.
        max_steps: The most steps; their number is chosen on a held-out fifth of the questions.
    """

    query: Float[Tensor, "D K"]
    shift: Float[Tensor, " K"]
    agent: Float[Tensor, "S K"]
    level: Float[Tensor, " S"]
    usd_slope: Float[Tensor, "D S"]
    usd_intercept: Float[Tensor, " S"]

    def __init__(
        self,
        *,
        space: Space,
        num_factors: int = 32,
        lr: float = 0.01,
        weight_decay: float = 0.01,
        max_steps: int = 300,
    ) -> None:
        super().__init__(space=space)
        self._num_factors = num_factors
        self._lr = lr
        self._weight_decay = weight_decay
        self._max_steps = max_steps
        d, n = space.text_dim, len(space.slots)
        for name, shape in (
            ("query", (d, num_factors)),
            ("shift", (num_factors,)),
            ("agent", (n, num_factors)),
            ("level", (n,)),
            ("usd_slope", (d, n)),
            ("usd_intercept", (n,)),
        ):
            self.register_buffer(name, torch.zeros(shape))

    @property
    def factors(self) -> Factors:
        """What was learned."""
        return Factors(self.query, self.shift, self.agent, self.level)

    def fit(
        self,
        x: Float[Tensor, "T D"],
        *,
        scores: Float[Tensor, "T S"],
        usd: Float[Tensor, "T S"],
        weight: Float[Tensor, " T"],
        generator: torch.Generator,
    ) -> None:
        """Choose the number of steps on a fifth of the questions, then learn from all."""
        order = torch.randperm(len(x), generator=generator)
        held_out = torch.zeros(len(x), dtype=torch.bool)
        held_out[order[: int(HELD_OUT * len(x))]] = True
        start = self._start(scores, generator)
        num_steps = self._best_num_steps(start, x, scores, weight, held_out) if held_out.any() else self._max_steps
        learned = [p.detach().clone().requires_grad_() for p in start]
        optimizer = torch.optim.AdamW(learned, lr=self._lr, weight_decay=self._weight_decay)
        for _ in range(num_steps):
            _step(optimizer, Factors(*learned), x, scores, weight)
        for name, value in zip(Factors._fields, learned, strict=True):
            getattr(self, name).copy_(value.detach())
        slope, intercept = fit_ridge(x, usd, judged=usd, weight=weight)
        self.usd_slope.copy_(slope)
        self.usd_intercept.copy_(intercept)
        self.fitted.fill_(1)

    def predict(self, x: Float[Tensor, "B D"]) -> tuple[Float[Tensor, "B S"], Float[Tensor, "B S"]]:
        """Return the probability of being right and the USD of each agent."""
        return self.factors.logits(x).sigmoid(), x @ self.usd_slope + self.usd_intercept

    def _start(self, scores: Float[Tensor, "T S"], generator: torch.Generator) -> Factors:
        d, n, k = self.space.text_dim, scores.shape[1], self._num_factors
        return Factors(
            query=torch.randn(d, k, generator=generator) / d**0.5,
            shift=torch.zeros(k),
            agent=torch.randn(n, k, generator=generator) / k**0.5,
            level=torch.logit(scores.mean(0), eps=0.01),
        )

    def _best_num_steps(
        self,
        start: Factors,
        x: Float[Tensor, "T D"],
        scores: Float[Tensor, "T S"],
        weight: Float[Tensor, " T"],
        held_out: Bool[Tensor, " T"],
    ) -> int:
        learned = Factors(*(p.detach().clone().requires_grad_() for p in start))
        optimizer = torch.optim.AdamW(learned, lr=self._lr, weight_decay=self._weight_decay)
        losses = []
        for _ in range(self._max_steps):
            _step(optimizer, learned, x[~held_out], scores[~held_out], weight[~held_out])
            with torch.no_grad():
                losses.append(float(_loss(learned, x[held_out], scores[held_out], weight[held_out])))
        return 1 + min(range(self._max_steps), key=losses.__getitem__)


def _loss(
    factors: Factors, x: Float[Tensor, "T D"], scores: Float[Tensor, "T S"], weight: Float[Tensor, " T"]
) -> Float[Tensor, ""]:
    each = binary_cross_entropy_with_logits(factors.logits(x), scores, reduction="none")
    return (weight[:, None] * each).sum() / (weight.sum() * scores.shape[1])


@torch.enable_grad()  # a search runs wherever its caller stands
def _step(
    optimizer: torch.optim.Optimizer,
    factors: Factors,
    x: Float[Tensor, "T D"],
    scores: Float[Tensor, "T S"],
    weight: Float[Tensor, " T"],
) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(_loss(factors, x, scores, weight))
    optimizer.step()
