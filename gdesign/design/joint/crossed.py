"""What agents would score on questions that they were not asked: those of one role, LLM or way of working do alike.

A Gaussian process over (question, agent) whose covariance is a sum of products of what two agents and what two
questions have in common (the intrinsic model of coregionalization; Bonilla et al., NeurIPS 2007):

    k((i, a), (j, b)) = sum over groups g of [a and b share g] (m_g + t_g x_i . x_j) + h [i = j],

where g is everybody, the role, the LLM, the operator, role and LLM, and the agent itself, x are text features, and h
is how hard a question is for all. A few hundred replies then tell of hundreds of agents who is good at what.

Shape letters: T questions, C agents, S replies that were seen.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gdesign.types import Agent

GROUPS: tuple[tuple[Callable[[Agent], object], float, float], ...] = (
    (lambda a: None, 0.0, 0.011),
    (lambda a: a.role, 0.005, 0.012),
    (lambda a: a.llm, 0.015, 0.008),
    (lambda a: a.operator, 0.006, 0.003),
    (lambda a: (a.role, a.llm), 0.006, 0.005),
    (lambda a: (a.role, a.llm, a.operator), 0.004, 0.004),
)
"""What agents may share, with m and t: variances, of scores in [0, 1]."""
HARDNESS = 0.05
"""h."""
NOISE = 0.2
"""Variance of a single reply's score about what is expected of it."""
TOLERANCE = 1e-4
"""How exactly the linear system is solved."""


class Crossed:
    """What is expected of some agents on some questions.

    Args:
        x: Text features of the questions.
    """

    def __init__(self, agents: Sequence[Agent], x: Float[Tensor, "T D"]) -> None:
        x = x.double()
        x = x - x.mean(0)
        like = x @ x.mT
        self.like = like / like.diagonal().mean().clamp_min(1e-9)
        self.level = torch.zeros(len(agents), len(agents), dtype=torch.float64)
        self.by_text = torch.zeros_like(self.level)
        for key, m, t in GROUPS:
            keys = [key(a) for a in agents]
            number = {k: i for i, k in enumerate(dict.fromkeys(keys))}
            group = torch.tensor([number[k] for k in keys])
            share = (group[:, None] == group).double()
            self.level += m * share
            self.by_text += t * share

    def mean(self, scores: Float[Tensor, "T C"], seen: Bool[Tensor, "T C"]) -> Float[Tensor, "T C"]:
        """Return the score in [0, 1] expected of every agent on every question.

        Args:
            scores: Of replies; what was not seen does not count.
            seen: Who was asked what; somebody something.
        """
        level = scores[seen].double().mean()
        return (self._told(scores[seen].double() - level, seen) + level).clamp(0.0, 1.0).to(scores)

    def drawn(
        self, scores: Float[Tensor, "T C"], seen: Bool[Tensor, "T C"], generator: torch.Generator
    ) -> Float[Tensor, "T C"]:
        """Return a draw of what may be expected, given what was seen (Matheron's rule; Wilson et al., ICML 2020)."""

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64)

        num, num_agents = seen.shape
        prior = self._roots[0] @ normal(num_agents) + self._roots[1] @ normal(num, num_agents) @ self._roots[2].mT
        prior = prior + HARDNESS**0.5 * normal(num, 1)
        replies = prior[seen] + NOISE**0.5 * normal(int(seen.sum()))
        level = scores[seen].double().mean()
        drawn: Tensor = prior + self._told(scores[seen].double() - level - replies, seen) + level
        return drawn.to(scores)

    @cached_property
    def _roots(self) -> list[Tensor]:
        found = [torch.linalg.eigh(k) for k in (self.level, self.like, self.by_text)]
        return [vectors * values.clamp_min(0.0).sqrt() for values, vectors in found]

    def _told(self, replies: Float[Tensor, " S"], seen: Bool[Tensor, "T C"]) -> Float[Tensor, "T C"]:
        from scipy.sparse.linalg import LinearOperator, cg  # slow to import, and needed for large pools alone

        def covariance(weights: np.ndarray) -> Float[Tensor, "T C"]:
            table = torch.zeros(seen.shape, dtype=torch.float64)
            table[seen] = torch.from_numpy(np.array(weights, dtype=np.float64)).flatten()
            shared = (table @ self.level).sum(0) + self.like @ table @ self.by_text
            return shared + HARDNESS * table.sum(1, keepdim=True)

        def system(weights: np.ndarray) -> np.ndarray:
            told: np.ndarray = covariance(weights)[seen].numpy() + NOISE * weights.ravel()
            return told

        num = len(replies)
        matrix = LinearOperator((num, num), matvec=system, dtype=np.float64)
        weights, _ = cg(matrix, replies.numpy(), rtol=TOLERANCE, maxiter=1000)
        return covariance(weights)
