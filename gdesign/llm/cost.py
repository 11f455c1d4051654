"""What calls cost: sums without rounding, the most that a call can cost, and limits on both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

from gdesign.errors import ConfigError, GdesignError, LLMError
from gdesign.types import LLM, Message, Reply, Request

SCALE = 10**15
"""USD are counted in whole parts of so many, so that sums are exact in any order; a token costs millions of them."""
TOKENS_PER_MESSAGE = 16
"""What a chat template may add to a message: its role and what marks its beginning and end."""
TOKENS_PER_REQUEST = 64
"""What a chat template may add to the whole: the beginning of the text, the opening of the reply, a standing line."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What some calls cost.

    Attributes:
        parts: USD times `SCALE`.
        tokens: Of prompts and completions.
        calls: Number of calls.
    """

    parts: int = 0
    tokens: int = 0
    calls: int = 0

    @property
    def usd(self) -> float:
        """USD."""
        return self.parts / SCALE

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.parts + other.parts, self.tokens + other.tokens, self.calls + other.calls)

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.parts - other.parts, self.tokens - other.tokens, self.calls - other.calls)


def cost_of(reply: Reply, *, price: LLM) -> Cost:
    """Return what a reply cost: what its recording says, else by its usage."""
    usage = reply.usage
    cost = _cost(price, usage.prompt_tokens, usage.completion_tokens, reply.num_calls, cached=usage.cached_tokens)
    return cost if reply.usd is None else replace(cost, parts=round(reply.usd * SCALE))


def spent_on(reply: Reply, *, price: LLM, most: Cost) -> Cost:
    """Return what the call that got a reply spent: each try lost before counts as the reply, within the most."""
    once = cost_of(reply, price=price)
    tries = 1 + _num_lost(reply.faults)
    return Cost(
        parts=max(once.parts, min(most.parts, once.parts * tries)),
        tokens=max(once.tokens, min(most.tokens, once.tokens * tries)),
        calls=once.calls,
    )


def spent_in_vain(error: GdesignError, *, most: Cost) -> Cost:
    """Return what a call spent that ended in an error: all set aside for it where a try may have been billed."""
    if _num_lost(error.faults) or (isinstance(error, LLMError) and not error.faults):  # or its client does not say
        return most
    return Cost(calls=1) if error.faults else Cost()


def _num_lost(faults: Sequence[str]) -> int:
    """Return how many tries may have been billed: all that the endpoint did not turn down by a status."""
    return sum(not fault.isdigit() for fault in faults)


def most_of(request: Request, *, price: LLM, max_tokens: int | None) -> Cost:
    """Return the most that one call can cost: `most_prompt_tokens`, and a reply of `max_tokens`.

    Where that is None the reply counts nothing; `Allowance.check` refuses it where it matters.
    """
    prompt = most_prompt_tokens(request.messages)
    dearer = (price.usd_per_1M_cached_input or 0.0) > price.usd_per_1M_input
    return _cost(price, prompt, max_tokens or 0, 1, cached=prompt if dearer else 0)


def most_prompt_tokens(messages: tuple[Message, ...]) -> int:
    """Return a number of tokens that a chat cannot exceed: one for each byte, and what a template adds.

    Tokenizers that work on bytes, as those of the GPT, Llama, Qwen, Mistral and DeepSeek families do, never make two
    tokens of one byte. Of one that rewrites characters first, and of an endpoint that adds a long prompt of its own,
    it is no bound.
    """
    size = sum(len(m.content) if m.content.isascii() else len(m.content.encode()) for m in messages)
    return size + TOKENS_PER_MESSAGE * len(messages) + TOKENS_PER_REQUEST


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has, where nobody tells: one for each four bytes."""
    return -(-len(text.encode(errors="replace")) // 4)


def _cost(price: LLM, prompt_tokens: int, completion_tokens: int, calls: int, *, cached: int = 0) -> Cost:
    usd = price.usd(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, cached_tokens=cached)
    return Cost(round(usd * SCALE), prompt_tokens + completion_tokens, calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How much some calls may cost together.

    Attributes:
        usd: In USD; None for no limit.
        tokens: In tokens, prompt and completion together; None for no limit.
        calls: In calls; None for no limit.

    Raises:
        ConfigError: None is given, or one is not above zero.
    """

    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        limits = {"usd": self.usd, "tokens": self.tokens, "calls": self.calls}
        if all(limit is None for limit in limits.values()):
            raise ConfigError("a limit is needed: give usd, tokens or calls")
        for name, limit in limits.items():
            if limit is not None and not (isinstance(limit, int | float) and limit > 0 and isfinite(limit)):
                raise ConfigError(f"the limit on {name} is {limit!r}; expected a number above 0")

    def passed_by(self, cost: Cost) -> str | None:
        """Return the limit that a cost goes beyond, as `1 usd`; None if it stays within all of them."""
        if self.calls is not None and cost.calls > self.calls:
            return f"{self.calls} calls"
        if self.tokens is not None and cost.tokens > self.tokens:
            return f"{self.tokens} tokens"
        if self.usd is not None and cost.parts > round(self.usd * SCALE):
            return f"{self.usd:g} usd"
        return None

    def check(self, *, max_tokens: int | None, price: LLM, where: str) -> None:
        """Raise ConfigError where a call has no bound that this limit could be held by.

        `max_tokens` is None where nobody knows the longest reply; `where` is where the user sets it.
        """
        paid = self.usd is not None and price.usd_per_1M_output > 0
        if max_tokens is None and (paid or self.tokens is not None):
            raise ConfigError(
                f"a limit on {'usd' if paid else 'tokens'} needs to know the longest reply: set {where} to the most "
                "completion tokens that one call may take"
            )
