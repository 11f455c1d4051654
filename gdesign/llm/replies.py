"""What an endpoint's answer holds: a reply and what it used, or why the try failed."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from gdesign.llm.cost import estimated_tokens
from gdesign.types import Label, Message, Reply, Request, Usage

REASONS: Mapping[str, tuple[str, ...]] = {
    "stop": ("eos", "eos_token", "end_turn", "stop_sequence", "stop_token", "complete", "completed", "finished"),
    "length": ("max_tokens", "max_output_tokens", "max_length", "model_length", "model_context_window_exceeded"),
    "content_filter": ("safety", "recitation", "prohibited_content", "blocklist", "spii", "sensitive", "error_toxic",
                       "guardrail_intervened", "image_safety", "content_filtered"),
    "tool_calls": ("tool_use", "function_call", "tool_call"),
    "error": ("network_error", "insufficient_system_resource", "abort", "aborted", "cancelled", "canceled", "timeout",
              "malformed_function_call", "unexpected_tool_call", "unknown", "finish_reason_unspecified"),
}  # fmt: skip
"""OpenAI's words for how a reply ends, and those of others; `error` is no reply."""
_REASONS = {word: name for name, words in REASONS.items() for word in (name, *words)}
_VERSION = re.compile(r"[-@:_](\d{3,8}(-\d\d){0,2}|\d\d-\d{4})$")
_LATEST = re.compile(r"[-@:_]latest$|\.gguf$|:(?:free|nitro|floor|exacto|beta)$")
_POINT = re.compile(r"(?<![\d.])(\d)-(\d)(?![\w.])")  # claude-3-5-sonnet is claude-3.5-sonnet
_SEPARATOR = re.compile(r"[-_:@\s]+")


@dataclass(eq=False)
class Fault(Exception):
    """Why a try failed.

    Attributes:
        word: What `Reply.faults` calls it.
        reason: What a user reads if it does not pass.
        passes: Whether another try may mend it.
        remedy: How to mend it, where every other call would fail with it too if it does not pass; else empty.
        retry_after: Seconds that the endpoint asks to wait; None if it does not say.
    """

    word: str
    reason: str
    _: KW_ONLY
    passes: bool = True
    remedy: str = ""
    retry_after: float | None = None


def parsed(content: bytes, *, safe: Callable[[str], str]) -> Any:
    """Return what a response's JSON holds; of one that streams unasked, what its pieces make together.

    `safe` shortens a text and takes the key out of it.

    Raises:
        Fault: It is no JSON.
    """
    text = content.strip()
    try:
        if text.startswith((b"data:", b"event:", b":")):
            return _joined(text.decode())
        return json.loads(text.removesuffix(b"data: [DONE]"))
    except (ValueError, RecursionError, AttributeError, TypeError, LookupError):
        raise Fault("malformed", f"the reply is no JSON: {safe(content.decode(errors='replace'))}") from None


def _joined(stream: str) -> Any:
    """Return the chat completion, or the error, that server-sent events make together."""
    message: dict[str, str] = {}
    choice: dict[str, Any] = {"message": message}
    whole: dict[str, Any] = {"choices": [choice]}
    event, ended = "", False
    for line in stream.splitlines():
        name, _, value = line.partition(":")
        if name == "event":
            event = value.strip()
        if name != "data" or not (value := value.strip()):
            continue
        if value == "[DONE]":
            ended = True
            break
        piece = json.loads(value)
        if piece.get("error") or event == "error":
            return {"error": piece.get("error") or piece, "choices": [choice] if message else None}
        whole |= {name: piece[name] for name in ("model", "usage") if piece.get(name)}
        for part in piece.get("choices") or ():
            if part.get("error"):
                return {"error": part["error"], "choices": [choice]}
            for name, words in (part.get("delta") or part.get("message") or {}).items():
                if isinstance(words, str) and name != "role":
                    message[name] = message.get(name, "") + words
            choice["finish_reason"] = part.get("finish_reason") or choice.get("finish_reason")
    if not ended and not choice.get("finish_reason"):
        raise ValueError("the stream was cut")
    return whole


def read_reply(request: Request, body: Any, *, asked: str, seconds: float, safe: Callable[[str], str]) -> Reply:
    """Return the reply that a chat completion holds.

    Args:
        body: What `parsed` returns, where it tells no error.
        asked: The name of the model that was asked.
        seconds: How long it took.
        safe: Shortens a text and takes the key out of it.

    Raises:
        Fault: It is no chat completion, or one that says that it failed.
    """
    try:
        choices = body.get("choices") or []
        if not choices:
            raise Fault("no_choices", f"the reply has no choices: {safe(json.dumps(body))}")
        message = choices[0]["message"]
        text, reasoning = text_of(message.get("content")), reasoning_of(message)
        refusal = text_of(message.get("refusal"))
        finish_reason = text_of(choices[0].get("finish_reason") or "stop")
        usage = usage_of(body.get("usage"), messages=request.messages, said=reasoning + (text or refusal))
        model = body.get("model")
    except (AttributeError, LookupError, TypeError, ValueError):
        raise Fault("malformed", f"the reply is no chat completion: {safe(json.dumps(body))}") from None
    finish_reason = ending(finish_reason, text=text)
    if finish_reason == "error":
        raise Fault("error", f"the reply ended with {safe(str(choices[0]['finish_reason']))}, and no answer")
    return Reply(
        text=text or refusal,
        reasoning=reasoning,
        usage=usage,
        label=Label.LIVE,
        finish_reason="refusal" if refusal else finish_reason,
        seconds=seconds,
        model=model if isinstance(model, str) and is_another(model, asked=asked) else "",
    )


def ending(reason: str, *, text: str) -> str:
    """Return OpenAI's word for how a reply ended; `empty` for a whole one without text, `error` for none."""
    known = _REASONS.get(reason.lower(), reason)
    if text.strip():
        return known
    if reason.lower() == "other":  # Gemini's, for what is none of its own fault
        return "error"
    return known if known in ("length", "content_filter", "refusal", "tool_calls", "error") else "empty"


def is_another(answered: str, *, asked: str) -> bool:
    """Return whether a model is another than the one asked, and not that one under a longer name.

    Names may differ by who serves it (`openai/gpt-4o`), by the order of their words, by how a number's
    point is written, by a gateway's tariff (`:free`), and by a version that one of them
    leaves open (`gpt-4o` and `gpt-4o-2024-08-06`).
    """
    if not answered.strip():
        return False
    here, there = (
        _POINT.sub(r"\1.\2", _LATEST.sub("", name.lower().replace("\\", "/").rpartition("/")[2]))
        for name in (asked, answered)
    )
    pairs = ((here, there), (_VERSION.sub("", here), there), (here, _VERSION.sub("", there)))
    return all(sorted(_SEPARATOR.split(one)) != sorted(_SEPARATOR.split(other)) for one, other in pairs)


def text_of(content: Any) -> str:
    """Return the text of a message: a string, a list of parts with text among them (thoughts left out), or None."""
    if isinstance(content, list):
        content = "".join(text_of(part.get("text")) for part in content if not _is_thought(part))
    if content is None:
        return ""
    text: str = content if content.isascii() else content.encode(errors="replace").decode()
    return text  # half of a character (a lone surrogate) is replaced: no later request or file could carry it


def _is_thought(part: Mapping[str, Any]) -> bool:
    return part.get("type") in ("thinking", "reasoning", "redacted_thinking") or part.get("thought") is True


def reasoning_of(message: Mapping[str, Any]) -> str:
    """Return what a message tells of the model's thoughts, beside its text or as parts of it."""
    for name in ("reasoning_content", "reasoning", "thinking"):
        if isinstance(told := message.get(name), str | list) and told:
            return "".join(_thoughts(told))
    content = message.get("content")
    return "".join(_thoughts([part for part in content if _is_thought(part)])) if isinstance(content, list) else ""


def _thoughts(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield text_of(told)
    elif isinstance(told, list):
        for part in told:
            yield from _thoughts(part)
    elif isinstance(told, Mapping):
        yield from _thoughts(next((told[name] for name in ("text", "thinking", "reasoning") if told.get(name)), None))


# --------------------------------------------------------------------------- what it used


def usage_of(told: Any, *, messages: Sequence[Message], said: str) -> Usage:
    """Return what an endpoint says was used, or what is counted here where it says nothing (or 0 for something).

    Providers differ in what they count where. Thoughts are within the completion's tokens (OpenAI, DeepSeek), beside
    them (xAI), or in the total alone (Gemini); what was read from a cache is within the prompt's (all but Anthropic).
    """
    prompt = max(_told(told, "prompt_tokens"), _told(told, "input_tokens"))
    completion = max(_told(told, "completion_tokens"), _told(told, "output_tokens"))
    total, read = _told(told, "total_tokens"), _told(told, "cache_read_input_tokens")
    beside = read + _told(told, "cache_creation_input_tokens")
    if beside and (beside > prompt or not _told(told, "prompt_tokens") or total == prompt + completion + beside):
        prompt += beside
    cached = max(
        read,
        _told(told, "prompt_cache_hit_tokens"),
        _told(told, "cached_tokens"),
        _told(_within(told, "prompt_tokens_details"), "cached_tokens"),
        _told(_within(told, "input_tokens_details"), "cached_tokens"),
        _told(_within(told, "input_token_details"), "cache_read"),
    )
    reasoning = max(
        _told(told, "reasoning_tokens"),
        _told(_within(told, "completion_tokens_details"), "reasoning_tokens"),
        _told(_within(told, "output_tokens_details"), "reasoning_tokens"),
        _told(_within(told, "output_token_details"), "reasoning"),
    )
    if prompt and total > prompt + completion:
        completion = total - prompt
    elif reasoning > completion:
        completion += reasoning
    if prompt and (completion or not said):
        return Usage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=min(cached, prompt))
    return Usage(
        prompt_tokens=prompt or estimated_prompt_tokens(messages),
        completion_tokens=completion or estimated_tokens(said),
        cached_tokens=min(cached, prompt),
        counted=True,
    )


def _within(usage: Any, name: str) -> Any:
    return usage.get(name) if isinstance(usage, Mapping) else None


def _told(usage: Any, name: str) -> int:
    value = _within(usage, name)
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,10}(?:\.0*)?\s*", value):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # what no model can have used is no count, and would not fit into a recording
    return value if type(value) is int and 0 < value < 2**31 else 0


def estimated_prompt_tokens(messages: Sequence[Message]) -> int:
    """Return about how many tokens a chat has."""
    return sum(estimated_tokens(m.content) + 4 for m in messages) + 3
