"""A graph network over the slots and the question, for methods that have no encoder of their own.

Shape letters: V nodes (slots and task nodes), D text features, H hidden features, F numeric features.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import SimpleConv

from gdesign.encode.problem import NUM_FEATURES


class Encoder(nn.Module):
    """Each node's own features and the question, then messages along anchor edges and the task node's ties.

    Own features and messages are added up (residual), so two slots with the same neighbours can differ.

    Args:
        text_dim: D.
        hidden_dim: H.
        num_layers: Message passing steps.
        num_features: F; more than a problem has where a method knows more of the slots.
    """

    def __init__(self, *, text_dim: int, hidden_dim: int, num_layers: int, num_features: int = NUM_FEATURES) -> None:
        super().__init__()
        self.scale = text_dim**0.5  # texts are unit vectors; layers start best with features of variance 1
        self.own = nn.Linear(text_dim, hidden_dim)
        self.question = nn.Linear(text_dim, hidden_dim)
        self.numeric = nn.Linear(num_features, hidden_dim, bias=False)
        self.mix = nn.Linear(hidden_dim, hidden_dim)
        self.neighbours = SimpleConv(aggr="mean")
        self.layers = nn.ModuleList(nn.Linear(2 * hidden_dim, hidden_dim) for _ in range(num_layers))

    def forward(self, problem: Batch, features: Float[Tensor, "V F"] | None = None) -> Float[Tensor, "V H"]:
        """Return the encoding of every node.

        Args:
            problem: A batch of problems.
            features: Numbers of every node; None for the problem's own.
        """
        numbers = problem.features if features is None else features
        question = self.question(problem.x[problem.slot < 0] * self.scale)[problem.batch]
        own = self.own(problem.x * self.scale)
        h: Tensor = self.mix(torch.relu(own + question + own * question + self.numeric(numbers)))
        for layer in self.layers:
            h = h + torch.relu(layer(torch.cat([h, self.neighbours(h, problem.edge_index)], dim=-1)))
        return h
