import asyncio
import json
import threading

import pytest

from gdesign.errors import ConfigError, CreditError, LLMError
from gdesign.llm.endpoint import FAILURES_IN_A_ROW, merged
from gdesign.types import Label, Message, Request, Usage, sample_index
from tests.llm.asking import ANY, NO_CHOICES, REQUEST, ask, changed, error, made, once
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
        (Raw(200, '{"error": {"message": "overloaded", "code": 502}}'), "502"),
        (Raw(200, '{"error": {"message": "slow down", "code": "429"}}'), "429"),
        (Raw(200, '{"error": {"message": "Overloaded", "type": "overloaded_error"}}'), "503"),
        (Raw(200, '{"id": null, "choices": null, "model": null}'), "no_choices"),
        (Raw(200, '{"error": "Compute error."}'), "no_choices"),
        (Raw(500, '{"error": {"message": "litellm.RateLimitError", "code": "429"}}'), "429"),
        (Raw(400, '{"error": {"message": "Provider returned error", "code": 503}}'), "503"),
        (changed(choice={"error": {"code": 502, "message": "Network lost"}, "finish_reason": "error"})(ANY), "error"),
        (changed(choice={"finish_reason": "error"})(ANY), "error"),
        (changed(choice={"finish_reason": "insufficient_system_resource"})(ANY), "error"),
        (changed(message={"content": ""}, choice={"finish_reason": "MALFORMED_FUNCTION_CALL"})(ANY), "error"),
        (Raw(200, 'data: {"error": {"message": "quota exceeded"}}\n\ndata: [DONE]\n\n'), "no_choices"),
        (Raw(200, 'data: {"choices": [{"delta": {"content": "Ans"}}]}\n\n'), "malformed"),
        (Raw(200, 'event: error\ndata: {"message": "overloaded", "code": 529}\n\n'), "529"),
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


@pytest.mark.parametrize(
    "failure",
    [
        error(402, message="pay"),
        error(429, code="insufficient_quota", message="pay"),
        error(429, code=None, type="insufficient_quota", message="pay"),
        error(200, code=402, message="pay"),
        error(200, code="insufficient_quota", message="pay"),
    ],
)
def test_an_account_without_credit_ends_the_run(failure):
    seen = []
    with chat_server(lambda body: failure, seen) as url, pytest.raises(CreditError, match=r"credit.*pay.*: add some"):
        ask(made(url, max_retries=5))
    assert len(seen) == 1


# --------------------------------------------------------------------------- what a model does not take

GEMMA = error(400, message="System role not supported", type="BadRequestError", param=None, code=400)
NO_SEED = Raw(
    422, json.dumps({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]})
)


@pytest.mark.parametrize(
    ("failure", "llm", "remedy"),
    [
        (GEMMA, "m", r"\+llm\.system=merge"),
        (Raw(500, "Internal Server Error", content_type="text/plain"), "m", r"\+llm\.system=merge"),
        (NO_SEED, "m", r"\+llm\.extra_by_llm\.m\.seed=null"),
        (NO_SEED, "gpt-4.1", r"\+llm\.extra\.seed=null"),
        (error(400, message="invalid temperature: only 1 is allowed for this model"), "m", r"m\.temperature=null"),
        (
            error(400, message="`max_tokens` must be at most 4096 for this model"),
            "m",
            r"token_limit.*\+llm\.max_tokens=N",
        ),
        (error(400, message="top_k: unknown field"), "m", r"extra_by_llm\.m\.top_k=null"),
        (error(400, message="API key not valid. Please pass a valid API key."), "m", "api_key_env"),
        (Raw(200, '{"error": "Unexpected endpoint or method. (POST /chat/completions)"}'), "m", "end with /v1"),
        (error(200, code=401, message="User not found."), "m", "api_key_env"),
        (error(400, message="m is not a valid model ID"), "m", "a model of this name"),
    ],
)
def test_the_option_that_mends_a_refusal_is_named(failure, llm, remedy):
    request = Request(llm=llm, messages=REQUEST.messages, max_tokens=9)
    with chat_server(lambda body: failure) as url, pytest.raises((ConfigError, LLMError), match=remedy):
        ask(made(url, extra={"top_k": 5}, max_retries=0), request)


def test_a_prompt_that_is_too_long_is_no_mistake_in_the_configuration():
    long = error(
        400,
        message="'max_tokens' is too large: 900. The model's maximum context length is 1000 tokens, the input has 200",
        param="max_tokens",
    )
    with chat_server(lambda body: long) as url, pytest.raises(LLMError, match="context length"):
        ask(made(url), Request(llm="m", messages=REQUEST.messages, max_tokens=900))


def test_what_was_taken_once_is_not_what_is_refused_later():
    answers = ["Answer: 4"]
    with chat_server(
        lambda body: answers.pop(0) if answers else error(400, message="invalid seed in 'Invalid'")
    ) as url:
        client = made(url)
        ask(client)
        with pytest.raises(LLMError, match="invalid seed"):
            ask(client)


def test_a_system_prompt_can_be_put_before_the_users():
    seen = []

    def gemma(body):
        return GEMMA if body["messages"][0]["role"] == "system" else "Answer: 4"

    with chat_server(gemma, seen) as url:
        reply = ask(made(url, system="merge"))
        talk = (*REQUEST.messages, Message("assistant", "4"), Message("user", "Sure?"))
        ask(made(url, endpoints=[{"base_url": url, "system": "merge"}]), Request(llm="m", messages=talk))
    assert reply.text == "Answer: 4"
    assert [m["content"] for m in seen[0]["messages"]] == ["be brief\n\n2 + 2?"]
    assert [(m["role"], m["content"]) for m in seen[1]["messages"]] == [
        ("user", "be brief\n\n2 + 2?"),
        ("assistant", "4"),
        ("user", "Sure?"),
    ]


def test_a_chat_of_a_system_prompt_alone_becomes_the_users():
    assert merged((Message("system", "a"), Message("system", "b"))) == (Message("user", "a\n\nb"),)


# --------------------------------------------------------------------------- who answered


def test_another_model_than_the_one_asked_is_told_once_and_stands_in_its_replies(caplog):
    def other(body):
        return Raw(body=json.dumps(completion(body, "Answer: 4") | {"model": "tiny-0.5b"}))

    with chat_server(other) as url:
        client = made(url)
        assert [ask(client).model for _ in range(2)] == ["tiny-0.5b"] * 2
    (told,) = [record.getMessage() for record in caplog.records if record.name == "gdesign.llm.endpoint"]
    assert "asked for m and answers by tiny-0.5b" in told


def test_a_model_that_an_option_names_is_the_one_asked(caplog):
    with chat_server() as url:
        assert ask(made(url, extra_by_llm={"m": {"model": "gpt-4o"}})).model == ""
    assert not caplog.records


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


@pytest.mark.parametrize("failure", [SERVER_ERROR, error(400, message="no such luck")])
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
