"""What a design that goes on deciding while it runs may decide: who speaks next, or how it ends."""

from dataclasses import dataclass

from gdesign.errors import DesignError
from gdesign.types.design import Agent, Decision, Design

VOTE = Decision(kind="vote")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Agents that speak at once, after all that were asked before them.

    Attributes:
        agents: Who speaks; without gates, for whoever is asked speaks.
        hears: For each of them, which earlier agents it hears, by their numbers in the order in which they were asked
            (from 0); empty where nobody hears anyone.
        reason: Why, in plain words.
        otherwise: How the run ends where the limits leave no room for the wave.

    Raises:
        DesignError: Nobody is named, an agent has a gate, or `hears` does not fit the agents.
    """

    agents: tuple[Agent, ...]
    hears: tuple[tuple[int, ...], ...] = ()
    reason: str = ""
    otherwise: Decision = VOTE

    def __post_init__(self) -> None:
        if not self.agents:
            raise DesignError("a wave needs at least one agent; got none: stop instead")
        if any(agent.gate is not None for agent in self.agents):
            raise DesignError("an agent of a wave has a gate; leave it out: whoever is asked in a wave speaks")
        if self.hears and len(self.hears) != len(self.agents):
            raise DesignError(
                f"hears says whom each agent of a wave hears: {len(self.agents)} agents, {len(self.hears)} entries"
            )
        object.__setattr__(self, "hears", tuple(tuple(sorted(set(heard))) for heard in self.hears if any(self.hears)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The end of a run.

    Attributes:
        decision: How what was said becomes one answer; weights and the judge go by the order of asking.
        reason: Why, in plain words.
        probability: How likely the answer is right, where that is expected; None elsewhere.
    """

    decision: Decision = VOTE
    reason: str = ""
    probability: float | None = None


Move = Wave | Stop | Design
"""What a policy may do next; a whole design only before anybody was asked, and then it is all that is run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What a policy will do, and what may follow.

    Attributes:
        move: What it does.
        when: What was answered before, in plain words; empty at the root.
        probability: How likely it comes to this once its parent's move was made; 1 at the root.
        branches: What may follow, likeliest first; empty at the end, and where nobody looks further.
    """

    move: Move
    when: str = ""
    probability: float = 1.0
    branches: tuple["Branch", ...] = ()
