import json
import subprocess
import sys
from pathlib import Path

from gdesign.tasks.real import DIRECTORY, Real
from gdesign.tasks.table import load_table

ROOT = Path(__file__).parents[2]
TASKS = [task for split in ("train", "validation", "test") for task in Real().load(split)]
KINDS = {"sums", "stories", "strings", "dates", "tables", "logic", "sentiment", "capitals"}


def test_every_kind_is_in_every_split():
    for split in ("train", "validation", "test"):
        assert {task.domain for task in Real().load(split)} == KINDS


def test_every_answer_is_right_as_it_stands_and_in_a_sentence():
    task_of = Real()
    for task in TASKS:
        for text in (task.answer, f"Let me think.\n\nAnswer: {task.answer}"):
            read = task_of.read(task, text)
            assert read is not None, task
            assert task_of.grade(task, read) == 1.0, task


def test_another_answer_is_wrong():
    task_of = Real()
    for task in TASKS:
        assert task_of.grade(task, "something else") == 0.0
        assert task_of.grade(task, "-12345") == 0.0


def test_splits_do_not_overlap():
    assert len({task.id for task in TASKS}) == len(TASKS)


def test_the_file_is_what_its_script_writes(tmp_path):
    out = tmp_path / "questions.jsonl"
    script = ROOT / "benchmarks/real_questions.py"
    subprocess.run([sys.executable, script, "--out", out], check=True, capture_output=True)
    assert out.read_text() == (DIRECTORY / "real.questions.jsonl").read_text()
    assert len(out.read_text().splitlines()) == 600
    assert len({json.loads(line)["question"] for line in out.read_text().splitlines()}) == 600


def test_where_answers_are_recorded_the_questions_are_those_that_everybody_answered():
    table = load_table(DIRECTORY, "real")
    recorded = [task for split in ("train", "validation", "test") for task in Real(recorded=True).load(split)]
    assert recorded
    assert {task.id for task in recorded} <= {task.id for task in TASKS}
    for task in recorded:
        for way in table.columns:
            assert table.outcome(task.id.partition("/")[2], way.model, way.operator).correct in (0.0, 1.0)


def test_recorded_scores_are_those_of_the_recorded_answers():
    table, benchmark = load_table(DIRECTORY, "real"), Real()
    for task in Real(recorded=True).load("test"):
        for way in table.columns:
            found = table.outcome(task.id.partition("/")[2], way.model, way.operator)
            assert found.correct == (benchmark.grade(task, found.answer) if found.answer else 0.0)
