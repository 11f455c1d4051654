"""POST /v1/responses in its plain form: text in, text out, whole or as a stream.

Source: the OpenAI API reference, "Responses".
"""

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Annotated, Any, Literal
from uuid import uuid4

import orjson
from pydantic import Discriminator, Field, PositiveInt, Tag, model_validator
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gdesign.encode.problem import MAX_USD_WEIGHT
from gdesign.serve.chat import TeamRequest, answered
from gdesign.serve.protocol import SSE, STREAMED, WORD, ApiError, Body, read, respond
from gdesign.serve.work import Work
from gdesign.types import Reply

KEPT = ("previous_response_id", "conversation", "background", "prompt")
"""Fields that need a server to keep something between two requests, which this one does not."""


class Part(Body):
    """A part of what was said."""

    type: Literal["input_text", "output_text", "text"]
    text: str


_Said = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[list[Part], Field(fail_fast=True), Tag("<parts>")],
    Discriminator(lambda content: "<parts>" if isinstance(content, list) else "<text>"),
]


class Item(Body):
    """What somebody said."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: _Said


class TextOptions(Body):
    """How the text is wanted."""

    format: dict[str, Any] = Field(default_factory=dict)


class ResponsesRequest(Body):
    """A request for a response."""

    model: str = Field(min_length=1)
    input: Annotated[
        Annotated[str, Tag("<text>")] | Annotated[list[Item], Field(fail_fast=True, min_length=1), Tag("<parts>")],
        Discriminator(lambda said: "<parts>" if isinstance(said, list) else "<text>"),
    ]
    instructions: str | None = None
    max_output_tokens: PositiveInt | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    text: TextOptions = TextOptions()
    stream: bool = False
    metadata: dict[str, str] = Field(default_factory=dict)
    lam: float | None = Field(default=None, alias="lambda", ge=0, le=MAX_USD_WEIGHT)
    max_usd: float | None = Field(default=None, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _heeded(cls, data: Any) -> Any:
        if isinstance(data, dict):
            if data.get("tools"):
                raise ApiError(400, "tools is not served: agents here heed none; leave it out.", param="tools")
            for name in KEPT:
                if data.get(name):
                    raise ApiError(
                        400, f"{name} is not served: nothing is kept between requests; send it all.", param=name
                    )
        return data

    def chat(self) -> TeamRequest:
        """Return the chat completion that asks for the same."""
        items = [Item(role="user", content=self.input)] if isinstance(self.input, str) else self.input
        said = [
            {"role": item.role, "content": item.content if isinstance(item.content, str) else _joined(item.content)}
            for item in items
        ]
        if self.instructions:
            said.insert(0, {"role": "system", "content": self.instructions})
        kind, form = self.text.format.get("type", "text"), dict(self.text.format)
        form.pop("type", None)
        body = {
            "model": self.model,
            "messages": said,
            "temperature": self.temperature,
            "max_tokens": self.max_output_tokens,
            "stream": self.stream,
            "response_format": {"type": kind} | ({"json_schema": form} if kind == "json_schema" else {}),
            "lambda": self.lam,
            "max_usd": self.max_usd,
        }
        return read(TeamRequest, orjson.dumps(body))


async def responses(work: Work, request: Request) -> Response:
    """Answer a response."""
    asked = read(ResponsesRequest, await request.body())
    reply, extra = await answered(work, request, asked.chat())
    whole = response_json(asked, reply, id=f"resp_{uuid4().hex}", extra=extra)
    if not asked.stream:
        return respond(whole)

    async def pieces() -> AsyncIterator[bytes]:
        for piece in events(whole):
            yield piece

    return StreamingResponse(pieces(), media_type=SSE, headers=STREAMED)


def response_json(asked: ResponsesRequest, reply: Reply, *, id: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a response."""
    usage, whole = reply.usage, reply.finish_reason == "stop"
    reason = "max_output_tokens" if reply.finish_reason == "length" else "content_filter"
    status = "completed" if whole else "incomplete"
    part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
    said = {"id": f"msg_{id[5:]}", "type": "message", "status": status, "role": "assistant", "content": [part]}
    return {
        "id": id,
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": None if whole else {"reason": reason},
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": asked.metadata,
        "model": asked.model,
        "output": [said],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": asked.temperature,
        "text": {"format": asked.text.format or {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        },
        **extra,
    }


def events(whole: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield a response as the events of a stream, a word each."""
    (item,) = whole["output"]
    (part,) = item["content"]
    begun = {**whole, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    begun.pop("gdesign", None)
    at_item: dict[str, Any] = {"output_index": 0}
    at_part = {**at_item, "item_id": item["id"], "content_index": 0}
    number = 0

    def event(kind: str, **fields: Any) -> bytes:
        nonlocal number
        number += 1
        data = orjson.dumps({"type": kind, "sequence_number": number - 1, **fields})
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"

    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    yield event("response.output_item.added", **at_item, item={**item, "status": "in_progress", "content": []})
    yield event("response.content_part.added", **at_part, part={**part, "text": ""})
    for word in WORD.findall(part["text"]):
        yield event("response.output_text.delta", **at_part, delta=word, logprobs=[])
    yield event("response.output_text.done", **at_part, text=part["text"], logprobs=[])
    yield event("response.content_part.done", **at_part, part=part)
    yield event("response.output_item.done", **at_item, item=item)
    yield event(f"response.{whole['status']}", response=whole)


def _joined(parts: list[Part]) -> str:
    return "".join(part.text for part in parts)
