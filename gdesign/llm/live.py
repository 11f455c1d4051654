"""What a config puts together to ask live endpoints."""

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gdesign.errors import ConfigError
from gdesign.llm.base import LLMClient
from gdesign.llm.openai import API_KEY_ENV, BASE_URL, OpenAIClient
from gdesign.llm.replay import Replay
from gdesign.llm.wrappers import Budget, Limit, Sampling
from gdesign.types import LLM, AgentPool


def endpoint(
    *,
    pool: AgentPool,
    base_url: str = BASE_URL,
    api_key_env: str = API_KEY_ENV,
    temperature: float = 0.0,
    max_tokens: int | None = None,
    max_concurrent: int | None = None,
    budget: Mapping[str, float] | None = None,
    record: str | Path | None = None,
    **options: Any,
) -> LLMClient:
    """Return a client for one endpoint, with what a config asks for around it.

    Args:
        pool: Whose LLMs are asked, at their prices.
        base_url: See `OpenAIClient`.
        api_key_env: See `OpenAIClient`.
        temperature: What every request is sent with. At 0, several agents of one kind mostly say the same.
        max_tokens: Limit of every completion; None for the endpoint's own.
        max_concurrent: How many calls may be in flight at a time; None for any number.
        budget: Limits of `Budget`, any of usd, tokens and calls; None for none.
        record: A recording, see `Replay`: what it holds is not asked again and costs no budget; None for none.
        **options: Others of `OpenAIClient`.

    Raises:
        ConfigError: An LLM of the pool lives at another endpoint, the key is not in the environment, the
            recording is of other endpoints, or a value is out of range.
        DataError: `record` names a file that is no recording.
    """
    for llm in pool.llms:
        if llm.base_url is not None and llm.base_url.rstrip("/") != base_url.rstrip("/"):
            raise ConfigError(
                f"LLM {llm.name!r} of pool {pool.name!r} is served by {llm.base_url}, and {base_url} would be asked; a "
                "client knows one endpoint: set llm.base_url to it and leave the LLMs of others out of the pool, or "
                "put a gateway in front of all"
            )
        if llm.api_key_env is not None and llm.api_key_env != api_key_env:
            raise ConfigError(
                f"LLM {llm.name!r} of pool {pool.name!r} takes its key from {llm.api_key_env}, and the one of "
                f"{api_key_env} would be sent; a client knows one key: set llm.api_key_env to it, or leave the LLM out"
            )
    client: LLMClient = OpenAIClient(base_url=base_url, api_key_env=api_key_env, **options)
    if max_concurrent is not None:
        client = Limit(llm=client, max_concurrent=max_concurrent)
    if budget is not None:
        if unknown := [name for name in budget if name not in ("usd", "tokens", "calls")]:
            raise ConfigError(f"the budget has the limit {unknown[0]!r}; expected any of usd, tokens, calls")
        client = Budget(llm=client, pool=pool, **budget)  # type: ignore[arg-type]
    if record is not None:
        endpoints = {llm.name: _place(llm, base_url, options) for llm in pool.llms}
        client = Replay(path=record, llm=client, endpoints=endpoints)
    # outermost, so that a request is recorded as it is sent
    return Sampling(llm=client, temperature=temperature, max_tokens=max_tokens)


def _place(llm: LLM, base_url: str, options: Mapping[str, Any]) -> str:
    """Return where an LLM is asked and with which fields that no request shows, as far as it is nobody's secret."""
    url = llm.base_url or base_url
    parts = urlsplit(url)
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    of_url = [
        own.get("extra") for own in options.get("endpoints", ()) if own["base_url"].rstrip("/") == url.rstrip("/")
    ]
    fields = [options.get("extra"), *of_url, options.get("extra_by_llm", {}).get(llm.name)]
    if not any(fields):
        return place
    return f"{place} with the extra fields #{blake2b(repr(fields).encode(), digest_size=4).hexdigest()}"
