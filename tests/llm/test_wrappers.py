import asyncio

import pytest

from gdesign.errors import BudgetExceededError, ConfigError, LLMError, PoolError
from gdesign.llm.wrappers import Budget, Cache, Limit
from gdesign.types import LLM, AgentPool, Label, Message, Origin, Reply, Request, Role, Usage

POOL = AgentPool(
    name="p",
    roles=(Role(name="r", profile="r"),),
    llms=(LLM(name="m", usd_per_1M_input=1.0, usd_per_1M_output=2.0),),
)


def request(text="q", **kwargs):
    return Request(llm="m", messages=(Message("user", text),), **kwargs)


class Slow:
    """Answers when it is let; remembers what it was asked."""

    def __init__(self, open=True):
        self.asked, self.in_flight, self.peak, self.cancelled = [], 0, 0, 0
        self.open = open
        self.gate = asyncio.Event()

    async def __call__(self, request):
        self.asked.append(request)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await (asyncio.sleep(0) if self.open else self.gate.wait())
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
        text = request.messages[0].content
        if text == "fail":
            raise LLMError("failed")
        return Reply(text=text, usage=Usage(prompt_tokens=10, completion_tokens=20), label=Label.LIVE)


# ------------------------------------------------------------------ Cache


def test_the_same_request_is_asked_once():
    llm = Slow()
    cache = Cache(llm=llm)
    replies = [asyncio.run(cache(request())) for _ in range(3)]
    assert len(llm.asked) == 1
    assert replies[0] is replies[2]
    assert replies[2].label is Label.LIVE


@pytest.mark.parametrize("other", [{"sample": 1}, {"temperature": 0.5}, {"max_tokens": 3}, {"text": "other"}])
def test_another_request_is_asked_anew(other):
    llm = Slow()
    cache = Cache(llm=llm)
    asyncio.run(cache(request()))
    asyncio.run(cache(request(**other)))
    assert len(llm.asked) == 2


def test_where_a_request_comes_from_does_not_matter():
    llm = Slow()
    cache = Cache(llm=llm)
    for task_id in ("a", "b"):
        asyncio.run(cache(request(origin=Origin(task_id=task_id, role="r", operator="answer"))))
    assert len(llm.asked) == 1


def test_a_request_in_flight_is_asked_once():
    llm = Slow()
    cache = Cache(llm=llm)

    async def many():
        return await asyncio.gather(*(cache(request()) for _ in range(5)))

    assert {r.text for r in asyncio.run(many())} == {"q"}
    assert len(llm.asked) == 1


def test_a_failed_call_is_not_kept():
    llm = Slow()
    cache = Cache(llm=llm)

    async def both():
        return await asyncio.gather(cache(request("fail")), cache(request("fail")), return_exceptions=True)

    for _ in range(2):
        assert all(isinstance(r, LLMError) for r in asyncio.run(both()))
    assert len(llm.asked) == 2


def test_who_asked_second_gets_the_reply_where_the_first_is_cancelled():
    async def scene():
        llm = Slow(open=False)
        cache = Cache(llm=llm)
        first, second = asyncio.create_task(cache(request())), asyncio.create_task(cache(request()))
        await asyncio.sleep(0.001)
        first.cancel()
        await asyncio.sleep(0.001)
        llm.gate.set()
        reply = await second
        return first.cancelled(), reply.text, len(llm.asked)

    assert asyncio.run(scene()) == (True, "q", 1)


def test_a_call_that_nobody_waits_for_is_cancelled_and_may_be_asked_again():
    async def scene():
        llm = Slow(open=False)
        cache = Cache(llm=llm)
        first, second = asyncio.create_task(cache(request())), asyncio.create_task(cache(request()))
        await asyncio.sleep(0.001)
        first.cancel()
        second.cancel()
        third = asyncio.create_task(cache(request()))
        await asyncio.sleep(0.001)
        cancelled = llm.cancelled
        llm.gate.set()
        return cancelled, (await third).text, len(llm.asked)

    assert asyncio.run(scene()) in [(1, "q", 2), (0, "q", 1)]


def test_a_call_cut_off_by_the_end_of_its_loop_is_asked_again_in_the_next():
    llm = Slow(open=False)
    cache = Cache(llm=llm)

    async def hurried():
        await asyncio.wait_for(cache(request()), 0.001)

    with pytest.raises(TimeoutError):
        asyncio.run(hurried())
    llm.open = True
    assert asyncio.run(cache(request())).text == "q"


# ------------------------------------------------------------------ Limit


def test_only_so_many_calls_are_in_flight():
    llm = Slow()
    limit = Limit(llm=llm, max_concurrent=3)

    async def many():
        await asyncio.gather(*(limit(request(str(i))) for i in range(10)))

    for _ in range(2):  # each asyncio.run has a loop of its own
        asyncio.run(many())
    assert llm.peak == 3
    assert len(llm.asked) == 20


def test_a_cancelled_or_failed_call_makes_room():
    async def scene():
        llm = Slow(open=False)
        limit = Limit(llm=llm, max_concurrent=1)
        first = asyncio.create_task(limit(request()))
        await asyncio.sleep(0.001)
        first.cancel()
        llm.open = True
        with pytest.raises(LLMError):
            await limit(request("fail"))
        return await limit(request())

    assert asyncio.run(scene()).text == "q"


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="max_concurrent"):
        Limit(llm=Slow(), max_concurrent=0)


# ------------------------------------------------------------------ Budget


def test_concurrent_calls_never_exceed_their_limit():
    llm = Slow()
    budget = Budget(llm=llm, pool=POOL, calls=3)

    async def many():
        return await asyncio.gather(*(budget(request(str(i))) for i in range(10)), return_exceptions=True)

    replies = asyncio.run(many())
    assert len(llm.asked) == 3
    assert sum(isinstance(r, BudgetExceededError) for r in replies) == 7


def test_failed_calls_count():
    budget = Budget(llm=Slow(), pool=POOL, calls=1)
    with pytest.raises(LLMError):
        asyncio.run(budget(request("fail")))
    with pytest.raises(BudgetExceededError, match="1 calls"):
        asyncio.run(budget(request()))


@pytest.mark.parametrize(("limit", "asked"), [({"usd": 100e-6}, 2), ({"usd": 101e-6}, 3), ({"tokens": 61}, 3)])
def test_the_first_call_after_the_limit_is_reached_is_refused(limit, asked):
    llm = Slow()
    budget = Budget(llm=llm, pool=POOL, **limit)  # a call takes 30 tokens and 50e-6 USD
    for _ in range(asked):
        asyncio.run(budget(request()))
    with pytest.raises(BudgetExceededError, match=f"budget of .* {next(iter(limit))} is spent"):
        asyncio.run(budget(request()))
    assert len(llm.asked) == asked
    assert budget.spent_tokens == 30 * asked
    assert budget.spent_usd == pytest.approx(50e-6 * asked)


def test_an_llm_without_a_price_is_refused_before_it_is_asked():
    llm = Slow()
    with pytest.raises(PoolError, match="'x'"):
        asyncio.run(Budget(llm=llm, pool=POOL, usd=1)(Request(llm="x", messages=())))
    assert llm.asked == []


@pytest.mark.parametrize("limits", [{}, {"usd": 0}, {"calls": -1}])
def test_a_budget_needs_a_limit_above_zero(limits):
    with pytest.raises(ConfigError):
        Budget(llm=Slow(), pool=POOL, **limits)
