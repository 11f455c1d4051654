"""How much one execution of a design may take, and each agent in it."""

import asyncio
from dataclasses import dataclass

from gdesign.errors import ConfigError, LLMError
from gdesign.llm.base import LLMClient
from gdesign.llm.cost import Allowance, Cost, cost_of, most_of
from gdesign.types import AgentPool, Reply, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one execution of a design on one question may take.

    An agent whose call may go beyond a limit fails in that turn, as by any other failing call: the turn's error says
    which limit, and whoever hears the agent goes on without it.

    Attributes:
        question: For all agents together; None for no limit.
        agent: For each agent, over all its rounds; None for no limit.
        longest_reply: Completion tokens that are set aside for a call whose request has no `max_tokens`. Limits on
            USD and tokens need the one or the other. A reply that is longer counts as it is.
        max_waves: How often a policy may ask; None for no limit. What is over is not asked, and the policy's decision
            until then stands. Designs know no such limit.
        max_agents: How many agents a policy may ask; None for no limit, and likewise.
    """

    question: Allowance | None = None
    agent: Allowance | None = None
    longest_reply: int | None = None
    max_waves: int | None = None
    max_agents: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_waves", "max_agents"):
            if (most := getattr(self, name)) is not None and most < 1:
                raise ConfigError(f"{name} is {most}; expected 1 or more")


class Ledger:
    """What the turns of one execution took so far, and which call may still be made.

    A call is made if all that may come of it fits, beside what the turns before it take in the end. Turns are weighed
    in their order (round, then agent), whichever reply comes first, so that an execution that is replayed goes as it
    went when it was live. A call waits for turns before it only until it is known whether they get to speak, or where
    they may leave too little.
    """

    def __init__(self, *, limits: Limits, pool: AgentPool) -> None:
        self._limits = limits
        self._pool = pool
        self._passed: set[int] = set()
        self._next = 0  # the first turn of which it is not known yet what it will take at most
        self._gates: dict[int, asyncio.Event] = {}
        self._settled = asyncio.Event()
        self._spent = Cost()
        self._set_aside = Cost()
        self._by_agent: dict[int, Cost] = {}

    async def ask(self, request: Request, *, turn: int, agent: int, llm: LLMClient, several: bool = False) -> Reply:
        """Make one call of a turn, if the limits allow.

        Args:
            turn: Which turn, counted from 0 by round, then agent.
            several: Whether the agent may make more than one call in it; the turns after it wait until it ends.

        Raises:
            LLMError: They do not allow it, or the call failed.
            ConfigError: A limit needs to know the longest reply, and nobody says it.
        """
        limits, price = self._limits, self._pool.llm(request.llm)
        longest = limits.longest_reply if request.max_tokens is None else request.max_tokens
        for limit in (limits.question, limits.agent):
            if limit is not None:
                limit.check(max_tokens=longest, price=price, where="llm.max_tokens (or limits.longest_reply)")
        most = most_of(request, price=price, max_tokens=longest)
        so_far = self._by_agent.get(agent, Cost())
        if limits.agent is not None and (passed := limits.agent.passed_by(so_far + most)):
            raise LLMError(f"the limit of {passed} for an agent leaves too little for this call")
        if limits.question is not None:
            await self._allowed(limits.question, turn, most)
        self._set_aside += most
        if not several:
            self.end(turn)
        spent = Cost(calls=1)
        try:
            reply = await llm(request)
            spent = cost_of(reply, price=price)
        finally:
            self._by_agent[agent] = self._by_agent.get(agent, Cost()) + spent
            self._set_aside -= most
            self._spent += spent
            self._settled.set()
        return reply

    async def _allowed(self, limit: Allowance, turn: int, most: Cost) -> None:
        """Return when the call is known to fit, beside all that the turns before it take.

        Raises:
            LLMError: It may not fit.
        """
        if self._next < turn:
            await self._gates.setdefault(turn, asyncio.Event()).wait()
        while limit.passed_by(self._spent + self._set_aside + most):
            passed = limit.passed_by(self._spent + most)
            if passed:
                raise LLMError(f"the limit of {passed} for a question leaves too little for this call")
            self._settled.clear()
            await self._settled.wait()

    def end(self, turn: int) -> None:
        """Hear that a turn makes no further call; whoever runs the turns says it of each."""
        self._passed.add(turn)
        while self._next in self._passed:
            self._next += 1
        if (gate := self._gates.get(self._next)) is not None:
            gate.set()
