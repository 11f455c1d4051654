import json
from pathlib import Path

import pytest

from gdesign.errors import ConfigError, DataError, MissingDataError
from gdesign.tasks.jsonl import JSONL

TINY = Path(__file__).parents[2] / "data" / "tiny"
OWN = "def f(x):\n    return 1\nassert f(3) == 1"


@pytest.fixture
def tiny():
    return JSONL(train=TINY / "train.jsonl", test=TINY / "test.jsonl")


@pytest.fixture
def write(tmp_path):
    def write(name, *lines):
        path = tmp_path / name
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


def line(id="1", question="Why?", answer="so", **more):
    return {"id": id, "question": question, "answer": answer, **more}


def test_own_questions_are_loaded_and_validation_is_carved_from_training(tiny):
    train, validation, test = (tiny.load(s) for s in ("train", "validation", "test"))
    assert len(test) == 12
    assert (len(train), len(validation)) == (9, 3)
    assert tiny.load("all") == [*train, *validation, *test]
    assert test[0].id == "jsonl/te-1"


def test_a_limit_loads_the_first(tiny):
    assert JSONL(train=TINY / "train.jsonl", test=TINY / "test.jsonl", limit=2).load("test") == tiny.load("test")[:2]


def test_each_reference_answer_is_right_by_its_own_grader(tiny):
    for task in tiny.load("all"):
        assert tiny.grade(task, tiny.extract(task, f"Well.\nAnswer: **{task.answer}**")) == 1


def test_a_choice_may_be_given_by_its_text(tiny):
    task = next(t for t in tiny.load("all") if t.id == "jsonl/te-12")
    assert task.answer == "def"
    assert tiny.grade(task, tiny.extract(task, "Answer: (C)")) == 1
    assert tiny.grade(task, tiny.extract(task, "Answer: A")) == 0


def test_recorded_answers_are_compared_as_they_are():
    own = JSONL(train=TINY / "train.jsonl", test=TINY / "test.jsonl", recorded=True, name="mine")
    task = own.load("test")[0]
    assert task.id == "mine/te-1"
    assert own.extract(task, " 225") == " 225"
    assert own.extract(task, "") is None


def test_a_validation_file_may_be_named(write):
    own = JSONL(
        train=write("a", line()),
        validation=write("b", line(id="2", question="How?")),
        test=write("c", line(id="3", question="Who?")),
    )
    assert [t.id for t in own.load("validation")] == ["jsonl/2"]


def test_a_test_question_among_the_training_ones_is_refused(write):
    with pytest.raises(DataError, match="'jsonl/2' of the test split is also 'jsonl/1'"):
        JSONL(train=write("a", line()), test=write("b", line(id="2", question=" WHY? ")))


@pytest.mark.parametrize(
    ("lines", "error", "says"),
    [
        ([], DataError, "no questions"),
        ([line(), line()], DataError, ":2: the id '1' is there twice"),
        ([line(grader="code")], DataError, "needs tests"),
        ([line(grader="code", tests="assert f(1)", answer="def f(")], DataError, "the reference cannot be read"),
        ([line(grader="code", tests="assert", answer="def f(x): pass")], DataError, "the tests cannot be read"),
        ([line(grader="code", tests="assert g(1)", answer="def f(x): pass")], DataError, "use nothing"),
        ([line(grader="code", tests=OWN, answer="def f(x): return 1")], DataError, "use nothing"),
        ([line(grader="fuzzy")], ConfigError, "exact, number, choice, code"),
        ([line(grader="number")], DataError, "'so' is not one"),
        ([line(grader="choice")], DataError, "'so' is not one"),
        ([line(options=["a", "b"])], DataError, "'so' is not one"),
        ([line(options="ab")], DataError, "list of strings"),
        ([{"id": 1}], DataError, "lacks question, answer"),
    ],
)
def test_a_line_that_does_not_fit_is_named(write, lines, error, says):
    with pytest.raises(error, match=says):
        JSONL(train=write("a", *lines), test=write("b", line(id="9", question="Who?")))


def test_a_reference_program_that_fails_its_own_tests_is_named(write):
    code = {"grader": "code", "answer": "def f(x): return x"}
    wrong = line(id="2", question="How?", tests="assert f(1) == 1\nassert f(2) == 3", **code)
    right = line(id="3", question="Who?", tests="assert f(1) == 1", **code)
    own = JSONL(train=write("a", line()), test=write("b", right, wrong))
    with pytest.raises(DataError, match=r"'jsonl/2' fails its tests: AssertionError\nin the test: assert f\(2\) == 3"):
        own.load("test")
    limited = JSONL(train=write("a", line()), test=write("b", right, wrong), limit=1)
    assert [t.id for t in limited.load("test")] == ["jsonl/3"]
    recorded = JSONL(train=write("a", line()), test=write("b", right, wrong), recorded=True)
    assert len(recorded.load("test")) == 2


def test_a_missing_file_and_a_lock_box_are_refused(tiny, tmp_path):
    with pytest.raises(MissingDataError, match=r"none\.jsonl"):
        JSONL(train=tmp_path / "none.jsonl", test=TINY / "test.jsonl")
    with pytest.raises(ConfigError, match="lock-box"):
        tiny.load("lockbox")


def test_a_program_is_graded_by_running_its_tests(write):
    right = "import math\n\ndef double(x):\n    return 2 * x"
    asked = line(question="Double it.", grader="code", answer=right, tests="assert double(3) == math.floor(6.5)")
    own = JSONL(train=write("a", line()), test=write("b", asked | {"id": "c"}))
    (task,) = own.load("test")
    reply = "Like this:\n```python\ndef double(x):\n    return {}\n```\nor so\n```\ndouble(3)\n```\nAnswer: see above"
    assert own.grade(task, right) == 1
    assert own.grade(task, own.extract(task, reply.format("x + x"))) == 1
    assert own.grade(task, own.extract(task, reply.format("x + 2"))) == 0
    assert own.extract(task, "Answer: 6") is None
    assert own.sandbox is not None
    assert JSONL(train=TINY / "train.jsonl", test=TINY / "test.jsonl").sandbox is None
