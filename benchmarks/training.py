"""How long a training step takes: 4 tasks, 4 agents, 4 designs a task, an LLM that answers at once; medians of 5.

    python benchmarks/training.py --write benchmarks/results/training.md

Everything that train.py does in a step is in it: Lightning, the progress bar, drawing, running, writing
runs.jsonl, the gradient and Adam. Embeddings are cached. Released G-Designer takes 294 ms on such a machine.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch

from gdesign.cli.talk import quiet
from gdesign.design.learned.gdesigner import GDesigner
from gdesign.encode.problem import ProblemEncoder
from gdesign.encode.text import CachedEncoder, HashEncoder
from gdesign.execute.arena import LocalArena
from gdesign.learn.data import TaskData
from gdesign.learn.estimators import leave_one_out
from gdesign.learn.module import DesignModule
from gdesign.runs.log import RunsFile
from gdesign.runs.metrics import MetricsFile
from gdesign.types import LLM, AgentPool, Label, Reply, Request, Role, Task, Usage

COMMAND = "python benchmarks/training.py --write benchmarks/results/training.md"


class Sums:
    """A benchmark that takes whatever stands after `Answer: `."""

    name = "sums"

    def load(self, split: str) -> list[Task]:
        """Return 400 questions."""
        return [
            Task(id=str(i), question=f"What is {i} plus {i}?", answer=str(2 * i), benchmark="sums") for i in range(400)
        ]

    def extract(self, task: Task, text: str) -> str | None:
        """Return what stands after `Answer: `."""
        return text.removeprefix("Answer: ")

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for the right sum."""
        return float(answer == task.answer)


async def at_once(request: Request) -> Reply:
    """Answer without waiting."""
    return Reply(text="Answer: 4", usage=Usage(prompt_tokens=100, completion_tokens=10), label=Label.SIMULATED)


class Clock(L.Callback):
    """Notes when each step begins."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        """Note the time."""
        self.starts.append(time.perf_counter())


def median_step(folder: Path, *, num_agents: int = 4) -> float:
    """Return the median of 100 training steps, in seconds."""
    roles = tuple(Role(name=f"role {i}", profile=f"You are expert number {i}.") for i in range(num_agents))
    pool = AgentPool(name="speed", roles=roles, llms=(LLM(name="m", usd_per_1M_input=1.0, usd_per_1M_output=2.0),))
    problems = ProblemEncoder(pool=pool, encoder=CachedEncoder(encoder=HashEncoder(dim=384)))
    benchmark = Sums()
    tasks = benchmark.load("train")
    problems(tasks)
    clock = Clock()
    with (
        RunsFile(folder / "runs.jsonl") as log,
        LocalArena(pool=pool, llm=at_once, benchmark=benchmark, log=log) as arena,
    ):
        module = DesignModule(
            designer=GDesigner(space=problems.space),
            problems=problems,
            arena=arena,
            estimator=leave_one_out,
            optimizer=torch.optim.Adam,
            num_designs=4,
            lr=0.01,
            entropy_weight=0.01,
            final_entropy_weight=0.0,
        )
        data = TaskData(train=tasks, validation=tasks[:4], batch_size=4, shuffle_questions=False, seed=0)
        trainer = L.Trainer(
            accelerator="cpu",
            max_epochs=1,
            gradient_clip_val=1.0,
            log_every_n_steps=10,
            logger=[MetricsFile(folder / "metrics.csv")],
            callbacks=[clock],
            enable_checkpointing=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, data)
    return statistics.median(b - a for a, b in zip(clock.starts[5:], clock.starts[6:], strict=False))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", type=Path, help="write the result there, as Markdown")
    options = parser.parse_args()
    quiet()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        steps = [1000 * median_step(Path(folder)) for _ in range(5)]
    text = (
        f"# A training step\n\n`{COMMAND}`\n\n4 tasks, 4 agents, 4 designs a task, gdesigner, one thread: "
        f"{statistics.median(steps):.1f} ms (runs: {', '.join(f'{s:.1f}' for s in steps)}).\n"
    )
    print(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
