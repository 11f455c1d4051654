import json

import pytest

from gdesign.errors import ConfigError, DataError
from gdesign.tasks.aqua import AQuA
from gdesign.tasks.data import data_dir
from gdesign.types import Task

ROW = {
    "question": "A train runs 120 km in 90 minutes. What is its speed?",
    "options": ["A)21", "B) 80 km/h", "C)$1,200", "D)1:3", "E)None of these"],
    "rationale": "120 / 1.5 = 80",
    "correct": "B",
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    def write(dev, test):
        (tmp_path / "bench").mkdir(exist_ok=True)
        for part, rows in (("dev", dev), ("test", test)):
            (tmp_path / f"bench/aqua_{part}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
        monkeypatch.setenv("GDESIGN_DATA", str(tmp_path))

    return write


def other(i):
    return {**ROW, "question": f"What is {i} + {i}?"}


def test_options_lose_their_letters(write):
    write([other(1)], [ROW])
    assert AQuA().load("test") == [
        Task(
            id="aqua/test/0",
            question="A train runs 120 km in 90 minutes. What is its speed?",
            answer="B",
            benchmark="aqua",
            domain="mathematics",
            options=("21", "80 km/h", "$1,200", "1:3", "None of these"),
        )
    ]


def test_dev_trains_and_validates_without_what_stands_in_the_test_too(write):
    write([ROW, *map(other, range(40))], [ROW])
    train, validation = AQuA().load("train"), AQuA().load("validation")
    assert train
    assert validation
    assert {t.id for t in (*train, *validation)} == {f"aqua/dev/{i}" for i in range(1, 41)}


@pytest.mark.parametrize(
    "text",
    [
        "Answer: B",
        "Answer: B) 80 km/h",
        "Answer: (b)",
        "Answer: 80 km/h",
        "An hour and a half, so 120 / 1.5 = 80.\nTherefore, the answer is B.",
        r"The speed is $\boxed{B}$.",
    ],
)
def test_the_letter_is_read_as_llms_write_it(write, text):
    write([other(1)], [ROW])
    (task,) = AQuA().load("test")
    assert AQuA().grade(task, AQuA().extract(task, text)) == 1
    assert AQuA().grade(task, "C") == 0


@pytest.mark.parametrize("wrong", [{"options": ["21", "80"]}, {"options": ["B)21", "A)80"]}, {"correct": "F"}])
def test_a_line_that_is_not_as_upstream_writes_it_is_named(write, wrong):
    write([other(1)], [ROW, {**ROW, **wrong}])
    with pytest.raises(DataError, match=r"aqua_test.jsonl:2: expected options"):
        AQuA().load("test")


def test_no_answers_are_recorded():
    with pytest.raises(ConfigError, match="no recorded answers to aqua"):
        AQuA(recorded=True)


def test_the_real_data_hold_254_questions_in_dev_and_254_in_test():
    if not (data_dir() / "bench/aqua_test.jsonl.gz").is_file():
        pytest.skip("needs bench/aqua_dev.jsonl.gz and aqua_test.jsonl.gz in the folder that GDESIGN_DATA names")
    splits = {split: AQuA().load(split) for split in ("train", "validation", "test")}
    assert {split: len(tasks) for split, tasks in splits.items()} == {"train": 200, "validation": 54, "test": 254}
    assert all(len(t.options) == 5 and all(t.options) for tasks in splits.values() for t in tasks)
