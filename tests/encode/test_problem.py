import pytest
import torch
from torch_geometric.data import Batch

from gdesign.encode.problem import Problem, ProblemEncoder, dense
from gdesign.encode.text import HashEncoder
from gdesign.errors import ConfigError
from tests import worlds


def test_a_batch_is_what_pyg_makes_of_its_problems():
    batch = worlds.encoder()(worlds.tasks(3), usd_weight=[0.0, 0.1, 2.0])
    problems = batch.to_data_list()
    again = Batch.from_data_list(problems)
    assert isinstance(batch, type(again))
    assert all(isinstance(p, Problem) for p in problems)
    for key in ("x", "features", "edge_index", "slot", "usd_weight", "batch", "ptr"):
        assert batch[key].dtype == again[key].dtype
        assert torch.equal(batch[key], again[key]), key
    assert batch.num_graphs == 3
    assert batch.task == again.task == worlds.tasks(3)


def test_a_problem_is_the_same_alone_and_in_a_batch():
    encoder = worlds.encoder()
    together = encoder(worlds.tasks(3), usd_weight=0.3).to_data_list()[1]
    alone = encoder(worlds.tasks(3)[1:2], usd_weight=0.3).to_data_list()[0]
    for key in ("x", "features", "edge_index", "slot", "usd_weight"):
        assert torch.equal(together[key], alone[key])


def test_the_task_node_is_tied_to_every_slot_both_ways_and_holds_the_question():
    encoder = worlds.encoder(3, anchor="none")
    (problem,) = encoder(worlds.tasks(1)).to_data_list()
    ties = {(0, 3), (1, 3), (2, 3), (3, 0), (3, 1), (3, 2)}
    assert set(map(tuple, problem.edge_index.T.tolist())) == ties
    assert problem.slot.tolist() == [0, 1, 2, -1]
    assert torch.equal(problem.x[3], HashEncoder(dim=32)([problem.task.question])[0])


@pytest.mark.parametrize(
    ("anchor", "edges"),
    [
        ("chain", {(0, 1), (1, 2)}),
        ("pool", {(0, 1), (1, 2)}),
        ("complete", {(i, j) for i in range(3) for j in range(3) if i != j}),
        ("star", {(0, 1), (0, 2)}),
        ("mesh", {(0, 1), (0, 2), (1, 2)}),
        ("none", set()),
    ],
)
def test_anchors_lead_from_heard_to_hearer(anchor, edges):
    batch = worlds.encoder(3, anchor=anchor)(worlds.tasks(2))
    for rows in dense(batch, batch.x).anchor:
        assert {tuple(e) for e in rows.nonzero().tolist()} == edges


def test_an_anchor_can_be_turned_round():
    encoders = [
        ProblemEncoder(pool=worlds.pool(5), encoder=HashEncoder(dim=8), anchor="tree", anchor_reverse=reverse)
        for reverse in (False, True)
    ]
    one, two = (dense(e(worlds.tasks(1)), e(worlds.tasks(1)).x).anchor for e in encoders)
    assert one.sum() == 4
    assert torch.equal(one.mT, two)


def test_a_random_anchor_keeps_its_seed():
    anchors = [
        ProblemEncoder(pool=worlds.pool(6), encoder=HashEncoder(dim=8), anchor="random", anchor_seed=seed)(
            worlds.tasks(1)
        ).edge_index
        for seed in (1, 1, 2)
    ]
    assert torch.equal(anchors[0], anchors[1])
    assert anchors[0].shape != anchors[2].shape or not torch.equal(anchors[0], anchors[2])


def test_no_field_holds_the_right_answer():
    encoder = worlds.encoder()
    one = encoder(worlds.tasks(2))
    two = encoder([worlds.with_answer(t, "another") for t in worlds.tasks(2)])
    for key, value in one.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, two[key]), key


def test_the_price_of_cost_is_read_from_the_features():
    encoder = worlds.encoder()
    free, dear = encoder(worlds.tasks(2), usd_weight=[0.0, 10.0]).to_data_list()
    assert free.features[0, 4] == 1
    assert dear.features[0, 4] == 0
    assert free.features[0, 5] < dear.features[0, 5]


def test_slots_of_one_candidate_differ_in_their_instance():
    encoder = worlds.encoder(2, slots=[0, 0, 1])
    (problem,) = encoder(worlds.tasks(1)).to_data_list()
    assert problem.features[:3, 2].tolist() == [0, 1, 0]
    assert torch.equal(problem.x[0], problem.x[1])


def test_permuted_slots_permute_the_problem():
    order = [2, 0, 1]
    (problem,) = worlds.encoder()(worlds.tasks(1)).to_data_list()
    permuted = worlds.with_slots(problem, order)
    one, two = (dense(Batch.from_data_list([p]), p.x) for p in (problem, permuted))
    assert torch.equal(two.slots, one.slots[:, order])
    assert torch.equal(two.slot, one.slot[:, order])
    assert torch.equal(two.anchor, one.anchor[:, order][:, :, order])
    assert torch.equal(two.task, one.task)


def test_what_the_pool_lacks_is_named():
    with pytest.raises(ConfigError, match=r"slot names candidate 7; pool 'tiny' has candidates 0\.\.2"):
        worlds.encoder(3, slots=[0, 7])
    with pytest.raises(ConfigError, match="anchor 'ring' is unknown"):
        ProblemEncoder(pool=worlds.pool(), encoder=HashEncoder(dim=8), anchor="ring")


def test_a_reward_for_spending_is_refused():
    with pytest.raises(ConfigError, match=r"usd_weight is -0\.1; expected 0 or more"):
        worlds.encoder()(worlds.tasks(2), usd_weight=[0.0, -0.1])


@pytest.mark.parametrize("price", [1e39, float("inf"), float("nan")])
def test_a_price_of_cost_that_no_tensor_can_hold_is_refused(price):
    with pytest.raises(ConfigError, match=rf"usd_weight is {price:g}".replace("+", r"\+")):
        worlds.encoder()(worlds.tasks(2), usd_weight=[0.0, price])
