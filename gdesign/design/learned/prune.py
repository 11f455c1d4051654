"""AgentPrune: spatial and temporal edges as trainable masks that are pruned once; AgentDropout's agents too.

Zhang et al., "Cut the Crap: An Economical Communication Pipeline for LLM-based Multi-Agent Systems",
ICLR 2025, arXiv 2410.02506, and Wang et al., "AgentDropout", ACL 2025, arXiv 2503.18891. S and T are
the papers' spatial and temporal matrices. Departures are named on docs/methods/prune.md.

Shape letters: B problems in a batch, N slots, S slots of the space.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch_geometric.data import Batch

from gdesign.design.draws import ALWAYS, NEVER, RNG
from gdesign.design.edge_distribution import EdgeDesigner, EdgeDistribution
from gdesign.design.places import places
from gdesign.encode.problem import Space, dense
from gdesign.errors import ConfigError


class Prune(EdgeDesigner):
    """A logit for every spatial and every temporal edge; the lowest are pruned after some training steps.

    Parameters follow the slot's identity, so they cannot be used on other agents. What is pruned has
    probability 0 from then on.

    Args:
        num_rounds: How often each agent gets the floor at most; with 1 there are no temporal edges.
        prune_after: Number of training steps after which edges are pruned; None for never.
        prune_share: Share of the edges left that is pruned, of spatial and temporal ones each, in [0, 1).
        drop_after: Number of training steps after which agents are dropped (AgentDropout); None for never.
        tolerance: Distance from the full graph that the penalty does not count (0.1 in AgentDropout's code).

    Raises:
        ConfigError: A share outside [0, 1), or as many agents to drop as there are.
    """

    temporal: nn.Parameter | None
    spatial_left: Tensor
    temporal_left: Tensor
    dropped: Tensor

    def __init__(
        self,
        *,
        space: Space,
        initial_probability: float = 0.5,
        num_rounds: int = 2,
        prune_after: int | None = 100,
        prune_share: float = 0.25,
        drop_after: int | None = None,
        num_drop: int = 1,
        tolerance: float = 0.1,
    ) -> None:
        super().__init__(space=space, num_rounds=num_rounds)
        n = len(space.slots)
        if not 0 <= prune_share < 1:
            raise ConfigError(f"prune_share must be in [0, 1); got {prune_share}")
        if drop_after is not None and not 1 <= num_drop < n:
            raise ConfigError(f"num_drop must be in 1..{n - 1}, so that an agent is left; got {num_drop}")
        self.prune_after = prune_after
        self.prune_share = prune_share
        self.drop_after = drop_after
        self.num_drop = num_drop
        self.tolerance = tolerance
        start = float(torch.logit(torch.tensor(initial_probability)))
        pairs = ~torch.eye(n, dtype=torch.bool)
        self.order_logits = nn.Parameter(torch.zeros(n))
        self.spatial = nn.Parameter(torch.full((n, n), start))
        self.register_buffer("spatial_left", pairs.clone())
        self.temporal = nn.Parameter(torch.full((n, n), start)) if num_rounds > 1 else None
        self.register_buffer("temporal_left", pairs.clone())
        self.register_buffer("dropped", torch.zeros(n, dtype=torch.bool))

    def distribution(
        self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, mean: bool = False, greedy: bool = False
    ) -> EdgeDistribution:
        """Return the distribution over graphs; it does not look at the question.

        The penalty keeps the graphs of low rank and near the full graph.
        """
        rows = dense(problem, problem.features)
        rows = replace(rows, mask=rows.mask & ~self.dropped[rows.slot])
        at = places(rows, self.order_logits[rows.slot], num_designs=num_designs, generator=generator, greedy=greedy)
        slot = at.take(rows.slot)
        pair = slot[:, :, None], slot[:, None, :]
        temporal = listen = None
        if self.temporal is not None:
            temporal = self.temporal.masked_fill(~self.temporal_left, NEVER)[pair]
            listen = torch.full((*slot.shape, self.num_rounds - 1), ALWAYS, device=slot.device)
        return EdgeDistribution.among(
            at,
            edge_logits=self.spatial.masked_fill(~self.spatial_left, NEVER)[pair],
            temporal_logits=temporal,
            listen_logits=listen,
            penalty=self.penalty().expand(len(slot)),
        )

    def penalty(self) -> Float[Tensor, ""]:
        """Return |S|_* + |T|_* + (|M_S - S|_F - tolerance)+ + (|M_T - T|_F - tolerance)+, for four agents of N.

        S and T hold probabilities (as they are among four agents), M_S and M_T a 1 for every edge that is not pruned.
        """
        total = self.spatial.new_zeros(())
        for logits, left in self._edges():
            p = torch.sigmoid(logits) * left
            distance = torch.linalg.matrix_norm(left.to(p) - p)
            total = total + torch.linalg.matrix_norm(p, "nuc") + (distance - self.tolerance).clamp_min(0)
        return total * min(1.0, 4 / len(self.spatial))  # both norms grow with N

    def step_taken(self, num_steps: int) -> None:
        """Drop agents and prune edges when their steps have come; agents first where both have."""
        if num_steps == self.drop_after:
            self._drop()
        if num_steps == self.prune_after:
            for logits, left in self._edges():
                self._prune(logits, left)

    def _edges(self) -> list[tuple[Tensor, Tensor]]:
        spatial = (self.spatial, self.spatial_left)
        return [spatial] if self.temporal is None else [spatial, (self.temporal, self.temporal_left)]

    def _prune(self, logits: Float[Tensor, "S S"], left: Bool[Tensor, "S S"]) -> None:
        rank = logits.detach().masked_fill(~left, torch.inf).flatten().argsort(stable=True)
        left.view(-1)[rank[: round(self.prune_share * int(left.sum()))]] = False

    def _drop(self) -> None:
        total = torch.zeros_like(self.order_logits)
        count = torch.zeros_like(total)
        for logits, left in self._edges():
            kept = logits.detach() * left
            total += kept.sum(0) + kept.sum(1)
            count += left.sum(0) + left.sum(1)
        mean = (total / count.clamp_min(1)).masked_fill(self.dropped, torch.inf)
        self.dropped[mean.argsort(stable=True)[: self.num_drop]] = True
        for _, left in self._edges():
            left &= ~(self.dropped[:, None] | self.dropped[None, :])
