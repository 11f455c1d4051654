"""Adaptive self-consistency: one agent is sampled until the majority is sure to be the majority.

Aggarwal et al., "Let's Sample Step by Step: Adaptive-Consistency for Efficient Reasoning and Coding with LLMs",
EMNLP 2023, arXiv 2305.11860, with its Beta criterion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

from gdesign.agents.policies.counts import counts
from gdesign.errors import ConfigError
from gdesign.types import Agent, Move, Stop, Task, Turn, Wave


@dataclass(frozen=True, kw_only=True)
class AdaptiveSelfConsistency:
    """Samples an agent until its most frequent answer is, with enough probability, more frequent than the second.

    Attributes:
        agent: Who is sampled.
        sure: The probability from which on it stops.
        max_samples: The most samples.
    """

    agent: Agent
    sure: float
    max_samples: int

    def next(self, task: Task, asked: Sequence[Agent], turns: Sequence[Turn]) -> Move:
        """Return the next sample, or the majority."""
        (_, first), (_, second) = (*counts(turns), ("", 0), ("", 0))[:2]
        sure = majority(first, second)
        said = f"{first} against {second}: the majority holds with probability {sure:.2f}"
        if asked and sure > self.sure:
            return Stop(reason=said)
        if len(asked) == self.max_samples:
            return Stop(reason=f"{said}, and {self.max_samples} samples is all there may be")
        return Wave(agents=(self.agent,), reason=said if asked else "the first sample")


def majority(first: int, second: int) -> float:
    """Return the probability that the first of two answers is the more frequent one, given how often each came.

    The share of the first has the Beta distribution with parameters first + 1 and second + 1, which is uniform where
    nothing came; with whole numbers the mass above one half is a binomial sum.
    """
    n = first + second + 1
    return sum(comb(n, k) for k in range(first + 1)) / 2.0**n


def adaptive_self_consistency(
    agents: Sequence[Agent], *, sure: float = 0.95, max_samples: int = 40
) -> AdaptiveSelfConsistency:
    """Return the policy.

    Args:
        agents: The one that is sampled.
        sure: The probability from which on it stops; the paper's is 0.95.
        max_samples: The most samples; the paper's is 40.

    Raises:
        ConfigError: There is not exactly one agent, or a number is out of range.
    """
    if len(agents) != 1:
        raise ConfigError(f"one agent is sampled; got {len(agents)}: set num_agents=1 or name one slot")
    if not 0.5 <= sure < 1:
        raise ConfigError(f"sure is {sure}; expected a probability from 0.5 to 1")
    if max_samples < 1:
        raise ConfigError(f"max_samples is {max_samples}; expected 1 or more")
    return AdaptiveSelfConsistency(agent=agents[0], sure=sure, max_samples=max_samples)
