"""One base_url with one key: its connections, when the next call may begin, and what its answers mean."""

import asyncio
import json
import logging
import os
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import aiohttp
import httpx2
import openai

from gdesign.errors import ConfigError, CreditError, LLMError, UnreachableError
from gdesign.llm.options import expect, is_loopback, plain
from gdesign.llm.refusals import UNSUPPORTED, Refusal, refusal_of
from gdesign.llm.replies import Fault, estimated_prompt_tokens, parsed, read_reply, text_of
from gdesign.llm.seeds import seed_of
from gdesign.types import Label, Message, Reply, Request, Usage

log = logging.getLogger(__name__)

PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 that another try may mend."""
WAITING = frozenset({429, 503, 529})
"""Statuses with which a server says how long to wait."""
_ADDRESS = "see that it serves a model of this name and that base_url is whole (most end with /v1)"
REMEDIES: Mapping[int, str] = {
    401: "see that the variable named by api_key_env holds this endpoint's key",
    403: "the key may not use this model; ask for access, or leave the LLM out of the pool",
    404: _ADDRESS,
    405: _ADDRESS,
}
"""What mends the statuses that every call would get, unless the endpoint has answered before."""
SYSTEM = ("keep", "merge")
"""What becomes of a system prompt: it keeps its role, or is put before the user's words."""
CONNECT_SECONDS = 10.0
# Many servers (uvicorn, so vLLM too) close a connection that is idle for 5 s; a request sent at that moment is lost.
KEEPALIVE_SECONDS = 4.0
FAILURES_IN_A_ROW = 20
"""So many calls that fail after all retries, with no answer between them, end the run."""


def merged(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return a chat without system messages: what they say stands before the first words of the user."""
    system = [m.content for m in messages if m.role == "system"]
    rest = [m for m in messages if m.role != "system"]
    if not system:
        return tuple(rest)
    first = next((i for i, m in enumerate(rest) if m.role == "user"), None)
    if first is None:
        return (Message("user", "\n\n".join(system)), *rest)
    words = "\n\n".join([*system, rest[first].content])
    return (*rest[:first], Message("user", words), *rest[first + 1 :])


@dataclass(slots=True)
class _Connection:
    """What belongs to one event loop."""

    sdk: openai.AsyncOpenAI
    room: asyncio.Semaphore
    lifetime: AsyncGenerator["_Connection"] | None = None


class Endpoint:
    """One base_url with one key: its connections, and when the next call may begin."""

    def __init__(
        self,
        *,
        base_url: str,
        key: str,
        timeout: float,
        max_concurrent: int,
        max_per_minute: float | None,
        token_limit: str,
        system: str,
        extra: Mapping[str, Any],
    ) -> None:
        expect("a number", timeout=timeout)
        expect("a number or null", max_per_minute=max_per_minute)
        expect("a whole number", max_concurrent=max_concurrent)
        expect("a text", token_limit=token_limit)
        expect("a mapping", extra=extra)
        if system not in SYSTEM:
            raise ConfigError(f"system is {system!r} for {base_url}; expected one of {', '.join(SYSTEM)}")
        if not timeout > 0 or max_concurrent < 1:
            raise ConfigError(
                f"timeout is {timeout} s and max_concurrent {max_concurrent} for {base_url}; expected more than 0, "
                "and 1 or more"
            )
        if max_per_minute is not None and not max_per_minute > 0:
            raise ConfigError(f"max_per_minute is {max_per_minute} for {base_url}; expected more than 0")
        self.base_url = base_url
        parts = urlsplit(base_url)
        self.name = f"{parts.scheme}://{parts.netloc}{parts.path}"
        """What messages call it: the URL without a query, which may hold a secret."""
        self.silent = True
        """Whether nothing at all has come from it yet."""
        self._key = key
        self._timeout = timeout
        self._max_concurrent = max_concurrent
        self._spacing = 0.0 if max_per_minute is None else 60.0 / max_per_minute
        self._token_limit = token_limit
        self._system = system
        self._extra = plain(extra)
        # made once, since loading certificates takes 40 ms; plain HTTP needs none
        self._verify = httpx2.create_ssl_context() if urlsplit(base_url).scheme == "https" else False
        self._options: Any = {"headers": {"Content-Type": "application/json"}}
        if not key:
            self._options["headers"]["Authorization"] = openai.Omit()
        self._next = 0.0
        self._held_until = 0.0
        self._answered: set[str] = set()
        self._told: set[str] = set()
        self._num_failed = 0
        self._connections: dict[asyncio.AbstractEventLoop, _Connection] = {}

    def fields(self, request: Request, extra: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return what is sent for a request."""
        messages = request.messages if self._system == "keep" else merged(request.messages)
        fields: dict[str, Any] = {
            "model": request.llm,
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            "temperature": request.temperature,
            "seed": seed_of(request.sample),
        }
        if request.max_tokens is not None:
            fields[self._token_limit] = request.max_tokens
        if request.response_format is not None:
            fields["response_format"] = json.loads(request.response_format)
        return {name: v for name, v in {**fields, **self._extra, **(extra or {})}.items() if v is not None}

    async def ask(self, request: Request, fields: Mapping[str, Any]) -> Reply:
        """Try once, when there is room.

        Args:
            fields: What is sent, as the method of that name returns it.

        Raises:
            Fault: The try failed.
            ConfigError: It would fail for every request.
            CreditError: The account has no credit left.
        """
        connection = await self._connection()
        async with connection.room:
            if self._spacing or self._held_until:
                await self._turn()
            began = perf_counter()
            try:
                async with asyncio.timeout(self._timeout):
                    # the SDK's typed method takes twice the time, half of it for a tree of objects that nobody reads
                    answer: httpx2.Response = await connection.sdk.post(
                        "/chat/completions",
                        cast_to=httpx2.Response,
                        content=json.dumps(fields).encode(),
                        options=self._options,
                    )
            except openai.APIStatusError as error:
                answer = error.response
            except TimeoutError:
                raise Fault("timeout", f"no reply within {self._timeout:g} s") from None
            except openai.APIConnectionError as error:
                raise self._lost(error) from None
            except aiohttp.ClientError as error:  # a response that is no HTTP
                raise Fault("malformed", self._safe(f"{type(error).__name__}: {error}")) from None
            seconds = perf_counter() - began
        self.silent = False
        reply = self._read(request, fields, answer, seconds)
        self._num_failed = 0
        self._answered.add(request.llm)
        if reply.model and request.llm not in self._told:
            self._told.add(request.llm)
            log.warning(
                "%s is asked for %s and answers by %s: see that it serves the model that is meant, and what that costs",
                self.name,
                fields.get("model"),
                self._safe(reply.model),
            )
        return reply

    def hold(self, seconds: float) -> None:
        """Let no call begin for so many seconds."""
        self._held_until = max(self._held_until, monotonic() + seconds)

    def failure(self, request: Request, fault: Fault, faults: tuple[str, ...]) -> LLMError | ConfigError:
        """Return what a call fails with whose last try ended so, after those that ended in `faults`."""
        if fault.remedy:
            error = self._misconfigured(request, fault.reason, fault.remedy)
            error.faults = faults
            return error
        # a question that is refused says nothing of the others, unless none was ever answered
        self._num_failed += fault.passes or not self._answered
        tries = f", after {len(faults)} tries" if len(faults) > 1 else ""
        reason = f"{request.llm}: {fault.reason}{tries}"
        if fault.word == "500" and not self._answered and self._system == "keep":
            reason += "; a server whose model knows no system prompt may say no more than that (+llm.system=merge)"
        if self._num_failed < FAILURES_IN_A_ROW:
            return LLMError(reason, faults=faults)
        error = UnreachableError(
            f"{self.name} has answered none of the last {self._num_failed} calls, and going on would only count "
            f"failures as wrong answers (the last: {reason}); see what is wrong there and start again"
        )
        error.faults = faults
        return error

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        connection = self._connections.get(asyncio.get_running_loop())
        if connection is not None and connection.lifetime is not None:
            await connection.lifetime.aclose()

    async def _turn(self) -> None:
        while (wait := max(self._next, self._held_until) - (now := monotonic())) > 0:
            if self._spacing and self._next >= self._held_until:
                self._next += self._spacing
                await asyncio.sleep(wait)
                if monotonic() >= self._held_until:
                    return
            else:
                await asyncio.sleep(wait)
        self._next = now + self._spacing

    async def _connection(self) -> _Connection:
        loop = asyncio.get_running_loop()
        connection = self._connections.get(loop)
        if connection is None:
            lifetime = self._lifetime(loop)
            connection = await anext(lifetime)  # runs to its yield without giving up control: nobody makes a second
            connection.lifetime = lifetime
            self._connections[loop] = connection
        return connection

    async def _lifetime(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[_Connection]:
        """Yield connections that are closed when the loop shuts its asynchronous generators down."""
        http = openai.DefaultAioHttpClient(
            limits=httpx2.Limits(max_connections=self._max_concurrent, keepalive_expiry=KEEPALIVE_SECONDS),
            follow_redirects=False,
            verify=self._verify,
            trust_env=not is_loopback(self.base_url),  # a proxy would look for 127.0.0.1 on its own machine
        )
        sdk = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self.base_url,
            max_retries=0,
            # what may take long is timed as a whole, in `ask`
            timeout=httpx2.Timeout(None, connect=min(CONNECT_SECONDS, self._timeout)),
            http_client=http,
            default_headers=self._headers(),
        )
        try:
            yield _Connection(sdk, asyncio.Semaphore(self._max_concurrent))
        finally:
            del self._connections[loop]
            await sdk.close()

    def _headers(self) -> dict[str, Any]:
        """Return headers that keep what the SDK's own environment variables hold for OpenAI from all others."""
        headers: dict[str, Any] = {"Authorization": f"Bearer {self._key}"}
        if not f".{urlsplit(self.base_url).hostname}".endswith(".openai.com"):
            ambient = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
            names = {line.partition(":")[0].strip() for line in ambient if ":" in line}
            names |= {"OpenAI-Organization", "OpenAI-Project"}
            headers |= {name: openai.Omit() for name in names if name.lower() != "authorization"}
        return headers

    def _read(self, request: Request, fields: Mapping[str, Any], answer: httpx2.Response, seconds: float) -> Reply:
        """Return the reply that a response is; raise what any other means."""
        status = 200 if answer.is_success else answer.status_code
        if status == 200:
            body = parsed(answer.content, safe=self._safe)
        else:
            try:
                body = json.loads(answer.content)
            except (ValueError, RecursionError):
                body = answer.text
        refusal = refusal_of(status, answer.headers, body)
        if refusal is None:
            asked = str(fields.get("model"))
            return read_reply(request, body, asked=asked, seconds=seconds, safe=self._safe)
        if refusal.filtered:
            usage = Usage(prompt_tokens=estimated_prompt_tokens(request.messages), completion_tokens=0, counted=True)
            return Reply(text="", usage=usage, label=Label.LIVE, finish_reason="content_filter")
        told = self._safe(refusal.message or answer.text or answer.reason_phrase)
        self._refuse(request, fields, refusal, told, location=answer.headers.get("location", ""))

    def _refuse(
        self, request: Request, fields: Mapping[str, Any], refusal: Refusal, told: str, *, location: str
    ) -> NoReturn:
        status, fresh = refusal.status, request.llm not in self._answered
        reason = f"{status} {told}" if status else f"the reply has no choices: {told}"
        if refusal.no_credit:
            raise CreditError(
                f"{self.name} has no credit left for {request.llm} ({reason}): add some, or ask for less by "
                "llm.max_tokens, and start again; what was recorded is not asked again"
            )
        if fresh and status not in PASSING and (remedy := self._remedy(request, fields, refusal)):
            raise self._misconfigured(request, reason, remedy)
        word = "error" if refusal.partial else str(status) if status else "no_choices"
        if status in PASSING or status >= 500 or status == 0:
            raise Fault(word, reason, retry_after=refusal.wait if status in WAITING else None)
        if status in REMEDIES or status < 400:
            moved = (
                f"it redirects to {self._safe(location)}, and redirects are not followed: set base_url to where it is"
            )
            remedy = REMEDIES.get(status, moved)
            raise self._misconfigured(request, reason, remedy) if fresh else Fault(word, reason, remedy=remedy)
        if refusal.words & UNSUPPORTED and (field := refusal.field_among(fields)):
            raise self._misconfigured(request, reason, self._without(request.llm, field, told))
        raise Fault(word, reason, passes=False)

    def _remedy(self, request: Request, fields: Mapping[str, Any], refusal: Refusal) -> str | None:
        """Return how to mend what every request of an LLM would meet that has not answered yet; None if unknown."""
        if any(m["role"] == "system" for m in fields["messages"]) and refusal.wrong_role:
            return "the model takes no system prompt; put it before the user's: +llm.system=merge"
        if refusal.status not in (0, 400, 422):
            return None
        if field := refusal.field_among(fields):
            return self._without(request.llm, field, refusal.message)
        if refusal.wrong_key:
            return REMEDIES[401]
        return REMEDIES[404] if refusal.wrong_model else None

    def _without(self, llm: str, field: str, told: str) -> str:
        name = self._safe(field)
        if field == self._token_limit:
            other = "max_completion_tokens" if field == "max_tokens" else "max_tokens"
            return (
                f"send the limit on tokens under another name (+llm.token_limit={other}), or set another one "
                "(+llm.max_tokens=N)"
            )
        simple = re.fullmatch(r"[\w-]+", llm)
        option = f"+llm.extra_by_llm.{llm}.{name}=null" if simple else f"+llm.extra.{name}=null"
        return f"leave the field out by {option}, or set another value"

    def _lost(self, error: openai.APIConnectionError) -> Fault:
        cause = error.__cause__ and error.__cause__.__cause__
        # the SDK's transport calls some lost connections timeouts
        if isinstance(cause, TimeoutError):
            return Fault("timeout", f"no connection to {self.name} within {CONNECT_SECONDS:g} s")
        if isinstance(error.__cause__, httpx2.DecodingError):
            self.silent = False
            return Fault("malformed", self._safe(f"the reply cannot be unpacked: {cause}"))
        if isinstance(cause, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
            self.silent = False
        return Fault("connection", self._safe(f"lost connection: {cause or error.__cause__ or error}"))

    def _misconfigured(self, request: Request, reason: str, remedy: str) -> ConfigError:
        return ConfigError(f"{self.name} refuses {request.llm} ({reason}): {remedy}")

    def _safe(self, text: str) -> str:
        """Return the text shortened and without the key, which some endpoints repeat in their errors."""
        text = " ".join(text_of(text).split())
        if self._key:
            text = text.replace(self._key, "***").replace(quote(self._key, safe=""), "***")
        return text if len(text) <= 300 else text[:300] + "..."
