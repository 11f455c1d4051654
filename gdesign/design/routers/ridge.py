"""Ridge regression of every agent's score and USD on the question's features.

Shape letters: T training questions, B problems in a batch, S slots of the space, D text features, C targets,
R directions of the features.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gdesign.design.routers.base import Router, contrast
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError

STRENGTHS = tuple(10 ** (i / 4) for i in range(-20, 9))
"""What leave-one-out chooses among, relative to the largest eigenvalue of the features' scatter."""


class Ridge(Router):
    """Linear in the features, with one strength for all scores and one for all USD, chosen by leave-one-out.

    Args:
        space: The agents on offer.
        idf: Whether features are counts of words, to be weighted by how few training questions hold each (and made
            unit vectors again).
        strengths: What leave-one-out chooses among, relative to the largest eigenvalue.
        text_dim: D that it is made for; None for any.

    Raises:
        ConfigError: The encoder gives another number of features.
    """

    idf: Float[Tensor, " D"]
    slope: Float[Tensor, "D C"]
    intercept: Float[Tensor, " C"]

    def __init__(
        self,
        *,
        space: Space,
        idf: bool = False,
        strengths: Sequence[float] = STRENGTHS,
        text_dim: int | None = None,
    ) -> None:
        super().__init__(space=space)
        d, n = space.text_dim, len(space.slots)
        if text_dim is not None and text_dim != d:
            raise ConfigError(
                f"this router reads {text_dim} features of a question and the encoder gives {d}; name the encoder that "
                "it is made for (text=length for designer=length, text=words for designer=tfidf)"
            )
        self._learns_idf = idf
        self._strengths = tuple(strengths)
        self.register_buffer("idf", torch.ones(d))
        self.register_buffer("slope", torch.zeros(d, 2 * n))
        self.register_buffer("intercept", torch.zeros(2 * n))

    def fit(
        self,
        x: Float[Tensor, "T D"],
        *,
        scores: Float[Tensor, "T S"],
        usd: Float[Tensor, "T S"],
        weight: Float[Tensor, " T"],
        generator: torch.Generator,
    ) -> None:
        """Fit in closed form; nothing is drawn."""
        if self._learns_idf:
            self.idf.copy_(inverse_document_frequency(x))
        x = self._seen(x)
        parts = [
            fit_ridge(x, y, judged=judged, weight=weight, strengths=self._strengths)
            for y, judged in ((scores, contrast(scores)), (usd, usd))
        ]
        self.slope.copy_(torch.cat([slope for slope, _ in parts], dim=1))
        self.intercept.copy_(torch.cat([intercept for _, intercept in parts]))
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
    strengths: Sequence[float] = STRENGTHS,
) -> tuple[Float[Tensor, "D C"], Float[Tensor, " C"]]:
    """Return slope and intercept of a weighted ridge regression whose intercept is not shrunk.

    Args:
        x: Features.
        y: Targets.
        judged: The targets whose squared leave-one-out error chooses the strength.
        weight: Of the rows.
        strengths: Candidates, relative to the largest eigenvalue of the scatter.
    """
    share = (weight / weight.sum()).double()
    x, y, judged = x.double(), y.double(), judged.double()
    x_mean, y_mean = share @ x, share @ y
    root = share.sqrt()[:, None]
    rows = root * (x - x_mean)
    # the eigenvectors of the smaller of the two Gram matrices give those of the other
    if rows.shape[0] < rows.shape[1]:
        eigenvalue, u = torch.linalg.eigh(rows @ rows.T)
    else:
        eigenvalue, v = torch.linalg.eigh(rows.T @ rows)
        u = rows @ v / eigenvalue.clamp(min=1e-300).sqrt()
    kept = eigenvalue > 1e-12 * eigenvalue[-1]
    eigenvalue, u = eigenvalue[kept], u[:, kept]
    if not len(eigenvalue):  # all questions look alike
        return torch.zeros(x.shape[1], y.shape[1]), y_mean.float()
    strength = min(
        (s * float(eigenvalue[-1]) for s in strengths),
        key=lambda s: leave_one_out_error(u, eigenvalue, root * (judged - share @ judged), share, s),
    )
    shrunk = (1 / (eigenvalue + strength))[:, None] * (u.T @ (root * (y - y_mean)))
    slope = rows.T @ (u @ shrunk)
    return slope.float(), (y_mean - x_mean @ slope).float()


def leave_one_out_error(
    u: Float[Tensor, "T R"],
    eigenvalue: Float[Tensor, " R"],
    y: Float[Tensor, "T C"],
    share: Float[Tensor, " T"],
    strength: float,
) -> float:
    """Return the weighted squared error of each row's prediction from all other rows, in closed form (PRESS).

    Args:
        u: Eigenvectors of the Gram matrix of the centred rows, each times the root of its share.
        eigenvalue: Theirs.
        y: The centred targets, likewise times the root.
        share: Weights of the rows, with sum 1.
        strength: Of the ridge.
    """
    kept = eigenvalue / (eigenvalue + strength)
    leverage = u.square() @ kept + share
    residual = (y - u @ (kept[:, None] * (u.T @ y))) / (1 - leverage).clamp(min=1e-9)[:, None]
    return float(residual.square().sum())
