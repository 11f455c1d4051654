"""Where designs are run: by actors of Ray, on this machine or on a cluster.

Workers run designs, each in a process with its own event loop and its own places for programs. One more actor, the
owner, holds the LLM client with its recording, its budget and its limits on requests, and all workers ask it; so a call
that one of them paid is known to all, and what is asked twice at the same time is asked once. It lives where the
command was started, beside the recording. A client whose copies agree (`gdesign.llm.base.may_be_copied`) has nothing to
own: each worker asks a copy of its own.

A worker that dies is replaced, and what it had in hand is run again; what the owner has recorded by then costs nothing.
Where the owner or the command itself dies, the same command goes on.
"""

import asyncio
import os
from collections.abc import Sequence
from itertools import count
from time import perf_counter
from typing import Any, Self

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from tqdm import tqdm

from gdesign.errors import ConfigError, GdesignError, UserError
from gdesign.execute.arena import LocalArena, Log, OnRun, Result
from gdesign.execute.limits import Limits
from gdesign.llm.base import LLMClient, answers_turns, may_be_copied
from gdesign.sandbox import Sandbox
from gdesign.tasks.base import Benchmark
from gdesign.types import AgentPool, Job, Reply, Request

ASKED_AT_ONCE = 4096
"""How many calls the owner has in hand; its client says how many of them are in flight."""
TRIES = 10
"""How often a run is begun whose worker dies each time."""


class _Owner:
    """Asks the one client for all workers."""

    def __init__(self, llm: LLMClient) -> None:
        self._llm = llm

    async def ask(self, request: Request) -> Reply | GdesignError:
        try:
            return await self._llm(request)
        except GdesignError as error:  # as a value: Ray would put its own words around it
            return error


class _Owned:
    """The LLM client of a worker: asks the owner.

    Args:
        whole_turns: As that of the client which the owner asks.
    """

    def __init__(self, owner: Any, *, whole_turns: bool) -> None:
        self._owner = owner
        self.whole_turns = whole_turns

    async def __call__(self, request: Request) -> Reply:
        try:
            reply: Reply | GdesignError = await self._owner.ask.remote(request)
        except RayActorError:
            raise UserError(
                "the process that holds the recording and the budget died (out of memory, or killed); what was "
                "recorded is kept, and the same command goes on"
            ) from None
        if isinstance(reply, GdesignError):
            raise reply
        return reply


class _Worker:
    """Runs designs."""

    def __init__(self, **parts: Any) -> None:
        self._arena = LocalArena(**parts)

    async def ready(self) -> None:
        """Return when it is there."""

    async def run(self, job: Job) -> Result | GdesignError:
        try:
            return (await self._arena.gather([job], phase=""))[0]
        except GdesignError as error:
            return error


class RayArena:
    """Runs designs by actors of Ray.

    Ray is started with the first run, unless it runs in this process, and is ended by `with`. The parts are sent to
    the workers, so all of them can be pickled; no key of an endpoint is: the owner reads it from its own environment.

    Args:
        llm: What was spent of its budget goes along with it.
        limits: How much one run may take, and each agent in it; None for no limit.
        sandbox: Where agents run the programs that they write; None for nowhere.
        log: Takes down each run, in this process; None for nowhere.
        address: Of a cluster, as `ray.init` takes it; None to start Ray on this machine.
        workers: How many actors run designs, each for one CPU of Ray.
        concurrent: How many runs each has in hand at a time.

    Raises:
        ConfigError: `workers` or `concurrent` is below 1.
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
        address: str | None = None,
        workers: int = 2,
        concurrent: int = 64,
    ) -> None:
        for name, value in (("workers", workers), ("concurrent", concurrent)):
            if type(value) is not int or value < 1:
                raise ConfigError(f"arena.{name} is {value!r}; expected 1, 2, 3, ...")
        self._parts = {"pool": pool, "benchmark": benchmark, "limits": limits, "sandbox": sandbox}
        self._llm, self._sandbox, self._log = llm, sandbox, log
        self._address, self._num_workers, self._concurrent = address, workers, concurrent
        self._runner = asyncio.Runner()
        self._workers: set[Any] = set()
        self._owner: Any = None
        self._started = self._began = False
        self._numbers = count()
        # The free places of workers, those of the least busy first; or why no worker can be had.
        self._places: asyncio.PriorityQueue[tuple[int, int, Any]] = asyncio.PriorityQueue()
        self._hiring: set[asyncio.Task[None]] = set()
        self._bar = tqdm(total=0, unit="run", leave=False, disable=None)
        self._num_jobs = self._num_calls = 0
        self._paid = self._since = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._runner.close()
        if ray.is_initialized():
            for actor in (*self._workers, self._owner):
                if actor is not None:
                    ray.kill(actor)
            if self._started:
                ray.shutdown()

    @property
    def isolation(self) -> str | None:
        """How the programs of agents are kept from everything else; None where none are run."""
        return None if self._sandbox is None else self._sandbox.isolation

    def run(
        self, jobs: Sequence[Job], *, phase: str, step: int | None = None, on_run: OnRun | None = None
    ) -> list[Result]:
        """Run designs on tasks, as `Arena` says.

        Raises:
            UserError: Workers die again and again, the owner died, or whatever `LocalArena.run` raises.
            BudgetExceededError: The limit on spending is reached.
        """
        return self._runner.run(self._run(jobs, phase=phase, step=step, on_run=on_run))

    async def _run(self, jobs: Sequence[Job], *, phase: str, step: int | None, on_run: OnRun | None) -> list[Result]:
        if not self._began:
            self._begin()
            self._began = True
            await asyncio.wait(self._hiring, timeout=60)  # else the first to come would get all that there is to do
            self._since = perf_counter()
        self._num_jobs += len(set(jobs))
        self._bar.total = self._num_jobs

        async def one(job: Job) -> Result:
            run, outcome = await self._done(job)
            if self._log is not None:
                self._log.append(run, outcome, phase=phase, step=step)
            if on_run is not None:
                on_run(run, outcome)
            self._tell(outcome.calls, outcome.paid_usd)
            return run, outcome

        try:
            async with asyncio.TaskGroup() as group:
                running = {job: group.create_task(one(job)) for job in dict.fromkeys(jobs)}
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [running[job].result() for job in jobs]

    async def _done(self, job: Job) -> Result:
        for _ in range(TRIES):
            place, number, worker = await self._place()
            asked = worker.run.remote(job)
            try:
                result: Result | GdesignError = await asked
            except (ActorDiedError, ActorUnavailableError):
                self._replace(worker)
                continue
            except asyncio.CancelledError:
                ray.cancel(asked)
                raise
            self._places.put_nowait((place, number, worker))
            if isinstance(result, GdesignError):
                raise result
            return result
        raise UserError(
            f"a run on task {job.task.id!r} was begun {TRIES} times, and its worker died each time; see the "
            "logs of Ray (session_latest/logs in its folder) for whether memory ran out"
        )

    async def _place(self) -> tuple[int, int, Any]:
        while True:
            place, number, worker = await self._places.get()
            if isinstance(worker, Exception):
                self._places.put_nowait((place, number, worker))  # for all others, too
                raise worker
            if worker in self._workers:
                return place, number, worker

    def _begin(self) -> None:
        if not ray.is_initialized():
            self._start()
        llm = self._llm
        if not may_be_copied(llm):
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            actor = ray.remote(num_cpus=0, max_concurrency=ASKED_AT_ONCE, scheduling_strategy=here)(_Owner)
            self._owner = actor.remote(_sent(llm))
            llm = _Owned(self._owner, whole_turns=answers_turns(llm))
        self._parts["llm"] = llm
        self._sent_parts = {name: ray.put(_sent(part)) for name, part in self._parts.items()}
        for _ in range(self._num_workers):
            self._hire()

    def _start(self) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": True}
        if self._address is None:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody unasked
            num_cpus = max(self._num_workers, os.cpu_count() or 1)
            ray.init(num_cpus=num_cpus, include_dashboard=False, **quiet)
        else:
            try:
                ray.init(address=self._address, **quiet)
            except (ConnectionError, ValueError) as error:
                raise ConfigError(
                    f"no cluster of Ray answers at arena.address={self._address} ({error}); start one (ray start "
                    "--head), see that RAY_AUTH_TOKEN is the same there and here, or leave the address out"
                ) from None
        self._started = True

    def _hire(self) -> None:
        task = self._runner.get_loop().create_task(self._hired())
        self._hiring.add(task)
        task.add_done_callback(self._hiring.discard)

    async def _hired(self) -> None:
        actor = ray.remote(num_cpus=1, max_concurrency=self._concurrent + 1, scheduling_strategy="SPREAD")(_Worker)
        for _ in range(TRIES):
            worker = actor.remote(**self._sent_parts)
            try:
                await worker.ready.remote()
            except RayActorError as error:
                why = error
            else:
                self._workers.add(worker)
                for place in range(self._concurrent):
                    self._places.put_nowait((place, next(self._numbers), worker))
                return
        self._places.put_nowait((-1, next(self._numbers), UserError(f"no worker of Ray can begin: {why}")))

    def _replace(self, worker: Any) -> None:
        if worker not in self._workers:
            return  # another run of its own told so
        self._workers.discard(worker)
        ray.kill(worker)  # it may only have been out of reach
        self._hire()

    def _tell(self, num_calls: int, paid_usd: float) -> None:
        self._num_calls += num_calls
        self._paid += paid_usd
        speed = self._num_calls / (perf_counter() - self._since)
        self._bar.set_description(f"{len(self._workers)} workers, {speed:.0f} calls/s, {self._paid:.4f} USD", False)
        self._bar.update()


def _sent(part: Any) -> Any:
    """Return what is to be sent, if it can be.

    Raises:
        ConfigError: It cannot.
    """
    try:
        ray.cloudpickle.dumps(part)
    except TypeError as error:
        raise ConfigError(
            f"arena=ray sends {type(part).__name__} to other processes, and it cannot be sent ({error}); use "
            "arena=local"
        ) from None
    return part
