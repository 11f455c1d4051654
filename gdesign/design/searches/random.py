"""The best of some randomly drawn designs, found with a given number of runs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product

import torch
from jaxtyping import Int
from torch import Tensor
from tqdm import tqdm

from gdesign.design.base import Trials, refuse_below_one
from gdesign.design.searches.base import Kept, Questions
from gdesign.design.searches.enumerate import small_designs
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.errors import ConfigError
from gdesign.types import Design, Job, Task

CHUNK = 256
"""Runs asked for at once."""


class RandomSearch(Kept):
    """Draw designs uniformly from a family and keep the one with the best mean utility.

    Runs are spent by successive halving: all drawn designs are run on the same questions, the better half goes on
    with twice as many, and so on (Karnin, Koren and Somekh, "Almost Optimal Exploration in Multi-Armed Bandits", ICML
    2013; Jamieson and Talwalkar, arXiv 1502.07943). Unlike `search` it may look at designs with messages.

    Args:
        space: The agents on offer; a candidate in several slots counts once.
        num_runs: How many runs the search takes: exactly, unless the last designs have seen everything before.
        first_runs: How many runs every drawn design gets, at least; with `num_runs` it gives how many are drawn.
        max_agents: The family is `small_designs` of so many agents.
        messages: Whether the family has designs in which agents hear each other.
        num_samples: How many distinct answers an identical request may get: each question is run with the seeds
            below it.

    Raises:
        ConfigError: A number below 1, or too few runs to compare two designs.
    """

    name = "random_search"
    index: Int[Tensor, ""]
    num_runs: int

    def __init__(
        self,
        *,
        space: Space,
        num_runs: int,
        first_runs: int = 8,
        max_agents: int = 3,
        messages: bool = True,
        num_samples: int = 1,
    ) -> None:
        super().__init__(space=space)
        refuse_below_one(num_runs=num_runs, first_runs=first_runs, max_agents=max_agents, num_samples=num_samples)
        if num_runs < 2 * first_runs:
            raise ConfigError(
                f"num_runs={num_runs} are too few to run two designs first_runs={first_runs} times each; raise it"
            )
        self.num_runs = num_runs
        self.first_runs = first_runs
        self.max_agents = max_agents
        self.messages = messages
        self.num_samples = num_samples
        self.register_buffer("index", torch.tensor(-1))

    @cached_property
    def family(self) -> list[Design]:
        """What designs are drawn from."""
        pool = replace(self.space.pool, candidates=tuple(dict.fromkeys(self.space.slots)))
        return small_designs(pool, self.max_agents, messages=self.messages)

    def _found(self) -> Design | None:
        return None if self.index < 0 else self.family[int(self.index)]

    def search(
        self, tasks: Sequence[Task], *, problems: ProblemEncoder, usd_weight: float, generator: torch.Generator
    ) -> Trials:
        """Draw designs, run them, drop the worse half, until two are left and the runs are spent."""
        questions = Questions(tasks, num_samples=self.num_samples, generator=generator)
        alive = torch.randperm(len(self.family), generator=generator)[: self._num_designs()].tolist()
        worth = dict.fromkeys(alive, 0.0)
        weight = dict.fromkeys(alive, 0.0)
        left, done = self.num_runs, 0
        with tqdm(total=self.num_runs, unit="run", desc="random search", disable=None) as progress:
            for rounds in range(_num_rounds(len(alive)), 0, -1):
                # rounded up, so that the last round takes what is left
                more = min(-(-left // (rounds * len(alive))), len(questions) - done)
                jobs = list(product(range(done, done + more), alive))[:left]
                for start in range(0, len(jobs), CHUNK):
                    chunk = jobs[start : start + CHUNK]
                    results = yield [Job(self.family[i], *questions[k]) for k, i in chunk]
                    for (k, i), (_, outcome) in zip(chunk, results, strict=True):
                        w = questions[k][0].weight
                        weight[i] += w
                        worth[i] += w * (outcome.score - usd_weight * 1000 * outcome.usd)
                    progress.update(len(chunk))
                left -= len(jobs)
                done += more
                alive.sort(key=lambda i: worth[i] / weight[i], reverse=True)
                alive = alive[: -(-len(alive) // 2)]
        self.index.fill_(alive[0])

    def _num_designs(self) -> int:
        num = len(self.family)
        while num > 1 and num * _num_rounds(num) * self.first_runs > self.num_runs:
            num -= 1
        return num


def _num_rounds(num_designs: int) -> int:
    return max(1, (num_designs - 1).bit_length())
