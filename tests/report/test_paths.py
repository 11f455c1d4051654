"""What a report says of designs that went on deciding."""

from dataclasses import replace

import pytest

from gdesign.export.schema import design_to_json
from gdesign.report.document import Picture, Table, Text
from gdesign.report.paths import paths
from gdesign.report.tally import Tally
from gdesign.types import Agent, Decision, Design, Gate

ALONE = Design(agents=(Agent(role="solver", llm="a"),))
THEN = Design(
    agents=(
        Agent(role="solver", llm="a"),
        Agent(role="solver", llm="b", operator="cot", gate=Gate(watch=(0,), quorum=2)),
    ),
    decision=Decision(kind="weighted_vote", weights=(1.0, 2.0)),
)


def tally(*runs):
    found = Tally()
    for i, (design, told) in enumerate(runs):
        line = {"design": design_to_json(design), "usd": 0.001 * len(design.agents), **told}
        found.latest["gsm8k", str(i), 0] = line
    return found


def test_a_report_tells_each_path_its_share_and_its_waves():
    sure = [(ALONE, {"score": 1.0, "probability": 0.9})] * 3 + [(THEN, {"score": 0.0, "probability": 0.4})]
    about, table, *_ = paths(tally(*sure), "reliability.png")
    assert isinstance(about, Text)
    assert "2 paths in 4 runs (entropy 0.56 nats), 1.25 waves a question" in about.text
    assert isinstance(table, Table)
    assert table.rows == [
        ["solver/a", "75.0%", "1", "1.000", "1.000"],
        ["solver/a, then solver/b/cot", "25.0%", "2", "0.000", "2.000"],
    ]


def test_a_report_draws_how_sure_was_beside_how_often_right(tmp_path):
    blocks = paths(tally(*[(ALONE, {"score": s, "probability": 0.75}) for s in (1.0, 1.0, 0.0, 1.0)]), "r.png")
    *_, error, picture = blocks
    assert isinstance(error, Text)
    assert "0.000 apart" in error.text
    assert isinstance(picture, Picture)
    picture.draw(tmp_path / picture.file)
    assert (tmp_path / "r.png").stat().st_size > 1000


@pytest.mark.parametrize("design", [ALONE, replace(THEN, agents=(THEN.agents[0], replace(THEN.agents[1], gate=None)))])
def test_designs_that_decided_nothing_while_they_ran_have_no_paths(design):
    assert paths(tally((design, {"score": 1.0})), "r.png") == []
