import pytest
import torch

from gdesign.design.slot_graphs import from_designs, reaches, slot_agents, to_designs
from gdesign.types import Agent, Design, Edge, Gate
from tests import laws, worlds


def graphs_of(designs, *, slots=None, num_slots=3):
    """Return the slot graphs of designs, which design each is of, and the agents at the slots of each."""
    encoder = worlds.encoder(num_slots, slots=slots)
    agents = slot_agents(encoder(worlds.tasks(1) * len(designs)))
    mask = torch.ones(len(designs), len(agents[0]), dtype=torch.bool)
    graphs, owner = from_designs(designs, agents, mask=mask, num_rounds=1, temporal=False)
    return graphs, owner.tolist(), agents


def test_a_slot_graph_is_the_design_that_it_was_made_of():
    designs = laws.dags(worlds.encoder(3).space)
    graphs, owner, agents = graphs_of(designs)
    assert owner == list(range(len(designs)))
    assert to_designs(graphs, agents, num_rounds=1) == designs


def test_slots_of_one_candidate_give_a_design_in_several_ways():
    first, second = worlds.encoder(2).space.agents
    pair = Design(agents=(first, second), spatial=(Edge(0, 1),))
    graphs, owner, agents = graphs_of([pair], slots=(0, 0, 1), num_slots=2)
    assert owner == [0, 0]
    assert to_designs(graphs, agents * 2, num_rounds=1) == [pair, pair]


@pytest.mark.parametrize(
    "design",
    [
        Design(agents=(Agent(role="nobody", llm="nowhere"),)),
        Design(agents=(worlds.encoder(1).space.agents[0],), num_rounds=2),
    ],
)
def test_a_design_of_another_kind_has_no_slot_graph(design):
    assert graphs_of([design])[1] == []


def test_a_gate_has_no_slot_graph():
    a, b, c = worlds.encoder(3).space.agents
    gated = Agent(role=c.role, llm=c.llm, operator=c.operator, gate=Gate(watch=(0, 1), quorum=2))
    assert graphs_of([Design(agents=(a, b, gated))])[1] == []


def test_words_reach_the_decider_along_any_path():
    adjacency = torch.zeros(1, 4, 4, dtype=torch.bool)
    adjacency[0, 0, 1] = adjacency[0, 1, 2] = True
    assert reaches(adjacency, torch.tensor([2])).tolist() == [[True, True, True, False]]
