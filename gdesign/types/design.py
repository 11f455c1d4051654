"""Who takes part, who hears whom, when to stop: a design and its parts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import heapify, heappop, heappush
from math import isfinite
from typing import Literal, NamedTuple

from gdesign.errors import DesignError

MAX_ROUNDS = 1000
"""More rounds are a slip of the keyboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """When an agent speaks: only while fewer than `quorum` of the watched agents give the same answer.

    A watch carries no text and costs nothing. A silent agent costs nothing and, watched, casts no answer.

    Attributes:
        watch: Indices of the watched agents, read within the current round.
        quorum: Number of equal answers from which on the agent stays silent. One more than there are watched agents
            never silences: the agent only waits for them.
    """

    watch: tuple[int, ...]
    quorum: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "watch", tuple(sorted(set(self.watch))))

    @property
    def only_waits(self) -> bool:
        """Whether the agent speaks in any case, once the watched agents have had their turn."""
        return self.quorum > len(self.watch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One chosen node of a design, by the names its pool knows.

    Attributes:
        operator: How it works (`answer`, `cot`, ...).
        gate: When it speaks; None for always.
    """

    role: str
    llm: str
    operator: str = "answer"
    gate: Gate | None = None


class Edge(NamedTuple):
    """`dst` hears `src`, in all rounds or in those named (counted from 1; the round in which it hears)."""

    src: int
    dst: int
    rounds: tuple[int, ...] = ()


class Heard(NamedTuple):
    """Whom an agent hears in a round, lowest index first.

    Attributes:
        spatial: Agents heard within the round.
        temporal: Agents whose words of the round before are heard.
    """

    spatial: list[int]
    temporal: list[int]


_edge = partial(tuple.__new__, Edge)  # as Edge._make, in half the time: dense designs have thousands of edges


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How the last words become one answer.

    Attributes:
        kind: `last`: of the agents that spoke, the one highest in topological order. `vote`: the
            most frequent answer. `weighted_vote`: the answer with the largest sum of weights.
            `judge`: the answer of one named agent. Ties go to the earliest agent.
        weights: One weight an agent, for `weighted_vote`.
        judge: Index of the agent that decides, for `judge`.
    """

    kind: Literal["last", "vote", "weighted_vote", "judge"] = "last"
    weights: tuple[float, ...] = ()
    judge: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Who takes part, who hears whom, who may stay silent, when to stop, and how they decide.

    A design has one canonical form, taken when it is made: agents without a path to the decision
    are left out, agents stand in topological order of what they hear and watch within a round,
    edges are sorted. Where that order leaves a choice, agents stand by role, LLM and operator, or, if
    the decision is a vote (whose ties go to the earliest agent), as they were given. So every spatial
    edge and every watch points from a lower to a higher index, and equal designs compare equal.

    Attributes:
        spatial: Edges heard within a round; with the watches they are acyclic.
        temporal: Edges heard from the round before; any direction, never from an agent to itself
            (every agent sees its own earlier reply anyway).
        num_rounds: How often each agent gets the floor.

    Raises:
        DesignError: For a circle (it is named), an index out of range, or anything else that no executor could run.
    """

    agents: tuple[Agent, ...]
    spatial: tuple[Edge, ...] = ()
    temporal: tuple[Edge, ...] = ()
    num_rounds: int = 1
    decision: Decision = Decision()

    def __post_init__(self) -> None:
        n = len(self.agents)
        if n == 0:
            raise DesignError("a design needs at least one agent; got none")
        if not 1 <= self.num_rounds <= MAX_ROUNDS:
            raise DesignError(f"num_rounds must be in 1..{MAX_ROUNDS}; got {self.num_rounds}")
        set_ = object.__setattr__
        spatial = _edges("spatial", self.spatial, n, self.num_rounds, first_round=1)
        temporal = _edges("temporal", self.temporal, n, self.num_rounds, first_round=2)
        agents = tuple(self.agents)
        decision = self.decision
        _check_decision(decision, n)
        gated = False
        for i, agent in enumerate(agents):
            if agent.gate is not None:
                gated = True
                _check_gate(agent.gate, i, n)
        order = _topological_order(agents, spatial, gated, by_name=decision.kind in ("last", "judge"))
        keep = _with_path_to_decision(agents, spatial, temporal, decision, self.num_rounds, order)
        kept = order if len(keep) == n else [i for i in order if i in keep]
        if kept != list(range(n)):
            new = {old: i for i, old in enumerate(kept)}
            # Where an edge from an agent left out held back one that stays (in rounds that do not
            # matter), the order may be another without it.
            unsettled = len(kept) < n and any(dst in new and src not in new for src, dst, _ in spatial)
            agents = tuple(_relabel_gate(agents[i], new) if gated else agents[i] for i in kept)
            spatial = _relabel(spatial, new)
            temporal = _relabel(temporal, new)
            if decision.kind == "weighted_vote":
                decision = Decision(kind="weighted_vote", weights=tuple(decision.weights[i] for i in kept))
            elif decision.kind == "judge":
                assert decision.judge is not None
                decision = Decision(kind="judge", judge=new[decision.judge])
            if unsettled:
                settled = replace(
                    self, agents=agents, spatial=tuple(spatial), temporal=tuple(temporal), decision=decision
                )
                agents, spatial, temporal = settled.agents, list(settled.spatial), list(settled.temporal)
                decision = settled.decision
        if len(agents) == 1 and decision.kind in ("vote", "weighted_vote", "judge"):
            decision = Decision()
        elif decision.kind == "judge" and decision.judge == len(agents) - 1 and _speaks(agents[-1]):
            decision = Decision()  # the highest agent always speaks, so `last` says the same
        set_(self, "agents", agents)
        set_(self, "spatial", _sorted(spatial))
        set_(self, "temporal", _sorted(temporal) if self.num_rounds > 1 else ())
        set_(self, "decision", decision)

    def heard(self, round: int) -> list[Heard]:
        """Return, for each agent, whom it hears in a round (counted from 1)."""
        n = len(self.agents)
        temporal = _by_hearer(n, self.temporal if round > 1 else (), round)
        return list(map(Heard, _by_hearer(n, self.spatial, round), temporal))

    def waves(self) -> list[list[int]]:
        """Return the agents by how long they wait in the first round: who waits for nobody, who waits for these, ..."""
        level: list[int] = []
        for agent, heard in zip(self.agents, self.heard(1), strict=True):
            watched = () if agent.gate is None else agent.gate.watch
            level.append(1 + max((level[j] for j in (*heard.spatial, *watched)), default=-1))
        return [[i for i, own in enumerate(level) if own == wave] for wave in range(max(level) + 1)]

    def deciders(self) -> list[int]:
        """Return the agents whose last words may be the decision, or count in it."""
        return _deciders(self.decision, self.agents, range(len(self.agents)))


def _by_hearer(n: int, edges: Sequence[Edge], r: int) -> list[list[int]]:
    heard: list[list[int]] = [[] for _ in range(n)]
    for src, dst, rounds in edges:
        if not rounds or r in rounds:
            heard[dst].append(src)
    return heard


def _edges(kind: str, edges: Sequence[Edge], n: int, num_rounds: int, first_round: int) -> list[Edge]:
    out = [e if len(e) == 3 else Edge(*e) for e in edges]  # plain tuples become edges at the end, once
    pairs = set()
    for edge in out:
        src, dst, rounds = edge
        if not (0 <= src < n and 0 <= dst < n):
            raise DesignError(f"{kind} edge {src} -> {dst} names an agent outside 0..{n - 1}")
        if src == dst:
            raise DesignError(f"{kind} edge {src} -> {dst}: an agent does not hear itself")
        if rounds and not all(first_round <= r <= num_rounds for r in rounds):
            raise DesignError(
                f"{kind} edge {src} -> {dst} names rounds {rounds}; expected rounds in {first_round}..{num_rounds}"
            )
        pairs.add(src * n + dst)
    if len(pairs) != len(out):
        raise DesignError(f"a {kind} edge is named twice; give each pair of agents once, with its rounds")
    every = tuple(range(first_round, num_rounds + 1))
    return [e if e[2] == () else Edge(e[0], e[1], () if (r := tuple(sorted(set(e[2])))) == every else r) for e in out]


def _check_decision(decision: Decision, n: int) -> None:
    if decision.kind not in ("last", "vote", "weighted_vote", "judge"):
        raise DesignError(f"decision {decision.kind!r} is unknown; expected last, vote, weighted_vote or judge")
    if decision.kind == "weighted_vote" and len(decision.weights) != n:
        raise DesignError(f"weighted_vote needs one weight an agent: {n} agents, {len(decision.weights)} weights")
    if not all(map(isfinite, decision.weights)):
        raise DesignError(f"the weights of a weighted_vote must be finite; got {decision.weights}")
    if decision.kind != "weighted_vote" and decision.weights:
        raise DesignError(f"only weighted_vote takes weights; the decision is {decision.kind}")
    if decision.kind == "judge" and (decision.judge is None or not 0 <= decision.judge < n):
        raise DesignError(f"judge names agent {decision.judge}; expected an index in 0..{n - 1}")
    if decision.kind != "judge" and decision.judge is not None:
        raise DesignError(f"only a judge decision names a judge; the decision is {decision.kind}")


def _check_gate(gate: Gate, i: int, n: int) -> None:
    if not gate.watch:
        raise DesignError(f"the gate of agent {i} watches nobody; leave the gate out instead")
    if any(not 0 <= w < n or w == i for w in gate.watch):
        raise DesignError(f"the gate of agent {i} watches {gate.watch}; expected other agents in 0..{n - 1}")
    if not 1 <= gate.quorum <= len(gate.watch) + 1:
        raise DesignError(
            f"the gate of agent {i} has quorum {gate.quorum}; expected 1..{len(gate.watch)}, or "
            f"{len(gate.watch) + 1} to wait only"
        )


def _topological_order(agents: Sequence[Agent], spatial: Sequence[Edge], gated: bool, by_name: bool) -> list[int]:
    """Return the agents in topological order of spatial edges and watches (Kahn), ties by name or index."""
    n = len(agents)
    if by_name:
        tie = sorted(range(n), key=lambda i: (agents[i].role, agents[i].llm, agents[i].operator))
    elif not gated and all(src < dst for src, dst, _ in spatial):
        return list(range(n))
    else:
        tie = list(range(n))
    place = [0] * n
    for p, i in enumerate(tie):
        place[i] = p
    heard_by: list[list[int]] = [[] for _ in range(n)]
    waiting = [0] * n
    for src, dst, _ in spatial:
        heard_by[src].append(dst)
        waiting[dst] += 1
    if gated:
        for i, agent in enumerate(agents):
            for w in agent.gate.watch if agent.gate is not None else ():
                heard_by[w].append(i)
                waiting[i] += 1
    ready = [place[i] for i in range(n) if waiting[i] == 0]
    heapify(ready)
    order = []
    while ready:
        i = tie[heappop(ready)]
        order.append(i)
        for j in heard_by[i]:
            waiting[j] -= 1
            if waiting[j] == 0:
                heappush(ready, place[j])
    if len(order) < n:
        raise DesignError(
            f"the design has a circle within a round: {_circle(heard_by, waiting)}; an agent cannot wait for itself, "
            "use a temporal edge to hear it in the next round"
        )
    return order


def _circle(heard_by: Sequence[Sequence[int]], waiting: Sequence[int]) -> str:
    before = {dst: src for src, hearers in enumerate(heard_by) for dst in hearers if waiting[src] and waiting[dst]}
    i = next(iter(before))
    seen: list[int] = []
    while i not in seen:
        seen.append(i)
        i = before[i]
    loop = [*seen[seen.index(i) :], i]
    return " -> ".join(str(j) for j in reversed(loop))


def _speaks(agent: Agent) -> bool:
    return agent.gate is None or agent.gate.only_waits


def _deciders(decision: Decision, agents: Sequence[Agent], order: Sequence[int]) -> list[int]:
    match decision.kind:
        case "vote":
            return list(order)
        case "weighted_vote":
            return [i for i, weight in enumerate(decision.weights) if weight != 0]
        case "judge":
            assert decision.judge is not None
            return [decision.judge]
        case "last":
            return list(order[max(place for place, i in enumerate(order) if _speaks(agents[i])) :])


def _with_path_to_decision(
    agents: Sequence[Agent],
    spatial: Sequence[Edge],
    temporal: Sequence[Edge],
    decision: Decision,
    num_rounds: int,
    order: Sequence[int],
) -> set[int]:
    """Return the agents whose words can reach the decision, over the unrolled rounds."""
    if decision.kind == "vote":
        return set(order)
    deciders = _deciders(decision, agents, order)
    if not deciders:
        raise DesignError("weighted_vote needs a weight that is not zero")
    reached = set(deciders)
    for r in range(num_rounds, 0, -1):
        heard = _by_hearer(len(agents), spatial, r)
        todo = list(reached)  # who matters in the round after matters in this one: it sees its own earlier reply
        while todo:
            i = todo.pop()
            gate = agents[i].gate
            for src in heard[i] if gate is None else (*heard[i], *gate.watch):
                if src not in reached:
                    reached.add(src)
                    todo.append(src)
        if r > 1 and temporal:
            before = _by_hearer(len(agents), temporal, r)
            reached |= {src for i in reached for src in before[i]}
    return reached


def _sorted(edges: Sequence[Edge]) -> tuple[Edge, ...]:
    return tuple([e if type(e) is Edge else _edge(e) for e in sorted(edges)])


def _relabel(edges: Sequence[Edge], new: dict[int, int]) -> list[Edge]:
    return [_edge((new[src], new[dst], rounds)) for src, dst, rounds in edges if src in new and dst in new]


def _relabel_gate(agent: Agent, new: dict[int, int]) -> Agent:
    if agent.gate is None:
        return agent
    return replace(agent, gate=replace(agent.gate, watch=tuple(new[w] for w in agent.gate.watch)))
