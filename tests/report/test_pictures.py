import pytest

from gdesign.report.tables import Row
from tests.report.test_text import CASCADE, DEBATE


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
