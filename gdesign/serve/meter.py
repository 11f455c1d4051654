"""What a server counts: metrics for Prometheus, what a request spends, and what is left of a key's budget."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gdesign.errors import GdesignError, UnreachableError, UserError
from gdesign.llm.base import LLMClient
from gdesign.llm.cost import SCALE, Cost, most_of, spent_in_vain, spent_on
from gdesign.serve.protocol import ApiError
from gdesign.types import AgentPool, Reply, Request

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, buckets=_SECONDS, registry=registry)
        self.requests = counter("gdesign_requests", "Requests", ["route", "status"])
        self.request_seconds = histogram("gdesign_request_seconds", "From request to reply", ["route"])
        self.in_flight = gauge("gdesign_in_flight", "Designs and runs under way")
        self.lag = gauge("gdesign_lag_seconds", "How late the event loop is, on average")
        self.shed = counter("gdesign_shed", "Requests turned away at the limit on concurrency")
        self.designs = counter("gdesign_designs", "Designs made", ["kind"])
        self.design_seconds = histogram("gdesign_design_seconds", "From question to design")
        self.runs = counter("gdesign_runs", "Runs of designs", ["result"])
        self.calls = counter("gdesign_calls", "Calls that got a reply", ["llm"])
        self.failed_calls = counter("gdesign_failed_calls", "Calls that failed for good", ["llm"])
        self.tokens = counter("gdesign_tokens", "Tokens", ["llm", "kind"])
        self.usd = counter("gdesign_usd", "USD, by the prices of the pool", ["llm"])
        self.call_seconds = histogram("gdesign_call_seconds", "What calls took", ["llm"])
        self.faults = counter("gdesign_faults", "Faults of endpoints, survived or not", ["fault"])

    def text(self) -> bytes:
        """Return them as Prometheus reads them."""
        return generate_latest(self._registry)


class Meter:
    """Counts what the calls of one request spend; a call whose end is not known counts as all that it may cost.

    Attributes:
        num_asked: How many calls were made.
        spent: What they cost.
        faults: What went wrong in them, survived or not, a word each.
        num_failed: How many failed for good.
        num_refused: How many of those the endpoint refused, so that no retry mends them.
    """

    def __init__(self, llm: LLMClient, *, pool: AgentPool, metrics: Metrics) -> None:
        self.num_asked = 0
        self.spent = Cost()
        self.faults: list[str] = []
        self.num_failed = self.num_refused = 0
        self._llm = llm
        self._pool = pool
        self._metrics = metrics

    async def __call__(self, request: Request) -> Reply:
        """Ask and count."""
        price = self._pool.llm(request.llm)
        metrics, name = self._metrics, request.llm
        spent = most = most_of(request, price=price, max_tokens=request.max_tokens)
        self.num_asked += 1
        try:
            reply = await self._llm(request)
            spent = spent_on(reply, price=price, most=most)
        except GdesignError as error:
            spent = spent_in_vain(error, most=most)
            metrics.failed_calls.labels(name).inc(spent.calls)
            self.num_failed += 1
            self.num_refused += refuses(error)
            self._count(error.faults)
            raise
        finally:
            self.spent += spent
            metrics.usd.labels(name).inc(spent.usd)
        metrics.calls.labels(name).inc(reply.num_calls)
        metrics.tokens.labels(name, "prompt").inc(reply.usage.prompt_tokens)
        metrics.tokens.labels(name, "completion").inc(reply.usage.completion_tokens)
        if reply.seconds:
            metrics.call_seconds.labels(name).observe(reply.seconds)
        self._count(reply.faults)
        return reply

    def _count(self, faults: Sequence[str]) -> None:
        self.faults += faults
        for fault in faults:
            self._metrics.faults.labels(fault).inc()


def refuses(error: GdesignError) -> bool:
    """Return whether an error is a refusal, which no retry mends, rather than a failure."""
    if isinstance(error, UserError):
        return not isinstance(error, UnreachableError)
    last = error.faults[-1] if error.faults else ""
    return last.isdigit() and last.startswith("4") and last not in _PASSING


_PASSING = ("408", "409", "425", "429")


class Purse:
    """What one key may spend while the server runs.

    Args:
        usd: The most; None for no limit.
        most: The most that one request may spend; it is set aside while the request is under way.
    """

    def __init__(self, *, usd: float | None = None, most: float = 0.0) -> None:
        self._limit = None if usd is None else round(usd * SCALE)
        self._most = round(most * SCALE)
        self._spent = self._set_aside = 0

    @property
    def spent_usd(self) -> float:
        """USD spent so far."""
        return self._spent / SCALE

    def pay(self, cost: Cost) -> None:
        """Count what a request spent."""
        self._spent += cost.parts

    @contextmanager
    def open(self) -> Iterator[None]:
        """Set aside what one request may spend, while it is under way.

        Raises:
            ApiError: 402 where too little is left, 429 where others under way may leave too little.
        """
        if self._limit is not None and self._spent + self._set_aside + self._most > self._limit:
            if self._spent + self._most > self._limit:
                raise ApiError(
                    402,
                    f"This key has spent {self.spent_usd:.6g} of its {self._limit / SCALE:g} USD, and a request may "
                    f"take {self._most / SCALE:g}; ask whoever runs the server to raise --max-usd-per-key.",
                    kind="insufficient_quota",
                    code="insufficient_quota",
                    headers={"x-should-retry": "false"},
                )
            raise ApiError(
                429,
                "What this key has left is set aside for its requests under way; wait for them.",
                kind="requests",
                code="rate_limit_exceeded",
                headers={"retry-after": "1"},
            )
        self._set_aside += self._most
        try:
            yield
        finally:
            self._set_aside -= self._most
