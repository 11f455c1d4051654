"""What an LLM is asked and what it replies."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, NamedTuple


class Label(IntEnum):
    """Where an answer comes from, strongest first; a run takes the weakest label of its turns."""

    LIVE = 0
    REPLAYED = 1
    EXACT = 2
    CALIBRATED = 3
    SIMULATED = 4

    def __str__(self) -> str:
        return self.name.lower()


class Message(NamedTuple):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call.

    Attributes:
        prompt_tokens: What was sent.
        completion_tokens: What came back, thoughts that were billed and not shown included.
        cached_tokens: How many of `prompt_tokens` were read from a cache, which may cost less.
        counted: Whether they were counted here, because the endpoint did not say.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    counted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What an LLM client answers.

    Attributes:
        score: What the recording itself says of this answer; None unless it was recorded.
        reasoning: What the model thought, where the endpoint tells it apart from the text; no agent hears it.
        finish_reason: In OpenAI's words (`stop`, `length`, `content_filter`, ...); `refusal` or `empty` where that is
            what came.
        num_calls: How many calls the answer took; more than one where an operator looks again.
        usd: What the recording says the answer cost; None where its tokens and the price of its LLM say it.
        seconds: How long the endpoint took, waits and retries left out; 0 where nobody measured.
        faults: What went wrong before this answer came, one word each (`timeout`, `429`, ...).
        live: What of `usage` was asked live, where that is only a part of it; None where the label says it of all.
        model: Who answered, where the endpoint names another model than the one asked; else empty.
    """

    text: str
    usage: Usage
    label: Label
    score: float | None = None
    finish_reason: str = "stop"
    num_calls: int = 1
    usd: float | None = None
    seconds: float = field(default=0.0, compare=False)
    faults: tuple[str, ...] = field(default=(), compare=False)
    live: Usage | None = None
    reasoning: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a request comes from: what `recorded` answers by and live clients ignore.

    Attributes:
        task_id: Id of the task, what recorded answers are looked up by.
        heard: The replies it hears, in agent order.
        previous: Its own earlier reply; None in the first round.
        compared: Whether a gate or a vote compares its answer with those of others.
    """

    task_id: str
    role: str
    operator: str
    heard: tuple[Reply, ...] = ()
    previous: Reply | None = None
    compared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call to an LLM; equality and hash leave the origin out, so a request is its own cache key.

    Attributes:
        max_tokens: Limit of the completion; None for the endpoint's own.
        sample: Which of several independent answers to the same messages; see `sample_index`.
        response_format: OpenAI's field of this name as JSON, where the reply is to be JSON; else None.
        origin: Where the request comes from.
    """

    llm: str
    messages: tuple[Message, ...]
    temperature: float = 0.0
    max_tokens: int | None = None
    sample: int = 0
    response_format: str | None = None
    origin: Origin | None = field(default=None, compare=False, repr=False)


def sample_index(*, seed: int, copy: int) -> int:
    """Return the sample index of the `copy`-th agent with the same candidate in a run with this seed.

    Zero exactly for the first copy at seed 0. Different (seed, copy) never collide while the seed stays below 2**31.
    """
    return seed + (copy << 31)


def seed_and_copy(sample: int) -> tuple[int, int]:
    """Return the seed of the run and the copy of the candidate that a sample index was made of."""
    return sample & ((1 << 31) - 1), sample >> 31
