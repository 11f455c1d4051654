"""Outcome tables: answers that real LLMs gave to real questions, once each.

The open format is a directory that holds, plain or gzipped,

- `<set>.questions.jsonl`: `{qid, question, answer, prompt_tokens?, category?, options?}`
- `<set>.results.csv`: `qid, model, correct, answer` (or `pred`) `, output_tokens_cl100k`
- `prices.csv`, which pools read: `model, usd_per_1M_input, usd_per_1M_output`

Where only scores are known, one file `<set>.jsonl` holds `{question, scores: {model: score}}` a line.
"""

import csv
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from gdesign.errors import DataError
from gdesign.files import read_jsonl, reading
from gdesign.tasks.data import data_dir, existing
from gdesign.types import Task

MISSING = -1
"""What the token column of a model holds where it did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of an outcome table.

    Attributes:
        qid: Unique within its table.
        question: The text.
        answer: The reference answer.
        prompt_tokens: Tokens of the recorded prompt; None if the table does not know.
        category: What the table says the question is about; may be empty.
        options: The choices of a multiple-choice question; empty otherwise.
    """

    qid: str
    question: str
    answer: str
    prompt_tokens: int | None = None
    category: str = ""
    options: tuple[str, ...] = ()


class Recorded(NamedTuple):
    """What one LLM answered to one question: the recorded string, its score in [0, 1], its tokens."""

    answer: str
    correct: float
    output_tokens: int


class Column(NamedTuple):
    """What one LLM answered, by position of the question; `output_tokens` is MISSING where it did not."""

    answer: list[str]
    correct: "array[float]"
    output_tokens: "array[int]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OutcomeTable:
    """Questions, and what each LLM answered to them.

    Attributes:
        name: What messages call the table.
        questions: In file order.
        models: Names of the LLMs, in order of first appearance.
        columns: The outcomes of each LLM.
        scores_only: Whether the answers themselves are unknown. A text that says so stands for those of each LLM, and
            no token was counted.
        position: Position of each question, by qid.
    """

    name: str
    questions: tuple[Question, ...]
    models: tuple[str, ...]
    columns: Mapping[str, Column]
    scores_only: bool = False
    position: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", {q.qid: i for i, q in enumerate(self.questions)})

    def outcome(self, qid: str, model: str) -> Recorded:
        """Return what an LLM answered to a question.

        Raises:
            DataError: The table has no such question, LLM, or answer.
        """
        column = self.columns.get(model)
        if column is None:
            raise DataError(f"outcome table {self.name} has no model {model!r}; it has {', '.join(self.models)}")
        i = self.position.get(qid)
        if i is None:
            raise DataError(f"outcome table {self.name} has no question {qid!r}; was the task made from another table?")
        if column.output_tokens[i] == MISSING:
            raise DataError(
                f"outcome table {self.name}: model {model!r} did not answer question {qid!r}; "
                "choose among complete_models()"
            )
        return Recorded(column.answer[i], column.correct[i], column.output_tokens[i])

    def complete_models(self, *, answered: float = 1.0) -> tuple[str, ...]:
        """Return the LLMs that answered every question, or at least this share of them."""
        n = len(self.questions)
        return tuple(m for m in self.models if n - self.columns[m].output_tokens.count(MISSING) >= answered * n)

    def answered_by(self, models: Sequence[str]) -> tuple[Question, ...]:
        """Return the questions that each of these LLMs answered."""
        tokens = [self.columns[m].output_tokens for m in models]
        return tuple(q for i, q in enumerate(self.questions) if all(t[i] != MISSING for t in tokens))


def load_table(directory: str | Path, set_name: str = "") -> OutcomeTable:
    """Read an outcome table; a table is read once per process.

    Its files begin with the name of the set; without one they are `questions.jsonl` and `results.csv`.

    Raises:
        MissingDataError: A file is not there.
        DataError: A file does not hold what the format promises; the message names file and line.
    """
    return _load(Path(directory).resolve(), set_name)


@lru_cache
def _load(directory: Path, set_name: str) -> OutcomeTable:
    questions = _load_questions(directory, set_name)
    columns = _results(existing(directory / f"{_prefix(set_name)}results.csv"), questions)
    return OutcomeTable(name=set_name or directory.name, questions=questions, models=tuple(columns), columns=columns)


@lru_cache
def load_scores(path: Path) -> OutcomeTable:
    """Read a table that holds scores and no answers; its qids are the numbers of its lines, from 1.

    Raises:
        MissingDataError: It is not there.
        DataError: A line does not hold what the format promises.
    """
    path = existing(path)
    rows = list(read_jsonl(path, needs=("question", "scores")))
    n = len(rows)
    columns: dict[str, Column] = {}
    for i, (line, values) in enumerate(rows):
        scores = values["scores"]
        if not isinstance(scores, dict) or not all(_is_score(score) for score in scores.values()):
            raise DataError(f"{path}:{line}: scores is {scores!r}; expected a score in [0, 1] by model")
        for model, score in scores.items():
            column = columns.setdefault(model, _column(f"unknown answer of {model}", n))
            column.correct[i] = score
            column.output_tokens[i] = 0
    if not columns:
        raise DataError(f"{path} holds no scores")
    return OutcomeTable(
        name=path.name.partition(".")[0],
        questions=tuple(Question(qid=str(line), question=str(v["question"]), answer="") for line, v in rows),
        models=tuple(columns),
        columns=columns,
        scores_only=True,
    )


def _column(answer: str, n: int) -> Column:
    return Column([answer] * n, array("d", bytes(8 * n)), array("q", [MISSING]) * n)


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def load_questions(directory: str | Path, set_name: str = "") -> tuple[Question, ...]:
    """Read the questions of an outcome table alone; arguments and errors are those of `load_table`."""
    return _load_questions(Path(directory).resolve(), set_name)


@lru_cache
def _load_questions(directory: Path, set_name: str) -> tuple[Question, ...]:
    path = existing(directory / f"{_prefix(set_name)}questions.jsonl")
    questions = tuple(
        _question(values, f"{path}:{line}") for line, values in read_jsonl(path, needs=("qid", "question", "answer"))
    )
    if not questions:
        raise DataError(f"{path} holds no questions")
    seen = set()
    for q in questions:
        if q.qid in seen:
            raise DataError(f"{path}: question {q.qid!r} is there twice; a qid must be unique within its table")
        seen.add(q.qid)
    return questions


def tasks_of(questions: Sequence[Question], *, benchmark: str, domain: str = "") -> list[Task]:
    """Return the questions as tasks, with the ids that recorded answers are looked up by.

    A task's id is `<benchmark>/<qid>`; without a domain it has its question's category.
    """
    return [
        Task(
            id=f"{benchmark}/{q.qid}",
            question=q.question,
            answer=q.answer,
            benchmark=benchmark,
            domain=domain or q.category,
            options=q.options,
        )
        for q in questions
    ]


def recorded_tasks(directory: str, set_name: str, *, domain: str) -> list[Task]:
    """Return the questions of a table in `routing/` of the data folder as tasks of the benchmark named as the set."""
    return tasks_of(load_questions(data_dir() / "routing" / directory, set_name), benchmark=set_name, domain=domain)


def _prefix(set_name: str) -> str:
    return f"{set_name}." if set_name else ""


def _question(values: dict[str, Any], where: str) -> Question:
    tokens = values.get("prompt_tokens")
    options = values.get("options") or ()
    if tokens is not None and (not isinstance(tokens, int) or tokens < 0):
        raise DataError(f"{where}: prompt_tokens is {tokens!r}; expected a whole number of 0 or more, or none at all")
    if not isinstance(options, list | tuple) or not all(isinstance(o, str) for o in options):
        raise DataError(f"{where}: options is {options!r}; expected a list of strings")
    return Question(
        qid=str(values["qid"]),
        question=str(values["question"]),
        answer=str(values["answer"]),
        prompt_tokens=tokens,
        category=str(values.get("category") or ""),
        options=tuple(options),
    )


def _results(path: Path, questions: tuple[Question, ...]) -> dict[str, Column]:
    n = len(questions)
    position = {q.qid: i for i, q in enumerate(questions)}
    columns: dict[str, Column] = {}
    same: dict[str, str] = {}  # one object for equal answers: a table has few different ones
    with reading(path) as file:
        rows = csv.reader(file)
        header = next(rows, [])
        answer_name = "answer" if "answer" in header else "pred"
        names = ("qid", "model", "correct", answer_name, "output_tokens_cl100k")
        if missing := [name for name in names if name not in header]:
            raise DataError(f"{path} has the columns {', '.join(header) or '(none)'}; it lacks {', '.join(missing)}")
        i_qid, i_model, i_correct, i_answer, i_tokens = (header.index(name) for name in names)
        for row in rows:
            try:
                qid, model, answer = row[i_qid], row[i_model], row[i_answer]
                correct, tokens = float(row[i_correct]), int(row[i_tokens])
            except (ValueError, IndexError):
                raise DataError(
                    f"{path}:{rows.line_num}: {row!r}; expected {', '.join(header)}, with a number for correct and "
                    "a whole number for output_tokens_cl100k"
                ) from None
            if not (0 <= correct <= 1 and tokens >= 0):
                raise DataError(
                    f"{path}:{rows.line_num}: correct is {correct:g} and output_tokens_cl100k is {tokens}; "
                    "expected correct in [0, 1] and no negative tokens"
                )
            i = position.get(qid)
            if i is None:
                raise DataError(f"{path}:{rows.line_num}: question {qid!r} is not in the table's questions")
            if (column := columns.get(model)) is None:
                column = columns[model] = _column("", n)
            if column.output_tokens[i] != MISSING:
                raise DataError(f"{path}:{rows.line_num}: model {model!r} answers question {qid!r} a second time")
            column.answer[i] = same.setdefault(answer, answer)
            column.correct[i] = correct
            column.output_tokens[i] = tokens
    if not columns:
        raise DataError(f"{path} holds no results")
    return columns
