"""Gaussian-process regression of every agent's score and USD on several views of the question.

Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006: the mean of equation 2.23, the marginal
likelihood of equation 5.8.

Shape letters: T training questions, B problems in a batch, S slots of the space, D text features, C targets,
G blocks of features, A and B rows of two sets.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from gdesign.design.routers.base import Router, Table, contrast
from gdesign.design.routers.ridge import inverse_document_frequency
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError

KINDS = ("meaning", "words", "numbers")


class Kernel(Router):
    """The posterior mean under a sum of Gaussian kernels, one a block of the features.

    Heights and widths of the kernels, relative to the noise, maximise the marginal likelihood on training questions:
    once for the scores' contrast between agents, once for USD.

    Args:
        blocks: Kind and number of features of each block, in the encoder's order: `meaning` (an embedding; centred,
            of unit length), `words` (counts; weighted by inverse document frequency, of unit length), `numbers`
            (of mean 0 and variance 1). None for one block of meaning.
        max_tuned: Most questions whose likelihood chooses the kernel; bounds the time that takes.

    Raises:
        ConfigError: A kind is unknown, or the encoder gives another number of features.
    """

    of_questions = ("x", "weights")
    x: Float[Tensor, "T D"]
    weights: Float[Tensor, "T C"]
    shift: Float[Tensor, " D"]
    scale: Float[Tensor, " D"]
    heights: Float[Tensor, "2 G"]
    widths: Float[Tensor, "2 G"]
    mean: Float[Tensor, " C"]

    def __init__(
        self, *, space: Space, blocks: Sequence[Mapping[str, Any]] | None = None, max_tuned: int = 1000
    ) -> None:
        d, c = space.text_dim, 2 * len(space.slots)
        blocks = [{"kind": "meaning", "dim": d}] if blocks is None else blocks
        g = len(blocks)
        super().__init__(
            space=space, x=(0, d), weights=(0, c), shift=(d,), scale=(d,), heights=(2, g), widths=(2, g), mean=(c,)
        )
        self._kinds = [str(b["kind"]) for b in blocks]
        self._dims = [int(b["dim"]) for b in blocks]
        self._max_tuned = max_tuned
        if unknown := [k for k in self._kinds if k not in KINDS]:
            raise ConfigError(f"block kind {unknown[0]!r} is unknown; expected some of {', '.join(KINDS)}")
        if sum(self._dims) != d:
            raise ConfigError(
                f"the blocks hold {sum(self._dims)} features and the encoder gives {d}; name the encoder that they "
                "describe (text=joined for designer=kernel), or other blocks"
            )

    def fit(self, table: Table, *, generator: torch.Generator) -> None:
        """Choose the kernels, on some of the questions if there are many, then solve for all."""
        self._learn_views(table.x)
        self.x = self._views(table.x)
        distances = self._distances(self.x, self.x)
        some = torch.randperm(len(self.x), generator=generator)[: self._max_tuned]
        noise = (table.weight.mean() / table.weight).float()  # a question that counts double was seen twice
        solved, means = [], []
        for i, (y, judged) in enumerate(((table.scores, contrast(table.scores)), (table.usd, table.usd))):
            log = most_likely(distances[:, some][:, :, some], judged[some], noise[some])
            self.heights[i], self.widths[i] = log[0].exp(), log[1].exp()
            mean = (y / noise[:, None]).sum(0) / (1 / noise).sum()
            covariance = _covariance(distances, self.heights[i], self.widths[i]) + torch.diag(noise)
            solved.append(torch.linalg.solve(covariance, y - mean))
            means.append(mean)
        self.weights, self.mean = torch.cat(solved, dim=1), torch.cat(means)
        self.fitted.fill_(1)

    def predict(self, x: Float[Tensor, "B D"]) -> tuple[Float[Tensor, "B S"], Float[Tensor, "B S"]]:
        """Return the posterior means."""
        distances = self._distances(self._views(x), self.x)
        score, usd = (
            _covariance(distances, self.heights[i], self.widths[i]) @ solved + mean
            for i, (solved, mean) in enumerate(zip(self.weights.chunk(2, 1), self.mean.chunk(2), strict=True))
        )
        return score, usd

    def _learn_views(self, x: Float[Tensor, "T D"]) -> None:
        shifts, scales = [], []
        for kind, part in zip(self._kinds, torch.split(x, self._dims, 1), strict=True):
            shifts.append(torch.zeros(part.shape[1]) if kind == "words" else part.mean(0))
            match kind:
                case "meaning":
                    scales.append(torch.ones(part.shape[1]))
                case "words":
                    scales.append(inverse_document_frequency(part))
                case _:
                    scales.append(1 / part.std(0, correction=0).clamp(min=1e-6) / math.sqrt(part.shape[1]))
        self.shift.copy_(torch.cat(shifts))
        self.scale.copy_(torch.cat(scales))

    def _views(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        parts = torch.split((x - self.shift) * self.scale, self._dims, 1)
        return torch.cat([p if k == "numbers" else normalize(p) for k, p in zip(self._kinds, parts, strict=True)], 1)

    def _distances(self, a: Float[Tensor, "A D"], b: Float[Tensor, "B D"]) -> Float[Tensor, "G A B"]:
        pairs = zip(torch.split(a, self._dims, 1), torch.split(b, self._dims, 1), strict=True)
        return torch.stack([_squared_distances(p, q) for p, q in pairs])


def _squared_distances(a: Float[Tensor, "A D"], b: Float[Tensor, "B D"]) -> Float[Tensor, "A B"]:
    return (a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T).clamp(min=0)


def _covariance(
    distances: Float[Tensor, "G A B"], heights: Float[Tensor, " G"], widths: Float[Tensor, " G"]
) -> Float[Tensor, "A B"]:
    return (heights[:, None, None] * torch.exp(-distances / widths[:, None, None])).sum(0)


def most_likely(
    distances: Float[Tensor, "G T T"], y: Float[Tensor, "T C"], noise: Float[Tensor, " T"]
) -> Float[Tensor, "2 G"]:
    """Return log heights and log widths of the kernels that make the targets most likely.

    All targets share the kernels; each has its own variance, which is maximised in closed form, so heights are
    relative to the noise. A normal prior on both logarithms (deviation 2 around a height of .1, 1 around a width of
    1) decides what the questions cannot tell, and both are bounded (three deviations each way), so that targets
    without noise do no harm.

    Args:
        distances: Squared, between the questions, block by block.
        y: Targets; those that are the same everywhere say nothing.
        noise: Variance of each question relative to the others.
    """
    y = y - y.mean(0)
    y = y[:, y.square().mean(0) > 1e-16]
    num, columns = len(y), y.shape[1]
    prior, deviation = torch.tensor([[math.log(0.1)], [0.0]]), torch.tensor([[2.0], [1.0]])
    z = torch.zeros(2, len(distances), requires_grad=True)
    optimizer = torch.optim.LBFGS([z], max_iter=30, line_search_fn="strong_wolfe")

    def log() -> Tensor:
        return prior + deviation * 3 * torch.tanh(z / 3)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = 0.5 * z.square().sum()
        if columns:
            height, width = log().exp()
            covariance = _covariance(distances, height, width) + torch.diag(noise)
            root = torch.linalg.cholesky(covariance)
            fit = torch.linalg.solve_triangular(root, y / y.std(0), upper=False).square().sum(0)
            value = value + 0.5 * num * fit.log().mean() + root.diagonal().log().sum()
        torch.autograd.backward(value)
        return value

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return log().detach()
