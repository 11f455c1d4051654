"""Acyclic shapes of teams as pairs of indices, from heard to hearer.

The shapes of MacNet: Qian et al., "Scaling Large Language Model-based Multi-Agent Collaboration", arXiv
2406.07155; numbers of layers and edges as in its released generate_graph.py, which has no small world. Every
edge leads from a lower to a higher index, so star and tree are divergent (one to many).
"""

import random as standard_random
from collections.abc import Sequence
from itertools import combinations, pairwise

import networkx as nx

from gdesign.errors import ConfigError

Pairs = list[tuple[int, int]]

TOPOLOGIES = ("chain", "star", "tree", "mesh", "layered", "random", "small_world")


def edges(shape: str, num_agents: int, *, reverse: bool = False, seed: int = 0) -> Pairs:
    """Return the edges of a shape over agents 0, 1, ...

    Args:
        shape: One of `TOPOLOGIES`.
        num_agents: How many agents, 1 or more.
        reverse: Turn every edge round: a divergent star or tree becomes a convergent one.
        seed: Draws the edges of `random` and `small_world`; the others ignore it.

    Raises:
        ConfigError: There is no such shape.
    """
    match shape:
        case "chain":
            pairs = list(pairwise(range(num_agents)))
        case "star":
            pairs = [(0, i) for i in range(1, num_agents)]
        case "tree":
            pairs = [((i - 1) // 2, i) for i in range(1, num_agents)]
        case "mesh":
            pairs = list(combinations(range(num_agents), 2))
        case "layered":
            num_layers = max(1, num_agents.bit_length() - 1)
            size, extra = divmod(num_agents, num_layers)
            pairs = layered([size + extra] + [size] * (num_layers - 1))
        case "random":
            pairs = random(num_agents, seed=seed)
        case "small_world":
            # so few agents have no four neighbors each: all are tied
            pairs = small_world(num_agents, num_neighbors=min(4, num_agents), rewire=0.1, seed=seed)
        case _:
            raise ConfigError(f"shape {shape!r} is unknown; expected one of {', '.join(TOPOLOGIES)}")
    return [(j, i) for i, j in pairs] if reverse else pairs


def layered(sizes: Sequence[int]) -> Pairs:
    """Return layers of these sizes, each agent tied to all of the layer before."""
    ends = [sum(sizes[:k]) for k in range(len(sizes) + 1)]
    return [(i, j) for (a, b), (_, c) in pairwise(pairwise(ends)) for i in range(a, b) for j in range(b, c)]


def random(num_agents: int, *, seed: int) -> Pairs:
    """Return uniformly many edges between n - 1 and n (n - 1) / 2, each set of so many equally likely."""
    rng = standard_random.Random(seed)
    every = list(combinations(range(num_agents), 2))
    return sorted(rng.sample(every, rng.randint(num_agents - 1, len(every))))


def small_world(num_agents: int, *, num_neighbors: int, rewire: float, seed: int) -> Pairs:
    """Return a Watts-Strogatz graph: a ring of nearest neighbors, of which some edges are moved.

    Args:
        num_agents: At least `num_neighbors`.
        num_neighbors: Even; each agent is tied to so many nearest ones.
        rewire: Probability that an edge is moved.
        seed: Draws which.
    """
    graph = nx.watts_strogatz_graph(num_agents, num_neighbors, rewire, seed=seed)
    return [(min(pair), max(pair)) for pair in graph.edges]
