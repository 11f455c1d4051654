from statistics import fmean

import pytest
import torch

from gdesign.design.learned.diffusion import Diffusion
from gdesign.design.learned.gdesigner import GDesigner
from gdesign.design.learned.prune import Prune
from gdesign.design.learned.relaxed import Relaxed
from gdesign.design.learned.swarm import Swarm
from gdesign.design.places import MAX_CALLED, MAX_EXACT, affordable, few, places
from gdesign.encode.problem import ProblemEncoder, dense
from gdesign.encode.text import HashEncoder
from gdesign.errors import ConfigError
from gdesign.types import LLM, AgentPool, Role
from tests import worlds

METHODS = (Swarm, GDesigner, Prune, Relaxed, Diffusion)


def encoder(num, *, prices=None):
    """Problems over so many candidates in one role, all at one price unless told otherwise."""
    prices = [1.0] * num if prices is None else prices
    llms = tuple(
        LLM(name=f"llm-{i}", profile=f"Size {i}.", usd_per_1M_input=p, usd_per_1M_output=4 * p)
        for i, p in enumerate(prices)
    )
    pool = AgentPool(name="p", roles=(Role(name="solver", profile="Solve."),), llms=llms)
    return ProblemEncoder(pool=pool, encoder=HashEncoder(dim=32))


def made(method, problems):
    torch.manual_seed(0)
    return method(space=problems.space)


def drawn(designer, problems, *, usd_weight=0.0, num=10):
    problem = problems(worlds.tasks(6), usd_weight=usd_weight)
    with torch.no_grad():
        return designer(problem, num_designs=num, generator=torch.Generator().manual_seed(0)).designs


@pytest.mark.parametrize("num", [4, 9, 20, 60, 300])
@pytest.mark.parametrize("method", METHODS)
def test_the_first_teams_are_small_however_many_are_on_offer(method, num):
    problems = encoder(num)
    sizes = [len(d.agents) for d in drawn(made(method, problems), problems)]
    assert max(sizes) <= max(MAX_CALLED, num if num <= MAX_EXACT else 0)
    assert 1.5 < fmean(sizes) < (4.7 if method in (Prune, Relaxed) else 3.7)


@pytest.mark.parametrize("num", [4, 12, 300])
@pytest.mark.parametrize("method", METHODS)
def test_whoever_is_too_dear_to_pay_is_seldom_drawn_at_first_and_as_often_as_others_where_cost_does_not_count(
    method, num
):
    problems = encoder(num, prices=[1.0] * (num // 2) + [1000.0] * (num // 2))  # a call each time costs 1.1 and 1,100

    def share(usd_weight):
        agents = [a for d in drawn(made(method, problems), problems, usd_weight=usd_weight) for a in d.agents]
        return fmean(int(a.llm.removeprefix("llm-")) >= num // 2 for a in agents)

    assert share(0.01) < 0.02
    assert 0.3 < share(0.0) < 0.7


def test_four_agents_at_one_price_are_drawn_by_even_chances():
    problem = encoder(4)(worlds.tasks(2), usd_weight=0.05)
    rows = dense(problem, problem.x)
    at = places(rows, torch.zeros(2, 4), num_designs=1)
    assert at.called is None
    for prior in (at.order_prior, at.edge_prior, at.temporal_prior):
        torch.testing.assert_close(prior, torch.zeros(2, 4))


def test_odds_fall_with_the_square_of_what_an_agent_costs_and_price_alone_excludes_nobody():
    logits = affordable(torch.tensor([[0.0, 0.2, 1.8, 1e6, 5.0]]), torch.tensor([[True, True, True, True, False]]))
    torch.testing.assert_close(logits[0, :3].exp(), torch.tensor([1.0, 0.25, 0.01]))
    assert logits[0, 3] > -40
    assert logits[0, 4] == 0


def test_the_expected_team_is_that_of_four_agents():
    for num in (4.0, 8.0, 20.0, 300.0):
        assert (1 + few(torch.tensor(num)).sigmoid().item()) ** (num - 1) == pytest.approx(1.5**3, rel=1e-4)
    assert few(torch.tensor([1.0, 2.0])).sigmoid().tolist() == [0.5, 0.5]


def test_who_is_called_comes_as_often_as_its_probability_says():
    num = MAX_EXACT + 1
    problem = encoder(num)(worlds.tasks(1) * 4000)
    learned = torch.linspace(2.0, -2.0, num).expand(4000, num)
    at = places(dense(problem, problem.x), learned, num_designs=1, generator=torch.Generator().manual_seed(0))
    first = torch.bincount(at.called.slots[:, 0], minlength=num) / 4000
    torch.testing.assert_close(first, learned[0].softmax(-1), atol=0.03, rtol=0)
    assert all(len(set(row)) == MAX_CALLED for row in at.called.slots.tolist())
    slots, expected = at.called.slots[0].tolist(), 0.0
    for k, slot in enumerate(slots):
        left = [i for i in range(num) if i not in slots[:k]]
        remaining = learned[0][left].logsumexp(-1)
        expected += float(learned[0][slot] - remaining)
    assert at.called.log_prob[0].item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_design_of_many_candidates_has_the_probability_of_who_was_called_and_of_their_edges(method):
    problems = encoder(20)
    designer = made(method, problems).eval()
    problem = problems(worlds.tasks(3))
    edges = designer.distribution(problem, num_designs=5, generator=torch.Generator().manual_seed(0))
    graphs = edges.sample(generator=torch.Generator().manual_seed(1))
    draft = designer.draft(problem, edges, graphs)
    assert all(a in problems.space.agents for d in draft.designs for a in d.agents)
    assert (graphs.decider == 0).all()
    for design, called in zip(draft.designs, edges.called.slots.tolist(), strict=True):
        place = len(design.agents) - 1 if design.decision.judge is None else design.decision.judge
        assert design.agents[place] == problems.space.agents[called[0]]
    pair = torch.where(graphs.adjacency, edges.edge_logits, -edges.edge_logits).sigmoid().log()
    into_kept = torch.ones(MAX_CALLED, MAX_CALLED, dtype=torch.bool).tril(-1) & graphs.keep[:, None, :]
    if edges.temporal_logits is None:
        torch.testing.assert_close(draft.log_prob, edges.called.log_prob + (pair * into_kept).sum((1, 2)))
    assert draft.log_prob.isfinite().all()


def test_a_given_design_of_many_candidates_is_refused():
    problems = encoder(30)
    designer = made(Swarm, problems)
    design = drawn(designer, problems, num=1)[:1]
    with pytest.raises(ConfigError, match="at most 12 slots; this problem has 30"):
        designer.log_prob(problems(worlds.tasks(1)), design)


@pytest.mark.parametrize("num", [4, 12, 20, 300])
@pytest.mark.parametrize("method", METHODS)
def test_nothing_pulls_at_the_first_draws_before_anything_is_learned(method, num):
    """The entropy, beside what is likely before, is highest there: per decision it is the same for any number."""
    problems = encoder(num, prices=[1.0 + i for i in range(num)])
    designer = made(method, problems).eval()
    draft = designer(
        problems(worlds.tasks(2), usd_weight=0.05), num_designs=8, generator=torch.Generator().manual_seed(0)
    )
    low, high = draft.entropy.min().item(), draft.entropy.max().item()
    assert 0.5 < low <= high < 3.0
    if method in (Swarm, Prune):
        loss = draft.entropy.mean()
        for grad in torch.autograd.grad(loss, list(designer.parameters()), allow_unused=True):
            assert grad.abs().max() < 1e-5


@pytest.mark.parametrize("num", [3, 20])
def test_agents_that_are_not_there_are_never_called(num):
    problems = encoder(20)
    whole = problems(worlds.tasks(2)).to_data_list()
    mixed = worlds.batch([worlds.with_slots(whole[0], range(num)), whole[1]])
    draft = made(GDesigner, problems)(mixed, num_designs=50, generator=torch.Generator().manual_seed(0))
    offered = set(problems.space.agents[:num])
    assert all(set(d.agents) <= offered for d in draft.designs[:50])
    assert draft.log_prob.isfinite().all()
    assert draft.entropy.isfinite().all()
