"""A small local server that speaks OpenAI's chat completions, for tests over a real socket."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Raw:
    """An HTTP response as it goes over the wire, for what an endpoint should not answer."""

    status: int = 200
    body: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


# retry-after-ms keeps the SDK's waits short
SERVER_ERROR = Raw(500, '{"error": {"message": "out of order"}}', headers={"retry-after-ms": "1"})
TOO_MANY = Raw(429, '{"error": {"message": "slow down"}}', headers={"retry-after-ms": "1"})
MALFORMED = Raw(200, '{"choices": [')
NOT_JSON = Raw(200, "<html>hello</html>", content_type="text/html")
DROPPED = Raw(0)
"""The connection is closed without a word."""
CUT = Raw(200, '{"choices": [', headers={"content-length": "1000"})
"""The connection is closed within the body."""
NOT_HTTP = Raw(-1)
"""What comes is no HTTP."""

Answer = Callable[[dict[str, Any]], str | Raw]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body waits 40 ms for the headers to be acknowledged
    answer: Answer
    seen: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.seen.append(
            {"path": self.path, "headers": dict(self.headers.items()), "peer": self.client_address, **body}
        )
        reply = type(self).answer(body)
        if isinstance(reply, str):
            reply = Raw(body=json.dumps(completion(body, reply)))
        if reply.status <= 0:
            self.close_connection = True
            self.wfile.write(b"" if reply.status == 0 else b"hello\r\n\r\n")
            return
        data = reply.body.encode()
        self.send_response(reply.status)
        headers = {"content-type": reply.content_type, "content-length": str(len(data)), **reply.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = headers["content-length"] != str(len(data))

    def log_message(self, *args: object) -> None:
        pass


def completion(body: dict[str, Any], text: str) -> dict[str, Any]:
    """Return a chat completion; its usage counts words."""
    num_prompt = sum(len(m["content"].split()) for m in body["messages"])
    num_completion = len(text.split())
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": num_prompt,
            "completion_tokens": num_completion,
            "total_tokens": num_prompt + num_completion,
        },
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing where a client has left."""


@contextmanager
def chat_server(answer: Answer = lambda body: "Answer: 4", seen: list[dict[str, Any]] | None = None) -> Iterator[str]:
    """Serve on a loopback port; yield the base_url.

    `answer` gets the request's body and returns the text of the reply, or a Raw response. `seen`
    collects the bodies, with path, headers and the client's address.
    """
    handler = type("Handler", (_Handler,), {"answer": staticmethod(answer), "seen": [] if seen is None else seen})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()
