from functools import partial

import pytest
import torch
import torch_geometric.nn as pyg
from torch_geometric.data import Batch

from gdesign.encode.graph import GraphEncoder, gin
from gdesign.errors import ConfigError
from tests import worlds

CONVS = [
    partial(pyg.SimpleConv, aggr="mean"),
    pyg.GCNConv,
    pyg.GraphConv,
    pyg.TAGConv,
    gin,
    partial(pyg.ChebConv, K=2),
    partial(pyg.GATv2Conv, heads=4, concat=False),
]


def problem(anchor="pool") -> Batch:
    return worlds.encoder(4, anchor=anchor)(worlds.tasks(2))


def made(**settings) -> GraphEncoder:
    torch.manual_seed(0)
    return GraphEncoder(text_dim=32, hidden_dim=8, **settings).eval()


def reach(encoder: GraphEncoder, batch: Batch, node: int) -> set[int]:
    """Return the slots and task nodes whose encoding changes with the text of one slot."""
    other = batch.clone()
    other.x = batch.x.clone()
    other.x[node] = -batch.x[node]
    with torch.no_grad():
        moved = (encoder(batch) - encoder(other)).abs().amax(1) > 1e-6
    return set(moved.nonzero()[:, 0].tolist())


@pytest.mark.parametrize("conv", CONVS)
def test_any_convolution_passes_messages_within_a_problem_only(conv):
    found = reach(made(conv=conv), problem("complete"), 1)
    assert {1} < found <= {0, 1, 2, 3, 4}


def test_none_passes_no_messages():
    assert reach(made(conv=None), problem("complete"), 1) == {1}


def test_no_layer_passes_no_messages():
    assert reach(made(num_layers=0), problem("complete"), 1) == {1}


def test_without_the_task_node_messages_follow_the_anchor_alone():
    assert reach(made(task_node=False, num_layers=1), problem(), 1) == {1, 2}  # the anchor is a chain
    assert reach(made(task_node=False), problem("none"), 1) == {1}
    assert reach(made(), problem("none"), 1) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("settings", [{"conv": None}, {"task_node": False}, {"num_layers": 0}])
def test_every_agent_reads_the_question_without_messages_too(settings):
    batch = problem("none")
    assert reach(made(**settings), batch, 4) == {0, 1, 2, 3, 4}  # node 4 is the first problem's task node


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden_dim": 0}, "hidden_dim must be 1 or more"),
        ({"num_layers": -1}, "num_layers must be 0 or more"),
        ({"conv": partial(pyg.GATConv, heads=4)}, r"GATConv makes \(2, 256\) .* needs \(2, 64\).*concat: false"),
        ({"conv": pyg.ChebConv}, "ChebConv does not work .* missing 1 required positional argument: 'K'"),
        ({"conv": partial(pyg.TAGConv, hops=2)}, "TAGConv does not work .*'hops'"),
        ({"conv": pyg.PointNetConv}, "PointNetConv does not work .* missing"),
    ],
)
def test_what_is_no_layer_is_told_what_one_is(settings, words):
    with pytest.raises(ConfigError, match=words):
        GraphEncoder(text_dim=32, **settings)
