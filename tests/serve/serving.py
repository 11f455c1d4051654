"""A server on a loopback port, in a thread of the test's own process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gdesign.serve.app import Serving
from gdesign.serve.server import Server, bind, url_of
from gdesign.serve.simulate import Simulation


@contextmanager
def serving(app: Simulation | Serving, *, port: int = 0) -> Iterator[str]:
    """Serve an application; yield the base_url."""
    sock = bind("127.0.0.1", port)
    server = Server(app, on_stop=app.stop)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        yield f"{url_of(sock)}/v1"
    finally:
        server.should_exit = True
        thread.join()
        sock.close()
