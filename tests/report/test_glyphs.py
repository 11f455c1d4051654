import warnings

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gdesign.report.glyphs import drawable
from gdesign.report.plots import draw_designs
from gdesign.types import Agent, Decision, Design


def drawn(*words):
    figure = Figure()
    FigureCanvasAgg(figure)
    texts = [figure.text(0.5, 0.5, word) for word in words]
    drawable(figure)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    return [text.get_text() for text in texts]


def test_names_that_the_font_can_draw_stay():
    names = ["gpt-4o", "Müller", "модель", "λ ≤ 1\nnext", r"costs \$5"]
    assert drawn(*names) == names


@pytest.mark.parametrize("name", ["모델", "モデル七", "🤖 agent", "नमूना", "👩\u200d🔬", "\U000e0041x", "\ue000"])
def test_names_that_it_cannot_draw_are_drawn_or_spelled_and_stay_apart(name):
    first, second = drawn(name, f"{name}二")
    assert first != second
    assert all(ord(c) > 31 for c in first)


def test_a_character_that_no_font_has_is_spelled():
    found = drawn("a\U000f0000b\U000e0061")
    assert found == ["a\\U000f0000b"]


def test_a_design_of_agents_with_such_names_is_drawn_without_a_warning(tmp_path):
    design = Design(agents=(Agent(role="解题者", llm="通义千问"),), decision=Decision(kind="last"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_designs([("设计 $", design)], tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000
