"""Everything that one execution of a design said, and what it came to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from gdesign.types.call import Label, Reply
from gdesign.types.design import Agent, Design
from gdesign.types.task import Task
from gdesign.types.wave import Branch, Move


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one agent did in one round: it spoke, stayed silent, or failed.

    Attributes:
        agent: Index in the design.
        round: Counted from 1.
        reply: What it said; None if it was silent or failed.
        answer: What the benchmark's `extract` reads in the reply; None if unreadable.
        error: Why the call failed; None if it did not.
        start: Seconds since the run began when the agent got the floor.
        end: Seconds since the run began when it had spoken.
    """

    agent: int
    round: int
    reply: Reply | None = None
    answer: str | None = None
    error: str | None = None
    start: float = field(default=0.0, compare=False)
    end: float = field(default=0.0, compare=False)

    @property
    def silent(self) -> bool:
        """Whether a gate kept the agent silent."""
        return self.reply is None and self.error is None


@runtime_checkable
class Policy(Protocol):
    """A design that goes on deciding while it runs; `gdesign.execute.adaptive` runs it.

    It is a value: what it does follows from its arguments alone, and policies that do the same compare and hash equal
    (a frozen dataclass does), for what is to be run twice is run once.
    """

    def next(self, task: Task, asked: Sequence[Agent], turns: Sequence[Turn]) -> Move:
        """Return who speaks next, or how it ends.

        Args:
            task: The question, without its right answer.
            asked: The agents so far, in the order in which they were asked.
            turns: What each of them said, in this order: text, tokens, the answer as the benchmark reads it, or why
                the call failed. Never what it scored.
        """


@runtime_checkable
class Foreseeing(Policy, Protocol):
    """A policy that can tell beforehand what may come."""

    def tree(self, depth: int) -> Branch:
        """Return what it does first and what may follow, over so many moves at most."""


Play = Design | Policy
"""What can be run on a task."""


class Job(NamedTuple):
    """A design or a policy, the task to run it on, and the seed of the run."""

    design: Play
    task: Task
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything one execution said.

    Attributes:
        design: What was run; of a policy, what it came to: the agents that it asked, whom each of them heard and
            waited for, and the decision.
        turns: By round, then agent.
        answer: The decision; None if nobody gave a readable answer.
        decided_by: Index into `turns` of the earliest turn that holds the decided answer; None if nobody spoke.
        label: The weakest label of the turns; None if no turn got a reply.
        seconds: Wall-clock time.
        probability: How likely the answer is right, as the policy held when it stopped; None where nobody said.
    """

    design: Design
    task: Task
    seed: int
    turns: tuple[Turn, ...]
    answer: str | None
    decided_by: int | None
    label: Label | None
    seconds: float = field(default=0.0, compare=False)
    probability: float | None = field(default=None, compare=False)

    @property
    def failures(self) -> tuple[Turn, ...]:
        """The turns whose call failed."""
        return tuple(t for t in self.turns if t.error is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run is worth and what it cost.

    Attributes:
        score: In [0, 1].
        usd: Price of all calls.
        calls: Number of calls that got a reply.
        critical_path: Number of calls on the longest chain of agents that waited for each other.
        unreadable: Whether the decided answer could not be parsed.
        failures: Number of calls that failed.
        label: Where the answers come from; None if no call got a reply.
        paid_usd: Price of the calls that were asked live, so paid now; the rest came from a recording.
        seconds: Latency: how long the calls on the longest chain took, by what their replies say; 0 where nobody
            measured.
        faults: Number of faults that were survived by asking again.
        counted: Number of turns whose tokens were counted here, because the endpoint did not say.
        agent_usd: What of `usd` each agent of the design took.
    """

    score: float
    usd: float
    prompt_tokens: int
    completion_tokens: int
    calls: int
    critical_path: int
    unreadable: bool
    failures: int
    label: Label | None
    paid_usd: float = 0.0
    seconds: float = field(default=0.0, compare=False)
    faults: int = field(default=0, compare=False)
    counted: int = 0
    agent_usd: tuple[float, ...] = field(default=(), compare=False)


Extract = Callable[[Task, str], str | None]
Grade = Callable[[Task, str], float]
