"""POST /v1/chat/completions: a team of agents that answers as one model would."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gdesign.api import Answer
from gdesign.encode.problem import MAX_USD_WEIGHT
from gdesign.serve.protocol import (
    DONE,
    SSE,
    STREAMED,
    ApiError,
    ChatRequest,
    clean,
    completion,
    events,
    no_such_model,
    read,
    stopped,
)
from gdesign.serve.runs import outcome_json, proposal_json, turn_json
from gdesign.serve.work import Work
from gdesign.types import Label, Message, Reply, Usage

NAME = "gdesign"
"""The model that clients ask for; `gdesign:0.05` sets the price of cost."""

_WORDS = {"stop", "length", "content_filter"}


class TeamRequest(ChatRequest):
    """A request that a team of agents can serve."""

    lam: float | None = Field(default=None, alias="lambda", ge=0, le=MAX_USD_WEIGHT)
    max_usd: float | None = Field(default=None, gt=0)


async def chat(work: Work, request: Request) -> Response:
    """Answer a chat completion."""
    asked = read(TeamRequest, await request.body())
    reply, extra = await answered(work, request, asked)
    id = f"chatcmpl-{uuid4().hex}"
    if not asked.stream:
        whole = completion(reply, id=id, model=asked.model, extra=extra)
        return Response(whole, media_type="application/json")
    usage = asked.stream_options.include_usage

    async def pieces() -> AsyncIterator[bytes]:
        for piece in events(reply, id=id, model=asked.model, include_usage=usage, extra=extra):
            yield piece
        yield DONE

    return StreamingResponse(pieces(), media_type=SSE, headers=STREAMED)


async def answered(work: Work, request: Request, asked: TeamRequest) -> tuple[Reply, dict[str, Any]]:
    """Return what a team replies to a chat, and the field `gdesign` with everything about how.

    Raises:
        ApiError: What is asked cannot be served, or nobody answered.
    """
    lam = lambda_of(asked.model)
    if lam is not None and asked.lam is not None:
        raise ApiError(400, "lambda stands in the name of the model and in the body; leave one out.", param="lambda")
    question, context = conversation(asked.messages)
    limits = [n for n in (asked.max_tokens, work.settings.max_tokens) if n is not None]
    request.state.log |= {"model": asked.model, "stream": asked.stream}

    async def answer_it() -> Answer:
        price = asked.lam if lam is None else lam
        proposal = await work.drafting.propose(question, lam=price, max_usd=asked.max_usd)
        return await work.run(
            proposal,
            request,
            context=context,
            seed=(asked.seed or 0) % (1 << 31),
            temperature=asked.temperature,
            max_tokens=min(limits, default=None),
            response_format=asked.form,
        )

    answer = await work.done(request, answer_it)
    outcome, run, said = answer.outcome, answer.run, answer.reply
    assert said is not None
    reply = Reply(
        text=clean(said.text),
        usage=Usage(prompt_tokens=outcome.prompt_tokens, completion_tokens=outcome.completion_tokens),
        label=Label.LIVE if outcome.label is None else outcome.label,
        finish_reason=said.finish_reason if said.finish_reason in _WORDS else "stop",
    )
    turns = [turn_json(turn, run.design.agents[turn.agent], pool=work.model.pool) for turn in run.turns]
    row = {**proposal_json(answer.proposal, run.design), **outcome_json(answer), "turns": turns}
    return stopped(reply, asked.stops), {"gdesign": row}


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
