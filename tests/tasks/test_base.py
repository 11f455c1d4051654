import hashlib
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.errors import ConfigError
from gdesign.tasks.base import SPLITS, agrees, first, normalised, read, select, select_upstream, split_of, why_unfit
from gdesign.types import Task

TASKS = [Task(id=str(i), question=f"What is {i} + {i}?", answer=str(2 * i), benchmark="b") for i in range(4000)]
PARTS = ("train", "validation", "test", "lockbox")


def test_the_splits_are_disjoint_and_cover_all_tasks():
    ids = [t.id for split in PARTS for t in select(TASKS, split, seed=3)]
    assert sorted(ids) == sorted(t.id for t in TASKS)
    assert select(TASKS, "all", seed=3) == TASKS


def test_the_lock_box_is_a_quarter_whatever_the_seed():
    box = select(TASKS, "lockbox", seed=0)
    assert box == select(TASKS, "lockbox", seed=1)
    assert len(box) / len(TASKS) == pytest.approx(0.25, abs=0.03)
    assert all(hashlib.sha256(t.question.lower().encode()).hexdigest()[0] in "0123" for t in box)


def test_shares_of_the_other_splits():
    counts = Counter(split_of(t.question) for t in TASKS)
    open_ = len(TASKS) - counts["lockbox"]
    assert counts["test"] / open_ == pytest.approx(0.5, abs=0.04)
    assert counts["validation"] / (open_ - counts["test"]) == pytest.approx(0.2, abs=0.04)


def test_another_seed_draws_another_test_split():
    assert select(TASKS, "test", seed=0) != select(TASKS, "test", seed=1)


@settings(deadline=None, max_examples=60)
@given(st.text(min_size=1), st.integers(0, 9))
def test_case_and_white_space_do_not_move_a_question(text, seed):
    dressed = "  " + "\t ".join(text.split(" ")) + "\n"
    assert split_of(normalised(text), seed=seed) == split_of(dressed, seed=seed) == split_of(text, seed=seed)
    assert split_of("What IS  it?", seed=seed) == split_of("what is it?", seed=seed)


def test_the_assignment_is_pinned():
    assert [split_of(f"question {i}") for i in range(6)] == ["train", "lockbox", "test", "test", "train", "train"]


def test_an_unknown_split_and_an_empty_limit_are_refused():
    with pytest.raises(ConfigError, match=", ".join(SPLITS)):
        select(TASKS, "dev")
    with pytest.raises(ConfigError, match="limit is 0"):
        first(TASKS, 0)
    assert len(select(TASKS, "test", limit=5)) == 5


def tasks_named(*questions):
    return [Task(id=q, question=q, answer="1", benchmark="b") for q in questions]


def test_upstreams_test_is_the_test_and_what_it_shares_with_the_rest_is_left_out_of_the_rest():
    parts = {
        "train": tasks_named("a", "b", "The same?", "valid"),
        "validation": tasks_named("valid", "tested"),
        "test": tasks_named("tested", "the  SAME?"),
    }
    loaded = {
        split: [t.id for t in select_upstream(split, **parts)] for split in ("train", "validation", "test", "all")
    }
    assert loaded == {
        "train": ["a", "b"],
        "validation": ["valid"],
        "test": ["tested", "the  SAME?"],
        "all": ["a", "b", "valid", "tested", "the  SAME?"],
    }


def test_upstream_without_a_validation_part_gets_one_carved_by_text():
    parts = {"train": TASKS, "test": tasks_named("x")}
    train, validation = (select_upstream(split, **parts) for split in ("train", "validation"))
    assert sorted(t.id for t in (*train, *validation)) == sorted(t.id for t in TASKS)
    assert len(validation) / len(TASKS) == pytest.approx(0.2, abs=0.05)
    assert select_upstream("validation", **parts, seed=1) != validation
    assert select_upstream("train", **parts, limit=2) == train[:2]


def test_upstreams_split_has_no_lock_box():
    with pytest.raises(ConfigError, match="split=test"):
        select_upstream("lockbox", train=[], test=[])
    with pytest.raises(ConfigError, match="unknown"):
        select_upstream("dev", train=[], test=[])


@pytest.mark.parametrize(
    ("reference", "grader", "options"),
    [
        ("1.234,56", "number", ()),
        ("45 m^2", "number", ()),
        ("7 + 8 = 15 cats\n#### 15", "number", ()),
        ("B", "choice", ("Oslo", "Bern")),
        ("Bern", "choice", ("Oslo", "Bern")),
        ("Q", "choice", ()),
        ("A*", "exact", ()),
        ("<br>", "exact", ()),
        (r"\sqrt{n}", "formula", ()),
        ("a^2 - b", "formula", ()),
        (r"\text{odd}", "formula", ()),
        (r"(0,\infty)", "formula", ()),
        (r"\frac{p}{q}", "formula", ()),
        ("f(x) = 3x", "formula", ()),
    ],
)
def test_a_reference_reads_as_itself(reference, grader, options):
    assert why_unfit(reference, grader, options) == ""
    assert agrees(reference, reference, grader, options)


@pytest.mark.parametrize(
    ("reference", "grader", "options", "why"),
    [
        ("so", "number", (), "cannot? read|can read"),
        ("4 and 5", "number", (), "more than one number"),
        ("9:45", "number", (), "a time"),
        ("2025-06-07", "number", (), "a date"),
        ("4x", "number", (), "would not agree with the reply 'Answer: 4x'"),
        ("C", "choice", ("Oslo", "Bern"), "can read"),
        ("", "exact", (), "can read"),
        (" ", "formula", (), "can read"),
        ("two\nlines", "exact", (), "would not agree"),
    ],
)
def test_a_reference_that_replies_cannot_be_held_to_is_told_why(reference, grader, options, why):
    assert re.search(why, why_unfit(reference, grader, options))


def test_an_answer_may_be_dressed_and_its_reference_not():
    assert agrees("Paris", "[Paris]", "exact", ())
    assert not agrees("[Paris]", "Paris", "exact", ())
    assert not agrees("Paris", "", "exact", ())


def test_a_group_lies_on_one_side_of_every_split():
    tasks = [
        Task(id=f"{i}-{k}", question=f"Version {k} of problem {i}", answer="", benchmark="b", group=f"problem-{i}")
        for i in range(300)
        for k in range(3)
    ]
    for seed in range(3):
        sides = {t.id: split for split in PARTS for t in select(tasks, split, seed=seed)}
        assert len(sides) == len(tasks)
        assert all(len({sides[f"{i}-{k}"] for k in range(3)}) == 1 for i in range(300))
        assert set(sides.values()) == set(PARTS)


def test_one_sentence_answers_a_text():
    said = read("The capital of Peru is Lima.", "exact", ())
    assert said is not None
    assert agrees("Lima", said, "exact", ())
    assert not agrees("Lima", read("The capital of Peru is not Lima.", "exact", ()), "exact", ())
    assert agrees("The Sun is a star.", read("Answer: the sun is a star", "exact", ()), "exact", ())


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("Lima", True),
        ("The capital of Peru is Lima, a large city.", True),
        ("It lies at the sea. I think of LIMA. It is old.", True),
        ("It may be Cuzco or Lima.\nAnswer: Cuzco", False),
        ("The people of Limache.", False),
    ],
)
def test_a_text_may_be_contained_in_what_a_reply_states(reply, right):
    assert agrees("Lima", read(reply, "contains", ()), "contains", ()) == right


@pytest.mark.parametrize(
    ("reference", "reply", "right"),
    [
        ("5", "It is 5.", True),
        ("5", "1.5", False),
        ("5", "5.7", False),
        ("5", "5,000 people", False),
        ("5", "-5", False),
        ("-5", "It is -5 today", True),
        ("1999", "from 1998-1999", True),
        ("5", "5, or so", True),
    ],
)
def test_a_number_is_not_contained_in_another(reference, reply, right):
    assert agrees(reference, read(reply, "contains", ()), "contains", ()) == right


def test_options_that_are_sentences_are_told_apart():
    options = ("All men are mortal.", "Some men are mortal.", "No men are mortal.")
    assert [read(option, "choice", options) for option in options] == ["A", "B", "C"]
