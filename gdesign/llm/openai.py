"""Any OpenAI-compatible chat endpoint, by the openai SDK."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import openai

from gdesign.errors import ConfigError, LLMError
from gdesign.llm.seeds import seed_of
from gdesign.types import Label, Reply, Request, Usage

BASE_URL = "https://api.openai.com/v1"
API_KEY_ENV = "OPENAI_API_KEY"


class OpenAIClient:
    """An LLM client for one endpoint that speaks OpenAI's chat completions.

    Connections belong to an event loop, so there is one SDK client a loop: it is made at the loop's
    first request, shared by all others, and closed with the loop by `asyncio.run` and
    `asyncio.Runner`. Any number of `asyncio.run` calls may follow each other; one `asyncio.Runner`
    for all batches keeps the connections open between them, which is faster. Under a loop that is
    run by hand, await `aclose()` before it ends.

    The sample index of a request goes out as `seed`, in 31 bits, so that endpoints which know
    seeds can tell independent answers apart.

    Args:
        base_url: Where the endpoint is.
        api_key_env: Name of the environment variable that holds the key. An endpoint on this
            machine (localhost, 127.0.0.1, ::1) needs no key.
        max_retries: How often the SDK tries again after a lost connection, a timeout, or the status
            408, 409, 429 or 5xx, with growing waits.
        timeout: Seconds that one try may take.

    Raises:
        ConfigError: The key is not in the environment, or a value is out of range.
    """

    def __init__(
        self,
        *,
        base_url: str = BASE_URL,
        api_key_env: str = API_KEY_ENV,
        max_retries: int = 2,
        timeout: float = 120.0,
    ) -> None:
        if urlsplit(base_url).scheme not in ("http", "https"):
            raise ConfigError(f"base_url is {base_url!r}; expected something like https://api.openai.com/v1")
        if max_retries < 0 or timeout <= 0:
            raise ConfigError(
                f"max_retries is {max_retries} and timeout {timeout} s; expected 0 or more, and more than 0"
            )
        self._key = os.environ.get(api_key_env, "")
        if not self._key and not is_loopback(base_url):
            raise ConfigError(
                f"the key for {base_url} is not there: set the environment variable {api_key_env}, or name another one "
                "by api_key_env"
            )
        self._base_url = base_url
        self._max_retries = max_retries
        self._timeout = timeout
        self._sdks: dict[asyncio.AbstractEventLoop, tuple[openai.AsyncOpenAI, AsyncGenerator[openai.AsyncOpenAI]]] = {}

    async def __call__(self, request: Request) -> Reply:
        """Ask the endpoint.

        Raises:
            LLMError: The endpoint refused, failed after all retries, or answered no chat completion
                with usage; the message says which and never holds the key.
        """
        sdk = await self._sdk()
        try:
            response = await sdk.chat.completions.with_raw_response.create(
                model=request.llm,
                messages=[_message(m.role, m.content) for m in request.messages],
                temperature=request.temperature,
                max_tokens=openai.omit if request.max_tokens is None else request.max_tokens,
                seed=seed_of(request.sample),
            )
        except openai.APIError as error:
            raise LLMError(f"{request.llm}: {self._reason(error)}") from None
        return self._read(request, response.text)

    async def aclose(self) -> None:
        """Close the connections of the running event loop; a later request opens new ones."""
        if entry := self._sdks.get(asyncio.get_running_loop()):
            await entry[1].aclose()

    async def _sdk(self) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        if loop not in self._sdks:
            lifetime = self._lifetime(loop)
            sdk = await anext(lifetime)  # runs to its yield without giving up control, so nobody else makes a second
            self._sdks[loop] = sdk, lifetime
        return self._sdks[loop][0]

    async def _lifetime(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[openai.AsyncOpenAI]:
        """Yield an SDK client that is closed when the loop shuts its asynchronous generators down."""
        sdk = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self._base_url,
            max_retries=self._max_retries,
            timeout=self._timeout,
        )
        try:
            yield sdk
        finally:
            del self._sdks[loop]
            await sdk.close()

    def _read(self, request: Request, text: str) -> Reply:
        try:
            body = json.loads(text)
            choice = body["choices"][0]
            content, finish_reason = choice["message"]["content"], choice.get("finish_reason")
        except (ValueError, LookupError, TypeError, AttributeError):
            raise LLMError(f"{request.llm}: the reply is no chat completion: {self._safe(text)}") from None
        try:
            usage = Usage(
                prompt_tokens=int(body["usage"]["prompt_tokens"]),
                completion_tokens=int(body["usage"]["completion_tokens"]),
            )
        except (ValueError, LookupError, TypeError):
            raise LLMError(f"{request.llm}: the reply carries no usage, so its cost is unknown") from None
        return Reply(text=content or "", usage=usage, label=Label.LIVE, finish_reason=finish_reason or "stop")

    def _reason(self, error: openai.APIError) -> str:
        status = f" {error.status_code}" if isinstance(error, openai.APIStatusError) else ""
        cause = f" ({error.__cause__})" if error.__cause__ is not None else ""
        return self._safe(f"{type(error).__name__}{status}: {error.message}{cause}")

    def _safe(self, text: str) -> str:
        """Return the text shortened and without the key, which some endpoints repeat in their errors."""
        text = " ".join(text.split())
        if self._key:
            text = text.replace(self._key, "***")
        return text if len(text) <= 300 else text[:300] + "..."


def _message(role: str, content: str) -> Any:
    return {"role": role, "content": content}


def is_loopback(base_url: str) -> bool:
    """Return whether an endpoint is on this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
