import re

from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.export.dot import dot
from gdesign.types import Agent, Decision, Design, Edge, Gate
from tests.strategies import designs

QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


@settings(max_examples=25)
@given(designs())
def test_every_agent_and_edge_is_drawn(design):
    lines = dot(design).splitlines()
    edges = [line for line in lines if "->" in line and "-> answer" not in line]
    assert sum(line.startswith("  a") and "->" not in line for line in lines) == len(design.agents) + 1
    assert sum("style=bold" in line for line in edges) == len(design.temporal)
    watches = sum(len(agent.gate.watch) for agent in design.agents if agent.gate is not None)
    assert sum("style=dashed" in line for line in edges) == watches
    assert len(edges) == len(design.spatial) + len(design.temporal) + watches


@given(st.text(max_size=8))
def test_no_name_breaks_out_of_its_quotes(name):
    plain = dot(Design(agents=(Agent(role="x", llm="m"),)))
    odd = dot(Design(agents=(Agent(role=name, llm=name),)))
    assert QUOTED.sub("", odd) == QUOTED.sub("", plain)


def test_a_graph_tells_rounds_gates_and_the_decision():
    drawn = dot(
        Design(
            agents=(
                Agent(role="x", llm="a", operator="cot"),
                Agent(role="y", llm="b", gate=Gate(watch=(0,), quorum=1)),
            ),
            spatial=(Edge(0, 1, (2,)),),
            temporal=(Edge(1, 0),),
            num_rounds=2,
            decision=Decision(kind="weighted_vote", weights=(1.0, 2.5)),
        )
    )
    assert r'a0 [label="x\na, cot"];' in drawn
    assert 'a0 -> a1 [label="round 2"];' in drawn
    assert 'a1 -> a0 [label="next round", style=bold, constraint=false];' in drawn
    assert 'a0 -> a1 [label="quorum 1", style=dashed];' in drawn
    assert 'a1 -> answer [label="2.5"];' in drawn
    assert 'answer [label="weighted_vote"' in drawn
