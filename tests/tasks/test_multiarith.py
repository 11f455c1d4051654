import json

import pytest

from gdesign.errors import ConfigError, DataError
from gdesign.tasks.data import data_dir
from gdesign.tasks.multiarith import MultiArith
from gdesign.types import Task

ROWS = [
    {
        "iIndex": 4,
        "lAlignments": [3, 9, 20],
        "lEquations": ["X=((2.0+4.0)*300.0)"],
        "lSolutions": [1800.0],
        "sQuestion": " Two vans and four cars cost 300 dollars each. What do they cost together? ",
    }
]


@pytest.fixture
def write(tmp_path, monkeypatch):
    def write(rows):
        (tmp_path / "bench").mkdir(exist_ok=True)
        (tmp_path / "bench/multiarith.json").write_text(json.dumps(rows))
        monkeypatch.setenv("GDESIGN_DATA", str(tmp_path))

    return write


def test_a_question_has_its_one_solution_as_a_plain_number(write):
    write(ROWS)
    assert MultiArith().load("all") == [
        Task(
            id="multiarith/4",
            question="Two vans and four cars cost 300 dollars each. What do they cost together?",
            answer="1800",
            benchmark="multiarith",
            domain="mathematics",
        )
    ]


@pytest.mark.parametrize(
    "text", ["Answer: $1,800", "Answer: **1800.00 USD**", "(2 + 4) * 300 = 1800 dollars", "It costs \\$1{,}800."]
)
def test_the_number_is_read_as_llms_write_it(write, text):
    write(ROWS)
    (task,) = MultiArith().load("all")
    assert MultiArith().grade(task, MultiArith().extract(task, text)) == 1


@pytest.mark.parametrize("solutions", [[], [1.0, 2.0], ["many"]])
def test_an_entry_without_one_number_is_named(write, solutions):
    write([{**ROWS[0], "lSolutions": solutions}])
    with pytest.raises(DataError, match=r"multiarith.json\[0\]: expected one number in lSolutions"):
        MultiArith().load("all")


def test_no_answers_are_recorded():
    with pytest.raises(ConfigError, match="no recorded answers to multiarith"):
        MultiArith(recorded=True)


def test_the_real_data_hold_600_questions_and_twins_are_on_the_same_side():
    if not (data_dir() / "bench/multiarith.json.gz").is_file():
        pytest.skip("needs bench/multiarith.json.gz in the folder that GDESIGN_DATA names")
    sides = {s: {t.question.lower() for t in MultiArith().load(s)} for s in ("train", "validation", "test", "lockbox")}
    tasks = MultiArith().load("all")
    assert len(tasks) == len({t.id for t in tasks}) == 600
    assert sum(map(len, sides.values())) == len(set.union(*sides.values())) == 580
