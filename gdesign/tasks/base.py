"""What a benchmark is, and how its questions are split."""

import hashlib
from collections.abc import Sequence
from typing import Literal, Protocol, get_args

from gdesign.errors import ConfigError
from gdesign.types import Task

Split = Literal["train", "validation", "test", "lockbox", "all"]
SPLITS: tuple[str, ...] = get_args(Split)


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
    digest = hashlib.sha256(f"{seed}:".encode() + text).digest()
    u, v = (int.from_bytes(digest[i : i + 8]) / 2**64 for i in (0, 8))
    if u < test:
        return "test"
    return "validation" if v < validation else "train"


def select(tasks: Sequence[Task], split: Split, *, seed: int = 0) -> list[Task]:
    """Return the tasks of a split, made by `split_of`."""
    if split not in SPLITS:
        raise ConfigError(f"split {split!r} is unknown; expected one of {', '.join(SPLITS)}")
    return [t for t in tasks if split == "all" or split_of(t.question, seed=seed) == split]
