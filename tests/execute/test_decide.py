import pytest

from gdesign.execute.decide import decide
from gdesign.types import Agent, Decision, Design, Gate, Label, Reply, Turn, Usage


def words(*answers):
    """Return last words by agent; "-" for an agent that never spoke, None for an unreadable answer."""
    reply = Reply(text="", usage=Usage(prompt_tokens=0, completion_tokens=0), label=Label.LIVE)
    return [None if a == "-" else Turn(agent=i, round=1, reply=reply, answer=a) for i, a in enumerate(answers)]


def decided(decision, *answers):
    turn = decide(decision, words(*answers))
    return None if turn is None else turn.agent


@pytest.mark.parametrize(
    ("answers", "agent"),
    [(["x", "y", "z"], 2), (["x", "y", "-"], 1), (["x", "y", None], 2), (["-", "-", "-"], None)],
)
def test_the_highest_agent_that_spoke_has_the_last_word(answers, agent):
    assert decided(Decision(), *answers) == agent


@pytest.mark.parametrize(
    ("answers", "agent"),
    [
        (["x", "y", "y"], 1),
        (["x", "y"], 0),
        (["y", "x", "x", "y"], 0),
        (["-", "y", "x"], 1),
        ([None, None, "x"], 2),
        ([None, "y", None, "x", "x"], 3),
        (["-", None, None], 1),
        (["-", "-"], None),
    ],
)
def test_a_vote_falls_to_the_earliest_agent_with_the_most_frequent_answer(answers, agent):
    assert decided(Decision(kind="vote"), *answers) == agent


@pytest.mark.parametrize(
    ("weights", "answers", "agent"),
    [
        ((1.0, 1.0, 3.0), ["x", "x", "y"], 2),
        ((1.0, 2.0, 3.0), ["x", "x", "y"], 0),
        ((1.0, 1.0, 3.0), ["x", "x", "-"], 0),
        ((1.0, 1.0, 3.0), ["x", "y", None], 0),
    ],
)
def test_a_weighted_vote_falls_to_the_answer_with_the_largest_sum(weights, answers, agent):
    assert decided(Decision(kind="weighted_vote", weights=weights), *answers) == agent


@pytest.mark.parametrize(
    ("answers", "agent"),
    [
        (["x", None, None], 1),
        (["x", "-", None], 2),
        (["x", "-", "-"], None),
        (["x", "y", "x"], 1),
        (["x", "-", "x"], 2),
    ],
)
def test_an_agent_of_weight_zero_never_decides(answers, agent):
    assert decided(Decision(kind="weighted_vote", weights=(0.0, 1.0, 1.0)), *answers) == agent


def test_a_judge_decides_alone():
    judge = Decision(kind="judge", judge=0)
    assert decided(judge, "x", "y", "y") == 0
    assert decided(judge, "-", "y", "y") is None


def test_those_who_may_be_the_last_to_speak_decide():
    two = (Agent(role="x", llm="a"), Agent(role="y", llm="b"))
    cascade = (*two, Agent(role="z", llm="c", gate=Gate(watch=(0, 1), quorum=2)))
    assert Design(agents=cascade).deciders() == [1, 2]
    assert Design(agents=two, decision=Decision(kind="vote")).deciders() == [0, 1]
    assert Design(agents=cascade, decision=Decision(kind="judge", judge=2)).deciders() == [2]


def test_an_agent_of_weight_zero_does_not_decide():
    agents = tuple(Agent(role=x, llm="a", gate=Gate(watch=(0,), quorum=1) if x == "z" else None) for x in "xyz")
    design = Design(agents=agents, decision=Decision(kind="weighted_vote", weights=(0.0, 1.0, 2.0)))
    assert design.deciders() == [1, 2]
