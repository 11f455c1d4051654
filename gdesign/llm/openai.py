"""Any OpenAI-compatible chat endpoint, by the openai SDK: several at once, with retries and limits."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from random import Random
from time import monotonic, perf_counter, time
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import httpx2
import openai

from gdesign.errors import BudgetExceededError, ConfigError, LLMError, PoolError
from gdesign.llm.seeds import seed_of
from gdesign.types import AgentPool, Label, Message, Reply, Request, Usage

BASE_URL = "https://api.openai.com/v1"
API_KEY_ENV = "OPENAI_API_KEY"
OPENAI_HOST = "api.openai.com"
"""Who gets the key in API_KEY_ENV without being asked to."""

OWN_TERMS = ("max_concurrent", "max_per_minute", "timeout", "token_limit", "extra")
"""What an item of `endpoints` may set for one endpoint."""
PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 that another try may mend."""
CONFIGURATION = frozenset({401, 403, 404, 405})
"""Statuses that every call would get, unless the endpoint has answered before."""
FILTERED = frozenset({"content_filter", "content_policy_violation", "invalid_prompt"})
"""Codes of a 400 by which a filter refuses the prompt: Azure's, and OpenAI's."""
UNSUPPORTED = frozenset({"unsupported_parameter", "unsupported_value"})
"""Codes of a 400 by which a model refuses a field that every request carries."""
CONNECT_SECONDS = 10.0
# Many servers (uvicorn, so vLLM too) close a connection that is idle for 5 s; a request sent at that moment is lost.
KEEPALIVE_SECONDS = 4.0
FIRST_TRIES = 4
"""How often a call is tried while nothing at all has come from its endpoint and no connection can be made."""
FAILURES_IN_A_ROW = 20
"""So many calls that fail after all retries, with no answer between them, end the run."""


class OpenAIClient:
    """An LLM client for endpoints that speak OpenAI's chat completions.

    An LLM whose pool names its `base_url` or `api_key_env` is asked there, with that key; all others
    are asked at the client's own endpoint. No key, cookie or header goes to another endpoint than its
    own, and redirects are not followed.

    What passes is tried again, with growing waits of which a random half is spared: timeouts, lost
    connections, the statuses 408, 409, 425, 429 and 5xx, replies that are no JSON or have no choices.
    The words for what was survived stand in `Reply.faults`. Where a 429 or 503 says how long to wait,
    all calls to its endpoint wait. docs/endpoints.md lists every fault and finish reason.

    Connections belong to an event loop, so there is one SDK client a loop: it is made at the loop's
    first request, shared by all others, and closed with the loop by `asyncio.run` and
    `asyncio.Runner`. Any number of `asyncio.run` calls may follow each other; one `asyncio.Runner`
    for all batches keeps the connections open between them, which is faster. Under a loop that is
    run by hand, await `aclose()` before it ends.

    The sample index of a request goes out as `seed`, in 31 bits, so that endpoints which know
    seeds can tell independent answers apart.

    Args:
        base_url: Where the endpoint is.
        api_key_env: Name of the environment variable that holds the key; empty where none is wanted. None is
            OPENAI_API_KEY for https://api.openai.com, and no key for an endpoint on this machine (localhost,
            127.0.0.1, ::1), which needs none; any other endpoint's must be named.
        pool: Whose LLMs are asked, each where it says; None for any LLM at the client's own endpoint.
        max_retries: How often a call is tried again.
        timeout: Seconds that one try may take, from sending to the reply's last byte.
        backoff: Seconds of the longest first wait; each further one is twice as long.
        max_wait: Seconds of the longest wait, by backoff or by what an endpoint asks for.
        max_concurrent: How many calls may be in flight at a time, for each endpoint.
        max_per_minute: How many calls may begin in a minute, for each endpoint, evenly spaced; None for any number.
        token_limit: What the field is called that carries a request's `max_tokens`.
        extra: Fields that every request's body carries besides; None leaves a field out that is usually sent.
        extra_by_llm: The same for single LLMs, by their names; these come last.
        endpoints: What differs for single endpoints: mappings of a `base_url` and any of max_concurrent,
            max_per_minute, timeout, token_limit and extra.

    Raises:
        ConfigError: A key is not in the environment, or a value is out of range.
    """

    def __init__(
        self,
        *,
        base_url: str = BASE_URL,
        api_key_env: str | None = None,
        pool: AgentPool | None = None,
        max_retries: int = 8,
        timeout: float = 120.0,
        backoff: float = 1.0,
        max_wait: float = 60.0,
        max_concurrent: int = 64,
        max_per_minute: float | None = None,
        token_limit: str = "max_tokens",
        extra: Mapping[str, Any] | None = None,
        extra_by_llm: Mapping[str, Mapping[str, Any]] | None = None,
        endpoints: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        expect("a whole number", max_retries=max_retries)
        expect("a number", backoff=backoff, max_wait=max_wait)
        expect("a mapping or null", extra=extra, extra_by_llm=extra_by_llm)
        expect("a mapping", **{f"extra_by_llm.{name}": fields for name, fields in (extra_by_llm or {}).items()})
        if isinstance(endpoints, str) or not isinstance(endpoints, Sequence) or not all(map(_is_mapping, endpoints)):
            raise ConfigError(f"endpoints is {endpoints!r}; expected a list of mappings, each with a base_url")
        if max_retries < 0 or not backoff >= 0 or not max_wait >= 0:
            raise ConfigError(
                f"max_retries is {max_retries}, backoff {backoff} s and max_wait {max_wait} s; expected 0 or more each"
            )
        common: dict[str, Any] = {
            "timeout": timeout,
            "max_concurrent": max_concurrent,
            "max_per_minute": max_per_minute,
            "token_limit": token_limit,
            "extra": extra or {},
        }
        own = {_normal(terms.get("base_url", "")): terms for terms in endpoints}
        made: dict[tuple[str, str | None], _Endpoint] = {}

        def endpoint(url: str, variable: str | None, whose: str) -> _Endpoint:
            where = _normal(url), variable_of(_normal(url)) if variable is None else variable
            if where not in made:
                made[where] = _Endpoint(
                    base_url=where[0],
                    key=_key(*where, whose=whose),
                    **{**common, **{name: own[where[0]][name] for name in OWN_TERMS if name in own.get(where[0], {})}},
                )
            return made[where]

        self._pool = pool
        self._own = endpoint(base_url, api_key_env, "") if pool is None else None
        self._by_llm: dict[str, _Endpoint] = {}
        for llm in pool.llms if pool is not None else ():
            url, variable = llm.base_url or base_url, llm.api_key_env
            if variable is None and _normal(url) == _normal(base_url):
                variable = api_key_env  # anywhere else, None is no key: the client's own stays at home
            self._by_llm[llm.name] = endpoint(url, variable, f"LLM {llm.name!r}")
        for url, terms in own.items():
            if url not in {known for known, _ in made}:
                raise ConfigError(
                    f"endpoints names {url or 'no base_url'}, which nobody asks; expected one of "
                    f"{', '.join(sorted({known for known, _ in made}))}"
                )
            if unknown := [name for name in terms if name not in ("base_url", *OWN_TERMS)]:
                raise ConfigError(f"{url} has the option {unknown[0]!r}; expected any of {', '.join(OWN_TERMS)}")
        for name in extra_by_llm or {}:
            if pool is not None:
                pool.llm(name)
        self._extra = {name: _plain(fields) for name, fields in (extra_by_llm or {}).items()}
        self._max_retries = max_retries
        self._backoff = backoff
        self._max_wait = max_wait
        # how long exactly a call waits changes no answer, so no seed is asked for
        self._random = Random()

    async def __call__(self, request: Request) -> Reply:
        """Ask the endpoint of the request's LLM.

        Raises:
            LLMError: The endpoint refused this request, or failed after all retries; the message says
                which and never holds the key.
            ConfigError: The endpoint would refuse every request (a wrong key, an unknown model, a field
                that the model does not take), nothing answers there, or nothing has been answered any
                more for many calls.
            BudgetExceededError: The endpoint says that the account has no credit left.
            PoolError: There is a pool, and the LLM is not in it.
        """
        endpoint = self._own or self._by_llm.get(request.llm)
        if endpoint is None:
            assert self._pool is not None
            raise PoolError(f"pool {self._pool.name!r} has no LLM {request.llm!r}, so nobody knows where to ask it")
        body = endpoint.body(request, self._extra.get(request.llm))
        faults: list[str] = []
        while True:
            try:
                reply = await endpoint.ask(request, body)
            except (ConfigError, BudgetExceededError) as error:
                error.faults = tuple(faults)
                raise
            except _Fault as fault:
                faults.append(fault.word)
                if endpoint.silent and fault.word == "connection":
                    if len(faults) >= min(FIRST_TRIES, self._max_retries + 1):
                        raise ConfigError(
                            f"nothing answers at {endpoint.name} ({fault.reason}): start the server, or mend base_url"
                        ) from None
                elif len(faults) > self._max_retries or not fault.passes:
                    raise endpoint.failure(request, fault, tuple(faults)) from None
                wait = min(self._max_wait, self._backoff * 2 ** (len(faults) - 1)) * (1 - self._random.random() / 2)
                if fault.retry_after is not None:
                    asked = min(self._max_wait, fault.retry_after)
                    endpoint.hold(asked)
                    wait = max(asked, wait)
                await asyncio.sleep(wait)
            else:
                return replace(reply, faults=tuple(faults)) if faults else reply

    async def aclose(self) -> None:
        """Close the connections of the running event loop; a later request opens new ones."""
        for endpoint in set(self._by_llm.values()) if self._own is None else {self._own}:
            await endpoint.aclose()


class _Fault(Exception):
    """Why a try failed.

    Attributes:
        word: What `Reply.faults` calls it.
        reason: What a user reads if it does not pass.
        passes: Whether another try may mend it.
        final: Whether every other call would fail with it too, if it does not pass.
        retry_after: Seconds that the endpoint asks to wait; None if it does not say.
    """

    def __init__(
        self,
        word: str,
        reason: str,
        *,
        passes: bool = True,
        final: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.word = word
        self.reason = reason
        self.passes = passes
        self.final = final
        self.retry_after = retry_after


@dataclass(slots=True)
class _Connection:
    """What belongs to one event loop."""

    sdk: openai.AsyncOpenAI
    room: asyncio.Semaphore
    lifetime: AsyncGenerator["_Connection"] | None = None


class _Endpoint:
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
        extra: Mapping[str, Any],
    ) -> None:
        expect("a number", timeout=timeout)
        expect("a number or null", max_per_minute=max_per_minute)
        expect("a whole number", max_concurrent=max_concurrent)
        expect("a text", token_limit=token_limit)
        expect("a mapping", extra=extra)
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
        self._extra = _plain(extra)
        # made once, since loading certificates takes 40 ms; plain HTTP needs none
        self._verify = httpx2.create_ssl_context() if urlsplit(base_url).scheme == "https" else False
        self._options: Any = {"headers": {"Content-Type": "application/json"}}
        if not key:
            self._options["headers"]["Authorization"] = openai.Omit()
        self._next = 0.0
        self._held_until = 0.0
        self._answered: set[str] = set()
        self._num_failed = 0
        self._connections: dict[asyncio.AbstractEventLoop, _Connection] = {}

    def body(self, request: Request, extra: Mapping[str, Any] | None) -> bytes:
        """Return what is sent for a request."""
        fields: dict[str, Any] = {
            "model": request.llm,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "temperature": request.temperature,
            "seed": seed_of(request.sample),
        }
        if request.max_tokens is not None:
            fields[self._token_limit] = request.max_tokens
        if self._extra or extra:
            fields = {name: v for name, v in {**fields, **self._extra, **(extra or {})}.items() if v is not None}
        return json.dumps(fields).encode()

    async def ask(self, request: Request, body: bytes) -> Reply:
        """Try once, when there is room.

        Raises:
            _Fault: The try failed.
            ConfigError: It would fail for every request.
            BudgetExceededError: The account has no credit left.
        """
        connection = await self._connection()
        async with connection.room:
            if self._spacing or self._held_until:
                await self._turn()
            began = perf_counter()
            answer: httpx2.Response | openai.APIStatusError
            try:
                async with asyncio.timeout(self._timeout):
                    # the SDK's typed method takes twice the time, half of it for a tree of objects that nobody reads
                    answer = await connection.sdk.post(
                        "/chat/completions", cast_to=httpx2.Response, content=body, options=self._options
                    )
            except openai.APIStatusError as error:
                answer = error
            except TimeoutError:
                raise _Fault("timeout", f"no reply within {self._timeout:g} s") from None
            except openai.APIConnectionError as error:
                raise self._lost(error) from None
            except aiohttp.ClientError as error:  # a response that is no HTTP
                raise _Fault("malformed", self._safe(f"{type(error).__name__}: {error}")) from None
            seconds = perf_counter() - began
        self.silent = False
        if isinstance(answer, openai.APIStatusError):
            reply = self._refused(request, answer)
        else:
            reply = self._read(request, answer.content, seconds=seconds)
        self._num_failed = 0
        self._answered.add(request.llm)
        return reply

    def hold(self, seconds: float) -> None:
        """Let no call begin for so many seconds."""
        self._held_until = max(self._held_until, monotonic() + seconds)

    def failure(self, request: Request, fault: _Fault, faults: tuple[str, ...]) -> LLMError | ConfigError:
        """Return what a call fails with whose last try ended so, after those that ended in `faults`."""
        if fault.final:
            error = self._misconfigured(request, int(fault.word), fault.reason)
            error.faults = faults
            return error
        # a question that is refused says nothing of the others, unless none was ever answered
        self._num_failed += fault.passes or not self._answered
        tries = f", after {len(faults)} tries" if len(faults) > 1 else ""
        reason = f"{request.llm}: {fault.reason}{tries}"
        if self._num_failed < FAILURES_IN_A_ROW:
            return LLMError(reason, faults=faults)
        error = ConfigError(
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
        """Wait until a call may begin."""
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

    def _read(self, request: Request, content: bytes, *, seconds: float) -> Reply:
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            raise _Fault("malformed", f"the reply is no JSON: {self._safe(content.decode(errors='replace'))}") from None
        try:
            choices = body.get("choices") or []
            if not choices:
                raise _Fault("no_choices", f"the reply has no choices: {self._safe(content.decode())}")
            message = choices[0]["message"]
            text, refusal = _text(message.get("content")), _text(message.get("refusal"))
            finish_reason = _text(choices[0].get("finish_reason") or "stop")
            usage = _usage(request, text or refusal, body.get("usage"))
        except (AttributeError, LookupError, TypeError, ValueError):
            raise _Fault(
                "malformed", f"the reply is no chat completion: {self._safe(content.decode(errors='replace'))}"
            ) from None
        if refusal:
            finish_reason = "refusal"
        elif not text.strip() and finish_reason not in ("length", "content_filter", "refusal"):
            finish_reason = "empty"
        return Reply(text=text or refusal, usage=usage, label=Label.LIVE, finish_reason=finish_reason, seconds=seconds)

    def _refused(self, request: Request, error: openai.APIStatusError) -> Reply:
        """Return the reply that a refusal by a filter is; raise what any other status means."""
        status, code = error.status_code, error.code
        body = error.body if isinstance(error.body, Mapping) else {}
        reason = self._safe(f"{status} {body.get('message') or error.response.text or error.response.reason_phrase}")
        if (status == 400 and code in FILTERED) or (status == 403 and "flagged_input" in str(body.get("metadata"))):
            usage = Usage(prompt_tokens=_num_prompt_tokens(request.messages), completion_tokens=0, counted=True)
            return Reply(text="", usage=usage, label=Label.LIVE, finish_reason="content_filter")
        if status == 402 or code == "insufficient_quota":
            raise BudgetExceededError(
                f"{self.name} has no credit left for {request.llm} ({reason}); add some and go on"
            )
        if status in PASSING or status >= 500:
            retry_after = _retry_after(error.response.headers) if status in (429, 503) else None
            raise _Fault(str(status), reason, retry_after=retry_after)
        if status in CONFIGURATION or status < 400:
            if request.llm in self._answered:
                raise _Fault(str(status), reason, final=True)
            raise self._misconfigured(request, status, reason, location=error.response.headers.get("location"))
        if code in UNSUPPORTED and isinstance(error.param, str):
            raise self._misconfigured(request, status, reason, field=error.param)
        raise _Fault(str(status), reason, passes=False)

    def _lost(self, error: openai.APIConnectionError) -> _Fault:
        cause = error.__cause__ and error.__cause__.__cause__
        # the SDK's transport calls some lost connections timeouts
        if isinstance(cause, TimeoutError):
            return _Fault("timeout", f"no connection to {self.name} within {CONNECT_SECONDS:g} s")
        if isinstance(error.__cause__, httpx2.DecodingError):
            self.silent = False
            return _Fault("malformed", self._safe(f"the reply cannot be unpacked: {cause}"))
        if isinstance(cause, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
            self.silent = False
        return _Fault("connection", self._safe(f"lost connection: {cause or error.__cause__ or error}"))

    def _misconfigured(
        self, request: Request, status: int, reason: str, *, location: str | None = None, field: str | None = None
    ) -> ConfigError:
        where = self._safe(location or field or "")
        if status == 401:
            remedy = "see that the variable named by api_key_env holds this endpoint's key"
        elif status == 403:
            remedy = "the key may not use this model; ask for access, or leave the LLM out of the pool"
        elif status == 400:
            remedy = (
                f"leave the field out by extra_by_llm.{request.llm}.{where}=null, or set another value; a limit on "
                "tokens goes out under the name that token_limit says"
            )
        elif status < 400:
            remedy = f"it redirects to {where}, and redirects are not followed: set base_url to where it is"
        else:
            remedy = "see that it serves a model of this name and that base_url is whole (most end with /v1)"
        return ConfigError(f"{self.name} refuses {request.llm} ({reason}): {remedy}")

    def _safe(self, text: str) -> str:
        """Return the text shortened and without the key, which some endpoints repeat in their errors."""
        text = " ".join(_text(text).split())
        if self._key:
            text = text.replace(self._key, "***").replace(quote(self._key, safe=""), "***")
        return text if len(text) <= 300 else text[:300] + "..."


KINDS: Mapping[str, Any] = {
    "a number": int | float,
    "a number or null": int | float | None,
    "a whole number": int,
    "a whole number or null": int | None,
    "a text": str,
    "a text or null": str | None,
    "a mapping": Mapping,
    "a mapping or null": Mapping | None,
}
"""Kinds of values that a command line may give."""


def expect(kind: str, **values: Any) -> None:
    """Refuse options of another kind.

    Args:
        kind: A key of `KINDS`.
        **values: Options by name.

    Raises:
        ConfigError: One is of another kind.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, KINDS[kind]):
            raise ConfigError(f"{name} is {value!r}; expected {kind}")


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _normal(base_url: str) -> str:
    """Return a base_url without slashes at its end; refuse one that nobody can ask, or that may carry a secret."""
    expect("a text", base_url=base_url)
    url = base_url.rstrip("/")
    if found := [sign for sign in "@?#" if sign in url]:  # what follows or precedes it is not repeated
        raise ConfigError(
            f"base_url has a {found[0]!r} in it, as if it carried a user name, a password, a query or a fragment; put "
            "the endpoint's key into an environment variable and name that by api_key_env, and leave the rest out"
        )
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if url and not whole:
        raise ConfigError(f"base_url is {base_url!r}; expected something like {BASE_URL}")
    return url


def _key(base_url: str, variable: str | None, *, whose: str) -> str:
    expect("a text or null", api_key_env=variable)
    key = os.environ.get(variable or "", "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigError(
            f"the environment variable {variable} holds characters that no key has (a line break, a space, a "
            "typographic quote or the like); set it to the key alone"
        )
    if key or variable == "" or is_loopback(base_url):
        return key
    asked = f"{base_url} is asked" + (f" for {whose}" if whose else "")
    if variable is None:
        raise ConfigError(
            f"{asked}, and nothing names the variable that holds its key ({API_KEY_ENV} goes to https://{OPENAI_HOST} "
            "alone); name it by api_key_env (--api-key-env), or give an empty name where no key is wanted"
        )
    raise ConfigError(
        f"{asked}, and its key is not there: set the environment variable {variable}, or name another one by "
        "api_key_env (an empty one where no key is wanted)"
    )


def _plain(value: Any) -> Any:
    """Return a value from a config as plain dicts and lists, which JSON takes."""
    if isinstance(value, Mapping):
        return {str(name): _plain(v) for name, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    return value


def _text(content: Any) -> str:
    """Return the text of a message: a string, a list of parts with text among them, or None."""
    if isinstance(content, list):
        content = "".join(_text(part.get("text")) for part in content)
    if content is None:
        return ""
    text: str = content if content.isascii() else content.encode(errors="replace").decode()
    return text  # half of a character (a lone surrogate) is replaced: no later request or file could carry it


def _usage(request: Request, text: str, told: Any) -> Usage:
    """Return what the endpoint says, or what is counted here where it says nothing (or 0 for something)."""
    prompt_tokens, completion_tokens = _told(told, "prompt_tokens"), _told(told, "completion_tokens")
    if prompt_tokens and (completion_tokens or not text):
        return Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    return Usage(
        prompt_tokens=prompt_tokens or _num_prompt_tokens(request.messages),
        completion_tokens=completion_tokens or _num_tokens(text),
        counted=True,
    )


def _told(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, Mapping) else None
    # what no model can have used is no count, and would not fit into a recording
    return value if type(value) is int and 0 < value < 2**31 else 0


def _num_prompt_tokens(messages: Sequence[Message]) -> int:
    return sum(_num_tokens(m.content) + 4 for m in messages) + 3


def _num_tokens(text: str) -> int:
    """Return about how many tokens a text has: one for each four bytes."""
    return -(-len(text.encode(errors="replace")) // 4)


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Return the seconds that a response asks to wait; None if it does not say so readably."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        return max(0.0, float(headers["retry-after"]))
    except KeyError:
        return None
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time())
    except (KeyError, ValueError, OverflowError):
        return None


def variable_of(base_url: str) -> str | None:
    """Return the variable whose key an endpoint gets that names none; None for no key."""
    parts = urlsplit(base_url)
    return API_KEY_ENV if (parts.scheme, parts.hostname) == ("https", OPENAI_HOST) else None


def is_loopback(base_url: str) -> bool:
    """Return whether an endpoint is on this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
