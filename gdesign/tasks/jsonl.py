"""Your own questions, as JSON Lines."""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gdesign.errors import ConfigError, DataError
from gdesign.sandbox import Sandbox
from gdesign.tasks.answers import program
from gdesign.tasks.base import VALIDATION, Split, agrees, check_split, draws, first, normalised, read, why_unfit
from gdesign.tasks.data import existing, read_jsonl
from gdesign.tasks.programs import Suite, grader, imports, names_under_test
from gdesign.types import Task

GRADERS = ("exact", "number", "choice", "code")


class JSONL:
    """Questions from JSON Lines files: `{id, question, answer, options?, domain?, grader?, tests?}`.

    The grader is `exact` (case, white space and Markdown do not matter), `number`, or `choice`
    (the answer is a letter or one of the options); without one it is `choice` for a question with
    options, else `exact`. With the grader `code` the answer is a program that is right and `tests` is Python that
    raises where a program is wrong, such as lines `assert f(1) == 2`; they use names that the answer defines, and what
    it imports; `Sandbox.check` says what they can do. What is loaded is run against its own tests once, unless answers
    are recorded. A test question may not be among those for training: questions
    are compared by their normalised text.

    Args:
        train: File of the training questions.
        test: File of the test questions.
        validation: File of the validation questions; None to carve a fifth from the training ones.
        name: What the tasks' ids begin with, and the set that recorded answers are looked up in.
        recorded: Whether recorded strings are compared as they are.
        sandbox: Where programs run; one with its defaults unless given.
        split_seed: Draws another validation part.
        limit: Loads the first tasks of a split only.

    Attributes:
        sandbox: Where programs run; None where no question asks for one.

    Raises:
        MissingDataError: A file is not there.
        DataError: A line does not hold what it must, or a question is in two splits.
        ConfigError: A grader is unknown.
    """

    def __init__(
        self,
        *,
        train: str | Path,
        test: str | Path,
        validation: str | Path | None = None,
        name: str = "jsonl",
        recorded: bool = False,
        sandbox: Sandbox | None = None,
        split_seed: int = 0,
        limit: int | None = None,
    ) -> None:
        self.name = name
        self.recorded = recorded
        self.limit = limit
        self._grader: dict[str, str] = {}
        self._suites: dict[str, Suite] = {}
        tested_in = Sandbox() if sandbox is None else sandbox
        self._run = grader(tested_in)
        training = self._read(Path(train))
        if validation is None:
            rank = {normalised(t.question): draws(t.question, seed=split_seed)[1] for t in training}
            held_out = set(sorted(rank, key=lambda q: rank[q])[: math.ceil(VALIDATION * (len(rank) - 1))])
            validating = [t for t in training if normalised(t.question) in held_out]
            training = [t for t in training if normalised(t.question) not in held_out]
        else:
            validating = self._read(Path(validation))
        self._splits = {"train": training, "validation": validating, "test": self._read(Path(test))}
        self.sandbox = tested_in if self._suites else None
        seen: dict[str, tuple[str, str]] = {}
        for split, tasks in self._splits.items():
            for task in tasks:
                other, twin = seen.setdefault(normalised(task.question), (split, task.id))
                if other != split:
                    raise DataError(
                        f"the question {task.id!r} of the {split} split is also {twin!r} of the {other} split; "
                        "leave it out of one of them"
                    )

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split.

        Raises:
            ConfigError: There is no such split; own questions have no lock-box.
            DataError: A program that shall be right fails its own tests.
        """
        check_split(split)
        if split == "lockbox":
            raise ConfigError("own questions have no lock-box; choose split=test")
        tasks = [t for part in self._splits.values() for t in part] if split == "all" else self._splits[split]
        tasks = first(tasks, self.limit)
        if not self.recorded:
            self._check_references([t for t in tasks if t.id in self._suites])
        return tasks

    def _check_references(self, tasks: Sequence[Task]) -> None:
        with ThreadPoolExecutor() as threads:  # the sandbox runs as many at a time as there is room for
            scores = list(threads.map(lambda t: self._run(self._suites[t.id], t.answer), tasks))
        for task, score in zip(tasks, scores, strict=True):
            if score == 0:
                suite = self._suites[task.id]
                assert self.sandbox is not None
                done = self.sandbox.check(task.answer, tests=suite.tests, names=suite.names)
                raise DataError(f"the answer of the question {task.id!r} fails its tests: {done.detail or done.why}")

    def extract(self, task: Task, text: str) -> str | None:
        """Return what the question's grader reads; the text itself if it was recorded, None if that is empty.

        A question that is in no file is read by `exact`.
        """
        if self.recorded:
            return text or None
        if (suite := self._suites.get(task.id)) is not None:
            return program(text, suite.names)
        return read(text, self._grader.get(task.id, "exact"), task.options)

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for the right answer, else 0."""
        if (suite := self._suites.get(task.id)) is not None:
            return self._run(suite, answer)
        return float(agrees(task.answer, answer, self._grader[task.id], task.options))

    def _read(self, path: Path) -> list[Task]:
        path = existing(path)
        lines = read_jsonl(path, needs=("id", "question", "answer"))
        tasks = [self._task(values, f"{path}:{line}") for line, values in lines]
        if not tasks:
            raise DataError(f"{path} holds no questions")
        return tasks

    def _task(self, values: Mapping[str, Any], where: str) -> Task:
        options = values.get("options") or []
        if not isinstance(options, list) or not all(isinstance(o, str) for o in options):
            raise DataError(f"{where}: options is {options!r}; expected a list of strings")
        task = Task(
            id=f"{self.name}/{values['id']}",
            question=str(values["question"]),
            answer=str(values["answer"]),
            benchmark=self.name,
            domain=str(values.get("domain") or ""),
            options=tuple(options),
        )
        kind = values.get("grader") or ("choice" if options else "exact")
        if kind not in GRADERS:
            raise ConfigError(f"{where}: grader {kind!r} is unknown; expected {', '.join(GRADERS)}")
        if kind == "code":
            tests = values.get("tests")
            if not isinstance(tests, str) or not tests.strip():
                raise DataError(
                    f"{where}: the grader code needs tests, a text such as 'assert f(1) == 2'; got {tests!r}"
                )
            names = names_under_test(task.answer, tests, where=where)
            self._suites[task.id] = Suite(tests=f"{imports(task.answer)}\n{tests}", names=names)
        elif unfit := why_unfit(task.answer, kind, task.options):
            raise DataError(f"{where}: the answer {task.answer!r} {unfit}")
        if task.id in self._grader:
            raise DataError(f"{where}: the id {values['id']!r} is there twice")
        self._grader[task.id] = kind
        return task
