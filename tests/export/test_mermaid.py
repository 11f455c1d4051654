from hypothesis import given, settings

from gdesign.export.mermaid import mermaid
from gdesign.types import Agent, Decision, Design, Edge
from tests.strategies import CASCADE, DEBATE, designs


def test_a_flowchart_has_messages_watches_and_the_decision():
    assert "a0 -.->|quorum 2| a2" in mermaid(CASCADE)
    assert "a0 --> a1" in mermaid(DEBATE)
    assert "a1 ==>|next round| a0" in mermaid(DEBATE)
    assert "answer([vote])" in mermaid(DEBATE)


def test_an_edge_of_some_rounds_names_them():
    agents = (Agent(role="x", llm="a"), Agent(role="y", llm="b"))
    edges = {"spatial": (Edge(0, 1, (1, 3)),), "temporal": (Edge(1, 0, (3,)),), "num_rounds": 3}
    drawn = mermaid(Design(agents=agents, **edges))
    assert "a0 -->|round 1 3| a1" in drawn
    assert "a1 ==>|next round, round 3| a0" in drawn


def test_weights_stand_on_the_way_to_the_answer():
    decision = Decision(kind="weighted_vote", weights=(1.0, 2.5))
    drawn = mermaid(Design(agents=DEBATE.agents, spatial=DEBATE.spatial, decision=decision))
    assert "a1 -->|2.5| answer" in drawn


def test_nothing_in_a_name_is_markup():
    drawn = mermaid(Design(agents=(Agent(role='the "critic"', llm="m\n<script>`x`"),)))
    assert 'a0["the #34;critic#34;<br/>m #60;script#62;#96;x#96;"]' in drawn


@settings(max_examples=25)
@given(designs())
def test_every_agent_and_edge_is_drawn(design):
    lines = mermaid(design).splitlines()
    watches = sum(len(agent.gate.watch) for agent in design.agents if agent.gate is not None)
    assert sum("<br/>" in line for line in lines) == len(design.agents)
    assert sum("==>" in line for line in lines) == len(design.temporal)
    assert sum("-.->" in line for line in lines) == watches
    assert sum(" -->" in line and not line.endswith("answer") for line in lines) == len(design.spatial)
