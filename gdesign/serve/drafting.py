"""Where designs are made behind a server, and how late its event loop is."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal

from gdesign.api import Kind, Model, Proposal
from gdesign.errors import UserError
from gdesign.serve.meter import Metrics
from gdesign.serve.protocol import ApiError

MAX_BATCH = 32
"""Questions that are designed for at once."""


class Drafting:
    """Designs in one thread of their own, so that torch is entered once and the event loop stays free.

    Questions that wait while others are designed for are taken together.
    """

    def __init__(self, model: Model, *, metrics: Metrics) -> None:
        self._model = model
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="designing")
        self._waiting: list[tuple[str, float, asyncio.Future[Proposal]]] = []
        self._working: asyncio.Task[None] | None = None

    async def propose(
        self,
        question: str,
        *,
        lam: float | None = None,
        max_usd: float | None = None,
        kind: Kind | Literal["learned"] = "learned",
    ) -> Proposal:
        """Return a design for a question.

        Raises:
            ApiError: 400; no such design can be made.
        """
        began = time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            if kind != "learned":
                work = partial(self._model.standard, question, kind=kind, lam=lam)
                proposal = await loop.run_in_executor(self._thread, work)
            elif max_usd is not None:
                work = partial(self._model.design, question, max_usd=max_usd, lam=lam)
                proposal = await loop.run_in_executor(self._thread, work)
            else:
                future: asyncio.Future[Proposal] = loop.create_future()
                self._waiting.append((question, self._model.usd_weight if lam is None else lam, future))
                if self._working is None:
                    self._working = asyncio.create_task(self._work())
                proposal = await future
        except UserError as error:
            raise ApiError(400, f"{error}.", param="max_usd" if max_usd is not None else None) from None
        self._metrics.designs.labels(kind).inc()
        self._metrics.design_seconds.observe(time.perf_counter() - began)
        return proposal

    async def curve(self, question: str, prices: Sequence[float]) -> list[Proposal]:
        """Return the design for a question at each price of cost; none where nothing is expected of designs."""
        work = partial(self._model.curve, question, prices=prices)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            batch = [job for job in batch if not job[2].done()]  # who has gone away waits no more
            if not batch:
                continue
            work = partial(self._model.designs, [q for q, _, _ in batch], lam=[lam for _, lam, _ in batch])
            try:
                proposals = await loop.run_in_executor(self._thread, work)
            except Exception as error:  # whatever it is belongs to those who wait for it, not to this task
                for _, _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, _, future), proposal in zip(batch, proposals, strict=True):
                if not future.done():
                    future.set_result(proposal)
        self._working = None


class Lag:
    """How late the event loop is while there is something to do.

    Attributes:
        seconds: By how much, on average over about half a second.
    """

    _TICK = 0.02
    _SHARE = 0.04

    def __init__(self) -> None:
        self.seconds = 0.0
        self._ticks_left = 0
        self._ticking: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Measure for the next seconds."""
        self._ticks_left = round(5 / self._TICK)
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while self._ticks_left:
            due = loop.time() + self._TICK
            await asyncio.sleep(self._TICK)
            self.seconds += self._SHARE * (loop.time() - due - self.seconds)
            self._ticks_left = max(0, self._ticks_left - 1)
        self._ticking = None
