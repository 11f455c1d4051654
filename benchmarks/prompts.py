"""Two sets of prompts on the same questions, paired, by operator and model.

    python benchmarks/prompts.py task=jsonl task.train=mine.jsonl task.test=mine.jsonl pool=file pool.path=team.yaml \
        llm=openai llm.base_url=http://127.0.0.1:8080/v1 --first benchmarks/prompts/headers.yaml --number 40

asks each agent of the pool each question once with each set, the sets in turns, so that what else the machine does
falls on both. All words but `--first`, `--second` (the package's own unless given), `--number` and `--write` are
settings as of eval.py; a recording (`llm.record`) or `llm=replay` answers from calls that were made before. Without
`task=...` it asks questions of its own, of five kinds.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from runner import command, compose

from gdesign.agents.prompt import OPERATORS, prompt
from gdesign.agents.teams import single
from gdesign.execute.arena import LocalArena, refuse_unanswered
from gdesign.execute.operators import tools_of
from gdesign.tasks.base import Benchmark
from gdesign.types import Agent, AgentPool, Job, Outcome, Run, Task

FRUITS = ("apples", "pears", "plums", "figs", "limes")
NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva")
WORDS = ("lantern", "orchard", "puzzle", "thunder", "window", "marble", "copper", "sailor", "velvet", "garden")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def questions(number: int, seed: int = 0) -> Iterator[dict[str, object]]:
    """Yield questions of five kinds in turn: sums, stories, strings, days, lists."""
    draw = random.Random(seed)
    for i in range(number):
        a, b, c = draw.randint(12, 98), draw.randint(12, 98), draw.randint(3, 9)
        word, day = draw.choice(WORDS), draw.choice(DAYS)
        numbers = [draw.randint(10, 99) for _ in range(7)]
        text: str
        answer: str
        match i % 5:
            case 0:
                text, answer = f"What is {a} * {c} - {b}?", str(a * c - b)
            case 1:
                who, what = draw.choice(NAMES), draw.choice(FRUITS)
                text = (
                    f"{who} buys {c} bags of {a} {what} each, eats {b} of them in a week and gives half of the rest, "
                    f"rounded down, to a friend. How many {what} does {who} give away?"
                )
                answer = str((a * c - b) // 2 if a * c > b else 0)
            case 2:
                text = f"Reverse the word {word!r}, and write it in capital letters. What is the result?"
                answer = word[::-1].upper()
            case 3:
                text, answer = f"Today is {day}. What day is it in {a} days?", DAYS[(DAYS.index(day) + a) % 7]
            case _:
                text = f"What is the sum of the even numbers among {', '.join(map(str, numbers))}?"
                answer = str(sum(n for n in numbers if n % 2 == 0))
        grader = "exact" if i % 5 in (2, 3) else "number"
        yield {"id": f"q{i}", "question": text, "answer": answer, "grader": grader}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What an agent made of the questions with one set of prompts."""

    runs: Sequence[tuple[Run, Outcome]]

    @property
    def scores(self) -> list[float]:
        """Scores, in the order of the questions."""
        return [outcome.score for _, outcome in self.runs]

    def mean(self, what: str) -> float:
        """Return the mean of a number of the outcomes."""
        return fmean(getattr(outcome, what) for _, outcome in self.runs)

    @property
    def seconds(self) -> float:
        """Mean seconds that a question took the model."""
        return fmean(sum(turn.reply.seconds for turn in run.turns if turn.reply is not None) for run, _ in self.runs)

    @property
    def unread(self) -> int:
        """How many replies had no answer that could be read."""
        return sum(run.answer is None for run, _ in self.runs)


def difference(first: Sequence[float], second: Sequence[float], *, resamples: int = 2000) -> tuple[float, float]:
    """Return the interval (95 %, by a bootstrap over questions) of how much more the second is worth."""
    gains = [b - a for a, b in zip(first, second, strict=True)]
    draw = random.Random(0)
    means = sorted(fmean(draw.choices(gains, k=len(gains))) for _ in range(resamples))
    return means[int(0.025 * resamples)], means[int(0.975 * resamples) - 1]


def asked(config: Any, benchmark: Benchmark, tasks: Sequence[Task]) -> dict[Agent, list[tuple[Run, Outcome]]]:
    """Return the runs of every agent of a pool on the questions, each alone."""
    from hydra.utils import instantiate

    pool, llm = instantiate(config.pool), instantiate(config.llm)
    agents = [Agent(role=c.role, llm=c.llm, operator=c.operator) for c in pool.candidates]
    with LocalArena(pool=pool, llm=llm, benchmark=benchmark, sandbox=tools_of(benchmark, pool)) as arena:
        results = arena.run([Job(single([a]), task, 0) for a in agents for task in tasks], phase="prompts")
    refuse_unanswered(results)
    return {agent: results[i * len(tasks) : (i + 1) * len(tasks)] for i, agent in enumerate(agents)}


def in_turns(configs: Sequence[Any], benchmark: Benchmark, tasks: Sequence[Task]) -> list[dict[Agent, Cell]]:
    """Return what each agent made of the questions with each set, asked in turns of five questions."""
    found: list[dict[Agent, list[tuple[Run, Outcome]]]] = [{} for _ in configs]
    for begin in range(0, len(tasks), 5):
        for runs, config in zip(found, configs, strict=True):
            for agent, results in asked(config, benchmark, tasks[begin : begin + 5]).items():
                runs.setdefault(agent, []).extend(results)
    return [{agent: Cell(runs=results) for agent, results in runs.items()} for runs in found]


def table(first: dict[Agent, Cell], second: dict[Agent, Cell]) -> str:
    """Return the comparison as Markdown, an agent a line and all together below."""
    lines = [
        "| LLM | operator | n | score, first | score, second | second - first | won, lost | prompt tokens | "
        "written tokens | seconds | unread |",
        "|---|---|---:|---:|---:|---|---|---|---|---|---|",
    ]
    together = tuple(Cell(runs=[r for cell in cells.values() for r in cell.runs]) for cells in (first, second))
    rows = [(agent.llm, agent.operator, first[agent], second[agent]) for agent in first]
    for llm, operator, a, b in [*rows, ("together", "", *together)]:
        low, high = difference(a.scores, b.scores)
        gains = [y - x for x, y in zip(a.scores, b.scores, strict=True)]
        won, lost = sum(g > 0 for g in gains), sum(g < 0 for g in gains)
        lines.append(
            f"| {llm} | {operator} | {len(gains)} | {fmean(a.scores):.3f} | {fmean(b.scores):.3f} | "
            f"{fmean(gains):+.3f} [{low:+.3f}, {high:+.3f}] | {won}, {lost} | "
            f"{a.mean('prompt_tokens'):.0f} → {b.mean('prompt_tokens'):.0f} | "
            f"{a.mean('completion_tokens'):.0f} → {b.mean('completion_tokens'):.0f} | "
            f"{a.seconds:.1f} → {b.seconds:.1f} | {a.unread} → {b.unread} |"
        )
    return "\n".join(lines)


def lengths(first: AgentPool, second: AgentPool) -> str:
    """Return how many characters the prompts of each operator have beside the question, as Markdown."""
    nothing = Task(id="", question="", answer="", benchmark="")
    lines = ["| operator | characters, first | second |", "|---|---:|---:|"]
    for operator in OPERATORS:
        sizes = []
        for pool in (first, second):
            pool = replace(pool, operators=tuple(OPERATORS), candidates=())
            agent = Agent(role=pool.roles[0].name, llm=pool.llms[0].name, operator=operator)
            profile = len(pool.roles[0].profile)
            sizes.append(sum(len(m.content) for m in prompt(agent, nothing, pool=pool)) - profile)
        lines.append(f"| {operator} | {sizes[0]} | {sizes[1]} |")
    return "\n".join(lines)


def main() -> None:
    """Compare, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", default=str(Path(__file__).with_name("prompts") / "headers.yaml"))
    parser.add_argument("--second", help="the package's own unless given")
    parser.add_argument("--number", type=int, default=40, help="how many questions")
    parser.add_argument("--write", type=Path, help="a Markdown file to write")
    options, overrides = parser.parse_known_args()
    from hydra.utils import instantiate

    with tempfile.TemporaryDirectory() as folder:
        if not any(word.startswith("task") for word in overrides):
            own = [json.dumps(question) for question in questions(options.number + 1)]
            files = [Path(folder) / name for name in ("training.jsonl", "questions.jsonl")]
            for file, lines in zip(files, (own[-1:], own[:-1]), strict=True):
                file.write_text("\n".join(lines), encoding="utf-8")
            overrides += ["task=jsonl", f"task.train={files[0]}", f"task.test={files[1]}"]
        sets = (options.first, options.second or "null")
        configs = [compose((*overrides, f"pool.prompts={path}"), "eval") for path in sets]
        benchmark = instantiate(configs[0].task)
        tasks = benchmark.load(configs[0].split)[: options.number]
    pools = [instantiate(config.pool) for config in configs]
    first, second = in_turns(configs, benchmark, tasks)
    text = f"{table(first, second)}\n\n{lengths(*pools)}"
    print(text)
    if options.write is not None:
        options.write.write_text(f"# Prompts\n\n    {command()}\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
