import asyncio

import pytest

from gdesign.errors import BudgetExceededError, ConfigError, LLMError
from gdesign.llm.cost import Cost
from gdesign.serve.meter import Meter, Metrics, Purse
from gdesign.serve.protocol import ApiError
from gdesign.types import Label, Message, Reply, Request, Usage
from tests import worlds

POOL = worlds.pool(1)
REQUEST = Request(llm="llm-0", messages=(Message("user", "hello"),), max_tokens=100)


def metered(answer):
    return Meter(worlds.Scripted(answer), pool=POOL, metrics=Metrics())


def usd(amount):
    return Cost(parts=round(amount * 10**15))


def test_what_is_under_way_is_set_aside():
    purse = Purse(usd=1.0, most=0.4)
    with purse.open(), purse.open(), pytest.raises(ApiError, match="wait for them") as caught, purse.open():
        pass
    assert caught.value.status == 429
    with purse.open():
        purse.pay(usd(0.1))
    assert purse.spent_usd == pytest.approx(0.1)


def test_a_purse_that_is_empty_stays_so():
    purse = Purse(usd=1.0, most=0.4)
    purse.pay(usd(0.61))
    with pytest.raises(ApiError, match=r"has spent 0\.61 of its 1 USD") as caught, purse.open():
        pass
    assert caught.value.status == 402


def test_a_purse_without_a_limit_counts_only():
    purse = Purse()
    with purse.open():
        purse.pay(usd(5))
    assert purse.spent_usd == 5


@pytest.mark.parametrize("kind", [LLMError, ConfigError, BudgetExceededError])
@pytest.mark.parametrize(("faults", "billed"), [(("503", "429"), False), (("429", "timeout"), True)])
def test_a_call_whose_end_is_not_known_counts_as_all_that_it_may_cost(kind, faults, billed):
    def fail(request):
        error = kind("no")
        error.faults = faults
        raise error

    meter = metered(fail)
    with pytest.raises(kind):
        asyncio.run(meter(REQUEST))
    assert (meter.spent.usd >= 100 * 0.4e-6) is billed


def test_a_try_that_was_lost_before_the_reply_counts_as_the_reply():
    async def answer(request):
        usage = Usage(prompt_tokens=10, completion_tokens=5)
        return Reply(text="hi", usage=usage, label=Label.LIVE, faults=("429", "timeout"))

    meter = Meter(answer, pool=POOL, metrics=Metrics())
    asyncio.run(meter(REQUEST))
    assert meter.spent.usd == pytest.approx(2 * POOL.llms[0].usd(prompt_tokens=10, completion_tokens=5))


def test_a_reply_counts_as_what_it_took():
    meter = metered(lambda request: "hi")
    asyncio.run(meter(REQUEST))
    assert meter.spent.usd == pytest.approx(POOL.llms[0].usd(prompt_tokens=10, completion_tokens=5))
    assert meter.num_asked == 1
