"""ARG-Designer: a team that is put together agent by agent and edge by edge, given the question.

Li et al., "Assemble Your Crew: Automatic Multi-agent Communication Topology Design via Autoregressive Graph
Generation", AAAI 2026, arXiv 2507.18224. Departures are named on docs/methods/autoregressive.md.

The team is assembled from its decider backwards: each further agent is heard by at least one of those already there, so
nothing that was drawn is ever left out. What is drawn next depends on the graph so far and not on the order in which it
grew; so the orders that give the same design can be summed exactly, over sets of its agents.

Shape letters: B problems in a batch, N slots, H hidden features, G graphs to be scored, K agents of the
largest of them, M = 2^(K - 1) sets of agents that hold the decider.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, one_hot, softplus
from torch_geometric.data import Batch

from gdesign.design.base import Designer, Draft
from gdesign.design.draws import (
    NEVER,
    RNG,
    bernoulli,
    bernoulli_entropy,
    categorical,
    categorical_entropy,
    or_impossible,
    summed,
)
from gdesign.design.places import affordable
from gdesign.design.slot_graphs import SlotGraphs, distinct, each, from_designs, slot_agents, to_designs
from gdesign.encode.graph import GNN, GraphEncoder
from gdesign.encode.problem import Dense, Space, dense
from gdesign.errors import ConfigError
from gdesign.types import Agent, Design

MAX_AGENTS = 8
"""The sets of a team's agents are enumerated, 2^(agents - 1) of them."""


class Autoregressive(Designer):
    """Draw the decider, then again and again whether to stop, who comes next, and who hears the newcomer.

    Its parameters do not depend on which agents there are or how many.

    Args:
        max_agents: Size of the largest team; every slot is used at most once.

    Raises:
        ConfigError: `max_agents` is not in 1..8.
    """

    def __init__(self, *, space: Space, gnn: GNN = GraphEncoder, max_agents: int = 4, num_rounds: int = 1) -> None:
        super().__init__(space=space)
        if not 1 <= max_agents <= MAX_AGENTS:
            raise ConfigError(f"max_agents must lie in 1..{MAX_AGENTS}; got {max_agents}")
        self.max_agents = max_agents
        self.num_rounds = num_rounds
        self.encoder = gnn(text_dim=space.text_dim)
        hidden_dim = self.encoder.hidden_dim
        self.remember = nn.GRUCell(hidden_dim, hidden_dim)
        self.from_task = nn.Linear(hidden_dim, hidden_dim)
        self.from_team = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.stop = nn.Linear(hidden_dim, 1)
        self.wanted = nn.Linear(hidden_dim, hidden_dim)
        self.offered = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.heard = nn.Linear(hidden_dim, hidden_dim)
        self.hearer = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.meanwhile = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.edge = nn.Linear(hidden_dim, 1)

    @property
    def num_decisions(self) -> int:
        """Decisions of the largest team: who decides; for each other whether and who, and each edge."""
        return 2 * self.max_agents - 1 + self.max_agents * (self.max_agents - 1) // 2

    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Draw designs for each problem; greedily, the likeliest choice at every step.

        The entropy is that of every choice along the drawn order, beside what is likely before anything is learned, a
        decision that a draw may take; its mean over draws is that of order and graph, an upper bound of the design's.
        """
        rows = dense(problem, self.encoder(problem))[each(problem.num_graphs, num_designs, problem.x.device)]
        team = self._sample(rows, generator=generator, greedy=greedy)
        agents = slot_agents(problem, num_designs)

        graphs = team.graphs(rows.mask.shape[1])

        def designs() -> list[Design]:
            return to_designs(graphs, agents, num_rounds=self.num_rounds)

        steps = self._steps(rows, team)
        if distinct(agents):
            log_prob = steps.log_prob()
        else:  # several slots hold one candidate, so several graphs may give the design
            log_prob = self._log_prob(rows, agents, designs())
        return Draft(designs=designs, log_prob=log_prob, entropy=steps.entropy_in_order() / self.num_decisions)

    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " B"]:
        """Return the log-probability of one given design a problem; -inf where it cannot be drawn."""
        return self._log_prob(dense(problem, self.encoder(problem)), slot_agents(problem), designs)

    def _log_prob(
        self, rows: Dense, agents: Sequence[Sequence[Agent]], designs: Sequence[Design]
    ) -> Float[Tensor, " B"]:
        fits = [b for b, design in enumerate(designs) if len(design.agents) <= self.max_agents]
        graphs, owner = from_designs(
            [designs[b] for b in fits],
            [agents[b] for b in fits],
            mask=rows.mask[fits],
            num_rounds=self.num_rounds,
            temporal=False,
        )
        if not len(owner):
            return rows.task.new_full((len(designs),), -torch.inf)
        owner = torch.tensor(fits, device=owner.device)[owner]
        return summed(self._steps(rows[owner], Team.of(graphs)).log_prob(), owner, len(designs))

    def _context(self, task: Float[Tensor, "G H"], team: Float[Tensor, "G M H"]) -> Float[Tensor, "G M H"]:
        return torch.relu(self.from_task(task)[:, None] + self.from_team(team))

    def _offers(self, context: Float[Tensor, "G M H"], slots: Float[Tensor, "G N H"]) -> Float[Tensor, "G M N"]:
        logits: Tensor = self.wanted(context) @ self.offered(slots).mT / slots.shape[-1] ** 0.5
        return logits

    def _hearings(
        self, context: Float[Tensor, "G M H"], new: Float[Tensor, "G V H"], memory: Float[Tensor, "G K H"]
    ) -> Float[Tensor, "G M V K"]:
        hidden = self.heard(new)[:, None, :, None] + self.hearer(memory)[:, None, None]
        logits: Tensor = self.edge(torch.relu(hidden + self.meanwhile(context)[:, :, None, None]))[..., 0]
        return logits

    def _sample(self, rows: Dense, *, generator: RNG, greedy: bool) -> "Team":
        with torch.no_grad():
            num, n = rows.mask.shape
            dear = affordable(rows.burden, rows.mask)
            most = min(self.max_agents, n)
            slots = rows.slot.new_zeros(num, most)
            there = rows.mask.new_zeros(num, most)
            hears = rows.mask.new_zeros(num, most, most)
            memory = rows.task.new_zeros(num, most, rows.task.shape[1])
            free, going = rows.mask, rows.mask.any(1)
            for t in range(most):
                context = self._context(rows.task, memory.sum(1, keepdim=True))
                if t > 0:
                    stop = bernoulli(self.stop(context)[:, 0, 0], generator, greedy)
                    going = going & ~stop & free.any(1)
                offers = (self._offers(context, rows.slots)[:, 0] + dear).masked_fill(~free, NEVER)
                pick = categorical(offers, generator, greedy)
                new = rows.slots.gather(1, pick[:, None, None].expand(-1, 1, rows.slots.shape[2]))
                if t > 0:
                    hearers = _not_none(self._hearings(context, new, memory[:, :t])[:, 0, 0], generator, greedy)
                    hears[:, t, :t] = hearers & going[:, None]
                told = (hears[:, t, :, None] * memory).sum(1)
                memory[:, t] = self.remember(new[:, 0], told) * going[:, None]
                slots[:, t] = pick
                there[:, t] = going
                free = free & ~(one_hot(pick, n).bool() & going[:, None])
            return Team(slots=slots, there=there, hears=hears)

    def _steps(self, rows: Dense, team: "Team") -> "Steps":
        n = rows.mask.shape[1]
        k = team.slots.shape[1]
        members = _sets(k).to(rows.mask.device)
        placed = rows.slots.gather(1, team.slots[..., None].expand(-1, -1, rows.slots.shape[2]))
        memory = torch.zeros_like(placed)
        hears = team.hears.to(placed)
        for _ in range(k):  # what an agent remembers is settled once all that hear it are settled
            told = (hears @ memory).flatten(0, 1)
            memory = self.remember(placed.flatten(0, 1), told).view_as(placed) * team.there[..., None]
        empty = self._context(rows.task, torch.zeros_like(memory[:, :1]))
        dear = affordable(rows.burden, rows.mask)
        first = (self._offers(empty, rows.slots)[:, 0] + dear).masked_fill(~rows.mask, NEVER)
        context = self._context(rows.task, members.to(memory) @ memory)
        taken = (members.to(memory) @ (one_hot(team.slots, n) * team.there[..., None]).to(memory)) > 0
        free = rows.mask[:, None] & ~taken
        may_go = free.any(-1) & (members.sum(1) < self.max_agents)
        hearings = self._hearings(context, placed, memory)
        hearers = (members[None, :, None] & team.there[:, None, None]).expand_as(hearings)
        return Steps(
            team=team,
            first=first.log_softmax(-1),
            may_go=may_go,
            stop=self.stop(context)[..., 0],
            offers=(self._offers(context, rows.slots) + dear[:, None]).masked_fill(~free, NEVER).log_softmax(-1),
            first_before=dear.masked_fill(~rows.mask, NEVER).log_softmax(-1),
            offers_before=dear[:, None].masked_fill(~free, NEVER).log_softmax(-1).masked_fill(~free, NEVER),
            hearers=NotNone(hearings, hearers),
        )


@dataclass(frozen=True, kw_only=True)
class Team:
    """One graph a row: the decider first, every agent in a place of its own.

    Attributes:
        slots: The slot at each place.
        there: Which places are taken.
        hears: [i, j] where the agent at place j hears the one at place i.
    """

    slots: Int[Tensor, "G K"]
    there: Bool[Tensor, "G K"]
    hears: Bool[Tensor, "G K K"]

    @classmethod
    def of(cls, graphs: SlotGraphs) -> "Team":
        """Return the teams of graphs over slots."""
        n = graphs.keep.shape[1]
        first = one_hot(graphs.decider, n)
        slots = (graphs.keep + first).argsort(dim=1, descending=True, stable=True)[:, : int(graphs.keep.sum(1).max())]
        rows = graphs.adjacency.gather(1, slots[..., None].expand(-1, -1, n))
        return cls(
            slots=slots,
            there=graphs.keep.gather(1, slots),
            hears=rows.gather(2, slots[:, None].expand(-1, slots.shape[1], -1)),
        )

    def graphs(self, num_slots: int) -> SlotGraphs:
        """Return the graphs of these teams over so many slots."""
        g, i, j = self.hears.nonzero(as_tuple=True)
        adjacency = self.there.new_zeros(len(self.there), num_slots, num_slots)
        adjacency[g, self.slots[g, i], self.slots[g, j]] = True
        keep = (one_hot(self.slots, num_slots).bool() & self.there[..., None]).any(1)
        return SlotGraphs(adjacency=adjacency, keep=keep, decider=self.slots[:, 0])


class NotNone:
    """Independent edges, given that there is at least one."""

    def __init__(self, logits: Float[Tensor, "*S K"], there: Bool[Tensor, "*S K"]) -> None:
        self.logits = logits
        free = softplus(logits).masked_fill(~there, 0.0)
        # log(prod(1 + exp(e)) - 1) as a sum over the last edge there is: nothing cancels
        last = logits + free.cumsum(-1) - free
        self._total = last.masked_fill(~there, NEVER).logsumexp(-1)
        self._others = free.sum(-1, keepdim=True) - free
        self._there = there

    def log_prob(self, edges: Bool[Tensor, "*S K"]) -> Float[Tensor, " *S"]:
        """Return the log-probability of these edges; meaningless where one of them could not be."""
        return (self.logits * edges).sum(-1) - self._total

    def entropy(self) -> Float[Tensor, " *S"]:
        """Return the entropy; meaningless where no edge could be."""
        p = (self.logits + self._others - self._total[..., None]).masked_fill(~self._there, NEVER).exp()
        return self._total - (p * self.logits).sum(-1)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What can happen next, for every set of a team's agents that holds the decider.

    Attributes:
        first: Log-probability of each slot to decide.
        may_go: Whether another agent may come.
        stop: Logit of coming to an end where another may come.
        offers: Log-probability of each slot to be the next, where another comes.
        first_before: `first` before anything is learned.
        offers_before: `offers` before anything is learned.
        hearers: Of an agent of the team, should it come next.
    """

    team: Team
    first: Float[Tensor, "G N"]
    may_go: Bool[Tensor, "G M"]
    stop: Float[Tensor, "G M"]
    offers: Float[Tensor, "G M N"]
    first_before: Float[Tensor, "G N"]
    offers_before: Float[Tensor, "G M N"]
    hearers: NotNone

    def log_prob(self) -> Float[Tensor, " G"]:
        """Return the log-probability of the graphs: all orders in which they can grow, summed."""
        slots, there, hears = self.team.slots, self.team.there, self.team.hears
        g, k = slots.shape
        members = _sets(k).to(slots.device)
        m = len(members)
        step = (
            logsigmoid(-self.stop).masked_fill(~self.may_go, NEVER)[..., None]
            + self.offers.gather(2, slots[:, None].expand(-1, m, -1))
            + self.hearers.log_prob(hears[:, None].expand(-1, m, -1, -1))
        )
        too_early = (hears[:, None] & ~members[None, :, None]).any(-1)
        step = step.masked_fill(too_early | members | ~there[:, None], NEVER)
        index = torch.arange(m, device=slots.device)[:, None]
        bit = 2 ** torch.arange(k - 1, device=slots.device)
        before = index & ~bit  # the set without that agent
        arrive = step[:, before, torch.arange(1, k, device=slots.device)].masked_fill(~members[:, 1:], NEVER)
        decider = self.first.gather(1, slots[:, :1])
        total = torch.cat([decider, decider.new_full((g, m - 1), NEVER)], dim=1)
        for _ in range(k - 1):  # after so many rounds the sets with one agent more are right
            total = torch.cat([decider, (total[:, before] + arrive)[:, 1:].logsumexp(-1)], dim=1)
        everybody = (there[:, 1:] * bit).sum(1, keepdim=True)
        end = logsigmoid(self.stop).masked_fill(~self.may_go, 0.0)
        out = (total + end).gather(1, everybody)[:, 0]
        return or_impossible(out)

    def entropy_in_order(self) -> Float[Tensor, " G"]:
        """Return the entropy of every choice where the agents come in the order of their places."""
        there = self.team.there
        k = there.shape[1]
        prefix = 2 ** torch.arange(k, device=there.device) - 1
        picks = categorical_entropy(self.offers[:, prefix], self.offers_before[:, prefix])
        go = torch.sigmoid(-self.stop[:, prefix]).detach()  # no team is to grow because there is more to choose then
        on = bernoulli_entropy(self.stop)[:, prefix] + go * picks
        edges = self.hearers.entropy()[:, prefix[:-1], torch.arange(1, k, device=there.device)]
        return (
            categorical_entropy(self.first, self.first_before)
            + (on * (there & self.may_go[:, prefix])).sum(1)
            + edges.masked_fill(~there[:, 1:], 0.0).sum(1)
        )


def _sets(k: int) -> Bool[Tensor, "M K"]:
    """Return all sets of k places that hold the first; bit i of a row's index is place i + 1."""
    index = torch.arange(2 ** (k - 1))[:, None]
    return torch.cat([torch.ones_like(index).bool(), (index >> torch.arange(k - 1) & 1).bool()], dim=1)


def _not_none(logits: Float[Tensor, "B K"], generator: RNG, greedy: bool) -> Bool[Tensor, "B K"]:
    """Draw independent edges given that there is at least one: the last of them, then those before it."""
    k = logits.shape[1]
    if greedy:
        return (logits > 0) | one_hot(logits.argmax(-1), k).bool()
    free = softplus(logits)
    last = categorical(logits + free.cumsum(-1) - free, generator, greedy)[:, None]
    place = torch.arange(k, device=logits.device)
    return (bernoulli(logits, generator, greedy) & (place < last)) | (place == last)
