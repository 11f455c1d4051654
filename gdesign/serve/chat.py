"""POST /v1/chat/completions: a team of agents that answers as one model would."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

from pydantic import model_validator
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gdesign.api import Answer
from gdesign.encode.problem import MAX_USD_WEIGHT
from gdesign.serve.protocol import DONE, SSE, ApiError, ChatRequest, clean, completion, events, no_such_model, read
from gdesign.serve.runs import outcome_json, proposal_json, turn_json
from gdesign.serve.work import Work
from gdesign.types import Label, Message, Reply, Usage

NAME = "gdesign"
"""The model that clients ask for; `gdesign:0.05` sets the price of cost."""

UNSERVED = ("tools", "functions", "audio", "logprobs", "prediction", "web_search_options", "stop", "logit_bias")
"""Fields of a chat request that would change the answer, and that no team of agents heeds."""

_WORDS = {"stop", "length", "content_filter"}


class TeamRequest(ChatRequest):
    """A request that a team of agents can serve."""

    @model_validator(mode="before")
    @classmethod
    def _heeded(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name in UNSERVED:
                if data.get(name):
                    raise ApiError(400, f"{name} is not served: no team of agents heeds it; leave it out.", param=name)
            if data.get("response_format") not in (None, {}, {"type": "text"}):
                raise ApiError(
                    400,
                    "response_format is not served: agents of a team answer in words; leave it out.",
                    param="response_format",
                )
        return data


async def chat(work: Work, request: Request) -> Response:
    """Answer a chat completion."""
    asked = read(TeamRequest, await request.body())
    lam = lambda_of(asked.model)
    question, context = conversation(asked.messages)
    limits = [n for n in (asked.max_tokens, work.settings.max_tokens) if n is not None]
    request.state.log |= {"model": asked.model, "stream": asked.stream}

    async def answered() -> Answer:
        proposal = await work.drafting.propose(question, lam=lam)
        return await work.run(
            proposal,
            request,
            context=context,
            seed=(asked.seed or 0) % (1 << 31),
            temperature=asked.temperature,
            max_tokens=min(limits, default=None),
        )

    answer = await work.done(request, answered)
    outcome, run = answer.outcome, answer.run
    assert run.decided_by is not None
    decided = run.turns[run.decided_by].reply
    assert decided is not None
    reply = Reply(
        text=clean(decided.text),
        usage=Usage(prompt_tokens=outcome.prompt_tokens, completion_tokens=outcome.completion_tokens),
        label=Label.LIVE if outcome.label is None else outcome.label,
        finish_reason=decided.finish_reason if decided.finish_reason in _WORDS else "stop",
    )
    extra = {
        "gdesign": {
            **proposal_json(answer.proposal, run.design),
            **outcome_json(answer),
            "turns": [turn_json(turn, run.design.agents[turn.agent], pool=work.model.pool) for turn in run.turns],
        }
    }
    id = f"chatcmpl-{uuid4().hex}"
    if not asked.stream:
        whole = completion(reply, id=id, model=asked.model, extra=extra)
        return Response(whole, media_type="application/json")
    usage = asked.stream_options.include_usage

    async def pieces() -> AsyncIterator[bytes]:
        for piece in events(reply, id=id, model=asked.model, include_usage=usage, extra=extra):
            yield piece
        yield DONE

    return StreamingResponse(pieces(), media_type=SSE, headers={"cache-control": "no-cache"})


def lambda_of(name: str) -> float | None:
    """Return the price of cost in the name of a model; None where it names none.

    Raises:
        ApiError: 404; there is no such model.
    """
    base, colon, price = name.partition(":")
    if base != NAME:
        raise no_such_model(name, [NAME, f"{NAME}:<price of cost>"])
    if not colon:
        return None
    try:
        lam = float(price)
    except ValueError:
        lam = -1.0
    if not 0 <= lam <= MAX_USD_WEIGHT:
        raise no_such_model(name, [NAME, f"{NAME}:<price of cost>, such as {NAME}:0.05"])
    return lam


def conversation(messages: Sequence[Message]) -> tuple[str, str | None]:
    """Return the question in a chat, and what agents read if there is more to it.

    The question is the last user message. Whatever else there is comes before it, in its order: system messages as
    instructions, the rest as the conversation so far.

    Raises:
        ApiError: 400; no user says anything.
    """
    last = max((i for i, m in enumerate(messages) if m.role == "user"), default=None)
    if last is None or not messages[last].content.strip():
        raise ApiError(400, "There is no question: the last user message is missing or empty.", param="messages")
    question = messages[last].content
    system = [m.content for m in messages if m.role == "system" and m.content.strip()]
    rest = [m for i, m in enumerate(messages) if i != last and m.role != "system"]
    if not system and not rest:
        return question, None
    parts = []
    if system:
        parts.append("Instructions:\n" + "\n\n".join(system))
    if rest:
        names = {"user": "User", "assistant": "Assistant"}
        parts.append("The conversation so far:\n" + "\n\n".join(f"{names[m.role]}: {m.content}" for m in rest))
    parts.append(f"What is asked now:\n{question}")
    return question, "\n\n".join(parts)
