"""POST /v1/designs and /v1/runs, and how designs, outcomes and turns are told."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from typing import Any, Literal

import orjson
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gdesign.api import Answer, Proposal
from gdesign.encode.problem import MAX_USD_WEIGHT
from gdesign.errors import UserError
from gdesign.export.schema import design_from_json, design_to_json
from gdesign.serve.protocol import SSE, ApiError, Body, clean, read, respond
from gdesign.serve.server import hang_up
from gdesign.serve.work import Work
from gdesign.types import AgentPool, Design, Turn, Usage

READ_SECONDS = 30.0
"""How long a client may take to read what is left of a stream once its run must be over."""


class DesignRequest(Body):
    """What POST /v1/designs takes."""

    model_config = ConfigDict(extra="forbid")
    question: str = Field(min_length=1)
    lam: float | None = Field(default=None, alias="lambda", ge=0, le=MAX_USD_WEIGHT)
    max_usd: float | None = Field(default=None, gt=0)
    kind: Literal["learned", "chain", "complete", "single"] = "learned"


class RunRequest(Body):
    """What POST /v1/runs takes."""

    model_config = ConfigDict(extra="forbid")
    question: str = Field(min_length=1)
    design: dict[str, Any]
    seed: int = Field(default=0, ge=0, lt=1 << 31)


async def designs(work: Work, request: Request) -> Response:
    """Answer with a design and what is expected of it."""
    asked = read(DesignRequest, await request.body())
    if asked.max_usd is not None and asked.kind != "learned":
        raise ApiError(400, f"max_usd is for kind learned; {asked.kind} is the same at any limit.", param="max_usd")
    began = time.perf_counter()
    proposal = await work.done(
        request, lambda: work.drafting.propose(asked.question, lam=asked.lam, max_usd=asked.max_usd, kind=asked.kind)
    )
    request.state.log["kind"] = asked.kind
    work.log_text(request, question=asked.question)
    return respond(
        {
            **proposal_json(proposal, work.model.opening(proposal)),
            "kind": asked.kind,
            "seconds": round(time.perf_counter() - began, 6),
        }
    )


async def runs(work: Work, request: Request) -> Response:
    """Let a design answer and stream its turns as they end."""
    asked = read(RunRequest, await request.body())
    try:
        _check_size(asked.design, most=work.settings.max_turns)
        design = design_from_json(asked.design)
        for agent in design.agents:
            work.model.pool.check(agent)
    except UserError as error:
        raise ApiError(400, f"The design cannot be run: {error}.", param="design") from None
    proposal = Proposal(question=asked.question, design=design, lam=work.model.usd_weight)
    # refused before anything is sent; left when the run is over, whether its turns are read or not
    held = ExitStack()
    held.enter_context(work.admitted(request))
    turns: asyncio.Queue[Turn | None] = asyncio.Queue()

    async def pieces() -> AsyncIterator[bytes]:
        running = asyncio.create_task(
            work.in_time(work.run(proposal, request, seed=asked.seed, on_turn=turns.put_nowait))
        )
        running.add_done_callback(lambda _: held.close())
        running.add_done_callback(lambda _: turns.put_nowait(None))
        try:
            while (turn := await turns.get()) is not None:
                yield _event("turn", turn_json(turn, design, pool=work.model.pool))
            answer = await running
            yield _event("done", outcome_json(answer))
        except ApiError as error:
            request.state.log |= error.logged(text=work.settings.log_text)
            yield _event("error", orjson.loads(error.body())["error"])
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    return _Held(pieces(), held=held, seconds=work.settings.deadline + READ_SECONDS)


class _Held(StreamingResponse):
    """A stream that holds something until it ends at the latest, and loses a client that does not read it in time."""

    def __init__(self, pieces: AsyncIterator[bytes], *, held: ExitStack, seconds: float) -> None:
        super().__init__(pieces, media_type=SSE, headers={"cache-control": "no-cache"})
        self._holding, self._seconds = held, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._holding:
            try:
                async with asyncio.timeout(self._seconds):
                    await super().__call__(scope, receive, send)
            except TimeoutError:
                await hang_up(scope, "abort", receive)


def _check_size(row: Mapping[str, Any], *, most: int) -> None:
    agents, rounds = row.get("agents"), row.get("num_rounds", 1)
    if isinstance(agents, list) and isinstance(rounds, int) and len(agents) * rounds > most:
        raise ApiError(
            400,
            f"The design has {len(agents)} agents and {rounds} rounds; this server runs at most {most} turns.",
            param="design",
        )


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


# --------------------------------------------------------------------------- JSON


def proposal_json(proposal: Proposal, opening: Design) -> dict[str, Any]:
    """Return a design, or the opening of a policy, with what is expected of it."""
    expected = None if proposal.score is None else {"score": proposal.score, "usd": proposal.usd}
    return {"design": design_to_json(opening), "expected": expected, "lambda": proposal.lam}


def outcome_json(answer: Answer) -> dict[str, Any]:
    """Return what came of a run."""
    outcome = answer.outcome
    names = ("usd", "prompt_tokens", "completion_tokens", "calls", "failures", "critical_path")
    return {
        "answer": clean(answer.answer),
        "decided_by": answer.run.decided_by,
        **{name: getattr(outcome, name) for name in names},
        "seconds": round(answer.run.seconds, 6),
        "label": None if outcome.label is None else str(outcome.label),
    }


def turn_json(turn: Turn, design: Design, *, pool: AgentPool) -> dict[str, Any]:
    """Return what an agent said, and what that took."""
    agent = design.agents[turn.agent]
    usage = Usage(prompt_tokens=0, completion_tokens=0) if turn.reply is None else turn.reply.usage
    tokens = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    return {
        "agent": turn.agent,
        "round": turn.round,
        "role": agent.role,
        "llm": agent.llm,
        "silent": turn.silent,
        "text": None if turn.reply is None else clean(turn.reply.text),
        "answer": clean(turn.answer),
        "error": clean(turn.error),
        **tokens,
        "usd": pool.llm(agent.llm).usd(**tokens, cached_tokens=usage.cached_tokens),
        "start": round(turn.start, 6),
        "end": round(turn.end, 6),
    }
