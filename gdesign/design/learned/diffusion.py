"""Diffusion: the graph of each question is denoised step by step, given the question and the agents.

The generator of Jiang et al., "Dynamic Generation of Multi LLM Agents Communication Topologies with Graph Diffusion
Models" (GTD), arXiv 2510.07799, learned from rewards without its proxy. Departures: docs/methods/diffusion.md.

Shape letters: T problems in a batch, K designs drawn for each, B = T * K, N slots.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch_geometric.data import Batch

from gdesign.design.draws import RNG
from gdesign.design.edge_distribution import EdgeDesigner, EdgeDistribution
from gdesign.design.places import places
from gdesign.design.slot_graphs import each, pairs_of
from gdesign.encode.graph import GNN, GraphEncoder
from gdesign.encode.problem import Space, dense
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
        self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, mean: bool = False, greedy: bool = False
    ) -> EdgeDistribution:
        """Return the distribution over graphs; in training mode each design is denoised from noise of its own."""
        rows = dense(problem, self.encoder(problem))
        nobody_knows = self.density * pairs_of(rows.mask).to(rows.task)
        order = self.order(self._mixed(rows.slots, rows.task, rows.mask, nobody_knows, 1.0))[..., 0]
        at = places(rows, order, num_designs=num_designs, generator=generator, greedy=greedy)
        slots, task, mask = at.take(rows.slots), rows.task, at.mask
        if len(task) < (num := problem.num_graphs * num_designs):
            row = each(problem.num_graphs, num_designs, task.device)
            task = task[row]
            if len(slots) < num:
                slots, mask, at = slots[row], mask[row], at[row]
        noise = torch.full(pairs_of(mask).shape, self.density, device=task.device)
        if self.training and not mean:
            noise = torch.bernoulli(noise, generator=generator)
        graph = noise
        for step in range(self.num_steps, 0, -1):
            edge_logits = self.denoise(slots, task, mask, graph, step / self.num_steps)
            signal = math.cos(math.pi / 2 * (step - 1) / self.num_steps) ** 2
            graph = signal * edge_logits.sigmoid() + (1 - signal) * noise
        return EdgeDistribution.among(at, edge_logits=edge_logits)

    def denoise(
        self,
        slots: Float[Tensor, "B P H"],
        task: Float[Tensor, "B H"],
        mask: Bool[Tensor, "B P"],
        graph: Float[Tensor, "B P P"],
        time: float,
    ) -> Float[Tensor, "B P P"]:
        """Return the logits of the edges of the clean graph, given probabilities of the edges of a noisy one."""
        h = self._mixed(slots, task, mask, graph, time)
        hidden = self.heard(h)[:, :, None] + self.hearer(h)[:, None, :] + self.noisy(graph[..., None])
        logits: Tensor = self.edge(torch.relu(hidden))[..., 0]
        return logits

    def _mixed(
        self,
        h: Float[Tensor, "B P H"],
        task: Float[Tensor, "B H"],
        mask: Bool[Tensor, "B P"],
        graph: Float[Tensor, "B P P"],
        time: float,
    ) -> Float[Tensor, "B P H"]:
        """Return what each slot is, given whom it hears and who hears it in a noisy graph."""
        share = graph * pairs_of(mask) / mask.sum(1).clamp_min(1)[:, None, None]
        task = task[:, None].expand_as(h)
        out: Tensor = torch.relu(
            self.mix(torch.cat([h, share.mT @ h, share @ h, task, torch.full_like(h[..., :1], time)], -1))
        )
        return out
