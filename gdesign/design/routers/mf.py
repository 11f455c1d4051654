"""Matrix factorisation of the table of questions and agents.

RouteLLM (Ong et al., ICLR 2025, arXiv 2406.18665, section 4.2, "Matrix factorization"). Departures are named on
docs/methods/routers.md.

Shape letters: T training questions, B problems in a batch, S slots of the space, D text features, K factors.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gdesign.design.routers.base import Router, Table
from gdesign.design.routers.ridge import fit_ridge, strengths
from gdesign.encode.problem import Space


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
        num_factors: K.
        weight_decay: Adam's (decoupled) weight decay.
        held_out: Share of the questions on which their number is chosen.
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
        held_out: float = 0.2,
    ) -> None:
        d, n, k = space.text_dim, len(space.slots), num_factors
        of_factors = {"query": (d, k), "shift": (k,), "agent": (n, k), "level": (n,)}
        super().__init__(space=space, **of_factors, usd_slope=(d, n), usd_intercept=(n,))
        self._lr = lr
        self._weight_decay = weight_decay
        self._max_steps = max_steps
        self._held_out = held_out

    @property
    def factors(self) -> Factors:
        """What was learned."""
        return Factors(self.query, self.shift, self.agent, self.level)

    def fit(self, table: Table, *, generator: torch.Generator) -> None:
        """Choose the number of steps on some of the questions, then learn from all."""
        num = len(table.x)
        held_out = torch.zeros(num, dtype=torch.bool)
        held_out[torch.randperm(num, generator=generator)[: int(self._held_out * num)]] = True
        start = self._start(table, generator)
        num_steps = self._max_steps
        if held_out.any():
            _, losses = self._descend(start, table[~held_out], num_steps, judged=table[held_out])
            num_steps = 1 + min(range(num_steps), key=losses.__getitem__)
        learned, _ = self._descend(start, table, num_steps)
        for buffer, value in zip(self.factors, learned, strict=True):
            buffer.copy_(value)
        slope, intercept = fit_ridge(table.x, table.usd, judged=table.usd, weight=table.weight, strengths=strengths())
        self.usd_slope.copy_(slope)
        self.usd_intercept.copy_(intercept)
        self.fitted.fill_(1)

    def predict(self, x: Float[Tensor, "B D"]) -> tuple[Float[Tensor, "B S"], Float[Tensor, "B S"]]:
        """Return the probability of being right and the USD of each agent."""
        return self.factors.logits(x).sigmoid(), x @ self.usd_slope + self.usd_intercept

    def _start(self, table: Table, generator: torch.Generator) -> Factors:
        (d, k), n = self.query.shape, len(self.level)
        return Factors(
            query=torch.randn(d, k, generator=generator) / d**0.5,
            shift=torch.zeros(k),
            agent=torch.randn(n, k, generator=generator) / k**0.5,
            level=torch.logit(table.scores.mean(0), eps=0.01),
        )

    @torch.enable_grad()  # a search runs wherever its caller stands
    def _descend(
        self, start: Factors, table: Table, num_steps: int, *, judged: Table | None = None
    ) -> tuple[Factors, list[float]]:
        factors = Factors(*(p.clone().requires_grad_() for p in start))
        optimizer = torch.optim.AdamW(factors, lr=self._lr, weight_decay=self._weight_decay)
        losses = []
        for _ in range(num_steps):
            optimizer.zero_grad()
            torch.autograd.backward(_loss(factors, table))
            optimizer.step()
            if judged is not None:
                losses.append(_loss(factors, judged).item())
        return Factors(*(p.detach() for p in factors)), losses


def _loss(factors: Factors, table: Table) -> Float[Tensor, ""]:
    each = binary_cross_entropy_with_logits(factors.logits(table.x), table.scores, reduction="none")
    return (table.weight[:, None] * each).sum() / (table.weight.sum() * table.scores.shape[1])
