"""A design as GraphML, which networkx, Gephi, yEd and Cytoscape read."""

import re
from typing import Any

import networkx as nx

from gdesign.types import Design, Edge

NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""A character that no XML can hold (XML 1.0, section 2.2)."""


def graph(design: Design) -> "nx.MultiDiGraph[int]":
    """Return the design as a graph: agents are nodes; messages and watches are edges, told apart by `kind`.

    A node has `label`, `role`, `llm`, `operator`, `decides`, where it has a gate `quorum`, and in a weighted vote
    `weight`. An edge has `kind` (`spatial`, `temporal` or `watch`) and `rounds`, those in which it holds. The graph has
    `num_rounds` and `decision`.
    """
    deciding = set(design.deciders())
    drawn: nx.MultiDiGraph[int] = nx.MultiDiGraph(num_rounds=design.num_rounds, decision=design.decision.kind)
    for i, agent in enumerate(design.agents):
        attributes: dict[str, Any] = {
            "label": f"{agent.role} ({agent.llm})",
            "role": agent.role,
            "llm": agent.llm,
            "operator": agent.operator,
            "decides": i in deciding,
        }
        if agent.gate is not None:
            attributes["quorum"] = agent.gate.quorum
        if design.decision.weights:
            attributes["weight"] = float(design.decision.weights[i])
        drawn.add_node(i, **attributes)
    gates = [(i, agent.gate) for i, agent in enumerate(design.agents) if agent.gate is not None]
    watches = [Edge(w, i) for i, gate in gates for w in gate.watch]
    for kind, edges, first in (("spatial", design.spatial, 1), ("temporal", design.temporal, 2), ("watch", watches, 1)):
        for src, dst, rounds in edges:
            named = " ".join(map(str, rounds or range(first, design.num_rounds + 1)))
            # GraphML wants edge ids that differ; networkx takes the keys for them
            drawn.add_edge(src, dst, key=drawn.number_of_edges(), kind=kind, rounds=named)
    return drawn


def graphml(design: Design) -> str:
    """Return the design as GraphML (see `graph`); characters that no XML can hold are left out."""
    drawn = graph(design)
    for _, attributes in drawn.nodes(data=True):
        attributes.update({k: NO_XML.sub("", v) for k, v in attributes.items() if isinstance(v, str)})
    return "\n".join(nx.generate_graphml(drawn, named_key_ids=True))
