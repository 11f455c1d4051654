"""What a config puts together to ask live endpoints."""

from collections.abc import Mapping
from hashlib import blake2b
from inspect import signature
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gdesign.errors import ConfigError
from gdesign.llm.base import LLMClient
from gdesign.llm.openai import OpenAIClient
from gdesign.llm.options import BASE_URL, expect
from gdesign.llm.replay import Replay
from gdesign.llm.wrappers import Budget, Sampling
from gdesign.types import LLM, AgentPool


def endpoint(
    *,
    pool: AgentPool,
    base_url: str = BASE_URL,
    temperature: float = 0.0,
    max_tokens: int | None = None,
    budget: Mapping[str, float] | None = None,
    record: str | Path | None = None,
    **options: Any,
) -> LLMClient:
    """Return a client for the endpoints of a pool, with what a config asks for around it.

    Args:
        pool: Whose LLMs are asked, at their prices.
        base_url: Where those are asked that name no endpoint of their own.
        temperature: What every request is sent with. At 0, several agents of one kind mostly say the same.
        max_tokens: Limit of every completion; None for the endpoint's own.
        budget: Limits of `Budget`, any of usd, tokens and calls; None for none.
        record: A recording, see `Replay`: what it holds is not asked again and costs no budget; None for none.
        **options: Those of `OpenAIClient`.

    Raises:
        ConfigError: A key is not in the environment, the recording is of other endpoints, a budget of USD or
            tokens does not know the longest reply, or a value is out of range.
        DataError: `record` names a file that is no recording.
    """
    known = signature(OpenAIClient).parameters
    if odd := [name for name in options if name not in known]:
        raise ConfigError(f"llm has the option {odd[0]!r}; expected any of {', '.join(known)}")
    expect("a number", temperature=temperature)
    expect("a whole number or null", max_tokens=max_tokens)
    client: LLMClient = OpenAIClient(base_url=base_url, pool=pool, **options)
    if budget is not None:
        if not isinstance(budget, Mapping):
            raise ConfigError(
                f"budget is {budget!r}; expected a mapping with any of usd, tokens, calls, such as +llm.budget.usd=5"
            )
        if unknown := [name for name in budget if name not in ("usd", "tokens", "calls")]:
            raise ConfigError(f"the budget has the limit {unknown[0]!r}; expected any of usd, tokens, calls")
        client = Budget(llm=client, pool=pool, **budget)  # type: ignore[arg-type]
        for llm in pool.llms:
            client.limit.check(max_tokens=max_tokens, price=llm, where="llm.max_tokens")
    if record is not None:
        endpoints = {llm.name: _place(llm, base_url, options) for llm in pool.llms}
        client = Replay(path=record, llm=client, endpoints=endpoints)
    # outermost, so that a request is recorded as it is sent
    return Sampling(llm=client, temperature=temperature, max_tokens=max_tokens)


def _place(llm: LLM, base_url: str, options: Mapping[str, Any]) -> str:
    """Return where an LLM is asked and with which fields that no request shows, as far as it is nobody's secret."""
    url = llm.base_url or base_url
    parts = urlsplit(url)
    place = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    there = [own for own in options.get("endpoints", ()) if own["base_url"].rstrip("/") == url.rstrip("/")]
    system = [own["system"] for own in (options, *there) if "system" in own]
    if system and system[-1] == "merge":
        place += " with the system prompt merged"
    fields = [
        options.get("extra"),
        *(own.get("extra") for own in there),
        (options.get("extra_by_llm") or {}).get(llm.name),
    ]
    if not any(fields):
        return place
    return f"{place} with the extra fields #{blake2b(repr(fields).encode(), digest_size=4).hexdigest()}"
