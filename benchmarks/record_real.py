"""Let models on this machine answer the questions of task=real, and write down what they said as an outcome table.

    python benchmarks/record_real.py small.gguf large.gguf --samples 2 --minutes 120

Every call is recorded, so it may be stopped and gone on with. Question by question all agents answer, so that what
there is after any time is whole: only questions that everybody answered so often are written.
"""

import argparse
import csv
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from gdesign.agents import teams
from gdesign.agents.pool import SOLVER
from gdesign.errors import UnsupportedRequestError
from gdesign.execute.arena import LocalArena, Result
from gdesign.execute.operators import tools_of
from gdesign.llm.live import endpoint
from gdesign.llm.local import Served, Speed, pool_yaml, serving, timed
from gdesign.llm.replay import offline
from gdesign.tasks.real import DIRECTORY, Real
from gdesign.tasks.table import load_questions
from gdesign.types import LLM, Agent, AgentPool, Candidate, Job

FIRST_PORT, CONTEXT = 18200, 2048
COLUMNS = (
    "qid", "model", "operator", "sample", "correct", "answer", "output_tokens_cl100k", "prompt_tokens", "calls", "usd",
)  # fmt: skip


def pool_of(speeds: dict[Served, Speed], operators: Sequence[str], usd_per_hour: float) -> AgentPool:
    """Return one neutral role, the models at the prices of their seconds, and the ways of working."""
    llms = tuple(LLM(**values) for values in yaml.safe_load(pool_yaml(speeds, usd_per_hour=usd_per_hour))["llms"])
    candidates = tuple(Candidate(SOLVER.name, llm.name, operator) for llm in llms for operator in operators)
    return AgentPool(name="real", roles=(SOLVER,), llms=llms, operators=tuple(operators), candidates=candidates)


def row(job: Job, result: Result) -> dict[str, object]:
    """Return what an agent replied, as a line of the table."""
    run, outcome = result
    (agent,) = run.design.agents
    return {
        "qid": job.task.id.partition("/")[2],
        "model": agent.llm,
        "operator": agent.operator,
        "sample": job.seed,
        "correct": f"{outcome.score:g}",
        "answer": run.answer or "",
        "output_tokens_cl100k": outcome.completion_tokens,
        "prompt_tokens": outcome.prompt_tokens,
        "calls": outcome.calls,
        "usd": f"{outcome.usd:.3g}",
    }


def main() -> None:
    """Serve the models, ask, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", type=Path, metavar="GGUF", help="the models; none: write what is recorded")
    parser.add_argument("--operators", nargs="+", default=["answer", "cot", "program"], help="ways of working")
    parser.add_argument("--samples", type=int, default=4, help="how often each agent answers (4)")
    parser.add_argument("--minutes", type=float, help="when to stop asking (when all is answered)")
    parser.add_argument("--threads", type=int, default=1, help="of each model (1)")
    parser.add_argument("--max-tokens", type=int, default=200, help="of a reply (200)")
    parser.add_argument("--temperature", type=float, default=0.7, help="of every call (0.7)")
    parser.add_argument("--usd-per-hour", type=float, default=0.1, help="what an hour of this machine costs (0.1)")
    parser.add_argument("--record", type=Path, default=Path("runs/real.sqlite"), help="the calls (runs/real.sqlite)")
    parser.add_argument("--out", type=Path, default=DIRECTORY, help="where the table goes (where task=real reads it)")
    args = parser.parse_args()
    until = time.monotonic() + 60 * (args.minutes or 1e9)
    benchmark = Real()
    questions = load_questions(DIRECTORY, "real")
    tasks = [t for split in ("train", "validation", "test") for t in benchmark.load(split)]  # the lock-box stays shut
    place = {q.qid: i for i, q in enumerate(questions)}
    tasks.sort(key=lambda task: place[task.id.partition("/")[2]])
    rows: list[dict[str, object]] = []
    with ExitStack() as stack:
        prices = args.record.with_suffix(".json")
        if args.files:
            served = stack.enter_context(
                serving(args.files, first_port=FIRST_PORT, num_threads=args.threads, context=CONTEXT)
            )
            prices.parent.mkdir(parents=True, exist_ok=True)
            if not prices.is_file():  # prices stay as they were first measured
                prices.write_text(json.dumps({m.name: (s.read, s.write) for m in served for s in [timed(m)]}))
        measured = {
            name: Speed(read=read, write=write) for name, (read, write) in json.loads(prices.read_text()).items()
        }
        if not args.files:  # the addresses are part of the recording
            urls = [f"http://127.0.0.1:{FIRST_PORT + i}/v1" for i in range(len(measured))]
            served = [Served(name=name, base_url=url) for name, url in zip(measured, urls, strict=True)]
        pool = pool_of({m: measured[m.name] for m in served}, args.operators, args.usd_per_hour)
        settings: dict[str, Any] = {"temperature": args.temperature, "max_tokens": args.max_tokens}
        llm = (
            endpoint(pool=pool, record=args.record, max_concurrent=len(served), timeout=600, **settings)
            if args.files
            else offline(path=args.record, **settings)
        )
        arena = stack.enter_context(
            LocalArena(pool=pool, llm=llm, benchmark=benchmark, sandbox=tools_of(benchmark, pool))
        )
        agents = [Agent(role=c.role, llm=c.llm, operator=c.operator) for c in pool.candidates]
        for task in tqdm(tasks, unit="question"):
            if time.monotonic() > until:
                break
            jobs = [Job(teams.single([agent]), task, sample) for sample in range(args.samples) for agent in agents]
            try:
                found = arena.run(jobs, phase="record")
            except UnsupportedRequestError:  # so far it was recorded
                break
            if not any(outcome.failures for _, outcome in found):
                rows += [row(job, result) for job, result in zip(jobs, found, strict=True)]
    with (args.out / "real.results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} answers written to {args.out / 'real.results.csv'}")
    print(
        yaml.safe_dump(
            {
                m.name: {"usd_per_1M_input": m.usd_per_1M_input, "usd_per_1M_output": m.usd_per_1M_output}
                for m in pool.llms
            }
        )
    )


if __name__ == "__main__":
    main()
