import asyncio

import pytest

from gdesign.errors import BudgetExceededError, ConfigError
from gdesign.llm.live import endpoint
from gdesign.types import LLM, AgentPool, Message, Request, Role
from tests.llm.chat_server import chat_server

REQUEST = Request(llm="m", messages=(Message("system", "be brief"), Message("user", "2 + 2?")))


def pool(**llm):
    return AgentPool(
        name="p",
        roles=(Role(name="r", profile="r"),),
        llms=(
            LLM(name="m", usd_per_1M_input=1.0, usd_per_1M_output=2.0),
            LLM(name="other", usd_per_1M_input=1.0, usd_per_1M_output=2.0, **llm),
        ),
    )


def test_a_pool_whose_llm_lives_elsewhere_is_refused():
    with pytest.raises(ConfigError, match=r"other.*http://127\.0\.0\.1:8/v1.*http://127\.0\.0\.1:9/v1.*one endpoint"):
        endpoint(pool=pool(base_url="http://127.0.0.1:8/v1"), base_url="http://127.0.0.1:9/v1")


def test_a_pool_whose_llm_wants_another_key_is_refused():
    with pytest.raises(ConfigError, match=r"other.*OTHER_KEY.*MY_KEY"):
        endpoint(pool=pool(api_key_env="OTHER_KEY"), base_url="http://127.0.0.1:9/v1", api_key_env="MY_KEY")


def test_a_pool_may_name_the_endpoint_that_is_asked():
    elsewhere = pool(base_url="http://127.0.0.1:9/v1/", api_key_env="MY_KEY")
    endpoint(pool=elsewhere, base_url="http://127.0.0.1:9/v1", api_key_env="MY_KEY")


def test_an_endpoint_can_be_asked_at_a_temperature_each_thing_once_and_for_so_many_calls():
    seen = []
    with chat_server(seen=seen) as url:
        llm = endpoint(
            pool=pool(), base_url=url, temperature=0.7, cache=True, budget={"calls": 2}, max_concurrent=1, timeout=5.0
        )

        async def calls():
            for sample in (0, 0, 1):
                await llm(Request(llm="m", messages=REQUEST.messages, sample=sample))
            with pytest.raises(BudgetExceededError, match="budget of 2 calls"):
                await llm(Request(llm="m", messages=REQUEST.messages, sample=2))

        asyncio.run(calls())
    assert [sent["temperature"] for sent in seen] == [0.7, 0.7]


@pytest.mark.parametrize("values", [{"temperature": -1.0}, {"max_concurrent": 0}, {"budget": {"usd": 0}}])
def test_an_option_of_an_endpoint_out_of_range_is_refused(values):
    with pytest.raises(ConfigError):
        endpoint(pool=pool(), base_url="http://127.0.0.1:9/v1", **values)


def test_a_limit_that_no_budget_knows_is_named():
    with pytest.raises(ConfigError, match=r"euros.*usd, tokens, calls"):
        endpoint(pool=pool(), base_url="http://127.0.0.1:9/v1", budget={"euros": 3})
