"""Any OpenAI-compatible chat endpoint, by the openai SDK: several at once, with retries and limits."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from gdesign.errors import ConfigError, CreditError, PoolError, UnreachableError
from gdesign.llm.endpoint import Endpoint
from gdesign.llm.options import BASE_URL, expect, key_for, plain, terms_of, variable_of, whole_url
from gdesign.llm.replies import Fault
from gdesign.types import AgentPool, Reply, Request

OWN_TERMS = ("max_concurrent", "max_per_minute", "timeout", "token_limit", "system", "extra")
"""What an item of `endpoints` may set for one endpoint."""
FIRST_TRIES = 4
"""How often a call is tried while nothing at all has come from its endpoint and no connection can be made."""


class OpenAIClient:
    """An LLM client for endpoints that speak OpenAI's chat completions.

    An LLM whose pool names its `base_url` or `api_key_env` is asked there, with that key; all others
    are asked at the client's own endpoint. No key, cookie or header goes to another endpoint than its
    own, and redirects are not followed.

    What passes is tried again, with growing waits of which a random half is spared: timeouts, lost
    connections, the statuses 408, 409, 425, 429 and 5xx (also where only the body tells them), replies that
    are no JSON, have no choices or say that they failed. The words for what was survived stand in
    `Reply.faults`. Where a 429 or 503 says how long to wait, all calls to its endpoint wait.
    docs/endpoints.md lists every fault and finish reason.

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
        timeout: Seconds that one try may take, from sending to the reply's last byte; None for 120, and 600 where the
            endpoint is on this machine.
        backoff: Seconds of the longest first wait; each further one is twice as long.
        max_wait: Seconds of the longest wait, by backoff or by what an endpoint asks for.
        max_concurrent: How many calls may be in flight at a time, for each endpoint; None for 64, and 4 where the
            endpoint is on this machine.
        max_per_minute: How many calls may begin in a minute, for each endpoint, evenly spaced; None for any number.
        token_limit: What the field is called that carries a request's `max_tokens`.
        system: `merge` puts the system prompt before the user's, for models that know no system role.
        extra: Fields that every request's body carries besides; None leaves a field out that is usually sent.
        extra_by_llm: The same for single LLMs, by their names; these come last.
        endpoints: What differs for single endpoints: mappings of a `base_url` and any of max_concurrent,
            max_per_minute, timeout, token_limit, system and extra.

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
        timeout: float | None = None,
        backoff: float = 1.0,
        max_wait: float = 60.0,
        max_concurrent: int | None = None,
        max_per_minute: float | None = None,
        token_limit: str = "max_tokens",
        system: str = "keep",
        extra: Mapping[str, Any] | None = None,
        extra_by_llm: Mapping[str, Mapping[str, Any]] | None = None,
        endpoints: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._settings = {name: value for name, value in locals().items() if name != "self"}
        expect("a whole number", max_retries=max_retries)
        expect("a number", backoff=backoff, max_wait=max_wait)
        expect("a mapping or null", extra=extra, extra_by_llm=extra_by_llm)
        expect("a mapping", **{f"extra_by_llm.{name}": fields for name, fields in (extra_by_llm or {}).items()})
        listed = isinstance(endpoints, Sequence) and not isinstance(endpoints, str)
        if not listed or not all(isinstance(terms, Mapping) for terms in endpoints):
            raise ConfigError(f"endpoints is {endpoints!r}; expected a list of mappings, each with a base_url")
        if max_retries < 0 or not backoff >= 0 or not max_wait >= 0:
            raise ConfigError(
                f"max_retries is {max_retries}, backoff {backoff} s and max_wait {max_wait} s; expected 0 or more each"
            )
        common: dict[str, Any] = {
            **{name: v for name, v in (("timeout", timeout), ("max_concurrent", max_concurrent)) if v is not None},
            "max_per_minute": max_per_minute,
            "token_limit": token_limit,
            "system": system,
            "extra": extra or {},
        }
        own = {whole_url(terms.get("base_url", "")): terms for terms in endpoints}
        made: dict[tuple[str, str | None], Endpoint] = {}

        def endpoint(url: str, variable: str | None, whose: str) -> Endpoint:
            where = whole_url(url), variable_of(whole_url(url)) if variable is None else variable
            if where not in made:
                made[where] = Endpoint(
                    base_url=where[0],
                    key=key_for(*where, whose=whose),
                    **{
                        **terms_of(where[0]),
                        **common,
                        **{name: own[where[0]][name] for name in OWN_TERMS if name in own.get(where[0], {})},
                    },
                )
            return made[where]

        self._pool = pool
        self._own = endpoint(base_url, api_key_env, "") if pool is None else None
        self._by_llm: dict[str, Endpoint] = {}
        for llm in pool.llms if pool is not None else ():
            url, variable = llm.base_url or base_url, llm.api_key_env
            if variable is None and whole_url(url) == whole_url(base_url):
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
        self._extra = {name: plain(fields) for name, fields in (extra_by_llm or {}).items()}
        self._max_retries = max_retries
        self._backoff = backoff
        self._max_wait = max_wait
        # how long exactly a call waits changes no answer, so no seed is asked for
        self._random = Random()

    def __reduce__(self) -> tuple[partial["OpenAIClient"], tuple[()]]:
        return partial(OpenAIClient, **self._settings), ()  # keys do not travel: where it arrives, it reads them anew

    async def __call__(self, request: Request) -> Reply:
        """Ask the endpoint of the request's LLM.

        Raises:
            LLMError: The endpoint refused this request, or failed after all retries; the message says
                which and never holds the key.
            ConfigError: The endpoint would refuse every request (a wrong key, an unknown model, a field
                that the model does not take), nothing answers there, or nothing has been answered any
                more for many calls.
            CreditError: The endpoint says that the account has no credit left.
            PoolError: There is a pool, and the LLM is not in it.
        """
        endpoint = self._own or self._by_llm.get(request.llm)
        if endpoint is None:
            assert self._pool is not None
            raise PoolError(f"pool {self._pool.name!r} has no LLM {request.llm!r}, so nobody knows where to ask it")
        fields = endpoint.fields(request, self._extra.get(request.llm))
        faults: list[str] = []
        while True:
            try:
                reply = await endpoint.ask(request, fields)
            except (ConfigError, CreditError) as error:
                error.faults = tuple(faults)
                raise
            except Fault as fault:
                faults.append(fault.word)
                if endpoint.silent and fault.word == "connection":
                    if len(faults) >= min(FIRST_TRIES, self._max_retries + 1):
                        raise UnreachableError(
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
