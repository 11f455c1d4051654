import asyncio

import pytest

from gdesign.errors import ConfigError, LLMError
from gdesign.execute.limits import Limits
from gdesign.execute.run import run
from gdesign.llm.cost import Allowance
from gdesign.types import (
    LLM,
    Agent,
    AgentPool,
    Decision,
    Design,
    Edge,
    Gate,
    Label,
    Reply,
    Role,
    Task,
    Usage,
)

POOL = AgentPool(
    name="p",
    roles=tuple(Role(name=f"r{i}", profile=27 * "r") for i in range(6)),
    llms=(LLM(name="m", usd_per_1M_input=1.0, usd_per_1M_output=2.0),),
)
TASK = Task(id="t", question="q", answer="a", benchmark="b")
CALL = 10 * 1e-6 + 20 * 2e-6
"""USD of each call below, of 30 tokens."""


def vote(num=6):
    return Design(agents=tuple(Agent(role=f"r{i}", llm="m") for i in range(num)), decision=Decision(kind="vote"))


def rounds(num):
    agents = tuple(Agent(role=f"r{i}", llm="m") for i in range(2))
    return Design(agents=agents, temporal=(Edge(0, 1), Edge(1, 0)), num_rounds=num, decision=Decision(kind="vote"))


class Client:
    """Takes its time by the role of who asks, remembers who asked, and how many asked at a time."""

    def __init__(self, seconds=None, fails=()):
        self.seconds, self.fails = seconds or {}, fails
        self.asked, self.in_flight, self.peak = [], 0, 0

    async def __call__(self, request):
        role = request.origin.role
        self.asked.append(role)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        for _ in range(self.seconds.get(role, 1)):
            await asyncio.sleep(0)
        self.in_flight -= 1
        if role in self.fails:
            raise LLMError("failed")
        return Reply(text="a", usage=Usage(prompt_tokens=10, completion_tokens=20), label=Label.SIMULATED)


def go(design, llm, **limits):
    limits = Limits(**limits)
    return asyncio.run(run(design, TASK, pool=POOL, llm=llm, extract=lambda _, text: text, limits=limits))


def test_the_agents_beyond_the_limit_of_a_question_fail_and_the_others_decide():
    done = go(vote(), Client(), question=Allowance(calls=4))
    assert [t.error is None for t in done.turns] == [True] * 4 + [False] * 2
    assert "limit of 4 calls for a question" in done.turns[4].error
    assert done.answer == "a"


def test_who_may_speak_does_not_depend_on_who_is_fast():
    fast = go(vote(), Client(), question=Allowance(usd=0.0005), longest_reply=100)
    for slow in ({"r0": 9}, {"r3": 7, "r1": 5}, {f"r{i}": 9 - i for i in range(6)}):
        assert go(vote(), Client(slow), question=Allowance(usd=0.0005), longest_reply=100) == fast
    assert len(fast.failures) == 3


def test_a_question_stays_within_its_limit_though_its_agents_speak_at_the_same_time():
    llm = Client()
    done = go(vote(), llm, question=Allowance(usd=10 * CALL), longest_reply=20)
    assert 1 < llm.peak < 6  # of those who might take too much together, some wait and then do speak
    assert not done.failures


def test_what_might_go_beyond_the_limit_is_not_asked():
    few = go(vote(), Client(), question=Allowance(usd=6 * CALL), longest_reply=20)  # a call may take 222e-6 USD
    assert [t.reply is not None for t in few.turns] == [True, True, False, False, False, False]


def test_nobody_waits_where_the_limit_is_far_away():
    llm = Client()
    go(vote(), llm, question=Allowance(usd=1.0, tokens=10**6), longest_reply=100)
    assert llm.peak == 6


def test_an_agent_has_its_own_limit_over_its_rounds():
    done = go(rounds(3), Client(), agent=Allowance(calls=2))
    assert [t.error is None for t in done.turns] == [True] * 4 + [False] * 2
    assert "for an agent" in done.turns[5].error


def test_tokens_are_counted_as_they_were_used():
    done = go(rounds(6), Client(), agent=Allowance(tokens=385), longest_reply=20)
    assert sum(t.reply is not None for t in done.turns) == 2 * 3  # by what might be used it would be one each


def test_failed_calls_count_as_calls():
    done = go(vote(), Client(fails=("r0", "r1")), question=Allowance(calls=3))
    assert [t.reply is not None for t in done.turns] == [False, False, True, False, False, False]


def test_who_stays_silent_takes_nothing():
    agents = (*vote(2).agents, Agent(role="r2", llm="m", gate=Gate(watch=(0, 1), quorum=2)), Agent(role="r3", llm="m"))
    design = Design(agents=agents, decision=Decision(kind="vote"))
    done = go(design, Client(), question=Allowance(calls=3))
    assert [t.silent for t in done.turns] == [False, False, True, False]
    assert not done.failures


@pytest.mark.parametrize("limit", [Allowance(usd=1.0), Allowance(tokens=1000)])
def test_limits_that_need_to_know_the_longest_reply_say_so(limit):
    with pytest.raises(ConfigError, match=r"longest_reply"):
        go(vote(), Client(), question=limit)


def test_a_limit_that_is_never_reached_changes_nothing():
    free = asyncio.run(run(rounds(3), TASK, pool=POOL, llm=Client(), extract=lambda _, text: text))
    limits = {"question": Allowance(calls=99), "agent": Allowance(calls=99)}
    assert go(rounds(3), Client(), **limits) == free
