"""The best design that can be found by looking, per class of tasks: what regret is measured against."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import TypeVar

from gdesign.errors import ConfigError
from gdesign.execute.arena import Arena
from gdesign.execute.reward import Reward
from gdesign.types import Design, Job, Task

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


def optimum(
    designs: Sequence[Design],
    *,
    choose: Mapping[K, Sequence[Task]],
    score: Mapping[K, Sequence[Task]],
    arena: Arena,
    reward: Reward,
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
        arena: Runs the designs.
        reward: What a run is worth.
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
                sums[design] += sum(_utilities(design, tasks, range(done, wanted), arena, reward))
            done = wanted
            if done >= final_draws or len(sums) == 1:
                break
            best = sorted(sums, key=lambda d: -sums[d])[: max(1, round(len(sums) * keep))]
            sums = {d: sums[d] for d in best}
            wanted = min(done * 4, final_draws)
        chosen = max(sums, key=lambda d: sums[d])
        found[key] = measure(chosen, tasks=others, arena=arena, reward=reward, num_draws=score_draws)
    return found


def measure(design: Design, *, tasks: Sequence[Task], arena: Arena, reward: Reward, num_draws: int) -> Optimum:
    """Return the mean utility of one design over draws, with its standard error."""
    utilities = _utilities(design, tasks, range(num_draws), arena, reward)
    return Optimum(
        design=design,
        utility=fmean(utilities),
        standard_error=stdev(utilities) / sqrt(num_draws),
        num_draws=num_draws,
    )


def _utilities(
    design: Design, tasks: Sequence[Task], draws: Sequence[int], arena: Arena, reward: Reward
) -> list[float]:
    jobs = [Job(design, tasks[draw % len(tasks)], draw // len(tasks)) for draw in draws]
    return [reward.utility(outcome) for _, outcome in arena.run(jobs, phase="optimum")]
