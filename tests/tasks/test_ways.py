import pytest

from gdesign.llm.recorded import RecordedClient, recorded_pool
from gdesign.tasks.data import data_dir
from gdesign.tasks.ways import Ways
from gdesign.types import Task

SHAPE = "This path draws a\nOptions:\n(A) circle\n(B) kite\n(C) line"


def task(domain, question, answer):
    return Task(id="ways/1", question=question, answer=answer, benchmark="ways", domain=domain)


@pytest.mark.parametrize(
    ("domain", "question", "answer", "right", "wrong"),
    [
        ("mgsm-de", "Wie viel?", "70000", "Antwort: 70000\nAnswer: 70,000", "Answer: 7000"),
        ("arithmetic", "((-1 + 2)) =", "-24", "It is easy.\nAnswer: -24", "Answer: 24"),
        ("geometric-shapes", SHAPE, "(B)", "Answer: (B)", "Answer: (C)"),
        ("word-sorting", "Sort: b a&c", "a&c b", "Answer: a&c, b", "Answer: b a&c"),
    ],
)
def test_each_set_is_read_by_its_kind(domain, question, answer, right, wrong):
    benchmark, asked = Ways(), task(domain, question, answer)
    assert [benchmark.grade(asked, benchmark.extract(asked, text)) for text in (right, wrong)] == [1, 0]


def test_a_letter_beyond_the_options_is_no_answer():
    assert Ways().extract(task("geometric-shapes", SHAPE, "(B)"), "Answer: (D)") is None


needs_table = pytest.mark.skipif(
    not (data_dir() / "ways").is_dir(), reason="GDESIGN_DATA does not name a folder with the table of ways of working"
)


@needs_table
def test_a_problem_lies_on_one_side_in_all_languages():
    sides = {}
    for split in ("train", "validation", "test", "lockbox"):
        for t in Ways(recorded=True, split_seed=1).load(split):
            sides.setdefault(t.group, []).append(split)
    assert sum(map(len, sides.values())) == 3250
    assert all(len(set(side)) == 1 for side in sides.values())
    assert {len(side) for side in sides.values()} == {1, 10}


@needs_table
def test_every_reference_reads_as_itself():
    benchmark = Ways()
    tasks = benchmark.load("all")
    assert all(benchmark.grade(t, benchmark.extract(t, f"Answer: {t.answer}") or "") == 1 for t in tasks)


@needs_table
def test_the_pool_is_one_llm_in_seven_ways_and_known_to_the_client():
    pool = recorded_pool(
        sets=["ways"],
        directory="ways",
        ways_of="gpt-4-32k",
        prices={"gpt-4-32k": {"usd_per_1M_input": 60, "usd_per_1M_output": 120}},
    )
    assert [m.name for m in pool.llms] == ["gpt-4-32k"]
    ways = "standard cot expert-static expert-dynamic multi-persona meta meta-python"
    assert pool.operators == tuple(ways.split())
    assert RecordedClient().whole_turns
