"""Self-consistency: the agent that is best alone, asked several times, and a vote over its answers.

Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models", ICLR 2023, arXiv 2203.11171.
"""

from gdesign.agents import teams
from gdesign.design.base import refuse_below_one
from gdesign.design.searches.exhaustive import Search
from gdesign.encode.problem import Space
from gdesign.types import Design


class SelfConsistency(Search):
    """Copies of the agent that was worth most alone on training questions; their most frequent answer wins.

    A source that gives an agent one answer to a question refuses the copies.

    Args:
        num_samples: How many copies.
    """

    name = "self_consistency"

    def __init__(self, *, space: Space, num_samples: int) -> None:
        super().__init__(space=space, families=("singles",))
        refuse_below_one(num_samples=num_samples)
        self._num_samples = num_samples

    def _found(self) -> Design | None:
        single = super()._found()
        if single is None or self._num_samples == 1:
            return single
        return teams.vote(single.agents * self._num_samples)
