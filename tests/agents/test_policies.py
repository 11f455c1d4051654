"""Policies of the field: whom they ask and when they stop, by answers that are scripted."""

import asyncio
from math import isclose

import pytest

from gdesign.agents.policies.adaptive_self_consistency import adaptive_self_consistency, majority
from gdesign.agents.policies.agreement_cascade import agreement_cascade
from gdesign.agents.policies.debate_when_needed import debate_when_needed
from gdesign.errors import ConfigError
from gdesign.execute.adaptive import play
from gdesign.execute.limits import Limits
from gdesign.types import Agent, Label, Reply, Stop, Task, Usage
from tests.strategies import POOL

A, B, C = (Agent(role=role, llm="m") for role in "abc")
TASK = Task(id="t", question="?", answer="x", benchmark="b")


def go(policy, *said, limits=None):
    """Play it; agents say these texts in the order in which they are asked."""
    texts, requests, moves = iter(said), [], []

    async def llm(request):
        requests.append(request)
        return Reply(text=next(texts), usage=Usage(prompt_tokens=1, completion_tokens=1), label=Label.SIMULATED)

    done = asyncio.run(
        play(
            policy,
            TASK,
            pool=POOL,
            llm=llm,
            extract=lambda task, text: text or None,
            limits=limits,
            on_move=moves.append,
        )
    )
    assert isinstance(moves[-1], Stop)
    assert all(move.reason for move in moves)
    return done, requests


# --------------------------------------------------------------------------- agreement cascade


@pytest.mark.parametrize(
    ("said", "answer"), [(("x", "x"), "x"), (("x", "y", "x"), "x"), (("x", "y", "z"), "z"), (("", "", "x"), "x")]
)
def test_a_cascade_asks_one_after_the_other_until_enough_agree(said, answer):
    done, requests = go(agreement_cascade([A, B, C]), *said)
    assert [q.origin.role for q in requests] == list("abc")[: len(said)]
    assert done.answer == answer
    assert all(not q.origin.heard for q in requests)


def test_a_cascade_that_may_not_go_on_takes_the_last_answer():
    done, _ = go(agreement_cascade([A, B, C]), "x", "y", limits=Limits(max_agents=2))
    assert done.answer == "y"


@pytest.mark.parametrize("quorum", [0, 4])
def test_a_cascade_refuses_a_quorum_that_cannot_be(quorum):
    with pytest.raises(ConfigError, match=r"expected 1\.\.3"):
        agreement_cascade([A, B, C], quorum=quorum)


# --------------------------------------------------------------------------- adaptive self-consistency


def test_the_probability_of_the_majority_is_that_of_the_beta_distribution():
    assert majority(0, 0) == 0.5
    # the integral of 20 p^3 (1 - p) / 1 from one half to 1: Beta(4, 2)
    assert isclose(majority(3, 1), 1 - (5 * 0.5**4 - 4 * 0.5**5))
    assert isclose(majority(2, 5) + majority(5, 2), 1.0)


@pytest.mark.parametrize(("said", "num"), [("xxxx", 4), ("xyxxxxx", 7), ("xyxyxyxy", 8)])
def test_samples_are_drawn_until_the_majority_is_sure(said, num):
    done, requests = go(adaptive_self_consistency([A], max_samples=8), *said)
    assert (done.answer, len(requests)) == ("x", num)
    assert [q.sample >> 31 for q in requests] == list(range(num))  # each is another sample of the same agent


def test_unreadable_samples_agree_with_nothing():
    assert len(go(adaptive_self_consistency([A], max_samples=5), "", "", "", "", "")[1]) == 5


@pytest.mark.parametrize(
    ("agents", "settings", "message"),
    [([A, B], {}, "got 2"), ([A], {"sure": 1.0}, "sure is 1.0"), ([A], {"max_samples": 0}, "max_samples is 0")],
)
def test_self_consistency_refuses_what_it_cannot_do(agents, settings, message):
    with pytest.raises(ConfigError, match=message):
        adaptive_self_consistency(agents, **settings)


# --------------------------------------------------------------------------- debate


def test_those_who_agree_do_not_debate():
    done, requests = go(debate_when_needed([A, B]), "x", "x")
    assert (done.answer, len(requests)) == ("x", 2)


def test_those_who_differ_hear_each_other_and_then_vote():
    done, requests = go(debate_when_needed([A, B]), "x", "y", "y", "y")
    assert done.answer == "y"
    assert [[r.text for r in q.origin.heard] for q in requests] == [[], [], ["y"], ["x"]]
    assert done.design.waves() == [[0, 1], [2, 3]]


def test_a_debate_ends_after_its_rounds_or_when_all_agree():
    done, requests = go(debate_when_needed([A, B], num_rounds=3), *"xyyxxy")
    assert (done.answer, len(requests)) == ("x", 6)
    assert len(go(debate_when_needed([A, B], num_rounds=3), *"xyyy")[1]) == 4


@pytest.mark.parametrize(("agents", "rounds", "message"), [([A], 2, "got 1"), ([A, B], 0, "num_rounds is 0")])
def test_a_debate_refuses_what_it_cannot_be(agents, rounds, message):
    with pytest.raises(ConfigError, match=message):
        debate_when_needed(agents, num_rounds=rounds)
