from dataclasses import replace

import torch

from gdesign.agents import teams
from gdesign.design.joint.places import Places, skeleton
from gdesign.types import Agent, Edge

AGENTS = [Agent(role="any", llm=name) for name in "abcde"]
NUMBERS = {agent: i for i, agent in enumerate(AGENTS)}


def test_designs_that_differ_in_their_agents_alone_share_their_places():
    first, second = (teams.asking(AGENTS[i : i + 3]) for i in (0, 2))
    places = Places.of([first, second, teams.cascade(AGENTS[:3])], NUMBERS)
    assert len(places.features) == 2
    assert torch.equal(places.kind[0], places.kind[1])
    assert places.agent.tolist() == [[0, 1, 2], [2, 3, 4], [0, 1, 2]]


def test_copies_stand_in_other_places_than_different_agents():
    a, b, c = AGENTS[:3]
    assert len({skeleton(teams.vote(team)) for team in ([a, a, b], [a, b, b], [a, b, c], [b, c, a])}) == 3


def test_smaller_designs_are_padded():
    places = Places.of([teams.single(AGENTS[:1]), teams.vote(AGENTS)], NUMBERS)
    assert places.there.sum(1).tolist() == [1, 5]
    pairs, which = places.used
    assert pairs[which].tolist()[0][1:] == [[0, 10]] * 4


def test_edges_in_some_rounds_count_by_their_share_of_the_rounds():
    debate = teams.debate(AGENTS[:2], num_rounds=3)
    once = replace(debate, temporal=(Edge(0, 1), Edge(1, 0, (2,))))
    relations = Places.of([once], NUMBERS).relations[0]
    assert relations[2].tolist() == [[0.0, 0.5], [1.0, 0.0]]
