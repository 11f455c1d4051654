"""Acyclic communication graphs as a distribution: an order, an edge between each ordered pair, one decider.

The order is drawn backwards by Plackett-Luce (Luce 1959; GPTSwarm, arXiv 2402.16823, learns an order
likewise): the first pick speaks last and decides. Then each agent hears each agent picked after it
with that pair's own probability, so no draw can hold a circle and no pair is ever searched for one.
Agents without a path to the decider are left out of the design; all draws that give the same design
are summed, so probabilities are those of designs.

With a temporal part, each slot may also hear each other slot's words of the round before, and a slot
listens to anybody in a later round only with a probability of its own; in the first round all listen.
After the last round in which somebody is heard, no further round is held.

Shape letters: B problems in a batch, N slots, L rounds after the first, G slot graphs that give the same
design, M = 2^N sets of slots.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.design.base import Draft
from gdesign.errors import ConfigError
from gdesign.types import Agent, Decision, Design, Edge

MAX_EXACT = 12
"""Up to this many slots the orders are summed exactly (2^N sets); beyond, a draw carries its own order."""

NEVER = -1e9
"""Stands for log 0 inside sums, where an infinity would turn gradients into NaN."""

ALWAYS = -NEVER
"""The logit of what is certain."""


@dataclass(frozen=True, kw_only=True)
class SlotGraphs:
    """One graph over the slots a problem.

    Attributes:
        adjacency: [i, j] where slot j hears slot i; only between kept slots.
        keep: Slots with a path to the decider.
        decider: The slot that decides.
        order: The slots in the order they were picked, the decider first; None for a given design.
        later: What is heard after the first round where that is drawn too; None if every round is alike.
    """

    adjacency: Bool[Tensor, "B N N"]
    keep: Bool[Tensor, "B N"]
    decider: Int[Tensor, " B"]
    order: Int[Tensor, "B N"] | None = None
    later: "Later | None" = None


@dataclass(frozen=True, kw_only=True)
class Later:
    """What the slots of one graph a problem hear after the first round.

    Attributes:
        temporal: [i, j] where slot j hears what slot i said in the round before; only between kept
            slots and only where j listens in some round.
        listens: [j, l] where slot j listens in round l + 2; of no account where it has nobody to hear.
        last: The last round in which a slot's words can reach the decision; 0 where it is not kept.
    """

    temporal: Bool[Tensor, "B N N"]
    listens: Bool[Tensor, "B N L"]
    last: Int[Tensor, "B N"]


class EdgeDistribution:
    """Independent edges along an order drawn by Plackett-Luce.

    Args:
        order_logits: A higher one is picked earlier, and so speaks later.
        edge_logits: [i, j] is for slot j hearing slot i, should j be picked before i.
        mask: Which slots are there.
        temporal_logits: [i, j] is for slot j hearing what slot i said in the round before; None for no
            temporal edges.
        listen_logits: [j, l] is for slot j listening to those it can hear in round l + 2; given with
            `temporal_logits`.
    """

    def __init__(
        self,
        *,
        order_logits: Float[Tensor, "B N"],
        edge_logits: Float[Tensor, "B N N"],
        mask: Bool[Tensor, "B N"],
        temporal_logits: Float[Tensor, "B N N"] | None = None,
        listen_logits: Float[Tensor, "B N L"] | None = None,
    ) -> None:
        assert (temporal_logits is None) == (listen_logits is None)
        self.order_logits = order_logits.masked_fill(~mask, NEVER)
        self.edge_logits = edge_logits
        self.mask = mask
        self.temporal_logits = temporal_logits
        self.listen_logits = listen_logits
        n = mask.shape[1]
        off_diagonal = ~torch.eye(n, dtype=torch.bool, device=mask.device)
        self._pairs = mask[:, :, None] & mask[:, None, :] & off_diagonal

    def sample(self, *, generator: torch.Generator | None = None, greedy: bool = False) -> SlotGraphs:
        """Draw one graph a problem; greedily, the likeliest order and every edge above one half."""
        with torch.no_grad():
            keys = self.order_logits
            if not greedy:
                keys = keys + _gumbel(keys, generator)
            order = keys.masked_fill(~self.mask, -torch.inf).argsort(dim=-1, descending=True, stable=True)
            rank = torch.empty_like(order).scatter_(
                1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
            )
            earlier = rank[:, :, None] > rank[:, None, :]  # slot i is picked after slot j, so it may be heard by it
            adjacency = _bernoulli(self.edge_logits, generator, greedy) & earlier & self._pairs
            later = None
            if self.temporal_logits is None or self.listen_logits is None:
                keep = reaches(adjacency, order[:, 0])
            else:
                temporal = _bernoulli(self.temporal_logits, generator, greedy) & self._pairs
                listens = _bernoulli(self.listen_logits, generator, greedy)
                last = last_rounds(adjacency, temporal, listens, order[:, 0])
                keep = last > 0
                heard = temporal & keep[:, :, None] & (keep & listens.any(-1))[:, None, :]
                later = Later(temporal=heard, listens=listens, last=last)
            adjacency = adjacency & keep[:, :, None] & keep[:, None, :]
            return SlotGraphs(adjacency=adjacency, keep=keep, decider=order[:, 0], order=order, later=later)

    def log_prob(self, graphs: SlotGraphs) -> Float[Tensor, " B"]:
        """Return the log-probability that a draw gives these graphs, whatever else it held.

        The sum over orders runs over sets of slots already picked, 2^N of them. Above `MAX_EXACT`
        slots it is the joint log-probability of the graph and the order it was drawn with.

        Raises:
            ConfigError: More than `MAX_EXACT` slots, and the graphs come without an order.
        """
        pair = self._pair_log_prob(graphs)
        n = self.mask.shape[1]
        if n <= MAX_EXACT:
            return self._sum_over_orders(graphs, pair) + self._later_log_prob(graphs)
        if graphs.order is None:
            raise ConfigError(
                f"the probability of a given design is summed over orders of at most {MAX_EXACT} slots; this problem "
                f"has {n}: use fewer slots, or learn from the designer's own draws"
            )
        first = self.order_log_prob(graphs.order) + _along(pair, graphs.order).sum((1, 2))
        return first + self._later_log_prob(graphs)

    def order_log_prob(self, order: Int[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Return the Plackett-Luce log-probability of an order of picks."""
        picked = self.order_logits.gather(1, order)
        left = picked.flip(1).logcumsumexp(1).flip(1)
        return ((picked - left) * self.mask.gather(1, order)).sum(1)

    def entropy(self, order: Int[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Return the entropy of every pick, every edge along a drawn order, and all that is heard later.

        Its mean over orders is the entropy of the draw (order and all edges, before agents without
        a path are left out), an upper bound of the design's.
        """
        picked = self.order_logits.gather(1, order)
        there = self.mask.gather(1, order)
        n = order.shape[1]
        left = torch.ones(n, n, dtype=torch.bool, device=order.device).triu()[None] & there[:, None, :]
        log_p = picked[:, None, :].expand(-1, n, -1).masked_fill(~left, NEVER).log_softmax(-1)
        picks = (-(log_p.exp() * log_p).masked_fill(~left, 0.0).sum(-1) * there).sum(1)
        bernoulli = _bernoulli_entropy(self.edge_logits).masked_fill(~self._pairs, 0.0)
        first = picks + _along(bernoulli, order).sum((1, 2))
        if self.temporal_logits is None or self.listen_logits is None:
            return first
        temporal = _bernoulli_entropy(self.temporal_logits).masked_fill(~self._pairs, 0.0).sum((1, 2))
        return first + temporal + (_bernoulli_entropy(self.listen_logits).sum(-1) * self.mask).sum(1)

    def edge_probability(self) -> Float[Tensor, "B N N"]:
        """Return the probability that slot j hears slot i, over orders and edges."""
        after = torch.sigmoid(self.order_logits[:, None, :] - self.order_logits[:, :, None])
        return (after * torch.sigmoid(self.edge_logits)).masked_fill(~self._pairs, 0.0)

    def temporal_probability(self) -> Float[Tensor, "B N N"]:
        """Return the probability that slot j could hear what slot i said in the round before."""
        assert self.temporal_logits is not None
        return torch.sigmoid(self.temporal_logits).masked_fill(~self._pairs, 0.0)

    def __getitem__(self, rows: Int[Tensor, " G"]) -> "EdgeDistribution":
        """Return the distributions of some problems, in that order."""
        return EdgeDistribution(
            order_logits=self.order_logits[rows],
            edge_logits=self.edge_logits[rows],
            mask=self.mask[rows],
            temporal_logits=None if self.temporal_logits is None else self.temporal_logits[rows],
            listen_logits=None if self.listen_logits is None else self.listen_logits[rows],
        )

    def _pair_log_prob(self, graphs: SlotGraphs) -> Float[Tensor, "B N N"]:
        """Return [v, u]: what v adds where it is picked after u, so that u could hear v.

        Between kept slots the edge is there or not; a slot that was left out has no edge into a kept
        one; everything else is free and so adds nothing.
        """
        there = torch.nn.functional.logsigmoid(self.edge_logits)
        absent = torch.nn.functional.logsigmoid(-self.edge_logits)
        into_kept = graphs.keep[:, None, :] & self._pairs
        return torch.where(graphs.adjacency, there, absent).masked_fill(~into_kept, 0.0)

    def _later_log_prob(self, graphs: SlotGraphs) -> Float[Tensor, " B"] | float:
        """Return what temporal edges and listening add; they do not depend on the order.

        Spatial edges are heard in the first round, so each one between kept slots shows in the design, and
        with it the rounds in which its hearer listens; so does a temporal edge. Where a kept slot has
        neither, its rounds are unknown, and it has nobody to hear or never listens. A temporal edge from
        a slot that was left out could be there only if its hearer listens in no round that matters.
        """
        if self.temporal_logits is None or self.listen_logits is None:
            return 0.0
        assert graphs.later is not None
        later, keep = graphs.later, graphs.keep
        logsigmoid = torch.nn.functional.logsigmoid
        yes, no = logsigmoid(self.listen_logits), logsigmoid(-self.listen_logits)
        there, absent = logsigmoid(self.temporal_logits), logsigmoid(-self.temporal_logits)
        edges = torch.where(later.temporal, there, absent).masked_fill(~(keep[:, :, None] & self._pairs), 0.0).sum(1)
        left_out = absent.masked_fill(keep[:, :, None] | ~self._pairs, 0.0).sum(1)
        rounds = torch.arange(2, later.listens.shape[-1] + 2, device=keep.device)
        matters = rounds <= later.last[:, :, None]

        listens_at_all, in_time = later.listens.any(-1), (later.listens & matters).any(-1)
        known = torch.where(later.listens, yes, no).sum(-1) + edges * listens_at_all + left_out * in_time
        never = no.sum(-1)
        before = no.cumsum(-1) - no
        first = before + yes + edges[..., None] + left_out[..., None] * matters  # the first round that it listens in
        unknown = torch.cat([never[..., None], first], dim=-1).logsumexp(-1)
        shows = (graphs.adjacency | later.temporal).any(1)
        out = torch.where(shows, known, unknown).masked_fill(~keep, 0.0).sum(1)
        return torch.where(out < NEVER / 2, torch.full_like(out, -torch.inf), out)

    def _sum_over_orders(self, graphs: SlotGraphs, pair: Float[Tensor, "B N N"]) -> Float[Tensor, " B"]:
        n = self.mask.shape[1]
        sets, place, levels = _subsets(n)
        member = sets.to(pair)  # M N
        left = (self.order_logits[:, None, :] + member * NEVER).logsumexp(-1)  # B M
        # [B, N, M]: slot v is picked when a set of slots has been
        step = self.order_logits[:, :, None] - left[:, None, :] + pair @ member.T
        too_early = graphs.adjacency.to(pair) @ (1 - member).T > 0  # a slot that hears v is not picked yet
        too_early[:, :, 0] |= torch.arange(n, device=pair.device) != graphs.decider[:, None]
        step = step.masked_fill(too_early | ~self.mask[:, :, None], NEVER)
        totals = [step.new_zeros(len(step), 1)]
        for slot, before, position in levels:
            totals.append((step[:, slot, before] + totals[-1][:, position]).logsumexp(-1))
        everybody = place.to(self.mask.device)[(self.mask * 2 ** torch.arange(n, device=self.mask.device)).sum(1)]
        out = torch.cat(totals, dim=1).gather(1, everybody[:, None])[:, 0]
        return torch.where(out < NEVER / 2, torch.full_like(out, -torch.inf), out)


def reaches(adjacency: Bool[Tensor, "B N N"], decider: Int[Tensor, " B"]) -> Bool[Tensor, "B N"]:
    """Return which slots have a path to the decider, itself included."""
    return _paths(adjacency).gather(2, decider[:, None, None].expand(-1, adjacency.shape[1], 1))[..., 0]


def last_rounds(
    adjacency: Bool[Tensor, "B N N"],
    temporal: Bool[Tensor, "B N N"],
    listens: Bool[Tensor, "B N L"],
    decider: Int[Tensor, " B"],
) -> Int[Tensor, "B N"]:
    """Return the last round in which each slot's words can reach the decision; 0 where they never do."""
    matter = torch.zeros_like(adjacency[:, 0]).scatter_(1, decider[:, None], True)
    last = torch.zeros_like(matter, dtype=torch.long)
    for r in range(listens.shape[-1] + 1, 0, -1):
        hears = adjacency & listens[:, None, :, r - 2] if r > 1 else adjacency
        matter = (_paths(hears) & matter[:, None, :]).any(2)
        last = torch.where((last == 0) & matter, r, last)
        if r > 1:
            matter = matter | (temporal & (matter & listens[:, :, r - 2])[:, None, :]).any(2)
    return last


def _paths(adjacency: Bool[Tensor, "B N N"]) -> Bool[Tensor, "B N N"]:
    n = adjacency.shape[1]
    closure = (adjacency | torch.eye(n, dtype=torch.bool, device=adjacency.device)).float()
    for _ in range(max(1, (n - 1).bit_length())):
        closure = (closure @ closure).clamp_(max=1.0)
    return closure > 0


def draw(
    edges: EdgeDistribution,
    problem: Batch,
    *,
    num_rounds: int,
    num_designs: int = 1,
    generator: torch.Generator | None = None,
    greedy: bool = False,
    penalty: Float[Tensor, " _"] | None = None,
) -> Draft:
    """Draw designs from each distribution; their entropy is that of the order and all edges.

    Args:
        edges: One distribution a design, or one a problem, from which `num_designs` are drawn.
        problem: T problems.
        num_rounds: How often each agent gets the floor.
        num_designs: K.
        generator: Where randomness comes from.
        greedy: Take the likeliest order, and every edge above one half.
        penalty: Of each of the distributions, for the draft.
    """
    if len(edges.mask) < num_designs * problem.num_graphs:
        rows = each(problem.num_graphs, num_designs, edges.mask.device)
        edges, penalty = edges[rows], None if penalty is None else penalty[rows]
    graphs = edges.sample(generator=generator, greedy=greedy)
    return draft_of(graphs, edges, problem, num_rounds=num_rounds, penalty=penalty)


def draft_of(
    graphs: SlotGraphs,
    edges: EdgeDistribution,
    problem: Batch,
    *,
    num_rounds: int,
    penalty: Float[Tensor, " B"] | None = None,
    value: Float[Tensor, " B"] | None = None,
) -> Draft:
    """Return the draft of graphs that were drawn from these edges."""
    assert graphs.order is not None
    agents = slot_agents(problem, len(graphs.decider) // problem.num_graphs)

    def designs() -> list[Design]:
        return to_designs(graphs, agents, num_rounds=num_rounds)

    if all(len(set(row)) == len(row) for row in agents) or graphs.keep.shape[1] > MAX_EXACT:
        log_prob = edges.log_prob(graphs)
    else:  # several slots hold one candidate, so several graphs may give the design
        log_prob = design_log_prob(edges, agents, designs(), num_rounds=num_rounds)
    return Draft(
        designs=designs,
        log_prob=log_prob,
        entropy=edges.entropy(graphs.order),
        penalty=torch.zeros_like(log_prob) if penalty is None else penalty,
        soft=edges.edge_probability(),
        value=value,
    )


def design_log_prob(
    edges: EdgeDistribution, agents: Sequence[Sequence[Agent]], designs: Sequence[Design], *, num_rounds: int
) -> Float[Tensor, " B"]:
    """Return the log-probability of one design a distribution: all slot graphs that give it, summed."""
    graphs, owner = from_designs(designs, agents, edges=edges, num_rounds=num_rounds)
    log_prob = edges[owner].log_prob(graphs)
    nothing = log_prob.new_full((1,), -torch.inf)
    return torch.stack([torch.cat([nothing, log_prob[owner == b]]).logsumexp(0) for b in range(len(designs))])


def to_designs(graphs: SlotGraphs, agents: Sequence[Sequence[Agent]], *, num_rounds: int) -> list[Design]:
    """Build the designs of slot graphs over these agents; the decider has the last word."""
    if graphs.later is not None:
        return [
            _design(at_slot, g, num_rounds) for at_slot, g in zip(agents, _graphs(graphs, graphs.later), strict=True)
        ]
    place = graphs.keep.cumsum(1) - 1  # of a kept slot among the kept ones
    b, i, j = graphs.adjacency.nonzero(as_tuple=True)
    # Columns of numbers: building a list or an Edge for each of them here would take as long as all the rest.
    edges: Iterator[Any] = zip(place[b, i].tolist(), place[b, j].tolist(), itertools.repeat(()), strict=False)
    return [
        Design(
            agents=tuple(itertools.compress(at_slot, keep)),
            spatial=tuple(itertools.islice(edges, num_edges)),
            num_rounds=num_rounds,
        )
        for at_slot, keep, num_edges in zip(
            agents, graphs.keep.tolist(), graphs.adjacency.sum((1, 2)).tolist(), strict=True
        )
    ]


class _Graph(NamedTuple):
    """One slot graph, as Python values.

    Rounds are, for each slot, those after the first in which it listens; None where every round is alike.
    """

    kept: frozenset[int]
    decider: int
    spatial: frozenset[tuple[int, int]]
    temporal: frozenset[tuple[int, int]] = frozenset()
    rounds: frozenset[tuple[int, tuple[int, ...]]] | None = None


def from_designs(
    designs: Sequence[Design], agents: Sequence[Sequence[Agent]], *, edges: EdgeDistribution, num_rounds: int
) -> tuple[SlotGraphs, Int[Tensor, " G"]]:
    """Return every slot graph that gives one of the designs, and which design each belongs to.

    Several slots of one candidate can give the same design; a design outside the family (gates, other
    decisions or rounds, agents on no slot, temporal edges that the family lacks) has no slot graph.
    """
    found: list[_Graph] = []
    owner: list[int] = []
    temporal = edges.temporal_logits is not None
    for b, (design, at_slot, there) in enumerate(zip(designs, agents, edges.mask.tolist(), strict=True)):
        if not _in_family(design, num_rounds, temporal):
            continue
        rounds = _rounds(design) if temporal else {}
        decider = len(design.agents) - 1 if design.decision.judge is None else design.decision.judge
        distinct = len(set(at_slot)) == len(at_slot)
        places = [[k for k, other in enumerate(at_slot) if other == agent and there[k]] for agent in design.agents]
        seen = set()
        for placed in itertools.product(*places):
            graph = _Graph(
                kept=frozenset(placed),
                decider=placed[decider],
                spatial=frozenset((placed[e.src], placed[e.dst]) for e in design.spatial),
                temporal=frozenset((placed[e.src], placed[e.dst]) for e in design.temporal),
                rounds=frozenset((placed[i], r) for i, r in rounds.items()) if temporal else None,
            )
            if len(graph.kept) < len(placed) or graph in seen:
                continue
            if not distinct and _design(at_slot, graph, num_rounds) != design:
                continue
            seen.add(graph)
            found.append(graph)
            owner.append(b)
    return _slot_graphs(found, like=edges.mask, num_later=num_rounds - 1 if temporal else 0), torch.tensor(
        owner, dtype=torch.long, device=edges.mask.device
    )


def _in_family(design: Design, num_rounds: int, temporal: bool) -> bool:
    if not temporal:
        alike = not design.temporal and not any(e.rounds for e in design.spatial)
        return alike and design.decision.kind == "last" and design.num_rounds == num_rounds
    every = tuple(range(1, design.num_rounds + 1))
    rounds = _rounds(design)
    return (
        design.decision.kind in ("last", "judge")
        and design.num_rounds <= num_rounds
        and all((e.rounds or every) == (1, *rounds[e.dst]) for e in design.spatial)
        and all((e.rounds or every[1:]) == rounds[e.dst] for e in design.temporal)
        and design.num_rounds == max((r for listens in rounds.values() for r in listens), default=1)
    )


def _rounds(design: Design) -> dict[int, tuple[int, ...]]:
    """Return in which rounds after the first each agent that hears somebody listens, by one of its edges."""
    every = tuple(range(1, design.num_rounds + 1))
    return {e.dst: tuple(r for r in e.rounds or every if r > 1) for e in (*design.spatial, *design.temporal)}


def _slot_graphs(found: Sequence[_Graph], *, like: Bool[Tensor, "B N"], num_later: int) -> SlotGraphs:
    n = like.shape[1]
    adjacency = like.new_zeros(len(found), n, n)
    keep = like.new_zeros(len(found), n)
    for g, graph in enumerate(found):
        keep[g, list(graph.kept)] = True
    if pairs := [(g, i, j) for g, graph in enumerate(found) for i, j in graph.spatial]:
        adjacency[tuple(zip(*pairs, strict=True))] = True
    decider = torch.tensor([graph.decider for graph in found], dtype=torch.long).to(like.device)
    later = None
    if num_later:
        temporal = torch.zeros_like(adjacency)
        if pairs := [(g, i, j) for g, graph in enumerate(found) for i, j in graph.temporal]:
            temporal[tuple(zip(*pairs, strict=True))] = True
        listens = like.new_zeros(len(found), n, num_later)
        if turns := [
            (g, i, r - 2) for g, graph in enumerate(found) for i, rounds in graph.rounds or () for r in rounds
        ]:
            listens[tuple(zip(*turns, strict=True))] = True
        last = last_rounds(adjacency, temporal, listens, decider)
        later = Later(temporal=temporal, listens=listens, last=last)
    return SlotGraphs(adjacency=adjacency, keep=keep, decider=decider, later=later)


def _graphs(graphs: SlotGraphs, later: Later) -> list[_Graph]:
    """Return slot graphs as Python values."""
    kept: list[list[int]] = [[] for _ in graphs.keep]
    for b, i in graphs.keep.nonzero().tolist():
        kept[b].append(i)
    return [
        _Graph(
            kept=frozenset(slots),
            decider=decider,
            spatial=frozenset(spatial),
            temporal=frozenset(temporal),
            rounds=frozenset((i, tuple(r for r, yes in enumerate(listens[i], 2) if yes)) for i in slots),
        )
        for slots, decider, spatial, temporal, listens in zip(
            kept,
            graphs.decider.tolist(),
            _pairs(graphs.adjacency),
            _pairs(later.temporal),
            later.listens.tolist(),
            strict=True,
        )
    ]


def _pairs(edges: Bool[Tensor, "B N N"]) -> list[list[tuple[int, int]]]:
    out: list[list[tuple[int, int]]] = [[] for _ in edges]
    for b, i, j in edges.nonzero().tolist():
        out[b].append((i, j))
    return out


def each(num_problems: int, num_designs: int, device: torch.device) -> Int[Tensor, " B"]:
    """Return the problem of each of so many designs a problem, task by task."""
    return torch.arange(num_problems, device=device).repeat_interleave(num_designs)


def slot_agents(problem: Batch, num_designs: int = 1) -> list[list[Agent]]:
    """Return the agent at each slot of each problem, in node order; as often as designs are drawn for it."""
    slots, ptr = problem.slot.tolist(), problem.ptr.tolist()
    agents = [
        [space.agents[s] for s in slots[a:b] if s >= 0]
        for space, (a, b) in zip(problem.space, itertools.pairwise(ptr), strict=True)
    ]
    return [at_slot for at_slot in agents for _ in range(num_designs)]


def _design(agents: Sequence[Agent], graph: _Graph, num_rounds: int) -> Design:
    kept = sorted(graph.kept)
    new = {i: k for k, i in enumerate(kept)}
    listens: dict[int, tuple[int, ...]] = {}
    if graph.rounds is not None:
        hearers = {j for _, j in graph.spatial | graph.temporal}
        listens = {i: rounds for i, rounds in graph.rounds if i in hearers}
        num_rounds = max((r for rounds in listens.values() for r in rounds), default=1)
    return Design(
        agents=tuple(agents[i] for i in kept),
        spatial=tuple(Edge(new[i], new[j], (1, *listens[j]) if listens else ()) for i, j in graph.spatial),
        temporal=tuple(Edge(new[i], new[j], listens[j]) for i, j in graph.temporal),
        num_rounds=num_rounds,
        decision=Decision(kind="judge", judge=new[graph.decider]),
    )


def _bernoulli(logits: Float[Tensor, "..."], generator: torch.Generator | None, greedy: bool) -> Bool[Tensor, "..."]:
    p = torch.sigmoid(logits)
    if greedy:
        return p > 0.5
    return torch.rand(p.shape, generator=generator, device=p.device, dtype=p.dtype) < p


def _gumbel(like: Float[Tensor, "..."], generator: torch.Generator | None) -> Float[Tensor, "..."]:
    u = torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    tiny = torch.finfo(like.dtype).tiny
    return -(-(u.clamp_min(tiny)).log()).clamp_min(tiny).log()


def _along(pair: Float[Tensor, "B N N"], order: Int[Tensor, "B N"]) -> Float[Tensor, "B N N"]:
    """Return [k, l] of the pair (k-th pick, l-th pick) where k was picked after l, else 0."""
    n = order.shape[1]
    rows = pair.gather(1, order[:, :, None].expand(-1, -1, n))
    return rows.gather(2, order[:, None, :].expand(-1, n, -1)).tril(-1)


def _bernoulli_entropy(logits: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    p = torch.sigmoid(logits)
    return torch.nn.functional.softplus(logits) - p * logits


@lru_cache
def _subsets(n: int) -> tuple[Tensor, Tensor, tuple[tuple[Tensor, Tensor, Tensor], ...]]:
    """Return all sets of n slots by size, the place of each bit mask among them, and how sets grow.

    For each size k = 1..n: which slot was added (S_k k), the place of the smaller set among all
    sets (S_k k), and its place among the sets of size k - 1 (S_k k).
    """
    masks = sorted(range(2**n), key=lambda m: (m.bit_count(), m))
    index = {m: i for i, m in enumerate(masks)}
    levels = []
    for k in range(1, n + 1):
        level = [m for m in masks if m.bit_count() == k]
        smaller = next(i for i, m in enumerate(masks) if m.bit_count() == k - 1)
        slots = [[i for i in range(n) if m >> i & 1] for m in level]
        before = torch.tensor([[index[m ^ 1 << i] for i in row] for m, row in zip(level, slots, strict=True)])
        levels.append((torch.tensor(slots), before, before - smaller))
    member = torch.tensor([[bool(m >> i & 1) for i in range(n)] for m in masks])
    return member, torch.tensor([index[m] for m in range(2**n)]), tuple(levels)
