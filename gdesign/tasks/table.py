"""Outcome tables: answers that real LLMs gave to real questions, each in one or more ways of working and times.

The open format is a directory that holds, plain or gzipped,

- `<set>.questions.jsonl`: `{qid, question, answer, prompt_tokens?, category?, options?, group?}`
- `<set>.results.csv`: `qid, model, correct, answer` (or `pred`) `, output_tokens_cl100k`, and where they are known
  `operator, sample, prompt_tokens, calls, usd`
- `prices.csv`, which pools read: `model, usd_per_1M_input, usd_per_1M_output`

Where only scores are known, one file `<set>.jsonl` holds `{question, scores: {model: score}}` a line.
"""

from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import inf, isnan
from pathlib import Path
from typing import Any

from gdesign.errors import DataError
from gdesign.files import UNKNOWN, Sheet, read_jsonl, read_sheet
from gdesign.tasks.data import data_dir, existing
from gdesign.tasks.outcomes import ANSWER, MISSING, Column, OutcomeTable, Question, Way
from gdesign.types import Task


def load_table(directory: str | Path, set_name: str = "", *, ways_of: str = "") -> OutcomeTable:
    """Read an outcome table; a table is read once per process.

    Its files begin with the name of the set; without one they are `questions.jsonl` and `results.csv`.

    Args:
        ways_of: The one LLM whose ways of working the column `model` names; empty where it names LLMs.

    Raises:
        MissingDataError: A file is not there.
        DataError: A file does not hold what the format promises; the message names file and line.
    """
    return _load(Path(directory).resolve(), set_name, ways_of)


@lru_cache
def _load(directory: Path, set_name: str, ways_of: str) -> OutcomeTable:
    questions = _load_questions(directory, set_name)
    columns = _results(existing(directory / f"{_prefix(set_name)}results.csv"), questions, ways_of)
    return OutcomeTable(name=set_name or directory.name, questions=questions, columns=columns)


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
        if not isinstance(scores, dict) or not all(s is None or _is_score(s) for s in scores.values()):
            raise DataError(
                f"{path}:{line}: scores is {scores!r}; expected a score in [0, 1] by model, or null where it has none"
            )
        for model, score in scores.items():
            if score is None:
                continue
            if (column := columns.get(model)) is None:
                column = columns[model] = _column(f"unknown answer of {model}", n)
            column.correct[i] = score
            column.output_tokens[i] = 0
    if not columns:
        raise DataError(f"{path} holds no scores")
    return OutcomeTable(
        name=path.name.partition(".")[0],
        questions=tuple(
            Question(qid=str(line), question=_text(v, "question", f"{path}:{line}"), answer="") for line, v in rows
        ),
        columns={Way(model): (column,) for model, column in columns.items()},
        scores_only=True,
    )


def _column(answer: str, n: int) -> Column:
    return Column([answer] * n, array("d", bytes(8 * n)), array("q", [MISSING]) * n, {})


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
            group=q.group,
        )
        for q in questions
    ]


def recorded_tasks(directory: str, set_name: str, *, domain: str) -> list[Task]:
    """Return the questions of a table in `routing/` of the data folder as tasks of the benchmark named as the set."""
    return tasks_of(load_questions(data_dir() / "routing" / directory, set_name), benchmark=set_name, domain=domain)


def _prefix(set_name: str) -> str:
    return f"{set_name}." if set_name else ""


def _known(values: Mapping[str, Any], key: str) -> Any:
    """Return what an object holds; None for null and NaN, which scripts write where nothing is."""
    value = values.get(key)
    return None if isinstance(value, float) and isnan(value) else value


def _text(values: Mapping[str, Any], key: str, where: str) -> str:
    if (value := _known(values, key)) is None:
        raise DataError(f"{where}: {key} is {'null' if values[key] is None else 'NaN'}; give it, or leave the line out")
    return str(value)


def _question(values: dict[str, Any], where: str) -> Question:
    tokens = _known(values, "prompt_tokens")
    options = _known(values, "options") or ()
    if isinstance(tokens, float) and tokens.is_integer():
        tokens = int(tokens)
    if tokens is not None and (not isinstance(tokens, int) or tokens < 0):
        raise DataError(f"{where}: prompt_tokens is {tokens!r}; expected a whole number of 0 or more, or none at all")
    if not isinstance(options, list | tuple) or not all(isinstance(o, str) for o in options):
        raise DataError(f"{where}: options is {options!r}; expected a list of strings")
    return Question(
        qid=_text(values, "qid", where),
        question=_text(values, "question", where),
        answer=_text(values, "answer", where),
        prompt_tokens=tokens,
        category=str(_known(values, "category") or ""),
        options=tuple(options),
        group=str(_known(values, "group") or ""),
    )


def _results(path: Path, questions: tuple[Question, ...], ways_of: str) -> dict[Way, Sequence[Column]]:
    sheet = read_sheet(path, needs=("qid", "model", "correct", "output_tokens_cl100k"))
    answer_name = "answer" if "answer" in sheet.header else "pred"
    if answer_name not in sheet.header:
        raise DataError(f"{path} has the columns {', '.join(sheet.header)}; it lacks answer (or pred)")
    names = ("qid", "model", "correct", answer_name, "output_tokens_cl100k")
    i_qid, i_model, i_correct, i_answer, i_tokens = (sheet.header.index(name) for name in names)
    i_operator, i_sample = sheet.index("operator"), sheet.index("sample")
    extra = {name: i for name in ("prompt_tokens", "calls", "usd") if (i := sheet.index(name)) is not None}
    n = len(questions)
    position = {q.qid: i for i, q in enumerate(questions)}
    columns: dict[Way, dict[int, Column]] = {}
    ways: dict[tuple[str, str], dict[int, Column]] = {}
    same: dict[str, str] = {}  # one object for equal answers: a table has few different ones
    grades: dict[str, float] = {}  # nor are there many different numbers to read
    lengths: dict[str, int] = {}
    for line, row in sheet.rows:
        model = row[i_model].strip()
        operator = "" if i_operator is None else row[i_operator].strip()
        if (samples := ways.get((model, operator))) is None:
            if not model:
                raise sheet.error(line, "model is empty; name who answered")
            way = Way(ways_of, model) if ways_of else Way(model, operator or ANSWER)
            samples = ways[model, operator] = columns.setdefault(way, {})
        number = 0
        if (correct := grades.get(row[i_correct])) is None:
            correct = grades[row[i_correct]] = _grade(sheet, line, row[i_correct])
        if (tokens := lengths.get(row[i_tokens])) is None:
            tokens = lengths[row[i_tokens]] = _whole(sheet, line, "output_tokens_cl100k", row[i_tokens])
        if i_sample is not None and row[i_sample].strip().lower() not in UNKNOWN:
            number = _whole(sheet, line, "sample", row[i_sample])
        i = position.get(row[i_qid])
        if i is None and (i := position.get(row[i_qid].strip())) is None:
            raise sheet.error(
                line,
                f"question {row[i_qid]!r} is not in the table's questions, which are such as {questions[0].qid!r}; was "
                "it changed by a spreadsheet?",
            )
        if (column := samples.get(number)) is None:
            column = samples[number] = _column("", n)
        if column.output_tokens[i] != MISSING:
            raise sheet.error(
                line,
                f"model {model!r} answers question {row[i_qid]!r} a second time; number its answers in a column "
                "sample, or say in a column operator how it worked",
            )
        column.answer[i] = same.setdefault(row[i_answer], row[i_answer])
        column.correct[i] = correct
        column.output_tokens[i] = tokens
        if extra:
            column.costs[i] = _costs(sheet, line, {name: row[at] for name, at in extra.items()})
    if not columns:
        raise DataError(f"{path} holds no results")
    return {way: tuple(samples[number] for number in sorted(samples)) for way, samples in columns.items()}


def _grade(sheet: Sheet, line: int, text: str) -> float:
    try:
        grade = sheet.number(text)
    except ValueError:
        grade = {"true": 1.0, "false": 0.0}.get(text.strip().lower(), -1.0)
    if not 0 <= grade <= 1:
        raise sheet.error(line, f"correct is {text!r}; expected correct in [0, 1], or true or false")
    return grade


def _whole(sheet: Sheet, line: int, name: str, text: str) -> int:
    try:
        number = sheet.whole(text)
    except ValueError:
        number = MISSING
    if number < 0:
        raise sheet.error(line, f"{name} is {text!r}; expected a whole number of digits alone, not negative")
    return number


def _costs(sheet: Sheet, line: int, texts: Mapping[str, str]) -> tuple[int | None, int, float | None]:
    known = {name: text for name, text in texts.items() if text.strip().lower() not in UNKNOWN}
    prompt_tokens = _whole(sheet, line, "prompt_tokens", known["prompt_tokens"]) if "prompt_tokens" in known else None
    calls = _whole(sheet, line, "calls", known["calls"]) if "calls" in known else 1
    usd = None
    if "usd" in known:
        try:
            usd = sheet.number(known["usd"])
        except ValueError:
            usd = -1.0
        if not 0 <= usd < inf:
            raise sheet.error(line, f"usd is {known['usd']!r}; expected a number of 0 or more, or none at all")
    return prompt_tokens, calls, usd
