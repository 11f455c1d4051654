"""The mean score and USD of the nearest training questions.

Shape letters: T training questions, B problems in a batch, S slots of the space, D text features, C targets.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gdesign.design.routers.base import Router, contrast
from gdesign.encode.problem import Space

NUM_NEIGHBORS = (5, 10, 20, 40, 80, 160, 320)


class NearestNeighbors(Router):
    """Means over the k questions with the largest dot product of features (their cosine: encoders give unit vectors).

    Args:
        space: The agents on offer.
        num_neighbors: k; of several the one with the least squared leave-one-out error of the scores' contrast
            between agents.
    """

    x: Float[Tensor, "T D"]
    targets: Float[Tensor, "T C"]
    weight: Float[Tensor, " T"]

    def __init__(self, *, space: Space, num_neighbors: Sequence[int] = NUM_NEIGHBORS) -> None:
        super().__init__(space=space)
        self._candidates = tuple(num_neighbors)
        self.register_buffer("x", torch.zeros(0, space.text_dim))
        self.register_buffer("targets", torch.zeros(0, 2 * len(space.slots)))
        self.register_buffer("weight", torch.zeros(0))

    def fit(
        self,
        x: Float[Tensor, "T D"],
        *,
        scores: Float[Tensor, "T S"],
        usd: Float[Tensor, "T S"],
        weight: Float[Tensor, " T"],
        generator: torch.Generator,
    ) -> None:
        """Remember the questions and choose k; nothing is drawn."""
        self.x, self.targets, self.weight = x, torch.cat([scores, usd], dim=1), weight
        similarity = (x @ x.T).fill_diagonal_(-torch.inf)
        wanted = contrast(scores)

        def error(k: int) -> float:
            guess = nearest_mean(similarity, wanted, weight, k)
            return float((weight[:, None] * (guess - wanted).square()).sum())

        others = max(1, len(x) - 1)
        self.fitted.fill_(min((min(k, others) for k in self._candidates), key=error))

    def predict(self, x: Float[Tensor, "B D"]) -> tuple[Float[Tensor, "B S"], Float[Tensor, "B S"]]:
        """Return the means over the k nearest questions."""
        mean = nearest_mean(x @ self.x.T, self.targets, self.weight, int(self.fitted))
        score, usd = mean.chunk(2, dim=1)
        return score, usd

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        # how many questions there were is known only now
        for name in ("x", "targets", "weight"):
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *args)


def nearest_mean(
    similarity: Float[Tensor, "B T"], targets: Float[Tensor, "T C"], weight: Float[Tensor, " T"], k: int
) -> Float[Tensor, "B C"]:
    """Return the weighted mean of the targets of the k most similar rows, or of all rows if there are fewer."""
    nearest = similarity.topk(min(k, similarity.shape[1]), dim=1).indices
    share = torch.zeros_like(similarity).scatter_(1, nearest, weight[nearest])
    return share @ targets / share.sum(1, keepdim=True)
