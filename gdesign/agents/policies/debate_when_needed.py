"""Debate only when needed: agents answer alone, and debate only where they do not agree.

The gate on disagreement of Eo et al., "Debate Only When Necessary: Adaptive Multiagent Collaboration for Efficient LLM
Reasoning", arXiv 2504.05047, before the debate of Du et al., arXiv 2305.14325.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gdesign.agents.policies.counts import agreeing
from gdesign.errors import ConfigError
from gdesign.types import Agent, Decision, Move, Stop, Task, Turn, Wave


@dataclass(frozen=True, kw_only=True)
class DebateWhenNeeded:
    """Asks agents at once; while they do not agree, all are asked again and hear what the others said. Then they vote.

    Attributes:
        agents: Who debates.
        num_rounds: How often each is asked at most.
    """

    agents: tuple[Agent, ...]
    num_rounds: int

    def next(self, task: Task, asked: Sequence[Agent], turns: Sequence[Turn]) -> Move:
        """Return all agents once more, or the vote of those asked last."""
        n, total = len(self.agents), len(asked)
        if not asked:
            return Wave(agents=self.agents, reason="all answer alone")
        last = turns[-n:]
        num, _ = agreeing(last)
        vote = Decision(kind="weighted_vote", weights=(*(0.0 for _ in turns[:-n]), *(1.0 for _ in last)))
        if num == n:
            return Stop(decision=vote, reason="all agree")
        if total == n * self.num_rounds:
            return Stop(decision=vote, reason=f"{num} of {n} agree after {self.num_rounds} rounds")
        others = tuple(tuple(j for j in range(total - n, total) if j != total - n + i) for i in range(n))
        reason = f"{num} of {n} agree, so they hear each other" if num > 1 else "all differ, so they hear each other"
        return Wave(agents=self.agents, hears=others, reason=reason, otherwise=vote)


def debate_when_needed(agents: Sequence[Agent], *, num_rounds: int = 2) -> DebateWhenNeeded:
    """Return the policy.

    Args:
        agents: Who debates, two or more.
        num_rounds: How often each is asked at most.

    Raises:
        ConfigError: There are fewer, or no round.
    """
    if len(agents) < 2:
        raise ConfigError(f"a debate needs two agents or more; got {len(agents)}")
    if num_rounds < 1:
        raise ConfigError(f"num_rounds is {num_rounds}; expected 1 or more")
    return DebateWhenNeeded(agents=tuple(agents), num_rounds=num_rounds)
