"""Run many designs at once and weigh each run as soon as it ends."""

import asyncio
from collections.abc import Callable, Sequence

from gdesign.execute.limits import Limits
from gdesign.execute.reward import account
from gdesign.execute.run import run
from gdesign.llm.base import LLMClient
from gdesign.sandbox import Sandbox
from gdesign.tasks.base import Benchmark, RunsPrograms
from gdesign.types import AgentPool, Design, Outcome, Run, Task

Result = tuple[Run, Outcome]


async def rollout(
    jobs: Sequence[tuple[Design, Task, int]],
    *,
    pool: AgentPool,
    llm: LLMClient,
    benchmark: Benchmark,
    record: Callable[[Run, Outcome], None] | None = None,
    limits: Limits | None = None,
    tools: Sandbox | None = None,
) -> list[Result]:
    """Run designs on tasks, all at the same time, and weigh them.

    Args:
        jobs: A design, the task to run it on and the seed of the run, each. A job that is named
            several times is run once.
        pool: Knows roles, LLMs and prices.
        llm: Answers.
        benchmark: Reads and grades the answers.
        record: Is told of each run when it ends, so that nothing that was paid for is lost.
        limits: How much one run may take, and each agent in it; None for no limit.
        tools: Where agents run the programs that they write; None for nowhere.

    Returns:
        Runs and outcomes, in the order of the jobs.

    Raises:
        PoolError: A design names a role, LLM or operator that the pool lacks.
        UnsupportedRequestError: The client cannot answer such a request by its nature, or there is nowhere to run the
            programs of agents.
        ConfigError: The benchmark, or an agent, runs programs, and there is no way to do that safely here.
        BudgetExceededError: The limit on spending is reached.
    """
    takes_long = isinstance(benchmark, RunsPrograms) and benchmark.sandbox is not None

    async def one(design: Design, task: Task, seed: int) -> Result:
        done = await run(
            design, task, pool=pool, llm=llm, extract=benchmark.extract, seed=seed, limits=limits, tools=tools
        )
        if takes_long:
            outcome = await asyncio.to_thread(account, done, grade=benchmark.grade, pool=pool)
        else:
            outcome = account(done, grade=benchmark.grade, pool=pool)
        if record is not None:
            record(done, outcome)
        return done, outcome

    try:
        async with asyncio.TaskGroup() as group:
            # the same design, task and seed give the same run
            running = {job: group.create_task(one(*job)) for job in dict.fromkeys(jobs)}
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [running[job].result() for job in jobs]
