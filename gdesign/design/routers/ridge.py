"""Ridge regression of every agent's score and USD on the question's features.

Shape letters: T training questions, B problems in a batch, S slots of the space, D text features, C targets.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gdesign.design.routers.base import Router, Table, contrast
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError


def strengths(*, weakest: float = 1e-5, strongest: float = 100.0, per_decade: int = 4) -> tuple[float, ...]:
    """Return what leave-one-out chooses among, relative to the largest eigenvalue of the features' scatter."""
    if not 0 < weakest <= strongest:
        raise ConfigError(f"strengths go from weakest up to strongest, above 0; got {weakest:g} and {strongest:g}")
    first, last = math.log10(weakest), math.log10(strongest)
    return tuple(torch.logspace(first, last, 1 + round(per_decade * (last - first)), dtype=torch.double).tolist())


class Ridge(Router):
    """Linear in the features, with one strength for all scores and one for all USD, chosen by leave-one-out.

    Args:
        idf: Whether features are counts of words, to be weighted by how few training questions hold each (and made
            unit vectors again).
        weakest: Lowest strength that is tried, relative to the largest eigenvalue of the features' scatter.
        strongest: Highest strength that is tried.
        per_decade: How many are tried for each power of 10 between them.
        text_dim: D that it is made for; None for any.

    Raises:
        ConfigError: The encoder gives another number of features, or strengths are not above 0.
    """

    idf: Float[Tensor, " D"]
    slope: Float[Tensor, "D C"]
    intercept: Float[Tensor, " C"]

    def __init__(
        self,
        *,
        space: Space,
        idf: bool = False,
        weakest: float = 1e-5,
        strongest: float = 100.0,
        per_decade: int = 4,
        text_dim: int | None = None,
    ) -> None:
        d, c = space.text_dim, 2 * len(space.slots)
        if text_dim is not None and text_dim != d:
            raise ConfigError(
                f"this router reads {text_dim} features of a question and the encoder gives {d}; name the encoder that "
                "it is made for (text=length for designer=length, text=words for designer=tfidf)"
            )
        super().__init__(space=space, idf=(d,), slope=(d, c), intercept=(c,))
        self._learns_idf = idf
        self._strengths = strengths(weakest=weakest, strongest=strongest, per_decade=per_decade)

    def fit(self, table: Table, *, generator: torch.Generator) -> None:
        """Fit in closed form; nothing is drawn."""
        if self._learns_idf:
            self.idf.copy_(inverse_document_frequency(table.x))
        x = self._seen(table.x)
        slopes, intercepts = zip(
            *(
                fit_ridge(x, y, judged=judged, weight=table.weight, strengths=self._strengths)
                for y, judged in ((table.scores, contrast(table.scores)), (table.usd, table.usd))
            ),
            strict=True,
        )
        self.slope.copy_(torch.cat(slopes, dim=1))
        self.intercept.copy_(torch.cat(intercepts))
        self.fitted.fill_(1)

    def predict(self, x: Float[Tensor, "B D"]) -> tuple[Float[Tensor, "B S"], Float[Tensor, "B S"]]:
        """Return what the fitted lines say."""
        score, usd = (self._seen(x) @ self.slope + self.intercept).chunk(2, dim=1)
        return score, usd

    def _seen(self, x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        return torch.nn.functional.normalize(x * self.idf, dim=1) if self._learns_idf else x


def inverse_document_frequency(x: Float[Tensor, "T D"]) -> Float[Tensor, " D"]:
    """Return log((1 + T) / (1 + number of questions with the feature)) + 1."""
    return torch.log((1 + len(x)) / (1 + (x != 0).sum(0))) + 1


def fit_ridge(
    x: Float[Tensor, "T D"],
    y: Float[Tensor, "T C"],
    *,
    judged: Float[Tensor, "T C"],
    weight: Float[Tensor, " T"],
    strengths: Sequence[float],
) -> tuple[Float[Tensor, "D C"], Float[Tensor, " C"]]:
    """Return slope and intercept of a weighted ridge regression whose intercept is not shrunk.

    Args:
        judged: The targets whose squared leave-one-out error chooses the strength.
        strengths: Candidates, relative to the largest eigenvalue of the scatter.
    """
    from sklearn import linear_model  # slow to import, and needed in training alone

    share = (weight / weight.sum()).double()
    x, y, judged = x.double(), y.double(), judged.double()
    rows = share.sqrt()[:, None] * (x - share @ x)
    scatter = rows @ rows.T if rows.shape[0] < rows.shape[1] else rows.T @ rows  # of one and the same eigenvalues
    largest = float(torch.linalg.eigvalsh(scatter)[-1])
    if largest < 1e-20:  # all questions look alike
        return torch.zeros(x.shape[1], y.shape[1]), (share @ y).float()
    of_rows = {"sample_weight": share.numpy()}
    cv = linear_model.RidgeCV([s * largest for s in strengths]).fit(x.numpy(), judged.numpy(), **of_rows)
    line = linear_model.Ridge(cv.alpha_).fit(x.numpy(), y.numpy(), **of_rows)
    slope = torch.from_numpy(line.coef_).view(y.shape[1], -1).T
    return slope.float(), torch.from_numpy(line.intercept_).float()
