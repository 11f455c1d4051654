"""Run a design on a task: agents speak as soon as all they hear have spoken or stayed silent."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter

from gdesign.errors import LLMError
from gdesign.execute.decide import decide
from gdesign.execute.limits import Ledger, Limits
from gdesign.execute.operators import MOST_CALLS, Ask, work
from gdesign.execute.plan import Plan, stays_silent
from gdesign.llm.base import LLMClient, answers_turns
from gdesign.sandbox import Sandbox
from gdesign.types import AgentPool, Decision, Design, Extract, Run, Task, Turn

OnTurn = Callable[[Turn], None]
"""Is told each turn as soon as it has ended, in the order in which they end."""


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
    on_turn: OnTurn | None = None,
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
    floor = Floor(task, pool=pool, llm=llm, extract=extract, seed=seed, limits=limits, tools=tools, on_turn=on_turn)
    n = len(design.agents)
    await floor.give(design, [(i, r) for r in range(1, design.num_rounds + 1) for i in range(n)])
    return floor.end(design)


class Floor:
    """Gives agents the floor, turn by turn, in one execution: of a design, or of what a policy came to so far.

    Args:
        task: The question; the others as `run` has them.
        compares: Whether all answers are compared with each other, whatever the design says of it.
    """

    def __init__(
        self,
        task: Task,
        *,
        pool: AgentPool,
        llm: LLMClient,
        extract: Extract,
        seed: int,
        limits: Limits | None,
        tools: Sandbox | None,
        on_turn: OnTurn | None,
        compares: bool = False,
    ) -> None:
        self._task, self._pool, self._llm, self._extract, self._seed = task, pool, llm, extract, seed
        self._tools, self._on_turn, self._compares = tools, on_turn, compares
        self._whole_turns = answers_turns(llm)
        self._ledger = None if limits is None else Ledger(limits=limits, pool=pool)
        self._turns: dict[tuple[int, int], asyncio.Task[Turn]] = {}
        self._began = perf_counter()

    async def give(self, design: Design, to: Iterable[tuple[int, int]]) -> None:
        """Let agents of a design have their turns, and return when all have ended.

        Args:
            design: Whose agents they are; earlier turns are of the same agents, by their indices.
            to: Agent and round (from 1) of each turn, by round, then agent.

        Raises:
            As `run` says.
        """
        plan = Plan(design, pool=self._pool, recorded=self._whole_turns, compares=self._compares)
        # A TaskGroup cancels the other turns where one ends the run (a spent budget, Ctrl-C).
        try:
            async with asyncio.TaskGroup() as group:
                for i, r in to:
                    number = len(self._turns)
                    turn = self._turns[i, r] = group.create_task(self._take(design, plan, i, r, number))
                    if self._ledger is not None:
                        turn.add_done_callback(partial(_end, self._ledger, number))
                    if self._on_turn is not None:
                        turn.add_done_callback(partial(_tell, self._on_turn))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    @property
    def turns(self) -> list[Turn]:
        """The turns that have ended, by round, then agent."""
        return [turn.result() for turn in self._turns.values()]

    def decided(self, decision: Decision, *, num_agents: int) -> Turn | None:
        """Return the turn that holds the decided answer; None if nobody entitled to decide spoke."""
        last_words: list[Turn | None] = [None] * num_agents
        for turn in self.turns:
            if turn.reply is not None:
                last_words[turn.agent] = turn
        return decide(decision, last_words)

    def end(self, design: Design, *, probability: float | None = None) -> Run:
        """Return everything that was said, and what the design makes of it."""
        done = self.turns
        decided = self.decided(design.decision, num_agents=len(design.agents))
        return Run(
            design=design,
            task=self._task,
            seed=self._seed,
            turns=tuple(done),
            answer=None if decided is None else decided.answer,
            decided_by=None if decided is None else done.index(decided),
            label=max((t.reply.label for t in done if t.reply is not None), default=None),
            seconds=perf_counter() - self._began,
            probability=probability,
        )

    async def _take(self, design: Design, plan: Plan, i: int, r: int, number: int) -> Turn:
        agent, turns, began = design.agents[i], self._turns, self._began
        hears = [turns[turn] for turn in plan.heard(i, r)]
        for turn in reversed(hears):  # who began last mostly ends last: one wake-up instead of one for each
            await turn
        previous = (await turns[i, r - 1]).reply if r > 1 else None
        if agent.gate is not None and stays_silent(agent.gate, [(await turns[j, r]).answer for j in agent.gate.watch]):
            now = perf_counter() - began
            return Turn(agent=i, round=r, start=now, end=now)
        start = perf_counter() - began
        request = plan.request(
            i, self._task, seed=self._seed, heard=[turn.result() for turn in hears], previous=previous
        )
        several = not self._whole_turns and agent.operator in MOST_CALLS
        ask: Ask = self._llm
        if self._ledger is not None:
            ask = partial(self._ledger.ask, turn=number, agent=i, llm=self._llm, several=several)
        try:
            if self._whole_turns:
                reply = await ask(request)
            else:
                reply = await work(request, operator=agent.operator, task=self._task, ask=ask, tools=self._tools)
        except LLMError as error:
            return Turn(agent=i, round=r, error=str(error), start=start, end=perf_counter() - began)
        answer = self._extract(self._task, reply.text)
        return Turn(agent=i, round=r, reply=reply, answer=answer, start=start, end=perf_counter() - began)


def _end(ledger: Ledger, turn: int, _: object) -> None:
    ledger.end(turn)


def _tell(on_turn: OnTurn, turn: asyncio.Task[Turn]) -> None:
    if not turn.cancelled() and turn.exception() is None:
        on_turn(turn.result())
