"""`gdesign serve`: a trained designer behind OpenAI's chat completions, and behind what the page at / asks.

POST /v1/chat/completions designs a team for the last user message, lets it answer, and replies with what the deciding
agent said. POST /v1/designs only designs, POST /v1/runs lets a given design answer and streams its turns. GET
/v1/models, /v1/info, /v1/history, /health, /metrics, and the page. docs/deploy.md has all fields.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from gdesign import __version__
from gdesign.api import Answer, Kind, Model, Proposal
from gdesign.design.choose import PRICES
from gdesign.encode.problem import MAX_USD_WEIGHT
from gdesign.errors import BudgetExceededError, ConfigError, UnsupportedRequestError, UserError
from gdesign.execute.limits import Limits
from gdesign.export.schema import design_from_json, design_to_json
from gdesign.llm.cost import Allowance
from gdesign.serve.guard import Guard
from gdesign.serve.history import History
from gdesign.serve.meter import Meter, Metrics, Purse
from gdesign.serve.protocol import (
    DONE,
    ApiError,
    clean,
    completion,
    events,
    models,
    no_such_model,
    read_chat,
)
from gdesign.serve.protocol import (
    model as model_body,
)
from gdesign.serve.server import hang_up
from gdesign.types import Design, Label, Message, Reply, Turn, Usage

NAME = "gdesign"
"""The model that clients ask for; `gdesign:0.05` sets the price of cost."""

UNSERVED = (
    "tools",
    "functions",
    "audio",
    "logprobs",
    "prediction",
    "web_search_options",
    "stop",
    "logit_bias",
)
"""Fields of a chat request that would change the answer, and that no team of agents heeds."""

NUM_EXAMPLES = 12
MAX_PAGE = 200
MAX_BATCH = 32
"""Questions that are designed for at once."""

_WORDS = {"stop", "length", "content_filter"}
_SSE = "text/event-stream; charset=utf-8"

Asked = TypeVar("Asked", bound=BaseModel)
Result = TypeVar("Result")


class DesignRequest(BaseModel):
    """What POST /v1/designs takes."""

    model_config = ConfigDict(extra="forbid")
    question: str = Field(min_length=1)
    lam: float | None = Field(default=None, alias="lambda", ge=0, le=MAX_USD_WEIGHT)
    max_usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    kind: Literal["learned", "chain", "complete", "single"] = "learned"


class RunRequest(BaseModel):
    """What POST /v1/runs takes."""

    model_config = ConfigDict(extra="forbid")
    question: str = Field(min_length=1)
    design: dict[str, Any]
    seed: int = Field(default=0, ge=0, lt=1 << 31)


READ_SECONDS = 30.0
"""How long a client may take to read what is left of a stream once its run must be over."""

FEW = 4
"""Requests under way that are no load yet: where the event loop is late with fewer, something else is to blame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How much a server gives.

    Attributes:
        max_concurrent: Designs and runs under way at a time; more get a 429.
        max_lag: Seconds that the event loop may be late, on average over about half a second; while it is later, the
            server has more to do than it can, and new requests get a 429 before all become slow, unless few are
            under way.
        max_body: Bytes of the largest request.
        deadline: Seconds after which a request that has no answer yet gets a 504.
        max_tokens: The most tokens of one completion; None for the endpoint's own limit.
        max_usd_per_request: What one run may spend; None for no limit. It needs `max_tokens`.
        max_usd_per_key: What each key may spend while the server runs; None for no limit. It needs the one above.
        max_turns: Agents times rounds of the largest design that clients may have run.
        log_text: Whether questions and answers are logged.

    Raises:
        ConfigError: A limit is out of range, or lacks another one that it needs.
    """

    max_concurrent: int = 64
    max_lag: float = 0.02
    max_body: int = 1 << 20
    deadline: float = 300.0
    max_tokens: int | None = None
    max_usd_per_request: float | None = None
    max_usd_per_key: float | None = None
    max_turns: int = 256
    log_text: bool = False

    def __post_init__(self) -> None:
        """Refuse limits that limit nothing, or everything."""
        for name in (
            "max_concurrent",
            "max_lag",
            "max_body",
            "deadline",
            "max_tokens",
            "max_usd_per_request",
            "max_usd_per_key",
        ):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name} is {value}; expected more than 0")
        if self.max_usd_per_request is not None and self.max_tokens is None:
            raise ConfigError("max_usd_per_request needs to know the longest reply; set max_tokens")
        if self.max_usd_per_key is not None and self.max_usd_per_request is None:
            raise ConfigError("max_usd_per_key needs to know what one request may take; set max_usd_per_request")


class Serving:
    """The ASGI application.

    Args:
        model: The trained designer.
        folder: Its run folder, whose past runs are shown.
        settings: How much it gives.
        keys: Keys by name; without any, everybody may ask.
        hosts: The names that it goes by; None where it has a key and may be called anything.
        simulated: Whether all agents are simulated, which the page says.
    """

    def __init__(
        self,
        model: Model,
        *,
        folder: Path,
        settings: Settings | None = None,
        keys: Mapping[str, str] | None = None,
        hosts: Collection[str] | None = None,
        simulated: bool = False,
    ) -> None:
        self._settings = settings = Settings() if settings is None else settings
        self._model = model
        self._simulated = simulated
        self._history = History(folder)
        self._metrics = Metrics()
        self._limits = None
        if settings.max_usd_per_request is not None:
            self._limits = Limits(
                question=Allowance(usd=settings.max_usd_per_request), longest_reply=settings.max_tokens
            )
        self._purses: dict[str, Purse] = {}
        self._under_way = 0
        self._stopping = False
        self._files = ThreadPoolExecutor(1, thread_name_prefix="files")
        self._lag = Lag()
        self._metrics.lag.set_function(lambda: self._lag.seconds)
        self._drafting = Drafting(model, metrics=self._metrics)
        self._examples: list[str] | None = None
        self._guarded = Guard(
            self._app(), metrics=self._metrics, keys=keys or {}, hosts=hosts, max_body=settings.max_body
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._guarded(scope, receive, send)

    def stop(self) -> None:
        """Take no new work; what is under way goes on."""
        self._stopping = True

    def _app(self) -> FastAPI:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        static = Path(str(files("gdesign.serve") / "static"))

        async def page(request: Request) -> Response:
            return FileResponse(static / "index.html", headers={"cache-control": "no-cache"})

        for path, method, answer in (
            ("/", "GET", page),
            ("/v1/chat/completions", "POST", self._chat),
            ("/v1/designs", "POST", self._designs),
            ("/v1/runs", "POST", self._runs),
            ("/v1/models", "GET", self._list_models),
            ("/v1/models/{name:path}", "GET", self._one_model),
            ("/v1/info", "GET", self._info),
            ("/v1/history", "GET", self._past_runs),
            ("/v1/history/{id:path}", "GET", self._past_run),
            ("/health", "GET", self._health),
            ("/metrics", "GET", self._counted),
        ):
            app.add_route(path, answer, methods=[method])
        app.mount("/static", StaticFiles(directory=static))
        app.add_exception_handler(ApiError, self._told)
        app.add_exception_handler(HTTPException, self._told)
        app.add_exception_handler(Exception, self._told)
        return app

    # ----------------------------------------------------------------------- chat

    async def _chat(self, request: Request) -> Response:
        body = await request.body()
        asked = read_chat(body)
        _refuse_unserved(body)
        lam = self._lambda_of(asked.model)
        question, context = conversation(asked.messages)
        limits = [n for n in (asked.max_tokens, self._settings.max_tokens) if n is not None]
        log = request.state.log
        log |= {"model": asked.model, "stream": asked.stream}

        async def answered() -> Answer:
            proposal = await self._drafting.propose(question, lam=lam)
            return await self._run(
                proposal,
                request,
                context=context,
                seed=(asked.seed or 0) % (1 << 31),
                temperature=asked.temperature,
                max_tokens=min(limits, default=None),
            )

        with self._admitted(request):
            answer = await self._in_time(_unless_gone(request, answered()))
        outcome, run = answer.outcome, answer.run
        decided = None if run.decided_by is None else run.turns[run.decided_by].reply
        assert decided is not None
        reply = Reply(
            text=clean(decided.text),
            usage=Usage(prompt_tokens=outcome.prompt_tokens, completion_tokens=outcome.completion_tokens),
            label=Label.LIVE if outcome.label is None else outcome.label,
            finish_reason=decided.finish_reason if decided.finish_reason in _WORDS else "stop",
        )
        extra = {
            "gdesign": {
                **_proposal_json(answer.proposal),
                **_outcome_json(answer),
                "turns": [self._turn_json(run.design, turn) for turn in run.turns],
            }
        }
        id = f"chatcmpl-{uuid4().hex}"
        if not asked.stream:
            return _json(completion(reply, id=id, model=asked.model, extra=extra))

        async def pieces() -> AsyncIterator[bytes]:
            for piece in events(reply, id=id, model=asked.model, include_usage=asked.include_usage, extra=extra):
                yield piece
            yield DONE

        return StreamingResponse(pieces(), media_type=_SSE, headers={"cache-control": "no-cache"})

    def _lambda_of(self, name: str) -> float | None:
        base, colon, price = name.partition(":")
        if base != NAME:
            raise no_such_model(name, [NAME, f"{NAME}:<price of cost>"])
        if not colon:
            return None
        try:
            lam = float(price)
        except ValueError:
            lam = -1.0
        if not 0 <= lam <= MAX_USD_WEIGHT:
            raise no_such_model(name, [NAME, f"{NAME}:<price of cost>, such as {NAME}:0.05"])
        return lam

    # ----------------------------------------------------------------------- designs and runs

    async def _designs(self, request: Request) -> Response:
        asked = _read(DesignRequest, await request.body())
        if asked.max_usd is not None and asked.kind != "learned":
            raise ApiError(400, f"max_usd is for kind learned; {asked.kind} is the same at any limit.", param="max_usd")
        began = time.perf_counter()
        with self._admitted(request):
            proposal = await self._in_time(
                _unless_gone(
                    request,
                    self._drafting.propose(asked.question, lam=asked.lam, max_usd=asked.max_usd, kind=asked.kind),
                )
            )
        request.state.log["kind"] = asked.kind
        self._log_text(request, question=asked.question)
        row = {**_proposal_json(proposal), "kind": asked.kind, "seconds": round(time.perf_counter() - began, 6)}
        return _json(orjson.dumps(row))

    async def _runs(self, request: Request) -> Response:
        asked = _read(RunRequest, await request.body())
        try:
            self._check_size(asked.design)
            design = design_from_json(asked.design)
            for agent in design.agents:
                self._model.pool.check(agent)
        except UserError as error:
            raise ApiError(400, f"The design cannot be run: {error}.", param="design") from None
        proposal = Proposal(question=asked.question, design=design, lam=self._model.usd_weight)
        held = (
            ExitStack()
        )  # refused before anything is sent; left when the run is over, whether its turns are read or not
        held.enter_context(self._admitted(request))
        turns: asyncio.Queue[Turn | None] = asyncio.Queue()

        async def pieces() -> AsyncIterator[bytes]:
            running = asyncio.create_task(
                self._in_time(self._run(proposal, request, seed=asked.seed, on_turn=turns.put_nowait))
            )
            running.add_done_callback(lambda _: held.close())
            running.add_done_callback(lambda _: turns.put_nowait(None))
            try:
                while (turn := await turns.get()) is not None:
                    yield _event("turn", self._turn_json(design, turn))
                answer = await running
                yield _event("done", _outcome_json(answer))
            except ApiError as error:
                request.state.log |= error.logged(text=self._settings.log_text)
                yield _event("error", orjson.loads(error.body())["error"])
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

        seconds = self._settings.deadline + READ_SECONDS
        return _Held(pieces(), media_type=_SSE, headers={"cache-control": "no-cache"}, held=held, seconds=seconds)

    def _check_size(self, row: Mapping[str, Any]) -> None:
        agents, rounds = row.get("agents"), row.get("num_rounds", 1)
        if isinstance(agents, list) and isinstance(rounds, int) and len(agents) * rounds > self._settings.max_turns:
            raise ApiError(
                400,
                f"The design has {len(agents)} agents and {rounds} rounds; this server runs at most "
                f"{self._settings.max_turns} turns.",
                param="design",
            )

    async def _run(
        self,
        proposal: Proposal,
        request: Request,
        *,
        context: str | None = None,
        seed: int = 0,
        temperature: float | None = None,
        max_tokens: int | None = None,
        on_turn: Callable[[Turn], None] | None = None,
    ) -> Answer:
        """Let a design answer, on account of who asks.

        Raises:
            ApiError: 400 where whoever answers cannot answer such a question, 402 where a limit on spending left
                nobody to speak, 502 where endpoints failed so that nobody spoke.
        """
        meter: Meter | None = None

        def metered(llm: Any) -> Meter:
            nonlocal meter
            meter = Meter(
                llm,
                pool=self._model.pool,
                metrics=self._metrics,
                temperature=temperature,
                max_tokens=self._settings.max_tokens if max_tokens is None else max_tokens,
            )
            return meter

        result = "failed"
        try:
            answer = await self._model.execute(
                proposal, context=context, seed=seed, limits=self._limits, wrap=metered, on_turn=on_turn
            )
            if answer.text is None:
                raise self._nobody_spoke(answer, num_asked=0 if meter is None else meter.num_asked)
            result = "answered"
        except BudgetExceededError as error:
            raise _spent(f"{error}.") from None
        except UnsupportedRequestError as error:
            raise ApiError(400, f"{error}.", param="messages") from None
        except UserError as error:  # of the endpoint: what can be wrong with the request was checked before
            raise _bad_gateway(str(error)) from None
        except asyncio.CancelledError:
            result = "cancelled"
            raise
        finally:
            self._metrics.runs.labels(result).inc()
            if meter is not None:
                self._purse(request.state.client).pay(meter.spent)
                request.state.log |= {"calls": meter.spent.calls, "usd": meter.spent.usd, "tokens": meter.spent.tokens}
                if meter.faults:
                    request.state.log["faults"] = meter.faults
        request.state.log["agents"] = len(proposal.design.agents)
        self._log_text(request, question=proposal.question, answer=answer.text)
        return answer

    def _nobody_spoke(self, answer: Answer, *, num_asked: int) -> ApiError:
        reasons = "; ".join(dict.fromkeys(turn.error for turn in answer.run.failures if turn.error))
        return _bad_gateway(reasons) if num_asked else _spent(f"No agent could speak: {reasons}.")

    # ----------------------------------------------------------------------- what may be asked now

    @contextmanager
    def _admitted(self, request: Request) -> Iterator[None]:
        """Hold a place among the requests under way.

        Raises:
            ApiError: 503 while the server ends, 429 where there is no place, 402 where the key's budget is spent.
        """
        if self._stopping:
            raise ApiError(
                503, "The server is ending; ask again in a moment.", kind="server_error", headers={"retry-after": "1"}
            )
        busy = None
        if self._under_way >= self._settings.max_concurrent:
            busy = f"{self._under_way} requests are under way, which is all that this server takes at a time"
        elif self._under_way >= FEW and self._lag.seconds > self._settings.max_lag:
            busy = "This server has more to do than it can"
        if busy is not None:
            self._metrics.shed.inc()
            raise ApiError(
                429,
                f"{busy}; try again.",
                kind="requests",
                code="rate_limit_exceeded",
                headers={"retry-after": "1"},
            )
        self._lag.watch()
        with self._purse(request.state.client).open():
            self._under_way += 1
            self._metrics.in_flight.set(self._under_way)
            try:
                yield
            finally:
                self._under_way -= 1
                self._metrics.in_flight.set(self._under_way)

    def _purse(self, client: str) -> Purse:
        if client not in self._purses:
            settings = self._settings
            self._purses[client] = Purse(usd=settings.max_usd_per_key, most=settings.max_usd_per_request or 0.0)
        return self._purses[client]

    async def _in_time(self, work: Awaitable[Result]) -> Result:
        try:
            async with asyncio.timeout(self._settings.deadline):
                return await work
        except TimeoutError:
            raise ApiError(
                504,
                f"There was no answer within {self._settings.deadline:g} s.",
                kind="server_error",
                code="deadline_exceeded",
                headers={"x-should-retry": "false"},
            ) from None

    async def _told(self, request: Request, error: Exception) -> Response:
        """Return the response for an error."""
        if isinstance(error, HTTPException):
            told = ApiError(
                error.status_code,
                f"{request.method} {request.url.path[:80]}: {error.detail}.",
                code="unknown_url",
                headers=error.headers,
            )
        elif isinstance(error, ApiError):
            told = error
        else:
            told = ApiError(500, "Internal error; the server's log has more.", kind="server_error")
        request.state.log |= told.logged(text=self._settings.log_text)
        return Response(told.body(), told.status, headers=dict(told.headers), media_type="application/json")

    def _log_text(self, request: Request, **text: str | None) -> None:
        if self._settings.log_text:
            request.state.log |= text

    # ----------------------------------------------------------------------- what there is to know

    async def _list_models(self, request: Request) -> Response:
        return _json(models([NAME], owner=NAME))

    async def _one_model(self, request: Request) -> Response:
        name = request.path_params["name"]
        self._lambda_of(name)
        return _json(model_body(name, owner=NAME))

    async def _health(self, request: Request) -> Response:
        return _json(b'{"status":"ending"}', 503) if self._stopping else _json(b'{"status":"ok"}')

    async def _counted(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _info(self, request: Request) -> Response:
        if self._examples is None:
            self._examples = await asyncio.get_running_loop().run_in_executor(self._files, self._some_questions)
        pool, trained = self._model.pool, self._model.usd_weight
        body = {
            "designer": self._model.config.names.designer,
            "pool": {
                "name": pool.name,
                "roles": [{"name": r.name, "domain": r.domain} for r in pool.roles],
                "llms": [
                    {
                        "name": m.name,
                        "usd_per_1M_input": m.usd_per_1M_input,
                        "usd_per_1M_output": m.usd_per_1M_output,
                    }
                    for m in pool.llms
                ],
                "operators": list(pool.operators),
            },
            "lambda": {"trained": trained, "low": trained / 10 or PRICES[8], "high": trained * 10 or 1.0},
            "simulated": self._simulated,
            "examples": self._examples,
            "version": __version__,
        }
        return _json(orjson.dumps(body))

    def _some_questions(self) -> list[str]:
        benchmark, _, _ = self._model.executor()
        try:
            return [clean(task.question) for task in benchmark.load("validation")[:NUM_EXAMPLES]]
        except UserError:  # the questions of its training need not be where it serves
            return []

    async def _past_runs(self, request: Request) -> Response:
        query = request.query_params
        page = partial(
            self._history.page,
            folder=query.get("folder", ""),
            limit=_number(query.get("limit", "50"), "limit", most=MAX_PAGE),
            offset=_number(query.get("offset", "0"), "offset", most=1 << 40),
        )
        rows, total = await asyncio.get_running_loop().run_in_executor(self._files, page)
        return _json(orjson.dumps(rows), headers={"x-total-count": str(total)})

    async def _past_run(self, request: Request) -> Response:
        one = partial(self._history.one, request.path_params["id"], folder=request.query_params.get("folder", ""))
        return _json(orjson.dumps(await asyncio.get_running_loop().run_in_executor(self._files, one)))

    def _turn_json(self, design: Design, turn: Turn) -> dict[str, Any]:
        agent = design.agents[turn.agent]
        usage = Usage(prompt_tokens=0, completion_tokens=0) if turn.reply is None else turn.reply.usage
        tokens = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
        return {
            "agent": turn.agent,
            "round": turn.round,
            "role": agent.role,
            "llm": agent.llm,
            "silent": turn.silent,
            "text": None if turn.reply is None else clean(turn.reply.text),
            "answer": clean(turn.answer),
            "error": clean(turn.error),
            **tokens,
            "usd": self._model.pool.llm(agent.llm).usd(**tokens),
            "start": round(turn.start, 6),
            "end": round(turn.end, 6),
        }


class Lag:
    """How late the event loop is while there is something to do.

    Attributes:
        seconds: By how much, on average over about half a second.
    """

    _TICK = 0.02
    _SHARE = 0.04

    def __init__(self) -> None:
        self.seconds = 0.0
        self._ticks_left = 0
        self._ticking: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Measure for the next seconds."""
        self._ticks_left = round(5 / self._TICK)
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while self._ticks_left:
            due = loop.time() + self._TICK
            await asyncio.sleep(self._TICK)
            self.seconds += self._SHARE * (loop.time() - due - self.seconds)
            self._ticks_left = max(0, self._ticks_left - 1)
        self._ticking = None


class Drafting:
    """Designs in one thread of their own, so that torch is entered once and the event loop stays free.

    Questions that wait while others are designed for are taken together.

    Args:
        model: Designs.
        metrics: Are told.
    """

    def __init__(self, model: Model, *, metrics: Metrics) -> None:
        self._model = model
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="designing")
        self._waiting: list[tuple[str, float, asyncio.Future[Proposal]]] = []
        self._working: asyncio.Task[None] | None = None

    async def propose(
        self,
        question: str,
        *,
        lam: float | None = None,
        max_usd: float | None = None,
        kind: Kind | Literal["learned"] = "learned",
    ) -> Proposal:
        """Return a design for a question.

        Raises:
            ApiError: 400; no such design can be made.
        """
        began = time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            if kind != "learned":
                work = partial(self._model.standard, question, kind=kind, lam=lam)
                proposal = await loop.run_in_executor(self._thread, work)
            elif max_usd is not None:
                work = partial(self._model.design, question, max_usd=max_usd, lam=lam)
                proposal = await loop.run_in_executor(self._thread, work)
            else:
                future: asyncio.Future[Proposal] = loop.create_future()
                self._waiting.append((question, self._model.usd_weight if lam is None else lam, future))
                if self._working is None:
                    self._working = asyncio.create_task(self._work())
                proposal = await future
        except UserError as error:
            raise ApiError(400, f"{error}.", param="max_usd" if max_usd is not None else None) from None
        self._metrics.designs.labels(kind).inc()
        self._metrics.design_seconds.observe(time.perf_counter() - began)
        return proposal

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            batch = [job for job in batch if not job[2].done()]  # who has gone away waits no more
            if not batch:
                continue
            work = partial(self._model.designs, [q for q, _, _ in batch], lam=[lam for _, lam, _ in batch])
            try:
                proposals = await loop.run_in_executor(self._thread, work)
            except Exception as error:  # whatever it is belongs to those who wait for it, not to this task
                for _, _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, _, future), proposal in zip(batch, proposals, strict=True):
                if not future.done():
                    future.set_result(proposal)
        self._working = None


class _Held(StreamingResponse):
    """A stream that holds something until it ends at the latest, and loses a client that does not read it in time."""

    def __init__(self, *args: Any, held: ExitStack, seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._holding, self._seconds = held, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._holding:
            try:
                async with asyncio.timeout(self._seconds):
                    await super().__call__(scope, receive, send)
            except TimeoutError:
                await hang_up(scope, "abort", receive)


def conversation(messages: Sequence[Message]) -> tuple[str, str | None]:
    """Return the question in a chat, and what agents read if there is more to it.

    The question is the last user message. Whatever else there is comes before it, in its order: system messages as
    instructions, the rest as the conversation so far.

    Raises:
        ApiError: 400; no user says anything.
    """
    last = max((i for i, m in enumerate(messages) if m.role == "user"), default=None)
    if last is None or not messages[last].content.strip():
        raise ApiError(400, "There is no question: the last user message is missing or empty.", param="messages")
    question = messages[last].content
    system = [m.content for m in messages if m.role == "system" and m.content.strip()]
    rest = [m for i, m in enumerate(messages) if i != last and m.role != "system"]
    if not system and not rest:
        return question, None
    parts = []
    if system:
        parts.append("Instructions:\n" + "\n\n".join(system))
    if rest:
        names = {"user": "User", "assistant": "Assistant"}
        parts.append("The conversation so far:\n" + "\n\n".join(f"{names[m.role]}: {m.content}" for m in rest))
    parts.append(f"What is asked now:\n{question}")
    return question, "\n\n".join(parts)


async def _unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """Return what comes of some work; end it where the client has gone away."""
    working: asyncio.Future[Any] = asyncio.ensure_future(work)
    watching: asyncio.Future[Any] = asyncio.ensure_future(
        request.receive()
    )  # the body has been read, so nothing but the end can come
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


def _refuse_unserved(body: bytes) -> None:
    data = orjson.loads(body)
    for name in UNSERVED:
        if data.get(name):
            raise ApiError(400, f"{name} is not served: no team of agents heeds it; leave it out.", param=name)
    kind = data.get("response_format") or {"type": "text"}
    if kind != {"type": "text"}:
        raise ApiError(
            400,
            "response_format is not served: agents of a team answer in words; leave it out.",
            param="response_format",
        )


def _read(kind: type[Asked], body: bytes) -> Asked:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80]
        raise ApiError(400, f"{where or 'The body'}: {first['msg']}.", param=where or None) from None


def _number(text: str, name: str, *, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise ApiError(400, f"{name} is {text[:40]!r}; expected a number from 0 to {most}.", param=name)
    return min(int(text), most)


def _proposal_json(proposal: Proposal) -> dict[str, Any]:
    expected = None if proposal.score is None else {"score": proposal.score, "usd": proposal.usd}
    return {"design": design_to_json(proposal.design), "expected": expected, "lambda": proposal.lam}


def _outcome_json(answer: Answer) -> dict[str, Any]:
    outcome = answer.outcome
    return {
        "answer": clean(answer.answer),
        "decided_by": answer.run.decided_by,
        "usd": outcome.usd,
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.completion_tokens,
        "calls": outcome.calls,
        "failures": outcome.failures,
        "critical_path": outcome.critical_path,
        "seconds": round(answer.run.seconds, 6),
        "label": None if outcome.label is None else str(outcome.label),
    }


def _spent(message: str) -> ApiError:
    return ApiError(
        402, message, kind="insufficient_quota", code="budget_exceeded", headers={"x-should-retry": "false"}
    )


def _bad_gateway(reason: str) -> ApiError:
    return ApiError(
        502, f"No agent got an answer from its endpoint: {reason}.", kind="server_error", code="upstream_failed"
    )


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, headers=headers, media_type="application/json")


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
