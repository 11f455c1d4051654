import asyncio
import json
import threading
from email.utils import formatdate
from time import monotonic, time

import pytest

from gdesign.errors import BudgetExceededError, ConfigError, LLMError, PoolError
from gdesign.llm.endpoint import FAILURES_IN_A_ROW
from gdesign.llm.openai import OpenAIClient
from gdesign.types import LLM, AgentPool, Label, Message, Request, Role, Usage, sample_index
from tests.llm.chat_server import (
    CUT,
    DROPPED,
    MALFORMED,
    NOT_HTTP,
    NOT_JSON,
    SERVER_ERROR,
    TOO_MANY,
    Raw,
    chat_server,
    completion,
)

REQUEST = Request(llm="m", messages=(Message("system", "be brief"), Message("user", "2 + 2?")))
NO_CHOICES = Raw(200, '{"choices": []}')


def made(url, **options):
    return OpenAIClient(**{"base_url": url, "backoff": 0.001, "max_retries": 1, **options})


def ask(client, request=REQUEST):
    return asyncio.run(client(request))


def once(*failures):
    """Fail so, one after the other, then answer."""
    left = list(failures)
    return lambda body: left.pop(0) if left else "Answer: 4"


def changed(**values):
    """Answer with a completion whose choice, message or usage is another."""

    def answer(body):
        whole = completion(body, "Answer: 4")
        choice = whole["choices"][0]
        choice["message"] |= values.get("message", {})
        choice |= values.get("choice", {})
        if "usage" in values:
            whole["usage"] = values["usage"]
        return Raw(body=json.dumps(whole))

    return answer


ANY = {"model": "m", "messages": []}


def error(status, **values):
    return Raw(status, json.dumps({"error": values}))


# --------------------------------------------------------------------------- what goes out and comes back


def test_a_reply_carries_text_usage_time_and_the_label_live():
    with chat_server() as url:
        reply = ask(made(url))
    assert reply.text == "Answer: 4"
    assert reply.usage == Usage(prompt_tokens=5, completion_tokens=2)
    assert reply.label is Label.LIVE
    assert (reply.finish_reason, reply.faults, reply.num_calls) == ("stop", (), 1)
    assert 0 < reply.seconds < 5


def test_the_request_goes_out_whole():
    seen = []
    with chat_server(seen=seen) as url:
        ask(made(url), Request(llm="m", messages=REQUEST.messages, temperature=0.5, max_tokens=7, sample=3))
    sent = seen[0]
    assert sent["path"] == "/v1/chat/completions"
    assert sent["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "2 + 2?"}]
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("m", 0.5, 7)


def test_every_sample_has_a_seed_of_its_own_that_fits_into_31_bits():
    seen = []
    samples = [sample_index(seed=seed, copy=copy) for seed in range(3) for copy in range(3)]
    with chat_server(seen=seen) as url:
        for sample in (*samples, 0):
            ask(made(url), Request(llm="m", messages=REQUEST.messages, sample=sample))
    seeds = [sent["seed"] for sent in seen]
    assert len(set(seeds)) == len(samples)
    assert seeds[-1] == seeds[0]
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_no_limit_on_tokens_is_sent_where_none_is_set():
    seen = []
    with chat_server(seen=seen) as url:
        ask(made(url))
    assert "max_tokens" not in seen[0]


def test_a_limit_on_tokens_goes_out_under_the_name_that_the_endpoint_wants():
    seen = []
    with chat_server(seen=seen) as url:
        ask(made(url, token_limit="max_completion_tokens"), Request(llm="m", messages=REQUEST.messages, max_tokens=7))
    assert seen[0]["max_completion_tokens"] == 7
    assert "max_tokens" not in seen[0]


def test_fields_can_be_added_to_every_request_and_left_out_of_those_to_one_llm():
    seen = []
    with chat_server(seen=seen) as url:
        client = made(
            url, extra={"top_p": 0.9, "stop": ["\n\n"]}, extra_by_llm={"o": {"temperature": None, "model": "o-2"}}
        )
        for llm in ("m", "o"):
            ask(client, Request(llm=llm, messages=REQUEST.messages))
    assert [(s["model"], s["top_p"], s["stop"], "temperature" in s) for s in seen] == [
        ("m", 0.9, ["\n\n"], True),
        ("o-2", 0.9, ["\n\n"], False),
    ]


def test_half_a_character_in_a_reply_breaks_nothing():
    with chat_server(lambda body: Raw(body=json.dumps(completion(body, "Answer: \ud83d")))) as url:
        reply = ask(made(url))
    assert reply.text == "Answer: ?"


def test_half_a_character_in_an_error_breaks_nothing():
    with chat_server(lambda body: Raw(400, r'{"error": {"message": "bad \ud83d thing"}}')) as url:
        with pytest.raises(LLMError, match=r"bad \? thing"):
            ask(made(url))


def test_half_a_character_in_a_question_breaks_nothing():
    seen = []
    with chat_server(seen=seen) as url:
        ask(made(url), Request(llm="m", messages=(Message("user", "\ud83d"),)))
    assert len(seen) == 1


# --------------------------------------------------------------------------- replies that are not plain answers


@pytest.mark.parametrize(
    ("answer", "text", "finish_reason"),
    [
        (changed(message={"content": None}), "", "empty"),
        (changed(message={"content": " \n"}), " \n", "empty"),
        (changed(choice={"finish_reason": "length"}), "Answer: 4", "length"),
        (changed(message={"content": None}, choice={"finish_reason": "length"}), "", "length"),
        (changed(message={"content": None, "refusal": "I cannot."}), "I cannot.", "refusal"),
        (changed(message={"content": None}, choice={"finish_reason": "content_filter"}), "", "content_filter"),
        (changed(choice={"finish_reason": "content_filter"}), "Answer: 4", "content_filter"),
        (changed(choice={"finish_reason": None}), "Answer: 4", "stop"),
        (changed(message={"content": [{"type": "thinking"}, {"type": "text", "text": "4"}]}), "4", "stop"),
        (lambda body: error(400, code="content_filter", message="filtered"), "", "content_filter"),
        (lambda body: error(403, message="flagged", metadata={"flagged_input": "2"}), "", "content_filter"),
    ],
)
def test_a_reply_that_is_no_plain_answer_tells_why(answer, text, finish_reason):
    seen = []
    with chat_server(answer, seen) as url:
        reply = ask(made(url))
    assert (reply.text, reply.finish_reason) == (text, finish_reason)
    assert len(seen) == 1


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        "many",
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": "5"},
        {"prompt_tokens": 10**400, "completion_tokens": True},
    ],
)
def test_usage_that_the_endpoint_does_not_tell_is_counted_and_marked(usage):
    with chat_server(changed(usage=usage)) as url:
        reply = ask(made(url))
    assert reply.usage == Usage(prompt_tokens=15, completion_tokens=3, counted=True)


def test_of_usage_that_is_half_told_the_half_is_kept():
    with chat_server(changed(usage={"prompt_tokens": 9})) as url:
        assert ask(made(url)).usage == Usage(prompt_tokens=9, completion_tokens=3, counted=True)


# --------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (SERVER_ERROR, "500"),
        (TOO_MANY, "429"),
        (Raw(408), "408"),
        (Raw(409), "409"),
        (Raw(503, "busy", content_type="text/plain"), "503"),
        (Raw(529), "529"),
        (DROPPED, "connection"),
        (CUT, "connection"),
        (NOT_HTTP, "malformed"),
        (MALFORMED, "malformed"),
        (NOT_JSON, "malformed"),
        (Raw(200), "malformed"),
        (Raw(200, "[]"), "malformed"),
        (Raw(200, '{"choices": [{}]}'), "malformed"),
        (Raw(200, '{"choices": [{"message": {"content": 4}}]}'), "malformed"),
        (Raw(200, "[" * 200_000), "malformed"),
        (Raw(200, "not packed", headers={"content-encoding": "gzip"}), "malformed"),
        (changed(choice={"finish_reason": {"type": "stop"}})(ANY), "malformed"),
        (Raw(429, headers={"retry-after": "Wed, 21 Oct 99999999999999 07:28:00 GMT"}), "429"),
        (Raw(429, headers={"retry-after": "Wed, 21 Oct 2099 07:28:00 +99999999999999"}), "429"),
        (Raw(200, "{}"), "no_choices"),
        (Raw(200, '{"error": {"message": "overloaded", "code": 502}}'), "no_choices"),
        (NO_CHOICES, "no_choices"),
    ],
)
def test_a_passing_failure_is_tried_again_and_named(failure, word):
    with chat_server(once(failure, failure)) as url:
        reply = ask(made(url, max_retries=2))
    assert (reply.text, reply.faults) == ("Answer: 4", (word, word))


def test_a_slow_reply_is_a_fault_and_the_time_of_the_good_one_counts():
    waits = [1.0, 0.0]
    done = threading.Event()

    def answer(body):
        done.wait(waits.pop(0))
        return "Answer: 4"

    with chat_server(answer) as url:
        reply = ask(made(url, timeout=0.1))
        done.set()
    assert reply.faults == ("timeout",)
    assert reply.seconds < 0.1


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (SERVER_ERROR, "m: 500 out of order, after 2 tries"),
        (TOO_MANY, "429 slow down"),
        (Raw(502, "<html>bad gateway</html>", content_type="text/html"), "502.*bad gateway"),
        (MALFORMED, "no JSON"),
        (NOT_JSON, "no JSON.*hello"),
        (NO_CHOICES, "no choices"),
        (Raw(200, "[]"), "no chat completion"),
        (CUT, "lost connection"),
        (Raw(200, "x" * 1000), "no JSON"),
    ],
)
def test_a_lasting_failure_is_an_llm_error_with_a_short_reason(failure, reason):
    seen = []
    with chat_server(lambda body: failure, seen) as url, pytest.raises(LLMError, match=reason) as caught:
        ask(made(url))
    assert len(str(caught.value)) < 400
    assert len(seen) == len(caught.value.faults) == 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_no_retry_mends_is_an_llm_error_at_once(status):
    seen = []
    with chat_server(lambda body: error(status, message="too long"), seen) as url:
        with pytest.raises(LLMError, match=f"{status} too long") as caught:
            ask(made(url, max_retries=5))
    assert len(seen) == 1
    assert caught.value.faults == (str(status),)


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [
        (error(401, message="bad key"), "api_key_env"),
        (error(403, message="not yours"), "may not use this model"),
        (error(404, message="no such model"), "no such model.*a model of this name"),
        (Raw(405), "/v1"),
        (Raw(307, headers={"location": "http://127.0.0.1:1/v2"}), "http://127.0.0.1:1/v2"),
        (error(400, code="unsupported_value", param="temperature", message="no"), "extra_by_llm.m.temperature=null"),
        (error(400, code="unsupported_parameter", param="max_tokens", message="no"), "token_limit"),
    ],
)
def test_what_every_call_would_meet_is_a_mistake_in_the_configuration(failure, remedy):
    seen = []
    with chat_server(lambda body: failure, seen) as url, pytest.raises(ConfigError, match=remedy):
        ask(made(url, max_retries=5))
    assert len(seen) == 1


def test_an_endpoint_that_has_answered_may_refuse_by_mistake():
    answers = ["Answer: 4", error(404, message="who?"), "Answer: 4"]
    with chat_server(lambda body: answers.pop(0)) as url:
        client = made(url)
        ask(client)
        assert ask(client).faults == ("404",)


def test_an_endpoint_that_has_answered_and_refuses_for_good_ends_the_run():
    answers = ["Answer: 4"]
    with chat_server(lambda body: answers.pop(0) if answers else error(401, message="revoked")) as url:
        client = made(url)
        ask(client)
        with pytest.raises(ConfigError, match="revoked"):
            ask(client)


@pytest.mark.parametrize("failure", [error(402, message="pay"), error(429, code="insufficient_quota", message="pay")])
def test_an_account_without_credit_ends_the_run(failure):
    seen = []
    with chat_server(lambda body: failure, seen) as url, pytest.raises(BudgetExceededError, match=r"credit.*pay"):
        ask(made(url, max_retries=5))
    assert len(seen) == 1


def test_an_endpoint_that_is_not_there_ends_the_run_soon():
    with chat_server() as url:
        pass
    with pytest.raises(ConfigError, match=r"nothing answers at http://127\.0\.0\.1.*start the server"):
        ask(made(url, max_retries=100))


def test_an_endpoint_that_goes_away_is_one_failed_call():
    with chat_server() as url:
        client = made(url)
        ask(client)
    with pytest.raises(LLMError, match=r"lost connection.*after 2 tries"):
        ask(client)


@pytest.mark.parametrize("failure", [SERVER_ERROR, error(400, message="no system role")])
def test_an_endpoint_that_never_answers_ends_the_run_after_many_calls(failure):
    with chat_server(lambda body: failure) as url:
        client = made(url, max_retries=0)

        async def calls():
            for _ in range(FAILURES_IN_A_ROW - 1):
                with pytest.raises(LLMError):
                    await client(REQUEST)
            with pytest.raises(ConfigError, match=f"none of the last {FAILURES_IN_A_ROW} calls"):
                await client(REQUEST)

        asyncio.run(calls())


def test_refused_questions_end_no_run_where_others_were_answered():
    answers = ["Answer: 4"]
    with chat_server(lambda body: answers.pop(0) if answers else error(400, message="too long")) as url:
        client = made(url)

        async def calls():
            await client(REQUEST)
            for _ in range(FAILURES_IN_A_ROW + 1):
                with pytest.raises(LLMError):
                    await client(REQUEST)

        asyncio.run(calls())


# --------------------------------------------------------------------------- waits and limits


@pytest.mark.parametrize(
    "header",
    [
        {"retry-after": "1", "retry-after-ms": "150"},
        {"retry-after": "0.15"},
        {"retry-after": lambda: formatdate(time() + 1.2, usegmt=True)},
    ],
)
def test_a_wait_that_the_endpoint_asks_for_is_kept(header):
    def answer(body):
        times.append(monotonic())
        if len(times) > 1:
            return "Answer: 4"
        return Raw(429, headers={name: v if isinstance(v, str) else v() for name, v in header.items()})

    times = []
    with chat_server(answer) as url:
        ask(made(url))
    assert 0.14 < times[1] - times[0] < 1.5


@pytest.mark.parametrize("header", ["1000", "soon", "-3", formatdate(0), "nan"])
def test_no_wait_is_longer_than_allowed(header):
    with chat_server(once(Raw(429, headers={"retry-after": header}))) as url:
        began = monotonic()
        ask(made(url, max_wait=0.1))
    assert monotonic() - began < 0.5


def test_an_endpoint_that_asks_one_call_to_wait_is_left_alone_by_all():
    times = []

    def answer(body):
        times.append(monotonic())
        return Raw(429, headers={"retry-after": "0.3"}) if len(times) == 1 else "Answer: 4"

    with chat_server(answer) as url:
        client = made(url, max_concurrent=1)

        async def batch():
            return await asyncio.gather(*[client(REQUEST) for _ in range(4)])

        asyncio.run(batch())
    assert len(times) == 5
    assert times[1] - times[0] > 0.29


def test_no_more_calls_are_in_flight_than_allowed():
    lock, now, most = threading.Lock(), [0], [0]

    def answer(body):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.02)
        with lock:
            now[0] -= 1
        return "Answer: 4"

    with chat_server(answer) as url:
        client = made(url, max_concurrent=3)

        async def batch():
            await asyncio.gather(*[client(REQUEST) for _ in range(12)])

        asyncio.run(batch())
    assert most[0] == 3


def test_so_many_calls_begin_in_a_minute_evenly_spaced():
    times = []

    def answer(body):
        times.append(monotonic())
        return "Answer: 4"

    with chat_server(answer) as url:
        client = made(url, max_per_minute=60 * 20)

        async def batch():
            await asyncio.gather(*[client(REQUEST) for _ in range(7)])

        asyncio.run(batch())
    assert times[-1] - times[0] > 0.25


@pytest.mark.parametrize(
    "values",
    [
        {"base_url": "localhost:9"},
        {"base_url": "http://user:sk-secret@localhost:9/v1"},
        {"timeout": 0},
        {"max_retries": -1},
        {"backoff": -1.0},
        {"max_concurrent": 0},
        {"max_per_minute": 0},
        {"endpoints": [{"base_url": "http://localhost:9/v1", "max_concurrent": 0}]},
        {"endpoints": [{"base_url": "http://localhost:9/v1", "speed": 3}]},
        {"endpoints": [{"base_url": "http://localhost:8/v1", "timeout": 3}]},
        {"endpoints": [{"timeout": 3}]},
    ],
)
def test_a_value_out_of_range_is_refused(values):
    with pytest.raises(ConfigError):
        OpenAIClient(**{"base_url": "http://localhost:9/v1", **values})


# --------------------------------------------------------------------------- keys


def authorization(seen):
    return {name.lower(): value for name, value in seen["headers"].items()}.get("authorization")


def test_the_key_comes_from_the_variable_that_is_named(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    seen = []
    with chat_server(seen=seen) as url:
        ask(made(url, api_key_env="MY_KEY"))
    assert authorization(seen[0]) == "Bearer sk-secret"


def test_a_missing_key_is_named_before_anything_is_asked(monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ConfigError, match="MY_KEY"):
        OpenAIClient(base_url="https://api.example.org/v1", api_key_env="MY_KEY")


@pytest.mark.parametrize("url", ["http://localhost:9/v1", "http://127.0.0.1:9/v1", "http://[::1]:9/v1"])
def test_an_endpoint_on_this_machine_needs_no_key(monkeypatch, url):
    monkeypatch.delenv("MY_KEY", raising=False)
    OpenAIClient(base_url=url, api_key_env="MY_KEY")


def test_openai_gets_the_usual_key_and_nobody_else_does(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    seen = []
    with chat_server(seen=seen) as url:
        ask(made(url))
        ask(made(url, api_key_env="OPENAI_API_KEY"))
    assert [authorization(sent) for sent in seen] == [None, "Bearer sk-secret"]
    OpenAIClient()
    for url in ("https://api.example.org/v1", "https://api.openai.com.example.org/v1", "http://api.openai.com/v1"):
        with pytest.raises(
            ConfigError, match=r"OPENAI_API_KEY goes to https://api\.openai\.com alone.*api_key_env"
        ) as caught:
            OpenAIClient(base_url=url)
        assert "sk-secret" not in str(caught.value)
        OpenAIClient(base_url=url, api_key_env="OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigError, match="set the environment variable OPENAI_API_KEY"):
        OpenAIClient()


def test_an_llm_of_a_pool_that_names_openai_gets_the_usual_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    far = pool({"name": "far", "base_url": "https://api.openai.com/v1"})
    with pytest.raises(ConfigError, match=r"'far'.*OPENAI_API_KEY"):
        made("http://127.0.0.1:9/v1", pool=far)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    made("http://127.0.0.1:9/v1", pool=far)


def test_an_endpoint_elsewhere_may_want_no_key():
    OpenAIClient(base_url="http://vllm.example.org:8000/v1", api_key_env="")


def test_no_error_holds_the_key(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    refusal = error(401, message="Incorrect API key: sk-secret")
    with chat_server(lambda body: refusal) as url, pytest.raises(ConfigError) as caught:
        ask(made(url, api_key_env="MY_KEY"))
    assert "Incorrect API key: ***" in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_error_holds_a_key_that_a_redirect_or_a_refused_field_repeats(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk/secret")
    for refusal in (
        Raw(302, headers={"location": "https://login.example.org/?key=sk/secret"}),
        Raw(302, headers={"location": "https://login.example.org/?key=sk%2Fsecret"}),
        error(400, code="unsupported_value", param="sk/secret", message="no"),
    ):
        with chat_server(lambda body, refusal=refusal: refusal) as url, pytest.raises(ConfigError) as caught:
            ask(made(url, api_key_env="MY_KEY"))
        assert "***" in str(caught.value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/v1?key=sk-secret",
        "https://api.example.org/v1#sk-secret",
        "https://me:sk-secret@api.example.org/v1",
        "ftp://api.example.org/v1?key=sk-secret",
        "https://[sk-secret/v1?key=sk-secret",
    ],
)
def test_a_url_that_may_carry_a_secret_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigError, match="base_url") as caught:
        OpenAIClient(base_url=url, api_key_env="")
    assert "key=sk-secret" not in str(caught.value)
    assert "sk-secret@" not in str(caught.value)
    assert "#sk-secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://[::1/v1", "http://lan:port/v1", "http://lan:99999/v1", "http:///v1", "lan/v1"])
def test_a_url_that_leads_nowhere_is_refused(url):
    with pytest.raises(ConfigError, match=r"base_url is .*expected something like"):
        OpenAIClient(base_url=url, api_key_env="")


@pytest.mark.parametrize(
    "key", ["sk-se\ncret", "sk-s\u00e9cret", "\u201csk-secret\u201d", "sk-secret\x01", "sk- secret"]
)
def test_a_key_that_no_header_can_carry_is_refused_without_repeating_it(monkeypatch, key):
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(ConfigError, match="MY_KEY") as caught:
        made("http://127.0.0.1:9/v1", api_key_env="MY_KEY")
    assert "cret" not in str(caught.value)


def test_what_the_sdk_keeps_in_variables_of_its_own_goes_nowhere(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "sk-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-secret\nX-Team: sk-secret")
    monkeypatch.setenv("MY_KEY", "own")
    seen = []
    with chat_server(seen=seen) as url:
        ask(made(url, api_key_env="MY_KEY"))
        ask(made(url, api_key_env=""))
    assert [authorization(sent) for sent in seen] == ["Bearer own", None]
    assert "sk-secret" not in str(seen)


def test_a_loopback_endpoint_is_asked_without_a_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with chat_server() as url:
        assert ask(made(url)).text == "Answer: 4"


# --------------------------------------------------------------------------- several endpoints


def pool(*llms):
    return AgentPool(
        name="p",
        roles=(Role(name="r", profile="r"),),
        llms=tuple(LLM(usd_per_1M_input=1.0, usd_per_1M_output=2.0, **llm) for llm in llms),
    )


def test_each_llm_is_asked_at_its_own_endpoint_with_its_own_key(monkeypatch):
    monkeypatch.setenv("MY_KEY", "mine")
    monkeypatch.setenv("OTHER_KEY", "other")
    here, there = [], []
    with chat_server(seen=here) as home, chat_server(seen=there) as away:
        client = made(
            home,
            api_key_env="MY_KEY",
            pool=pool(
                {"name": "a"},
                {"name": "b", "base_url": home + "/"},
                {"name": "c", "api_key_env": "OTHER_KEY"},
                {"name": "d", "base_url": away},
                {"name": "e", "base_url": away, "api_key_env": "OTHER_KEY"},
            ),
        )

        async def calls():
            for llm in "abcde":
                await client(Request(llm=llm, messages=REQUEST.messages))

        asyncio.run(calls())
    assert [(s["model"], authorization(s)) for s in here] == [
        ("a", "Bearer mine"),
        ("b", "Bearer mine"),
        ("c", "Bearer other"),
    ]
    assert [(s["model"], authorization(s)) for s in there] == [("d", None), ("e", "Bearer other")]


def test_a_missing_key_names_the_variable_and_the_llm(monkeypatch):
    monkeypatch.delenv("OTHER_KEY", raising=False)
    llm = {"name": "far", "base_url": "https://api.example.org/v1", "api_key_env": "OTHER_KEY"}
    with pytest.raises(ConfigError, match=r"api\.example\.org.*'far'.*OTHER_KEY"):
        made("http://127.0.0.1:9/v1", pool=pool({"name": "a"}, llm))


def test_where_every_llm_names_its_endpoint_no_other_key_is_wanted(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    client = OpenAIClient(pool=pool({"name": "a", "base_url": "http://127.0.0.1:9/v1"}))
    with pytest.raises(PoolError, match="nobody"):
        ask(client, Request(llm="nobody", messages=REQUEST.messages))


def test_the_clients_own_key_is_not_sent_to_an_endpoint_that_names_none(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "mine")
    with pytest.raises(ConfigError, match=r"'far'.*api_key_env"):
        made("http://127.0.0.1:9/v1", pool=pool({"name": "far", "base_url": "https://api.example.org/v1"}))
    made("http://127.0.0.1:9/v1", pool=pool({"name": "far", "base_url": "http://lan:8000/v1", "api_key_env": ""}))


def test_limits_and_fields_may_differ_from_endpoint_to_endpoint():
    def slow(times):
        def answer(body):
            times.append(monotonic())
            return "Answer: 4"

        return answer

    fast, spaced, seen = [], [], []
    with chat_server(slow(fast)) as home, chat_server(slow(spaced), seen) as away:
        client = made(
            home,
            pool=pool({"name": "a"}, {"name": "b", "base_url": away}),
            endpoints=[{"base_url": away + "/", "max_per_minute": 600, "extra": {"top_k": 5}}],
        )

        async def batch():
            await asyncio.gather(*[client(Request(llm=llm, messages=REQUEST.messages)) for llm in "ababab"])

        asyncio.run(batch())
    assert spaced[-1] - spaced[0] > 0.18
    assert fast[-1] - fast[0] < 0.18
    assert all(sent["top_k"] == 5 for sent in seen)


def test_a_wait_that_one_endpoint_asks_for_does_not_hold_another():
    with chat_server(once(Raw(429, headers={"retry-after": "0.5"}))) as home, chat_server() as away:
        client = made(home, pool=pool({"name": "a"}, {"name": "b", "base_url": away}))

        async def calls():
            held = asyncio.ensure_future(client(Request(llm="a", messages=REQUEST.messages)))
            await asyncio.sleep(0.1)
            await client(Request(llm="b", messages=REQUEST.messages))
            free = not held.done()
            await held
            return free

        assert asyncio.run(calls())


def test_an_llm_that_the_pool_lacks_has_no_fields_of_its_own():
    with pytest.raises(PoolError, match="nobody"):
        made("http://127.0.0.1:9/v1", pool=pool({"name": "a"}), extra_by_llm={"nobody": {"top_p": 1}})


# --------------------------------------------------------------------------- connections


def test_one_asyncio_run_may_follow_another():
    seen = []
    with chat_server(seen=seen) as url:
        client = made(url)

        async def batch():
            return await asyncio.gather(client(REQUEST), client(REQUEST))

        for _ in range(2):
            assert [r.text for r in asyncio.run(batch())] == ["Answer: 4"] * 2
    assert len(seen) == 4


def test_within_a_runner_all_calls_share_one_connection():
    seen = []
    with chat_server(seen=seen) as url:
        client = made(url)
        with asyncio.Runner() as runner:
            for _ in range(3):
                runner.run(client(REQUEST))
    assert len({s["peer"] for s in seen}) == 1


def test_a_closed_client_opens_again_when_it_is_asked():
    with chat_server() as url:
        client = made(url)

        async def twice():
            await client(REQUEST)
            await client.aclose()
            await client.aclose()
            return await client(REQUEST)

        assert asyncio.run(twice()).text == "Answer: 4"
