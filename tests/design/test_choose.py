import pytest

from gdesign.design.choose import greedy, within
from gdesign.design.joint.joint import Joint
from gdesign.errors import ConfigError
from tests import worlds


def joint(*shapes):
    encoder = worlds.encoder(3)
    return Joint(space=encoder.space, shapes=shapes), encoder, worlds.tasks(1)[0]


def test_the_design_within_a_budget_is_expected_to_cost_no_more():
    designer, encoder, task = joint("single", "vote")
    for max_usd in (0.2, 2.0, 50.0):
        best = within(designer, encoder, task, max_usd=max_usd)
        (score,), (usd,) = designer.expect(encoder([task]), [best.design])
        assert usd <= max_usd
        assert (best.score, best.usd) == (pytest.approx(score.item()), pytest.approx(usd.item()))


def test_the_design_within_a_budget_is_the_one_held_best_at_the_price_that_is_told():
    designer, encoder, task = joint("single", "vote")
    best = within(designer, encoder, task, max_usd=2.0)
    assert greedy(designer, encoder, [task], usd_weight=best.usd_weight) == [best.design]


def test_a_budget_that_binds_nothing_leaves_the_lowest_price_that_is_allowed():
    designer, encoder, task = joint("single", "vote")
    assert within(designer, encoder, task, max_usd=1e6, lowest=0.3).usd_weight == 0.3


def test_a_budget_that_nothing_fits_names_the_cheapest():
    designer, encoder, task = joint("single")
    with pytest.raises(ConfigError, match="the cheapest is expected to cost"):
        within(designer, encoder, task, max_usd=1e-9)


def test_each_task_may_have_a_price_of_its_own():
    designer, encoder, task = joint("single", "vote")
    alone = [greedy(designer, encoder, [task], usd_weight=price)[0] for price in (0.0, 10.0)]
    assert greedy(designer, encoder, [task, task], usd_weight=[0.0, 10.0]) == alone
