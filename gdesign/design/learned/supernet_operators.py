"""The operators of the supernet: what a layer does to a design, and which layers build a given one.

Zhang et al., ICML 2025, arXiv 2502.04180, section 3 and appendix; departures are named on docs/methods/supernet.md.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from gdesign.types import Agent, Decision, Design, Edge

NUM_SAMPLES = 3
"""How often the agent of `self_consistency` answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A design as far as its operators have built it.

    Attributes:
        agents: Placed so far.
        solutions: The agents whose answers stand; the newest last.
    """

    agents: tuple[Agent, ...] = ()
    spatial: tuple[Edge, ...] = ()
    solutions: tuple[int, ...] = ()

    def add(self, agents: Sequence[Agent], *, hear: Sequence[int]) -> "Work":
        """Return the work with agents added, whose answers replace those that they hear and stand beside the rest."""
        new = range(len(self.agents), len(self.agents) + len(agents))
        return Work(
            agents=(*self.agents, *agents),
            spatial=(*self.spatial, *(Edge(src, dst) for dst in new for src in hear)),
            solutions=(*(i for i in self.solutions if i not in hear), *new),
        )

    def design(self) -> Design:
        """Return the design: one solution is the answer, of several the most frequent one."""
        if len(self.solutions) == 1:
            decision = Decision()
        elif len(self.solutions) == len(self.agents):
            decision = Decision(kind="vote")
        else:
            weights = tuple(float(i in self.solutions) for i in range(len(self.agents)))
            decision = Decision(kind="weighted_vote", weights=weights)
        return Design(agents=self.agents, spatial=self.spatial, decision=decision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """What may be drawn in a layer.

    Attributes:
        agents: How an agent works that can carry it out; empty where those whose solutions stand speak.
        hears: The solutions that are heard, and replaced.
        times: How often the agents answer.
        needs: How many solutions must stand before it.
        keeps: Whether those remain, as far as their number goes.
        adds: How many more stand after it.
    """

    agents: tuple[str, ...] = ()
    hears: Literal["none", "newest", "all"] = "none"
    times: int = 1
    needs: int = 0
    keeps: bool = True
    adds: int = 0

    def act(self, work: Work, agents: Sequence[Agent]) -> Work:
        """Return the work after it, given the one agent chosen for it, or none where no agent is chosen."""
        speakers = list(agents) or [work.agents[i] for i in work.solutions]
        heard = {"none": (), "newest": work.solutions[-1:], "all": work.solutions}[self.hears]
        return work.add(speakers * self.times, hear=heard)


OPERATORS = {
    "answer": Operator(agents=("answer",), adds=1),
    "cot": Operator(agents=("cot",), adds=1),
    # Wang et al., arXiv 2203.11171; the vote is taken at the end
    "self_consistency": Operator(agents=("answer", "cot"), times=NUM_SAMPLES, adds=NUM_SAMPLES),
    "self_refine": Operator(agents=("refine",), hears="newest", needs=1),  # Madaan et al., arXiv 2303.17651
    "debate": Operator(hears="all", needs=2),  # Du et al., arXiv 2305.14325
    "ensemble": Operator(agents=("answer", "cot"), hears="all", needs=1, keeps=False, adds=1),
    "program": Operator(agents=("program",), adds=1),
    "test": Operator(agents=("test",), hears="newest", needs=1),
    "exit": Operator(times=0, needs=1),
}
"""What a layer can do, by name; `exit` is always among what is drawn."""

USUAL = ("answer", "cot", "self_consistency", "self_refine", "debate", "ensemble")
RUN_CODE = ("program", "test")
"""Operators of the paper whose agents run what they wrote; they join where such agents are on offer."""


class Step(NamedTuple):
    """An operator and the agent that carries it out; None where none is chosen."""

    operator: str
    agent: Agent | None


def build(steps: Iterable[Step]) -> Work:
    """Return what a path of operators builds."""
    work = Work()
    for operator, agent in steps:
        work = OPERATORS[operator].act(work, () if agent is None else (agent,))
    return work


@lru_cache(maxsize=4096)
def paths(design: Design, *, operators: tuple[str, ...], num_layers: int) -> tuple[tuple[Step, ...], ...]:
    """Return every path of at most so many operators, without `exit`, that builds the design.

    Operators are applied as long as the design has agents left that work as theirs do and hear as many; what has
    used up all agents is compared with the design.
    """
    found = []
    offered = list(dict.fromkeys(design.agents))
    listed = design.decision.kind != "last"  # votes keep the order in which their agents were placed

    def grow(steps: tuple[Step, ...], work: Work, left: Counter[tuple[Agent, int]]) -> None:
        if not left:
            if work.design() == design:
                found.append(steps)
            return
        if len(steps) == num_layers:
            return
        for step in _possible(operators, offered, work):
            after = OPERATORS[step.operator].act(work, () if step.agent is None else (step.agent,))
            new = Counter(_hearing(after.agents, after.spatial)[len(work.agents) :])
            if new <= left and not (listed and after.agents != design.agents[: len(after.agents)]):
                grow((*steps, step), after, left - new)

    grow((), Work(), Counter(_hearing(design.agents, design.spatial)))
    return tuple(found)


def _possible(operators: Iterable[str], agents: Iterable[Agent], work: Work) -> Iterator[Step]:
    for name in operators:
        operator = OPERATORS[name]
        if len(work.solutions) >= operator.needs:
            if operator.agents:
                yield from (Step(name, agent) for agent in agents if agent.operator in operator.agents)
            else:
                yield Step(name, None)


def _hearing(agents: Sequence[Agent], spatial: Sequence[Edge]) -> list[tuple[Agent, int]]:
    heard = Counter(edge.dst for edge in spatial)
    return [(agent, heard[i]) for i, agent in enumerate(agents)]
