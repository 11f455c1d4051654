"""An ASGI application on a socket: uvicorn, a line that says where, and a clean end."""

import gc
import signal
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp, Receive, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gdesign.errors import ConfigError

CONNECTION = "gdesign.connection"
"""Extension of the scope that lets an application end its connection: `close` after what was sent, `abort` at once."""

BACKLOG = 4096
"""How many connections may wait to be accepted."""

GRACE = 5
"""Seconds that answers under way may take once the server is told to stop."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens; on port 0 on any that is free.

    Raises:
        ConfigError: There is no such host, or the port is taken or not allowed.
    """
    if not 0 <= port < 1 << 16:
        raise ConfigError(f"the port is {port}; expected 0 (any that is free) to {(1 << 16) - 1}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; name another port, or 0 for any that "
            "is free"
        ) from None


def url_of(sock: socket.socket) -> str:
    """Return the address of a socket that listens, without a path."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """A uvicorn server that tells its application when it is to stop.

    Args:
        on_stop: Called in the event loop when the end begins, while answers may still be under way.
        grace: Seconds that answers under way may take from then on.
    """

    def __init__(self, app: ASGIApp, *, on_stop: Callable[[], None], grace: int = GRACE) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                # longer than clients keep a connection that they do not use, so that none is closed under a request
                timeout_keep_alive=120,
                timeout_graceful_shutdown=grace,
            )
        )
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what is under way."""
        self._on_stop()
        await super().shutdown(sockets)


def serve(server: Server, sock: socket.socket) -> None:
    """Serve on a socket until Ctrl-C or SIGTERM, then finish what is under way."""
    # uvicorn raises the signal again once it is done: as one that ends like the other
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    gc.collect()
    gc.freeze()  # what is loaded now stays, so nobody needs to go through it again
    try:
        server.run(sockets=[sock])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        sock.close()


async def gone(receive: Receive) -> None:
    """Return once the connection has ended."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def hang_up(scope: Scope, how: str, receive: Receive) -> None:
    """End the connection: `close` after what was sent, `abort` at once."""
    scope["extensions"][CONNECTION][how]()
    await gone(receive)


class _Protocol(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CONNECTION: {"close": self.transport.close, "abort": self.transport.abort}}
