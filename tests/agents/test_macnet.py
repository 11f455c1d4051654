import asyncio
from collections import Counter

import pytest

from gdesign.agents import teams
from gdesign.agents.macnet import macnet
from gdesign.agents.topologies import TOPOLOGIES
from gdesign.design.fixed import Fixed
from gdesign.errors import ConfigError
from gdesign.execute.run import run
from gdesign.types import Decision, Design
from tests import laws, worlds


def one_shape(space):
    return [macnet(space.agents[:2], shape="star"), teams.vote(space.agents[:2]), teams.chain(space.agents[:1])]


MACNET = laws.Method(
    name="fixed",
    make=lambda space: Fixed(space=space, topology=macnet, shape="star", slots=[0, 1]),
    designs=one_shape,
    sizes=(2, 3),
    query_dependent=False,
    learned=False,
)


@pytest.mark.parametrize("law", laws.applying_to(MACNET), ids=lambda law: law.__name__)
def test_macnet_keeps_the_law(law):
    law(MACNET)


def agents(num: int):
    return worlds.encoder(num).space.agents


def in_degrees(design: Design) -> list[int]:
    count = Counter(e.dst for e in design.spatial)
    return [count[i] for i in range(len(design.agents))]


@pytest.mark.parametrize("shape", TOPOLOGIES)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("num", [1, 2, 7])
def test_aggregated_nobody_hears_more_than_two_and_one_has_the_last_word(shape, reverse, num):
    design = macnet(agents(num), shape=shape, reverse=reverse)
    speak = {e.src for e in design.spatial}
    assert max(in_degrees(design)) <= 2
    assert [i for i in range(len(design.agents)) if i not in speak] == [len(design.agents) - 1]
    assert design.decision == Decision()
    assert {a.llm for a in design.agents} == {a.llm for a in agents(num)}


@pytest.mark.parametrize("shape", TOPOLOGIES)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_merge_takes_one_agent_for_each_two_solutions(shape, reverse):
    plain, merged = (macnet(agents(7), shape=shape, reverse=reverse, aggregate=a) for a in (False, True))
    num_last = 7 - len({e.src for e in plain.spatial})
    assert len(plain.agents) == 7
    assert len(merged.agents) == 7 + sum(max(0, d - 1) for d in in_degrees(plain)) + num_last - 1


def test_solutions_are_merged_by_the_candidate_that_hears_them():
    design = macnet(agents(4), shape="star", reverse=True)  # 1, 2 and 3 speak, 0 merges them and goes on
    assert Counter(a.llm for a in design.agents) == {"llm-0": 3, "llm-1": 1, "llm-2": 1, "llm-3": 1}
    assert sorted(in_degrees(design)) == [0, 0, 0, 1, 2, 2]


def test_without_aggregation_the_shapes_are_those_of_the_standard_teams():
    team = agents(6)
    assert macnet(team, shape="chain", aggregate=False) == teams.chain(team)
    assert macnet(team, shape="mesh", aggregate=False) == teams.complete(team)
    assert macnet(team, shape="tree", reverse=True, aggregate=False) == teams.tree(team)
    assert macnet(team[::-1], shape="star", reverse=True, aggregate=False) == teams.star(team)
    assert macnet(team, shape="layered", aggregate=False) == teams.layered(team, num_layers=2)


def test_without_aggregation_those_whom_nobody_hears_vote():
    design = macnet(agents(4), shape="star", aggregate=False)
    assert {a.llm: w for a, w in zip(design.agents, design.decision.weights, strict=True)} == {
        "llm-0": 0.0,
        "llm-1": 1.0,
        "llm-2": 1.0,
        "llm-3": 1.0,
    }


def test_only_the_last_words_travel():
    llm = worlds.Scripted(lambda request: f"{request.llm} says: Answer: 1")
    design = macnet(agents(4), shape="chain")
    task = worlds.tasks(1)[0]
    asyncio.run(run(design, task, pool=worlds.pool(4), llm=llm, extract=lambda task, text: text))
    assert llm.requests[-1].messages[-1].content.count("says") == 1


def test_more_agents_than_slots_go_round_the_slots():
    space = worlds.encoder(3).space
    design = Fixed(space=space, topology=macnet, shape="chain", num_agents=7, repeat=True).design
    assert design == teams.chain([space.agents[i % 3] for i in range(7)])


def test_no_agents_are_refused():
    with pytest.raises(ConfigError, match="got none"):
        macnet([], shape="chain")
