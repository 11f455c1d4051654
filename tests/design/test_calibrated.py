import json

import numpy as np
import pytest
import torch

from gdesign.design.calibrated import Curve, calibrate, error_of, from_plain, reliability


def pairs(num, *, seed=0, score=lambda s: s, usd=lambda u: u, noise=0.1):
    """What was expected of `num` questions, and what came: each score drawn, each cost off by some noise."""
    rng = np.random.default_rng(seed)
    expected = np.stack([rng.uniform(0.05, 0.95, num), rng.uniform(0.5, 4.0, num)], axis=1)
    right = rng.uniform(size=num) < score(expected[:, 0])
    cost = usd(expected[:, 1]) * np.exp(noise * rng.normal(size=num) - noise**2 / 2)
    return expected, np.stack([right, cost], axis=1).astype(float), np.arange(num)


def test_what_is_expected_too_low_and_too_dear_is_told_as_it_comes():
    found = calibrate(*pairs(1500, score=lambda s: 0.6 + 0.35 * s, usd=lambda u: 0.6 * u))
    assert found.why == ""
    test, came, _ = pairs(20_000, seed=1, score=lambda s: 0.6 + 0.35 * s, usd=lambda u: 0.6 * u)
    told = found.score(torch.from_numpy(test[:, 0]), scaled=False).numpy()
    assert error_of(reliability(told, came[:, 0]), relative=False) < 0.03 < 0.2
    assert error_of(reliability(test[:, 0], came[:, 0]), relative=False) > 0.2
    told = found.usd(torch.from_numpy(test[:, 1]), scaled=True).numpy()
    assert error_of(reliability(told, came[:, 1]), relative=True) < 0.04
    assert error_of(reliability(test[:, 1], came[:, 1]), relative=True) > 0.5


def test_what_is_told_never_falls_where_more_is_expected():
    found = calibrate(*pairs(300, score=lambda s: 1 - s))
    values = torch.linspace(0, 1, 50)
    assert found.score is not None
    assert (found.score(values, scaled=False).diff() >= 0).all()


def test_beyond_what_was_seen_a_cost_grows_in_proportion_and_a_score_does_not():
    curve = Curve((1.0, 2.0), (0.5, 0.8), 0.0, 0.0)
    assert curve(torch.tensor([4.0, 0.5]), scaled=True).tolist() == pytest.approx([1.6, 0.25])
    assert curve(torch.tensor([4.0, 0.5]), scaled=False).tolist() == pytest.approx([0.8, 0.5])


def test_few_questions_tell_nothing():
    found = calibrate(*pairs(20))
    assert (found.score, found.usd) == (None, None)
    assert found.why == "20 validation questions are too few to tell"


def test_costs_that_nobody_can_tell_are_not_told():
    rng = np.random.default_rng(0)
    expected, came, question = pairs(1500)
    came[:, 1] = np.where(question % 5 == 0, 100.0, 1.0)  # one fold of the questions is like no other
    expected[:, 1] = rng.permutation(expected[:, 1])
    found = calibrate(expected, came, question)
    assert found.usd is None
    assert found.score is not None
    assert "the cost expected was off by" in found.why


def test_a_checkpoint_may_hold_it():
    found = calibrate(*pairs(200))
    assert from_plain(json.loads(json.dumps(found.plain()))) == found
