"""What `gdesign serve` bears: many open connections at a steady rate, more than it can, and an endpoint that dies.

    python benchmarks/load.py
    python benchmarks/load.py --designer agreement_cascade designer.num_agents=4 designer.quorum=3

trains a small designer (another by `--designer`, with its settings, or takes `--checkpoint`), starts `gdesign simulate
--latency 50` and `gdesign serve` in processes of their own, and writes benchmarks/results/load.md. Requests are sent at
their times whether or not earlier ones have been answered, each question once, over connections that stay open.

The critical path of a reply is the number of calls on the longest chain of agents that waited for each other, times the
latency of the endpoint; a reply can come no sooner. Between two waves is what passes from the last word of those whom
agents wait for to the moment when the first of these agents has the floor: what a policy takes to decide, with what is
done for any design.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from runner import ROOT, command

from gdesign.export.schema import design_from_json
from gdesign.tasks.synthetic import Synthetic

LATENCY = 0.05
DEADLINE = 10
RATES = (20, 40, 80, 160, 320)
GDESIGN = str(Path(sys.executable).with_name("gdesign"))
CLEAN = {429: "rate_limit_exceeded", 502: "upstream_failed", 504: "deadline_exceeded"}
"""Statuses that are no failure of the server, and the code of a well-formed one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of one request.

    Attributes:
        sent: Seconds since the first one was due.
        seconds: Until the whole reply was there.
        status: Of HTTP; 0 where the connection broke.
        path: Calls on the critical path; 0 without an answer.
        between: Seconds between one wave of agents and the next.
        clean: Whether it is an answer, or an error with the body that it should have.
    """

    sent: float
    seconds: float
    status: int
    path: int = 0
    between: tuple[float, ...] = ()
    clean: bool = True


@contextmanager
def running(*arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Start a command that serves; yield its base_url and its process."""
    with subprocess.Popen(
        [GDESIGN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1], process
        finally:
            process.terminate()


def rss(pid: int) -> float:
    """Return the MB of memory that a process holds."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


async def load(
    url: str, questions: Iterator[str], *, rate: float, seconds: float, connections: int, pid: int | None = None
) -> tuple[list[Reply], list[float]]:
    """Send requests at a rate over open connections; return what came of them, and the memory of a process each 5 s."""
    async with (
        asyncio.TaskGroup() as group,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=300),
            timeout=aiohttp.ClientTimeout(total=3 * DEADLINE),
        ) as session,
    ):
        health = f"{url.removesuffix('/v1')}/health"
        places = asyncio.Semaphore(connections)
        opening = [await session.get(health) for _ in range(connections)]  # unread, so each has its own connection
        for response in opening:
            await response.read()
        memory: list[float] = []
        began = time.perf_counter()

        async def ask(question: str, due: float) -> Reply:
            body = {"model": "gdesign", "messages": [{"role": "user", "content": question}]}
            try:
                async with places, session.post(f"{url}/chat/completions", json=body) as response:
                    row = await response.json()
            except (aiohttp.ClientError, TimeoutError, OSError):
                return Reply(sent=due, seconds=time.perf_counter() - began - due, status=0, clean=False)
            taken = time.perf_counter() - began - due
            if response.status == 200:
                told = row["gdesign"]
                return Reply(
                    sent=due, seconds=taken, status=200, path=told["critical_path"], between=tuple(between_waves(told))
                )
            clean = row.get("error", {}).get("code") == CLEAN.get(response.status)
            return Reply(sent=due, seconds=taken, status=response.status, clean=clean)

        asked = []
        for i in range(round(rate * seconds)):
            due = i / rate
            await asyncio.sleep(max(0.0, due - (time.perf_counter() - began)))
            asked.append(group.create_task(ask(next(questions), due)))
            if pid is not None and i % round(5 * rate) == 0:
                memory.append(rss(pid))
        replies = [await task for task in asked]
        if pid is not None:
            memory.append(rss(pid))
    return replies, memory


def between_waves(told: Mapping[str, Any]) -> Iterator[float]:
    """Yield the seconds between each wave of a reply's agents and the next, where both spoke."""
    design = design_from_json(told["design"])
    if design.num_rounds > 1:
        return
    turns = {turn["agent"]: turn for turn in told["turns"] if not turn["silent"]}
    waves = [spoke for wave in design.waves() if (spoke := [turns[i] for i in wave if i in turns])]
    for before, after in pairwise(waves):
        yield min(turn["start"] for turn in after) - max(turn["end"] for turn in before)


def quantile(values: Sequence[float], q: float) -> float:
    """Return a quantile, by the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")


def steady(replies: Sequence[Reply], memory: Sequence[float], *, rate: float, seconds: float, connections: int) -> str:
    """Return what came of the steady load, as Markdown."""
    answered = [r for r in replies if r.status == 200]
    paths = [r.path * LATENCY for r in answered]
    taken = [r.seconds for r in answered]
    ratios = [r.seconds / (r.path * LATENCY) for r in answered if r.path]
    over = [t - p for t, p in zip(taken, paths, strict=True)]
    between = [seconds for r in answered for seconds in r.between]
    rows = [
        "| | p50 | p95 | p99 | most |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {quantile(v, 0.5):{f}} | {quantile(v, 0.95):{f}} | {quantile(v, 0.99):{f}} | {max(v):{f}} |"
            for name, v, f in (
                ("seconds until the answer", taken, ".3f"),
                ("critical path, seconds", paths, ".3f"),
                ("beyond the critical path, seconds", over, ".3f"),
                ("answer / its own critical path", ratios, ".2f"),
                (f"between two waves, seconds ({len(between):,} times)", between, ".4f"),
            )
            if v
        ),
    ]
    ratio = quantile(taken, 0.95) / quantile(paths, 0.95)
    return "\n".join(
        [
            f"{connections} open connections, {rate:g} requests a second for {seconds:g} s: {len(replies):,} requests, "
            f"{len(replies) - len(answered)} failed. The p95 of answers is {ratio:.2f} times the p95 of the critical "
            "paths of the designs served.",
            "",
            *rows,
            "",
            "Memory of the server every 5 s, MB: " + ", ".join(f"{m:.0f}" for m in memory) + ".",
        ]
    )


def saturated(steps: Sequence[tuple[float, Sequence[Reply]]], *, seconds: float) -> str:
    """Return what came of rising rates, as Markdown."""
    lines = [
        "| requests a second | answered a second | 429 | other errors | p50 of answers | p95 of answers | p95 of 429 |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for rate, replies in steps:
        answered = [r.seconds for r in replies if r.status == 200]
        shed = [r.seconds for r in replies if r.status == 429]
        other = len(replies) - len(answered) - len(shed)
        lines.append(
            f"| {rate:g} | {len(answered) / seconds:.0f} | {len(shed) / len(replies):.0%} | {other} "
            f"| {quantile(answered, 0.5):.3f} s | {quantile(answered, 0.95):.3f} s "
            f"| {f'{quantile(shed, 0.95):.3f} s' if shed else ''} |"
        )
    return "\n".join(lines)


def outage(replies: Sequence[Reply], *, killed: float, back: float) -> str:
    """Return what came of the kill, as Markdown."""
    statuses = Counter(r.status for r in replies)
    unclean = sum(not r.clean for r in replies)
    later = [r.sent for r in replies if r.sent > back and r.status not in (200, 429)]
    lines = [
        f"The endpoint is killed after {killed:.1f} s and is back after {back:.1f} s. "
        + ", ".join(f"{n} got {status or 'no reply'}" for status, n in sorted(statuses.items()))
        + f"; {unclean} without a well-formed reply. The slowest took {max(r.seconds for r in replies):.2f} s, and the "
        f"deadline is {DEADLINE} s. The last error but 429 was of a request sent "
        + (f"{max(later) - back:.1f} s after the endpoint was back." if later else "before the endpoint was back."),
        "",
        "| second | answered | 502 | other |",
        "|---|---|---|---|",
    ]
    for second in range(int(max(r.sent for r in replies)) + 1):
        here = [r.status for r in replies if int(r.sent) == second]
        good, bad = here.count(200), here.count(502)
        lines.append(f"| {second} | {good} | {bad} | {len(here) - good - bad} |")
    return "\n".join(lines)


async def measure(checkpoint: Path, options: argparse.Namespace) -> str:
    """Run all three and return the page."""
    questions = cycle(
        dict.fromkeys(t.question for seed in range(900, 903) for t in Synthetic(seed=seed, num_test=9000).load("test"))
    )
    simulate = ("simulate", "--latency", str(1000 * LATENCY), "--port")
    with ExitStack() as stack:
        upstream, process = stack.enter_context(running(*simulate, "0"))
        url, server = stack.enter_context(
            running(
                "serve", "--checkpoint", str(checkpoint), "--llm", upstream, "--port", "0", "--deadline", str(DEADLINE)
            )
        )
        await load(url, questions, rate=20, seconds=3, connections=20)  # connections to the endpoint, and caches
        how = {"rate": options.rate, "seconds": options.seconds, "connections": options.connections}
        first = steady(*await load(url, questions, **how, pid=server.pid), **how)
        print(first, flush=True)
        steps = []
        for rate in RATES:
            replies, _ = await load(url, questions, rate=rate, seconds=options.step, connections=options.connections)
            steps.append((rate, replies))
            await asyncio.sleep(2)
        second = saturated(steps, seconds=options.step)
        print(second, flush=True)
        length = 4 * options.step
        killed, back = length / 4, length / 2

        async def die() -> None:
            await asyncio.sleep(killed)
            process.kill()
            await asyncio.sleep(back - killed)
            port = urlsplit(upstream).port
            await asyncio.to_thread(stack.enter_context, running(*simulate, str(port)))

        dying = asyncio.create_task(die())
        replies, _ = await load(url, questions, rate=20, seconds=length, connections=options.connections)
        await dying
        third = outage(replies, killed=killed, back=back)
        print(third, flush=True)
    return "\n".join(
        [
            "# What gdesign serve bears",
            "",
            f"The designer served is `{options.designer}`.",
            "",
            f"`{command()}`; {os.cpu_count()} cores, which the clients, the server and its endpoint share. The "
            f"endpoint is `gdesign simulate --latency {1000 * LATENCY:g}`. {__doc__.split(chr(10) * 2)[-1].strip()}",
            "",
            "## Steady load",
            "",
            first,
            "",
            "## More than it can",
            "",
            f"Each rate for {options.step:g} s. Beyond what it can, the server turns requests away with a 429 at once.",
            "",
            second,
            "",
            "## The endpoint dies",
            "",
            third,
            "",
        ]
    )


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="a run folder of the simulated world (default: trains one)")
    parser.add_argument("--designer", default="joint", help="what is trained otherwise (joint)")
    parser.add_argument("settings", nargs="*", metavar="designer.SETTING=VALUE", help="its settings")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second (20)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the steady load (60)")
    parser.add_argument("--connections", type=int, default=200, help="open connections (200)")
    parser.add_argument("--step", type=float, default=8.0, help="seconds of each rate of the rising load (8)")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/load.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = options.checkpoint
        if checkpoint is None:
            checkpoint = Path(folder) / "run"
            learner = ("learner=critic",) if options.designer == "joint" else ()
            named = (f"designer={options.designer}", *learner, *options.settings)
            overrides = (*named, "experiment=demo", "trainer.max_epochs=1")
            subprocess.run([sys.executable, "train.py", *overrides, f"out={checkpoint}"], cwd=ROOT, check=True)
        page = asyncio.run(measure(checkpoint, options))
    options.out.write_text(page)


if __name__ == "__main__":
    main()
