"""The operators of the supernet: what a layer does to a design, and which layers build a given one.

Zhang et al., ICML 2025, arXiv 2502.04180, section 3 and appendix; departures are named on docs/methods/supernet.md.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

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

    def add(self, agents: Sequence[Agent], *, hear: Sequence[int], keep: Sequence[int]) -> "Work":
        """Return the work with agents added whose answers stand beside those kept."""
        new = range(len(self.agents), len(self.agents) + len(agents))
        return Work(
            agents=(*self.agents, *agents),
            spatial=(*self.spatial, *(Edge(src, dst) for dst in new for src in hear)),
            solutions=(*keep, *new),
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


def answer(work: Work, agents: Sequence[Agent]) -> Work:
    """One agent answers and hears nobody (direct answer, chain of thought)."""
    return work.add(agents, hear=(), keep=work.solutions)


def self_consistency(work: Work, agents: Sequence[Agent]) -> Work:
    """One agent answers several times; the vote is taken at the end (Wang et al., arXiv 2203.11171)."""
    return work.add([*agents] * NUM_SAMPLES, hear=(), keep=work.solutions)


def self_refine(work: Work, agents: Sequence[Agent]) -> Work:
    """An agent hears the newest solution and replaces it (Madaan et al., arXiv 2303.17651); `test` does so too."""
    *others, newest = work.solutions
    return work.add(agents, hear=[newest], keep=others)


def debate(work: Work, agents: Sequence[Agent]) -> Work:
    """All whose solutions stand speak once more, having heard all of them (Du et al., arXiv 2305.14325)."""
    return work.add([work.agents[i] for i in work.solutions], hear=work.solutions, keep=())


def ensemble(work: Work, agents: Sequence[Agent]) -> Work:
    """An agent hears all solutions and gives the one that replaces them."""
    return work.add(agents, hear=work.solutions, keep=())


def early_exit(work: Work, agents: Sequence[Agent]) -> Work:
    """The design is done."""
    return work


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """What may be drawn in a layer.

    Attributes:
        act: The work and the one agent chosen for it (none where no agent is chosen) to the work after it.
        agents: How an agent works that can carry it out; empty where none is chosen.
        needs: How many solutions must stand before it.
        keeps: Whether those remain, as far as their number goes.
        adds: How many more stand after it.
    """

    act: Callable[[Work, Sequence[Agent]], Work]
    agents: tuple[str, ...] = ()
    needs: int = 0
    keeps: bool = True
    adds: int = 0


OPERATORS = {
    "answer": Operator(act=answer, agents=("answer",), adds=1),
    "cot": Operator(act=answer, agents=("cot",), adds=1),
    "self_consistency": Operator(act=self_consistency, agents=("answer", "cot"), adds=NUM_SAMPLES),
    "self_refine": Operator(act=self_refine, agents=("refine",), needs=1),
    "debate": Operator(act=debate, needs=2),
    "ensemble": Operator(act=ensemble, agents=("answer", "cot"), needs=1, keeps=False, adds=1),
    "program": Operator(act=answer, agents=("program",), adds=1),
    "test": Operator(act=self_refine, agents=("test",), needs=1),
    "exit": Operator(act=early_exit, needs=1),
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
