"""The graph network of every learned method, over any convolution of PyG.

Shape letters: V nodes (slots and task nodes), D text features, H hidden features, F numeric features.
"""

from collections.abc import Callable
from functools import partial
from inspect import signature

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import GINConv, SimpleConv

from gdesign.encode.problem import NUM_FEATURES
from gdesign.errors import ConfigError

Conv = Callable[..., nn.Module]
"""Makes a convolution: called with `in_channels` and `out_channels`, or with nothing where it has no weights."""
MEAN: Conv = partial(SimpleConv, aggr="mean")
"""The mean of the neighbours, without weights of its own."""


class GraphEncoder(nn.Module):
    """Each node's own features and the question, then messages along anchor edges and the task node's ties.

    In each layer a node keeps what it holds and adds what it makes of that and of its messages,
    h + relu(W [h, conv(h)]), so two slots with the same neighbours can differ whatever the convolution is.

    Args:
        text_dim: D.
        conv: The convolution of every layer; None passes no messages, and each node only reads itself and the
            question: the control of every claim about graphs.
        hidden_dim: H.
        task_node: Whether messages go from the virtual task node to the slots and back.
        num_features: F; more than a problem has where a method knows more of the slots.

    Raises:
        ConfigError: The convolution cannot be made or called so, or does not return H features a node; or H or the
            number of layers is too low.
    """

    def __init__(
        self,
        *,
        text_dim: int,
        conv: Conv | None = MEAN,
        hidden_dim: int = 64,
        num_layers: int = 2,
        task_node: bool = True,
        num_features: int = NUM_FEATURES,
    ) -> None:
        super().__init__()
        for name, value, least in (("hidden_dim", hidden_dim, 1), ("num_layers", num_layers, 0)):
            if value < least:
                raise ConfigError(f"gnn.{name} must be {least} or more; got {value}")
        self.hidden_dim = hidden_dim
        self.task_node = task_node
        self.scale = text_dim**0.5  # texts are unit vectors; layers start best with features of variance 1
        self.own = nn.Linear(text_dim, hidden_dim)
        self.question = nn.Linear(text_dim, hidden_dim)
        self.numeric = nn.Linear(num_features, hidden_dim, bias=False)
        self.mix = nn.Linear(hidden_dim, hidden_dim)
        width = hidden_dim if conv is None else 2 * hidden_dim
        self.layers = nn.ModuleList(nn.Linear(width, hidden_dim) for _ in range(num_layers))
        self.convs = nn.ModuleList(_made(conv, hidden_dim) for _ in range(num_layers) if conv is not None)

    def forward(self, problem: Batch, features: Float[Tensor, "V F"] | None = None) -> Float[Tensor, "V H"]:
        """Return the encoding of every node, by the problem's own numbers of them unless others are given."""
        numbers = problem.features if features is None else features
        question = self.question(problem.x[problem.slot < 0] * self.scale)[problem.batch]
        own = self.own(problem.x * self.scale)
        h: Tensor = self.mix(torch.relu(own + question + own * question + self.numeric(numbers)))
        if not self.convs:
            for layer in self.layers:
                h = h + torch.relu(layer(h))
            return h
        edges = problem.edge_index
        if not self.task_node:
            edges = edges[:, (problem.slot[edges] >= 0).all(0)]
        for layer, conv in zip(self.layers, self.convs, strict=True):
            h = h + torch.relu(layer(torch.cat([h, conv(h, edges)], dim=-1)))
        return h


GNN = Callable[..., GraphEncoder]
"""Makes the graph encoder of a method, which knows `text_dim` and, where it has more, `num_features`."""


def gin(in_channels: int, out_channels: int, *, eps: float = 0.0, train_eps: bool = True) -> GINConv:
    """Return a GIN convolution over a network of two layers (Xu et al. 2019, arXiv 1810.00826)."""
    network = nn.Sequential(nn.Linear(in_channels, out_channels), nn.ReLU(), nn.Linear(out_channels, out_channels))
    return GINConv(network, eps=eps, train_eps=train_eps)


def _made(conv: Conv, hidden_dim: int) -> nn.Module:
    weighted = "in_channels" in signature(conv).parameters
    name = getattr(conv.func if isinstance(conv, partial) else conv, "__name__", "the convolution")
    try:
        made = conv(in_channels=hidden_dim, out_channels=hidden_dim) if weighted else conv()
        with torch.no_grad():
            out = made.eval()(torch.zeros(2, hidden_dim), torch.tensor([[0, 1], [1, 0]]))
    except (TypeError, RuntimeError) as error:  # an argument is missing or unknown, or what it reads are no edges
        raise ConfigError(
            f"gnn.conv: {name} does not work as a layer of the graph encoder, which makes it with in_channels and "
            "out_channels (with nothing if it takes neither) and calls it with features and edges; its other arguments "
            f"stand beside its _target_ ({error})"
        ) from error
    if not isinstance(out, torch.Tensor) or out.shape != (2, hidden_dim):
        shape = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise ConfigError(
            f"gnn.conv: {name} makes {shape} of 2 nodes, and a layer of the graph encoder needs {(2, hidden_dim)}, as "
            "many features as it gets; several heads must be averaged (concat: false)"
        )
    return made.train()
