import networkx as nx
import pytest

from gdesign.agents.topologies import TOPOLOGIES, edges, layered
from gdesign.errors import ConfigError


@pytest.mark.parametrize("shape", TOPOLOGIES)
@pytest.mark.parametrize("num", [1, 2, 3, 5, 33])
def test_every_shape_has_no_circle_and_names_each_pair_once(shape, num):
    pairs = edges(shape, num)
    assert len(set(pairs)) == len(pairs)
    assert all(0 <= i < j < num for i, j in pairs)


@pytest.mark.parametrize("shape", TOPOLOGIES)
def test_reversed_every_edge_is_turned_round(shape):
    assert edges(shape, 9, reverse=True) == [(j, i) for i, j in edges(shape, 9)]


def test_each_shape_is_what_it_is_called():
    assert edges("chain", 4) == [(0, 1), (1, 2), (2, 3)]
    assert edges("star", 4) == [(0, 1), (0, 2), (0, 3)]
    assert edges("tree", 6) == [(0, 1), (0, 2), (1, 3), (1, 4), (2, 5)]
    assert edges("mesh", 3) == [(0, 1), (0, 2), (1, 2)]


def test_layers_are_log2_n_and_the_first_takes_the_remainder():
    assert edges("layered", 7) == [(i, j) for i in range(4) for j in range(4, 7)]
    assert len(edges("layered", 1000)) == 112 * 111 + 7 * 111 * 111
    assert layered([2, 1, 2]) == [(0, 2), (1, 2), (2, 3), (2, 4)]


def test_random_draws_its_number_of_edges_too():
    sizes = {len(edges("random", 6, seed=s)) for s in range(100)}
    assert min(sizes) == 5
    assert max(sizes) == 15
    assert edges("random", 6, seed=3) == edges("random", 6, seed=3)


def test_a_small_world_is_connected_clustered_and_short():
    graph = nx.Graph(edges("small_world", 200, seed=1))
    assert graph.number_of_edges() == 400
    assert nx.average_clustering(graph) > 0.2
    assert nx.average_shortest_path_length(graph) < 10


def test_an_unknown_shape_is_refused():
    with pytest.raises(ConfigError, match="shape 'ring' is unknown; expected one of chain, star"):
        edges("ring", 3)
