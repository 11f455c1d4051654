"""LLM clients around an LLM client: a way of sampling, and a budget.

They stack, with a recording: `Sampling(llm=Replay(llm=Budget(llm=client, ...), ...))` asks each question once, and
counts what was really asked.
"""

import asyncio
from dataclasses import replace
from typing import Any

from gdesign.errors import BudgetExceededError, ConfigError, GdesignError
from gdesign.llm.base import LLMClient
from gdesign.llm.cost import Allowance, Cost, most_of, spent_in_vain, spent_on
from gdesign.types import AgentPool, Reply, Request


class Sampling:
    """Asks every request at one temperature and with a limit of the completion.

    Args:
        llm: Who is asked; it sees both in the request.
        temperature: 0 or more; None for that of the request.
        max_tokens: Limit of the completion, where the request has no smaller one; None for none but the request's.

    Raises:
        ConfigError: A value is out of range.
    """

    def __init__(self, *, llm: LLMClient, temperature: float | None = 0.0, max_tokens: int | None = None) -> None:
        if temperature is not None and not temperature >= 0:
            raise ConfigError(f"temperature is {temperature}; expected 0 or more")
        if max_tokens is not None and max_tokens < 1:
            raise ConfigError(f"max_tokens is {max_tokens}; expected 1 or more, or null for the endpoint's own limit")
        self._llm = llm
        self._temperature = temperature
        self._max_tokens = max_tokens

    async def __call__(self, request: Request) -> Reply:
        """Ask so."""
        # the smaller one, since whoever set it in the request may have reckoned with it what the call can cost
        limits = [limit for limit in (request.max_tokens, self._max_tokens) if limit is not None]
        temperature = request.temperature if self._temperature is None else self._temperature
        return await self._llm(replace(request, temperature=temperature, max_tokens=min(limits, default=None)))


class Budget:
    """Ends the work before a limit on calls, tokens or USD is passed, however many calls are in flight.

    The most that a call can cost is set aside before it is made, and what it did cost is counted when it ends; see
    `gdesign.llm.cost.most_of`. A call for which too little is left waits, with all that come after it, until those in
    flight have ended. If there is still too little then, it is refused, and so is every later one: the work is at its
    end, and nothing that was paid for is cut off by it.

    What was spent is never said too low. A failed call counts as a call. If the endpoint turned it down by a status,
    it costs nothing else; if its end is not known (a timeout, a lost connection, Ctrl-C), it may have been billed, and
    it counts with all that was set aside for it, also where the last of its tries ends the work. A try that was lost
    before the reply came counts as much as the reply, as far as what was set aside goes. A reply that is longer than
    its `max_tokens` counts as it is.

    Budgets may stand around each other. What a recording answers is no call: a recording stands around a budget.

    Args:
        usd: Limit in USD; None for none. It needs requests with `max_tokens`, unless completions cost nothing.
        tokens: Limit in tokens, prompt and completion together; None for none. It needs `max_tokens`, too.
        calls: Limit in calls; None for none.

    Attributes:
        limit: The limits.
        spent: What was spent so far.

    Raises:
        ConfigError: No limit is given, or one is not above zero.
    """

    def __init__(
        self,
        *,
        llm: LLMClient,
        pool: AgentPool,
        usd: float | None = None,
        tokens: int | None = None,
        calls: int | None = None,
    ) -> None:
        self._llm = llm
        self._pool = pool
        self.limit = Allowance(usd=usd, tokens=tokens, calls=calls)
        self.spent = Cost()
        self._set_aside = Cost()
        self._refusal: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __getstate__(self) -> dict[str, Any]:
        # what was spent goes along; locks belong to an event loop, and calls in flight to their process
        kept = {name: value for name, value in self.__dict__.items() if name not in ("_turn", "_settled")}
        return kept | {"_loop": None, "_set_aside": Cost()}

    async def __call__(self, request: Request) -> Reply:
        """Ask, if the budget allows.

        Raises:
            BudgetExceededError: Too little is left.
            ConfigError: The request has no `max_tokens` and a limit needs it.
        """
        price = self._pool.llm(request.llm)
        self.limit.check(max_tokens=request.max_tokens, price=price, where="llm.max_tokens")
        most = most_of(request, price=price, max_tokens=request.max_tokens)
        await self._admitted(most)
        spent = most  # unless it ends in one of the ways below
        try:
            reply = await self._llm(request)
            spent = spent_on(reply, price=price, most=most)
        except GdesignError as error:
            spent = spent_in_vain(error, most=most)
            raise
        finally:
            self._settle(most, spent)
        return reply

    async def _admitted(self, most: Cost) -> None:
        """Return when so much is set aside: one after the other, in the order in which they came."""
        if self._loop is not (loop := asyncio.get_running_loop()):  # locks belong to an event loop
            self._loop, self._turn, self._settled = loop, asyncio.Lock(), asyncio.Event()
        async with self._turn:
            while self._refusal is None and (passed := self.limit.passed_by(self.spent + self._set_aside + most)):
                if self._set_aside.calls:
                    self._settled.clear()
                    await self._settled.wait()
                    continue
                spent = self.spent
                self._refusal = (
                    f"the budget of {passed} is spent: {spent.usd:.6g} usd and {spent.tokens} tokens in {spent.calls} "
                    f"calls, and the next call may take {most.usd:.3g} usd and {most.tokens} tokens; raise the limit "
                    f"on {passed.split()[1]} to go on"
                )
            if self._refusal is not None:
                raise BudgetExceededError(self._refusal)
            self._set_aside += most

    def _settle(self, most: Cost, spent: Cost) -> None:
        self._set_aside -= most
        self.spent += spent
        self._settled.set()
