from itertools import combinations
from pathlib import Path

import hydra
import pytest
from hydra.utils import instantiate

from gdesign.agents import teams
from gdesign.agents.macnet import macnet
from gdesign.agents.policies.agreement_cascade import agreement_cascade
from gdesign.design.fixed import Fixed
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.encode.text import HashEncoder
from gdesign.errors import ConfigError
from gdesign.types import LLM, AgentPool, Decision, Design, Edge, Gate, Play, Role
from tests import laws, worlds

CONFIGS = Path(__file__).parents[2] / "gdesign/configs" / "designer"


def one_design(space: Space) -> list[Design]:
    return [teams.chain(space.agents[:2]), teams.vote(space.agents[:2]), teams.chain(space.agents[:1])]


FIXED = laws.Method(
    name="fixed",
    make=lambda space: Fixed(space=space, topology=teams.chain, slots=[0, 1]),
    designs=one_design,
    sizes=(2, 3),
    query_dependent=False,
    learned=False,
)


@pytest.mark.parametrize("law", laws.applying_to(FIXED), ids=lambda law: law.__name__)
def test_fixed_keeps_the_law(law):
    law(FIXED)


def policies(space: Space) -> list[Play]:
    return [agreement_cascade(space.agents[:2]), teams.vote(space.agents[:2])]


POLICY = laws.Method(
    name="fixed",
    make=lambda space: Fixed(space=space, topology=agreement_cascade, slots=[0, 1]),
    designs=policies,
    sizes=(2, 3),
    query_dependent=False,
    learned=False,
)


@pytest.mark.parametrize("law", laws.applying_to(POLICY), ids=lambda law: law.__name__)
def test_a_fixed_policy_keeps_the_law(law):
    law(POLICY)


def agents(num: int):
    return worlds.encoder(num).space.agents


def heard(design: Design) -> dict[str, set[str]]:
    """Return whom each LLM hears within a round."""
    name = [a.llm[-1] for a in design.agents]
    hears: dict[str, set[str]] = {n: set() for n in name}
    for src, dst, _ in design.spatial:
        hears[name[dst]].add(name[src])
    return hears


def test_a_chain_passes_words_on():
    assert heard(teams.chain(agents(4))) == {"0": set(), "1": {"0"}, "2": {"1"}, "3": {"2"}}


def test_in_a_star_the_hub_hears_all_leaves_and_decides():
    design = teams.star(agents(4))
    assert heard(design) == {"0": set(), "1": set(), "2": set(), "3": {"0", "1", "2"}}
    assert design.decision == Decision(kind="last")
    assert design.agents[-1].llm == "llm-3"


def test_in_a_tree_the_leaves_speak_first_and_the_root_decides():
    design = teams.tree(agents(6))
    assert heard(design) == {"0": {"1", "2"}, "1": {"3", "4"}, "2": {"5"}, "3": set(), "4": set(), "5": set()}
    assert design.agents[-1].llm == "llm-0"
    assert design.decision == Decision(kind="last")


def test_layers_hear_the_layer_before_and_the_last_one_votes():
    design = teams.layered(agents(5), num_layers=2)
    assert heard(design) == {"0": set(), "1": set(), "2": set(), "3": {"0", "1", "2"}, "4": {"0", "1", "2"}}
    assert design.decision == Decision(kind="weighted_vote", weights=(0.0, 0.0, 0.0, 1.0, 1.0))


def test_a_last_layer_of_one_decides():
    assert teams.layered(agents(3), num_layers=2).decision == Decision()
    assert teams.layered(agents(3), num_layers=3) == teams.chain(agents(3))


def test_one_layer_is_a_vote():
    assert teams.layered(agents(3), num_layers=1) == teams.vote(agents(3))


def test_in_a_complete_design_everyone_hears_all_before():
    assert len(teams.complete(agents(5)).spatial) == 10
    assert heard(teams.complete(agents(3))) == {"0": set(), "1": {"0"}, "2": {"0", "1"}}


def test_random_keeps_everyone_and_its_seed():
    draws = [teams.random(agents(6), probability=0.3, seed=s) for s in range(20)]
    assert {len(d.agents) for d in draws} == {6}
    assert len(set(draws)) > 10
    assert draws[3] == teams.random(agents(6), probability=0.3, seed=3)
    assert teams.random(agents(6), probability=0.0, seed=0) == teams.vote(agents(6))
    assert len(teams.random(agents(6), probability=1.0, seed=0).spatial) == 15


def test_a_small_world_keeps_its_number_of_edges():
    ring = teams.small_world(agents(6), num_neighbors=2, rewire=0.0, seed=0)
    assert {(e.src, e.dst) for e in ring.spatial} == {(i, i + 1) for i in range(5)} | {(0, 5)}
    assert len(teams.small_world(agents(6), num_neighbors=4, rewire=0.5, seed=0).spatial) == 12


def test_in_a_debate_all_hear_all_others_of_the_round_before():
    design = teams.debate(agents(3), num_rounds=2)
    assert design.spatial == ()
    assert set(design.temporal) == {Edge(i, j) for i in range(3) for j in range(3) if i != j}
    assert (design.num_rounds, design.decision.kind) == (2, "vote")


def test_a_debate_of_one_round_is_a_vote():
    assert teams.debate(agents(3), num_rounds=1) == teams.vote(agents(3))


def test_in_a_cascade_the_last_watches_all_others_and_hears_nobody():
    design = teams.cascade(agents(3))
    assert design.agents[-1].gate == Gate(watch=(0, 1), quorum=2)
    assert (design.spatial, design.decision) == ((), Decision())


def test_a_quorum_below_unanimity_leaves_a_silent_cascade_to_the_vote():
    design = teams.cascade(agents(4), quorum=2)
    assert design.agents[-1].gate == Gate(watch=(0, 1, 2), quorum=2)
    assert design.decision.weights[-1] > sum(design.decision.weights[:-1])


@pytest.mark.parametrize(
    ("make", "num"),
    [
        (teams.single, 2),
        (teams.star, 1),
        (teams.cascade, 1),
        (lambda a: teams.layered(a, num_layers=3), 2),
        (lambda a: teams.layered(a, num_layers=0), 2),
        (lambda a: teams.small_world(a, num_neighbors=4, rewire=0.1, seed=0), 4),
        (lambda a: teams.random(a, probability=1.5, seed=0), 4),
    ],
)
def test_a_team_that_cannot_be_made_is_refused(make, num):
    with pytest.raises(ConfigError, match=r"got|needs"):
        make(agents(num))


# --------------------------------------------------------------------------- who takes part


def space(*, llms: int = 3, roles: int = 2) -> Space:
    pool = AgentPool(
        name="grid",
        roles=tuple(Role(name=f"role-{i}", profile="") for i in range(roles)),
        llms=tuple(LLM(name=f"llm-{i}", usd_per_1M_input=1.0, usd_per_1M_output=1.0) for i in range(llms)),
    )
    return ProblemEncoder(pool=pool, encoder=HashEncoder(dim=8)).space


def taken(**choice: object) -> list[tuple[str, str]]:
    design = Fixed(space=space(), topology=teams.vote, **choice).design
    return [(a.role[-1], a.llm[-1]) for a in design.agents]


def test_without_a_choice_every_slot_takes_part():
    assert taken() == [(r, m) for r in "01" for m in "012"]


def test_agents_are_chosen_by_slot_in_the_order_named():
    assert taken(slots=[5, 0]) == [("1", "2"), ("0", "0")]


def test_a_slot_can_be_named_twice():
    assert taken(slots=[1, 1, 1]) == [("0", "1")] * 3


def test_agents_are_chosen_by_llm_in_the_order_named():
    assert taken(llms=["llm-2", "llm-0", "llm-2"]) == [("0", "2"), ("0", "0"), ("1", "2")]


def test_agents_are_chosen_by_name_in_the_order_named():
    assert taken(agents=["role-1/llm-2/answer", "role-0/llm-0/answer", "role-1/llm-2/answer"]) == [
        ("1", "2"),
        ("0", "0"),
        ("1", "2"),
    ]


def test_agents_are_chosen_by_role():
    assert taken(role="role-1", llms=["llm-1", "llm-0"]) == [("1", "1"), ("1", "0")]


def test_agents_are_chosen_by_how_they_work():
    pool = worlds.encoder(2).space.pool
    offered = AgentPool(name="ways", roles=pool.roles[:1], llms=pool.llms[:1], operators=("answer", "cot", "panel"))
    ways = ProblemEncoder(pool=offered, encoder=HashEncoder(dim=8)).space
    design = Fixed(space=ways, topology=teams.single, operator="panel", num_agents=1).design
    assert [a.operator for a in design.agents] == ["panel"]
    with pytest.raises(ConfigError, match="no free slot has the operator 'pannel'; there are: answer, cot, panel"):
        Fixed(space=ways, topology=teams.single, operator="pannel", num_agents=1)


def test_the_first_of_those_chosen_are_taken():
    assert taken(llm="llm-1", num_agents=1) == [("0", "1")]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"llm": "gpt-9"}, "no free slot has the LLM 'gpt-9'; there are: llm-0, llm-1, llm-2"),
        ({"role": "cook"}, "no free slot has the role 'cook'; there are: role-0, role-1"),
        ({"llms": ["llm-1"] * 3}, "no free slot has the LLM 'llm-1'; there are: llm-0, llm-2"),
        ({"slots": [6]}, r"slot 6 does not exist; the slots are 0..5: 0 role-0/llm-0"),
        ({"num_agents": 7}, "num_agents=7, and 6 agents fit"),
        ({"num_agents": 0}, "num_agents=0"),
        ({"slots": [0], "llm": "llm-0"}, "not by several"),
        ({"agents": ["role-0/llm-9/answer"]}, "no agent 'role-0/llm-9/answer'; there are role-0/llm-0/answer, "),
    ],
)
def test_agents_that_do_not_exist_are_refused_with_what_exists(choice, message):
    with pytest.raises(ConfigError, match=message):
        taken(**choice)


# --------------------------------------------------------------------------- configs


def from_config(name: str, *overrides: str) -> Design:
    with hydra.initialize_config_dir(str(CONFIGS.parent), version_base="1.3"):
        config = hydra.compose("designer/" + name, overrides=[f"designer.{o}" for o in overrides])
    return instantiate(config.designer, _partial_=True)(space=worlds.encoder(4).space).design


@pytest.mark.parametrize(
    ("name", "overrides", "expected"),
    [
        ("single", ["llm=llm-2"], lambda a: teams.single(a[2:3])),
        ("vote", ["num_agents=3"], lambda a: teams.vote(a[:3])),
        ("chain", [], teams.chain),
        ("star", ["slots=[3,1,0]"], lambda a: teams.star([a[3], a[1], a[0]])),
        ("tree", [], teams.tree),
        ("layered", ["num_layers=3"], lambda a: teams.layered(a, num_layers=3)),
        ("complete", [], teams.complete),
        ("random", ["seed=4"], lambda a: teams.random(a, probability=0.5, seed=4)),
        ("small_world", [], lambda a: teams.small_world(a, num_neighbors=2, rewire=0.3, seed=0)),
        ("macnet", ["shape=star", "num_agents=5"], lambda a: macnet([*a, a[0]], shape="star")),
        ("debate", ["num_rounds=3"], lambda a: teams.debate(a, num_rounds=3)),
        ("cascade", ["llms=[llm-2,llm-0,llm-3]"], lambda a: teams.cascade([a[2], a[0], a[3]])),
    ],
)
def test_each_config_makes_its_team(name, overrides, expected):
    assert from_config(name, *overrides) == expected(agents(4))


def test_every_standard_team_has_another_design():
    designs = [from_config(p.stem) for p in CONFIGS.glob("*.yaml") if "_fixed" in p.read_text() and p.stem[0] != "_"]
    assert all(a != b for a, b in combinations(designs, 2))
    assert len(designs) == 15
