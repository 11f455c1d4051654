"""A thousand agents: how long it takes to draw a design and to run it, and how much memory.

    python benchmarks/thousand.py

writes benchmarks/results/thousand.md. Every row is a process of its own, with one thread; the LLM answers at once.
Time is that of the processor, which on a machine with nothing else to do is the time that passes.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from time import process_time

from gdesign.agents.topologies import TOPOLOGIES

NUM_AGENTS = 1000
LEARNED = ("swarm", "gdesigner")
REPLY = "Start with 16 eggs.\nTake away 3 and 4, which were eaten and baked this morning.\nAnswer: 9"
WANTED_SECONDS, WANTED_BYTES = 5.0, 2 << 30


def cases() -> list[str]:
    """Return the rows: shapes, merged where that leaves thousands of agents, and learned designers."""
    merged = ("chain", "star", "star reverse", "tree reverse", "small_world")
    return [*TOPOLOGIES, *(f"{name} merged" for name in merged), *LEARNED]


def measure(case: str) -> dict[str, float]:
    """Draw a design, run it and account it once; return sizes, seconds of each and the peak of memory in bytes."""
    import torch

    from gdesign.agents.macnet import macnet
    from gdesign.agents.pool import builtin
    from gdesign.design.base import Designer
    from gdesign.design.fixed import Fixed
    from gdesign.design.learned.gdesigner import GDesigner
    from gdesign.design.learned.swarm import Swarm
    from gdesign.encode.problem import ProblemEncoder
    from gdesign.encode.text import HashEncoder
    from gdesign.execute.reward import account
    from gdesign.execute.run import run
    from gdesign.types import Label, Reply, Request, Task, Usage

    torch.set_num_threads(1)
    torch.manual_seed(0)
    pool = builtin("simulated")
    slots = [i % len(pool.candidates) for i in range(NUM_AGENTS)]
    problems = ProblemEncoder(pool=pool, encoder=HashEncoder(), slots=slots)
    task = Task(id="1", question="How many eggs are left if 3 of 16 are eaten?", answer="9", benchmark="b")
    reply = Reply(text=REPLY, usage=Usage(prompt_tokens=100, completion_tokens=20), label=Label.SIMULATED)
    longest = 0

    async def llm(request: Request) -> Reply:
        nonlocal longest
        longest = max(longest, len(request.messages[-1].content))
        return reply

    shape, *words = case.split()
    designer: Designer | None = None
    if case in LEARNED:
        designer = {"swarm": Swarm, "gdesigner": GDesigner}[case](space=problems.space).eval()
    began = process_time()
    if designer is None:
        designer = Fixed(
            space=problems.space,
            topology=macnet,
            shape=shape,
            reverse="reverse" in words,
            aggregate="merged" in words,
        )
    with torch.no_grad():
        (design,) = designer(problems([task]), generator=torch.Generator().manual_seed(0)).designs
    drawn = process_time()
    done = asyncio.run(run(design, task, pool=pool, llm=llm, extract=lambda task, text: text.rpartition(" ")[2]))
    ran = process_time()
    outcome = account(done, grade=lambda task, answer: float(answer == task.answer), pool=pool)
    end = process_time()
    assert outcome.score == 1.0
    return {
        "agents": len(design.agents),
        "edges": len(design.spatial),
        "critical_path": outcome.critical_path,
        "draw": drawn - began,
        "run": ran - drawn,
        "account": end - ran,
        "longest": longest,
        "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def in_a_process(case: str) -> dict[str, float]:
    """Measure in a process of its own, so that memory is that of this case."""
    command = [sys.executable, __file__, "--case", case]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def seconds(measured: dict[str, float]) -> float:
    """Return the time to draw, run and account."""
    return measured["draw"] + measured["run"] + measured["account"]


def main() -> None:
    """Measure every case and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", help="measure only this and print it as JSON")
    parser.add_argument("--repeats", type=int, default=3, help="processes a case, of which the median counts (3)")
    parser.add_argument("--out", default="benchmarks/results/thousand.md", help="where the table is written")
    args = parser.parse_args()
    if args.case:
        print(json.dumps(measure(args.case)))
        return
    lines = [
        "# A thousand agents",
        "",
        f"`python benchmarks/thousand.py`; {os.cpu_count()} cores, one thread, Python {platform.python_version()}; the "
        f"median of {args.repeats} processes, the largest memory of them. Seconds of the processor.",
        "",
        "A design over 1,000 slots is drawn for one question and run with an LLM that answers at once; `merged` adds "
        "MacNet's agents that merge solutions. Memory is the peak of the whole process, torch included. Wanted: under "
        "5 seconds and 2 GiB.",
        "",
        "| design | agents | edges | critical path | draw (s) | run (s) | account (s) | together (s) | longest prompt "
        "(characters) | memory (MiB) | |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for case in cases():
        found = [in_a_process(case) for _ in range(args.repeats)]
        m = sorted(found, key=seconds)[len(found) // 2]
        memory = max(f["bytes"] for f in found)
        kept = seconds(m) < WANTED_SECONDS and memory < WANTED_BYTES
        lines.append(
            f"| {case} | {m['agents']:,} | {m['edges']:,} | {m['critical_path']:,} | {m['draw']:.2f} | {m['run']:.2f} "
            f"| {m['account']:.2f} | {seconds(m):.2f} | {m['longest']:,} | {memory / 2**20:,.0f} "
            f"| {'' if kept else 'missed'} |"
        )
        print(lines[-1], flush=True)
    Path(args.out).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
