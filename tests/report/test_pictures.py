import pytest

from gdesign.report.tables import Row
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
