import asyncio
import contextlib
import pickle
import random
from dataclasses import replace

import pytest

from gdesign.errors import BudgetExceededError, ConfigError, GdesignError, LLMError, PoolError
from gdesign.llm.openai import OpenAIClient
from gdesign.llm.wrappers import Budget, Sampling
from gdesign.types import LLM, AgentPool, Label, Message, Reply, Request, Role, Usage
from tests.llm.chat_server import CUT, Raw, chat_server

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


# ------------------------------------------------------------------ Sampling


@pytest.mark.parametrize(("own", "asked", "sent"), [(9, None, 9), (None, 9, 9), (9, 100, 9), (100, 9, 9), (None,) * 3])
def test_the_smaller_of_two_limits_on_a_completion_is_sent(own, asked, sent):
    llm = Slow()
    asyncio.run(Sampling(llm=llm, temperature=0.7, max_tokens=own)(request(max_tokens=asked)))
    assert llm.asked == [request(max_tokens=sent, temperature=0.7)]


# ------------------------------------------------------------------ Budget


def short(text="q", **kwargs):
    """A request whose reply takes 30 tokens and 50e-6 USD, and may take 101 and 121e-6."""
    return request(text, max_tokens=20, **kwargs)


class Thinker:
    """Thinks for longer than its limit says, on a prompt that a cache held."""

    async def __call__(self, request):
        usage = Usage(prompt_tokens=50, completion_tokens=900, cached_tokens=40)
        return Reply(text="4", usage=usage, label=Label.LIVE)


def test_a_budget_counts_thoughts_and_what_a_cache_held_at_its_price():
    (llm,) = POOL.llms
    pool = replace(POOL, llms=(replace(llm, usd_per_1M_cached_input=0.25),))
    budget = Budget(llm=Thinker(), pool=pool, tokens=1000)
    asyncio.run(budget(short()))
    assert (budget.spent.tokens, budget.spent.usd) == (950, pytest.approx((10 + 40 * 0.25 + 900 * 2) / 1e6))
    with pytest.raises(BudgetExceededError, match="the budget of 1000 tokens is spent"):
        asyncio.run(budget(short()))


def test_a_reply_that_broke_off_may_have_been_billed_and_a_refusal_was_not():
    def spent(answer):
        with chat_server(lambda body: answer) as url:
            budget = Budget(llm=OpenAIClient(base_url=url, max_retries=0), pool=POOL, calls=9)
            with pytest.raises(LLMError):
                asyncio.run(budget(short()))
        return budget.spent.tokens

    assert spent(Raw(body='{"error": {"message": "busy", "code": 429}}')) == 0
    assert spent(Raw(body='{"choices": [{"message": {"content": "Let"}, "finish_reason": "error"}]}')) > 0
    assert spent(Raw(body='{"choices": [{"message": {"content": "Let"}, "error": {"code": 502}}]}')) > 0


def test_concurrent_calls_never_exceed_their_limit():
    llm = Slow()
    budget = Budget(llm=llm, pool=POOL, calls=3)

    async def many():
        return await asyncio.gather(*(budget(request(str(i))) for i in range(10)), return_exceptions=True)

    replies = asyncio.run(many())
    assert len(llm.asked) == 3
    assert sum(isinstance(r, BudgetExceededError) for r in replies) == 7


class Endpoint:
    """Answers after some turns of the loop, in lengths of its own, or fails, or is cut off; keeps its own account."""

    def __init__(self, draw, pool):
        self.draw, self.pool, self.billed, self.in_flight, self.peak = draw, pool, 0.0, 0, 0

    async def __call__(self, request):
        draw = self.draw
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        for _ in range(draw.randrange(6)):
            await asyncio.sleep(0)
        self.in_flight -= 1
        size = sum(len(m.content.encode()) for m in request.messages)
        usage = Usage(
            prompt_tokens=draw.randint(size // 4, size + 20), completion_tokens=draw.randint(0, request.max_tokens)
        )
        price = self.pool.llm(request.llm)
        fate = draw.random()
        if fate < 0.1:
            raise LLMError("turned down", faults=("429", "500"))
        self.billed += price.usd(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)
        if fate < 0.2:
            raise LLMError("nobody heard the end of it", faults=("429", "timeout"))
        return Reply(text="", usage=usage, label=Label.LIVE)


@pytest.mark.parametrize("trial", range(100))
def test_a_budget_of_one_dollar_with_64_calls_in_flight_is_never_overrun(trial):
    draw = random.Random(trial)
    scale = 10 ** draw.uniform(-1, 3)
    llms = tuple(
        LLM(name=str(i), usd_per_1M_input=scale * draw.random(), usd_per_1M_output=4 * scale * draw.random())
        for i in range(3)
    )
    pool = AgentPool(name="p", roles=(Role(name="r", profile="r"),), llms=llms)
    endpoint = Endpoint(draw, pool)
    budget = Budget(llm=endpoint, pool=pool, usd=1.0)

    async def work(num):
        for _ in range(num):
            text = "ä" * draw.randrange(2000)
            max_tokens = draw.choice([16, 256, 4096])
            with contextlib.suppress(LLMError):
                await budget(
                    Request(llm=str(draw.randrange(3)), messages=(Message("user", text),), max_tokens=max_tokens)
                )

    async def scene():
        return await asyncio.gather(*(work(6) for _ in range(64)), return_exceptions=True)

    refused = [r for r in asyncio.run(scene()) if r is not None]
    assert all(isinstance(r, BudgetExceededError) for r in refused)
    assert budget.spent.usd <= 1.0
    assert endpoint.billed <= budget.spent.usd + 1e-12
    assert endpoint.in_flight == 0
    assert refused or endpoint.peak == 64


def test_a_call_that_may_not_fit_waits_until_those_in_flight_have_ended():
    async def scene():
        llm = Slow(open=False)
        budget = Budget(llm=llm, pool=POOL, usd=400e-6)
        calls = [asyncio.create_task(budget(short(str(i)))) for i in range(4)]
        await asyncio.sleep(0.001)
        first = len(llm.asked)
        llm.gate.set()
        await asyncio.gather(*calls)
        return first, len(llm.asked), budget.spent.usd

    first, asked, spent = asyncio.run(scene())
    assert (first, asked) == (3, 4)
    assert spent == pytest.approx(200e-6)


def test_what_is_in_flight_ends_before_anybody_is_refused():
    async def scene():
        llm = Slow(open=False)
        budget = Budget(llm=llm, pool=POOL, calls=2)
        calls = [asyncio.create_task(budget(request(str(i)))) for i in range(3)]
        await asyncio.sleep(0.001)
        waits = not calls[2].done()
        llm.gate.set()
        return waits, await asyncio.gather(*calls, return_exceptions=True)

    waits, (first, second, third) = asyncio.run(scene())
    assert waits
    assert (first.text, second.text) == ("0", "1")
    assert isinstance(third, BudgetExceededError)


def test_a_budget_is_kept_from_one_event_loop_to_the_next():
    llm = Slow()
    budget = Budget(llm=llm, pool=POOL, calls=5)

    async def batch():
        return await asyncio.gather(*[budget(request()) for _ in range(4)], return_exceptions=True)

    kinds = [[type(r) for r in asyncio.run(batch())] for _ in range(3)]
    assert kinds == [[Reply] * 4, [Reply, *[BudgetExceededError] * 3], [BudgetExceededError] * 4]
    assert budget.spent.calls == 5


def test_after_a_call_was_refused_all_are():
    llm = Slow()
    budget = Budget(llm=llm, pool=POOL, tokens=300)
    asyncio.run(budget(short()))
    with pytest.raises(BudgetExceededError, match=r"budget of 300 tokens is spent: .* 30 tokens in 1 calls"):
        asyncio.run(budget(request("q" * 500, max_tokens=20)))
    with pytest.raises(BudgetExceededError):
        asyncio.run(budget(short()))
    assert len(llm.asked) == 1


def test_a_cancelled_call_makes_room_for_those_behind_it_and_counts_as_if_it_was_billed():
    async def scene():
        llm = Slow(open=False)
        budget = Budget(llm=llm, pool=POOL, calls=3)
        first, second = (asyncio.create_task(budget(request(str(i)))) for i in range(2))
        await asyncio.sleep(0.001)
        first.cancel()
        llm.gate.set()
        await second
        return budget.spent.calls, (await budget(request("third"))).text

    assert asyncio.run(scene()) == (2, "third")


def test_a_call_cancelled_while_it_waits_costs_nothing():
    async def scene():
        llm = Slow(open=False)
        budget = Budget(llm=llm, pool=POOL, calls=2, usd=200e-6)
        first, second, third = (asyncio.create_task(budget(short(str(i)))) for i in range(3))
        await asyncio.sleep(0.001)
        second.cancel()
        await asyncio.sleep(0.001)
        llm.gate.set()
        return (await first).text, (await third).text, len(llm.asked)

    assert asyncio.run(scene()) == ("0", "2", 2)


def test_failed_calls_count():
    budget = Budget(llm=Slow(), pool=POOL, calls=1)
    with pytest.raises(LLMError):
        asyncio.run(budget(request("fail")))
    with pytest.raises(BudgetExceededError, match="1 calls"):
        asyncio.run(budget(request()))


@pytest.mark.parametrize("kind", [ConfigError, BudgetExceededError])
@pytest.mark.parametrize(("faults", "calls", "billed"), [((), 0, False), (("429",), 1, False), (("timeout",), 1, True)])
def test_a_call_that_ends_the_work_counts_as_billed_if_a_try_of_it_may_have_been(kind, faults, calls, billed):
    async def ends(request):
        error = kind("it is over")
        error.faults = faults
        raise error

    budget = Budget(llm=ends, pool=POOL, usd=1.0)
    with pytest.raises(kind):
        asyncio.run(budget(short()))
    assert (budget.spent.calls, budget.spent.usd > 50e-6) == (calls, billed)


@pytest.mark.parametrize("last", [Raw(401, "{}"), Raw(405, "{}")])
def test_a_lost_try_counts_as_billed_where_the_endpoint_then_refuses_all(last):
    answers = [CUT, last]
    with chat_server(lambda body: answers.pop(0)) as url:
        llm = OpenAIClient(base_url=url, backoff=0.001)
        budget = Budget(llm=llm, pool=POOL, usd=1.0)
        with pytest.raises(GdesignError):
            asyncio.run(budget(short()))
    assert not answers
    assert budget.spent.usd > 50e-6


class Faulty:
    """Fails as it is told, or answers after it failed."""

    def __init__(self, *faults, answers=False):
        self.faults, self.answers = faults, answers

    async def __call__(self, request):
        if not self.answers:
            raise LLMError("failed", faults=self.faults)
        usage = Usage(prompt_tokens=10, completion_tokens=20)
        return Reply(text="", usage=usage, label=Label.LIVE, faults=self.faults)


@pytest.mark.parametrize(("faults", "billed"), [(("429", "500"), False), (("timeout",), True), ((), True)])
def test_a_failed_call_counts_as_billed_unless_the_endpoint_turned_it_down(faults, billed):
    budget = Budget(llm=Faulty(*faults), pool=POOL, usd=1.0)
    with pytest.raises(LLMError):
        asyncio.run(budget(short()))
    assert (budget.spent.usd > 50e-6) == billed


@pytest.mark.parametrize(("faults", "usd"), [(["429"], 50e-6), (["429", "timeout"], 100e-6), (["timeout"] * 9, 121e-6)])
def test_a_try_that_was_lost_counts_as_the_reply_as_far_as_what_was_set_aside_goes(faults, usd):
    budget = Budget(llm=Faulty(*faults, answers=True), pool=POOL, usd=1.0)
    asyncio.run(budget(short()))
    assert budget.spent.usd == pytest.approx(usd)
    assert budget.spent.calls == 1


def test_a_budget_that_is_spent_within_another_takes_nothing_from_it():
    inner = Budget(llm=Slow(), pool=POOL, calls=1)
    outer = Budget(llm=inner, pool=POOL, calls=5)
    asyncio.run(outer(request()))
    with pytest.raises(BudgetExceededError):
        asyncio.run(outer(request()))
    assert outer.spent.calls == 1


def test_two_budgets_around_each_other_are_both_kept():
    async def scene():
        llm = Slow()
        inner = Budget(llm=llm, pool=POOL, calls=7)
        outer = Budget(llm=inner, pool=POOL, usd=400e-6)
        replies = await asyncio.gather(*(outer(short(str(i))) for i in range(20)), return_exceptions=True)
        return len(llm.asked), outer.spent.usd, {type(r) for r in replies}

    asked, spent, kinds = asyncio.run(scene())
    assert asked <= 7
    assert spent <= 400e-6
    assert kinds == {Reply, BudgetExceededError}


@pytest.mark.parametrize(("limit", "name"), [({"usd": 1.0}, "usd"), ({"tokens": 1000}, "tokens")])
def test_a_limit_that_needs_to_know_the_longest_reply_says_so(limit, name):
    llm = Slow()
    with pytest.raises(ConfigError, match=rf"limit on {name} .* llm\.max_tokens"):
        asyncio.run(Budget(llm=llm, pool=POOL, **limit)(request()))
    assert llm.asked == []


def test_an_llm_that_costs_nothing_needs_no_longest_reply():
    free = AgentPool(name="p", roles=POOL.roles, llms=(LLM(name="m", usd_per_1M_input=0, usd_per_1M_output=0),))
    assert asyncio.run(Budget(llm=Slow(), pool=free, usd=1.0)(request())).text == "q"


def test_an_llm_without_a_price_is_refused_before_it_is_asked():
    llm = Slow()
    with pytest.raises(PoolError, match="'x'"):
        asyncio.run(Budget(llm=llm, pool=POOL, usd=1)(Request(llm="x", messages=())))
    assert llm.asked == []


@pytest.mark.parametrize("limits", [{}, {"usd": 0}, {"calls": -1}, {"usd": float("nan")}])
def test_a_budget_needs_a_limit_above_zero(limits):
    with pytest.raises(ConfigError):
        Budget(llm=Slow(), pool=POOL, **limits)


def test_what_was_spent_goes_along_where_a_budget_is_sent():
    budget = Budget(llm=Brief(), pool=POOL, calls=3)
    asyncio.run(budget(request("a")))
    again = pickle.loads(pickle.dumps(budget))
    assert again.spent == budget.spent
    asyncio.run(again(request("b")))
    asyncio.run(again(request("c")))
    with pytest.raises(BudgetExceededError):
        asyncio.run(again(request("d")))


class Brief:
    async def __call__(self, request):
        return Reply(text="x", usage=Usage(prompt_tokens=1, completion_tokens=1), label=Label.LIVE)
