"""Agreement cascade: agents are asked one after the other until enough of them agree.

Agreement-Based Cascading (Kolawole et al., arXiv 2407.02348), with single agents as its tiers: no confidence is
learned, the agreement of cheap agents stands for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gdesign.agents.policies.counts import agreeing
from gdesign.errors import ConfigError
from gdesign.types import Agent, Decision, Move, Stop, Task, Turn, Wave


@dataclass(frozen=True, kw_only=True)
class AgreementCascade:
    """Asks agents in their order, cheapest first, until `quorum` of them give the same answer.

    Where all were asked and too few agree, the last one, the dearest, decides.

    Attributes:
        agents: In the order in which they are asked.
        quorum: How many equal answers end it.
    """

    agents: tuple[Agent, ...]
    quorum: int

    def next(self, task: Task, asked: Sequence[Agent], turns: Sequence[Turn]) -> Move:
        """Return the next agent, or the end."""
        num, first = agreeing(turns)
        if num >= self.quorum:
            return Stop(decision=Decision(kind="judge", judge=first), reason=f"{num} of {len(asked)} agree")
        if len(asked) == len(self.agents):
            return Stop(decision=Decision(), reason=f"no {self.quorum} agree, and there is nobody left to ask")
        reason = "the first is asked" if not asked else f"{num} of {len(asked)} agree, {self.quorum} are needed"
        return Wave(agents=(self.agents[len(asked)],), reason=reason, otherwise=Decision())


def agreement_cascade(agents: Sequence[Agent], *, quorum: int = 2) -> AgreementCascade:
    """Return the policy.

    Args:
        agents: In the order in which they are asked.
        quorum: How many equal answers end it.

    Raises:
        ConfigError: So many are not there.
    """
    if not 1 <= quorum <= len(agents):
        raise ConfigError(f"quorum is {quorum}; expected 1..{len(agents)}, which is how many agents there are")
    return AgreementCascade(agents=tuple(agents), quorum=quorum)
