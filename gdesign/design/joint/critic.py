"""critic: a graph network learns what every listed design scores and costs, from every run there has been.

S_d(q) = R_d(q) and C_d(q) = F_d exp(r_d(q)), r bounded, where F_d is what the agents' calls would usually cost. R and
r are an MLP of the sum over places k of W_k h, h the encoding of the agent there given the question, one W_k a place
and shape; so what messages, copies and gates change is told by who stands where. Outcomes are regressed on designs, so
it does not matter who drew a run. docs/methods/joint.md has the equations.

Shape letters: T problems in a batch, A agents, L listed designs, K places of a shape, H hidden features, V nodes.
"""

from collections.abc import Sequence
from copy import copy

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch_geometric.data import Batch

from gdesign.design.base import Expected
from gdesign.design.joint.listed import USUAL, Listed, Listing
from gdesign.design.joint.vocabulary import Shape
from gdesign.encode.graph import GNN, GraphEncoder
from gdesign.encode.problem import NUM_FEATURES, Space

NUM_KNOWN = 3
"""Numbers that the network reads of each agent alone: expected score by attention and by text, and log USD."""
MAX_LOG_USD = 4.0
"""What the network may change the log of expected USD by; its exponential must not overflow."""


class Critic(Listed):
    """Draw the designs that a network expects to be worth most, given the question and the price of cost.

    No parameter belongs to a slot, so a trained one can be used on other agents. Settings are those of `Listed`.
    """

    def __init__(
        self,
        *,
        space: Space,
        gnn: GNN = GraphEncoder,
        shapes: Sequence[str] = USUAL,
        reuse: bool = True,
        temperature: float = 0.02,
        explored: float = 0.1,
    ) -> None:
        super().__init__(space=space, shapes=shapes, reuse=reuse, temperature=temperature, explored=explored)
        self.network = Network(shapes=self.vocabulary.shapes, gnn=gnn, space=space)

    def expected(self, problem: Batch, listing: Listing) -> Expected:
        """Return S = R and C = F exp(r)."""
        return self.network.expected(problem, listing)


class Network(nn.Module):
    """What agents add to each other: a graph network over the slots and the question, and a sum over places."""

    def __init__(self, *, shapes: Sequence[Shape], gnn: GNN, space: Space) -> None:
        super().__init__()
        self.encoder = gnn(text_dim=space.text_dim, num_features=NUM_FEATURES + NUM_KNOWN)
        hidden_dim = self.encoder.hidden_dim
        # agents that may change places share a map
        self.roles = [[0] * s.num_unordered + list(range(1, s.size - s.num_unordered + 1)) for s in shapes]
        self.places = nn.ModuleList(nn.Linear(hidden_dim, (max(roles) + 1) * hidden_dim) for roles in self.roles)
        self.both = nn.Linear(hidden_dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, 2)
        with torch.no_grad():
            self.out.weight.mul_(0.1)

    def expected(self, problem: Batch, listing: Listing) -> Expected:
        """Return S = R and C = F exp(r), where nothing is known of agents but what calls usually need."""
        usd = listing.usual_usd.to(problem.x.device)
        even = torch.full_like(usd, 0.5)
        alone = torch.stack([even, usd, even], dim=-1).expand(problem.num_graphs, -1, -1)
        R, r = self(problem, listing, alone=alone)
        F = torch.cat([usd[table.to(usd.device)].sum(-1) for table in listing.teams])
        return Expected(R, F * r.exp())

    def forward(
        self,
        problem: Batch,
        listing: Listing,
        *,
        alone: Float[Tensor, "T A 3"],
        hidden: Bool[Tensor, "T A"] | None = None,
    ) -> tuple[Float[Tensor, "T L"], Float[Tensor, "T L"]]:
        """Return R, what is added to the score of each design, and r, what is added to the log of its USD.

        Args:
            problem: T problems; their prices of cost are not looked at.
            alone: What is expected of each agent alone: score, USD for 1,000 questions, score by the text.
            hidden: Agents of which neither text nor prices nor expected cost are read; None for none.
        """
        agents = self.read(problem, listing, alone=alone, hidden=hidden)
        parts = [self.change(agents, s, table.to(agents.device)) for s, table in enumerate(listing.teams)]
        score, usd = torch.cat(parts, dim=1).unbind(-1)
        return score, MAX_LOG_USD * torch.tanh(usd / MAX_LOG_USD)

    def read(
        self, problem: Batch, listing: Listing, *, alone: Float[Tensor, "T A 3"], hidden: Bool[Tensor, "T A"] | None
    ) -> Float[Tensor, "T A H"]:
        """Return h, the encodings of the agents, given the question."""
        is_slot = problem.slot >= 0
        agent = listing.agent.to(problem.x.device)[problem.slot[is_slot]]
        row = problem.batch[is_slot]
        numbers = torch.zeros(len(problem.slot), NUM_FEATURES + NUM_KNOWN, device=problem.x.device)
        numbers[:, : NUM_FEATURES - 2] = problem.features[:, : NUM_FEATURES - 2]  # all but the price of cost
        numbers[:, 2] = 0.0  # slots of one candidate are one agent here
        known = alone[row, agent]
        numbers[is_slot, NUM_FEATURES] = 4 * known[:, 0] - 2
        numbers[is_slot, NUM_FEATURES + 1] = known[:, 1].clamp_min(1e-6).log10()
        numbers[is_slot, NUM_FEATURES + 2] = 4 * known[:, 2] - 2
        if hidden is not None:
            problem = copy(problem)
            problem.x = problem.x.clone()
            unknown = is_slot.nonzero()[hidden[row, agent], 0]
            problem.x[unknown] = 0.0
            numbers[unknown, :2] = 0.0
            numbers[unknown, NUM_FEATURES + 1] = 0.0
        encoded: Tensor = self.encoder(problem, numbers)
        agents = encoded.new_zeros(problem.num_graphs, len(listing.vocabulary.agents), encoded.shape[-1])
        return agents.index_put((row, agent), encoded[is_slot])

    def change(self, agents: Float[Tensor, "T A H"], shape: int, teams: Int[Tensor, "L K"]) -> Float[Tensor, "T L 2"]:
        """Return what is added to score and log USD of each design of a shape, the latter not yet bounded."""
        num, count, dim = agents.shape
        placed = self.places[shape](agents).view(num, count, -1, dim)
        total = agents.new_zeros(())
        for k, role in enumerate(self.roles[shape]):
            total = total + placed[:, teams[:, k], role]
        out: Tensor = self.out(torch.relu(self.both(torch.relu(total))))
        return out
