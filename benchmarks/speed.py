"""How fast designs are drawn and a training step goes; medians of 5.

    python benchmarks/speed.py --write benchmarks/results/speed.md

Designs are drawn (not greedy), made and validated; each repeat draws other graphs. As in train.py, what is
loaded before is out of the garbage collector's sight.
"""

import argparse
import gc
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from gdesign.design.learned.gdesigner import GDesigner
from gdesign.encode.problem import ProblemEncoder
from gdesign.encode.text import CachedEncoder, MiniLM
from gdesign.types import LLM, AgentPool, Role, Task

COMMAND = "python benchmarks/speed.py --write benchmarks/results/speed.md"


def pool(num_agents: int) -> AgentPool:
    """Return a pool of that many agents, each heard by the next."""
    roles = tuple(Role(name=f"role {i}", profile=f"You are expert number {i} of the team.") for i in range(num_agents))
    return AgentPool(
        name="speed",
        roles=roles,
        llms=(LLM(name="gpt-4o-mini-2024-07-18", usd_per_1M_input=0.15, usd_per_1M_output=0.6),),
        anchor=tuple((a.name, b.name) for a, b in itertools.pairwise(roles)),
    )


def tasks(num: int, salt: str) -> list[Task]:
    """Return questions never seen before under another salt."""
    return [
        Task(
            id=f"{salt}-{i}",
            question=f"In {salt}, what is {i} plus {i * 7}? Explain it to a child.",
            answer="",
            benchmark="",
        )
        for i in range(num)
    ]


def designer(problems: ProblemEncoder) -> GDesigner:
    """Return an untrained designer in evaluation mode; its graphs are about half full."""
    torch.manual_seed(0)
    return GDesigner(space=problems.space).eval()


def median_seconds(work: Callable[[], object], *, repeats: int = 5, inner: int = 20) -> float:
    """Return the median over repeats of the mean seconds of `inner` calls."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(inner):
            work()
        times.append((time.perf_counter() - start) / inner)
    return statistics.median(times)


@torch.inference_mode()
def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the table to this file too")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    gc.collect()
    gc.freeze()
    encoder = CachedEncoder(encoder=MiniLM())
    generator = torch.Generator().manual_seed(0)
    rows = []

    six = ProblemEncoder(pool=pool(6), encoder=encoder)
    method = designer(six)
    questions = tasks(64, "batch")
    six(questions)
    seconds = median_seconds(lambda: method(six(questions), generator=generator).designs)
    rows.append(
        ("6 agents, batches of 64, cached embeddings", f"{64 / seconds:,.0f} designs/s", "5,000 designs/s or more")
    )

    hundred = ProblemEncoder(pool=pool(100), encoder=encoder)
    method_100 = designer(hundred)
    one = tasks(1, "hundred")
    sizes = [len(method_100(hundred(one), generator=generator).designs[0].spatial) for _ in range(5)]
    seconds = median_seconds(lambda: method_100(hundred(one), generator=generator).designs)
    rows.append(
        (
            f"100 agents, one design, cached embedding ({min(sizes)} to {max(sizes)} edges)",
            f"{1000 * seconds:.2f} ms",
            "5 ms or less",
        )
    )

    four = ProblemEncoder(pool=pool(4), encoder=encoder)
    method_4 = designer(four)
    fresh = iter(tasks(10_000, "fresh"))
    seconds = median_seconds(lambda: method_4(four([next(fresh)]), generator=generator).designs)
    rows.append(("4 agents, one design from raw text, MiniLM included", f"{1000 * seconds:.2f} ms", "30 ms or less"))
    known = tasks(1, "known")
    four(known)
    seconds = median_seconds(lambda: method_4(four(known), generator=generator).designs)
    rows.append(("4 agents, one design, cached embedding", f"{1000 * seconds:.2f} ms", ""))

    table = "\n".join(
        ["| what | median of 5 | wanted |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)]
    )
    versions = f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    text = f"# Speed of designing\n\n`{COMMAND}`, {versions}.\n\n{table}\n"
    print(text)
    if args.write:
        args.write.write_text(text)


if __name__ == "__main__":
    main()
