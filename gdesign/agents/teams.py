"""The field's standard teams: agents in, a design out.

Whoever needs one of them, a fixed designer, a search, a shape of joint or a comparison on the page, takes it from here.
"""

import random as standard_random
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from gdesign.agents import topologies
from gdesign.errors import ConfigError
from gdesign.types import Agent, Decision, Design, Edge, Gate


def single(agents: Sequence[Agent]) -> Design:
    """Return the design in which one agent answers alone.

    Raises:
        ConfigError: There is not exactly one agent.
    """
    if len(agents) != 1:
        raise ConfigError(f"a single agent is one agent; got {len(agents)}: set num_agents=1 or name one slot")
    return Design(agents=tuple(agents))


def vote(agents: Sequence[Agent]) -> Design:
    """Return the design in which nobody hears anyone and the most frequent answer wins.

    Ties go to the agent named first.
    """
    return Design(agents=tuple(agents), decision=Decision(kind="vote"))


def chain(agents: Sequence[Agent]) -> Design:
    """Return the design in which each agent hears the one before it and the last decides."""
    return Design(agents=tuple(agents), spatial=_shaped("chain", agents))


def star(agents: Sequence[Agent]) -> Design:
    """Return the design in which the leaves speak and the hub, the agent named last, hears them all and decides."""
    _at_least(2, agents, "star")
    hub = len(agents) - 1
    return Design(agents=tuple(agents), spatial=tuple(Edge(i, hub) for i in range(hub)))


def tree(agents: Sequence[Agent]) -> Design:
    """Return the binary tree whose leaves speak first and whose root, the agent named first, decides.

    Agent i hears agents 2i+1 and 2i+2 (a binary heap), the convergent tree of MacNet
    (https://arxiv.org/abs/2406.07155).
    """
    spatial = _shaped("tree", agents, reverse=True)
    return Design(agents=tuple(agents), spatial=spatial, decision=Decision(kind="judge", judge=0))


def layered(agents: Sequence[Agent], *, num_layers: int) -> Design:
    """Return the design in which each layer hears the whole layer before it and the last layer votes.

    Args:
        agents: Dealt to the layers in order, as evenly as possible, the remainder to the first ones.
        num_layers: How many layers.
    """
    if num_layers < 1:
        raise ConfigError(f"num_layers must be 1 or more; got {num_layers}")
    _at_least(num_layers, agents, f"layered design of {num_layers} layers")
    size, extra = divmod(len(agents), num_layers)
    sizes = [size + (layer < extra) for layer in range(num_layers)]
    spatial = tuple(Edge(i, j) for i, j in topologies.layered(sizes))
    if sizes[-1] == 1:
        decision = Decision()
    elif num_layers == 1:
        decision = Decision(kind="vote")
    else:
        first = len(agents) - sizes[-1]
        decision = Decision(kind="weighted_vote", weights=tuple(float(i >= first) for i in range(len(agents))))
    return Design(agents=tuple(agents), spatial=spatial, decision=decision)


def complete(agents: Sequence[Agent]) -> Design:
    """Return the design in which each agent hears all before it and the last decides."""
    return Design(agents=tuple(agents), spatial=_shaped("mesh", agents))


def random(agents: Sequence[Agent], *, probability: float, seed: int) -> Design:
    """Return a random acyclic design: each agent hears each one before it with some probability; all vote.

    They vote because an agent without a path to a single decider would be left out: the team would
    then be of random size.

    Args:
        agents: Who takes part.
        probability: Of each edge.
        seed: Draws the edges.
    """
    if not 0 <= probability <= 1:
        raise ConfigError(f"probability must lie in 0..1; got {probability}")
    rng = standard_random.Random(seed)
    spatial = tuple(Edge(i, j) for i, j in combinations(range(len(agents)), 2) if rng.random() < probability)
    return Design(agents=tuple(agents), spatial=spatial, decision=Decision(kind="vote"))


def small_world(agents: Sequence[Agent], *, num_neighbors: int, rewire: float, seed: int) -> Design:
    """Return a Watts-Strogatz graph, each edge from the lower to the higher index; all vote, as in `random`.

    Args:
        agents: Who takes part.
        num_neighbors: Even; each agent is tied to so many nearest ones on a ring.
        rewire: Probability that an edge is moved.
        seed: Draws which.
    """
    _at_least(num_neighbors + 1, agents, f"small world of {num_neighbors} neighbors")
    pairs = topologies.small_world(len(agents), num_neighbors=num_neighbors, rewire=rewire, seed=seed)
    spatial = tuple(Edge(i, j) for i, j in pairs)
    return Design(agents=tuple(agents), spatial=spatial, decision=Decision(kind="vote"))


def debate(agents: Sequence[Agent], *, num_rounds: int = 2) -> Design:
    """Return the debate: in each round after the first all hear what all others said before; then they vote.

    Du et al., Improving Factuality and Reasoning through Multiagent Debate (https://arxiv.org/abs/2305.14325).
    """
    n = len(agents)
    temporal = tuple(Edge(i, j) for i in range(n) for j in range(n) if i != j) if num_rounds > 1 else ()
    return Design(agents=tuple(agents), temporal=temporal, num_rounds=num_rounds, decision=Decision(kind="vote"))


def cascade(agents: Sequence[Agent], *, quorum: int | None = None) -> Design:
    """Return the agreement cascade: the agent named last watches all others and decides if they disagree.

    It stays silent once `quorum` of them give the same answer; that answer then stands.

    Args:
        agents: Those asked first, then the one asked if they disagree.
        quorum: How many equal answers are agreement; None for all of those asked first.
    """
    _at_least(2, agents, "cascade")
    *first, last = agents
    quorum = len(first) if quorum is None else quorum
    gate = Gate(watch=tuple(range(len(first))), quorum=quorum)
    if quorum == len(first):
        decision = Decision()  # once all agree, any of them speaks for all
    else:  # the last overrules the others together; silent, it leaves them their vote
        decision = Decision(kind="weighted_vote", weights=(*(1.0 for _ in first), float(len(agents))))
    return Design(agents=(*first, replace(last, gate=gate)), decision=decision)


def asking(agents: Sequence[Agent]) -> Design:
    """Return the cascade whose last agent hears those that disagree before it answers."""
    plain, last = cascade(agents), len(agents) - 1
    return replace(plain, spatial=tuple(Edge(i, last) for i in range(last)))


def cascade_twice(agents: Sequence[Agent]) -> Design:
    """Return two agents, a third where they disagree, a fourth where no two of the three agree."""
    a, b, c, d = agents
    third, fourth = Gate(watch=(0, 1), quorum=2), Gate(watch=(0, 1, 2), quorum=2)
    return Design(agents=(a, b, replace(c, gate=third), replace(d, gate=fourth)))


def reflection(agents: Sequence[Agent], *, num_rounds: int) -> Design:
    """Return the design in which nobody hears anyone, all reconsider their own first answer, and then vote."""
    return Design(agents=tuple(agents), num_rounds=num_rounds, decision=Decision(kind="vote"))


def _shaped(shape: str, agents: Sequence[Agent], *, reverse: bool = False) -> tuple[Edge, ...]:
    return tuple(Edge(i, j) for i, j in topologies.edges(shape, len(agents), reverse=reverse))


def _at_least(num: int, agents: Sequence[Agent], what: str) -> None:
    if len(agents) < num:
        raise ConfigError(f"a {what} needs {num} agents or more; got {len(agents)}")
