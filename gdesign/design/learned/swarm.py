"""GPTSwarm: one logit an edge, the same for every question.

Zhuge et al., "GPTSwarm: Language Agents as Optimizable Graphs", ICML 2024, arXiv 2402.16823, edge
optimisation (section 4 there). Departures are named on docs/methods/swarm.md.

Shape letters: B problems in a batch, N slots, S slots of the space.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import Batch

from gdesign.design.base import Designer, Draft
from gdesign.design.edge_distribution import EdgeDistribution, design_log_prob, draw
from gdesign.design.slot_graphs import slot_agents
from gdesign.encode.problem import Space, dense
from gdesign.types import Design


class Swarm(Designer):
    """A logit for every ordered pair of slots, and one for every slot's place in the order.

    Parameters follow the slot's identity, so they cannot be used on other agents.

    Args:
        space: The agents to connect.
        initial_probability: Of every edge before training (p0 = 0.5 in the paper).
        num_rounds: How often each agent gets the floor.
    """

    def __init__(self, *, space: Space, initial_probability: float = 0.5, num_rounds: int = 1) -> None:
        super().__init__(space=space)
        n = len(space.slots)
        self.num_rounds = num_rounds
        start = torch.logit(torch.tensor(initial_probability))
        self.edge_logits = nn.Parameter(torch.full((n, n), float(start)))
        self.order_logits = nn.Parameter(torch.zeros(n))

    def distribution(self, problem: Batch) -> EdgeDistribution:
        """Return the distribution over graphs; it does not look at the question."""
        rows = dense(problem, problem.features)
        return EdgeDistribution(
            order_logits=self.order_logits[rows.slot],
            edge_logits=self.edge_logits[rows.slot[:, :, None], rows.slot[:, None, :]],
            mask=rows.mask,
        )

    def forward(
        self, problem: Batch, *, num_designs: int = 1, generator: torch.Generator | None = None, greedy: bool = False
    ) -> Draft:
        """Draw designs for each problem."""
        edges = self.distribution(problem)
        return draw(
            edges, problem, num_rounds=self.num_rounds, num_designs=num_designs, generator=generator, greedy=greedy
        )

    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " B"]:
        """Return the log-probability of one given design a problem; -inf where it cannot be drawn."""
        return design_log_prob(self.distribution(problem), slot_agents(problem), designs, num_rounds=self.num_rounds)
