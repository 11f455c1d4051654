"""`gdesign serve`: a trained designer behind OpenAI's chat completions, and behind what the page at / asks.

POST /v1/chat/completions designs a team for the last user message, lets it answer, and replies with what the deciding
agent said; POST /v1/responses does the same in its form. POST /v1/designs only designs, POST /v1/runs lets a given
design answer and streams its turns. GET /v1/models, /v1/info, /v1/history, /health, /metrics, and the page.
docs/deploy.md has all fields.
"""

import asyncio
from collections.abc import Collection, Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from gdesign import __version__
from gdesign.api import Model
from gdesign.errors import UserError
from gdesign.serve.chat import NAME, chat, lambda_of
from gdesign.serve.guard import INTERNAL, Guard
from gdesign.serve.history import History
from gdesign.serve.meter import Metrics
from gdesign.serve.protocol import ApiError, clean, model, models, respond
from gdesign.serve.responses import responses
from gdesign.serve.runs import curves, designs, exports, prices_of, runs
from gdesign.serve.settings import Settings
from gdesign.serve.work import Work

NUM_EXAMPLES = 12
MAX_PAGE = 200
THERE = (
    "POST /v1/chat/completions", "POST /v1/responses", "POST /v1/designs", "POST /v1/curves",
    "POST /v1/exports", "POST /v1/runs", "GET /v1/models",
    "GET /v1/info", "GET /v1/history", "GET /health", "GET /metrics", "the page at /",
)  # fmt: skip
"""What may be asked."""
TOLD = ("name", "usd_per_1M_input", "usd_per_1M_output")
"""What everybody may know of an LLM."""


class Serving:
    """The ASGI application.

    Args:
        folder: Its run folder, whose past runs are shown.
        keys: Keys by name; without any, everybody may ask.
        hosts: The names that it goes by; None where it has a key and may be called anything.
        origins: Of other sites whose pages may ask it, as `https://app.example`; `*` for all.
        simulated: Whether all agents are simulated, which the page says.
    """

    def __init__(
        self,
        model: Model,
        *,
        folder: Path,
        settings: Settings | None = None,
        keys: Mapping[str, str] | None = None,
        hosts: Collection[str] | None = None,
        origins: Collection[str] = (),
        simulated: bool = False,
    ) -> None:
        settings = Settings() if settings is None else settings
        self._model = model
        self._simulated = simulated
        self._history = History(folder)
        self._metrics = Metrics()
        self._work = Work(model, settings=settings, metrics=self._metrics)
        self._examples: list[str] | None = None
        guard = Guard(
            self._app(),
            metrics=self._metrics,
            keys=keys or {},
            hosts=hosts,
            max_body=settings.max_body,
            origins=origins,
        )
        self._guarded: ASGIApp = guard
        if origins:
            self._guarded = CORSMiddleware(
                guard,
                allow_origins=origins,
                allow_methods=("GET", "POST"),
                allow_headers=("*",),
                expose_headers=("x-request-id", "x-total-count", "retry-after"),
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._guarded(scope, receive, send)

    def stop(self) -> None:
        """Take no new work; what is under way goes on."""
        self._work.stopping = True

    def _app(self) -> Starlette:
        static = Path(str(files("gdesign.serve") / "static"))

        async def page(request: Request) -> Response:
            return FileResponse(static / "index.html", headers={"cache-control": "no-cache"})

        return Starlette(
            routes=[
                Route("/", page),
                Route("/v1/chat/completions", partial(chat, self._work), methods=["POST"]),
                Route("/v1/responses", partial(responses, self._work), methods=["POST"]),
                Route("/v1/designs", partial(designs, self._work), methods=["POST"]),
                Route("/v1/curves", partial(curves, self._work), methods=["POST"]),
                Route("/v1/exports", partial(exports, self._work), methods=["POST"]),
                Route("/v1/runs", partial(runs, self._work), methods=["POST"]),
                Route("/v1/models", self._list_models),
                Route("/v1/models/{name:path}", self._one_model),
                Route("/v1/info", self._info),
                Route("/v1/history", self._past_runs),
                Route("/v1/history/{id:path}", self._past_run),
                Route("/health", self._health),
                Route("/metrics", self._counted),
                Mount("/static", StaticFiles(directory=static)),
            ],
            exception_handlers={kind: self._told for kind in (ApiError, HTTPException, Exception)},
        )

    async def _told(self, request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            said = f"{request.method} {request.url.path[:80]}: {error.detail}; there are {', '.join(THERE)}."
            error = ApiError(error.status_code, said, code="unknown_url", headers=error.headers)
        told = error if isinstance(error, ApiError) else INTERNAL
        request.state.log |= told.logged(text=self._work.settings.log_text)
        return told.response()

    async def _list_models(self, request: Request) -> Response:
        return respond(models([NAME], owner=NAME))

    async def _one_model(self, request: Request) -> Response:
        name = request.path_params["name"]
        lambda_of(name)
        return respond(model(name, owner=NAME))

    async def _health(self, request: Request) -> Response:
        return respond({"status": "ending"}, 503) if self._work.stopping else respond({"status": "ok"})

    async def _counted(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _info(self, request: Request) -> Response:
        if self._examples is None:
            self._examples = await asyncio.to_thread(self._some_questions)
        pool, trained = self._model.pool, self._model.usd_weight
        low, high = prices_of(trained)
        return respond(
            {
                "designer": self._model.config.names.designer,
                "pool": {
                    "name": pool.name,
                    "roles": [{"name": r.name, "domain": r.domain} for r in pool.roles],
                    "llms": [{name: getattr(m, name) for name in TOLD} for m in pool.llms],
                    "operators": list(pool.operators),
                },
                "lambda": {"trained": trained, "low": low, "high": high},
                "simulated": self._simulated,
                "examples": self._examples,
                "version": __version__,
            }
        )

    def _some_questions(self) -> list[str]:
        benchmark, _, _ = self._model.executor()
        try:
            return [clean(task.question) for task in benchmark.load("validation")[:NUM_EXAMPLES]]
        except UserError:  # the questions of its training need not be where it serves
            return []

    async def _past_runs(self, request: Request) -> Response:
        query = request.query_params
        rows, total = await asyncio.to_thread(
            self._history.page,
            folder=query.get("folder", ""),
            text=query.get("q", ""),
            score=_score(query.get("score")),
            limit=_number(query.get("limit", "50"), "limit", most=MAX_PAGE),
            offset=_number(query.get("offset", "0"), "offset", most=1 << 40),
        )
        return respond(rows, headers={"x-total-count": str(total)})

    async def _past_run(self, request: Request) -> Response:
        id, folder = request.path_params["id"], request.query_params.get("folder", "")
        return respond(await asyncio.to_thread(self._history.one, id, folder=folder))


def _score(text: str | None) -> float | None:
    if text is None or text in ("0", "1"):
        return None if text is None else float(text)
    raise ApiError(400, f"score is {text[:40]!r}; expected 0 (wrong) or 1 (right).", param="score")


def _number(text: str, name: str, *, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise ApiError(400, f"{name} is {text[:40]!r}; expected a number from 0 to {most}.", param=name)
    return min(int(text), most)
