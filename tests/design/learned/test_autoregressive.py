import itertools
from collections import Counter

import pytest
import torch

from gdesign.agents import teams
from gdesign.design.learned.autoregressive import Autoregressive, NotNone
from gdesign.errors import ConfigError
from tests import laws, worlds

AUTOREGRESSIVE = laws.Method(
    name="autoregressive", make=lambda space: Autoregressive(space=space, gnn=worlds.gnn(16)), designs=laws.dags
)


@pytest.mark.parametrize("law", laws.applying_to(AUTOREGRESSIVE), ids=lambda law: law.__name__)
def test_autoregressive_keeps_the_law(law):
    law(AUTOREGRESSIVE)


def seeded(space, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Autoregressive(space=space, **options).eval()


def biased(designer, *, stop, edge=0.0):
    """Make stopping and hearing likely (or not), whatever the state."""
    with torch.no_grad():
        designer.stop.bias.fill_(stop)
        designer.edge.bias.fill_(edge)
    return designer


@pytest.mark.parametrize("num", [1, 2, 3])
def test_no_team_is_larger_than_the_largest(num):
    encoder = worlds.encoder(4)
    designer = biased(seeded(encoder.space, max_agents=num), stop=-30.0)
    drafts = designer(encoder(worlds.tasks(8)), generator=torch.Generator().manual_seed(0))
    assert {len(d.agents) for d in drafts.designs} == {num}


def test_teams_of_two_of_three_agents_sum_to_one():
    encoder = worlds.encoder(3)
    designer = seeded(encoder.space, max_agents=2)
    every = laws.dags(encoder.space)
    p = designer.log_prob(encoder(worlds.tasks(1) * len(every)), every).exp()
    assert {len(d.agents) for d, mass in zip(every, p.tolist(), strict=True) if mass > 0} == {1, 2}
    torch.testing.assert_close(p.sum(), torch.tensor(1.0))


def test_every_agent_that_was_drawn_takes_part():
    encoder = worlds.encoder(4)
    designer = biased(seeded(encoder.space), stop=-30.0, edge=-30.0)
    drafts = designer(encoder(worlds.tasks(16)), generator=torch.Generator().manual_seed(0))
    for design in drafts.designs:  # hardly any edge is wanted, and yet nobody is left without a hearer
        assert len(design.agents) == 4
        assert len(design.spatial) == 3
    assert torch.isfinite(drafts.log_prob).all()


def test_draws_come_as_often_as_their_probability_says():
    encoder = worlds.encoder(3)  # many designs can grow in two orders
    designer = biased(seeded(encoder.space), stop=-1.0)
    problem = encoder(worlds.tasks(1) * 4000)
    drawn = Counter(designer(problem, generator=torch.Generator().manual_seed(0)).designs)
    every = laws.dags(encoder.space)
    with torch.no_grad():
        p = designer.log_prob(encoder(worlds.tasks(1) * len(every)), every).exp()
    for design, expected in zip(every, (4000 * p).tolist(), strict=True):
        assert abs(drawn[design] - expected) < 4.5 * expected**0.5 + 1


def test_edges_given_that_there_is_one_have_exact_probabilities_and_entropy():
    logits = torch.tensor([0.3, -1.2, 2.0], dtype=torch.double)
    edges = torch.tensor(list(itertools.product([False, True], repeat=3)))[1:]
    some = NotNone(logits.expand(7, 3), torch.ones(7, 3, dtype=torch.bool))
    independent = torch.where(edges, logits, -logits).sigmoid().prod(-1)
    p = some.log_prob(edges).exp()
    torch.testing.assert_close(p, independent / independent.sum())
    torch.testing.assert_close(some.entropy()[0], -(p * p.log()).sum())


def test_edges_that_are_next_to_impossible_still_have_probabilities_that_sum_to_one():
    logits = torch.full((3, 2), -200.0)
    edges = torch.tensor([[True, False], [False, True], [True, True]])
    p = NotNone(logits, torch.ones(3, 2, dtype=torch.bool)).log_prob(edges).exp()
    torch.testing.assert_close(p, torch.tensor([0.5, 0.5, 0.0]))


def test_the_mean_entropy_of_teams_of_two_is_that_of_the_designs():
    encoder = worlds.encoder(3)
    designer = seeded(encoder.space, max_agents=2)  # each design has one order
    every = [d for d in laws.dags(encoder.space) if len(d.agents) <= 2]
    log_p = designer.log_prob(encoder(worlds.tasks(1) * len(every)), every)
    problem = encoder(worlds.tasks(1) * 4000)
    mean = designer(problem, generator=torch.Generator().manual_seed(0)).entropy.mean()
    torch.testing.assert_close(mean * designer.num_decisions, -(log_p.exp() * log_p).sum(), atol=0.02, rtol=0)
    assert designer.num_decisions == 4  # who decides, whether another comes, who, and one edge


def test_a_trained_designer_can_be_used_on_another_pool():
    small, large = worlds.encoder(3), worlds.encoder(9)
    draft = seeded(small.space)(large(worlds.tasks(8)), generator=torch.Generator().manual_seed(0))
    assert {a.llm for d in draft.designs for a in d.agents} - {m.name for m in small.space.pool.llms}
    assert torch.isfinite(draft.log_prob).all()


def test_rounds_are_those_asked_for():
    encoder = worlds.encoder(3)
    drafts = seeded(encoder.space, num_rounds=2)(encoder(worlds.tasks(5)), generator=torch.Generator().manual_seed(0))
    assert {d.num_rounds for d in drafts.designs} == {2}


def test_a_design_of_another_family_cannot_be_drawn():
    encoder = worlds.encoder(3)
    designer, agents = seeded(encoder.space), encoder.space.agents
    for design in (teams.vote(agents), teams.debate(agents, num_rounds=2), teams.cascade(agents)):
        assert designer.log_prob(encoder(worlds.tasks(1)), [design]) == -torch.inf


@pytest.mark.parametrize("num", [0, 9])
def test_a_team_too_large_to_sum_over_is_refused(num):
    with pytest.raises(ConfigError, match=f"max_agents must lie in 1..8; got {num}"):
        Autoregressive(space=worlds.encoder(3).space, max_agents=num)
