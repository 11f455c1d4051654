import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gdesign.errors import ConfigError, DataError, MissingDataError
from gdesign.tasks.jsonl import GRADERS, JSONL, KEYS

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


def test_no_split_parts_a_group(write):
    lines = [line(f"{i}-{k}", f"Version {k} of {i}?", group=f"g{i}") for i in range(20) for k in range(3)]
    train, test = write("a.jsonl", *lines), write("b.jsonl", line("t", "Else?", group="h"))
    own = JSONL(train=train, test=test)
    parts = {split: {t.group for t in own.load(split)} for split in ("train", "validation")}
    assert len(parts["validation"]) == 4
    assert not parts["train"] & parts["validation"]
    with pytest.raises(DataError, match="'jsonl/t' of the test split is also 'jsonl/7-0' of the"):
        JSONL(train=train, test=write("c.jsonl", line("t", "Else?", group="g7")))


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
        ([line(grader="fuzzy")], ConfigError, "exact, contains, number, choice, formula, literal, code"),
        ([line(grader=["exact"])], ConfigError, "expected exact"),
        ([line(grader="number")], DataError, ':1: the answer "so" is not one that the grader number can read; write'),
        ([line(grader="literal")], DataError, "that the grader literal can read"),
        ([line(grader="choice")], DataError, "that the grader choice can read"),
        ([line(grader="choice", answer="C major")], DataError, "is no letter, and there are no options|can read"),
        ([line(options=["a", "b"])], DataError, '"so" is not one'),
        ([line(options=["x", "y"], answer=1)], DataError, '"1" is not one .* write its letter'),
        ([line(options=["x", "x"], answer="x")], DataError, '"x" is not one'),
        ([line(options=["x", None])], DataError, "option 2 is null"),
        ([line(options=["x", ["y"]])], DataError, r'option 2 is \["y"\]'),
        ([line(options={"A": "x"})], DataError, "list of strings, the first one being A"),
        ([line(options=[str(i) for i in range(27)])], DataError, "27 options"),
        ([line(options=["x"], choices=["x"])], DataError, "two names of the same"),
        ([line(), line(id="2", optoins=["a"])], DataError, ":2: the key 'optoins' is unknown, did you mean 'options'"),
        ([line(Grader="number")], DataError, "did you mean 'grader'"),
        ([line(anwser="so")], DataError, "did you mean 'answer'\\? Expected id, .*begins with _"),
        ([line(passage="Once")], DataError, "'passage' would be part of the question, and is not sent"),
        ([line(image_path="a.png")], DataError, "'image_path' would be part of the question"),
        ([line(option_b="x")], DataError, "'option_b' would be one of the options; write a list"),
        ([line(D="x")], DataError, "'D' would be one of the options"),
        ([line(test_cases=["assert f(1)"])], DataError, "'test_cases' would be tests, and is not run"),
        ([line(tests="assert f(1)", grader="exact")], DataError, "set grader to code"),
        ([line(tests={"a": 1})], DataError, "needs tests"),
        ([line(answer=None)], DataError, ":1: answer is null; expected a text"),
        ([line(answer=True)], DataError, "answer is true"),
        ([line(answer=float("nan"))], DataError, "answer is NaN"),
        ([line(answer=float("-inf"))], DataError, "answer is -Infinity"),
        ([line(answer=["4"])], DataError, r'answer is \["4"\]'),
        ([line(answer={"a": "b" * 500})], DataError, r"answer is .{80}; expected"),
        ([line(answer="  ")], DataError, 'answer is "  "'),
        ([line(answer="x\ud83d")], DataError, "answer is .x\ufffd"),
        ([line(question=None)], DataError, "question is null"),
        ([line(question="")], DataError, "question is "),
        ([line(id=None)], DataError, "id is null"),
        ([line(domain=["a"])], DataError, "domain is "),
        ([line(answer="7" * 400, grader="number")], DataError, "can read"),
        ([line(answer="17 30", grader="number")], DataError, "give one number"),
        ([line(answer="one\ntwo")], DataError, "(?s)would not agree with the reply .*plainly"),
        ([line(options="ab")], DataError, "list of strings"),
        ([{"id": 1}], DataError, "lacks question, answer"),
    ],
)
def test_a_line_that_does_not_fit_is_named(write, lines, error, says):
    with pytest.raises(error, match=says):
        JSONL(train=write("a", *lines), test=write("b", line(id="9", question="Who?")))


def test_keys_that_say_nothing_are_named_once_and_left_alone(write, caplog):
    more = {
        "year": 2021,
        "solution": "by parts",
        "question_id": 7,
        "uid": "k",
        "idx": 0,
        "tags": ["a"],
        "rationale": "r",
    }
    more |= {
        "difficulty": "hard",
        "answer_type": "text",
        "answerKey": "B",
        "level": 2,
        "metadata": {"a": 1},
        "url": "u",
    }
    unsaid = {"context": None, "image": "", "distractors": [], "_input": "mine"}
    lines = [line(id=str(i), question=f"Why {i}?", **more, **unsaid) for i in range(5)]
    own = JSONL(train=write("a", *lines), test=write("b", line(id="9", question="Who?", split="test")))
    assert len(own.load("all")) == 6
    (told,) = [r.getMessage() for r in caplog.records if r.name == "gdesign.tasks.jsonl"]
    assert "a:1: not used of what the questions hold: year, solution, question_id" in told
    assert "split" in told
    assert "context" not in told
    assert "_input" not in told


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


@pytest.mark.parametrize(
    ("values", "reply", "score"),
    [
        ({"answer": 96}, "Answer: 96 hours", 1),
        ({"answer": 2.5}, "Answer: 5/2", 1),
        ({"answer": "96"}, "Answer: 96 hours", 0),
        ({"answer": "b", "choices": ["ant", "bee"]}, "Answer: (B)", 1),
        ({"answer": "bee", "choices": ["ant", "bee"]}, "Answer: A", 0),
        ({"answer": 8, "options": [4, 8]}, "Answer: B", 1),
        ({"answer": "K", "grader": "choice", "options": []}, "Answer: K", 1),
        ({"answer": "(k)", "grader": "choice"}, "Answer: L", 0),
        ({"answer": "so", "domain": None, "grader": None, "tests": None, "_source": {"page": 3}}, "Answer: So.", 1),
        ({"answer": r"\frac{1}{2}x", "grader": "formula"}, r"Answer: $0.5x$", 1),
        ({"answer": "{'a': 1, 'b': 2}", "grader": "literal"}, 'Answer: {"b": 2, "a": 1}', 1),
        ({"answer": "def f(x): return x", "tests": ["assert f(1) == 1", "assert f(2) == 2"]}, "def f(y): return y", 1),
        ({"answer": "def f(x): return x", "tests": "def test():\n    assert f(1) == 1"}, "def f(x): return 3", 0),
    ],
)
def test_a_question_is_graded_by_what_its_answer_is(write, values, reply, score):
    own = JSONL(train=write("a", line(**values)), test=write("b", line(id="9", question="Who?")))
    (task,) = own.load("train")
    assert own.grade(task, own.extract(task, reply)) == score
    assert "None" not in (task.answer, task.domain, *task.options)


def test_where_an_answer_is_a_sentence_replies_are_read_whole(write):
    own = JSONL(train=write("a", line(answer="All men are mortal.")), test=write("b", line(id="9", question="Who?")))
    (task,) = own.load("train")
    assert own.grade(task, own.extract(task, "All men are mortal.")) == 1
    assert own.grade(task, own.extract(task, "Some men are mortal.")) == 0


def test_a_file_may_be_a_list_in_another_encoding(tmp_path, write):
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps([line(), line(id="2", question="Wer? \ud83d")], indent=1).encode("utf-16"))
    own = JSONL(train=path, test=write("b", line(id="9", question="Who?")))
    assert {t.question for t in own.load("all")} == {"Why?", "Wer? \ufffd", "Who?"}


def test_tests_that_say_nothing_are_refused_with_the_line(write):
    code = {"grader": "code", "answer": "def f(x): return x"}
    silent = line(id="2", question="How?", tests="f(1)", **code)
    own = JSONL(train=write("a", line()), test=write("b", line(id="3", question="Who?"), silent))
    with pytest.raises(DataError, match=r"b:2: .*'jsonl/2' passes its tests, but so does a program"):
        own.load("test")
    with pytest.raises(DataError, match=r"b:1: the tests hold test_f\(tmp_path\), which nothing calls"):
        JSONL(
            train=write("a", line()), test=write("b", silent | {"tests": "def test_f(tmp_path):\n    assert f(1) == 1"})
        )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@given(
    changes=st.dictionaries(st.sampled_from([*KEYS, "x", "_x"]), JSON, max_size=3),
    kind=st.sampled_from([None, *GRADERS]),
    escaped=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_no_line_raises_anything_but_errors_that_name_it(tmp_path, changes, kind, escaped):
    text = json.dumps({**line(grader=kind), **changes}, ensure_ascii=escaped)
    (tmp_path / "a").write_bytes(text.encode("utf-8", "surrogatepass"))
    (tmp_path / "b").write_text(json.dumps(line(id="9", question="Who?")))
    tasks, said = [], f"{tmp_path / 'a'}:1: "
    try:
        tasks = JSONL(train=tmp_path / "a", test=tmp_path / "b").load("train")
    except (DataError, ConfigError) as error:
        said = str(error)
    assert f"{tmp_path / 'a'}:1: " in said or "of the test split is also" in said
    for task in tasks:
        assert "".join((task.id, task.question, task.answer, task.domain, *task.options)).encode()


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
