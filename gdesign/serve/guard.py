"""What stands before an application that spends money: who may ask, from where, and how much at a time.

A page of another site can make a browser send requests to a server on its user's own machine. So requests must name a
host that this server goes by (which ends DNS rebinding), those that come with an Origin must come from the server's
own pages, and bodies must be declared as JSON (which browsers send across sites only if a server agrees beforehand,
and this one never does).
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from hmac import compare_digest
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from gdesign.serve.meter import Metrics
from gdesign.serve.protocol import ApiError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

ANYBODY = "anybody"
"""What logs and budgets call those who ask a server without keys."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names of this machine that no other site can take."""

ROUTES = (
    "/v1/chat/completions",
    "/v1/designs",
    "/v1/runs",
    "/v1/models",
    "/v1/info",
    "/v1/history",
    "/metrics",
    "/health",
    "/static",
    "/",
)
"""What metrics tell apart; the longest that a path begins with counts."""

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)
"""Sent with every reply: nothing in a question or in what an agent says is ever run by a browser."""

BODY_SECONDS = 30.0
"""How long a client may take to send a body."""

log = logging.getLogger("gdesign.serve")


class JsonLines(logging.Formatter):
    """Writes a log record as one line of JSON: its time, level, message and fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        row = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return json.dumps(row)


class Guard:
    """An ASGI application around another one: checks requests, counts and logs them, and reads their bodies.

    Args:
        app: What answers. It finds `client` (the name of the key) and `log` (fields for the log, to be added to) in
            the state of its scope, and the whole body in one piece.
        metrics: Are told.
        keys: Keys by name; without any, everybody may ask.
        hosts: The names that this server goes by; None where it has a key and may be called anything.
        max_body: Bytes of the largest body.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        *,
        metrics: Metrics,
        keys: Mapping[str, str],
        hosts: Collection[str] | None,
        max_body: int,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._keys = {name: f"Bearer {key}".encode() for name, key in keys.items()}
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        path: str = scope["path"]
        route = next(r for r in (*ROUTES, "") if path.startswith(r)) if path.startswith("/") else ""
        route = "other" if route in ("", "/") and path != "/" else route
        fields: dict[str, Any] = {"id": uuid4().hex[:16], "method": scope["method"], "route": route}
        status = 0

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS, (b"x-request-id", fields["id"].encode())]
            await send(message)

        try:
            self._check_place(scope["method"], headers)
            client = self._check_key(path, headers)
            fields["client"] = client
            scope["state"] = {**scope.get("state", {}), "client": client, "log": fields}
            if scope["method"] == "POST":
                receive = await self._with_body(headers, receive)
            await self._app(scope, receive, sending)
        except ApiError as error:
            fields |= error.logged(text=True)  # one of this module, which looks into no body
            if not status:
                await respond(sending, error)
        except Exception:
            if not status:
                fields["error"] = "internal error"
                await respond(sending, ApiError(500, "Internal error; the server's log has more.", kind="server_error"))
            log.exception("internal error", extra={"fields": {"id": fields["id"], "route": route}})
        finally:
            seconds = time.perf_counter() - began
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(seconds)
            fields |= {"status": status, "seconds": round(seconds, 6)}
            level = logging.DEBUG if route in ("/health", "/metrics", "/static") and status < 400 else logging.INFO
            log.log(level, "request", extra={"fields": fields})

    def _check_place(self, method: str, headers: Mapping[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self._hosts is not None and _hostname(host) not in self._hosts:
            raise ApiError(
                403,
                f"This server does not go by the name {host[:80]!r}; it goes by {', '.join(sorted(self._hosts))} (more "
                "by --allow-host).",
                code="unknown_host",
            )
        if method != "POST":
            return
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower().partition("://")[2] != host:
            raise ApiError(403, "Pages of other sites may not ask this server.", code="foreign_origin")
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind != b"application/json":
            raise ApiError(
                415,
                f"The content type is {kind.decode('latin-1')[:80] or 'missing'}; send `Content-Type: "
                "application/json`.",
                code="unsupported_content_type",
            )

    def _check_key(self, path: str, headers: Mapping[bytes, bytes]) -> str:
        if not self._keys or path in ("/", "/health") or path.startswith("/static/"):
            return ANYBODY
        sent = headers.get(b"authorization", b"")
        found = [
            name for name, key in self._keys.items() if compare_digest(sent, key)
        ]  # all, so that none is told by time
        if not found:
            raise ApiError(
                401,
                "The key is missing or wrong; send it as `Authorization: Bearer KEY`.",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )
        return found[0]

    async def _with_body(self, headers: Mapping[bytes, bytes], receive: Receive) -> Receive:
        """Return what gives the whole body at once, then whatever else comes."""
        too_large = ApiError(
            413, f"The body is larger than {self._max_body:,} bytes; send less.", code="request_too_large"
        )
        if int(headers.get(b"content-length", b"0")) > self._max_body:
            raise too_large
        parts: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ApiError(400, "The connection ended before the body did.")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    more = message.get("more_body", False)
                    if size > self._max_body:
                        raise too_large
        except TimeoutError:
            raise ApiError(408, f"The body did not come within {BODY_SECONDS:g} s.", code="timeout") from None
        whole: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

        async def replayed() -> MutableMapping[str, Any]:
            return whole.pop() if whole else await receive()

        return replayed


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


async def respond(send: Send, error: ApiError) -> None:
    """Send an error."""
    body = error.body()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **error.headers}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
