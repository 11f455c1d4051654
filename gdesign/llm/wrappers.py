"""LLM clients around an LLM client: a temperature, a cache, a limit on concurrency, a budget.

They stack: `Cache(llm=Budget(llm=Limit(llm=client, ...), ...))` asks each question once, counts what
was really asked, and sends so many at a time. `AtTemperature` goes around a cache, not into it.
"""

import asyncio
from dataclasses import dataclass, replace

from gdesign.errors import BudgetExceededError, ConfigError
from gdesign.llm.base import LLMClient
from gdesign.types import AgentPool, Reply, Request


class AtTemperature:
    """Asks every request at one temperature.

    Args:
        llm: Who is asked; it sees the temperature in the request.
        temperature: 0 or more.
    """

    def __init__(self, *, llm: LLMClient, temperature: float) -> None:
        if not temperature >= 0:
            raise ConfigError(f"temperature is {temperature}; expected 0 or more")
        self._llm = llm
        self._temperature = temperature

    async def __call__(self, request: Request) -> Reply:
        """Ask at the temperature."""
        return await self._llm(replace(request, temperature=self._temperature))


@dataclass(slots=True, eq=False)
class _Asking:
    """A call in flight and how many wait for it."""

    call: asyncio.Task[Reply]
    num_waiting: int = 0


class Cache:
    """Asks each request once and answers it from memory afterwards.

    A request that is in flight is asked once too: whoever asks it again waits for the same reply. It
    stays in flight while anybody waits for it, whoever asked first. A failed call is not kept. A
    reply from memory keeps its label and its usage, so a run costs what it would have cost without
    the cache.

    It is meant for clients that answer from the text. `recorded` answers from where a request comes
    from, which a cache does not see.

    Args:
        llm: Who is asked.
    """

    def __init__(self, *, llm: LLMClient) -> None:
        self._llm = llm
        self._replies: dict[Request, Reply] = {}
        self._asking: dict[Request, _Asking] = {}

    async def __call__(self, request: Request) -> Reply:
        """Answer from memory, or ask."""
        if (reply := self._replies.get(request)) is not None:
            return reply
        asking = self._asking.get(request)
        if asking is None:
            asking = self._asking[request] = _Asking(asyncio.ensure_future(self._llm(request)))
        asking.num_waiting += 1
        try:
            reply = await asyncio.shield(asking.call)
        finally:
            asking.num_waiting -= 1
            if asking.num_waiting == 0:
                asking.call.cancel()  # nobody waits for it any more; nothing happens to a call that is done
            if (asking.call.done() or asking.num_waiting == 0) and self._asking.get(request) is asking:
                del self._asking[request]
        self._replies[request] = reply
        return reply


class Limit:
    """Lets so many calls be in flight at a time; the others wait their turn.

    Args:
        llm: Who is asked.
        max_concurrent: The number of calls.
    """

    def __init__(self, *, llm: LLMClient, max_concurrent: int) -> None:
        if max_concurrent < 1:
            raise ConfigError(f"max_concurrent is {max_concurrent}; expected 1 or more")
        self._llm = llm
        self._max_concurrent = max_concurrent
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, request: Request) -> Reply:
        """Ask when there is room."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # a semaphore belongs to one loop; each asyncio.run makes another
            self._loop, self._room = loop, asyncio.Semaphore(self._max_concurrent)
        async with self._room:
            return await self._llm(request)


class Budget:
    """Ends the work when a limit on calls, tokens or USD is reached.

    Calls are counted before they are made, so concurrent ones never exceed their limit, and a failed
    one counts. Tokens and USD are known only afterwards: the first call after the limit is reached
    is refused, so the calls then in flight may go beyond it.

    Args:
        llm: Who is asked.
        pool: Knows the prices.
        usd: Limit in USD; None for none.
        tokens: Limit in tokens, prompt and completion together; None for none.
        calls: Limit in calls; None for none.

    Attributes:
        spent_usd: USD spent so far.
        spent_tokens: Tokens used so far.
        num_calls: Calls made so far.

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
        limits = {"usd": usd, "tokens": tokens, "calls": calls}
        if all(limit is None for limit in limits.values()):
            raise ConfigError("a budget needs a limit: give usd, tokens or calls")
        for name, limit in limits.items():
            if limit is not None and not limit > 0:
                raise ConfigError(f"the budget's limit on {name} is {limit}; expected more than 0")
        self._llm = llm
        self._pool = pool
        self._limits = limits
        self.spent_usd = 0.0
        self.spent_tokens = 0
        self.num_calls = 0

    async def __call__(self, request: Request) -> Reply:
        """Ask, if the budget allows.

        Raises:
            BudgetExceededError: A limit is reached.
        """
        price = self._pool.llm(request.llm)
        for name, spent in (("usd", self.spent_usd), ("tokens", self.spent_tokens), ("calls", self.num_calls)):
            limit = self._limits[name]
            if limit is not None and spent >= limit:
                raise BudgetExceededError(
                    f"the budget of {limit:g} {name} is spent: {self.spent_usd:.6g} usd and {self.spent_tokens} tokens "
                    f"in {self.num_calls} calls; raise the limit on {name} to go on"
                )
        self.num_calls += 1
        reply = await self._llm(request)
        usage = reply.usage
        self.spent_tokens += usage.prompt_tokens + usage.completion_tokens
        self.spent_usd += price.usd(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)
        return reply
