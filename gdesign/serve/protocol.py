"""OpenAI's chat completions as bytes: requests read strictly, replies, streams and errors written.

Source: the OpenAI API reference, "Chat" and "Models".
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import orjson

from gdesign.errors import GdesignError
from gdesign.types import Message, Reply, Usage

Speaker = Literal["system", "user", "assistant"]
Text = TypeVar("Text", str, str | None)

ROLES: Mapping[str, Speaker] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
"""Who may speak in a chat, and as whom gdesign hears it."""

DONE = b"data: [DONE]\n\n"
"""The last event of a stream."""

_WORD = re.compile(r"\s*\S+|\s+")


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

    def logged(self, *, text: bool) -> dict[str, str]:
        """Return its fields for a log; the message, which may repeat a question, only if texts may be logged."""
        fields = {name: value for name, value in self._error.items() if value is not None and name != "message"}
        return fields | ({"error": str(self)} if text else {})


def clean(text: Text) -> Text:
    """Return a text that UTF-8 can carry: an endpoint may send half a surrogate pair."""
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request for a chat completion.

    Attributes:
        model: Name of the model.
        messages: The chat; `developer` is heard as `system`, and the parts of a text as one text.
        temperature: As it came; None for the model's own.
        max_tokens: Limit of the completion, by either of its names; None for none.
        seed: As it came; None where none did.
        stream: Whether the answer is wanted in pieces.
        include_usage: Whether a stream ends with its usage.
    """

    model: str
    messages: tuple[Message, ...]
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stream: bool = False
    include_usage: bool = False


def read_chat(body: bytes) -> ChatRequest:
    """Return what the body of a request asks for; fields that are not known here are ignored.

    Raises:
        ApiError: 400; the body is no JSON object, lacks the model or the messages, or a field has a
            value that cannot be served.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"The body is not JSON: {error}.", code="invalid_json") from None
    if not isinstance(data, dict):
        raise ApiError(400, f"The body is {_shown(data)}; expected a JSON object with model and messages.")
    if not isinstance(model := data.get("model"), str) or not model:
        raise ApiError(400, f"model is {_shown(model)}; expected the name of a model.", param="model")
    chat = data.get("messages")
    if not isinstance(chat, list) or not chat:
        raise ApiError(400, f"messages is {_shown(chat)}; expected a list of at least one message.", param="messages")
    if data.get("n") not in (None, 1):
        raise ApiError(400, f"n is {_shown(data['n'])}; one answer a request is given, so leave it out.", param="n")
    temperature = data.get("temperature")
    if temperature is not None and not (_is_number(temperature) and 0 <= temperature <= 2):
        raise ApiError(400, f"temperature is {_shown(temperature)}; expected 0 to 2.", param="temperature")
    limits = [_integer(data, name, least=1) for name in ("max_completion_tokens", "max_tokens")]
    options = data.get("stream_options") or {}
    if not isinstance(options, dict):
        raise ApiError(400, f"stream_options is {_shown(options)}; expected an object.", param="stream_options")
    return ChatRequest(
        model=model,
        messages=tuple(_message(entry, f"messages[{i}]") for i, entry in enumerate(chat)),
        temperature=temperature,
        max_tokens=limits[1] if limits[0] is None else limits[0],
        seed=_integer(data, "seed"),
        stream=_flag(data, "stream"),
        include_usage=_flag(options, "include_usage"),
    )


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
    created = int(time.time())

    def event(
        choices: list[dict[str, Any]],
        usage: dict[str, int] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> bytes:
        chunk = {
            "id": id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "choices": choices,
            **({"usage": usage} if include_usage else {}),
            **(extra or {}),
        }
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    def choice(delta: dict[str, str], finish_reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]

    yield event(choice({"role": "assistant", "content": ""}))
    for word in _WORD.findall(reply.text):
        yield event(choice({"content": word}))
    yield event(choice({}, reply.finish_reason), extra=extra)
    if include_usage:
        yield event([], _usage(reply.usage))


def models(names: Sequence[str], *, owner: str) -> bytes:
    """Return the body of the list of models."""
    return orjson.dumps({"object": "list", "data": [_model(name, owner) for name in names]})


def model(name: str, *, owner: str) -> bytes:
    """Return the body that describes one model."""
    return orjson.dumps(_model(name, owner))


def no_such_model(name: str, names: Sequence[str]) -> ApiError:
    """Return the error for a model that is not served."""
    return ApiError(
        404,
        f"The model {_shown(name)} does not exist; there are {', '.join(names)}.",
        code="model_not_found",
        param="model",
    )


def _model(name: str, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _message(entry: object, where: str) -> Message:
    if not isinstance(entry, dict):
        raise ApiError(400, f"{where} is {_shown(entry)}; expected an object with role and content.", param=where)
    role = entry.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise ApiError(
            400, f"{where}.role is {_shown(role)}; expected one of {', '.join(ROLES)}.", param=f"{where}.role"
        )
    content = entry.get("content")
    if isinstance(content, list):
        content = "".join(_part(part, f"{where}.content[{i}]") for i, part in enumerate(content))
    elif content is None and role == "assistant":  # one that called a tool and said nothing
        content = ""
    if not isinstance(content, str):
        raise ApiError(400, f"{where}.content is {_shown(content)}; expected a text.", param=f"{where}.content")
    return Message(ROLES[role], content)


def _part(part: object, where: str) -> str:
    if not (isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)):
        raise ApiError(
            400,
            f'{where} is {_shown(part)}; expected {{"type": "text", "text": ...}}: nothing but text is read.',
            param=where,
        )
    return cast(str, part["text"])


def _integer(data: Mapping[str, Any], name: str, *, least: int | None = None) -> int | None:
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
        expected = "an integer" if least is None else f"an integer of at least {least}"
        raise ApiError(400, f"{name} is {_shown(value)}; expected {expected}.", param=name)
    return value


def _flag(data: Mapping[str, Any], name: str) -> bool:
    value = data.get(name)
    if not isinstance(value, bool | None):
        raise ApiError(400, f"{name} is {_shown(value)}; expected true or false.", param=name)
    return bool(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    return "missing" if value is None else repr(value)[:80]
