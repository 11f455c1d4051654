"""GPTSwarm: one logit an edge, the same for every question.

Zhuge et al., "GPTSwarm: Language Agents as Optimizable Graphs", ICML 2024, arXiv 2402.16823, edge
optimisation (section 4 there). Departures are named on docs/methods/swarm.md.

Shape letters: B problems in a batch, N slots, S slots of the space.
"""

import torch
from torch import nn
from torch_geometric.data import Batch

from gdesign.design.draws import RNG
from gdesign.design.edge_distribution import EdgeDesigner, EdgeDistribution
from gdesign.design.places import places
from gdesign.encode.problem import Space, dense


class Swarm(EdgeDesigner):
    """A logit for every ordered pair of slots, and one for every slot's place in the order.

    Parameters follow the slot's identity, so they cannot be used on other agents.

    Args:
        initial_probability: Of every edge among four agents before training (p0 = 0.5 in the paper); lower among more.
    """

    def __init__(self, *, space: Space, initial_probability: float = 0.5, num_rounds: int = 1) -> None:
        super().__init__(space=space, num_rounds=num_rounds)
        n = len(space.slots)
        start = torch.logit(torch.tensor(initial_probability))
        self.edge_logits = nn.Parameter(torch.full((n, n), float(start)))
        self.order_logits = nn.Parameter(torch.zeros(n))

    def distribution(
        self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, mean: bool = False, greedy: bool = False
    ) -> EdgeDistribution:
        """Return the distribution over graphs; it does not look at the question."""
        rows = dense(problem, problem.features)
        at = places(rows, self.order_logits[rows.slot], num_designs=num_designs, generator=generator, greedy=greedy)
        slot = at.take(rows.slot)
        return EdgeDistribution.among(at, edge_logits=self.edge_logits[slot[:, :, None], slot[:, None, :]])
