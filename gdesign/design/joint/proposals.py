"""Designs near a design: what one step of the language of designs makes of it.

Whatever the language knows, teams of up to eight, any edges, gates, operators, rounds and decisions, is reached from an
agent alone in some steps.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from gdesign.design.joint.places import ungated
from gdesign.errors import DesignError
from gdesign.types import Agent, Decision, Design, Edge, Gate

MAX_AGENTS = 8
"""Most agents of a design that is proposed."""
MAX_ROUNDS = 3
"""Most rounds of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """What may stand in proposed designs.

    Attributes:
        talks: Whether agents may hear others.
        rounds: Whether they may speak again.
        votes: Whether they may vote.
        gates: Whether they may stay silent.
        reuse: Whether an agent may stand in several places.
    """

    talks: bool
    rounds: bool
    votes: bool
    gates: bool
    reuse: bool

    @classmethod
    def of(cls, designs: Iterable[Design], *, reuse: bool) -> "Language":
        """Return what these designs have."""
        known = list(designs)
        return cls(
            talks=any(d.spatial for d in known),
            rounds=any(d.num_rounds > 1 for d in known),
            votes=any(d.decision.kind == "vote" for d in known),
            gates=any(a.gate is not None for d in known for a in d.agents),
            reuse=reuse,
        )

    def near(self, design: Design, agents: tuple[Agent, ...]) -> dict[Design, None]:
        """Return designs a step away, in which no agents are new but these."""
        found: dict[Design, None] = {}
        for step in self._steps(design, agents):
            bare = [ungated(a) for a in step.agents]
            if len(bare) <= MAX_AGENTS and (self.reuse or len(set(bare)) == len(bare)):
                found[step] = None
        found.pop(design, None)
        return found

    def _steps(self, design: Design, agents: Sequence[Agent]) -> Iterator[Design]:
        for i, old in enumerate(design.agents):
            for agent in agents:
                yield _with(design, i, replace(agent, gate=old.gate))
        for agent in agents if self.reuse else [a for a in agents if a not in map(ungated, design.agents)]:
            yield from self._joined(design, agent)
        if len(design.agents) > 1:
            yield from _fewer(design)
        if self.gates:
            yield from _gated(design)
        if self.votes and len(design.agents) > 2:
            yield replace(design, decision=Decision(kind="last" if design.decision.kind == "vote" else "vote"))
        if self.talks:
            for i, j in combinations(range(len(design.agents)), 2):
                yield replace(design, spatial=_toggled(design.spatial, i, j))
        if self.rounds and len(design.agents) > 1:
            yield from _rounds(design)

    def _joined(self, design: Design, agent: Agent) -> Iterator[Design]:
        """Return the designs with one more agent, or, where a vote begins, two."""
        num, members = len(design.agents), (*design.agents, agent)
        vote = design.decision.kind == "vote"
        if self.talks and not vote:
            for heard in {tuple(range(num)), (num - 1,)}:
                spatial = (*design.spatial, *(Edge(i, num) for i in heard))
                yield replace(design, agents=members, spatial=spatial, decision=Decision())
        if self.votes and vote:
            yield replace(design, agents=members)
        if self.votes and self.reuse and num == 1:
            yield Design(agents=(*design.agents, *members), decision=Decision(kind="vote"))
            yield Design(agents=(*members, agent), decision=Decision(kind="vote"))
        if self.gates and num > 1 and not design.temporal:
            gate = Gate(watch=tuple(range(num)), quorum=2 if not vote else num // 2 + 1)
            after = replace(agent, gate=gate)
            if not vote:
                yield replace(design, agents=(*design.agents, after), decision=Decision())
            else:
                weights = (*(1.0 for _ in range(num)), num + 1.0)
                yield replace(
                    design, agents=(*design.agents, after), decision=Decision(kind="weighted_vote", weights=weights)
                )
        last = design.agents[-1]
        if num > 1 and design.decision.kind == "last":  # one more whom the last one hears and watches
            hears = {e.src for e in design.spatial if e.dst == num - 1}
            spatial = tuple(_moved(e, num - 1) for e in design.spatial)
            if hears:
                spatial += (Edge(num - 1, num),)
            if last.gate is not None:
                gate = Gate(watch=(*last.gate.watch, num - 1), quorum=last.gate.quorum)
                last = replace(last, gate=gate)
            if hears or last.gate is not None:
                temporal = tuple(_moved(e, num - 1) for e in design.temporal)
                yield replace(design, agents=(*design.agents[:-1], agent, last), spatial=spatial, temporal=temporal)


def _with(design: Design, place: int, agent: Agent) -> Design:
    """Return the design with another agent in a place; who decides does not change."""
    agents = (*design.agents[:place], agent, *design.agents[place + 1 :])
    return replace(design, agents=agents)


def _moved(edge: Edge, last: int) -> Edge:
    """Return the edge where the last agent has moved up by one."""
    return Edge(edge.src + (edge.src == last), edge.dst + (edge.dst == last), edge.rounds)


def _toggled(edges: tuple[Edge, ...], i: int, j: int) -> tuple[Edge, ...]:
    kept = tuple(e for e in edges if (e.src, e.dst) != (i, j))
    return kept if len(kept) < len(edges) else (*edges, Edge(i, j))


def _fewer(design: Design) -> Iterator[Design]:
    """Return the designs with one agent less."""
    for gone in range(len(design.agents)):
        new = {old: k for k, old in enumerate(i for i in range(len(design.agents)) if i != gone)}
        agents = []
        for i in new:
            agent = design.agents[i]
            if agent.gate is not None:
                watch = tuple(new[w] for w in agent.gate.watch if w in new)
                gate = Gate(watch=watch, quorum=min(agent.gate.quorum, len(watch))) if len(watch) > 1 else None
                agent = replace(agent, gate=gate)
            agents.append(agent)
        spatial, temporal = (
            tuple(Edge(new[e.src], new[e.dst], e.rounds) for e in edges if e.src in new and e.dst in new)
            for edges in (design.spatial, design.temporal)
        )
        decision = design.decision
        if decision.kind == "weighted_vote":
            decision = replace(decision, weights=tuple(decision.weights[i] for i in new))
        elif decision.kind == "judge":
            if decision.judge == gone:
                continue
            decision = replace(decision, judge=new[decision.judge or 0])
        try:
            yield replace(design, agents=tuple(agents), spatial=spatial, temporal=temporal, decision=decision)
        except DesignError:  # nobody is left with a weight
            continue


def _gated(design: Design) -> Iterator[Design]:
    """Return the designs in which an agent always speaks, or another number of those it watches must agree."""
    for i, agent in enumerate(design.agents):
        if agent.gate is None:
            if i > 1 and not design.temporal:
                yield _with(design, i, replace(agent, gate=Gate(watch=tuple(range(i)), quorum=2)))
            continue
        yield _with(design, i, replace(agent, gate=None))
        for quorum in (agent.gate.quorum - 1, agent.gate.quorum + 1):
            if 2 <= quorum <= len(agent.gate.watch):
                yield _with(design, i, replace(agent, gate=replace(agent.gate, quorum=quorum)))


def _rounds(design: Design) -> Iterator[Design]:
    """Return the designs with a round more or less; in a second one each hears what all others said in the first."""
    num = len(design.agents)
    if design.num_rounds < MAX_ROUNDS:
        temporal = design.temporal or tuple(Edge(i, j) for i in range(num) for j in range(num) if i != j)
        yield replace(design, temporal=temporal, num_rounds=design.num_rounds + 1)
    if design.num_rounds > 1:
        fewer = design.num_rounds - 1
        if all(max(e.rounds, default=1) <= fewer for e in (*design.spatial, *design.temporal)):
            yield replace(design, temporal=design.temporal if fewer > 1 else (), num_rounds=fewer)
