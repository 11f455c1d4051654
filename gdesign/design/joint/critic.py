"""critic: a graph network learns what any design scores and costs, from every run there has been.

S_d(q) = R_d(q) and C_d(q) = F_d exp(r_d(q)), r bounded, where F_d is what the agents' calls would usually cost. R and
r are an MLP of the sum over places k of W_k h, h the encoding of the agent there given the question. W_k is a mixture
of a few maps, and a second graph network, over the design's own graph, says what is mixed for each place; so what
messages, copies and gates change is told by who stands where, of any design. Outcomes are regressed on designs, so it
does not matter who drew a run. docs/methods/joint.md has the equations.

Shape letters: T problems in a batch, A agents, L designs, K places, H hidden features, V nodes, M maps that are mixed,
P features of a place, S skeletons, R relations between places, U uses of an agent in a kind of place.
"""

from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch_geometric.data import Batch

from gdesign.design.base import Expected
from gdesign.design.joint.catalogue import Catalogue
from gdesign.design.joint.ledger import Ledger
from gdesign.design.joint.listed import USUAL, Listed, Look
from gdesign.design.joint.places import NUM_PLACE_FEATURES, NUM_RELATIONS, Places
from gdesign.encode.graph import GNN, GraphEncoder
from gdesign.encode.problem import NUM_FEATURES, Space

NUM_KNOWN = 3
"""Numbers that the network reads of each agent alone: expected score by attention and by text, and log USD."""
MAX_LOG_USD = 4.0
"""What the network may change the log of expected USD by; its exponential must not overflow."""
NUM_MAPS = 12
"""M."""
PLACE_DIM = 32
"""P."""


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
        shrinkage: float = 100.0,
        doubt: float = 0.2,
    ) -> None:
        super().__init__(
            space=space,
            shapes=shapes,
            reuse=reuse,
            temperature=temperature,
            explored=explored,
        )
        self.network = Network(gnn=gnn, space=space)
        self._ledger = Ledger(shrinkage=shrinkage, doubt=doubt)

    def look(self, problem: Batch, catalogue: Catalogue) -> Look:
        """Return the agents' encodings and what their calls usually cost."""
        return self.network.look(problem, catalogue)


class Said(NamedTuple):
    """What the network says of designs.

    Attributes:
        R: What is added to the score.
        r: What is added to the log of USD.
    """

    R: Tensor
    r: Tensor


class Network(nn.Module):
    """What agents come to together: a graph network over slots and question, and one over the places of a design."""

    def __init__(self, *, gnn: GNN, space: Space) -> None:
        super().__init__()
        self.encoder = gnn(text_dim=space.text_dim, num_features=NUM_FEATURES + NUM_KNOWN)
        hidden_dim = self.encoder.hidden_dim
        self.places = PlaceEncoder(hidden_dim)
        self.maps = nn.Linear(hidden_dim, NUM_MAPS * hidden_dim, bias=False)
        self.both = nn.Linear(hidden_dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, 2)
        with torch.no_grad():
            self.out.weight.mul_(0.1)

    def look(self, problem: Batch, catalogue: Catalogue) -> "UsualCost":
        """Return what to expect where nothing is known of agents but what calls usually need."""
        usd = catalogue.usual_usd.to(problem.x.device)
        even = torch.full_like(usd, 0.5)
        alone = torch.stack([even, usd, even], dim=-1).expand(problem.num_graphs, -1, -1)
        return UsualCost(self, self.read(problem, catalogue, alone=alone), usd)

    def read(
        self,
        problem: Batch,
        catalogue: Catalogue,
        *,
        alone: Float[Tensor, "T A 3"],
        hidden: Bool[Tensor, "T A"] | None = None,
    ) -> Float[Tensor, "T A H"]:
        """Return h, the encodings of the agents, given the question.

        Args:
            problem: T problems; their prices of cost are not looked at.
            alone: What is expected of each agent alone: score, USD for 1,000 questions, score by the text.
            hidden: Agents of which neither text nor prices nor expected cost are read; None for none.
        """
        is_slot = problem.slot >= 0
        agent = catalogue.agent.to(problem.x.device)[problem.slot[is_slot]]
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
        agents = encoded.new_zeros(problem.num_graphs, len(catalogue.agents), encoded.shape[-1])
        return agents.index_put((row, agent), encoded[is_slot])

    def every(self, agents: Float[Tensor, "T A H"], places: Places) -> Said:
        """Return what is said of each design on each problem, Float[T, L] each."""
        mixture, level = self.places(places)
        (agent, kind), which = places.used[0].T, places.used[1]
        mapped = self.maps(agents).unflatten(-1, (NUM_MAPS, -1))
        uses = level[kind].expand(len(agents), -1, -1)
        for m in range(NUM_MAPS):
            uses = uses + mixture[kind, m, None] * mapped[:, agent, m]
        total = agents.new_zeros(())
        for k in range(which.shape[1]):
            total = total + uses[:, which[:, k]]
        return self._said(total)

    def some(self, agents: Float[Tensor, "T A H"], places: Places, row: Int[Tensor, " L"]) -> Said:
        """Return what is said of each design on one problem, that of its row, Float[L] each."""
        mixture, level = self.places(places)
        mapped = self.maps(agents[row[:, None], places.agent]).unflatten(-1, (NUM_MAPS, -1))
        uses = torch.einsum("lkmh,lkm->lh", mapped, mixture[places.kind])
        return self._said(uses + level[places.kind].sum(1))

    def _said(self, total: Float[Tensor, "*L H"]) -> Said:
        score, usd = self.out(torch.relu(self.both(torch.relu(total)))).unbind(-1)
        return Said(score, MAX_LOG_USD * torch.tanh(usd / MAX_LOG_USD))


class PlaceEncoder(nn.Module):
    """Messages between the places of a skeleton, along each relation both ways, whoever stands in them."""

    def __init__(self, hidden_dim: int, num_layers: int = 2) -> None:
        super().__init__()
        self.own = nn.Linear(NUM_PLACE_FEATURES, PLACE_DIM)
        width = (NUM_RELATIONS + 1) * PLACE_DIM
        self.layers = nn.ModuleList(nn.Linear(width, PLACE_DIM) for _ in range(num_layers))
        self.out = nn.Linear(PLACE_DIM, NUM_MAPS + hidden_dim)

    def forward(self, places: Places) -> tuple[Float[Tensor, "_ M"], Float[Tensor, "_ H"]]:
        """Return how the maps are mixed in each kind of place, and what is added there; nothing where there is none."""
        h = self.own(places.features)
        for layer in self.layers:
            heard = torch.einsum("srij,sjp->sirp", places.relations, h).flatten(2)
            h = h + torch.relu(layer(torch.cat([h, heard], dim=-1)))
        told = self.out(h).flatten(0, 1)
        told = torch.cat([told, torch.zeros_like(told[:1])])
        return told[:, :NUM_MAPS], told[:, NUM_MAPS:]


class UsualCost(Look):
    """S = R and C = F exp(r), F what calls usually cost."""

    def __init__(self, network: Network, agents: Float[Tensor, "T A H"], usd: Float[Tensor, " A"]) -> None:
        self.network = network
        self.agents = agents
        self.usd = usd

    def every(self, catalogue: Catalogue) -> Expected:
        """Return S and C of each design on each problem."""
        places = catalogue.places.to(self.usd.device)
        R, r = self.network.every(self.agents, places)
        return Expected(R, self._usual(places) * r.exp())

    def some(self, catalogue: Catalogue, row: Int[Tensor, " L"]) -> Expected:
        """Return S and C of each design on one problem."""
        places = catalogue.places.to(self.usd.device)
        R, r = self.network.some(self.agents, places, row)
        return Expected(R, self._usual(places) * r.exp())

    def _usual(self, places: Places) -> Float[Tensor, " L"]:
        return (self.usd[places.agent] * places.there).sum(-1)
