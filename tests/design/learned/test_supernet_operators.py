import pytest

from gdesign.design.learned.supernet_operators import OPERATORS, Step, build, paths
from gdesign.types import Agent, Decision, Design, Edge

NAMES = tuple(name for name in OPERATORS if name != "exit")
A, B, R = (Agent(role=r, llm="m", operator=o) for r, o in (("a", "answer"), ("b", "answer"), ("r", "refine")))


def built(*steps: tuple[str, Agent | None]) -> Design:
    return build(Step(*s) for s in steps).design()


def test_answers_without_a_merger_are_voted_on():
    assert built(("answer", A)) == Design(agents=(A,))
    assert built(("answer", B), ("answer", A)) == Design(agents=(B, A), decision=Decision(kind="vote"))


def test_self_consistency_is_a_vote_of_one_agent_with_itself():
    assert built(("self_consistency", A)) == Design(agents=(A, A, A), decision=Decision(kind="vote"))


def test_self_refine_replaces_the_newest_solution_alone():
    design = built(("answer", A), ("answer", B), ("self_refine", R))
    weights = (1.0, 0.0, 1.0)
    assert design == Design(
        agents=(A, B, R), spatial=(Edge(1, 2),), decision=Decision(kind="weighted_vote", weights=weights)
    )


def test_in_a_debate_all_speak_again_having_heard_all():
    design = built(("answer", A), ("answer", B), ("debate", None))
    every = tuple(Edge(i, j) for i in (0, 1) for j in (2, 3))
    decision = Decision(kind="weighted_vote", weights=(0.0, 0.0, 1.0, 1.0))
    assert design == Design(agents=(A, B, A, B), spatial=every, decision=decision)


def test_an_ensemble_hears_all_solutions_and_decides():
    design = built(("self_consistency", A), ("ensemble", B))
    assert design == Design(agents=(A, A, A, B), spatial=tuple(Edge(i, 3) for i in range(3)))


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_says_how_many_solutions_it_leaves(name):
    operator = OPERATORS[name]
    work = build([Step("answer", A), Step("answer", B)])
    after = operator.act(work, (A,) if operator.agents else ())
    assert len(after.solutions) == 2 * operator.keeps + operator.adds


def test_all_paths_to_a_design_are_found():
    chorus = Design(agents=(A, A, A), decision=Decision(kind="vote"))
    assert set(paths(chorus, operators=NAMES, num_layers=4)) == {
        (Step("self_consistency", A),),
        (Step("answer", A),) * 3,
    }
    star = built(("answer", A), ("answer", B), ("ensemble", A))
    assert len(paths(star, operators=NAMES, num_layers=4)) == 2  # either answers first
    assert paths(star, operators=NAMES, num_layers=2) == ()
