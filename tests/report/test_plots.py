from dataclasses import replace
from functools import partial
from io import BytesIO
from xml.etree.ElementTree import fromstring

import pytest

from gdesign.report.curves import Curve, Learning
from gdesign.report.tables import Row
from gdesign.types import Agent, Design
from tests.report.test_text import CASCADE, DEBATE

matplotlib = pytest.importorskip("matplotlib", reason="the extra report is not installed")
plots = pytest.importorskip("gdesign.report.plots", reason="the extra report is not installed")


ROW = Row(
    method="single",
    task="gsm8k",
    split="test",
    label="exact",
    usd_weight=0.03,
    seeds=(0,),
    n=(4, 4),
    score=0.5,
    usd=1.0,
    utility=0.4,
    score_interval=(0.2, 0.8),
    utility_interval=(0.1, 0.7),
    usd_interval=None,
    training_runs=12.0,
    unreadable=0,
    failures=0,
)


def test_pictures_are_written(tmp_path):
    other = replace(ROW, method="joint", usd=2.0, usd_interval=(1.5, 2.5), training_runs=0.0)
    plots.score_against_cost([ROW, other, replace(other, usd_weight=0.1, usd=1.5)], tmp_path / "a.png")
    plots.draw_designs([("easy", CASCADE), ("hard", DEBATE)], tmp_path / "b.png")
    plots.training_curve([1, 2], [0.1, 0.2], [0.3, 0.4], tmp_path / "c.png")
    plots.utility_against_runs([ROW, other], tmp_path / "d.png")
    curves = tuple(Curve(steps=(10, 20), runs=(5.0, 9.0), utility=(0.1, u)) for u in (0.2, 0.3))
    counted = Learning(method="single", task="gsm8k", label="exact", usd_weight=0.03, curves=curves)
    uncounted = replace(counted, method="joint", curves=(replace(curves[0], runs=()),))
    plots.learning_curves([counted, uncounted], tmp_path / "e.png")
    plots.learning_curves([uncounted], tmp_path / "f.png")
    for name in "abcdef":
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def words(draw):
    """Return what a picture says, space by space."""
    stream = BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        draw(stream)
    return " ".join("".join(each.itertext()) for each in fromstring(stream.getvalue()).iterfind(".//{*}text"))


@pytest.mark.parametrize("text", [r"$\sqrt x$ {n}", "$5 of $6_ {n}", r"\$5 $x_$ {n}"])
def test_names_and_questions_are_drawn_as_they_stand(text):
    method, task, split, role, llm = (text.format(n=n) for n in range(5))
    row = replace(ROW, method=method, task=task, split=split)
    curves = (Curve(steps=(10, 20), runs=(), utility=(0.1, 0.2)),)
    training = Learning(method=method, task=task, label="exact", usd_weight=0.03, curves=curves)
    design = Design(agents=(Agent(role=role, llm=llm),))
    for draw, told in (
        (partial(plots.score_against_cost, [row]), (method, task, split)),
        (partial(plots.utility_against_runs, [row, replace(row, training_runs=0.0)]), (method, task, split)),
        (partial(plots.learning_curves, [training]), (method, task)),
        (partial(plots.draw_designs, [(task, design)]), (task, role, llm)),
    ):
        said = words(draw)
        assert [each for each in told if each not in said] == []


def test_characters_that_no_picture_can_hold_are_marked():
    design = Design(agents=(Agent(role="half \ud83d", llm="nul \0"),))
    said = words(partial(plots.draw_designs, [("\x1b question", design)]))
    assert all(told in said for told in ("half \ufffd", "nul \ufffd", "\ufffd question"))


def test_the_pareto_front_has_what_nothing_cheaper_beats():
    points = [(2.0, 0.5), (1.0, 0.6), (3.0, 0.7), (3.0, 0.65), (0.5, 0.1)]
    assert plots.pareto_front(points) == [(0.5, 0.1), (1.0, 0.6), (3.0, 0.7)]


def test_no_more_than_eight_series_have_colours_and_the_rest_is_named_at_its_point():
    rows = [replace(ROW, method=f"method {i}", utility=i / 20, usd=1.0 + i) for i in range(11)]
    looks = plots._looks(rows)
    assert [name for name, look in looks.items() if "label" not in look] == [f"method {i}" for i in range(3)]
    said = words(partial(plots.score_against_cost, rows))
    assert all(said.count(row.method) >= 1 for row in rows)


def test_what_gives_a_lonely_point_its_measure_is_named():
    said = words(partial(plots.score_against_cost, [ROW], beside=[("the best single agent", 2.0, 0.6)]))
    assert "the best single agent" in said
