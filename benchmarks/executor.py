"""How fast the executor is: agent turns per second, and run time over the critical path.

    python benchmarks/executor.py

writes benchmarks/results/executor.md. Each figure is the median of 5 repeats. With `--profile` it
prints where the time goes instead.
"""

import argparse
import asyncio
import cProfile
import os
import platform
import pstats
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

from gdesign.agents.pool import builtin
from gdesign.design.searches.enumerate import small_designs
from gdesign.execute.reward import account
from gdesign.execute.run import run
from gdesign.llm.base import LLMClient
from gdesign.llm.recorded import DIRECTORY, RecordedClient, recorded_pool
from gdesign.llm.simulated.client import SimulatedClient
from gdesign.tasks.data import data_dir
from gdesign.tasks.synthetic import Synthetic
from gdesign.tasks.table import load_table
from gdesign.types import (
    LLM,
    Agent,
    AgentPool,
    Decision,
    Design,
    Edge,
    Label,
    Reply,
    Request,
    Role,
    Task,
    Usage,
)

REPEATS = 5
SECONDS_PER_CALL = 0.05
POOL = AgentPool(
    name="bench",
    roles=tuple(
        Role(name=f"role{i}", profile=f"You are agent {i} and you solve problems with care.") for i in range(30)
    ),
    llms=(LLM(name="m", usd_per_1M_input=0.15, usd_per_1M_output=0.6),),
)
TASK = Task(id="1", question="How many eggs are left if 3 of 16 are eaten and 4 are baked?", answer="9", benchmark="b")
REPLY = Reply(
    text="Start with 16 eggs.\nTake away 3 and 4.\nAnswer: 9",
    usage=Usage(prompt_tokens=100, completion_tokens=20),
    label=Label.SIMULATED,
)


class Instant:
    """Answers at once."""

    async def __call__(self, request: Request) -> Reply:
        """Answer."""
        return REPLY


class Slow:
    """Answers after 50 ms."""

    async def __call__(self, request: Request) -> Reply:
        """Answer."""
        await asyncio.sleep(SECONDS_PER_CALL)
        return REPLY


def extract(task: Task, text: str) -> str | None:
    """Return what follows `Answer:`, or the text; None if it is empty."""
    return text.rpartition("Answer:")[2].strip() or None


def agents(n: int) -> tuple[Agent, ...]:
    """Return n agents of different roles."""
    return tuple(Agent(role=f"role{i}", llm="m") for i in range(n))


def random_design(rng: Random, n: int) -> Design:
    """Return a random acyclic design of n agents that vote, each edge present with probability 1/2."""
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if rng.random() < 0.5]
    return Design(agents=agents(n), spatial=tuple(Edge(*p) for p in pairs), decision=Decision(kind="vote"))


def shapes(n: int) -> dict[str, Design]:
    """Return the shapes of the second table."""
    vote = Decision(kind="vote")
    half = n // 2
    edges = {
        "chain": [(i, i + 1) for i in range(n - 1)],
        "star": [(0, i) for i in range(1, n)],
        "layered": [(i, j) for i in range(half) for j in range(half, n)],
        "complete": [(i, j) for i in range(n) for j in range(i + 1, n)],
    }
    made = {
        name: Design(agents=agents(n), spatial=tuple(Edge(*p) for p in pairs), decision=vote)
        for name, pairs in edges.items()
    }
    everybody = tuple(Edge(i, j) for i in range(n) for j in range(n) if i != j)
    made["debate, 2 rounds"] = Design(agents=agents(n), temporal=everybody, num_rounds=2, decision=vote)
    return made


def turns_per_second(designs: list[tuple[Design, Task]], llm: LLMClient, pool: AgentPool) -> float:
    """Run and account each design once; return agent turns per second."""

    async def everything() -> int:
        num_turns = 0
        for design, task in designs:
            done = await run(design, task, pool=pool, llm=llm, extract=extract)
            account(done, grade=lambda task, answer: float(answer == task.answer), pool=pool)
            num_turns += len(done.turns)
        return num_turns

    began = perf_counter()
    num_turns = asyncio.run(everything())
    return num_turns / (perf_counter() - began)


def over_critical_path(design: Design) -> tuple[int, float]:
    """Return the critical path in calls, and the run's time over the time of that many calls."""

    async def once() -> tuple[int, float]:
        began = perf_counter()
        done = await run(design, TASK, pool=POOL, llm=Slow(), extract=extract)
        seconds = perf_counter() - began
        length = account(done, grade=lambda task, answer: 0.0, pool=POOL).critical_path
        return length, seconds / (length * SECONDS_PER_CALL)

    return asyncio.run(once())


def throughput() -> dict[str, tuple[list[tuple[Design, Task]], LLMClient, AgentPool]]:
    """Return what the first table measures."""
    rng = Random(0)
    cases: dict[str, tuple[list[tuple[Design, Task]], LLMClient, AgentPool]] = {}
    for n in (4, 6, 30):
        designs = [(random_design(rng, n), TASK) for _ in range(1200 // n)]
        cases[f"random graphs of {n} agents, LLM answering at once"] = designs, Instant(), POOL
    simulated, questions = builtin("simulated"), Synthetic().load("train")
    teams = small_designs(simulated)
    drawn = [(rng.choice(teams), question) for question in questions]
    cases["simulated world, random designs of 1 to 3 agents, texts seen before"] = (
        drawn,
        SimulatedClient(pool=simulated),
        simulated,
    )
    if (data_dir() / DIRECTORY).is_dir():
        pool, llm = recorded_pool(), RecordedClient(sets=["gsm"])
        names = [m.name for m in pool.llms]
        designs = []
        for q in load_table(data_dir() / DIRECTORY, "gsm").questions[:400]:
            chosen = tuple(Agent(role="solver", llm=name) for name in rng.sample(names, 4))
            hears = tuple(Edge(i, 3) for i in range(3) if rng.random() < 0.5)
            task = Task(id=f"gsm/{q.qid}", question=q.question, answer=q.answer, benchmark="gsm8k")
            designs.append((Design(agents=chosen, spatial=hears, decision=Decision(kind="vote")), task))
        cases["recorded GSM8K, 4 random LLMs, random edges to the last"] = designs, llm, pool
    return cases


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--out", default="benchmarks/results/executor.md", help="where the tables are written")
    args = parser.parse_args()
    cases = throughput()
    if args.profile:
        for name, case in cases.items():
            print(f"\n{name}")
            with cProfile.Profile() as profile:
                turns_per_second(*case)
            pstats.Stats(profile).sort_stats("tottime").print_stats(14)
        return
    lines = [
        "# The executor's speed",
        "",
        f"`python benchmarks/executor.py`; medians of {REPEATS}; {os.cpu_count()} cores, Python "
        f"{platform.python_version()}.",
        "",
        "## Agent turns per second",
        "",
        "Prompts, run and accounting included; one run at a time. Wanted: 5,000.",
        "",
        "| designs | turns per second |",
        "|---|---|",
    ]
    for name, case in cases.items():
        turns_per_second(*case)
        lines.append(f"| {name} | {median(turns_per_second(*case) for _ in range(REPEATS)):,.0f} |")
    lines += [
        "",
        "## Run time over the critical path",
        "",
        "An in-process LLM that takes 50 ms a call. Wanted: at most 1.05.",
        "",
        "| design | agents | critical path (calls) | time over critical path |",
        "|---|---|---|---|",
    ]
    for n in (4, 10, 30):
        for name, design in shapes(n).items():
            measured = [over_critical_path(design) for _ in range(REPEATS)]
            lines.append(f"| {name} | {n} | {measured[0][0]} | {median(ratio for _, ratio in measured):.3f} |")
    text = "\n".join(lines) + "\n"
    Path(args.out).write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
