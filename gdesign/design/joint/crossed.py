"""What agents would score on questions that they were not asked: those of one role, LLM or way of working do alike.

A Gaussian process over (question, agent) whose covariance is a sum of products of what two agents and what two
questions have in common (the intrinsic model of coregionalization; Bonilla et al., NeurIPS 2007):

    k((i, a), (j, b)) = sum over groups g of [a and b share g] (m_g + t_g x_i . x_j) + h [i = j],

where g is everybody, the role, the LLM, the operator, role and LLM, and the agent itself, x are text features, and h
is how hard a question is for all. A few hundred replies then tell of hundreds of agents who is good at what.

Shape letters: T questions, C agents.
"""

from collections.abc import Callable, Sequence

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


def crossed(
    agents: Sequence[Agent], x: Float[Tensor, "T D"], scores: Float[Tensor, "T C"], seen: Bool[Tensor, "T C"]
) -> Float[Tensor, "T C"]:
    """Return the score in [0, 1] expected of every agent on every question.

    Args:
        x: Text features of the questions.
        scores: Of replies; what was not seen does not count.
        seen: Who was asked what; somebody something.
    """
    from scipy.sparse.linalg import LinearOperator, cg  # slow to import, and needed for large pools alone

    x = x.double()
    x = x - x.mean(0)
    like = x @ x.mT
    like = like / like.diagonal().mean().clamp_min(1e-9)
    level = torch.zeros(len(agents), len(agents), dtype=torch.float64)
    by_text = torch.zeros_like(level)
    for key, m, t in GROUPS:
        keys = [key(a) for a in agents]
        number = {k: i for i, k in enumerate(dict.fromkeys(keys))}
        group = torch.tensor([number[k] for k in keys])
        share = (group[:, None] == group).double()
        level, by_text = level + m * share, by_text + t * share
    row, column = seen.nonzero().T
    mean = scores[seen].double().mean()

    def covariance(weights: np.ndarray) -> Float[Tensor, "T C"]:
        table = torch.zeros(seen.shape, dtype=torch.float64)
        table[row, column] = torch.from_numpy(np.array(weights, dtype=np.float64)).flatten()
        return (table @ level).sum(0) + like @ table @ by_text + HARDNESS * table.sum(1, keepdim=True)

    def system(weights: np.ndarray) -> np.ndarray:
        return covariance(weights)[row, column].numpy() + NOISE * weights.ravel()

    size = (len(row), len(row))
    weights, _ = cg(
        LinearOperator(size, matvec=system, dtype=np.float64),
        (scores[row, column].double() - mean).numpy(),
        rtol=TOLERANCE,
        maxiter=1000,
    )
    return (covariance(weights) + mean).clamp(0.0, 1.0).to(scores)
