"""What an endpoint sends back: a reply, what it used, or why the try failed."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from gdesign.llm.cost import estimated_tokens
from gdesign.types import Label, Message, Reply, Request, Usage


@dataclass(eq=False)
class Fault(Exception):
    """Why a try failed.

    Attributes:
        word: What `Reply.faults` calls it.
        reason: What a user reads if it does not pass.
        passes: Whether another try may mend it.
        final: Whether every other call would fail with it too, if it does not pass.
        retry_after: Seconds that the endpoint asks to wait; None if it does not say.
    """

    word: str
    reason: str
    _: KW_ONLY
    passes: bool = True
    final: bool = False
    retry_after: float | None = None


def read_reply(request: Request, content: bytes, *, seconds: float, safe: Callable[[str], str]) -> Reply:
    """Return the reply that a chat completion holds.

    `safe` shortens a text and takes the key out of it.

    Raises:
        Fault: It is no chat completion.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise Fault("malformed", f"the reply is no JSON: {safe(content.decode(errors='replace'))}") from None
    try:
        choices = body.get("choices") or []
        if not choices:
            raise Fault("no_choices", f"the reply has no choices: {safe(content.decode())}")
        message = choices[0]["message"]
        text, refusal = text_of(message.get("content")), text_of(message.get("refusal"))
        finish_reason = text_of(choices[0].get("finish_reason") or "stop")
        usage = _usage_of(request, text or refusal, body.get("usage"))
    except (AttributeError, LookupError, TypeError, ValueError):
        raise Fault("malformed", f"the reply is no chat completion: {safe(content.decode(errors='replace'))}") from None
    if refusal:
        finish_reason = "refusal"
    elif not text.strip() and finish_reason not in ("length", "content_filter", "refusal"):
        finish_reason = "empty"
    return Reply(text=text or refusal, usage=usage, label=Label.LIVE, finish_reason=finish_reason, seconds=seconds)


def text_of(content: Any) -> str:
    """Return the text of a message: a string, a list of parts with text among them, or None."""
    if isinstance(content, list):
        content = "".join(text_of(part.get("text")) for part in content)
    if content is None:
        return ""
    text: str = content if content.isascii() else content.encode(errors="replace").decode()
    return text  # half of a character (a lone surrogate) is replaced: no later request or file could carry it


def _usage_of(request: Request, text: str, told: Any) -> Usage:
    """Return what the endpoint says, or what is counted here where it says nothing (or 0 for something)."""
    prompt_tokens, completion_tokens = _told(told, "prompt_tokens"), _told(told, "completion_tokens")
    if prompt_tokens and (completion_tokens or not text):
        return Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    return Usage(
        prompt_tokens=prompt_tokens or estimated_prompt_tokens(request.messages),
        completion_tokens=completion_tokens or estimated_tokens(text),
        counted=True,
    )


def _told(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, Mapping) else None
    # what no model can have used is no count, and would not fit into a recording
    return value if type(value) is int and 0 < value < 2**31 else 0


def estimated_prompt_tokens(messages: Sequence[Message]) -> int:
    """Return about how many tokens a chat has."""
    return sum(estimated_tokens(m.content) + 4 for m in messages) + 3


def retry_after(headers: Mapping[str, str]) -> float | None:
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
