"""Where designs are run: many at once, each weighed as soon as it ends."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, Self, runtime_checkable

from gdesign.errors import ConfigError
from gdesign.execute.adaptive import play
from gdesign.execute.limits import Limits
from gdesign.execute.reward import account
from gdesign.llm.base import LLMClient
from gdesign.sandbox import Sandbox
from gdesign.tasks.base import Benchmark, RunsPrograms
from gdesign.types import AgentPool, Job, Outcome, Run

Result = tuple[Run, Outcome]
OnRun = Callable[[Run, Outcome], None]
"""Is told each run as soon as it has ended, in the order in which they end."""


def refuse_unanswered(results: Sequence[Result]) -> None:
    """Raise ConfigError where no call of any of these runs was answered: a score of 0 would say nothing."""
    if not results or any(outcome.label is not None for _, outcome in results):
        return
    reasons = dict.fromkeys(turn.error for run, _ in results for turn in run.failures)
    raise ConfigError(
        f"no call was answered in {len(results)} run{'s' * (len(results) > 1)}, so there is nothing to score "
        f"({next(iter(reasons), 'nobody was asked')}); mend that and start again"
    )


class Log(Protocol):
    """Takes down each run when it ends, so that nothing that was paid for is lost."""

    def append(self, run: Run, outcome: Outcome, *, phase: str, step: int | None = None) -> None:
        """Write one run; `phase` says what it was done for, `step` is that of training."""


@runtime_checkable
class Arena(Protocol):
    """Runs designs, those too that go on deciding while they run, and weighs them."""

    @property
    def isolation(self) -> str | None:
        """How the programs of agents are kept from everything else; None where none are run."""

    def run(
        self, jobs: Sequence[Job], *, phase: str, step: int | None = None, on_run: OnRun | None = None
    ) -> list[Result]:
        """Run designs on tasks, all at the same time, and return runs and outcomes in the order of the jobs.

        Args:
            jobs: What to run; what is named several times is run once.
        """


class LocalArena:
    """Runs designs in this process.

    It is to be closed, as by `with`, for it keeps the connections of its clients from one call of `run` to the next.

    Args:
        limits: How much one run may take, and each agent in it; None for no limit.
        sandbox: Where agents run the programs that they write; None for nowhere.
        log: Takes down each run; None for nowhere.
    """

    def __init__(
        self,
        *,
        pool: AgentPool,
        llm: LLMClient,
        benchmark: Benchmark,
        limits: Limits | None = None,
        sandbox: Sandbox | None = None,
        log: Log | None = None,
    ) -> None:
        self._pool = pool
        self._llm = llm
        self._benchmark = benchmark
        self._limits = limits
        self._sandbox = sandbox
        self._log = log
        self._grades_long = isinstance(benchmark, RunsPrograms) and benchmark.sandbox is not None
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()

    @property
    def isolation(self) -> str | None:
        """How the programs of agents are kept from everything else; None where none are run."""
        return None if self._sandbox is None else self._sandbox.isolation

    def run(
        self, jobs: Sequence[Job], *, phase: str, step: int | None = None, on_run: OnRun | None = None
    ) -> list[Result]:
        """Run designs on tasks, as `Arena` says.

        Raises:
            PoolError: A design names a role, LLM or operator that the pool lacks.
            UnsupportedRequestError: The client cannot answer such a request by its nature, or there is nowhere to run
                the programs of agents.
            ConfigError: The benchmark, or an agent, runs programs, and there is no way to do that safely here.
            BudgetExceededError: The limit on spending is reached.
        """
        return self._runner.run(self.gather(jobs, phase=phase, step=step, on_run=on_run))

    async def gather(
        self, jobs: Sequence[Job], *, phase: str, step: int | None = None, on_run: OnRun | None = None
    ) -> list[Result]:
        """Do as `run` does, within an event loop of the caller's."""

        async def one(job: Job) -> Result:
            design, task, seed = job
            done = await play(
                design,
                task,
                pool=self._pool,
                llm=self._llm,
                extract=self._benchmark.extract,
                seed=seed,
                limits=self._limits,
                tools=self._sandbox,
            )
            if self._grades_long:
                outcome = await asyncio.to_thread(account, done, grade=self._benchmark.grade, pool=self._pool)
            else:
                outcome = account(done, grade=self._benchmark.grade, pool=self._pool)
            if self._log is not None:
                self._log.append(done, outcome, phase=phase, step=step)
            if on_run is not None:
                on_run(done, outcome)
            return done, outcome

        try:
            async with asyncio.TaskGroup() as group:
                # the same design, task and seed give the same run
                running = {job: group.create_task(one(job)) for job in dict.fromkeys(jobs)}
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [running[job].result() for job in jobs]
