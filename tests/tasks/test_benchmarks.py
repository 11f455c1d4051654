from collections import defaultdict
from functools import partial
from pathlib import Path

import pytest

from gdesign.errors import ConfigError
from gdesign.tasks.aqua import AQuA
from gdesign.tasks.base import normalised
from gdesign.tasks.crux import CRUXO
from gdesign.tasks.data import data_dir
from gdesign.tasks.gsm8k import GSM8K
from gdesign.tasks.jsonl import JSONL
from gdesign.tasks.math import MATH500, MATHL5
from gdesign.tasks.mix import Mix
from gdesign.tasks.mmlu import MMLU
from gdesign.tasks.mmlu_pro import MMLUPro
from gdesign.tasks.multiarith import MultiArith
from gdesign.tasks.svamp import SVAMP
from gdesign.types import Task

TINY = Path(__file__).parents[2] / "data" / "tiny"
PARTS = ("train", "validation", "test", "lockbox")
GSM8K_BY_TEXT = partial(GSM8K, by_text=True)
THREE = partial(Mix, benchmarks=[GSM8K_BY_TEXT, MATHL5, CRUXO])
ALL = [GSM8K_BY_TEXT, MATHL5, MATH500, CRUXO, MMLUPro, SVAMP, MultiArith, THREE]
UPSTREAM = [GSM8K, MMLU, AQuA]


@pytest.fixture
def data():
    if not (data_dir() / "routing").is_dir():
        pytest.skip("needs the folder that GDESIGN_DATA names, with routing/ and bench/")


def task(answer, *, options=(), benchmark="b"):
    return Task(id="1", question="?", answer=answer, benchmark=benchmark, options=options)


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("make", ALL)
def test_the_splits_of_a_benchmark_are_disjoint_and_cover_it(make):
    loaded = {split: make().load(split) for split in (*PARTS, "all")}
    ids = [t.id for split in PARTS for t in loaded[split]]
    assert len(set(ids)) == len(ids)
    assert sorted(ids) == sorted(t.id for t in loaded["all"])
    assert len(loaded["lockbox"]) / len(ids) == pytest.approx(0.25, abs=0.04)


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("make", [GSM8K_BY_TEXT, THREE])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_training_question_is_in_the_test_split_or_the_lock_box_in_any_dress(make, seed):
    benchmark = make(split_seed=seed)
    training = {normalised(t.question.upper()) for s in ("train", "validation") for t in benchmark.load(s)}
    kept = {normalised(t.question) for s in ("test", "lockbox") for t in benchmark.load(s)}
    assert training
    assert not training & kept


@pytest.mark.usefixtures("data")
def test_the_same_question_in_two_sets_lands_on_the_same_side():
    sides = defaultdict(set)
    for split in PARTS:
        for benchmark in (MATHL5(split_seed=5), MATH500(split_seed=5)):
            for t in benchmark.load(split):
                sides[normalised(t.question)].add((split, benchmark.name))
    shared = [places for places in sides.values() if len({name for _, name in places}) == 2]
    assert len(shared) > 50
    assert all(len({split for split, _ in places}) == 1 for places in shared)


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("make", UPSTREAM)
def test_a_benchmark_with_a_split_of_its_own_trains_on_nothing_that_it_tests(make):
    loaded = {split: make(split_seed=3).load(split) for split in ("train", "validation", "test", "all")}
    parts = [t for split in ("train", "validation", "test") for t in loaded[split]]
    assert parts == loaded["all"]
    assert len({t.id for t in parts}) == len(parts)
    texts = {split: {normalised(t.question) for t in tasks} for split, tasks in loaded.items()}
    assert not texts["train"] & (texts["validation"] | texts["test"])
    assert not texts["validation"] & texts["test"]
    assert loaded["test"] == make().load("test") or make is MMLU  # whose order the seed draws
    with pytest.raises(ConfigError, match="no lock-box"):
        make().load("lockbox")


@pytest.mark.usefixtures("data")
def test_gsm8k_has_upstreams_7473_and_1319_questions():
    counts = {split: len(GSM8K().load(split)) for split in ("train", "validation", "test")}
    assert counts["test"] == 1319
    assert counts["train"] + counts["validation"] == 7473
    assert counts["validation"] / 7473 == pytest.approx(0.2, abs=0.01)


@pytest.mark.usefixtures("data")
def test_gsm8k_is_tested_with_the_same_tasks_recorded_or_not():
    assert GSM8K().load("test") == GSM8K(recorded=True).load("all")
    assert GSM8K_BY_TEXT().load("test") == GSM8K(recorded=True).load("test")


@pytest.mark.usefixtures("data")
def test_every_reference_answer_of_math500_is_readable_and_equals_itself():
    tasks = MATH500().load("all")
    assert len(tasks) == 500
    for t in tasks:
        answer = MATH500().extract(t, rf"So it is $\boxed{{{t.answer}}}$.")
        assert answer is not None
        assert MATH500().grade(t, answer) == 1


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("make", [*ALL, *UPSTREAM])
def test_each_reference_answer_is_right(make):
    benchmark = make(limit=150)
    for t in benchmark.load("validation"):
        if t.benchmark == "crux":
            continue  # its references lack their quotes; see below
        answer = benchmark.extract(t, f"Some words.\nAnswer: {t.answer}")
        assert answer is not None, t
        assert benchmark.grade(t, answer) == 1, t


@pytest.mark.usefixtures("data")
def test_ids_are_those_that_recorded_answers_are_looked_up_by():
    assert GSM8K(limit=1).load("test")[0].id == "gsm/gsm8k-main-test-#0"
    assert MATHL5(limit=1).load("all")[0].id == "math-l5/0"
    assert CRUXO(limit=1).load("all")[0].id == "crux/crux-test-#0"
    assert MMLUPro(limit=1).load("all")[0].id == "mmlu_pro/70"


@pytest.mark.usefixtures("data")
def test_each_benchmark_of_a_mix_weighs_the_same_and_the_mean_weight_is_one():
    tasks = THREE().load("test")
    weights = defaultdict(float)
    for t in tasks:
        weights[t.benchmark] += t.weight
    assert list(weights) == ["gsm", "math-l5", "crux"]
    assert list(weights.values()) == pytest.approx([len(tasks) / 3] * 3)


@pytest.mark.parametrize("make", [GSM8K, MATHL5, CRUXO, MMLUPro])
def test_recorded_answers_are_compared_as_they_are(make):
    benchmark = make(recorded=True)
    assert benchmark.extract(task("18"), " 18.0\n") == " 18.0\n"
    assert benchmark.extract(task("18"), " ") == " "


@pytest.mark.parametrize("make", [GSM8K, MATHL5, CRUXO, MMLUPro])
def test_a_recorded_empty_answer_is_unreadable(make):
    assert make(recorded=True).extract(task("18"), "") is None


def test_recorded_reaches_every_part_of_a_mix():
    mix = THREE(recorded=True)
    assert mix.recorded
    assert all(part.recorded for part in mix.parts.values())
    assert mix.extract(task("18", benchmark="gsm"), "$18") == "$18"
    assert THREE().extract(task("18", benchmark="gsm"), "$18") == "18"


def test_math500_was_not_recorded():
    with pytest.raises(ConfigError, match="math_l5"):
        MATH500(recorded=True)


def test_a_mix_needs_benchmarks_of_different_names():
    with pytest.raises(ConfigError, match="at least one"):
        Mix(benchmarks=[])
    with pytest.raises(ConfigError, match="same name"):
        Mix(benchmarks=[GSM8K, GSM8K])


@pytest.mark.parametrize(
    ("make", "gold", "text", "score"),
    [
        (GSM8K, "18", "Answer: $18.00 a day", 1),
        (GSM8K, "18", "Answer: 19", 0),
        (MATHL5, "-15", r"so \boxed{-15}", 1),
        (MATH500, r"\frac{\pi}{2}", r"Answer: $\pi/2$", 1),
        (MATH500, "p - q", "Answer: q - p", 0),
        (CRUXO, "hello", "Answer: 'hello'", 1),
        (CRUXO, "hello", 'Answer: "hello"', 1),
        (CRUXO, "hello", "Answer: hello", 1),
        (CRUXO, "", "Answer: ''", 1),
        (CRUXO, "", "Answer: ' '", 0),
        (CRUXO, "1 ", "Answer: '1 '", 1),
        (CRUXO, "1 ", "Answer: 1", 0),
        (CRUXO, "9", "Answer: '9'", 1),
        (CRUXO, r"a\nb", r"Answer: 'a\nb'", 1),
        (CRUXO, "it's", 'Answer: "it\'s"', 1),
        (CRUXO, "[1, 'a']", 'Answer: assert f(2) == [1,"a"]', 1),
        (CRUXO, "[1, 2]", "Answer: [2, 1]", 0),
    ],
)
def test_answers_are_graded(make, gold, text, score):
    benchmark = make()
    answer = benchmark.extract(task(gold), text)
    assert answer is not None
    assert benchmark.grade(task(gold), answer) == score


def test_a_letter_is_graded():
    question = task("B", options=("Rome", "Paris"))
    benchmark = MMLUPro()
    assert benchmark.grade(question, benchmark.extract(question, "Answer: (b)")) == 1
    assert benchmark.grade(question, benchmark.extract(question, "The answer is Rome")) == 0
    assert benchmark.extract(question, "Answer: C") is None


def test_own_questions_join_a_mix():
    mix = Mix(benchmarks=[partial(JSONL, train=TINY / "train.jsonl", test=TINY / "test.jsonl"), GSM8K], limit=3)
    assert list(mix.parts) == ["jsonl", "gsm"]
