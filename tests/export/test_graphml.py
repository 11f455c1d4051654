import xml.etree.ElementTree as ET

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.export.graphml import graphml
from gdesign.types import Agent, Decision, Design, Edge, Gate
from tests.strategies import designs


def rebuilt(text):
    """Return the design that a reader of GraphML finds."""
    graph = nx.parse_graphml(text, node_type=int, force_multigraph=True)
    edges = {kind: [] for kind in ("spatial", "temporal", "watch")}
    for src, dst, attributes in graph.edges(data=True):
        edges[attributes["kind"]].append(Edge(src, dst, tuple(map(int, attributes["rounds"].split()))))
    nodes = [graph.nodes[i] for i in range(len(graph))]
    agents = []
    for i, node in enumerate(nodes):
        watch = tuple(e.src for e in edges["watch"] if e.dst == i)
        gate = Gate(watch=watch, quorum=node["quorum"]) if watch else None
        agents.append(Agent(role=node["role"], llm=node["llm"], operator=node["operator"], gate=gate))
    kind = graph.graph["decision"]
    return Design(
        agents=tuple(agents),
        spatial=tuple(edges["spatial"]),
        temporal=tuple(edges["temporal"]),
        num_rounds=graph.graph["num_rounds"],
        decision=Decision(
            kind=kind,
            weights=tuple(node["weight"] for node in nodes) if kind == "weighted_vote" else (),
            judge=next(i for i, node in enumerate(nodes) if node["decides"]) if kind == "judge" else None,
        ),
    )


@settings(max_examples=40)
@given(designs())
def test_networkx_finds_the_whole_design(design):
    assert rebuilt(graphml(design)) == design


def test_edge_ids_differ():
    agents = (Agent(role="x", llm="a"), Agent(role="y", llm="b", gate=Gate(watch=(0,), quorum=1)))
    text = graphml(Design(agents=agents, spatial=(Edge(0, 1),), temporal=(Edge(0, 1),), num_rounds=2))
    ids = [e.get("id") for e in ET.fromstring(text).iter("{http://graphml.graphdrawing.org/xmlns}edge")]
    assert len(ids) == len(set(ids)) == 3


@given(st.text(st.characters(codec=None), max_size=8))
def test_any_name_gives_wellformed_xml(name):
    ET.fromstring(graphml(Design(agents=(Agent(role=name, llm="m"),))).encode())
