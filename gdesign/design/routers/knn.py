"""The mean score and USD of the nearest training questions.

Shape letters: T training questions, B problems in a batch, S slots of the space, D text features, C targets.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gdesign.design.routers.base import Router, Table, contrast
from gdesign.encode.problem import Space


class NearestNeighbors(Router):
    """Means over the k questions with the largest dot product of features (their cosine: encoders give unit vectors).

    Args:
        num_neighbors: k; of several the one with the least squared leave-one-out error of the scores' contrast
            between agents.
    """

    of_questions = ("x", "targets", "weight")
    x: Float[Tensor, "T D"]
    targets: Float[Tensor, "T C"]
    weight: Float[Tensor, " T"]

    def __init__(self, *, space: Space, num_neighbors: Sequence[int] = (5, 10, 20, 40, 80, 160, 320)) -> None:
        super().__init__(space=space, x=(0, space.text_dim), targets=(0, 2 * len(space.slots)), weight=(0,))
        self._candidates = tuple(num_neighbors)

    def fit(self, table: Table, *, generator: torch.Generator) -> None:
        """Remember the questions and choose k; nothing is drawn."""
        self.x, self.weight = table.x, table.weight
        self.targets = torch.cat([table.scores, table.usd], dim=1)
        similarity = (table.x @ table.x.T).fill_diagonal_(-torch.inf)
        wanted = contrast(table.scores)

        def error(k: int) -> float:
            guess = nearest_mean(similarity, wanted, table.weight, k)
            return float((table.weight[:, None] * (guess - wanted).square()).sum())

        others = max(1, len(table.x) - 1)
        self.fitted.fill_(min((min(k, others) for k in self._candidates), key=error))

    def predict(self, x: Float[Tensor, "B D"]) -> tuple[Float[Tensor, "B S"], Float[Tensor, "B S"]]:
        """Return the means over the k nearest questions."""
        mean = nearest_mean(x @ self.x.T, self.targets, self.weight, int(self.fitted))
        score, usd = mean.chunk(2, dim=1)
        return score, usd


def nearest_mean(
    similarity: Float[Tensor, "B T"], targets: Float[Tensor, "T C"], weight: Float[Tensor, " T"], k: int
) -> Float[Tensor, "B C"]:
    """Return the weighted mean of the targets of the k most similar rows, or of all rows if there are fewer."""
    nearest = similarity.topk(min(k, similarity.shape[1]), dim=1).indices
    share = torch.zeros_like(similarity).scatter_(1, nearest, weight[nearest])
    return share @ targets / share.sum(1, keepdim=True)
