"""MacNet: acyclic shapes of up to a thousand agents and more, with its rule for several solutions.

Qian et al., "Scaling Large Language Model-based Multi-Agent Collaboration", arXiv 2406.07155.
Departures are named on docs/methods/macnet.md.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from gdesign.agents import topologies
from gdesign.errors import ConfigError
from gdesign.types import Agent, Decision, Design, Edge


def macnet(
    agents: Sequence[Agent], *, shape: str, reverse: bool = False, aggregate: bool = True, seed: int = 0
) -> Design:
    """Return agents in a shape, deciding by the agents that nobody hears.

    Aggregation: an agent with several predecessors gets one solution, into which the
    candidate that it is itself has merged theirs, two at a time; the last solutions are merged likewise, by the
    candidate of the agent named last. An agent with one predecessor hears it as it is.

    Args:
        agents: Who takes part, in the order in which the shape counts them.
        shape: One of `gdesign.agents.topologies.TOPOLOGIES`.
        reverse: Convergent (many to one) instead of divergent (one to many).
        aggregate: Merge, by one more agent for each two solutions; else agents hear all their
            predecessors at once, and several last agents vote.
        seed: Draws the edges of `random` and `small_world`.

    Raises:
        ConfigError: No agents, or an unknown shape.
    """
    if not agents:
        raise ConfigError("a MacNet needs 1 agent or more; got none")
    n = len(agents)
    pairs = topologies.edges(shape, n, reverse=reverse, seed=seed)
    if not aggregate:
        speak = {i for i, _ in pairs}
        last = [i for i in range(n) if i not in speak]
        # Design makes edges of plain tuples; a mesh of 1,000 has half a million, and two objects for each would take
        # longer than all the rest
        plain: Iterable[Any] = ((i, j, ()) for i, j in pairs)
        return Design(agents=tuple(agents), spatial=tuple(plain), decision=_of(last, n))
    heard: list[list[int]] = [[] for _ in agents]
    ends = set(range(n))
    for i, j in pairs:
        heard[j].append(i)
        ends.discard(i)
    team = list(agents)
    merged: list[Edge] = []
    for i, solutions in enumerate(heard):
        if solutions:
            merged.append(Edge(_merge(solutions, agents[i], team, merged), i))
    judge = _merge(sorted(ends), agents[-1], team, merged)
    return Design(agents=tuple(team), spatial=tuple(merged), decision=Decision(kind="judge", judge=judge))


def _merge(solutions: Sequence[int], by: Agent, team: list[Agent], edges: list[Edge]) -> int:
    """Add the agents and edges that merge solutions two at a time; return who has the one that is left."""
    while len(solutions) > 1:
        pairs = [solutions[k : k + 2] for k in range(0, len(solutions), 2)]
        solutions = []
        for pair in pairs:
            if len(pair) == 1:
                solutions.append(pair[0])
            else:
                solutions.append(len(team))
                edges += [Edge(i, len(team)) for i in pair]
                team.append(by)
    return solutions[0]


def _of(last: Sequence[int], n: int) -> Decision:
    if len(last) == 1:
        return Decision(kind="judge", judge=last[0])
    if len(last) == n:
        return Decision(kind="vote")
    return Decision(kind="weighted_vote", weights=tuple(float(i in last) for i in range(n)))
