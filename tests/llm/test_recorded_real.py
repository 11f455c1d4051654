"""The figures that recorded answers of real LLMs must give, through the executor."""

import asyncio

import pytest

from gdesign.execute.reward import account
from gdesign.execute.run import run
from gdesign.llm.recorded import DIRECTORY, RecordedClient, recorded_pool
from gdesign.tasks.crux import CRUXO
from gdesign.tasks.data import data_dir
from gdesign.tasks.gsm8k import GSM8K
from gdesign.tasks.table import load_table
from gdesign.types import Agent, Decision, Design, Edge, Gate, Label

pytestmark = pytest.mark.skipif(
    not (data_dir() / DIRECTORY).is_dir(), reason="GDESIGN_DATA does not name a folder with the ZeroEval tables"
)

LARGE, SMALL, FLASH = "gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "gemini-1.5-flash"

BENCHMARKS = {"gsm": GSM8K(recorded=True), "crux": CRUXO(recorded=True)}


def solver(llm, gate=None):
    return Agent(role="solver", llm=llm, gate=gate)


CASCADE = Design(agents=(solver(FLASH), solver(SMALL), solver(LARGE, Gate(watch=(0, 1), quorum=2))))


@pytest.fixture(scope="module")
def llm():
    return RecordedClient()


@pytest.fixture(scope="module")
def pool():
    return recorded_pool()


def outcomes(design, name, llm, pool):
    benchmark = BENCHMARKS[name]

    async def all_runs():
        return [
            await run(design, task, pool=pool, llm=llm, extract=benchmark.extract) for task in benchmark.load("all")
        ]

    return [account(r, grade=benchmark.grade, pool=pool) for r in asyncio.run(all_runs())]


def test_the_recorded_pool_has_26_llms(pool):
    assert len(pool.llms) == 26
    assert not any(m.name.startswith("o1-") for m in pool.llms)


@pytest.mark.parametrize(
    ("design", "name", "n", "score", "usd"),
    [
        (Design(agents=(solver(LARGE),)), "gsm", 1319, 0.9621, 1.8525),
        (Design(agents=(solver(SMALL),)), "gsm", 1319, 0.9424, 0.1160),
        (CASCADE, "gsm", 1319, 0.9666, 0.3607),
        (CASCADE, "crux", 800, 0.85625, 1.7345),
    ],
)
def test_known_figures_are_reproduced(llm, pool, design, name, n, score, usd):
    got = outcomes(design, name, llm, pool)
    assert len(got) == n
    assert {o.label for o in got} == {Label.EXACT}
    assert sum(o.score for o in got) / n == pytest.approx(score, abs=0.00005)
    assert 1000 * sum(o.usd for o in got) / n == pytest.approx(usd, abs=0.00005)


@pytest.mark.parametrize("name", ["gsm", "crux"])
def test_talking_never_beats_the_union_of_what_the_agents_know(llm, pool, name):
    models = (FLASH, SMALL, LARGE)
    table = load_table(data_dir() / DIRECTORY, name)
    agents = tuple(map(solver, models))
    aggregate = Design(agents=agents, spatial=(Edge(0, 2), Edge(1, 2)))
    debate = Design(
        agents=agents,
        temporal=tuple(Edge(i, j) for i in range(3) for j in range(3) if i != j),
        num_rounds=2,
        decision=Decision(kind="vote"),
    )
    for design in (aggregate, debate):
        got = outcomes(design, name, llm, pool)
        assert {o.label for o in got} == {Label.CALIBRATED}
        for question, o in zip(table.questions, got, strict=True):
            assert o.score <= max(table.outcome(question.qid, m).correct for m in models)
