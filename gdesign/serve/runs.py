"""POST /v1/designs, /v1/curves, /v1/exports and /v1/runs, and how designs, outcomes and turns are told."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Literal

import orjson
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gdesign.api import Answer, Proposal
from gdesign.design.choose import PRICES
from gdesign.encode.problem import MAX_USD_WEIGHT
from gdesign.errors import UserError
from gdesign.execute.adaptive import Asked
from gdesign.export.mermaid import mermaid
from gdesign.export.python import to_python
from gdesign.export.schema import design_from_json, design_to_json
from gdesign.serve.protocol import SSE, STREAMED, ApiError, Body, clean, read, respond
from gdesign.serve.server import hang_up
from gdesign.serve.work import Work
from gdesign.types import Agent, AgentPool, Branch, Design, Move, Stop, Turn, Usage, Wave

NUM_POINTS = 17
"""Prices of cost that a curve is looked at."""
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
    design: dict[str, Any] | None = None
    lam: float | None = Field(default=None, alias="lambda", ge=0, le=MAX_USD_WEIGHT)
    max_usd: float | None = Field(default=None, gt=0)
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
    tree = None if isinstance(proposal.design, Design) else branch_json(work.model.tree(proposal))
    row = proposal_json(proposal, work.model.opening(proposal)) | {"kind": asked.kind, "tree": tree}
    return respond({**row, "seconds": round(time.perf_counter() - began, 6)})


class CurveRequest(Body):
    """What POST /v1/curves takes."""

    model_config = ConfigDict(extra="forbid")
    question: str = Field(min_length=1)


async def curves(work: Work, request: Request) -> Response:
    """Answer with what is expected of the best designs along the prices of cost."""
    asked = read(CurveRequest, await request.body())
    low, high = prices_of(work.model.usd_weight)
    prices = [low * (high / low) ** (k / (NUM_POINTS - 1)) for k in range(NUM_POINTS)]
    found = await work.done(request, lambda: work.drafting.curve(asked.question, prices))
    return respond([{"lambda": p.lam, "score": p.score, "usd": p.usd} for p in found])


def prices_of(trained: float) -> tuple[float, float]:
    """Return the lowest and the highest price of cost that the page offers."""
    return trained / 10 or PRICES[8], trained * 10 or 1.0


class ExportRequest(Body):
    """What POST /v1/exports takes."""

    model_config = ConfigDict(extra="forbid")
    design: dict[str, Any]
    format: Literal["mermaid", "json", "python"]


async def exports(work: Work, request: Request) -> Response:
    """Answer with a design for another program."""
    asked = read(ExportRequest, await request.body())
    design, pool = _given(asked.design, work), work.model.pool
    try:
        if asked.format == "python":
            programs = await asyncio.to_thread(lambda: work.model.wants_programs)
            text = to_python(design, pool=pool, wants_programs=programs)
        elif asked.format == "json":
            text = json.dumps(design_to_json(design, pool=pool), indent=2)
        else:
            text = mermaid(design)
    except UserError as error:
        raise ApiError(400, f"{error}.", param="design") from None
    return respond({"text": clean(text)})


async def runs(work: Work, request: Request) -> Response:
    """Let a design, or what is held best for the question, answer, and stream waves and turns as they come."""
    asked = read(RunRequest, await request.body())
    if asked.design is not None and (asked.lam is not None or asked.max_usd is not None):
        raise ApiError(400, "lambda and max_usd choose a design, and one is given; leave them out.", param="design")
    given = None if asked.design is None else _given(asked.design, work)
    # refused before anything is sent; left when the run is over, whether its turns are read or not
    held = ExitStack()
    held.enter_context(work.admitted(request))
    try:
        if given is None:
            proposal = await work.in_time(work.drafting.propose(asked.question, lam=asked.lam, max_usd=asked.max_usd))
        else:
            proposal = Proposal(question=asked.question, design=given, lam=work.model.usd_weight)
    except BaseException:
        held.close()
        raise
    told = _Told(work.model.pool)
    if given is None and isinstance(proposal.design, Design):
        told.move(proposal.design)
    elif given is not None:
        told.agents = given.agents

    async def pieces() -> AsyncIterator[bytes]:
        running = asyncio.create_task(
            work.in_time(work.run(proposal, request, seed=asked.seed, on_turn=told.turn, on_move=told.move))
        )
        running.add_done_callback(lambda _: held.close())
        running.add_done_callback(lambda _: told.events.put_nowait(None))
        try:
            while (event := await told.events.get()) is not None:
                yield event
            answer = await running
            came_to = {} if given is not None else {"design": design_to_json(answer.design)}
            yield _event("done", outcome_json(answer) | came_to)
        except ApiError as error:
            request.state.log |= error.logged(text=work.settings.log_text)
            yield _event("error", orjson.loads(error.body())["error"])
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    return _Held(pieces(), held=held, seconds=work.settings.deadline + READ_SECONDS)


def _given(row: Mapping[str, Any], work: Work) -> Design:
    try:
        _check_size(row, most=work.settings.max_turns)
        design = design_from_json(row)
        for agent in design.agents:
            work.model.pool.check(agent)
    except UserError as error:
        raise ApiError(400, f"The design cannot be run: {error}.", param="design") from None
    return design


class _Told:
    """Turns what a run tells into the events of its stream."""

    def __init__(self, pool: AgentPool) -> None:
        self.agents: Sequence[Agent] = ()
        self.events: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._pool = pool
        self._asked = Asked()

    def turn(self, turn: Turn) -> None:
        self.events.put_nowait(_event("turn", turn_json(turn, self.agents[turn.agent], pool=self._pool)))

    def move(self, move: Move) -> None:
        if isinstance(move, Stop):
            self.events.put_nowait(_event("stop", _move_json(move)))
            return
        if isinstance(move, Wave):
            self._asked.add(move)
        design = move if isinstance(move, Design) else self._asked.design()
        row = {
            "wave": max(1, self._asked.num_waves),
            "agents": list(range(len(self.agents), len(design.agents))),
            "reason": "" if isinstance(move, Design) else clean(move.reason),
            "design": design_to_json(design),
        }
        self.agents = design.agents
        self.events.put_nowait(_event("wave", row))


class _Held(StreamingResponse):
    """A stream that holds something until it ends at the latest, and loses a client that does not read it in time."""

    def __init__(self, pieces: AsyncIterator[bytes], *, held: ExitStack, seconds: float) -> None:
        super().__init__(pieces, media_type=SSE, headers=STREAMED)
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


def branch_json(branch: Branch) -> dict[str, Any]:
    """Return what a policy does, and what may follow."""
    return {
        "when": clean(branch.when),
        "probability": branch.probability,
        "move": _move_json(branch.move),
        "branches": list(map(branch_json, branch.branches)),
    }


def _move_json(move: Move) -> dict[str, Any]:
    if isinstance(move, Stop):
        return {"kind": "stop", "reason": clean(move.reason), "probability": move.probability}
    if isinstance(move, Design):
        return {"kind": "design", "design": design_to_json(move)}
    agents = [{"role": agent.role, "llm": agent.llm, "operator": agent.operator} for agent in move.agents]
    return {"kind": "wave", "agents": agents, "hears": move.hears, "reason": clean(move.reason)}


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


def turn_json(turn: Turn, agent: Agent, *, pool: AgentPool) -> dict[str, Any]:
    """Return what an agent said, and what that took."""
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
