"""What a benchmark is, and how its questions are split."""

import hashlib
from collections.abc import Sequence
from typing import Literal, Protocol, get_args, runtime_checkable

from gdesign.errors import ConfigError
from gdesign.types import Task

Split = Literal["train", "validation", "test", "lockbox", "all"]
SPLITS: tuple[str, ...] = get_args(Split)


@runtime_checkable
class Benchmark(Protocol):
    """Questions, a reader of answers, and a grader."""

    name: str

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split, in a fixed order."""
        ...

    def extract(self, task: Task, text: str) -> str | None:
        """Return the canonical answer in a reply; None if it is unreadable, which agrees with nothing."""
        ...

    def grade(self, task: Task, answer: str) -> float:
        """Return the score of a canonical answer, in [0, 1]."""
        ...


def normalised(question: str) -> str:
    """Return the text that splits are made by: lower case, white space folded."""
    return " ".join(question.lower().split())


def split_of(question: str, *, seed: int = 0, test: float = 0.5, validation: float = 0.2) -> Split:
    """Return the split that a question belongs to, by its normalised text alone.

    A question whose sha256 begins with 0, 1, 2 or 3 lies in the lock-box, whatever the seed. The
    same question in two sets so lands on the same side.

    Args:
        question: Its text.
        seed: Draws another assignment of the questions outside the lock-box.
        test: Share of test questions outside the lock-box.
        validation: Share of validation questions among those left for training.
    """
    text = normalised(question).encode()
    if hashlib.sha256(text).hexdigest()[0] in "0123":
        return "lockbox"
    u, v = draws(question, seed=seed)
    if u < test:
        return "test"
    return "validation" if v < validation else "train"


def draws(question: str, *, seed: int = 0) -> tuple[float, float]:
    """Return two numbers in [0, 1) that a question's normalised text and the seed alone decide."""
    digest = hashlib.sha256(f"{seed}:{normalised(question)}".encode()).digest()
    u, v = (int.from_bytes(digest[i : i + 8]) / 2**64 for i in (0, 8))
    return u, v


def select(tasks: Sequence[Task], split: Split, *, seed: int = 0, limit: int | None = None) -> list[Task]:
    """Return the tasks of a split, made by `split_of`; the first `limit` of them, if there is a limit."""
    check_split(split)
    chosen = [t for t in tasks if split == "all" or split_of(t.question, seed=seed) == split]
    return first(chosen, limit)


def check_split(split: str) -> None:
    """Raise ConfigError unless there is such a split."""
    if split not in SPLITS:
        raise ConfigError(f"split {split!r} is unknown; expected one of {', '.join(SPLITS)}")


def first(tasks: list[Task], limit: int | None) -> list[Task]:
    """Return the first `limit` tasks, or all; raise ConfigError if the limit leaves none."""
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit}; give the number of tasks to load, or null for all")
    return tasks[:limit]
