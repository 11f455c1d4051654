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
from pathlib import Path

import yaml
from tqdm import tqdm

from gdesign.agents import teams
from gdesign.agents.pool import SOLVER
from gdesign.execute.arena import LocalArena, Result
from gdesign.execute.operators import tools_of
from gdesign.llm.live import endpoint
from gdesign.llm.local import Served, Speed, pool_yaml, serving, timed
from gdesign.tasks.real import DIRECTORY, Real
from gdesign.tasks.table import load_questions
from gdesign.types import LLM, Agent, AgentPool, Candidate, Job

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
    parser.add_argument("files", nargs="+", type=Path, metavar="GGUF", help="the models")
    parser.add_argument("--operators", nargs="+", default=["answer", "cot", "program"], help="ways of working")
    parser.add_argument("--samples", type=int, default=4, help="how often each agent answers (4)")
    parser.add_argument("--minutes", type=float, help="when to stop asking (when all is answered)")
    parser.add_argument("--threads", type=int, default=1, help="of each model (1)")
    parser.add_argument("--max-tokens", type=int, default=200, help="of a reply (200)")
    parser.add_argument("--temperature", type=float, default=0.7, help="of every call (0.7)")
    parser.add_argument("--usd-per-hour", type=float, default=0.1, help="what an hour of this machine costs (0.1)")
    parser.add_argument("--pool", type=Path, help="where the prices are kept (beside the recording)")
    parser.add_argument("--record", type=Path, default=Path("runs/real.sqlite"), help="the calls (runs/real.sqlite)")
    parser.add_argument("--out", type=Path, default=DIRECTORY, help="where the table goes (where task=real reads it)")
    args = parser.parse_args()
    until = time.monotonic() + 60 * (args.minutes or 1e9)
    benchmark = Real()
    questions = load_questions(DIRECTORY, "real")
    tasks = [t for split in ("train", "validation", "test") for t in benchmark.load(split)]  # the lock-box stays shut
    place = {q.qid: i for i, q in enumerate(questions)}
    tasks.sort(key=lambda task: place[task.id.partition("/")[2]])
    with serving(args.files, first_port=18200, num_threads=args.threads, context=2048) as served:
        prices = args.pool or args.record.with_suffix(".json")
        prices.parent.mkdir(parents=True, exist_ok=True)
        if not prices.is_file():  # prices stay as they were first measured
            prices.write_text(json.dumps({m.name: (s.read, s.write) for m in served for s in [timed(m)]}))
        measured = json.loads(prices.read_text())
        pool = pool_of(
            {m: Speed(read=measured[m.name][0], write=measured[m.name][1]) for m in served},
            args.operators,
            args.usd_per_hour,
        )
        agents = [Agent(role=c.role, llm=c.llm, operator=c.operator) for c in pool.candidates]
        llm = endpoint(
            pool=pool,
            temperature=args.temperature,
            max_tokens=args.max_tokens,
            record=args.record,
            max_concurrent=len(served),
            timeout=600,
        )
        rows: list[dict[str, object]] = []
        with LocalArena(pool=pool, llm=llm, benchmark=benchmark, sandbox=tools_of(benchmark, pool)) as arena:
            for task in tqdm(tasks, unit="question"):
                if time.monotonic() > until:
                    break
                jobs = [Job(teams.single([agent]), task, sample) for sample in range(args.samples) for agent in agents]
                found = arena.run(jobs, phase="record")
                if any(outcome.failures for _, outcome in found):
                    continue
                for job, result in zip(jobs, found, strict=True):
                    rows.append(row(job, result))
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
