import itertools

import pytest
import torch

from gdesign.design.draws import ALWAYS
from gdesign.design.edge_distribution import EdgeDistribution, design_log_prob
from gdesign.design.slot_graphs import SlotGraphs, reaches, slot_agents
from tests import unrolled, worlds


def distribution(num_slots, *, seed=0, num=1, scale=1.5, present=None):
    generator = torch.Generator().manual_seed(seed)
    return EdgeDistribution(
        order_logits=scale * torch.randn(num, num_slots, generator=generator, dtype=torch.double),
        edge_logits=scale * torch.randn(num, num_slots, num_slots, generator=generator, dtype=torch.double),
        mask=torch.ones(num, num_slots, dtype=torch.bool) if present is None else torch.tensor(present),
    )


def all_graphs(num_slots):
    """Every graph over slots whose kept slots all have a path to one decider, without a circle."""
    pairs = [(i, j) for i in range(num_slots) for j in range(num_slots) if i != j]
    graphs = set()
    for decider in range(num_slots):
        for chosen in itertools.product([False, True], repeat=len(pairs)):
            adjacency = torch.zeros(1, num_slots, num_slots, dtype=torch.bool)
            for (i, j), there in zip(pairs, chosen, strict=True):
                adjacency[0, i, j] = there
            keep = reaches(adjacency, torch.tensor([decider]))
            adjacency &= keep[:, :, None] & keep[:, None, :]
            power = torch.linalg.matrix_power(adjacency[0].double(), num_slots)
            if power.any() or adjacency[0, decider].any():
                continue
            graphs.add((decider, tuple(keep[0].tolist()), tuple(adjacency[0].flatten().tolist())))
    n = num_slots
    return SlotGraphs(
        adjacency=torch.tensor([g[2] for g in graphs]).reshape(-1, n, n),
        keep=torch.tensor([g[1] for g in graphs]),
        decider=torch.tensor([g[0] for g in graphs]),
    )


@pytest.mark.parametrize("num_slots", [1, 2, 3])
def test_the_probabilities_of_all_graphs_sum_to_one(num_slots):
    graphs = all_graphs(num_slots)
    edges = distribution(num_slots)[torch.zeros(len(graphs.keep), dtype=torch.long)]
    assert edges.log_prob(graphs).exp().sum().item() == pytest.approx(1.0)


def test_drawn_graphs_are_as_frequent_as_their_probability_says():
    edges = distribution(3)[torch.zeros(40_000, dtype=torch.long)]
    drawn = edges.sample(generator=torch.Generator().manual_seed(1))
    keys = [(d, tuple(a.flatten().tolist())) for d, a in zip(drawn.decider.tolist(), drawn.adjacency, strict=True)]
    log_prob = edges.log_prob(drawn)
    for key in set(keys):
        rows = [i for i, k in enumerate(keys) if k == key]
        p = log_prob[rows[0]].exp().item()
        assert len(rows) / len(keys) == pytest.approx(p, abs=4 * (p * (1 - p) / len(keys)) ** 0.5 + 1e-9)


def test_edge_probability_is_the_mean_of_drawn_edges_before_agents_are_left_out():
    edges = distribution(2)[torch.zeros(40_000, dtype=torch.long)]
    drawn = edges.sample(generator=torch.Generator().manual_seed(1))
    mean = drawn.adjacency.double().mean(0)  # with two slots an edge always leads to the decider
    assert torch.allclose(mean, edges.edge_probability()[0], atol=0.01)


def test_no_draw_holds_a_circle_or_an_agent_without_a_path_to_the_decider():
    edges = distribution(8, num=200)
    drawn = edges.sample(generator=torch.Generator().manual_seed(0))
    assert not torch.linalg.matrix_power(drawn.adjacency.double(), 8).any()
    assert torch.equal(reaches(drawn.adjacency, drawn.decider), drawn.keep)


def test_an_absent_slot_is_never_drawn_and_changes_no_probability():
    small = distribution(3)
    padded = EdgeDistribution(
        order_logits=torch.nn.functional.pad(small.order_logits, (0, 2), value=3.0),
        edge_logits=torch.nn.functional.pad(small.edge_logits, (0, 2, 0, 2), value=3.0),
        mask=torch.tensor([[True, True, True, False, False]]),
    )
    rows = torch.zeros(50, dtype=torch.long)
    drawn = padded[rows].sample(generator=torch.Generator().manual_seed(0))
    assert not drawn.keep[:, 3:].any()
    cut = SlotGraphs(adjacency=drawn.adjacency[:, :3, :3], keep=drawn.keep[:, :3], decider=drawn.decider)
    assert torch.allclose(padded[rows].log_prob(drawn), small[rows].log_prob(cut))
    assert torch.allclose(padded[rows].entropy(drawn.order), small[rows].entropy(drawn.order[:, :3]))


def test_the_greedy_graph_is_the_same_every_time():
    edges = distribution(6, num=20)
    first, second = edges.sample(greedy=True), edges.sample(greedy=True)
    assert torch.equal(first.adjacency, second.adjacency)
    assert torch.equal(first.decider, edges.order_logits.argmax(1))


def test_summed_probabilities_are_those_of_the_order_where_only_one_is_possible():
    edges = EdgeDistribution(
        order_logits=torch.tensor([[60.0, 30.0, 0.0]], dtype=torch.double),
        edge_logits=distribution(3).edge_logits,
        mask=torch.ones(1, 3, dtype=torch.bool),
    )
    drawn = edges.sample(generator=torch.Generator().manual_seed(3))
    one_order = edges.order_log_prob(drawn.order)
    assert one_order.item() == pytest.approx(0.0, abs=1e-9)
    pairs = torch.where(drawn.adjacency, edges.edge_logits, -edges.edge_logits).sigmoid().log()
    kept_pairs = torch.tensor([[[False, False, False], [True, False, False], [True, True, False]]])
    into_kept = drawn.keep[:, None, :].expand(1, 3, 3)
    assert edges.log_prob(drawn).item() == pytest.approx(pairs[kept_pairs & into_kept].sum().item())


def test_probabilities_reach_every_logit_with_a_gradient():
    edges = distribution(4, num=64)
    edges.order_logits.requires_grad_()
    edges.edge_logits.requires_grad_()
    drawn = edges.sample(generator=torch.Generator().manual_seed(0))
    edges.log_prob(drawn).sum().backward()
    off_diagonal = ~torch.eye(4, dtype=torch.bool)
    assert (edges.order_logits.grad.abs().sum(0) > 0).all()
    assert (edges.edge_logits.grad.abs().sum(0)[off_diagonal] > 0).all()
    assert edges.edge_logits.grad.isfinite().all()


def with_rounds(num_slots, num_rounds, *, gated, seed=0, num=1):
    """A distribution with temporal edges; without gates all listen in every round."""
    generator = torch.Generator().manual_seed(seed)
    first = distribution(num_slots, seed=seed, num=num)
    temporal = torch.randn(num, num_slots, num_slots, generator=generator, dtype=torch.double)
    listens = torch.randn(num, num_slots, num_rounds - 1, generator=generator, dtype=torch.double)
    return EdgeDistribution(
        order_logits=first.order_logits,
        edge_logits=first.edge_logits,
        mask=first.mask,
        temporal_logits=temporal,
        listen_logits=listens if gated else torch.full_like(listens, ALWAYS),
    )


def log_prob_of_draw(edges, draw):
    """The log-probability of all that one draw holds."""
    total = edges.order_log_prob(torch.tensor([draw.order]))[0]
    for logits, drawn in ((edges.edge_logits[0], draw.spatial), (edges.temporal_logits[0], draw.temporal)):
        for (i, j), there in drawn.items():
            total = total + torch.nn.functional.logsigmoid(logits[i, j] if there else -logits[i, j])
    for i, rounds in enumerate(draw.listens):
        for k, logit in enumerate(edges.listen_logits[0, i]):
            total = total + torch.nn.functional.logsigmoid(logit if k + 2 in rounds else -logit)
    return total


@pytest.mark.parametrize(
    ("slots", "num_rounds", "gated"),
    [
        ((0, 1), 2, False),
        ((0, 1), 3, False),
        ((0, 1, 0), 2, False),
        ((0,), 2, True),
        ((0, 1), 2, True),
        ((0, 1), 3, True),
        ((0, 0), 3, True),
    ],
)
def test_a_design_over_rounds_has_the_probability_of_all_draws_that_give_it(slots, num_rounds, gated):
    encoder = worlds.encoder(max(slots) + 1, slots=slots)
    edges = with_rounds(len(slots), num_rounds, gated=gated)
    mass = {}
    for draw in unrolled.draws(encoder.space.agents, num_rounds=num_rounds, gated=gated):
        mass.setdefault(draw.design, []).append(log_prob_of_draw(edges, draw))
    expected = torch.stack([torch.stack(parts).logsumexp(0) for parts in mass.values()])
    problem = encoder(worlds.tasks(1) * len(mass))
    rows = torch.zeros(len(mass), dtype=torch.long)
    got = design_log_prob(edges[rows], slot_agents(problem), list(mass), num_rounds=num_rounds)
    torch.testing.assert_close(got, expected)
    assert expected.exp().sum().item() == pytest.approx(1.0)
