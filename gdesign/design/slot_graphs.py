"""Graphs over the slots of a problem, and the designs that they are.

Agents without a path to the decider are left out of the design. Where slots hold the same candidate, several graphs
give the same design.

Shape letters: B problems in a batch, N slots, L rounds after the first, G slot graphs that give the same design.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.types import Agent, Decision, Design, Edge


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


def pairs_of(mask: Bool[Tensor, "B N"]) -> Bool[Tensor, "B N N"]:
    """Return the pairs of two slots that are there."""
    n = mask.shape[1]
    return mask[:, :, None] & mask[:, None, :] & ~torch.eye(n, dtype=torch.bool, device=mask.device)


def to_designs(graphs: SlotGraphs, agents: Sequence[Sequence[Agent]], *, num_rounds: int) -> list[Design]:
    """Build the designs of slot graphs over these agents; the decider has the last word."""
    if graphs.later is not None:
        rows = zip(agents, _graphs(graphs, graphs.later), strict=True)
        return [_design(at_slot, graph, num_rounds) for at_slot, graph in rows]
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
    designs: Sequence[Design],
    agents: Sequence[Sequence[Agent]],
    *,
    mask: Bool[Tensor, "B N"],
    num_rounds: int,
    temporal: bool,
) -> tuple[SlotGraphs, Int[Tensor, " G"]]:
    """Return every slot graph that gives one of the designs, and which design each belongs to.

    Several slots of one candidate can give the same design; a design outside the family (gates, other
    decisions or rounds, agents on no slot, temporal edges that the family lacks) has no slot graph.

    Args:
        num_rounds: How often each agent gets the floor, at most where `temporal`.
    """
    found: list[_Graph] = []
    owner: list[int] = []
    for b, (design, at_slot, there) in enumerate(zip(designs, agents, mask.tolist(), strict=True)):
        if not _in_family(design, num_rounds, temporal):
            continue
        rounds = _rounds(design) if temporal else {}
        decider = len(design.agents) - 1 if design.decision.judge is None else design.decision.judge
        distinct = len(set(at_slot)) == len(at_slot)
        places = [[k for k, other in enumerate(at_slot) if other == agent and there[k]] for agent in design.agents]
        graphs: dict[_Graph, None] = {}
        for placed in itertools.product(*places):
            graph = _Graph(
                kept=frozenset(placed),
                decider=placed[decider],
                spatial=frozenset((placed[e.src], placed[e.dst]) for e in design.spatial),
                temporal=frozenset((placed[e.src], placed[e.dst]) for e in design.temporal),
                rounds=frozenset((placed[i], r) for i, r in rounds.items()) if temporal else None,
            )
            if len(graph.kept) == len(placed) and (distinct or _design(at_slot, graph, num_rounds) == design):
                graphs[graph] = None
        found += graphs
        owner += [b] * len(graphs)
    belongs = torch.tensor(owner, dtype=torch.long, device=mask.device)
    return _slot_graphs(found, like=mask, num_later=num_rounds - 1 if temporal else 0), belongs


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
    g, n = len(found), like.shape[1]

    def true_at(places: Iterator[tuple[int, ...]], *shape: int) -> Bool[Tensor, "..."]:
        out = like.new_zeros(g, *shape)
        if columns := tuple(zip(*places, strict=True)):
            out[columns] = True
        return out

    adjacency = true_at(((g, i, j) for g, graph in enumerate(found) for i, j in graph.spatial), n, n)
    keep = true_at(((g, i) for g, graph in enumerate(found) for i in graph.kept), n)
    decider = torch.tensor([graph.decider for graph in found], dtype=torch.long).to(like.device)
    later = None
    if num_later:
        temporal = true_at(((g, i, j) for g, graph in enumerate(found) for i, j in graph.temporal), n, n)
        turns = ((g, i, r - 2) for g, graph in enumerate(found) for i, rounds in graph.rounds or () for r in rounds)
        listens = true_at(turns, n, num_later)
        last = last_rounds(adjacency, temporal, listens, decider)
        later = Later(temporal=temporal, listens=listens, last=last)
    return SlotGraphs(adjacency=adjacency, keep=keep, decider=decider, later=later)


def _graphs(graphs: SlotGraphs, later: Later) -> Iterator[_Graph]:
    rows = zip(graphs.keep, graphs.decider.tolist(), graphs.adjacency, later.temporal, later.listens, strict=True)
    for keep, decider, spatial, temporal, listens in rows:
        slots, heard = keep.nonzero()[:, 0].tolist(), listens.tolist()
        yield _Graph(
            kept=frozenset(slots),
            decider=decider,
            spatial=frozenset((i, j) for i, j in spatial.nonzero().tolist()),
            temporal=frozenset((i, j) for i, j in temporal.nonzero().tolist()),
            rounds=frozenset((i, tuple(r for r, yes in enumerate(heard[i], 2) if yes)) for i in slots),
        )


def each(num_problems: int, num_designs: int, device: torch.device) -> Int[Tensor, " B"]:
    """Return the problem of each of so many designs a problem, task by task."""
    return torch.arange(num_problems, device=device).repeat_interleave(num_designs)


def distinct(agents: Sequence[Sequence[Agent]]) -> bool:
    """Return whether no two slots of a problem hold the same candidate, so that a design is one slot graph."""
    return all(len(set(row)) == len(row) for row in agents)


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
