"""The best design that can be found by looking, per class of tasks: what regret is measured against."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import TypeVar

from gdesign.errors import ConfigError
from gdesign.execute.reward import account
from gdesign.execute.run import run
from gdesign.llm.base import LLMClient
from gdesign.tasks.base import Benchmark
from gdesign.types import AgentPool, Design, Outcome, Task

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """The best design found for a class of tasks.

    Attributes:
        design: Chosen on one set of draws.
        utility: Its mean utility on draws that the choice has not seen.
        standard_error: Of that mean.
        num_draws: Number of those draws.
    """

    design: Design
    utility: float
    standard_error: float
    num_draws: int


async def optimum(
    designs: Sequence[Design],
    *,
    choose: Mapping[K, Sequence[Task]],
    score: Mapping[K, Sequence[Task]],
    benchmark: Benchmark,
    pool: AgentPool,
    llm: LLMClient,
    utility: Callable[[Outcome], float],
    first_draws: int = 20,
    final_draws: int = 768,
    keep: float = 0.25,
    score_draws: int = 400,
) -> dict[K, Optimum]:
    """Return, per class, the design with the best mean utility on one set of tasks, scored on another.

    The choice is made by successive halving: every design is run on a few draws, the best share goes
    on to four times as many, and so on. All designs see the same draws, so luck counts for all. A draw
    is a task and a seed; where a class has fewer tasks than draws are wanted, further seeds are drawn.

    Args:
        designs: To choose among.
        choose: By class, the tasks to choose on.
        score: By class, the tasks to score on; none that is chosen on.
        benchmark: Reads and grades answers.
        pool: Knows the agents.
        llm: Answers.
        utility: What an outcome is worth.
        first_draws: Number of draws that every design gets.
        final_draws: Number of draws that the last ones are chosen on.
        keep: Share of designs that goes on.
        score_draws: Number of draws that the chosen design is scored on.

    Raises:
        ConfigError: A class has no tasks on one side, or a task is on both.
    """
    found = {}
    for key, tasks in choose.items():
        others = score.get(key, ())
        if not tasks or not others:
            raise ConfigError(f"class {key!r} needs tasks to choose on and tasks to score on")
        if {t.question for t in tasks} & {t.question for t in others}:
            raise ConfigError(f"class {key!r} has a task both to choose on and to score on; draw them apart")
        sums = dict.fromkeys(designs, 0.0)
        done, wanted = 0, first_draws
        while True:
            for design in sums:
                sums[design] += sum(await _utilities(design, tasks, done, wanted, benchmark, pool, llm, utility))
            done = wanted
            if done >= final_draws or len(sums) == 1:
                break
            best = sorted(sums, key=lambda d: -sums[d])[: max(1, round(len(sums) * keep))]
            sums = {d: sums[d] for d in best}
            wanted = min(done * 4, final_draws)
        chosen = max(sums, key=lambda d: sums[d])
        found[key] = await mean_utility(
            chosen, tasks=others, benchmark=benchmark, pool=pool, llm=llm, utility=utility, num_draws=score_draws
        )
    return found


async def mean_utility(
    design: Design,
    *,
    tasks: Sequence[Task],
    benchmark: Benchmark,
    pool: AgentPool,
    llm: LLMClient,
    utility: Callable[[Outcome], float],
    num_draws: int,
) -> Optimum:
    """Return the mean utility of one design over draws, with its standard error."""
    utilities = await _utilities(design, tasks, 0, num_draws, benchmark, pool, llm, utility)
    return Optimum(
        design=design,
        utility=fmean(utilities),
        standard_error=stdev(utilities) / sqrt(num_draws),
        num_draws=num_draws,
    )


async def _utilities(
    design: Design,
    tasks: Sequence[Task],
    start: int,
    stop: int,
    benchmark: Benchmark,
    pool: AgentPool,
    llm: LLMClient,
    utility: Callable[[Outcome], float],
) -> list[float]:
    utilities = []
    for draw in range(start, stop):
        seed, i = divmod(draw, len(tasks))
        done = await run(design, tasks[i], pool=pool, llm=llm, extract=benchmark.extract, seed=seed)
        utilities.append(utility(account(done, grade=benchmark.grade, pool=pool)))
    return utilities
