"""`gdesign.llm.gguf` with a made-up llama.cpp, which answers at once: `python fake_llama.py FILE NAME PORT ...`."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, SimpleNamespace


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self._say({"object": "list", "data": [{"id": self.server.name}]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        usage = {
            "prompt_tokens": 50,
            "completion_tokens": asked["max_tokens"],
            "total_tokens": 50 + asked["max_tokens"],
        }
        self._say({"choices": [{"message": {"role": "assistant", "content": "1"}}], "usage": usage})

    def _say(self, told):
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Params:
    def __init__(self):
        self.model = SimpleNamespace()
        self.cpuparams, self.cpuparams_batch = SimpleNamespace(), SimpleNamespace()


class Server:
    def __init__(self, params):
        if b"broken" in open(params.model.path, "rb").read():
            raise RuntimeError("unknown architecture")
        server = ThreadingHTTPServer((params.hostnames[0], params.port), Handler)
        (server.name,) = params.model_alias
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.listening_address = f"http://127.0.0.1:{params.port}"


fake = ModuleType("xllamacpp")
fake.CommonParams, fake.Server = Params, Server
sys.modules["xllamacpp"] = fake

from gdesign.llm.gguf import main  # noqa: E402

main()
