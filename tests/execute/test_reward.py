import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings

from gdesign.errors import ConfigError, LLMError
from gdesign.execute.reward import Reward, account, critical_path
from gdesign.execute.run import run
from gdesign.types import Agent, Decision, Design, Edge, Gate, Label, Reply, Run, Task, Turn, Usage
from tests.strategies import POOL, designs

TASK = Task(id="1", question="q", answer="x", benchmark="b")


def agent(role="a", llm="m", watch=(), quorum=1):
    return Agent(role=role, llm=llm, gate=Gate(watch=watch, quorum=quorum) if watch else None)


def reply(text="x", score=None):
    return Reply(text=text, usage=Usage(prompt_tokens=100, completion_tokens=10), label=Label.LIVE, score=score)


def spoken(design, *replies, answer="x", decided_by=0):
    turns = tuple(
        Turn(agent=i, round=1, reply=r if isinstance(r, Reply) else None, error=r if isinstance(r, str) else None)
        for i, r in enumerate(replies)
    )
    return Run(design=design, task=TASK, seed=0, turns=turns, answer=answer, decided_by=decided_by, label=Label.LIVE)


def grade(task, answer):
    return float(answer == task.answer)


def worth(run):
    return account(run, grade=grade, pool=POOL)


TWO = Design(agents=(agent("a", "m"), agent("b", "n")), decision=Decision(kind="vote"))
CHAIN = Design(agents=(agent("a", "m"), agent("b", "n")), spatial=(Edge(0, 1),))


def test_an_answer_scores_by_the_benchmarks_grader():
    assert worth(spoken(TWO, reply(), reply())).score == 1.0
    assert worth(spoken(TWO, reply("y"), reply("y"), answer="y")).score == 0.0


def test_an_answer_costs_what_its_recording_says():
    said = replace(reply(), usd=0.25, num_calls=4)
    outcome = worth(spoken(TWO, said, reply()))
    assert outcome.agent_usd[0] == 0.25
    assert outcome.agent_usd[1] == worth(spoken(TWO, reply(), reply())).agent_usd[1]
    assert (outcome.usd, outcome.calls) == (sum(outcome.agent_usd), 5)


def test_a_recorded_answer_scores_by_its_recording():
    assert worth(spoken(TWO, reply("y", score=1.0), reply(), answer="y")).score == 1.0
    assert worth(spoken(TWO, reply("x", score=0.0), reply())).score == 0.0
    assert worth(spoken(TWO, reply("", score=1.0), reply(), answer=None)).score == 1.0


def test_an_unreadable_answer_scores_nothing_and_is_marked():
    outcome = worth(spoken(TWO, reply("?"), reply("?"), answer=None))
    assert (outcome.score, outcome.unreadable) == (0.0, True)


def test_each_call_costs_its_own_llms_price():
    outcome = worth(spoken(TWO, reply(), reply()))
    assert outcome.usd == pytest.approx((100 * 1 + 10 * 2 + 100 * 10 + 10 * 30) / 1e6)
    assert outcome.agent_usd == pytest.approx((120 / 1e6, 1300 / 1e6))
    assert (outcome.prompt_tokens, outcome.completion_tokens, outcome.calls) == (200, 20, 2)


def test_prompt_tokens_of_a_cache_cost_what_the_pool_says_of_them_and_else_as_much_as_others():
    usage = Usage(prompt_tokens=100, completion_tokens=10, cached_tokens=80)
    run = spoken(TWO, replace(reply(), usage=usage), replace(reply(), usage=usage, label=Label.REPLAYED, live=usage))
    dear = replace(POOL, llms=tuple(replace(m, usd_per_1M_cached_input=m.usd_per_1M_input / 10) for m in POOL.llms))
    outcome = account(run, grade=grade, pool=dear)
    assert outcome.agent_usd == pytest.approx((48 / 1e6, 580 / 1e6))
    assert outcome.usd == outcome.paid_usd == pytest.approx(628 / 1e6)
    assert worth(run).usd == worth(spoken(TWO, reply(), reply())).usd


def test_silence_and_failure_cost_nothing_and_failures_are_counted():
    outcome = worth(spoken(TWO, reply(), "lost"))
    assert outcome.usd == pytest.approx(120 / 1e6)
    assert (outcome.calls, outcome.failures) == (1, 1)


def test_a_run_in_which_nobody_spoke_is_worth_nothing():
    outcome = worth(spoken(TWO, "lost", "lost", answer=None, decided_by=None))
    assert (outcome.score, outcome.usd, outcome.calls, outcome.critical_path) == (0.0, 0.0, 0, 0)


class Same:
    """Answers x at once; fails for the roles named."""

    def __init__(self, failing=""):
        self.failing = failing

    async def __call__(self, request):
        if request.origin.role in self.failing:
            raise LLMError("lost")
        return reply()


def performed(design, failing=""):
    return asyncio.run(run(design, TASK, pool=POOL, llm=Same(failing), extract=lambda t, x: x))


def path(roles, *pairs, failing="", **kwargs):
    design = Design(agents=tuple(map(agent, roles)), spatial=tuple(Edge(*p) for p in pairs), **kwargs)
    return critical_path(performed(design, failing))


VOTE = {"decision": Decision(kind="vote")}


def test_the_critical_path_is_the_longest_chain_of_calls():
    assert path("a") == 1
    assert path("abcd", **VOTE) == 1
    assert path("abcd", (0, 1), (1, 2), (2, 3)) == 4
    assert path("abcd", (0, 3), (1, 3), (2, 3)) == 2
    assert path("abcd", (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)) == 4


def test_each_round_waits_for_the_round_before():
    everybody = tuple(Edge(i, j) for i in range(3) for j in range(3) if i != j)
    assert path("abc", temporal=everybody, num_rounds=3, **VOTE) == 3
    assert path("ab", num_rounds=2, **VOTE) == 2


def test_edges_count_only_in_their_rounds():
    design = Design(agents=(agent("a"), agent("b")), spatial=(Edge(0, 1, (2,)),), num_rounds=2, **VOTE)
    assert critical_path(performed(design)) == 3


def test_a_gate_waits_for_whom_it_watches_and_silence_takes_no_time():
    silent = Design(agents=(agent("a"), agent("b", watch=(0,))))
    assert critical_path(performed(silent)) == 1
    speaking = Design(agents=(agent("a"), agent("b"), agent("c", watch=(0, 1), quorum=2)))
    assert critical_path(performed(speaking, failing="b")) == 2


def test_a_failed_call_takes_no_time():
    assert path("abc", (0, 1), (1, 2), failing="b") == 2


def test_calls_that_an_operator_makes_and_faults_that_were_survived_are_counted():
    said = replace(
        reply(), num_calls=3, faults=("429", "timeout"), usage=Usage(prompt_tokens=1, completion_tokens=1, counted=True)
    )
    outcome = worth(spoken(CHAIN, said, reply()))
    assert (outcome.calls, outcome.critical_path, outcome.faults, outcome.counted) == (4, 4, 2, 1)


def test_only_live_calls_are_paid_now():
    live, old = (replace(reply(), label=label) for label in (Label.LIVE, Label.REPLAYED))
    assert worth(spoken(TWO, live, live)).paid_usd == pytest.approx(worth(spoken(TWO, live, live)).usd)
    assert 0 < worth(spoken(TWO, live, old)).paid_usd < worth(spoken(TWO, live, old)).usd
    assert worth(spoken(TWO, old, old)).paid_usd == 0


def test_of_a_turn_that_was_asked_live_in_part_that_part_is_paid_now():
    part = replace(reply(), label=Label.REPLAYED, live=Usage(prompt_tokens=50, completion_tokens=5))
    outcome = worth(spoken(TWO, part, replace(reply(), label=Label.REPLAYED)))
    assert outcome.paid_usd == worth(spoken(TWO, reply(), "down")).usd / 2


def test_latency_is_that_of_the_slowest_chain_and_can_be_weighed():
    slow, quick = replace(reply(), seconds=2.0), replace(reply(), seconds=0.5)
    assert worth(spoken(TWO, slow, quick)).seconds == 2.0
    outcome = worth(spoken(CHAIN, slow, quick))
    assert outcome.seconds == 2.5
    assert Reward(second_weight=0.1).utility(outcome) == pytest.approx(Reward().utility(outcome) - 0.25)


@settings(deadline=None, max_examples=50)
@given(design=designs())
def test_the_critical_path_is_no_longer_than_all_calls(design):
    done = performed(design)
    outcome = worth(done)
    rounds_with_calls = {t.round for t in done.turns if t.reply}
    assert len(rounds_with_calls) <= outcome.critical_path <= outcome.calls


def test_utility_weighs_score_against_cost_per_thousand_questions():
    outcome = worth(spoken(TWO, reply(), reply()))
    assert Reward().utility(outcome) == 1.0
    assert Reward(usd_weight=0.1).utility(outcome) == pytest.approx(1 - 0.1 * 1000 * outcome.usd)
    assert Reward(token_weight=0.001).utility(outcome) == pytest.approx(1 - 0.22)


@pytest.mark.parametrize("name", ["usd_weight", "token_weight", "second_weight"])
@pytest.mark.parametrize("value", [-0.1, float("nan")])
def test_a_price_below_nothing_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} is .*; expected 0 or more"):
        Reward(**{name: value})


def test_seconds_are_told_in_usd_and_keep_their_rate_at_every_price_of_cost():
    reward = Reward(usd_weight=0.02, token_weight=0.001, second_weight=0.1)
    outcome = worth(spoken(TWO, replace(reply(), seconds=2.0), reply()))
    for at in (reward, reward.at(0.04)):
        assert Reward(usd_weight=at.usd_weight).utility(at.in_usd(outcome)) == pytest.approx(at.utility(outcome))
    assert reward.at(0.04) == Reward(usd_weight=0.04, token_weight=0.002, second_weight=0.2)
    assert Reward().in_usd(outcome) is outcome
