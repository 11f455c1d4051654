"""What stands before an application that spends money: who may ask, from where, and how much at a time.

A page of another site can make a browser send requests to a server on its user's own machine. So requests must name a
host that this server goes by (which ends DNS rebinding), those that come with an Origin must come from the server's
own pages or those of sites that were named, and bodies must be declared as JSON (which browsers send across sites only
if a server agrees beforehand, and this one does to none but those).
"""

import asyncio
import json
import logging
import time
from collections.abc import Collection, Mapping
from hmac import compare_digest
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gdesign.errors import ConfigError
from gdesign.serve.meter import Metrics
from gdesign.serve.protocol import ApiError

ANYBODY = "anybody"
"""What logs and budgets call those who ask a server without keys."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names of this machine that no other site can take."""

ROUTES = (
    "/v1/chat/completions", "/v1/responses", "/v1/designs", "/v1/curves", "/v1/exports", "/v1/runs",
    "/v1/models", "/v1/info", "/v1/history",
    "/metrics", "/health", "/static", "/",
)  # fmt: skip
"""What metrics tell apart; the longest that a path begins with counts."""

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "content-security-policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
"""Sent with every reply: nothing in a question or in what an agent says is ever run by a browser."""

BODY_SECONDS = 30.0
"""How long a client may take to send a body."""

INTERNAL = ApiError(500, "Internal error; the server's log has more.", kind="server_error")

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
        keys: Keys by name; without any, everybody may ask.
        hosts: The names that this server goes by; None where it has a key and may be called anything.
        max_body: Bytes of the largest body.
        origins: Of other sites whose pages may ask; `*` for all.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        keys: Mapping[str, str],
        hosts: Collection[str] | None,
        max_body: int,
        origins: Collection[str] = (),
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._keys = keys
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self._max_body = max_body
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        headers = Headers(scope=scope)
        path: str = scope["path"]
        route = next((r for r in ROUTES if path.startswith(r)), "other")
        if route == "/" and path != "/":
            route = "other"
        fields: dict[str, Any] = {"id": uuid4().hex[:16], "method": scope["method"], "route": route}
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update({**HEADERS, "x-request-id": fields["id"]})
            await send(message)

        async def refuse(error: ApiError) -> None:
            if not status:
                await error.response()(scope, receive, sending)

        try:
            self._check_place(scope["method"], headers)
            open_to_all = path in ("/", "/health") or path.startswith("/static/")
            fields["client"] = client = ANYBODY if open_to_all else check_key(headers, self._keys)
            scope["state"] = {**scope.get("state", {}), "client": client, "log": fields}
            if scope["method"] == "POST":
                receive = read_again(await read_body(headers, receive, most=self._max_body), receive)
            await self._app(scope, receive, sending)
        except ApiError as error:
            fields |= error.logged(text=True)  # one of this module, which looks into no body
            await refuse(error)
        except Exception:
            if not status:
                fields["error"] = "internal error"
            await refuse(INTERNAL)
            log.exception("internal error", extra={"fields": {"id": fields["id"], "route": route}})
        finally:
            seconds = time.perf_counter() - began
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(seconds)
            fields |= {"status": status, "seconds": round(seconds, 6)}
            level = logging.DEBUG if route in ("/health", "/metrics", "/static") and status < 400 else logging.INFO
            log.log(level, "request", extra={"fields": fields})

    def _check_place(self, method: str, headers: Headers) -> None:
        host = headers.get("host", "").lower()
        if self._hosts is not None and _hostname(host) not in self._hosts:
            raise ApiError(
                403,
                f"This server does not go by the name {host[:80]!r}; it goes by {', '.join(sorted(self._hosts))} (more "
                "by --allow-host).",
                code="unknown_host",
            )
        if method != "POST":
            return
        origin = headers.get("origin")
        foreign = origin is not None and origin.lower().partition("://")[2] != host
        if foreign and not self._origins & {origin, "*"}:
            raise ApiError(
                403,
                "Pages of other sites may not ask this server (--allow-origin names some that may; behind a proxy, "
                "see that it passes Host on).",
                code="foreign_origin",
            )
        kind = headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json":
            raise ApiError(
                415,
                f"The content type is {kind[:80] or 'missing'}; send `Content-Type: application/json`.",
                code="unsupported_content_type",
            )


def refuse_odd_origins(origins: Collection[str], *, keys: bool) -> None:
    """Raise ConfigError where an origin is none that a browser sends, or all pages could spend without a key."""
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and (parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}"):
            raise ConfigError(f"--allow-origin {origin} is no origin; write it as https://app.example, without a path")
        if origin == "*" and not keys:
            raise ConfigError("--allow-origin '*' lets every page ask, and answers cost money; give --key-env too")


def check_key(headers: Headers, keys: Mapping[str, str]) -> str:
    """Return the name of the key that came with a request; without any keys, everybody may ask.

    Raises:
        ApiError: 401; the key is missing or wrong.
    """
    sent = headers.get("authorization", "").encode("latin-1")
    # all are compared, so that none is told by time
    found = [name for name, key in keys.items() if compare_digest(sent, f"Bearer {key}".encode())]
    if keys and not found:
        raise ApiError(
            401,
            "The key is missing or wrong; send it as `Authorization: Bearer KEY`.",
            code="invalid_api_key",
            headers={"www-authenticate": "Bearer"},
        )
    return found[0] if found else ANYBODY


async def read_body(headers: Headers, receive: Receive, *, most: int, seconds: float | None = BODY_SECONDS) -> bytes:
    """Return the body of a request.

    Where it may take any number of seconds, one that is too large ends the connection rather than be waited for.

    Raises:
        ApiError: 413 where it is too large, 408 where it comes too slowly, 400 where it breaks off.
    """
    body, more = bytearray(), True
    size = int(headers.get("content-length", 0))
    try:
        async with asyncio.timeout(seconds):
            while more and size <= most:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ApiError(400, "The connection ended before the body did.")
                body += message.get("body", b"")
                more = message.get("more_body", False)
                size = len(body)
    except TimeoutError:
        raise ApiError(408, f"The body did not come within {seconds:g} s.", code="timeout") from None
    if size > most:
        raise ApiError(
            413,
            f"The body is larger than {most:,} bytes; send less.",
            code="request_too_large",
            headers={"connection": "close"} if seconds is None else None,
        )
    return bytes(body)


def read_again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read, then whatever else comes."""
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return whole.pop() if whole else await receive()

    return received


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
