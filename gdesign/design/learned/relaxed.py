"""CommFormer: one learnable graph, relaxed so that a learned critic's gradient reaches it, and gates that listen.

Hu et al., "Learning Multi-Agent Communication from Graph Modeling Perspective", ICLR 2024, arXiv
2405.08550; the gates are of its extension, arXiv 2411.00382. Bi-level optimisation: the critic learns
what designs are worth (`gdesign.learn.estimators.critic`), the graph what the critic holds best (the
draft's penalty). Departures are named on docs/methods/relaxed.md.

Shape letters: B problems in a batch, N slots, S slots of the space, L rounds after the first, H hidden features.
"""

from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch_geometric.data import Batch

from gdesign.design.base import Draft
from gdesign.design.draws import RNG
from gdesign.design.edge_distribution import EdgeDesigner, EdgeDistribution
from gdesign.design.places import places
from gdesign.design.slot_graphs import SlotGraphs, each
from gdesign.encode.graph import GNN, GraphEncoder
from gdesign.encode.problem import Space, dense
from gdesign.errors import ConfigError

SHALLOW: GNN = partial(GraphEncoder, num_layers=1)
"""One step of messages, as the paper has."""


class Relaxed(EdgeDesigner):
    """One graph for every question, and for each question who listens in the rounds after the first.

    Parameters of the graph follow the slot's identity, so they cannot be used on other agents.

    Args:
        num_rounds: How often each agent gets the floor at most; with 1 there are no temporal edges and no gates.
        sparsity: Share of the agents that an agent should hear at most, S in the paper; no fewer than one.
        budget_weight: What an expected edge above that costs in the penalty.
        warmup: Number of training steps in which only the critic learns from utilities.
        graph_scale: Logits of the graph are so many times its parameters, so that one learning rate
            suits the graph and the critic.

    Raises:
        ConfigError: A sparsity outside (0, 1].
    """

    steps: Tensor

    def __init__(
        self,
        *,
        space: Space,
        num_rounds: int = 2,
        sparsity: float = 0.4,
        budget_weight: float = 0.01,
        warmup: int = 50,
        graph_scale: float = 10.0,
        gnn: GNN = SHALLOW,
    ) -> None:
        super().__init__(space=space, num_rounds=num_rounds)
        if not 0 < sparsity <= 1:
            raise ConfigError(f"sparsity must be in (0, 1]; got {sparsity}")
        n = len(space.slots)
        self.budget = max(1, int(sparsity * n))
        self.budget_weight = budget_weight
        self.warmup = warmup
        self.graph_scale = graph_scale
        self.order = nn.Parameter(torch.zeros(n))
        self.spatial = nn.Parameter(torch.zeros(n, n))
        self.temporal = nn.Parameter(torch.zeros(n, n)) if num_rounds > 1 else None
        self.observe = gnn(text_dim=space.text_dim) if num_rounds > 1 else None
        self.gate = nn.Linear(self.observe.hidden_dim, num_rounds - 1) if self.observe is not None else None
        self.critic = ValueNetwork(gnn(text_dim=space.text_dim))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def distribution(
        self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, mean: bool = False, greedy: bool = False
    ) -> EdgeDistribution:
        """Return the distribution over graphs; only the gates look at the question."""
        rows = dense(problem, problem.features)
        order = self.graph_scale * self.order[rows.slot]
        at = places(rows, order, num_designs=num_designs, generator=generator, greedy=greedy)
        slot = at.take(rows.slot)
        pair = slot[:, :, None], slot[:, None, :]
        temporal = listen = None
        if self.temporal is not None and self.observe is not None and self.gate is not None:
            temporal = self.graph_scale * self.temporal[pair]
            listen = at.take(self.gate(dense(problem, self.observe(problem)).slots))
        return EdgeDistribution.among(
            at,
            edge_logits=self.graph_scale * self.spatial[pair],
            temporal_logits=temporal,
            listen_logits=listen,
        )

    def draft(self, problem: Batch, edges: EdgeDistribution, graphs: SlotGraphs) -> Draft:
        """Return the draft of drawn graphs; their value trains the critic, their penalty the graph."""
        num_designs = len(graphs.decider) // problem.num_graphs
        encoded = self.critic.read(problem)
        row = each(problem.num_graphs, num_designs, problem.x.device)
        encoded = encoded[row] if edges.called is None else encoded[row[:, None], edges.called.slots]
        drawn, relaxed = relax(graphs, edges)
        penalty = self.budget_weight * self.excess(edges)
        if self.steps >= self.warmup:
            frozen = {name: parameter.detach() for name, parameter in self.critic.named_parameters()}
            penalty = penalty - functional_call(self.critic, frozen, (encoded.detach(), relaxed))
        draft = super().draft(problem, replace(edges, penalty=penalty), graphs)
        draft.value = self.critic(encoded, drawn)
        return draft

    def excess(self, edges: EdgeDistribution) -> Float[Tensor, " B"]:
        """Return by how much the expected numbers of agents heard are above the budget, summed over agents; of four."""
        heard = [edges.edge_probability()]
        if edges.temporal_logits is not None:
            heard.append(edges.temporal_probability())
        total = sum(((p.sum(1) - self.budget).clamp_min(0).sum(1) for p in heard), start=heard[0].new_zeros(()))
        return total * (4 / edges.mask.sum(1)).clamp_max(1)

    def step_taken(self, num_steps: int) -> None:
        """Count the steps, for the end of the warm-up."""
        self.steps.fill_(num_steps)


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """Drawn graphs as numbers, 0 or 1, which may carry the gradient of their probabilities.

    Attributes:
        adjacency: [i, j] where slot j hears slot i within a round.
        decider: Who decides.
        keep: Who has a path to the decider; holds no gradient.
        temporal: [i, j] where slot j hears what slot i said in the round before; None with one round.
        listens: [j, l] where slot j listens in round l + 2.
        matters: [j, l] where what slot j does in round l + 2 can reach the decision; holds no gradient.
    """

    adjacency: Float[Tensor, "B N N"]
    decider: Float[Tensor, "B N"]
    keep: Float[Tensor, "B N"]
    temporal: Float[Tensor, "B N N"] | None = None
    listens: Float[Tensor, "B N L"] | None = None
    matters: Float[Tensor, "B N L"] | None = None


def relax(graphs: SlotGraphs, edges: EdgeDistribution) -> tuple[Relaxation, Relaxation]:
    """Return drawn graphs as numbers, without and with the gradient of their probabilities.

    The straight-through estimator of Bengio et al. 2013, arXiv 1308.3432: 1[drawn] + p - stop(p).
    """
    soft = {"adjacency": edges.edge_probability(), "decider": edges.order_logits.softmax(-1)}
    hard = {"adjacency": graphs.adjacency, "decider": torch.zeros_like(graphs.keep)}
    hard["decider"].scatter_(1, graphs.decider[:, None], True)
    rest = {"keep": graphs.keep.to(edges.edge_logits)}
    if graphs.later is not None and edges.listen_logits is not None:
        hard |= {"temporal": graphs.later.temporal, "listens": graphs.later.listens}
        soft |= {"temporal": edges.temporal_probability(), "listens": edges.listen_logits.sigmoid()}
        rounds = torch.arange(2, graphs.later.listens.shape[-1] + 2, device=graphs.keep.device)
        rest["matters"] = (rounds <= graphs.later.last[:, :, None]).to(edges.edge_logits)
    drawn = {name: there.to(edges.edge_logits) for name, there in hard.items()}
    relaxed = {name: there + soft[name] - soft[name].detach() for name, there in drawn.items()}
    return Relaxation(**drawn, **rest), Relaxation(**relaxed, **rest)


class ValueNetwork(nn.Module):
    """The utility of a design on a question: attention along its edges, round by round, then two heads.

    One head reads the agent that decides; one reads each agent that takes part, in each round that is
    held, and is summed, for every one of these turns costs.

    Args:
        num_steps: How often messages are passed within a round.
    """

    def __init__(self, encoder: GraphEncoder, *, num_steps: int = 2) -> None:
        super().__init__()
        hidden_dim = encoder.hidden_dim
        self.num_steps = num_steps
        self.encoder = encoder
        self.within = Attention(hidden_dim=hidden_dim)
        self.across = Attention(hidden_dim=hidden_dim)
        self.decides = _head(hidden_dim)
        self.takes_part = _head(hidden_dim)

    def read(self, problem: Batch) -> Float[Tensor, "T N H"]:
        """Return the encodings of the slots of each problem."""
        return dense(problem, self.encoder(problem)).slots

    def forward(self, h: Float[Tensor, "B N H"], graph: Relaxation) -> Float[Tensor, " B"]:
        """Return the expected utility of each graph, over slots that were read."""
        part = takes_part(graph)

        def turns(h: Float[Tensor, "B N H"]) -> Float[Tensor, " B"]:
            total: Tensor = (part * self.takes_part(h)[..., 0]).sum(1)
            return total

        for _ in range(self.num_steps):
            h = self.within(h, h, graph.adjacency)
        cost = turns(h)
        if graph.listens is not None and graph.temporal is not None:
            for listens, held in zip(graph.listens.unbind(-1), rounds_held(graph).unbind(-1), strict=True):
                now = self.across(h, h, graph.temporal * listens[:, None, :])
                for _ in range(self.num_steps):
                    now = self.within(now, now, graph.adjacency * listens[:, None, :])
                cost = cost + held * turns(now)
                h = h + held[:, None, None] * (now - h)
        total: Tensor = (graph.decider * self.decides(h)[..., 0]).sum(1) + cost
        return total


class Attention(nn.Module):
    """Each slot attends to those it hears and to itself; weights are multiplied by the adjacency.

    The adjacency stands in numerator and denominator, so an edge that is absent has a gradient too.
    """

    def __init__(self, *, hidden_dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden_dim, hidden_dim)
        self.key = nn.Linear(hidden_dim, hidden_dim, bias=False)  # a bias here changes no weight
        self.value = nn.Linear(hidden_dim, hidden_dim)
        self.out = nn.Linear(2 * hidden_dim + 1, hidden_dim)

    def forward(
        self, h: Float[Tensor, "B N H"], heard: Float[Tensor, "B N H"], adjacency: Float[Tensor, "B N N"]
    ) -> Float[Tensor, "B N H"]:
        """Return what each slot holds after it has heard."""
        query = self.query(h)
        score = (self.key(heard) @ query.mT) / h.shape[-1] ** 0.5  # from, to
        own = (self.key(h) * query).sum(-1)[:, None] / h.shape[-1] ** 0.5
        highest = torch.maximum(score.amax(1, keepdim=True), own).detach()
        weight = adjacency * (score - highest).exp()
        weight = weight / (weight.sum(1, keepdim=True) + (own - highest).exp())
        message = weight.mT @ self.value(heard)
        degree = adjacency.sum(1)[..., None]  # each message makes the prompt longer
        return h + torch.relu(self.out(torch.cat([h, message, degree], dim=-1)))


def takes_part(graph: Relaxation) -> Float[Tensor, "B N"]:
    """Return 1 for the decider and all who are heard by somebody that matters, with a gradient.

    In each edge it is linear, so its derivative is what adding or taking away that edge changes, save
    for those further up who come or go with the agent.
    """
    silent = (1 - graph.decider) * (1 - graph.adjacency * graph.keep[:, None, :]).prod(-1)
    if graph.temporal is not None and graph.listens is not None and graph.matters is not None:
        listens = 1 - (1 - graph.listens * graph.matters).prod(-1)
        silent = silent * (1 - graph.temporal * listens[:, None, :]).prod(-1)
    return 1 - silent


def rounds_held(graph: Relaxation) -> Float[Tensor, "B L"]:
    """Return 1 for each round after the first in which, or after which, somebody is heard; in each edge linear."""
    assert graph.temporal is not None
    assert graph.listens is not None
    edges = torch.cat([graph.adjacency, graph.temporal], dim=1)
    nobody = (1 - edges[..., None] * graph.listens[:, None]).flatten(1, 2).prod(1)
    return 1 - nobody.flip(-1).cumprod(-1).flip(-1)


def _head(hidden_dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(hidden_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, 1))
