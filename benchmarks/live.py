"""What the live path costs: 1,000 questions of 6 agents each against a loopback endpoint, and bare loops beside it.

    python benchmarks/live.py

starts `gdesign simulate` in a process of its own, at 50 ms and at 0 ms, and writes benchmarks/results/live.md. All
variants send the same requests, at the same concurrency, one variant after the other, and that several times over: what
else the machine does falls on all of them. With `--profile` it prints where our own time goes instead.
"""

import argparse
import asyncio
import cProfile
import os
import platform
import pstats
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import httpx2
import openai

from gdesign.agents.pool import builtin
from gdesign.execute.arena import LocalArena, Result
from gdesign.llm.live import endpoint
from gdesign.llm.seeds import seed_of
from gdesign.llm.simulated.client import SimulatedClient
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import Agent, Decision, Design, Edge, Job, Reply, Request

POOL = builtin("simulated")
NUM_AGENTS = 6
Variant = Callable[[int], Coroutine[object, object, object]]
Ask = Callable[[openai.AsyncOpenAI, Request], Awaitable[object]]


def designs() -> dict[str, Design]:
    """Return what is run: six agents that vote, deaf to each other or each hearing all before it."""
    agents = tuple(
        Agent(role=c.role, llm=c.llm, operator=c.operator) for c in islice(cycle(POOL.candidates), NUM_AGENTS)
    )
    complete = tuple(Edge(i, j) for i in range(NUM_AGENTS) for j in range(i + 1, NUM_AGENTS))
    vote = Decision(kind="vote")
    return {
        "a vote of six": Design(agents=agents, decision=vote),
        "a complete graph of six": Design(agents=agents, spatial=complete, decision=vote),
    }


@contextmanager
def simulated_endpoint(milliseconds: float) -> Iterator[str]:
    """Serve the simulated world in another process; yield its base_url."""
    gdesign = str(Path(sys.executable).with_name("gdesign"))
    command = [gdesign, "simulate", "--port", "0", "--latency", str(milliseconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[-1]
        finally:
            server.terminate()


def children_seconds() -> float:
    """Return the CPU seconds of the processes that were started here and have ended."""
    times = os.times()
    return times.children_user + times.children_system


class Noting:
    """Answers as the simulated world, in this process, and notes what it was asked."""

    def __init__(self) -> None:
        self._llm = SimulatedClient(pool=POOL)
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> Reply:
        """Note and answer."""
        self.requests.append(request)
        return await self._llm(request)


async def typed(sdk: openai.AsyncOpenAI, request: Request) -> object:
    """Ask by the SDK's usual method."""
    return await sdk.chat.completions.create(
        model=request.llm,
        messages=[{"role": m.role, "content": m.content} for m in request.messages],  # type: ignore[misc]
        temperature=request.temperature,
        seed=seed_of(request.sample),
    )


async def raw(sdk: openai.AsyncOpenAI, request: Request) -> object:
    """Ask by the SDK's method for other endpoints, which we use, and read nothing."""
    body = {
        "model": request.llm,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "temperature": request.temperature,
        "seed": seed_of(request.sample),
    }
    return await sdk.post("/chat/completions", cast_to=httpx2.Response, body=body)


async def bare(
    url: str, requests: Sequence[Request], concurrency: int, http: type[httpx2.AsyncClient], ask: Ask
) -> None:
    """Send the requests by so many loops that ask one after the other."""
    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    todo = iter(requests)

    async def ask_one_after_the_other(sdk: openai.AsyncOpenAI) -> None:
        for request in todo:
            await ask(sdk, request)

    async with openai.AsyncOpenAI(
        api_key="none", base_url=url, max_retries=0, timeout=60, http_client=http(limits=limits)
    ) as sdk:
        await asyncio.gather(*[ask_one_after_the_other(sdk) for _ in range(concurrency)])


async def ours(url: str, jobs: Sequence[Job], concurrency: int, record: str | None = None) -> list[Result]:
    """Run the designs, weigh them, and record the replies if that is asked for."""
    llm = endpoint(pool=POOL, base_url=url, max_concurrent=concurrency, record=record)
    with LocalArena(pool=POOL, llm=llm, benchmark=Synthetic()) as arena:
        return await arena.gather(jobs, phase="test")


def measure(
    url: str, jobs: Sequence[Job], requests: Sequence[Request], concurrency: int, repeats: int
) -> dict[str, list[tuple[float, float]]]:
    """Return wall-clock and CPU seconds of a bare loop and of ours."""
    aio = openai.DefaultAioHttpClient
    with tempfile.TemporaryDirectory() as folder:
        return interleaved(
            {
                "bare loop": lambda _: bare(url, requests, concurrency, aio, typed),
                "ours": lambda _: ours(url, jobs, concurrency),
                "ours, recorded": lambda repeat: ours(url, jobs, concurrency, f"{folder}/{repeat}.sqlite"),
                "bare loop, raw": lambda _: bare(url, requests, concurrency, aio, raw),
            },
            repeats,
        )


def interleaved(variants: dict[str, Variant], repeats: int) -> dict[str, list[tuple[float, float]]]:
    """Return wall-clock and CPU seconds of every variant, each measured once before any is measured again."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for repeat in range(repeats):
        for name, variant in variants.items():
            began, cpu = perf_counter(), process_time()
            asyncio.run(variant(repeat))
            seconds[name].append((perf_counter() - began, process_time() - cpu))
            print(f"  {name:20} {seconds[name][-1][0]:6.2f} s", flush=True)
    return seconds


def transports(url: str, requests: Sequence[Request], concurrency: int) -> dict[str, Variant]:
    """Return bare loops over both transports of the SDK and by both of its methods."""
    aio, plain = openai.DefaultAioHttpClient, openai.DefaultAsyncHttpxClient
    return {
        "bare loop": lambda _: bare(url, requests, concurrency, aio, typed),
        "aiohttp, raw": lambda _: bare(url, requests, concurrency, aio, raw),
        "httpx2": lambda _: bare(url, requests, concurrency, plain, typed),
        "httpx2, raw": lambda _: bare(url, requests, concurrency, plain, raw),
    }


def spread(values: Sequence[float]) -> str:
    """Return the median and the range."""
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def section(title: str, seconds: dict[str, list[tuple[float, float]]], num_requests: int) -> list[str]:
    """Return a table of one design at one latency."""
    lines = [
        f"### {title}",
        "",
        "| variant | seconds | calls per second | time over the bare loop's (each repeat) | ms of CPU per call |",
        "|---|---|---|---|---|",
    ]
    for name, pairs in seconds.items():
        walls = [wall for wall, _ in pairs]
        ratios = [wall / other for (wall, _), (other, _) in zip(pairs, seconds["bare loop"], strict=True)]
        rate = num_requests / median(walls)
        cpu = 1000 * median(cpu for _, cpu in pairs) / num_requests
        lines.append(f"| {name} | {spread(walls)} | {rate:,.0f} | {spread(ratios)} | {cpu:.2f} |")
    return [*lines, ""]


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=1000, help="how many questions (1000)")
    parser.add_argument("--concurrency", type=int, default=64, help="how many calls are in flight (64)")
    parser.add_argument("--repeats", type=int, default=3, help="how often each variant is measured (3)")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--out", default="benchmarks/results/live.md", help="where the tables are written")
    args = parser.parse_args()
    tasks = Synthetic(num_train=args.questions).load("train")
    lines = [
        "# The live path's speed",
        "",
        f"`python benchmarks/live.py`: {args.questions:,} questions of {NUM_AGENTS} agents each, so "
        f"{args.questions * NUM_AGENTS:,} calls, {args.concurrency} in flight; medians of {args.repeats} repeats, and "
        f"their range. {os.cpu_count()} cores, Python {platform.python_version()}, openai {version('openai')}, aiohttp "
        f"{version('aiohttp')}, httpx2 {version('httpx2')}. The endpoint is `gdesign simulate`, in another process of "
        "the same machine.",
        "",
        "- *bare loop*: `chat.completions.create` of the SDK over its aiohttp transport, the same requests, no limits, "
        "no retries, nothing read.",
        "- *ours*: prompts, executor, client, answers, grades and costs, by `gdesign.execute.arena` and "
        "`gdesign.llm.live.endpoint`.",
        "- *ours, recorded*: and every reply is in SQLite before it is used.",
        "- *bare loop, raw*: by `post` of the same SDK client, which is what ours does and makes no objects.",
        "",
        "Wanted: at 50 ms at most 1.15 of the bare loop's time, at 0 ms at most 2.",
        "",
    ]
    for milliseconds in (50, 0):
        num_calls, before = 0, children_seconds()
        with simulated_endpoint(milliseconds) as url:
            lines += [f"## {milliseconds} ms", ""]
            for name, design in designs().items():
                jobs = [Job(design, task, 0) for task in tasks]
                noting = Noting()
                with LocalArena(pool=POOL, llm=noting, benchmark=Synthetic()) as arena:
                    arena.run(jobs, phase="test")
                if args.profile:
                    with cProfile.Profile() as profile:
                        asyncio.run(ours(url, jobs, args.concurrency))
                    pstats.Stats(profile).sort_stats("tottime").print_stats(45)
                    continue
                print(f"{name}, {milliseconds} ms", flush=True)
                seconds = measure(url, jobs, noting.requests, args.concurrency, args.repeats)
                lines += section(name, seconds, len(noting.requests))
                num_calls += len(noting.requests) * args.repeats * len(seconds)
            if milliseconds == 0 and not args.profile:
                requests = noting.requests[:1000]
                seconds = interleaved(transports(url, requests, args.concurrency), args.repeats)
                lines += section("Transports: bare loops, 1,000 calls", seconds, len(requests))
                num_calls += len(requests) * args.repeats * len(seconds)
        if not args.profile:
            server = 1000 * (children_seconds() - before) / num_calls
            lines += [f"The endpoint itself took {server:.2f} ms of CPU per call, in its own process.", ""]
    if not args.profile:
        lines += [
            f"Load average of the last 15 minutes at the end, this benchmark included: {os.getloadavg()[2]:.1f}.",
            "",
        ]
        text = "\n".join(lines)
        Path(args.out).write_text(text, encoding="utf-8")
        print(text)


if __name__ == "__main__":
    main()
