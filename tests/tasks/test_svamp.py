import json

import pytest

from gdesign.errors import ConfigError, DataError
from gdesign.tasks.data import data_dir
from gdesign.tasks.svamp import SVAMP
from gdesign.types import Task

ROWS = [
    {
        "ID": "chal-1",
        "Body": "Ann has 7 pens. ",
        "Question": "How many pens has she after she gives 3 away?",
        "Equation": "( 7.0 - 3.0 )",
        "Answer": 4.0,
        "Type": "Subtraction",
    },
    {
        "ID": "chal-2",
        "Body": "If a rope of 3 metres is cut in two",
        "Question": "How long is each half?",
        "Equation": "( 3.0 / 2.0 )",
        "Answer": 1.5,
        "Type": "Common-Division",
    },
]


@pytest.fixture
def write(tmp_path, monkeypatch):
    def write(rows):
        (tmp_path / "bench").mkdir(exist_ok=True)
        (tmp_path / "bench/svamp.json").write_text(json.dumps(rows))
        monkeypatch.setenv("GDESIGN_DATA", str(tmp_path))

    return write


def test_body_and_question_become_one_text_and_the_answer_a_plain_number(write):
    write(ROWS)
    first, second = SVAMP().load("all")
    assert first == Task(
        id="svamp/chal-1",
        question="Ann has 7 pens. How many pens has she after she gives 3 away?",
        answer="4",
        benchmark="svamp",
        domain="mathematics",
    )
    assert second.question == "If a rope of 3 metres is cut in two. How long is each half?"
    assert second.answer == "1.5"


@pytest.mark.parametrize(
    "text",
    [
        "Answer: 1.5",
        "Answer: 1.50 metres",
        "Half of 3 m is 3 / 2 = 1.5 m.",
        "#### 1.5",
        "Each half is $\\boxed{\\frac{3}{2}}$ metres long.",
        "So the answer is 1 1/2 m.",
    ],
)
def test_the_number_is_read_as_llms_write_it(write, text):
    write(ROWS)
    halves = SVAMP().load("all")[1]
    assert SVAMP().grade(halves, SVAMP().extract(halves, text)) == 1
    assert SVAMP().grade(halves, "3") == 0


def test_entries_that_are_not_as_upstream_writes_them_are_named(write):
    write([*ROWS, {**ROWS[0], "Answer": "four"}])
    with pytest.raises(DataError, match=r"svamp.json\[2\]: the answer 'four'"):
        SVAMP().load("all")
    write([*ROWS, {"ID": "chal-3"}])
    with pytest.raises(DataError, match=r"svamp.json\[2\].*lacks Body, Question, Answer"):
        SVAMP().load("all")


def test_no_answers_are_recorded():
    with pytest.raises(ConfigError, match="no recorded answers to svamp"):
        SVAMP(recorded=True)


def test_the_real_data_hold_a_thousand_questions():
    if not (data_dir() / "bench/svamp.json.gz").is_file():
        pytest.skip("needs bench/svamp.json.gz in the folder that GDESIGN_DATA names")
    tasks = SVAMP().load("all")
    assert len(tasks) == len({t.id for t in tasks}) == 1000
    assert sum(len(SVAMP().load(s)) for s in ("train", "validation", "test", "lockbox")) == 1000
    assert all(SVAMP().grade(t, SVAMP().extract(t, f"Answer: {float(t.answer):.2f} pieces")) == 1 for t in tasks)
