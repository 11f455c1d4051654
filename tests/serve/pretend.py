"""A server that pretends: the page's own files, and canned answers to what the page asks.

It has what no trained designer would give on demand: every kind of edge, failures, slow streams, script in every text.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

SCRIPT = "<script>window.hacked = true</script><img src=x onerror='window.hacked = true'>"
CSP = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}

LLMS = [
    {"name": "small", "usd_per_1M_input": 0.1, "usd_per_1M_output": 0.4},
    {"name": "math-specialist", "usd_per_1M_input": 0.5, "usd_per_1M_output": 1.5},
    {"name": "code-specialist", "usd_per_1M_input": 0.5, "usd_per_1M_output": 1.5},
    {"name": "large", "usd_per_1M_input": 2.5, "usd_per_1M_output": 9.0},
]
ROLES = ["assistant", "mathematician", "programmer", "reviewer"]
TEAM = [
    {"role": role, "llm": m["name"], "operator": "answer"} for role, m in zip(ROLES, LLMS, strict=True)
]  # one of each
QUESTIONS = [
    "There are 31 postcards in the drawer of Mei. The next day Mei loses 10 of them. "
    "How many postcards does Mei have now?",
    "What does this program print? x = 3; for i in range(4): x = 2 * x - i",
    "Which river flows through the city in which the composer of the Water Music died?",
]
INFO = {
    "designer": "joint",
    "pool": {"roles": [{"name": r} for r in ROLES], "llms": LLMS, "operators": ["answer", "cot"]},
    "lambda": {"trained": 0.03, "low": 0.001, "high": 1.0},
    "simulated": True,
    "examples": QUESTIONS,
    "version": "0.0.test",
}


def design(agents, *, spatial=(), temporal=(), num_rounds=1, **decision):
    """A design of the server's JSON."""
    return {
        "version": 1,
        "agents": agents,
        "spatial": [{"src": a, "dst": b} for a, b in spatial],
        "temporal": [{"src": a, "dst": b} for a, b in temporal],
        "num_rounds": num_rounds,
        "decision": decision or {"kind": "last"},
    }


SINGLE = design([TEAM[0]])
CASCADE = design(
    [TEAM[0], {**TEAM[0], "operator": "cot"}, TEAM[1], {**TEAM[3], "gate": {"watch": [0, 1], "quorum": 2}}],
    spatial=[(2, 3)],
)
DEBATE = design(
    TEAM[:3],
    spatial=[(0, 1)],
    temporal=[(a, b) for a in range(3) for b in range(3) if a != b],
    num_rounds=2,
    kind="weighted_vote",
    weights=[0.5, 1, 2],
)
CHAIN = design(TEAM, spatial=[(0, 1), (1, 2), (2, 3)])
COMPLETE = design(TEAM, spatial=[(a, b) for a in range(4) for b in range(a + 1, 4)])
HOSTILE = design([{"role": SCRIPT, "llm": SCRIPT, "operator": SCRIPT}] * 2, spatial=[(0, 1)])
FIXED = {"chain": CHAIN, "complete": COMPLETE, "single": SINGLE}


def learned(question, lam):
    if "script" in question:
        return HOSTILE
    for word, n in (("twelve", 12), ("forty", 40)):
        if word in question:
            return design(TEAM * (n // 4), spatial=[(a, b) for a in range(n) for b in range(a + 1, n)])
    if "alike" in question:
        return design([TEAM[0]] * 3, kind="vote")
    return CASCADE if lam < 0.01 else DEBATE if lam < 0.2 else SINGLE


def turn(row, agent, round_, text, *, silent=False, error=None):
    a = row["agents"][agent]
    spoke = not silent and error is None
    price = next((m for m in LLMS if m["name"] == a["llm"]), LLMS[0])
    tokens = {"prompt_tokens": 90 + 40 * agent, "completion_tokens": 60 + 25 * agent} if spoke else {}
    usd = (tokens["prompt_tokens"] * price["usd_per_1M_input"] + tokens["completion_tokens"] * 4) / 1e6 if spoke else 0
    return {
        "agent": agent, "round": round_, "role": a["role"], "llm": a["llm"], "silent": silent,
        "text": text if spoke else None, "answer": "21" if spoke else None, "error": error,
        "prompt_tokens": tokens.get("prompt_tokens", 0), "completion_tokens": tokens.get("completion_tokens", 0),
        "usd": usd, "start": 0.4 * agent, "end": 0.4 * agent + 0.35,
    }  # fmt: skip


def turns(row, question):
    """What the agents of a design say; gated ones stay silent, one fails on demand."""
    out = []
    for r in range(1, row["num_rounds"] + 1):
        for i, agent in enumerate(row["agents"]):
            text = "I take the number that there was at first and subtract what was lost: 31 - 10 = 21.\nAnswer: 21"
            if "script" in question:
                text = SCRIPT
            if "long" in question:
                text = text * 30
            error = "the endpoint answers 503" if "fails" in question and i == 0 else None
            out.append(turn(row, i, r, text, silent="gate" in agent, error=error))
    return out


def done(row, said, answer="21"):
    n = len(row["agents"])
    return {
        "answer": answer, "decided_by": max(k for k, t in enumerate(said) if not t["silent"] and k >= len(said) - n),
        "usd": sum(t["usd"] for t in said), "prompt_tokens": sum(t["prompt_tokens"] for t in said),
        "completion_tokens": sum(t["completion_tokens"] for t in said), "calls": sum(not t["silent"] for t in said),
        "critical_path": 2, "seconds": 1.25, "label": "simulated",
    }  # fmt: skip


CURVE = [{"lambda": 0.001 * 10 ** (k / 4), "score": 0.9 - 0.02 * k, "usd": 2.0 * 0.8**k} for k in range(13)]
PAST = [
    {"id": f"{k}", "phase": "test", "question": QUESTIONS[k % 3] if k != 1 else None, "task": f"synthetic-{k}",
     "answer": "21", "score": float(k % 3 != 2), "usd": 0.00042, "calls": 6, "num_agents": 3}
    for k in range(30)
]  # fmt: skip


def past(row):
    said = turns(DEBATE, "")
    if row["question"] is None:  # the words were not recorded
        said = [{key: t[key] for key in ("agent", "round", "role", "llm", "silent", "answer", "error")} for t in said]
    return {**row, "design": DEBATE, "turns": said, **done(DEBATE, turns(DEBATE, ""))}


class Pretend(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    key: ClassVar[str | None] = None

    def log_message(self, *_):
        pass

    def reply(self, status, body, kind="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", CSP)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def fail(self, status, message):
        self.reply(status, {"error": {"message": message, "type": "invalid_request_error", "code": None}})

    def allowed(self):
        if self.key is None or self.headers.get("Authorization") == f"Bearer {self.key}":
            return True
        self.fail(401, "This server asks for a key.")
        return False

    def do_GET(self):
        url = urlsplit(self.path)
        static = files("gdesign.serve") / "static"
        if url.path == "/":
            self.reply(200, (static / "index.html").read_bytes(), TYPES["html"])
        elif url.path.startswith("/static/"):
            self.reply(200, (static / url.path.removeprefix("/static/")).read_bytes(), TYPES[url.path.split(".")[-1]])
        elif not self.allowed():
            pass
        elif url.path == "/v1/info":
            self.reply(200, INFO)
        elif url.path == "/v1/history":
            query = {name: value for name, (value,) in parse_qs(url.query).items()}
            words, score = query.get("q", "").lower(), query.get("score")
            found = [
                row
                for row in PAST
                if words in f"{row['question']} {row['task']}".lower() and score in (None, f"{row['score']:.0f}")
            ]
            page = found[int(query["offset"]) :][: int(query["limit"])]
            self.reply(200, page, x_total_count=str(len(found)))
        elif url.path.startswith("/v1/history/"):
            self.reply(200, past(PAST[int(url.path.split("/")[-1])]))
        else:
            self.fail(404, f"no such page: {url.path}")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        if self.path == "/v1/exports":
            self.reply(200, {"text": f"{body['format']} of {len(body['design']['agents'])} agents"})
            return
        question = body["question"]
        if self.path == "/v1/curves":
            self.reply(200, CURVE)
        elif self.path == "/v1/designs":
            if "refused" in question:
                self.fail(400, f"The question is refused: {SCRIPT}")
                return
            lam = body.get("lambda", 0.03)
            kind = body["kind"]
            row = learned(question, lam) if kind == "learned" else FIXED[kind]
            usd = 0.08 * len(row["agents"]) ** 1.5
            expected = {"score": 0.62 + 0.07 * len(row["agents"]), "usd": usd} if kind == "learned" else None
            self.reply(200, {"design": row, "expected": expected, "lambda": lam, "kind": kind, "seconds": 0.011})
        else:
            self.stream(question, body["design"])

    def stream(self, question, row):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        said = turns(row, question)
        for one in said:
            time.sleep(1.0 if "slow" in question else 0.05)
            self.event("turn", one)
            if "breaks" in question:
                return
        if "upstream" in question:
            self.event("error", {"message": "The endpoint of small is down."})
        else:
            self.event("done", done(row, said, SCRIPT if "script" in question else "21"))

    def event(self, name, data):
        self.wfile.write(f"event: {name}\r\ndata: {json.dumps(data)}\r\n\r\n".encode())


@contextmanager
def pretending(key: str | None = None) -> Iterator[str]:
    """Serve the page on a loopback port; yield its address."""
    handler = type("Handler", (Pretend,), {"key": key})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # a page that goes away in the middle is no error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
