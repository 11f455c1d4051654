"""What a benchmark is, and how its questions are split."""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, get_args, runtime_checkable

from gdesign.errors import ConfigError
from gdesign.sandbox import Sandbox
from gdesign.tasks.answers.choices import LETTERS, choice
from gdesign.tasks.answers.formulas import equivalent, formula
from gdesign.tasks.answers.literals import literal
from gdesign.tasks.answers.numbers import is_one_number, number
from gdesign.tasks.answers.texts import exact, same_text
from gdesign.types import Task

Split = Literal["train", "validation", "test", "lockbox", "all"]
SPLITS: tuple[str, ...] = get_args(Split)
VALIDATION = 0.2


@runtime_checkable
class Benchmark(Protocol):
    """Questions, a reader of answers, and a grader."""

    @property
    def name(self) -> str:
        """What tasks and tables call it."""

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split, in a fixed order."""
        ...

    def extract(self, task: Task, text: str) -> str | None:
        """Return the canonical answer in a reply; None if it is unreadable, which agrees with nothing."""
        ...

    def grade(self, task: Task, answer: str) -> float:
        """Return the score of a canonical answer, in [0, 1]."""
        ...


@runtime_checkable
class RunsPrograms(Protocol):
    """A benchmark whose grader runs programs, which takes a while; None where this one does not."""

    sandbox: Sandbox | None


@runtime_checkable
class WantsPrograms(Protocol):
    """A benchmark that knows whether all its answers are programs, so that a new question wants one too."""

    @property
    def wants_programs(self) -> bool:
        """Whether all answers are programs."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Published(ABC):
    """What published benchmarks share: whether their answers are recorded, and how their questions are split.

    Args:
        recorded: Whether recorded strings are compared as they are; an error where nobody recorded any.
        split_seed: Draws another assignment of the questions outside the lock-box; where upstream has a split of its
            own, what that leaves open.
        limit: Loads the first tasks of a split only.

    Attributes:
        name: What tasks and tables call it.
        domain: What all its questions are about; empty where each says so itself.
        instead: The task to choose where answers shall be recorded and this one has none; empty where it has some.
        grader: How its answers are read and compared: `exact`, `number` or `choice`.

    Raises:
        ConfigError: `recorded` is True, and nobody recorded answers.
    """

    name: ClassVar[str]
    domain: ClassVar[str] = ""
    instead: ClassVar[str] = ""
    grader: ClassVar[str] = "exact"

    recorded: bool = False
    split_seed: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.recorded and self.instead:
            raise ConfigError(
                f"there are no recorded answers to {self.name}; choose task={self.instead}, or another llm"
            )

    @abstractmethod
    def _tasks(self) -> list[Task]: ...

    def _task(self, key: object, question: str, answer: str, options: Sequence[str] = (), domain: str = "") -> Task:
        return Task(
            id=f"{self.name}/{key}",
            question=question,
            answer=answer,
            benchmark=self.name,
            domain=domain or self.domain,
            options=tuple(options),
        )

    def read(self, task: Task, text: str) -> str | None:
        """Return the canonical answer in a reply; None if it is unreadable."""
        return read(text, self.grader, task.options)

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split, made by the questions' text; there may be no such split (ConfigError)."""
        return select(self._tasks(), split, seed=self.split_seed, limit=self.limit)

    def extract(self, task: Task, text: str) -> str | None:
        """Return what `read` reads; the text itself if it was recorded, None if that is empty."""
        return (text or None) if self.recorded else self.read(task, text)

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for the right answer, else 0."""
        if self.grader == "number":
            return float(number(answer) == number(task.answer))
        return float(answer == task.answer)


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedWithSplit(Published):
    """What published benchmarks share that come with a test split of their own; see `select_upstream`."""

    @abstractmethod
    def _parts(self) -> dict[str, list[Task]]:
        """Return upstream's parts, by name: train, test and, where there is one, validation."""

    def _tasks(self) -> list[Task]:
        return self._parts()["test"]

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split; upstream's has no lock-box (ConfigError)."""
        return select_upstream(split, **self._parts(), seed=self.split_seed, limit=self.limit)


def read(text: str, grader: str, options: Sequence[str]) -> str | None:
    """Return the answer in a text, by the kind that it is of.

    Args:
        text: What was written.
        grader: `number`, `choice`, `formula`, `literal`, `contains` (a text that may stand in a longer one), else
            `exact`.
        options: What can be chosen; without any, the letters A to Z can be.
    """
    match grader:
        case "number":
            return number(text)
        case "choice":
            return choice(text, len(options) or LETTERS, options)
        case "formula":
            return formula(text)
        case "literal":
            return literal(text)
        case "contains":
            return exact(text, sentence=False)
    return exact(text)


def agrees(reference: str, answer: str, grader: str, options: Sequence[str]) -> bool:
    """Return whether an answer is the reference, both read by `read`; an unreadable one agrees with nothing.

    Where the grader is `exact`, brackets and the like around the answer may be dress (see `same_text`). Where it is
    `contains`, the reference stands in the answer, as whole words. Formulas are compared by what they mean, and a
    reference is one without marks around it.
    """
    if grader in ("exact", "contains"):
        gold, words = exact(reference, sentence=False), exact(answer, sentence=False)
        if gold is None or words is None:
            return False
        within = grader == "contains" and _whole(gold).search(words) is not None
        return within or same_text(gold, words)
    if grader == "formula":
        gold = read(_reply(reference, grader), grader, options)
        return gold is not None and equivalent(gold, answer)
    right, said = read(reference, grader, options), read(answer, grader, options)
    if right is None or said is None:
        return False
    return right == said


def _whole(words: str) -> re.Pattern[str]:
    """Return where a text stands as whole words, and no number within another (5 in 1.5, 5,000 or -5)."""
    before = r"(?<!\w)(?<!\d[.,])(?<!(?<!\w)[-\u2212])" if words[0].isdigit() else r"(?<!\w)"
    after = r"(?!\w)(?![.,]\d)" if words[-1].isdigit() else r"(?!\w)"
    return re.compile(before + re.escape(words) + after)


def _reply(reference: str, grader: str) -> str:
    """Return a reply that states a reference."""
    derived = grader == "number" and "\n" in reference.strip()  # a derivation with the number behind it
    return reference if derived else f"Answer: {reference}"


_PLAIN = {
    "exact": "write a text",
    "contains": "write a text",
    "number": "write one number alone, such as 1234.5 or 2/3",
    "choice": "write its letter, or an option word for word",
    "formula": "write one formula alone",
    "literal": "write one Python value alone, such as [1, 'a']",
}


def why_unfit(reference: str, grader: str, options: Sequence[str]) -> str:
    """Return why a text is no reference that a grader can hold replies to; empty if it is.

    It must be readable, mean one thing, and agree with a reply that repeats it.
    """
    if read(_reply(reference, grader) if grader == "formula" else reference, grader, options) is None:
        return f"is not one that the grader {grader} can read; {_PLAIN[grader]}"
    if grader == "number" and not is_one_number(reference):
        return "holds more than one number (or a time, a date, a range); give one number, or the grader exact"
    reply = _reply(reference, grader)
    said = read(reply, grader, options)
    if said is None or not agrees(reference, said, grader, options):
        return f"would not agree with the reply {reply!r} by the grader {grader}; write it more plainly"
    return ""


def normalised(question: str) -> str:
    """Return the text that splits are made by: lower case, white space folded."""
    return " ".join(question.lower().split())


def split_of(question: str, *, seed: int = 0, test: float = 0.5, validation: float = VALIDATION) -> Split:
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
    """Return the tasks of a split, made by `split_of`; the first `limit` of them, if there is a limit.

    Tasks of one group are split by its name instead of their questions, so that they stay together.
    """
    check_split(split)
    chosen = [t for t in tasks if split == "all" or split_of(t.group or t.question, seed=seed) == split]
    return first(chosen, limit)


def select_upstream(
    split: Split,
    *,
    train: Sequence[Task],
    test: Sequence[Task],
    validation: Sequence[Task] | None = None,
    seed: int = 0,
    limit: int | None = None,
) -> list[Task]:
    """Return the tasks of a split of a benchmark that comes with its own split.

    `validation` None carves a fifth from the training questions, by their text and the seed. There is no lock-box, for
    upstream already keeps its test apart.

    All test questions are the test, as the field reports it. A question that stands in the test too (or
    in the validation, for training) is left out of the rest, by its normalised text.

    Raises:
        ConfigError: There is no such split.
    """
    check_split(split)
    if split == "lockbox":
        raise ConfigError("a benchmark with a test split of its own has no lock-box; choose split=test")
    tested = {normalised(t.question) for t in test}
    train = [t for t in train if normalised(t.question) not in tested]
    if validation is None:
        validation = [t for t in train if draws(t.question, seed=seed)[1] < VALIDATION]
    else:
        validation = [t for t in validation if normalised(t.question) not in tested]
    validated = {normalised(t.question) for t in validation}
    train = [t for t in train if normalised(t.question) not in validated]
    parts = {"train": train, "validation": validation, "test": test}
    return first([t for name, part in parts.items() if split in (name, "all") for t in part], limit)


def check_split(split: str) -> None:
    """Raise ConfigError unless there is such a split."""
    if split not in SPLITS:
        raise ConfigError(f"split {split!r} is unknown; expected one of {', '.join(SPLITS)}")


def first(tasks: list[Task], limit: int | None) -> list[Task]:
    """Return the first `limit` tasks, or all; raise ConfigError if the limit leaves none."""
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit}; give the number of tasks to load, or null for all")
    return tasks[:limit]
