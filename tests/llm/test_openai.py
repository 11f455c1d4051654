import asyncio
import json

import pytest

from gdesign.errors import ConfigError, LLMError
from gdesign.llm.openai import OpenAIClient
from gdesign.types import Label, Message, Request, Usage, sample_index
from tests.llm.chat_server import MALFORMED, NOT_JSON, SERVER_ERROR, TOO_MANY, Raw, chat_server, completion

REQUEST = Request(llm="m", messages=(Message("system", "be brief"), Message("user", "2 + 2?")))


def ask(client, request=REQUEST):
    return asyncio.run(client(request))


def test_a_reply_carries_text_usage_and_the_label_live():
    with chat_server() as url:
        reply = ask(OpenAIClient(base_url=url))
    assert reply.text == "Answer: 4"
    assert reply.usage == Usage(prompt_tokens=5, completion_tokens=2)
    assert reply.label is Label.LIVE
    assert reply.finish_reason == "stop"


def test_the_request_goes_out_whole():
    seen = []
    with chat_server(seen=seen) as url:
        ask(
            OpenAIClient(base_url=url),
            Request(llm="m", messages=REQUEST.messages, temperature=0.5, max_tokens=7, sample=3),
        )
    sent = seen[0]
    assert sent["path"] == "/v1/chat/completions"
    assert sent["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "2 + 2?"}]
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("m", 0.5, 7)


def test_every_sample_has_a_seed_of_its_own_that_fits_into_31_bits():
    seen = []
    samples = [sample_index(seed=seed, copy=copy) for seed in range(3) for copy in range(3)]
    with chat_server(seen=seen) as url:
        for sample in (*samples, 0):
            ask(OpenAIClient(base_url=url), Request(llm="m", messages=REQUEST.messages, sample=sample))
    seeds = [sent["seed"] for sent in seen]
    assert len(set(seeds)) == len(samples)
    assert seeds[-1] == seeds[0]
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_no_limit_on_tokens_is_sent_where_none_is_set():
    seen = []
    with chat_server(seen=seen) as url:
        ask(OpenAIClient(base_url=url))
    assert "max_tokens" not in seen[0]


def test_the_key_comes_from_the_variable_that_is_named(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    seen = []
    with chat_server(seen=seen) as url:
        ask(OpenAIClient(base_url=url, api_key_env="MY_KEY"))
    assert {k.lower(): v for k, v in seen[0]["headers"].items()}["authorization"] == "Bearer sk-secret"


def test_a_missing_key_is_named_before_anything_is_asked(monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ConfigError, match="MY_KEY"):
        OpenAIClient(base_url="https://api.example.org/v1", api_key_env="MY_KEY")


@pytest.mark.parametrize("url", ["http://localhost:9/v1", "http://127.0.0.1:9/v1", "http://[::1]:9/v1"])
def test_an_endpoint_on_this_machine_needs_no_key(monkeypatch, url):
    monkeypatch.delenv("MY_KEY", raising=False)
    OpenAIClient(base_url=url, api_key_env="MY_KEY")


@pytest.mark.parametrize("values", [{"base_url": "localhost:9"}, {"timeout": 0}, {"max_retries": -1}])
def test_a_value_out_of_range_is_refused(values):
    with pytest.raises(ConfigError):
        OpenAIClient(**{"base_url": "http://localhost:9/v1", **values})


@pytest.mark.parametrize("failure", [SERVER_ERROR, TOO_MANY])
def test_a_passing_failure_is_tried_again(failure):
    replies = [failure, failure, "Answer: 4"]
    with chat_server(lambda body: replies.pop(0)) as url:
        assert ask(OpenAIClient(base_url=url, max_retries=2)).text == "Answer: 4"


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (SERVER_ERROR, "InternalServerError 500.*out of order"),
        (TOO_MANY, "RateLimitError 429.*slow down"),
        (Raw(404, '{"error": {"message": "no such model"}}'), "NotFoundError 404.*no such model"),
        (MALFORMED, "no chat completion"),
        (NOT_JSON, "no chat completion.*hello"),
        (Raw(200, "{}"), "no chat completion"),
        (Raw(200, '{"choices": []}'), "no chat completion"),
        (Raw(200, "[]"), "no chat completion"),
    ],
)
def test_a_lasting_failure_is_an_llm_error_with_a_short_reason(failure, reason):
    with chat_server(lambda body: failure) as url, pytest.raises(LLMError, match=reason) as caught:
        ask(OpenAIClient(base_url=url, max_retries=1))
    assert len(str(caught.value)) < 350


def test_a_reply_without_usage_is_an_error_since_its_cost_is_unknown():
    def answer(body):
        whole = completion(body, "Answer: 4")
        del whole["usage"]
        return Raw(body=json.dumps(whole))

    with chat_server(answer) as url, pytest.raises(LLMError, match="no usage"):
        ask(OpenAIClient(base_url=url))


def test_a_reply_without_content_is_empty_and_tells_why():
    def answer(body):
        whole = completion(body, "")
        whole["choices"][0] |= {"message": {"role": "assistant", "content": None}, "finish_reason": "content_filter"}
        return Raw(body=json.dumps(whole))

    with chat_server(answer) as url:
        reply = ask(OpenAIClient(base_url=url))
    assert (reply.text, reply.finish_reason) == ("", "content_filter")


def test_no_error_holds_the_key(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    refusal = Raw(401, '{"error": {"message": "Incorrect API key: sk-secret"}}')
    with chat_server(lambda body: refusal) as url, pytest.raises(LLMError) as caught:
        ask(OpenAIClient(base_url=url, api_key_env="MY_KEY"))
    assert "Incorrect API key: ***" in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_endpoint_that_is_not_there_is_an_llm_error():
    with chat_server() as url:
        pass
    with pytest.raises(LLMError, match="APIConnectionError"):
        ask(OpenAIClient(base_url=url, max_retries=0))


def test_a_slow_endpoint_times_out():
    import threading

    done = threading.Event()

    def answer(body):
        done.wait(5)
        return "late"

    with chat_server(answer) as url:
        with pytest.raises(LLMError, match="APITimeoutError"):
            ask(OpenAIClient(base_url=url, max_retries=0, timeout=0.05))
        done.set()


def test_one_asyncio_run_may_follow_another():
    client_addresses = []
    with chat_server(seen=client_addresses) as url:
        client = OpenAIClient(base_url=url)

        async def batch():
            return await asyncio.gather(client(REQUEST), client(REQUEST))

        for _ in range(2):
            assert [r.text for r in asyncio.run(batch())] == ["Answer: 4"] * 2
    assert len(client_addresses) == 4


def test_within_a_runner_all_calls_share_one_connection():
    seen = []
    with chat_server(seen=seen) as url:
        client = OpenAIClient(base_url=url)
        with asyncio.Runner() as runner:
            for _ in range(3):
                runner.run(client(REQUEST))
    assert len({s["peer"] for s in seen}) == 1


def test_a_closed_client_opens_again_when_it_is_asked():
    with chat_server() as url:
        client = OpenAIClient(base_url=url)

        async def twice():
            await client(REQUEST)
            await client.aclose()
            await client.aclose()
            return await client(REQUEST)

        assert asyncio.run(twice()).text == "Answer: 4"
