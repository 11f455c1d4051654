"""Drive a search without an LLM: each run is worth what a function says."""

from collections.abc import Callable, Sequence

import torch

from gdesign.design.base import Searched
from gdesign.types import Design, Job, Outcome, Run, Task
from tests import worlds

Worth = Callable[[Design, Task, int], float]


def finish(
    designer: Searched, worth: Worth, *, tasks: Sequence[Task], seed: int = 0, usd: float = 0.0, usd_weight: float = 0.0
) -> list[Job]:
    """Let the designer search; return every run that it asked for, in order."""
    steps = designer.search(
        tasks,
        problems=worlds.encoder(),
        usd_weight=usd_weight,
        generator=torch.Generator().manual_seed(seed),
    )
    asked: list[Job] = []
    jobs = next(steps, None)
    while jobs is not None:
        asked += jobs
        try:
            jobs = steps.send([_result(job, worth(*job), usd * len(job[0].agents)) for job in jobs])
        except StopIteration:
            jobs = None
    return asked


def _result(job: Job, score: float, usd: float) -> tuple[Run, Outcome]:
    design, task, seed = job
    run = Run(design=design, task=task, seed=seed, turns=(), answer="", decided_by=None, label=None)
    outcome = Outcome(
        score=score,
        usd=usd,
        prompt_tokens=0,
        completion_tokens=0,
        calls=0,
        critical_path=0,
        unreadable=False,
        failures=0,
        label=None,
    )
    return run, outcome
