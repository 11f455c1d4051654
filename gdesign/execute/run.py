"""Run a design on a task: agents speak as soon as all they hear have spoken or stayed silent."""

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter

from gdesign.errors import LLMError
from gdesign.execute.decide import decide
from gdesign.execute.limits import Ledger, Limits
from gdesign.execute.operators import MOST_CALLS, work
from gdesign.execute.plan import Plan, stays_silent
from gdesign.llm.base import LLMClient, answers_turns
from gdesign.sandbox import Sandbox
from gdesign.types import AgentPool, Design, Extract, Run, Task, Turn


async def run(
    design: Design,
    task: Task,
    *,
    pool: AgentPool,
    llm: LLMClient,
    extract: Extract,
    seed: int = 0,
    limits: Limits | None = None,
    tools: Sandbox | None = None,
    on_turn: Callable[[Turn], None] | None = None,
) -> Run:
    """Let the design's agents work on the task.

    Independent agents run at the same time. A failing call is recorded in its turn and the agents
    that would have heard it go on without it.

    Args:
        extract: The benchmark's reader of answers; gates and votes compare what it returns.
        seed: Picks among independent answers of an LLM to the same request; 0 for the first.
        limits: How much all agents, and each agent, may take; None for no limit.
        tools: Where agents run the programs that they write, if their operators say so; None for nowhere.
        on_turn: Is told each turn as soon as it has ended, in the order in which they end; None for nobody.

    Raises:
        PoolError: The design names a role, LLM or operator that the pool lacks.
        UnsupportedRequestError: The client cannot answer such a request by its nature, no prompt tells how an agent
            works, or an operator runs programs and there is nowhere to run them.
        BudgetExceededError: The limit on spending is reached.
    """
    whole_turns = answers_turns(llm)
    plan = Plan(design, pool=pool, recorded=whole_turns)
    began = perf_counter()
    n = len(design.agents)
    num_turns = n * design.num_rounds
    asks_again = frozenset() if whole_turns else MOST_CALLS.keys()
    several = {turn for turn in range(num_turns) if design.agents[turn % n].operator in asks_again}
    ledger = None if limits is None else Ledger(limits=limits, pool=pool, num_turns=num_turns, several=several)

    async def take_turn(i: int, r: int) -> Turn:
        agent = design.agents[i]
        hears = [turns[turn] for turn in plan.heard(i, r)]
        for turn in reversed(hears):  # who began last mostly ends last: one wake-up instead of one for each
            await turn
        previous = (await turns[i, r - 1]).reply if r > 1 else None
        if agent.gate is not None and stays_silent(agent.gate, [(await turns[j, r]).answer for j in agent.gate.watch]):
            now = perf_counter() - began
            return Turn(agent=i, round=r, start=now, end=now)
        start = perf_counter() - began
        request = plan.request(i, task, seed=seed, heard=[turn.result() for turn in hears], previous=previous)
        ask = llm if ledger is None else partial(ledger.ask, turn=(r - 1) * n + i, agent=i, llm=llm)
        try:
            if whole_turns:
                reply = await ask(request)
            else:
                reply = await work(request, operator=agent.operator, task=task, pool=pool, ask=ask, tools=tools)
        except LLMError as error:
            return Turn(agent=i, round=r, error=str(error), start=start, end=perf_counter() - began)
        answer = extract(task, reply.text)
        return Turn(agent=i, round=r, reply=reply, answer=answer, start=start, end=perf_counter() - began)

    turns: dict[tuple[int, int], asyncio.Task[Turn]] = {}
    # A TaskGroup cancels the other turns where one ends the run (a spent budget, Ctrl-C).
    try:
        async with asyncio.TaskGroup() as group:
            for r in range(1, design.num_rounds + 1):
                for i in range(n):
                    turns[i, r] = group.create_task(take_turn(i, r))
                    if ledger is not None:
                        turns[i, r].add_done_callback(partial(_end, ledger, (r - 1) * n + i))
                    if on_turn is not None:
                        turns[i, r].add_done_callback(partial(_tell, on_turn))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    done = [t.result() for t in turns.values()]
    last_words: list[Turn | None] = [None] * n
    for turn in done:
        if turn.reply is not None:
            last_words[turn.agent] = turn
    decided = decide(design.decision, last_words)
    return Run(
        design=design,
        task=task,
        seed=seed,
        turns=tuple(done),
        answer=None if decided is None else decided.answer,
        decided_by=None if decided is None else done.index(decided),
        label=max((t.reply.label for t in done if t.reply is not None), default=None),
        seconds=perf_counter() - began,
    )


def _end(ledger: Ledger, turn: int, _: object) -> None:
    ledger.end(turn)


def _tell(on_turn: Callable[[Turn], None], turn: asyncio.Task[Turn]) -> None:
    if not turn.cancelled() and turn.exception() is None:
        on_turn(turn.result())
