from functools import partial

import pytest
import torch

from gdesign.design.base import Reviewed
from gdesign.design.joint.critic import Critic
from gdesign.errors import ConfigError
from gdesign.types import Design
from tests import worlds

SMALL = partial(Critic, gnn=worlds.gnn(8), shapes=["single"], reuse=False)


def critic(num: int = 3, **settings) -> tuple:
    """Return a critic that chooses among single agents, one problem, and its designs."""
    encoder = worlds.encoder(num)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = SMALL(space=encoder.space, **settings)
    return made.eval(), encoder(worlds.tasks(1), usd_weight=0.0), made.catalogue(encoder.space).designs


def review(made: Critic, problem, runs: list[tuple[Design, float]]) -> None:
    designs, scores = zip(*runs, strict=True)
    made.review([Reviewed(problem, designs, torch.zeros(len(runs), dtype=torch.long), torch.tensor(scores))])


def test_what_runs_scored_beyond_expectation_is_added_and_shrunk():
    made, problem, designs = critic(shrinkage=10.0)
    before = made.expect(problem, designs[:1]).score
    review(made, problem, [(designs[0], before.item() + 0.4)] * 10)
    torch.testing.assert_close(made.expect(problem, designs[:1]).score, before + 0.2)


def test_a_second_review_starts_from_what_the_method_says_itself():
    made, problem, designs = critic(shrinkage=10.0)
    before = made.expect(problem, designs[:1]).score
    for _ in range(2):
        review(made, problem, [(designs[0], before.item() + 0.4)] * 10)
    torch.testing.assert_close(made.expect(problem, designs[:1]).score, before + 0.2)


def test_learning_goes_by_what_the_method_says_itself():
    made, problem, designs = critic()
    before = made.expect(problem, designs[:1]).score
    review(made, problem, [(designs[0], 1.0)] * 50)
    torch.testing.assert_close(made.train().expect(problem, designs[:1]).score, before)


def test_of_designs_held_alike_the_one_with_more_runs_is_taken():
    made, problem, designs = critic(doubt=1.0)
    said = made.expect(problem, [designs[i] for i in (0, 1, 2)], of=torch.zeros(3, dtype=torch.long)).score.tolist()
    for best in range(3):
        runs = [(designs[i], said[i]) for i in range(3) for _ in range(80 if i == best else 1)]
        review(made, problem, runs)
        assert made(problem, greedy=True).designs == [designs[best]]
        assert made.frontier(problem, [0.0]).designs == [designs[best]]


def test_without_doubt_the_number_of_runs_does_not_matter():
    made, problem, designs = critic(doubt=0.0)
    before = made(problem, greedy=True).designs
    said = made.expect(problem, designs, of=torch.zeros(len(designs), dtype=torch.long)).score.tolist()
    for i, design in enumerate(designs):
        review(made, problem, [(design, said[i])] * 50)
        assert made(problem, greedy=True).designs == before


def test_where_agents_were_added_since_none_is_doubted():
    made, problem, designs = critic(doubt=1.0, shrinkage=1e9)
    review(made, problem, [(designs[2], 0.5)] * 80)
    larger, more, _ = critic(4, doubt=1.0, shrinkage=1e9)
    free = larger.frontier(more, [0.0]).designs
    larger.set_extra_state(made.get_extra_state())
    assert larger.frontier(more, [0.0]).designs == free


def test_what_runs_have_shown_is_part_of_the_state():
    made, problem, designs = critic()
    review(made, problem, [(designs[0], 1.0)] * 20 + [(designs[1], 0.0)])
    other = critic()[0]
    other.load_state_dict(made.state_dict())
    torch.testing.assert_close(other.expect(problem, designs[:1]).score, made.expect(problem, designs[:1]).score)
    torch.testing.assert_close(other(problem, greedy=True).log_prob, made(problem, greedy=True).log_prob)


@pytest.mark.parametrize(
    ("setting", "message"), [({"shrinkage": 0.0}, "above 0; got 0"), ({"doubt": -1.0}, "0 or more; got -1")]
)
def test_settings_that_cannot_be_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        critic(**setting)
