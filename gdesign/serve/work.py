"""What a server does for money: designs and runs, on account of who asks, as much at a time as it can."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from starlette.requests import Request

from gdesign.api import Answer, Model, Proposal
from gdesign.errors import BudgetExceededError, UnsupportedRequestError, UserError
from gdesign.execute.adaptive import OnMove
from gdesign.execute.limits import Limits
from gdesign.execute.run import OnTurn
from gdesign.llm.base import LLMClient
from gdesign.llm.cost import Allowance, Cost, cost_of
from gdesign.llm.wrappers import Sampling
from gdesign.serve.drafting import Drafting, Lag
from gdesign.serve.form import as_json
from gdesign.serve.meter import Meter, Metrics, Purse, refuses
from gdesign.serve.protocol import ApiError
from gdesign.serve.settings import Settings

FEW = 4
"""Requests under way that are no load yet: where the event loop is late with fewer, something else is to blame."""

Result = TypeVar("Result")


class Work:
    """Designs and runs of one server.

    Attributes:
        drafting: Makes designs.
        stopping: Whether no new work is taken; what is under way goes on.
    """

    def __init__(self, model: Model, *, settings: Settings, metrics: Metrics) -> None:
        self.model = model
        self.settings = settings
        self.drafting = Drafting(model, metrics=metrics)
        self.stopping = False
        self._metrics = metrics
        self._limits = None
        most_usd, waves, agents = settings.max_usd_per_request, settings.max_waves, settings.max_agents
        if (most_usd, waves, agents) != (None, None, None):
            allowed = None if most_usd is None else Allowance(usd=most_usd)
            self._limits = Limits(
                question=allowed, longest_reply=settings.max_tokens, max_waves=waves, max_agents=agents
            )
        most = settings.max_usd_per_request or 0.0
        self._purses = defaultdict[str, Purse](lambda: Purse(usd=settings.max_usd_per_key, most=most))
        self._under_way = 0
        self._lag = Lag()
        metrics.lag.set_function(lambda: self._lag.seconds)

    async def done(self, request: Request, start: Callable[[], Awaitable[Result]]) -> Result:
        """Return what comes of some work, which ends where the client has gone away.

        Raises:
            ApiError: It is not admitted now, or 504 where it takes too long.
        """
        with self.admitted(request):
            return await self.in_time(_unless_gone(request, start()))

    async def in_time(self, work: Awaitable[Result]) -> Result:
        """Return what comes of some work.

        Raises:
            ApiError: 504; it took too long.
        """
        try:
            async with asyncio.timeout(self.settings.deadline):
                return await work
        except TimeoutError:
            raise ApiError(
                504,
                f"There was no answer within {self.settings.deadline:g} s.",
                kind="server_error",
                code="deadline_exceeded",
                headers={"x-should-retry": "false"},
            ) from None

    @contextmanager
    def admitted(self, request: Request) -> Iterator[None]:
        """Hold a place among the requests under way.

        Raises:
            ApiError: 503 while the server ends, 429 where there is no place, 402 where the key's budget is spent.
        """
        again = {"retry-after": "1"}
        if self.stopping:
            raise ApiError(503, "The server is ending; ask again in a moment.", kind="server_error", headers=again)
        busy = None
        if self._under_way >= self.settings.max_concurrent:
            busy = f"{self._under_way} requests are under way, which is all that this server takes at a time"
        elif self._under_way >= FEW and self._lag.seconds > self.settings.max_lag:
            busy = "This server has more to do than it can"
        if busy is not None:
            self._metrics.shed.inc()
            raise ApiError(429, f"{busy}; try again.", kind="requests", code="rate_limit_exceeded", headers=again)
        self._lag.watch()
        with self._purses[request.state.client].open():
            self._under_way += 1
            self._metrics.in_flight.set(self._under_way)
            try:
                yield
            finally:
                self._under_way -= 1
                self._metrics.in_flight.set(self._under_way)

    async def run(
        self,
        proposal: Proposal,
        request: Request,
        *,
        context: str | None = None,
        seed: int = 0,
        temperature: float | None = None,
        max_tokens: int | None = None,
        response_format: str | None = None,
        on_turn: OnTurn | None = None,
        on_move: OnMove | None = None,
    ) -> Answer:
        """Let a design answer, on account of who asks; see `gdesign.Model.execute`.

        With a `response_format`, as JSON, the LLM of the agent that decided puts the answer into that form.

        Raises:
            ApiError: 400 where whoever answers cannot answer such a question or in such a form, 402 where a limit on
                spending left nobody to speak, 424 where endpoints refused so that nobody spoke, 502 where they failed.
        """
        meter: Meter | None = None
        asking: LLMClient | None = None
        if max_tokens is None:
            max_tokens = self.settings.max_tokens

        def metered(llm: LLMClient) -> LLMClient:
            nonlocal meter, asking
            meter = Meter(llm, pool=self.model.pool, metrics=self._metrics)
            asking = Sampling(llm=meter, temperature=temperature, max_tokens=max_tokens)
            return asking

        result = "failed"
        try:
            answer = await self.model.execute(
                proposal,
                context=context,
                seed=seed,
                limits=self._limits,
                wrap=metered,
                on_turn=on_turn,
                on_move=on_move,
            )
            if answer.text is None:
                reasons = "; ".join(dict.fromkeys(turn.error for turn in answer.run.failures if turn.error))
                if meter is None or not meter.num_asked:
                    raise _spent(f"No agent could speak: {reasons}.")
                raise _no_answer(reasons, refused=meter.num_refused == meter.num_failed > 0)
            if response_format is not None:
                assert asking is not None
                assert meter is not None
                answer = await self._formed(answer, context, response_format, asking, meter.spent, max_tokens)
            result = "answered"
        except BudgetExceededError as error:
            raise _spent(f"{error}.") from None
        except UnsupportedRequestError as error:
            raise ApiError(400, f"{error}.", param="messages") from None
        except UserError as error:  # of the endpoint: what can be wrong with the request was checked before
            raise _no_answer(str(error), refused=refuses(error)) from None
        except asyncio.CancelledError:
            result = "cancelled"
            raise
        finally:
            self._metrics.runs.labels(result).inc()
            if meter is not None:
                self._purses[request.state.client].pay(meter.spent)
                request.state.log |= {"calls": meter.spent.calls, "usd": meter.spent.usd, "tokens": meter.spent.tokens}
                if meter.faults:
                    request.state.log["faults"] = meter.faults
        request.state.log["agents"] = len(answer.design.agents)
        self.log_text(request, question=proposal.question, answer=answer.text)
        return answer

    async def _formed(
        self, answer: Answer, context: str | None, form: str, llm: LLMClient, spent: Cost, max_tokens: int | None
    ) -> Answer:
        run, pool = answer.run, self.model.pool
        assert answer.reply is not None
        assert run.decided_by is not None
        name = run.design.agents[run.turns[run.decided_by].agent].llm
        most = self.settings.max_usd_per_request
        reply = await as_json(
            answer.reply.text,
            asked=answer.proposal.question if context is None else context,
            form=form,
            llm=llm,
            name=name,
            pool=pool,
            max_tokens=max_tokens,
            left=None if most is None else most - spent.usd,
        )
        outcome, usage = answer.outcome, reply.usage
        took = replace(
            outcome,
            usd=outcome.usd + cost_of(reply, price=pool.llm(name)).usd,
            prompt_tokens=outcome.prompt_tokens + usage.prompt_tokens,
            completion_tokens=outcome.completion_tokens + usage.completion_tokens,
            calls=outcome.calls + reply.num_calls,
            critical_path=outcome.critical_path + 1,
        )
        return replace(answer, reply=reply, outcome=took)

    def log_text(self, request: Request, **text: str | None) -> None:
        """Add what somebody said to the log of a request, if texts may be logged."""
        if self.settings.log_text:
            request.state.log |= text


async def _unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    working: asyncio.Future[Any] = asyncio.ensure_future(work)
    # the body has been read, so nothing but the end can come
    watching: asyncio.Future[Any] = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            result: Result = working.result()
            return result
        raise ApiError(499, "The client has gone away.", code="client_gone")
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


def _spent(message: str) -> ApiError:
    return ApiError(
        402, message, kind="insufficient_quota", code="budget_exceeded", headers={"x-should-retry": "false"}
    )


def _no_answer(reason: str, *, refused: bool) -> ApiError:
    said = f"No agent got an answer from its endpoint: {reason}."
    if refused:  # as 4xx, which no client tries again
        return ApiError(424, said, code="upstream_refused")
    return ApiError(502, said, kind="server_error", code="upstream_failed")
