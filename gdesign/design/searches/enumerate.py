"""All small designs of a pool: what the best that a designer could do is looked for among."""

from collections.abc import Iterator, Sequence
from itertools import combinations, combinations_with_replacement, product

from gdesign.types import Agent, AgentPool, Candidate, Decision, Design, Edge, Gate


def small_designs(pool: AgentPool, max_agents: int = 3, *, messages: bool = True, copies: bool = False) -> list[Design]:
    """Return the designs of up to `max_agents` candidates, one round, in a fixed order.

    For every set of candidates these are all acyclic spatial graphs, decided by the last agent or by
    a vote, and the cascades in which the last agent speaks only where the others do not all agree,
    hearing them or not. Each design is there once, in its canonical form.

    Args:
        max_agents: Size of the largest team; the number of graphs grows as 1, 3, 25, 543.
    """
    found: dict[Design, None] = {}
    for size in range(1, max_agents + 1):
        for team in _teams(pool.candidates, size, copies):
            agents = tuple(_agent(c) for c in team)
            for edges, decision in product(_acyclic(size) if messages else [()], (Decision(), Decision(kind="vote"))):
                found[Design(agents=agents, spatial=edges, decision=decision)] = None
            if size >= 3:
                for last in range(size):
                    first = [c for i, c in enumerate(team) if i != last]
                    gate = Gate(watch=tuple(range(size - 1)), quorum=size - 1)
                    agents = (*(_agent(c) for c in first), _agent(team[last], gate))
                    hears = tuple(Edge(i, size - 1) for i in range(size - 1))
                    for edges in ((), hears) if messages else ((),):
                        found[Design(agents=agents, spatial=edges)] = None
    return list(found)


def cascades(pool: AgentPool, num_agents: int, *, copies: bool = False) -> list[Design]:
    """Return the designs in which one agent speaks only where fewer than a quorum of the others agree.

    The others hear nobody; the one that is gated hears all of them or nobody. Quorums are from two to all.

    Args:
        num_agents: Size of the team, the gated agent included; three or more.
    """
    found: dict[Design, None] = {}
    first = range(num_agents - 1)
    for team in _teams(pool.candidates, num_agents - 1, copies):
        for last in pool.candidates:
            if last in team and not copies:
                continue
            for quorum in range(2, num_agents):
                agents = (*(_agent(c) for c in team), _agent(last, Gate(watch=tuple(first), quorum=quorum)))
                for edges in ((), tuple(Edge(i, num_agents - 1) for i in first)):
                    found[Design(agents=agents, spatial=edges)] = None
    return list(found)


def _teams(candidates: Sequence[Candidate], size: int, copies: bool) -> Iterator[tuple[Candidate, ...]]:
    return combinations_with_replacement(candidates, size) if copies else combinations(candidates, size)


def _agent(candidate: Candidate, gate: Gate | None = None) -> Agent:
    return Agent(role=candidate.role, llm=candidate.llm, operator=candidate.operator, gate=gate)


def _acyclic(size: int) -> list[tuple[Edge, ...]]:
    pairs = list(combinations(range(size), 2))
    graphs = []
    for choice in product((0, 1, 2), repeat=len(pairs)):
        edges = tuple(Edge(i, j) if way == 1 else Edge(j, i) for (i, j), way in zip(pairs, choice, strict=True) if way)
        if _has_order(size, edges):
            graphs.append(edges)
    return graphs


def _has_order(size: int, edges: tuple[Edge, ...]) -> bool:
    left = set(range(size))
    while free := {i for i in left if not any(e.dst == i and e.src in left for e in edges)}:
        left -= free
    return not left
