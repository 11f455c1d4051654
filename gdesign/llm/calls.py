"""Calls as JSON: one request and its reply, and files of them as JSON Lines.

What is stored is ASCII, so any text comes back bit by bit, lone surrogates and NULs included.
"""

import gzip
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from gdesign.errors import DataError
from gdesign.types import Label, Message, Reply, Request, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One recorded call.

    Attributes:
        request: What was asked; its origin is not recorded.
        reply: What was answered, as it came.
        time: When it was written, in UTC, as ISO 8601.
    """

    request: Request
    reply: Reply
    time: str


def request_to_json(request: Request) -> dict[str, Any]:
    """Return all that equality looks at; equal requests give equal JSON."""
    row = {
        "llm": request.llm,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "temperature": float(request.temperature) + 0.0,  # 0, 0.0 and -0.0 are equal
        "max_tokens": request.max_tokens,
        "sample": request.sample,
    }
    return row if request.response_format is None else {**row, "response_format": request.response_format}


def request_from_json(row: Mapping[str, Any]) -> Request:
    """Return the request that `request_to_json` wrote; a row that holds none raises one of `NO_CALL`."""
    return Request(
        llm=_in(row, "llm", "text"),
        messages=tuple(
            Message(_in(m, "role", "system, user or assistant"), _in(m, "content", "text"))
            for m in _in(row, "messages", "a list")
        ),
        temperature=_in(row, "temperature", "a number, 0 or more"),
        max_tokens=None if row["max_tokens"] is None else _in(row, "max_tokens", "0, 1, 2, ..."),
        sample=_in(row, "sample", "0, 1, 2, ..."),
        response_format=_in(row, "response_format", "text") if "response_format" in row else None,
    )


def reply_to_json(reply: Reply) -> dict[str, Any]:
    """Return the whole reply; what is not said of most is left out."""
    row: dict[str, Any] = {
        "text": reply.text,
        **_usage_to_json(reply.usage),
        "finish_reason": reply.finish_reason,
        "seconds": reply.seconds,
        "label": str(reply.label),
    }
    if reply.num_calls != 1:
        row["num_calls"] = reply.num_calls
    if reply.faults:
        row["faults"] = list(reply.faults)
    if reply.score is not None:
        row["score"] = reply.score
    if reply.usd is not None:
        row["usd"] = reply.usd
    if reply.live is not None:
        row["live"] = _usage_to_json(reply.live)
    row |= {name: value for name in ("reasoning", "model") if (value := getattr(reply, name))}
    return row


def reply_from_json(row: Mapping[str, Any]) -> Reply:
    """Return the reply that `reply_to_json` wrote; a row that holds none raises one of `NO_CALL`."""
    return Reply(
        text=_in(row, "text", "text"),
        usage=_usage_from_json(row),
        label=Label[_in(row, "label", "text").upper()],
        score=_in(row, "score", "a number, 0 or more") if "score" in row else None,
        finish_reason=_in(row, "finish_reason", "text"),
        num_calls=_in(row, "num_calls", "0, 1, 2, ...", 1),
        seconds=_in(row, "seconds", "a number, 0 or more"),
        faults=tuple(_in(row, "faults", "a list of words", [])),
        live=_usage_from_json(row["live"]) if "live" in row else None,
        reasoning=_in(row, "reasoning", "text", ""),
        model=_in(row, "model", "text", ""),
        usd=_in(row, "usd", "a number, 0 or more") if "usd" in row else None,
    )


def _usage_to_json(usage: Usage) -> dict[str, Any]:
    row: dict[str, Any] = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    if usage.cached_tokens:
        row["cached_tokens"] = usage.cached_tokens
    return row | ({"counted": True} if usage.counted else {})


def _usage_from_json(row: Mapping[str, Any]) -> Usage:
    return Usage(
        prompt_tokens=_in(row, "prompt_tokens", "0, 1, 2, ..."),
        completion_tokens=_in(row, "completion_tokens", "0, 1, 2, ..."),
        cached_tokens=_in(row, "cached_tokens", "0, 1, 2, ...", 0),
        counted=_in(row, "counted", "true or false", False),
    )


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "text": lambda v: isinstance(v, str),
    "true or false": lambda v: isinstance(v, bool),
    "0, 1, 2, ...": lambda v: type(v) is int and v >= 0,
    "a number, 0 or more": lambda v: type(v) in (int, float) and 0 <= v < math.inf,
    "a list": lambda v: isinstance(v, list),
    "a list of words": lambda v: isinstance(v, list) and all(isinstance(word, str) for word in v),
    "system, user or assistant": lambda v: v in ("system", "user", "assistant"),
}


def _in(row: Mapping[str, Any], name: str, kind: str, *default: Any) -> Any:
    value = row.get(name, *default) if default else row[name]
    if not _KINDS[kind](value):
        raise TypeError(f"{name} is {value!r}; expected {kind}")
    return value


NO_CALL = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a row raises that holds no call."""


def write_lines(calls: Iterable[Call], path: str | Path) -> int:
    """Write calls as JSON Lines, packed if the file's name ends in `.gz`, and return how many there were."""
    num = 0
    with _text(Path(path), "wt") as file:
        for num, call in enumerate(calls, start=1):  # noqa: B007
            row = {"time": call.time, "request": request_to_json(call.request), "reply": reply_to_json(call.reply)}
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
    return num


def read_lines(path: str | Path) -> Iterator[Call]:
    """Yield the calls that `write_lines` wrote.

    Raises:
        DataError: A line holds no call; file and line are named.
    """
    number = 0
    with _text(Path(path), "rt") as file:
        lines = iter(file)
        while True:
            number += 1
            try:
                if (line := next(lines, None)) is None:
                    return
                row = json.loads(line)
                call = Call(
                    request=request_from_json(row["request"]),
                    reply=reply_from_json(row["reply"]),
                    time=_in(row, "time", "text"),
                )
            except (*NO_CALL, OSError, EOFError) as error:
                raise DataError(f"{path}, line {number}: no recorded call ({type(error).__name__}: {error})") from error
            yield call


def _text(path: Path, mode: str) -> TextIO:
    if path.suffix == ".gz":
        return cast("TextIO", gzip.open(path, mode, encoding="utf-8"))
    return cast("TextIO", path.open(mode, encoding="utf-8"))
