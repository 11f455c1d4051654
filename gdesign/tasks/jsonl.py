"""Your own questions, as JSON Lines."""

import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gdesign.errors import ConfigError, DataError
from gdesign.files import read_jsonl
from gdesign.sandbox import Sandbox
from gdesign.tasks.answers import exact, program
from gdesign.tasks.answers.texts import is_sentence
from gdesign.tasks.base import VALIDATION, Split, agrees, check_split, draws, first, normalised, read, why_unfit
from gdesign.tasks.data import existing
from gdesign.tasks.programs import Suite, grader
from gdesign.tasks.suites import fault, suite_of
from gdesign.types import Task

GRADERS = ("exact", "contains", "number", "choice", "formula", "literal", "code")
KEYS = ("id", "question", "answer", "options", "choices", "domain", "group", "grader", "tests")
_ASKS = re.compile(
    r"((?:sub)?(?:context|passage|paragraph|article|document|story|background|premise|hypothesis|dialogue|conversation"
    r"|image|picture|photo|figure|diagram|chart|table|audio|video|attachment|file|code|input|prompt|instruction|message)"
    r"s?(?:path|url|name|text|base64|bytes)?|system|history)\d*"
)
_CHOOSES = re.compile(
    r"(?:options?|choices?|opt|ans(?:wer)?)?(?:[a-j]|(?<=.)\d)|opts|candidates|alternatives|endings?\d*|distractors?\d*"
    r"|(?:incorrect|wrong)answers?\d*"
)
_TESTS = re.compile(r"(?:unit|hidden|public|private|challenge)?tests?(?:cases?|list|code|setupcode|imports?)|asserts?")
_NEAR = 0.82  # of difflib: above `idx` and `id`, below `optoin` and `options`
log = logging.getLogger(__name__)


class JSONL:
    """Questions from JSON Lines files: `{id, question, answer, options?, domain?, group?, grader?, tests?}`.

    The grader says what the answer is: `exact` (a text; case, white space and Markdown do not matter), `contains` (a
    text that stands in what the reply states, or in all of it where it states nothing), `number`, `choice` (a letter,
    or one of the options; without options a letter from A to Z), `formula`, `literal` (a Python value) or `code`.
    Without one it is `code` for a question with tests, `choice` for one with options, `number` for an answer that is a
    number in JSON, else `exact`. `choices` is another name of `options`. Keys that begin with `_` are left alone;
    others are named once in a warning (`level`, `source`) and not used, but refused where they look like one of these
    written wrong, or would be part of the question, the options or the tests (`context`, `image`). An answer that its
    own grader cannot read, or not in a reply that states it, is refused.

    With the grader `code` the answer is a program that is right and `tests` is Python that raises where a program is
    wrong, such as lines `assert f(1) == 2`; `suite_of` says what else is run. Tests use names that the answer defines,
    and what it imports; `Sandbox.check` says what they can do. What is loaded is run against its own tests once, unless
    answers are recorded; tests that nonsense passes too are refused. A test question may not be among those for
    training: questions are compared by their normalised text, and those of one `group` count as one.

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
        self._where: dict[str, str] = {}
        self._suites: dict[str, Suite] = {}
        self._sound: set[str] = set()
        self._sentences = False
        self._unused: dict[str, str] = {}
        self._tested_in = Sandbox() if sandbox is None else sandbox
        self._run = grader(self._tested_in)
        training = self._read(Path(train))
        if validation is None:
            rank = {_stem(t): draws(t.group or t.question, seed=split_seed)[1] for t in training}
            held_out = set(sorted(rank, key=lambda q: rank[q])[: math.ceil(VALIDATION * (len(rank) - 1))])
            validating = [t for t in training if _stem(t) in held_out]
            training = [t for t in training if _stem(t) not in held_out]
        else:
            validating = self._read(Path(validation))
        self._splits = {"train": training, "validation": validating, "test": self._read(Path(test))}
        self.sandbox = self._tested_in if self._suites else None
        if self._unused:
            log.warning(
                "%s: not used of what the questions hold: %s; used are %s",
                next(iter(self._unused.values())),
                ", ".join(self._unused),
                ", ".join(KEYS),
            )
        seen: dict[tuple[bool, str], tuple[str, str]] = {}
        for split, tasks in self._splits.items():
            for task, key in ((t, k) for t in tasks for k in ((False, normalised(t.question)), _stem(t))):
                other, twin = seen.setdefault(key, (split, task.id))
                if other != split:
                    raise DataError(
                        f"the question {task.id!r} of the {split} split is also {twin!r} of the {other} split; "
                        "leave it out of one of them"
                    )

    @property
    def wants_programs(self) -> bool:
        """Whether all answers are programs."""
        return len(self._suites) == len(self._grader)

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split.

        Raises:
            ConfigError: There is no such split; own questions have no lock-box.
            DataError: A program that shall be right fails its own tests, or nonsense passes them.
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
        new = [t for t in tasks if t.id not in self._sound]
        with ThreadPoolExecutor() as threads:  # the sandbox runs as many at a time as there is room for
            faults = list(threads.map(lambda t: fault(t.answer, self._suites[t.id], self._tested_in), new))
        for task, wrong in zip(new, faults, strict=True):
            if wrong:
                raise DataError(f"{self._where[task.id]}: the answer of the question {task.id!r} {wrong}")
            self._sound.add(task.id)

    def extract(self, task: Task, text: str) -> str | None:
        """Return what the question's grader reads; the text itself if it was recorded, None if that is empty.

        A question that is in no file is read by `exact`, or as a program where all others are. Where an answer in the
        files is a sentence itself, `exact` reads sentences whole: `All men are mortal` and `Some men are mortal` are
        two answers.
        """
        if self.recorded:
            return text or None
        if (suite := self._suites.get(task.id)) is not None:
            return program(text, suite.names)
        if task.id not in self._grader and self.wants_programs:
            return program(text)
        kind = self._grader.get(task.id, "exact")
        if kind == "exact" and self._sentences:
            return exact(text, sentence=False)
        return read(text, kind, task.options)

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
        for key in _unused(values, where):
            self._unused.setdefault(key, where)
        task = Task(
            id=f"{self.name}/{_text(values, 'id', where)}",
            question=_text(values, "question", where),
            answer=_text(values, "answer", where),
            benchmark=self.name,
            domain="" if values.get("domain") in (None, "") else _text(values, "domain", where),
            options=_options(values, where),
            group="" if values.get("group") in (None, "") else _text(values, "group", where),
        )
        if task.id in self._grader:
            raise DataError(f"{where}: the id {values['id']!r} is there twice")
        kind = values.get("grader") or _kind(values, task)
        if kind not in GRADERS:
            raise ConfigError(f"{where}: grader {kind!r} is unknown; expected {', '.join(GRADERS)}")
        tests = values.get("tests")
        if isinstance(tests, list) and all(isinstance(test, str) for test in tests):
            tests = "\n".join(tests)
        if kind != "code":
            if tests is not None:
                raise DataError(f"{where}: tests are there, which the grader {kind} does not run; set grader to code")
            if unfit := why_unfit(task.answer, kind, task.options):
                raise DataError(f"{where}: the answer {_shown(task.answer)} {unfit}")
            if kind == "choice" and not task.options and not re.fullmatch(r"\W*[A-Za-z]\W*", task.answer):
                raise DataError(
                    f"{where}: the answer {_shown(task.answer)} is no letter, and there are no options; write "
                    "its letter, or give options"
                )
        elif isinstance(tests, str) and tests.strip():
            self._suites[task.id] = suite_of(task.answer, tests, where=where)
        else:
            raise DataError(f"{where}: the grader code needs tests, a text such as 'assert f(1) == 2'; got {tests!r}")
        self._grader[task.id], self._where[task.id] = kind, where
        self._sentences |= kind == "exact" and is_sentence(task.answer)
        return replace(task, wants_program=kind == "code")


def _stem(task: Task) -> tuple[bool, str]:
    """Return what no split may part: a group, or the text of a question."""
    return bool(task.group), normalised(task.group or task.question)


def _kind(values: Mapping[str, Any], task: Task) -> str:
    """Return the grader of a question that names none."""
    if values.get("tests") is not None:
        return "code"
    return "choice" if task.options else "exact" if isinstance(values["answer"], str) else "number"


def _unused(values: Mapping[str, Any], where: str) -> list[str]:
    """Return the keys that say nothing here; one that is a slip, or would be asked or graded by, is refused."""
    unused = [k for k, v in values.items() if k not in KEYS and not k.startswith("_") and v not in (None, "", [], {})]
    for key in unused:
        one_word = key.strip().lower()
        near = get_close_matches(one_word, KEYS, n=1, cutoff=_NEAR) if one_word.isalpha() else []
        letters = re.sub(r"[\W_]", "", key.lower())
        if near:
            why = f"is unknown, did you mean {near[0]!r}?"
        elif _ASKS.fullmatch(letters):
            why = "would be part of the question, and is not sent; write what matters of it into question."
        elif _CHOOSES.fullmatch(letters):
            why = "would be one of the options; write a list of them under options."
        elif _TESTS.fullmatch(letters):
            why = "would be tests, and is not run; write them under tests."
        else:
            continue
        raise DataError(
            f"{where}: the key {key!r} {why} Expected {', '.join(KEYS)}; what shall not be used may stand under a key "
            "that begins with _"
        )
    return unused


def _options(values: Mapping[str, Any], where: str) -> tuple[str, ...]:
    named = [key for key in ("options", "choices") if values.get(key)]
    if len(named) == 2:
        raise DataError(f"{where}: options and choices are two names of the same; leave one out")
    options = values[named[0]] if named else []
    if not isinstance(options, list):
        raise DataError(f"{where}: {named[0]} is {_shown(options)}; expected a list of strings, the first one being A")
    if len(options) > 26:
        raise DataError(f"{where}: there are {len(options)} {named[0]}; letters name 26 at most")
    return tuple(_text({f"option {i + 1}": option}, f"option {i + 1}", where) for i, option in enumerate(options))


def _text(values: Mapping[str, Any], key: str, where: str) -> str:
    """Return a text, or a number as it is written, that a field has to hold."""
    value = values[key]
    if isinstance(value, str) and value.strip() and not (key == "answer" and "\ufffd" in value):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return str(value)
    raise DataError(f"{where}: {key} is {_shown(value)}; expected a text that says something, or a number")


def _shown(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 80 else f"{text[:77]}..."
