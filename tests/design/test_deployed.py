import pytest
import torch

from gdesign.agents.teams import chain, single, vote
from gdesign.design.base import Draft, Expected
from gdesign.design.choose import greedy, held, within
from gdesign.design.deployed import Deployed, Measured
from gdesign.design.fixed import Fixed
from gdesign.errors import ConfigError
from tests import worlds


class Critic(Fixed):
    """Holds a chain of all agents best at every price, and expects a score of 1 for 5 USD of it."""

    def __init__(self, space):
        super().__init__(space=space, topology=chain)

    def forward(self, problem, *, num_designs=1, generator=None, greedy=False):
        draft = super().forward(problem, num_designs=num_designs)
        num = len(draft.log_prob)
        expected = Expected(torch.ones(num), torch.full((num,), 5.0))
        return Draft(designs=lambda: draft.designs, log_prob=draft.log_prob, expected=expected)

    def frontier(self, problem, usd_weights):
        return self(problem, num_designs=len(usd_weights))


def made(learned, usd_weight=0.1):
    """Return what is deployed of a designer that lost, the dear agent and the cheap one, and how problems are made."""
    problems = worlds.encoder()
    dear, cheap = (single([problems.space.agents[i]]) for i in (2, 0))
    measured = [Measured(design=dear, score=0.9, usd=10.0), Measured(design=cheap, score=0.6, usd=0.1)]
    designer = learned(space=problems.space)
    return Deployed(designer, measured=measured, usd_weight=usd_weight), dear, cheap, problems


def fixed(space):
    return Fixed(space=space, topology=vote)


def test_where_a_designer_of_one_price_lost_the_best_measured_design_answers_at_each_price():
    designer, dear, cheap, problems = made(fixed)
    tasks = worlds.tasks(3)
    assert greedy(designer, problems, tasks, usd_weight=[0.0, 0.01, 1.0]) == [dear, dear, cheap]
    assert designer(problems(tasks, usd_weight=1.0), num_designs=2).designs == [cheap] * 6


def test_what_was_measured_is_what_is_expected_so_a_budget_can_be_kept():
    designer, _, cheap, problems = made(fixed)
    found = within(designer, problems, worlds.tasks(1)[0], max_usd=1.0)
    assert found.design == cheap
    assert (found.score, found.usd) == (pytest.approx(0.6), pytest.approx(0.1))
    with pytest.raises(ConfigError, match=r"the cheapest is expected to cost 0\.1"):
        within(designer, problems, worlds.tasks(1)[0], max_usd=0.01)


def test_a_critic_keeps_every_price_but_the_one_at_which_it_lost():
    designer, _, cheap, problems = made(Critic)
    team = chain(problems.space.agents)
    found = held(designer, problems, worlds.tasks(3), usd_weight=[0.01, 0.1, 0.2])
    assert [f.design for f in found] == [team, cheap, team]
    assert [f.usd for f in found] == [5.0, pytest.approx(0.1), 5.0]
    assert within(designer, problems, worlds.tasks(1)[0], max_usd=6.0).design == team


def test_its_probabilities_are_those_of_what_it_draws():
    for learned in (fixed, Critic):
        designer, *_, problems = made(learned)
        problem = problems(worlds.tasks(3), usd_weight=[0.01, 0.1, 0.2])
        draft = designer(problem)
        assert torch.equal(designer.log_prob(problem, draft.designs), draft.log_prob)
        other = chain(problems.space.agents[:2])
        assert designer.log_prob(problem, [other] * 3).tolist() == [-torch.inf] * 3


def test_a_given_design_is_expected_what_was_measured_of_it_or_what_the_critic_says():
    designer, dear, _, problems = made(fixed)
    score, usd = designer.expect(problems(worlds.tasks(1)), [dear])
    assert (float(score), float(usd)) == (pytest.approx(0.9), 10.0)
    with pytest.raises(ConfigError, match="does not predict"):
        designer.expect(problems(worlds.tasks(1)), [chain(problems.space.agents)])
