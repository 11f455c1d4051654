"""Whose designs a designer imitates."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gdesign.design.choose import greedy
from gdesign.errors import ConfigError, DataError
from gdesign.execute.reward import Reward
from gdesign.export.schema import design_from_json
from gdesign.runs import checkpoint
from gdesign.runs.config import read_config
from gdesign.runs.log import read_runs
from gdesign.runs.money import COMPARISON
from gdesign.types import Design, Task

Teacher = Callable[[Sequence[Task]], Sequence[Design]]
"""Gives the design to imitate for each task."""


def best_designs(path: str | Path) -> Teacher:
    """Return a teacher: for each task the design that the designer of another run holds best.

    Args:
        path: The run folder; a search's as well as a trained designer's.

    Raises:
        MissingDataError: It holds no checkpoint.
        ConfigError: Its designer hands back policies; raised by the teacher.
    """
    problems, designer = checkpoint.load(path)
    usd_weight = read_config(path).reward.usd_weight

    def teacher(tasks: Sequence[Task]) -> list[Design]:
        held_best = greedy(designer, problems, tasks, usd_weight=usd_weight)
        designs = [play for play in held_best if isinstance(play, Design)]
        if len(designs) < len(held_best):
            raise ConfigError(
                f"{type(designer).__name__} of {path} hands back policies, which no designer can imitate; imitate what "
                "they came to, by learner.teacher._target_=gdesign.learn.teachers.best_runs"
            )
        return designs

    return teacher


def best_runs(path: str | Path, *, reward: Reward) -> Teacher:
    """Return a teacher: for each task the design that was worth most in the runs of a folder.

    Args:
        path: A run folder or its `runs.jsonl`.

    Raises:
        MissingDataError: There are no runs.
    """
    path = Path(path)
    worth: dict[tuple[str, str], dict[str, list[float]]] = {}
    designs: dict[str, Mapping[str, Any]] = {}
    for row in read_runs(path / "runs.jsonl" if path.is_dir() else path):
        if row["phase"] == COMPARISON:  # what rivals of the designer were worth was not part of its training
            continue
        text = json.dumps(row["design"], sort_keys=True)
        designs[text] = row["design"]
        tokens = row["prompt_tokens"] + row["completion_tokens"]
        value = reward.of(score=row["score"], usd=row["usd"], tokens=tokens, seconds=row.get("latency", 0.0))
        worth.setdefault((row["benchmark"], row["task"]), {}).setdefault(text, []).append(value)
    best = {
        key: design_from_json(designs[max(values, key=lambda text: sum(values[text]) / len(values[text]))])
        for key, values in worth.items()
    }

    def teacher(tasks: Sequence[Task]) -> list[Design]:
        for task in tasks:
            if (task.benchmark, task.id) not in best:
                raise DataError(
                    f"{path} holds no run of the task {task.id!r} ({task.benchmark}), so no design to imitate"
                )
        return [best[task.benchmark, task.id] for task in tasks]

    return teacher
