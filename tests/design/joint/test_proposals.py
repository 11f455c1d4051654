from itertools import pairwise

import pytest

from gdesign.agents import teams
from gdesign.design.joint.places import ungated
from gdesign.design.joint.proposals import MAX_AGENTS, Language
from gdesign.types import Agent, Design

EVERYTHING = Language(talks=True, rounds=True, votes=True, gates=True, reuse=True)
A, B, C, D = (Agent(role="any", llm=name) for name in "abcd")


def reached(language: Language, design: Design, agents: tuple[Agent, ...], *, num_steps: int) -> set[Design]:
    found = {design}
    for _ in range(num_steps):
        found |= {near for known in found for near in language.near(known, agents)}
    return found


@pytest.mark.parametrize(
    "target",
    [
        teams.single([B]),
        teams.chain([A, B]),
        teams.vote([A, A, A]),
        teams.star([A, B, C]),
        teams.complete([A, B, C]),
        teams.cascade([A, B, C]),
        teams.asking([A, B, C]),
        teams.debate([A, B]),
    ],
)
def test_the_usual_designs_are_a_few_steps_from_an_agent_alone(target):
    assert target in reached(EVERYTHING, teams.single([A]), (A, B, C), num_steps=3)


def test_a_vote_of_copies_grows_to_teams_of_eight_and_no_further():
    design = teams.vote([A, A, A])
    for size in range(4, MAX_AGENTS + 1):
        design = teams.vote([A] * size)
        assert design in EVERYTHING.near(teams.vote([A] * (size - 1)), (A,))
    assert max(len(near.agents) for near in EVERYTHING.near(design, (A,))) == MAX_AGENTS


def test_any_agent_is_exchanged_and_gates_and_decisions_stay():
    near = EVERYTHING.near(teams.cascade([A, B, C]), (D,))
    assert {teams.cascade(team) for team in ([D, B, C], [A, D, C], [A, B, D])} <= near.keys()


def test_nothing_new_stands_in_a_design_that_the_shapes_do_not_have():
    language = Language.of([teams.single([A]), teams.cascade([A, B, C])], reuse=False)
    for design in reached(language, teams.cascade([A, B, C]), (A, B, C, D), num_steps=2):
        agents = [ungated(agent) for agent in design.agents]
        assert not design.spatial
        assert not design.temporal
        assert design.num_rounds == 1
        assert design.decision.kind == "last"
        assert len(set(agents)) == len(agents)


def test_the_same_steps_come_in_the_same_order():
    design = teams.asking([A, B, C])
    lists = [list(EVERYTHING.near(design, (A, D))) for _ in range(3)]
    assert all(one == other for one, other in pairwise(lists))
    assert design not in lists[0]
