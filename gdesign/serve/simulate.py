"""The simulated world behind OpenAI's chat completions, with latency, limits and faults on demand."""

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b
from math import ceil
from random import Random
from typing import Any

import orjson
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from gdesign.agents.pool import SOLVER
from gdesign.agents.prompt import prompt, words_of
from gdesign.errors import ConfigError, UnsupportedRequestError
from gdesign.llm.seeds import sample_of
from gdesign.llm.simulated.client import SimulatedClient, World
from gdesign.serve.guard import check_key, read_body
from gdesign.serve.protocol import (
    DONE,
    SSE,
    ApiError,
    ChatRequest,
    completion,
    events,
    model,
    models,
    no_such_model,
    read,
    respond,
    stopped,
)
from gdesign.serve.server import CONNECTION, gone, hang_up
from gdesign.types import Agent, AgentPool, Label, Reply, Request, Task, Usage

FAULTS = ("429", "500", "connection", "timeout", "malformed", "no_choices")
"""What can go wrong on demand.

- `429`: too many requests, with Retry-After.
- `500`: an internal error.
- `connection`: the connection ends, before the answer or in the middle of it.
- `timeout`: no answer ever.
- `malformed`: status 200, and JSON that breaks off.
- `no_choices`: status 200, and no choices.
"""

_WINDOW = 60.0
_CHARS_PER_TOKEN = 4
_QUOTED = re.compile(r"^> .*$", re.MULTILINE)


class Simulation:
    """An ASGI application that answers as `SimulatedClient` does, to anybody who speaks HTTP.

    `POST /v1/chat/completions`, `GET /v1/models`, `GET /v1/models/{name}`, `GET /health`, and
    `GET /stats`, which counts requests, answers and faults. Prompts that gdesign writes get the very
    answers that the client gives in the same process: the text, the model and the seed decide, and no
    seed is seed 0. A last message that is a generated question and not a prompt of gdesign's is
    answered by a neutral agent, whatever was said before.

    The faults are drawn by a seed, in the order in which requests come: as many requests as come get
    the same faults again, though clients that ask at the same time may swap theirs.

    Args:
        pool: The LLMs are the models, the roles are whose prompts are known.
        world: The settings; the default world unless given.
        latency: Mean seconds until an answer begins.
        jitter: How far latency may lie from its mean, to both sides; uniform.
        faults: Share of the requests that fail.
        fault_kinds: How they fail, each kind as often; some of `FAULTS`.
        retry_after: Seconds that a 429 on demand asks clients to wait.
        hang: Seconds after which a request without an answer loses its connection.
        requests_per_minute: What more than so many requests in any 60 seconds get is a 429; None for
            no limit.
        key: What clients must send as bearer token; None for nothing.
        any_message: Whether what the world knows nothing of is answered too, by what is made up: other questions, in
            gdesign's prompts and without, other roles, and LLMs without abilities of their own.
        seed: Draws latencies and faults.
        max_body: Bytes that a request may have.
        clock: Tells seconds, for the limit.

    Raises:
        ConfigError: A value is out of range.
        PoolError: The world does not know an LLM of the pool.
    """

    def __init__(
        self,
        *,
        pool: AgentPool,
        world: World | None = None,
        latency: float = 0.0,
        jitter: float = 0.0,
        faults: float = 0.0,
        fault_kinds: Sequence[str] = FAULTS,
        retry_after: float = 1.0,
        hang: float = 600.0,
        requests_per_minute: int | None = None,
        key: str | None = None,
        any_message: bool = False,
        seed: int = 0,
        max_body: int = 1 << 22,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 <= jitter <= latency < float("inf"):
            raise ConfigError(
                f"the latency is {latency:g} s and its jitter {jitter:g} s; expected 0 or more, and a jitter no larger "
                "than the latency"
            )
        if not 0 <= faults <= 1:
            raise ConfigError(f"the share of faults is {faults}; expected 0 (none) to 1 (every request)")
        if unknown := [kind for kind in fault_kinds if kind not in FAULTS]:
            raise ConfigError(f"there is no fault {unknown[0]!r}; expected any of {', '.join(FAULTS)}")
        if not fault_kinds:
            raise ConfigError(f"no kind of fault is named; expected any of {', '.join(FAULTS)}")
        if not 0 <= retry_after < float("inf"):
            raise ConfigError(f"a 429 asks clients to wait {retry_after} s; expected 0 or more")
        if requests_per_minute is not None and requests_per_minute < 1:
            raise ConfigError(f"the limit is {requests_per_minute} requests a minute; expected 1 or more")
        self._pool = pool
        self._names = tuple(llm.name for llm in pool.llms)
        self._known = frozenset(self._names)
        if any_message:
            world = World() if world is None else world
            least = next(iter(world.abilities.values()))
            world = replace(world, abilities={**{m.name: least for m in pool.llms}, **world.abilities})
        self._client = SimulatedClient(pool=pool, world=world)
        neutral = AgentPool(name=pool.name, roles=(SOLVER,), llms=pool.llms)
        self._neutral_pool, self._neutral = neutral, SimulatedClient(pool=neutral, world=world)
        self._latency, self._jitter = latency, jitter
        self._faults, self._kinds = faults, tuple(fault_kinds)
        self._retry_after, self._hang = retry_after, hang
        self._limit, self._clock = requests_per_minute, clock
        self._keys = {} if key is None else {"key": key}
        self._any_message = any_message
        self._max_body = max_body
        self._draw = Random(seed).random
        self._recent: deque[float] = deque()
        self._hanging: set[Callable[[], None]] = set()
        self._stopping = False
        self._count: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def stats(self) -> dict[str, Any]:
        """Return what was asked for so far and what became of it."""
        count = self._count
        return {
            "requests": count["requests"],
            "answered": count["answered"],
            "faults": {kind: self._failed[kind] for kind in self._kinds} if self._faults else {},
            "rate_limited": count["rate_limited"],
            "refused": dict(self._refused),
            **{name: count[name] for name in ("in_flight", "most_in_flight", "prompt_tokens", "completion_tokens")},
        }

    def summary(self) -> str:
        """Return one line with what was asked for so far and what became of it."""
        count = self._count
        parts = [f"{count['answered']:,} answered"]
        if self._faults:
            kinds = ", ".join(f"{kind} {self._failed[kind]:,}" for kind in self._kinds)
            parts.append(f"{self._failed.total():,} failed on demand ({kinds})")
        if self._limit is not None:
            parts.append(f"{count['rate_limited']:,} over the limit")
        if self._refused:
            parts.append(f"{self._refused.total():,} refused")
        return f"{count['requests']:,} requests: {', '.join(parts)}; at most {count['most_in_flight']:,} at a time"

    def stop(self) -> None:
        """End the connections of requests that will never be answered."""
        self._stopping = True
        for abort in tuple(self._hanging):
            abort()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        try:
            if self._keys and path.startswith("/v1/"):
                check_key(Headers(scope=scope), self._keys)
            match path:
                case "/v1/chat/completions":
                    _check_method(scope, "POST")
                    await self._chat(scope, receive, send)
                    return
                case "/v1/models":
                    response = respond(models(self._names, owner=self._pool.name))
                case "/health":
                    response = respond({"status": "ok"})
                case "/stats":
                    response = respond(self.stats())
                case _ if path.startswith("/v1/models/"):
                    name = path.removeprefix("/v1/models/")
                    self._check_model(name)
                    response = respond(model(name, owner=self._pool.name))
                case _:
                    raise ApiError(
                        404,
                        f"There is no {path[:80]}; there are /v1/chat/completions, /v1/models, /health, /stats.",
                        code="unknown_url",
                    )
            _check_method(scope, "GET")
        except ApiError as error:
            if error.status != 429 and error.status < 500:
                self._refused[str(error.status)] += 1
            response = error.response()
        await response(scope, receive, send)

    async def _chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        count = self._count
        count["requests"] += 1
        count["in_flight"] += 1
        count["most_in_flight"] = max(count["most_in_flight"], count["in_flight"])
        id = f"chatcmpl-{count['requests']}"
        try:
            body = await read_body(Headers(scope=scope), receive, most=self._max_body, seconds=None)
            chat = read(ChatRequest, body)
            self._check_model(chat.model)
            self._check_limit()
            failing, which, lateness = self._draw() < self._faults, self._draw(), self._draw()
            kind = self._kinds[int(which * len(self._kinds))] if failing else None
            if kind is None or kind in ("malformed", "no_choices", "connection"):
                reply = stopped(await self._answer(chat), chat.stops)
            if kind is not None:
                self._failed[kind] += 1
            if kind == "429":
                raise _too_many("Too many requests, on demand", self._retry_after)
            if self._latency:
                await asyncio.sleep(self._latency + self._jitter * (2 * lateness - 1))
            if kind == "500":
                raise ApiError(500, "Internal error, on demand.", kind="server_error")
            if kind == "timeout":
                await self._never(scope, receive)
                return
            if kind is not None:
                await self._break(kind, chat, reply, id=id, scope=scope, receive=receive, send=send)
                return
            usage = reply.usage
            count["answered"] += 1
            count["prompt_tokens"] += usage.prompt_tokens
            count["completion_tokens"] += usage.completion_tokens
            if chat.stream:
                await _send(send, [*_events(chat, reply, id), DONE], stream=True)
            else:
                await _send(send, [completion(reply, id=id, model=chat.model)])
        finally:
            count["in_flight"] -= 1

    async def _answer(self, chat: ChatRequest) -> Reply:
        if chat.form is not None:
            said = "response_format is not served: simulated agents answer in words; leave it out."
            raise ApiError(400, said, param="response_format")
        messages = chat.messages
        request = Request(
            llm=chat.model, messages=messages, max_tokens=chat.max_tokens, sample=sample_of(chat.seed or 0)
        )
        try:
            return await self._client(request)
        except UnsupportedRequestError as error:
            reason = error
        asked = next((m.content.strip() for m in reversed(messages) if m.role == "user"), "")
        # gdesign's own prompt for a role that this pool lacks: a neutral answer would pass for that role's
        form = words_of(self._pool)["forms"]["words"]
        if not any(form in m.content for m in messages):
            agent = Agent(role=SOLVER.name, llm=chat.model)
            task = Task(id="", question=asked, answer="", benchmark="")
            try:
                return await self._neutral(replace(request, messages=prompt(agent, task, pool=self._neutral_pool)))
            except UnsupportedRequestError:
                pass
        if self._any_message:
            return _made_up(chat, asked)
        raise ApiError(
            400,
            "The simulated world answers what gdesign asks, with the roles of the pool that it serves, and last "
            f"messages that are one of the questions of gdesign.tasks.synthetic. Here, {reason}. "
            "Serve the pool that you train with (--pool), or start with --any, which makes up answers to all others.",
            param="messages",
        )

    async def _break(
        self, kind: str, chat: ChatRequest, reply: Reply, *, id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        stream = chat.stream
        pieces = list(_events(chat, reply, id)) if stream else [completion(reply, id=id, model=chat.model)]
        half = len(pieces) // 2
        sent = [*pieces[:half], pieces[half][: len(pieces[half]) // 2]]
        if kind == "no_choices":
            empty = DONE if stream else orjson.dumps({**orjson.loads(pieces[0]), "choices": []})
            await _send(send, [empty], stream=stream)
        elif kind == "malformed":
            await _send(send, [*sent, b"\n\n", DONE] if stream else sent, stream=stream)
        elif self._failed[kind] % 2:
            await hang_up(scope, "abort", receive)
        else:
            await _send(send, sent, stream=stream, unfinished=len(pieces[0]))
            await hang_up(scope, "close", receive)

    async def _never(self, scope: Scope, receive: Receive) -> None:
        abort = scope["extensions"][CONNECTION]["abort"]
        self._hanging.add(abort)
        try:
            async with asyncio.timeout(0 if self._stopping else self._hang):
                await gone(receive)
        except TimeoutError:
            await hang_up(scope, "abort", receive)
        finally:
            self._hanging.discard(abort)

    def _check_model(self, name: str) -> None:
        if name not in self._known:
            raise no_such_model(name, self._names)

    def _check_limit(self) -> None:
        if self._limit is None:
            return
        now = self._clock()
        while self._recent and self._recent[0] <= now - _WINDOW:
            self._recent.popleft()
        if len(self._recent) >= self._limit:
            self._count["rate_limited"] += 1
            raise _too_many(f"More than {self._limit:,} requests a minute", self._recent[0] + _WINDOW - now)
        self._recent.append(now)


def _made_up(chat: ChatRequest, asked: str) -> Reply:
    """Return what was asked, in the form that it asks for: the same to the same question, but for a few models."""
    told = "\n".join(_QUOTED.sub("", m.content) for m in chat.messages)
    question = blake2b(asked.partition("\n\n")[0].encode(), digest_size=4).digest()
    odd = blake2b(f"{chat.model} {chat.seed or 0}".encode() + question, digest_size=1).digest()[0] < 64
    number = int.from_bytes(question) % 90 + 10 + odd
    if "```python" in told:
        whole = f"```python\nprint({number})\n```"
    elif "Answer:" in told:
        whole = f"Nobody here knows that, so this is made up.\nAnswer: {number}"
    else:
        whole = asked
    text = whole if chat.max_tokens is None else whole[: chat.max_tokens * _CHARS_PER_TOKEN]
    length = sum(len(m.content) for m in chat.messages)
    return Reply(
        text=text,
        usage=Usage(
            prompt_tokens=ceil(length / _CHARS_PER_TOKEN), completion_tokens=ceil(len(text) / _CHARS_PER_TOKEN)
        ),
        label=Label.SIMULATED,
        finish_reason="stop" if text == whole else "length",
    )


def _too_many(reason: str, wait: float) -> ApiError:
    return ApiError(
        429,
        f"{reason}; try again in {wait:.3g} s.",
        kind="requests",
        code="rate_limit_exceeded",
        headers={"retry-after": str(ceil(wait)), "retry-after-ms": str(ceil(wait * 1000))},
    )


def _events(chat: ChatRequest, reply: Reply, id: str) -> Iterable[bytes]:
    return events(reply, id=id, model=chat.model, include_usage=chat.stream_options.include_usage)


def _check_method(scope: Scope, method: str) -> None:
    if scope["method"] != method:
        raise ApiError(
            405,
            f"{scope['path']} takes {method}, not {scope['method']}.",
            code="method_not_allowed",
            headers={"allow": method},
        )


async def _send(send: Send, pieces: Sequence[bytes], *, stream: bool = False, unfinished: int | None = None) -> None:
    """Send a body in pieces; with the bytes that it should have had, it is left unfinished."""
    headers = {"content-type": SSE, "cache-control": "no-cache"} if stream else {"content-type": "application/json"}
    if not stream:
        headers["content-length"] = str(unfinished or sum(map(len, pieces)))
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})
    for i, piece in enumerate(pieces, start=1):
        more = unfinished is not None or i < len(pieces)
        await send({"type": "http.response.body", "body": piece, "more_body": more})
