"""Diffusion: the graph of each question is denoised step by step, given the question and the agents.

The generator of Jiang et al., "Dynamic Generation of Multi LLM Agents Communication Topologies with Graph Diffusion
Models" (GTD), arXiv 2510.07799, learned from rewards without its proxy. Departures: docs/methods/diffusion.md.

Shape letters: T problems in a batch, K designs drawn for each, B = T * K, N slots.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import Batch

from gdesign.design.draws import RNG
from gdesign.design.edge_distribution import EdgeDesigner, EdgeDistribution
from gdesign.design.slot_graphs import each, pairs_of
from gdesign.encode.graph import GNN, GraphEncoder
from gdesign.encode.problem import Dense, Space, dense
from gdesign.errors import ConfigError


class Diffusion(EdgeDesigner):
    """A network that guesses the clean graph from a noisy one, asked `num_steps` times from pure noise on.

    Its parameters do not depend on which agents there are.

    Args:
        num_steps: S, how often the graph is denoised.
        density: m, the probability of every edge in pure noise.

    Raises:
        ConfigError: No step, or a density outside [0, 1].
    """

    def __init__(
        self, *, space: Space, gnn: GNN = GraphEncoder, num_steps: int = 4, density: float = 0.5, num_rounds: int = 1
    ) -> None:
        super().__init__(space=space, num_rounds=num_rounds)
        if num_steps < 1 or not 0 <= density <= 1:
            raise ConfigError(f"num_steps must be 1 or more and density in [0, 1]; got {num_steps} and {density}")
        self.num_steps = num_steps
        self.density = density
        self.encoder = gnn(text_dim=space.text_dim)
        width = self.encoder.hidden_dim
        self.mix = nn.Linear(4 * width + 1, width)
        self.heard = nn.Linear(width, width)
        self.hearer = nn.Linear(width, width, bias=False)
        self.noisy = nn.Linear(1, width, bias=False)
        self.edge = nn.Linear(width, 1)
        self.order = nn.Linear(width, 1, bias=False)  # a shift of all scores changes nothing

    def distribution(
        self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, mean: bool = False
    ) -> EdgeDistribution:
        """Return the distribution over graphs; in training mode each design is denoised from noise of its own."""
        encoded = self.encoder(problem)
        rows = dense(problem, encoded)[each(problem.num_graphs, num_designs, encoded.device)]
        noise = torch.full_like(rows.anchor, self.density)
        if self.training and not mean:
            noise = torch.bernoulli(noise, generator=generator)
        graph = noise
        for step in range(self.num_steps, 0, -1):
            order_logits, edge_logits = self.denoise(rows, graph, step / self.num_steps)
            signal = math.cos(math.pi / 2 * (step - 1) / self.num_steps) ** 2
            graph = signal * edge_logits.sigmoid() + (1 - signal) * noise
        return EdgeDistribution(order_logits=order_logits, edge_logits=edge_logits, mask=rows.mask)

    def denoise(
        self, rows: Dense, graph: Float[Tensor, "B N N"], time: float
    ) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N N"]]:
        """Return the logits of order and edges of the clean graph, given probabilities of the edges of a noisy one."""
        h = rows.slots
        share = graph * pairs_of(rows.mask) / rows.mask.sum(1)[:, None, None]
        task = rows.task[:, None].expand_as(h)
        h = torch.relu(self.mix(torch.cat([h, share.mT @ h, share @ h, task, torch.full_like(h[..., :1], time)], -1)))
        hidden = self.heard(h)[:, :, None] + self.hearer(h)[:, None, :] + self.noisy(graph[..., None])
        return self.order(h)[..., 0], self.edge(torch.relu(hidden))[..., 0]
