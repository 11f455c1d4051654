"""OpenAI's chat completions: requests read strictly, replies, streams and errors written.

Source: the OpenAI API reference, "Chat" and "Models".
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    PositiveInt,
    Tag,
    ValidationError,
    model_validator,
)
from starlette.responses import Response

from gdesign.errors import GdesignError
from gdesign.export.schema import place
from gdesign.types import Message, Reply, Usage

Text = TypeVar("Text", str, str | None)
Asked = TypeVar("Asked", bound=BaseModel)

DONE = b"data: [DONE]\n\n"
"""The last event of a stream."""

SSE = "text/event-stream; charset=utf-8"

STREAMED = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""Headers of a stream: nobody keeps it, and no nginx holds it back."""

WORD = re.compile(r"\s*\S+|\s+")
"""What one event of a stream holds of a text."""


# --------------------------------------------------------------------------- errors


class ApiError(GdesignError):
    """What a client is told instead of an answer.

    Args:
        status: The HTTP status.
        message: What was expected, what came, what to do.
        kind: OpenAI's `type` of error.
        code: OpenAI's `code`; None where there is none.
        param: The field of the request that it is about; None where there is none.
        headers: Sent along.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        message = clean(message)
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self._error = {"message": message, "type": kind, "param": param, "code": code}

    def body(self) -> bytes:
        """Return the error as OpenAI's clients read it."""
        return orjson.dumps({"error": self._error})

    def response(self) -> Response:
        """Return what is sent."""
        return Response(self.body(), self.status, headers=dict(self.headers), media_type="application/json")

    def logged(self, *, text: bool) -> dict[str, str]:
        """Return its fields for a log; the message, which may repeat a question, only if texts may be logged."""
        fields = {name: value for name, value in self._error.items() if value is not None and name != "message"}
        return fields | ({"error": str(self)} if text else {})


def clean(text: Text) -> Text:
    """Return a text that UTF-8 can carry: an endpoint may send half a surrogate pair."""
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def no_such_model(name: str, names: Sequence[str]) -> ApiError:
    """Return the error for a model that is not served."""
    return ApiError(
        404,
        f"The model {name!r:.80} does not exist; there are {', '.join(names)}.",
        code="model_not_found",
        param="model",
    )


# --------------------------------------------------------------------------- requests


class Body(BaseModel):
    """The body of a request: read strictly, without what is null; fields that are not known are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class TextPart(Body):
    """A part of what was said."""

    type: Literal["text"]
    text: str


_Said = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[list[TextPart], Field(fail_fast=True), Tag("<parts>")],
    Discriminator(lambda content: "<parts>" if isinstance(content, list) else "<text>"),
]


class ChatMessage(Body):
    """What somebody said."""

    role: Literal["system", "developer", "user", "assistant"]
    content: _Said

    @model_validator(mode="before")
    @classmethod
    def _silent(cls, data: Any) -> Any:
        silent = isinstance(data, dict) and data.get("role") == "assistant" and data.get("content") is None
        return {**data, "content": ""} if silent else data  # one that called a tool and said nothing


class StreamOptions(Body):
    """How a stream is wanted."""

    include_usage: bool = False


class ResponseFormat(Body):
    """The form in which an answer is wanted."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _whole(self) -> "ResponseFormat":
        if self.type == "json_schema" and not isinstance((self.json_schema or {}).get("schema"), dict):
            raise ApiError(
                400, "response_format.json_schema needs a name and a schema.", param="response_format.json_schema"
            )
        return self


UNSERVED = ("tools", "functions", "audio", "logprobs", "prediction", "web_search_options", "logit_bias")
"""Fields of a chat request that would change the answer, and that no agents heed."""

_Stop = Annotated[str, Field(min_length=1)]


class ChatRequest(Body):
    """A request for a chat completion."""

    model: str = Field(min_length=1)
    chat: Annotated[list[ChatMessage], FailFast()] = Field(alias="messages", min_length=1)
    n: Literal[1] = 1
    temperature: float | None = Field(default=None, ge=0, le=2)
    limit: PositiveInt | None = Field(default=None, alias="max_completion_tokens")
    older_limit: PositiveInt | None = Field(default=None, alias="max_tokens")
    seed: int | None = None
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    stop: Annotated[
        Annotated[_Stop, Tag("<text>")] | Annotated[list[_Stop], Tag("<parts>")],
        Discriminator(lambda stop: "<parts>" if isinstance(stop, list) else "<text>"),
    ] = Field(default_factory=list)
    response_format: ResponseFormat = ResponseFormat()

    @model_validator(mode="before")
    @classmethod
    def _heeded(cls, data: Any) -> Any:
        for name in UNSERVED if isinstance(data, dict) else ():
            if data.get(name):
                raise ApiError(400, f"{name} is not served: agents here heed none; leave it out.", param=name)
        return data

    @property
    def form(self) -> str | None:
        """`response_format` as JSON; None where the reply is to be text."""
        wanted = self.response_format
        return None if wanted.type == "text" else wanted.model_dump_json(exclude_none=True)

    @property
    def stops(self) -> list[str]:
        """What ends the reply before it."""
        return [self.stop] if isinstance(self.stop, str) else self.stop

    @property
    def messages(self) -> tuple[Message, ...]:
        """The chat; `developer` is heard as `system`, and the parts of a text as one text."""
        return tuple(
            Message(
                "system" if said.role == "developer" else said.role,
                said.content if isinstance(said.content, str) else "".join(part.text for part in said.content),
            )
            for said in self.chat
        )

    @property
    def max_tokens(self) -> int | None:
        """Limit of the completion, by either of its names; None for none."""
        return self.older_limit if self.limit is None else self.limit


WANTED = {
    "model": "the name of a model",
    "messages": "a list of at least one message",
    "input": "a text, or a list of at least one message",
    "n": "1: one answer a request is given, so leave it out",
    "temperature": "0 to 2",
    "type": "text: nothing but text is read",
    "response_format.type": "text, json_object or json_schema",
    "missing": "a value",
    "extra_forbidden": "no such field",
    "model_type": "an object",
    "string_type": "a text",
    "string_too_short": "a text that is not empty",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
}
"""What a field may be, by its name, or what an error asks for, by its kind, where the checks' own words say less."""


def read(kind: type[Asked], body: bytes) -> Asked:
    """Return what the body of a request asks for.

    Raises:
        ApiError: 400; the body is no JSON object, lacks a field, or has one with a value that cannot be served.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    error_kind, said = first["type"], first["msg"]
    if error_kind == "json_invalid":
        raise ApiError(400, f"The body is not JSON: {said.removeprefix('Invalid JSON: ')}.", code="invalid_json")
    where = place([part for part in first["loc"] if not str(part).startswith("<")])[:80]
    if not where:
        raise ApiError(400, f"The body is {first['input']!r:.80}; expected a JSON object.")
    if error_kind.startswith(("greater", "less")):
        said = said.replace("Input should be", "a number")
    wanted = (
        WANTED.get(where)
        or WANTED.get(where.rpartition(".")[2])
        or WANTED.get(error_kind)
        or said.removeprefix("Input should be ")
    )
    shown = "missing" if error_kind == "missing" else repr(first["input"])[:80]
    raise ApiError(400, f"{where} is {shown}; expected {wanted}.", param=where)


# --------------------------------------------------------------------------- replies


def stopped(reply: Reply, stops: Sequence[str]) -> Reply:
    """Return a reply that ends before the first text that is to stop it."""
    ends = [end for stop in stops if (end := reply.text.find(stop)) >= 0]
    return replace(reply, text=reply.text[: min(ends)], finish_reason="stop") if ends else reply


def completion(reply: Reply, *, id: str, model: str, extra: Mapping[str, Any] | None = None) -> bytes:
    """Return the body of a chat completion, with extra fields where there are some."""
    return orjson.dumps(
        {
            "id": id,
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": reply.text, "refusal": None},
                    "logprobs": None,
                    "finish_reason": reply.finish_reason,
                }
            ],
            "usage": _usage(reply.usage),
            **(extra or {}),
        }
    )


def events(
    reply: Reply, *, id: str, model: str, include_usage: bool, extra: Mapping[str, Any] | None = None
) -> Iterator[bytes]:
    """Yield a chat completion as the events of a stream, a word each, without the closing `DONE`.

    Extra fields stand in the event that says why the answer ended.
    """
    base = {"id": id, "object": "chat.completion.chunk", "created": int(time.time()), "model": model}
    usage = {"usage": None} if include_usage else {}

    def event(delta: dict[str, str], finish_reason: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return b"data: " + orjson.dumps({**base, "choices": [choice], **usage, **more}) + b"\n\n"

    yield event({"role": "assistant", "content": ""})
    for word in WORD.findall(reply.text):
        yield event({"content": word})
    yield event({}, reply.finish_reason, **(extra or {}))
    if include_usage:
        yield b"data: " + orjson.dumps({**base, "choices": [], "usage": _usage(reply.usage)}) + b"\n\n"


def models(names: Sequence[str], *, owner: str) -> dict[str, Any]:
    """Return the list of models."""
    return {"object": "list", "data": [model(name, owner=owner) for name in names]}


def model(name: str, *, owner: str) -> dict[str, Any]:
    """Return what describes one model."""
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def respond(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return what sends a value as JSON."""
    return Response(orjson.dumps(content), status, headers=headers, media_type="application/json")


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
