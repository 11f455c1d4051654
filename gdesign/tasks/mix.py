"""Several benchmarks as one."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from gdesign.errors import ConfigError
from gdesign.tasks.answers.texts import exact
from gdesign.tasks.base import Benchmark, RunsPrograms, Split, WantsPrograms
from gdesign.types import Task


class Mix:
    """Several benchmarks as one; within a split each of them weighs the same, and the mean weight is 1.

    Args:
        benchmarks: What makes each part from `recorded`, `split_seed` and `limit`: a benchmark's
            class, or a partial of it.
        final: Whether the test questions are trained on too, since the lock-box is the test now.
        limit: Given to each part: loads the first tasks of a split of each.
        without: Names of parts that are left out, so that they stay unseen.

    Raises:
        ConfigError: There is no part, two have the same name, or one is left out that is not there.
    """

    def __init__(
        self,
        *,
        benchmarks: Sequence[Callable[..., Benchmark]],
        recorded: bool = False,
        split_seed: int = 0,
        final: bool = False,
        limit: int | None = None,
        without: Sequence[str] = (),
    ) -> None:
        self.name = "mix"
        self.recorded = recorded
        self.final = final
        parts = [make(recorded=recorded, split_seed=split_seed, limit=limit) for make in benchmarks]
        names = [part.name for part in parts]
        if unknown := set(without) - set(names):
            raise ConfigError(f"without names {', '.join(sorted(unknown))}; the mix has {', '.join(names)}")
        parts = [part for part in parts if part.name not in without]
        self.parts = {part.name: part for part in parts}
        self.sandbox = next((p.sandbox for p in parts if isinstance(p, RunsPrograms) and p.sandbox), None)
        if not parts:
            raise ConfigError("a mix needs at least one benchmark; got none")
        if len(self.parts) < len(parts):
            raise ConfigError(f"two benchmarks of the mix have the same name; got {', '.join(p.name for p in parts)}")

    @property
    def wants_programs(self) -> bool:
        """Whether all answers are programs."""
        return all(isinstance(part, WantsPrograms) and part.wants_programs for part in self.parts.values())

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split, benchmark by benchmark."""
        splits: tuple[Split, ...] = (split,)
        if self.final and split in ("train", "test"):
            splits = ("train", "test") if split == "train" else ()
        loaded = [tasks for part in self.parts.values() if (tasks := [t for s in splits for t in part.load(s)])]
        total = sum(len(tasks) for tasks in loaded)
        return [replace(t, weight=total / (len(loaded) * len(tasks))) for tasks in loaded for t in tasks]

    def extract(self, task: Task, text: str) -> str | None:
        """Return what the task's own benchmark reads; what `exact` reads, if it is of none of them."""
        part = self.parts.get(task.benchmark)
        return exact(text) if part is None else part.extract(task, text)

    def grade(self, task: Task, answer: str) -> float:
        """Return what the task's own benchmark gives."""
        return self.parts[task.benchmark].grade(task, answer)
