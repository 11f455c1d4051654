import pytest

from gdesign.report.tables import Row
from gdesign.report.text import deciders, describe, mermaid
from gdesign.types import Agent, Decision, Design, Edge, Gate

CASCADE = Design(
    agents=(
        Agent(role="solver", llm="a"),
        Agent(role="solver", llm="b", operator="cot"),
        Agent(role="solver", llm="c", gate=Gate(watch=(0, 1), quorum=2)),
    )
)
DEBATE = Design(
    agents=(Agent(role="x", llm="a"), Agent(role="y", llm="b")),
    spatial=(Edge(0, 1),),
    temporal=(Edge(1, 0),),
    num_rounds=2,
    decision=Decision(kind="vote"),
)


def test_a_design_is_told_in_words():
    assert describe(CASCADE).splitlines() == [
        "3 agents",
        "  1. solver (a)",
        "  2. solver (b, cot)",
        "  3. solver (c): speaks only while fewer than 2 of 1, 2 agree",
        "  the last to speak decides",
    ]
    assert "2 agents, 2 rounds" in describe(DEBATE)
    assert "  1. x (a): hears of the round before 2" in describe(DEBATE)


def test_those_who_may_be_the_last_to_speak_decide():
    assert deciders(CASCADE) == [1, 2]
    assert deciders(DEBATE) == [0, 1]


def test_a_flowchart_has_messages_watches_and_the_decision():
    assert "a0 -.->|quorum 2| a2" in mermaid(CASCADE)
    assert "a0 --> a1" in mermaid(DEBATE)
    assert "a1 ==>|next round| a0" in mermaid(DEBATE)
    assert "answer([vote])" in mermaid(DEBATE)


def test_pictures_are_written(tmp_path):
    plots = pytest.importorskip("gdesign.report.plots", reason="the extra report is not installed")
    row = Row(
        method="single",
        task="gsm8k",
        split="test",
        label="exact",
        seeds=(0,),
        n=4,
        score=0.5,
        usd=1.0,
        utility=0.4,
        score_spread=None,
        utility_spread=None,
        interval=(0.2, 0.8),
        unreadable=0,
        failures=0,
    )
    plots.score_against_cost([row], tmp_path / "a.png")
    plots.draw_designs([("easy", CASCADE), ("hard", DEBATE)], tmp_path / "b.png")
    plots.training_curve([1, 2], [0.1, 0.2], [0.3, 0.4], tmp_path / "c.png")
    for name in "abc":
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
