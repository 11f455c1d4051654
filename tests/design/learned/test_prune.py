import pytest
import torch

from gdesign.design.learned.prune import Prune
from gdesign.errors import ConfigError
from tests import laws, unrolled, worlds

PRUNE = laws.Method(
    name="prune",
    make=lambda space: Prune(space=space),
    designs=unrolled.designs,
    sizes=(1, 2),
    query_dependent=False,
    soft=True,
    lr=0.1,
)


@pytest.mark.parametrize("law", laws.applying_to(PRUNE), ids=lambda law: law.__name__)
def test_prune_keeps_the_law(law):
    law(PRUNE)


def trained(space, **options):
    """A designer with logits as training may leave them."""
    prune = Prune(space=space, **options)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in prune.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return prune.eval()


def probabilities(prune, encoder, designs):
    with torch.no_grad():
        return prune.log_prob(encoder(worlds.tasks(1) * len(designs)), designs).exp()


@pytest.mark.parametrize("slots", [[0, 1, 2], [0, 1, 0]])
@pytest.mark.parametrize("options", [{}, {"prune_after": 5}, {"drop_after": 5}])
def test_the_probabilities_of_all_designs_sum_to_one(slots, options):
    encoder = worlds.encoder(3, slots=slots)
    prune = trained(encoder.space, **options)
    prune.step_taken(5)
    total = probabilities(prune, encoder, unrolled.designs(encoder.space)).sum().item()
    assert total == pytest.approx(1.0, abs=1e-4)


def test_with_one_round_there_are_no_temporal_edges():
    encoder = worlds.encoder(3)
    designs = laws.dags(encoder.space)
    prune = trained(encoder.space, num_rounds=1)
    assert probabilities(prune, encoder, designs).sum().item() == pytest.approx(1.0, abs=1e-4)


def test_the_lowest_edges_are_pruned_once_and_never_drawn_again():
    encoder = worlds.encoder(4)
    prune = trained(encoder.space, prune_after=3, prune_share=0.25)
    for step in (1, 2):
        prune.step_taken(step)
        assert prune.spatial_left.sum() == 12
    before = prune.distribution(encoder(worlds.tasks(1)))
    prune.step_taken(3)
    pairs = ~torch.eye(4, dtype=torch.bool)
    for logits, left in ((prune.spatial, prune.spatial_left), (prune.temporal, prune.temporal_left)):
        assert left.sum() == 9
        assert logits[pairs & ~left].max() < logits[left].min()
    problem = encoder(worlds.tasks(1) * 200)
    drawn = prune.distribution(problem).sample(generator=torch.Generator().manual_seed(0))
    assert not drawn.adjacency[:, ~prune.spatial_left].any()
    assert not drawn.later.temporal[:, ~prune.temporal_left].any()
    full = before[torch.zeros(200, dtype=torch.long)].sample(generator=torch.Generator().manual_seed(0))
    assert full.adjacency[:, pairs & ~prune.spatial_left].any()


def test_a_design_with_a_pruned_edge_cannot_be_drawn():
    encoder = worlds.encoder(2)
    prune = trained(encoder.space, prune_after=1, prune_share=0.5)
    designs = unrolled.designs(encoder.space)
    possible = probabilities(prune, encoder, designs) > 0
    assert possible.all()
    prune.step_taken(1)
    (i, j), names = (~prune.spatial_left & ~torch.eye(2, dtype=torch.bool)).nonzero()[0].tolist(), encoder.space.agents
    for design, p in zip(designs, probabilities(prune, encoder, designs).tolist(), strict=True):
        if (names[i], names[j]) in [(design.agents[e.src], design.agents[e.dst]) for e in design.spatial]:
            assert p == 0


def test_the_agent_with_the_weakest_edges_is_dropped_and_never_drawn():
    encoder = worlds.encoder(4)
    prune = Prune(space=encoder.space, drop_after=2)
    with torch.no_grad():
        prune.spatial[:, 2] = -1.0
        prune.temporal[2, :] = -1.0
        prune.order_logits[2] = 50.0
    problem = encoder(worlds.tasks(50))
    gone = encoder.space.agents[2]
    assert all(gone in d.agents for d in prune(problem, generator=torch.Generator().manual_seed(0)).designs)
    prune.step_taken(2)
    assert prune.dropped.tolist() == [False, False, True, False]
    assert not any(gone in d.agents for d in prune(problem, generator=torch.Generator().manual_seed(0)).designs)
    assert prune(problem, greedy=True).log_prob.isfinite().all()


def test_what_was_pruned_and_dropped_is_in_the_state():
    space = worlds.encoder(4).space
    prune = trained(space, prune_after=1, drop_after=1)
    prune.step_taken(1)
    other = Prune(space=space)
    other.load_state_dict(prune.state_dict())
    assert torch.equal(other.spatial_left, prune.spatial_left)
    assert torch.equal(other.dropped, prune.dropped)


def test_the_penalty_is_lower_for_graphs_of_lower_rank_that_are_as_far_from_the_full_graph():
    space = worlds.encoder(4).space
    low, high = Prune(space=space, tolerance=100.0), Prune(space=space, tolerance=100.0)
    with torch.no_grad():
        for prune, edges in ((low, [(0, 1), (0, 2), (0, 3)]), (high, [(0, 1), (1, 2), (2, 3)])):
            for logits in (prune.spatial, prune.temporal):
                logits.fill_(-20.0)
                for i, j in edges:
                    logits[i, j] = 20.0
    assert low.penalty().item() == pytest.approx(2 * 3**0.5, abs=1e-3)
    assert high.penalty().item() == pytest.approx(2 * 3, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "message"), [({"prune_share": 1.0}, "prune_share"), ({"drop_after": 1, "num_drop": 3}, "num_drop")]
)
def test_settings_that_leave_nothing_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Prune(space=worlds.encoder(3).space, **options)
