from functools import partial

import pytest
import torch

from gdesign.design.learned.relaxed import Relaxed, relax, rounds_held, takes_part
from gdesign.errors import ConfigError
from gdesign.learn.estimators import Rollouts, critic
from tests import laws, unrolled, worlds

RELAXED = laws.Method(
    name="relaxed",
    make=lambda space: Relaxed(space=space, warmup=0),
    designs=partial(unrolled.designs, gated=True),
    sizes=(1, 2),
    query_dependent=False,  # its graph is one for all questions; only who listens differs
    soft=True,
    lr=0.01,
)


@pytest.mark.parametrize("law", laws.applying_to(RELAXED), ids=lambda law: law.__name__)
def test_relaxed_keeps_the_law(law):
    law(RELAXED)


@pytest.mark.parametrize(("slots", "num_rounds"), [((0, 1, 0), 1), ((0, 1), 3), ((0, 0), 3)])
def test_the_probabilities_of_all_designs_sum_to_one(slots, num_rounds):
    encoder = worlds.encoder(2, slots=slots)
    torch.manual_seed(0)
    relaxed = Relaxed(space=encoder.space, num_rounds=num_rounds)
    designs = (
        unrolled.designs(encoder.space, num_rounds=num_rounds, gated=True)
        if num_rounds > 1
        else laws.dags(encoder.space)
    )
    with torch.no_grad():
        log_prob = relaxed.log_prob(encoder(worlds.tasks(1) * len(designs)), designs)
    assert log_prob.exp().sum().item() == pytest.approx(1.0, abs=1e-4)


def drawn(num_slots=4, *, num_rounds=3, num=40):
    encoder = worlds.encoder(num_slots)
    torch.manual_seed(0)
    designer = Relaxed(space=encoder.space, num_rounds=num_rounds, warmup=0)
    problem = encoder(worlds.tasks(num))
    edges = designer.distribution(problem)
    graphs = edges.sample(generator=torch.Generator().manual_seed(0))
    return designer, problem, edges, graphs


def test_questions_differ_in_who_listens():
    _, _, edges, _ = drawn()
    assert (edges.listen_logits[0] - edges.listen_logits[1]).abs().max() > 1e-3
    assert torch.equal(edges.edge_logits[0], edges.edge_logits[1])


def test_a_relaxed_graph_is_the_drawn_one_with_a_gradient():
    _, _, edges, graphs = drawn()
    hard, soft = relax(graphs, edges)
    for name in ("adjacency", "temporal", "listens", "decider"):
        torch.testing.assert_close(getattr(hard, name), getattr(soft, name))
        assert not getattr(hard, name).requires_grad
        assert getattr(soft, name).requires_grad
    assert torch.equal(hard.adjacency > 0, graphs.adjacency)
    assert torch.equal(hard.temporal > 0, graphs.later.temporal)


def test_those_who_take_part_are_the_agents_of_the_design():
    _, _, edges, graphs = drawn()
    assert torch.equal(takes_part(relax(graphs, edges)[0]) > 0.5, graphs.keep)


def test_the_rounds_that_are_held_are_those_of_the_design():
    designer, problem, edges, graphs = drawn(2)
    held = rounds_held(relax(graphs, edges)[0])
    designs = designer(problem, generator=torch.Generator().manual_seed(0)).designs
    assert [1 + int(row.sum()) for row in held] == [d.num_rounds for d in designs]
    assert {d.num_rounds for d in designs} == {1, 2, 3}


def test_an_agent_that_is_left_out_changes_no_value():
    designer, problem, edges, graphs = drawn()
    value = designer.critic(designer.critic.read(problem), relax(graphs, edges)[0])
    other = problem.clone()
    first = problem.ptr[:-1, None] + torch.arange(4)
    other.x[first[~graphs.keep]] = 1.0
    assert (~graphs.keep).any()
    # anchor edges tell an agent of its neighbours, so they are taken out
    for p in (problem, other):
        p.edge_index = p.edge_index[:, :0]
    torch.testing.assert_close(
        designer.critic(designer.critic.read(problem), relax(graphs, edges)[0]),
        designer.critic(designer.critic.read(other), relax(graphs, edges)[0]),
    )
    assert value.shape == (40,)


def test_the_penalty_teaches_the_graph_and_the_value_the_critic():
    designer, problem, _, _ = drawn()
    graph = [p for name, p in designer.named_parameters() if not name.startswith("critic")]
    draft = designer(problem, generator=torch.Generator().manual_seed(0))
    critics = list(designer.critic.parameters())
    for loss, reached, others in ((draft.penalty, graph, critics), (draft.value, critics, graph)):
        grads = torch.autograd.grad(loss.sum(), [*reached, *others], allow_unused=True, retain_graph=True)
        assert all(g is not None for g in grads[: len(reached)])
        assert all(g is None for g in grads[len(reached) :])


def test_in_the_warm_up_only_the_critic_learns_of_utilities():
    encoder = worlds.encoder(3)
    designer = Relaxed(space=encoder.space, warmup=2, budget_weight=0.0)
    problem = encoder(worlds.tasks(2))
    assert (designer(problem).penalty == 0).all()
    designer.step_taken(2)
    assert (designer(problem).penalty != 0).all()
    other = Relaxed(space=encoder.space)
    other.load_state_dict(designer.state_dict())
    assert other.steps == 2


def test_hearing_more_agents_than_the_budget_costs():
    encoder = worlds.encoder(4)
    designer = Relaxed(space=encoder.space, num_rounds=1, sparsity=0.25)
    excess = []
    for logit in (-5.0, 0.0, 5.0):
        torch.nn.init.constant_(designer.spatial, logit)
        excess.append(designer.excess(designer.distribution(encoder(worlds.tasks(1)))).item())
    assert excess == pytest.approx([0.0, 0.0, 2.0], abs=1e-3)


def test_bilevel_optimisation_finds_a_planted_graph():
    """The utility is the number of agents; a single one is the worst design, all of them the best."""
    encoder = worlds.encoder(3)
    torch.manual_seed(0)
    designer = Relaxed(space=encoder.space, warmup=10, budget_weight=0.0)
    problem = encoder(worlds.tasks(2) * 8)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(designer.parameters(), lr=0.01)
    for step in range(80):
        draft = designer(problem, generator=generator)
        utility = torch.tensor([float(len(d.agents)) - 0.3 * len(d.spatial) for d in draft.designs])[:, None]
        rollouts = Rollouts(
            log_prob=draft.log_prob[:, None],
            utility=utility,
            entropy=draft.entropy[:, None],
            penalty=draft.penalty[:, None],
            weight=torch.ones(16),
            value=draft.value[:, None],
        )
        loss = critic(rollouts) + draft.penalty.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        designer.step_taken(step + 1)
    assert all(len(d.agents) == 3 for d in designer(problem, greedy=True).designs)


def test_a_sparsity_that_allows_nobody_is_refused():
    with pytest.raises(ConfigError, match="sparsity"):
        Relaxed(space=worlds.encoder(3).space, sparsity=0.0)
