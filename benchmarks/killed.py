"""Kill a recorded training at random moments, start it again each time, and compare it with one that ran through.

`python benchmarks/killed.py --kills 10` trains G-Designer against the simulated world behind a real socket. Every other
kill comes a random time after the start (while modules load, files are opened, recorded calls are replayed), the others
at a random moment of asking for what is new. The server keeps count of what it was asked. Overrides train another
designer, or evaluate one that learns nothing: `--kills 4 designer=agreement_cascade +task.num_test=600`.
"""

import argparse
import csv
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from runner import command

from gdesign.agents.pool import builtin
from gdesign.llm.recording import Recording
from gdesign.llm.seeds import seed_of
from gdesign.runs.checkpoint import BEST, read
from gdesign.runs.log import read_runs
from gdesign.serve.server import Server, bind, url_of
from gdesign.serve.simulate import Simulation

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = (
    "designer=gdesigner", "task=synthetic", "+task.num_train=36", "+task.num_validation=18", "+task.num_test=36",
    "data.batch_size=4", "learner.num_designs=4", "learner.num_samples=4", "trainer.max_epochs=4",
    "trainer.log_every_n_steps=1", "trainer.enable_progress_bar=false", "llm=openai", "+llm.max_concurrent=16",
    "+llm.max_tokens=500", "+llm.budget.usd=100",
)  # fmt: skip
MAY_DIFFER = {"seconds", "latency", "label", "paid_usd", "paid", "faults", "training", "took", "begins"}
"""What tells of time, money and where a command began, which a kill does change; `took` of a comparison does so too."""


class Counted:
    """An ASGI application that keeps what it was asked."""

    def __init__(self, app: Any) -> None:
        self.asked: Counter[str] = Counter()
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as the application does."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        row = json.loads(body)
        self.asked[name(row["model"], row["messages"], row["temperature"], row["max_tokens"], row["seed"])] += 1
        whole = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Any:
            return whole.pop() if whole else await receive()

        await self._app(scope, again, send)


def name(*parts: object) -> str:
    """Return what one request is told from another by, as the server sees it."""
    return json.dumps(parts, sort_keys=True)


@contextmanager
def served(*, latency: float) -> Iterator[tuple[str, Counter[str]]]:
    """Serve the simulated world; yield its base_url and the count of what it is asked."""
    app = Counted(Simulation(pool=builtin("simulated"), latency=latency))
    server = Server(app, on_stop=lambda: None)
    sock = bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        yield f"{url_of(sock)}/v1", app.asked
    finally:
        server.should_exit = True
        thread.join()
        sock.close()


def start(url: str, folder: Path, overrides: Sequence[str]) -> subprocess.Popen[str]:
    """Start a training, or go on with it."""
    named = {override.split("=")[0] for override in overrides}
    settings = [s for s in SETTINGS if s.split("=")[0] not in named]
    command = [
        sys.executable,
        "train.py",
        *settings,
        *overrides,
        f"llm.base_url={url}",
        f"llm.record={folder}/calls.sqlite",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [*command, f"out={folder}/run"], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> None:
    """Wait until a training has ended."""
    out, _ = process.communicate()
    if process.returncode:
        sys.exit(out)


def recorded(folder: Path) -> set[str]:
    """Return the requests that are recorded, as the server would see them."""
    path = folder / "calls.sqlite"
    if not path.exists() or not path.stat().st_size:
        return set()
    return {
        name(r.llm, [m._asdict() for m in r.messages], r.temperature, r.max_tokens, seed_of(r.sample))
        for r in (call.request for call in Recording(path))
    }


def results(folder: Path) -> dict[str, Any]:
    """Return all that a run folder says, but for time and money; lost work that was done again counts once."""
    run = folder / "run"
    rows = {json.dumps({k: v for k, v in row.items() if k not in MAY_DIFFER}) for row in read_runs(run / "runs.jsonl")}
    state = read(run / BEST, "state_dict")
    metrics = []
    if (run / "metrics.csv").exists():  # where something was trained
        with (run / "metrics.csv").open(newline="") as file:
            metrics = list(csv.DictReader(file))
    evaluation = json.loads((run / "eval.json").read_text())
    evaluation.get("comparison", {}).pop("took", None)
    return {
        "runs": sorted(rows),
        "metrics": metrics,
        "eval": {k: v for k, v in evaluation.items() if k not in MAY_DIFFER},
        "tensors": {key: value.tolist() for key, value in state.items() if isinstance(value, torch.Tensor)},
    }


def measure(num_kills: int, *, seed: int, latency: float = 0.02, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Train without a break and with some, and return what is to be known of both."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary, served(latency=latency) as (url, asked):
        whole, broken = Path(temporary) / "whole", Path(temporary) / "broken"
        began = time.monotonic()
        finish(start(url, whole, overrides))
        seconds = time.monotonic() - began
        num_calls = len(asked)
        assert set(asked.values()) == {1}
        asked.clear()
        kills = []
        known: set[str] = set()
        for i in range(num_kills):
            before = Counter(asked)
            process = start(url, broken, overrides)
            if i % 2:
                delay = draw.uniform(0, 0.6 * seconds)  # what is recorded by now makes it end sooner
                time.sleep(delay)
                moment = f"{delay:.1f} s after the start"
            else:  # among what is new, so that the others have something left to do
                target = len(asked) + draw.randint(1, max(1, 2 * (num_calls - len(asked)) // (num_kills - i + 1)))
                while len(asked) < target and process.poll() is None:
                    time.sleep(0.002)
                time.sleep(draw.uniform(0, 0.05))
                moment = "among new calls"
            ended = process.poll() is not None
            process.kill()
            said, _ = process.communicate()
            time.sleep(0.3)  # what was under way reaches the server
            again = {key for key in known if asked[key] > before[key]}
            known = recorded(broken)
            lost = {key for key in asked if asked[key] > before[key]} - known
            assert not ended, f"the training had ended before the kill; give it more to do ({said[-2000:]})"
            figures = {"recorded": len(known), "in_flight": len(lost), "asked_again": len(again)}
            kills.append({"moment": moment, **figures})
        before = Counter(asked)
        finish(start(url, broken, overrides))
        again = {key for key in known if asked[key] > before[key]}
        integrity = sqlite3.connect(broken / "calls.sqlite").execute("PRAGMA integrity_check").fetchone()[0]
        first, second = results(whole), results(broken)
        return {
            "kills": kills,
            "asked_again": len(again) + sum(kill["asked_again"] for kill in kills),
            "calls": num_calls,
            "recorded": len(recorded(broken)),
            "requests": sum(asked.values()),
            "integrity": integrity,
            "equal": {part: first[part] == second[part] for part in first},
            "rows": {part: len(first[part]) for part in first},
            "score": second["eval"]["score"],
            "seconds": seconds,
        }


def main() -> None:
    """Measure and print a page, or figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="of what is trained, in the place of ours")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print figures only")
    parser.add_argument("--write", type=Path, help="the page to write")
    options = parser.parse_args()
    found = measure(options.kills, seed=options.seed, overrides=options.overrides)
    if options.json:
        print(json.dumps(found))
        return
    page = report(found, options.kills, options.seed, options.overrides)
    print(page)
    if options.write:
        options.write.write_text(page + "\n")


def report(found: dict[str, Any], num_kills: int, seed: int, overrides: Sequence[str]) -> str:
    """Return the page."""
    equal = ", ".join(f"{part} ({found['rows'][part]})" for part, same in found["equal"].items() if same)
    differ = ", ".join(part for part, same in found["equal"].items() if not same) or "nothing"
    table = [
        f"| {i} | {kill['moment']} | {kill['recorded']} | {kill['in_flight']} | {kill['asked_again']} |"
        for i, kill in enumerate(found["kills"], start=1)
    ]
    lines = [
        "# Ten kills" if num_kills == 10 else f"# {num_kills} kills",
        "",
        f"`{command()}`",
        "",
        ("What is named there runs" if overrides else "G-Designer trains")
        + " on the simulated world behind a real socket (20 ms, 16 calls at a time), every reply is recorded. SIGKILL "
        "comes, and the same command again; after the last one it runs to its end.",
        "",
        "| kill | moment | calls recorded by then | in flight, so asked again | recorded calls asked again |",
        "|---|---|---|---|---|",
        *table,
        "",
        f"- Recorded calls that were asked again: {found['asked_again']}.",
        f"- {found['requests']} requests reached the server, for {found['recorded']} different calls; a training "
        f"without a break needs {found['calls']}.",
        f"- Equal to the last bit, against that training: {equal}. Different: {differ}. Left out of the comparison: "
        "seconds, label, what was paid.",
        f"- `PRAGMA integrity_check`: {found['integrity']}. Test score of both: {found['score']:.4f}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
