import asyncio
import json
from dataclasses import replace

import pytest

from gdesign.errors import BudgetExceededError, ConfigError, LLMError
from gdesign.llm.live import endpoint
from gdesign.types import LLM, AgentPool, Label, Message, Request, Role
from tests.llm.chat_server import Raw, chat_server

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


def test_each_llm_is_asked_at_its_own_endpoint():
    with chat_server(lambda body: "here") as here, chat_server(lambda body: "there") as there:
        llm = endpoint(pool=pool(base_url=there), base_url=here)
        assert asyncio.run(llm(REQUEST)).text == "here"
        assert asyncio.run(llm(replace(REQUEST, llm="other"))).text == "there"


def test_an_endpoint_can_be_asked_at_a_temperature_each_thing_once_and_for_so_many_calls(tmp_path):
    seen = []
    with chat_server(seen=seen) as url:
        llm = endpoint(
            pool=pool(),
            base_url=url,
            temperature=0.7,
            max_tokens=9,
            record=tmp_path / "calls.sqlite",
            budget={"calls": 2},
            max_concurrent=1,
            timeout=5.0,
        )

        async def calls():
            for sample in (0, 0, 1):
                await llm(Request(llm="m", messages=REQUEST.messages, sample=sample))
            with pytest.raises(BudgetExceededError, match="budget of 2 calls"):
                await llm(Request(llm="m", messages=REQUEST.messages, sample=2))

        asyncio.run(calls())
    assert [(sent["temperature"], sent["max_tokens"]) for sent in seen] == [(0.7, 9), (0.7, 9)]


@pytest.mark.parametrize("values", [{"temperature": -1.0}, {"max_concurrent": 0}, {"budget": {"usd": 0}}])
def test_an_option_of_an_endpoint_out_of_range_is_refused(values):
    with pytest.raises(ConfigError):
        endpoint(pool=pool(), base_url="http://127.0.0.1:9/v1", **values)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"budget": 5}, r"budget is 5; expected a mapping.*\+llm\.budget\.usd=5"),
        ({"budget": {"usd": "much"}}, "limit on usd is 'much'; expected a number"),
        ({"max_tokens": "abc"}, "max_tokens is 'abc'; expected a whole number"),
        ({"temperature": "abc"}, "temperature is 'abc'; expected a number"),
        ({"timeout": "abc"}, "timeout is 'abc'; expected a number"),
        ({"timeout": True}, "timeout is True; expected a number"),
        ({"max_retries": 1.5}, "max_retries is 1.5; expected a whole number"),
        ({"max_concurrent": "many"}, "max_concurrent is 'many'; expected a whole number"),
        ({"max_per_minute": "many"}, "max_per_minute is 'many'; expected a number"),
        ({"token_limit": 5}, "token_limit is 5; expected a text"),
        ({"extra": 5}, "extra is 5; expected a mapping"),
        ({"extra_by_llm": 5}, "extra_by_llm is 5; expected a mapping"),
        ({"extra_by_llm": {"m": 5}}, r"extra_by_llm\.m is 5; expected a mapping"),
        ({"endpoints": 5}, "endpoints is 5; expected a list of mappings"),
        ({"endpoints": ["foo"]}, "endpoints is .*'foo'.*; expected a list of mappings"),
        ({"endpoints": [{"base_url": "http://127.0.0.1:9/v1", "timeout": "abc"}]}, "timeout is 'abc'"),
        ({"endpoints": [{"base_url": 5}]}, "base_url is 5; expected a text"),
        ({"endpoints": [{"timeout": 5}]}, "endpoints names no base_url"),
        ({"base_url": 5}, "base_url is 5; expected a text"),
        ({"api_key_env": 5}, "api_key_env is 5; expected a text"),
        ({"system": "user"}, "system is 'user' .*; expected one of keep, merge"),
        ({"timeot": 5}, "option 'timeot'; expected any of .*timeout"),
    ],
)
def test_an_option_of_another_kind_is_named_with_what_is_expected(options, words):
    with pytest.raises(ConfigError, match=words):
        endpoint(**{"pool": pool(), "base_url": "http://127.0.0.1:9/v1", **options})


def test_a_budget_that_needs_the_longest_reply_says_so_before_anything_is_asked():
    with pytest.raises(ConfigError, match=r"limit on usd .* llm\.max_tokens"):
        endpoint(pool=pool(), base_url="http://127.0.0.1:9/v1", budget={"usd": 3})


def test_a_limit_that_no_budget_knows_is_named():
    with pytest.raises(ConfigError, match=r"euros.*usd, tokens, calls"):
        endpoint(pool=pool(), base_url="http://127.0.0.1:9/v1", budget={"euros": 3})


def test_what_one_process_recorded_another_need_not_ask(tmp_path):
    seen = []
    with chat_server(seen=seen) as url:
        for label in (Label.LIVE, Label.REPLAYED):
            llm = endpoint(pool=pool(), base_url=url, record=tmp_path / "calls.sqlite")
            assert asyncio.run(llm(REQUEST)).label is label
    assert len(seen) == 1


def test_a_recording_of_another_endpoint_is_refused_before_anything_is_asked(tmp_path):
    path = tmp_path / "calls.sqlite"
    with chat_server() as url:
        asyncio.run(endpoint(pool=pool(), base_url=url, record=path)(REQUEST))
        endpoint(pool=pool(), base_url=f"{url}/", record=path)
    with pytest.raises(ConfigError, match=rf"replies of m from {url}, not http://127\.0\.0\.1:9/v1"):
        endpoint(pool=pool(), base_url="http://127.0.0.1:9/v1", record=path)


def test_no_key_and_no_header_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    path = tmp_path / "calls.sqlite"
    with chat_server() as url:
        asyncio.run(endpoint(pool=pool(), base_url=url, api_key_env="MY_KEY", record=path)(REQUEST))
        files = list(tmp_path.iterdir())
        assert path in files
        data = b"".join(file.read_bytes() for file in files)
    assert b"2 + 2?" in data
    assert b"sk-secret" not in data
    assert b"uthorization" not in data


def test_replies_to_other_extra_fields_are_not_mixed(tmp_path):
    path = tmp_path / "calls.sqlite"
    with chat_server() as url:
        asyncio.run(endpoint(pool=pool(), base_url=url, record=path, extra={"top_p": 0.5})(REQUEST))
        with pytest.raises(ConfigError, match="with the extra fields #"):
            endpoint(pool=pool(), base_url=url, record=path)
        endpoint(pool=pool(), base_url=url, record=path, extra={"top_p": 0.5}, extra_by_llm={"other": {"top_k": 3}})
        with pytest.raises(ConfigError, match="with the extra fields #"):
            endpoint(pool=pool(), base_url=url, record=path, extra={"top_p": 0.5}, extra_by_llm={"m": {"top_k": 3}})


def test_replies_to_a_merged_system_prompt_are_not_mixed_with_others(tmp_path):
    path = tmp_path / "calls.sqlite"
    with chat_server() as url:
        asyncio.run(endpoint(pool=pool(), base_url=url, record=path, system="keep")(REQUEST))
        endpoint(pool=pool(), base_url=url, record=path)
        for merged in ({"system": "merge"}, {"endpoints": [{"base_url": url, "system": "merge"}]}):
            with pytest.raises(ConfigError, match="with the system prompt merged"):
                endpoint(pool=pool(), base_url=url, record=path, **merged)


def test_what_failed_is_not_recorded_and_asked_again(tmp_path):
    broken = {"choices": [{"message": {"content": ""}, "finish_reason": "error"}]}
    answers = [Raw(body=json.dumps(broken))]
    with chat_server(lambda body: answers.pop() if answers else "Answer: 4") as url:
        llm = endpoint(pool=pool(), base_url=url, record=tmp_path / "calls.sqlite", max_retries=0)
        with pytest.raises(LLMError, match="ended with error"):
            asyncio.run(llm(REQUEST))
        assert asyncio.run(llm(REQUEST)).text == "Answer: 4"
        assert asyncio.run(llm(REQUEST)).label is Label.REPLAYED
