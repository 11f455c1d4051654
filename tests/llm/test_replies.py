import json

import pytest

from gdesign.llm.replies import is_another
from gdesign.types import Usage
from tests.llm.asking import ask, changed, error, made, once
from tests.llm.chat_server import Raw, chat_server, completion


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
        (changed(choice={"finish_reason": "STOP"}), "Answer: 4", "stop"),
        (changed(choice={"finish_reason": "eos"}), "Answer: 4", "stop"),
        (changed(choice={"finish_reason": "end_turn"}), "Answer: 4", "stop"),
        (changed(choice={"finish_reason": "model_length"}), "Answer: 4", "length"),
        (changed(message={"content": None}, choice={"finish_reason": "RECITATION"}), "", "content_filter"),
        (changed(message={"content": ""}, choice={"finish_reason": "tool_use"}), "", "tool_calls"),
        (changed(message={"content": ""}, choice={"finish_reason": "eos_token"}), "", "empty"),
        (changed(choice={"finish_reason": "bored"}), "Answer: 4", "bored"),
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
        {"prompt_tokens": "about 5", "completion_tokens": 2.5},
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


# --------------------------------------------------------------------------- thoughts


@pytest.mark.parametrize(
    "message",
    [
        {"content": "Answer: 4", "reasoning_content": "2 and 2"},
        {"content": "Answer: 4", "reasoning": "2 and 2"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "2 and 2"}]}, {"text": "Answer: 4"}]},
        {"content": [{"type": "reasoning", "text": "2 and 2"}, {"type": "text", "text": "Answer: 4"}]},
    ],
)
def test_thoughts_are_kept_apart_from_the_text(message):
    with chat_server(changed(message=message)) as url:
        reply = ask(made(url))
    assert (reply.text, reply.reasoning) == ("Answer: 4", "2 and 2")


def test_thoughts_without_an_answer_are_no_answer():
    thought = changed(message={"content": None, "reasoning_content": "Answer: 5?"}, choice={"finish_reason": "length"})
    with chat_server(thought) as url:
        reply = ask(made(url))
    assert (reply.text, reply.finish_reason) == ("", "length")


# --------------------------------------------------------------------------- tokens


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        # OpenAI, DeepSeek: thoughts are within, and what a cache held
        ((50, 40, 90, {"completion_tokens_details": {"reasoning_tokens": 30}}), (50, 40, 0)),
        ((50, 40, 90, {"prompt_tokens_details": {"cached_tokens": 32}}), (50, 40, 32)),
        ((50, 40, 90, {"prompt_cache_hit_tokens": 48, "prompt_cache_miss_tokens": 2}), (50, 40, 48)),
        ((50, 40, 90, {"cached_tokens": 16}), (50, 40, 16)),
        ((50.0, 40.0, 90.0, {"input_tokens_details": {"cached_tokens": 24}}), (50, 40, 24)),
        (("50", "40", "90", {"prompt_tokens_details": {"cached_tokens": "8.0"}}), (50, 40, 8)),
        ((50, 40, 90, {"prompt_tokens_details": None, "completion_tokens_details": None}), (50, 40, 0)),
        # xAI: thoughts are beside; Gemini: in the total alone
        ((50, 40, 390, {"completion_tokens_details": {"reasoning_tokens": 300}}), (50, 340, 0)),
        ((50, 40, 390, {}), (50, 340, 0)),
        ((50, 4, None, {"completion_tokens_details": {"reasoning_tokens": 300}}), (50, 304, 0)),
        ((50, 0, 350, {}), (50, 300, 0)),
        # Anthropic's: a cache is beside, and within where a gateway has added it up
        ((5, 40, None, {"cache_read_input_tokens": 900, "cache_creation_input_tokens": 95}), (1000, 40, 900)),
        ((500, 40, 1440, {"cache_read_input_tokens": 900}), (1400, 40, 900)),
        ((1000, 40, 1040, {"cache_read_input_tokens": 900, "cache_creation_input_tokens": 95}), (1000, 40, 900)),
    ],
)
def test_tokens_are_counted_as_each_provider_tells_them(told, expected):
    prompt, completion, total, more = told
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **more}
    with chat_server(changed(usage=usage)) as url:
        got = ask(made(url)).usage
    assert (got.prompt_tokens, got.completion_tokens, got.cached_tokens) == expected
    assert not got.counted


def test_names_of_tokens_as_anthropic_has_them_are_read():
    usage = {"input_tokens": 5, "output_tokens": 40, "cache_read_input_tokens": 95}
    with chat_server(changed(usage=usage)) as url:
        assert ask(made(url)).usage == Usage(prompt_tokens=100, completion_tokens=40, cached_tokens=95)


def test_thoughts_are_counted_where_the_endpoint_counts_nothing():
    with chat_server(changed(usage=None, message={"reasoning_content": "x" * 400})) as url:
        assert ask(made(url)).usage.completion_tokens > 100


# --------------------------------------------------------------------------- streams


def stream(*pieces, done=True):
    lines = [f"data: {json.dumps(piece)}" for piece in pieces] + (["data: [DONE]"] if done else [])
    return Raw(200, "\n\n".join([": keep-alive", *lines]) + "\n\n", content_type="text/event-stream")


def test_a_reply_that_is_streamed_unasked_is_put_together():
    answer = stream(
        {"model": "m", "choices": [{"delta": {"role": "assistant", "reasoning_content": "2 and 2"}}]},
        {"model": "m", "choices": [{"delta": {"content": "Answer: "}, "finish_reason": None}]},
        {"model": "m", "choices": [{"delta": {"content": "4"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}},
    )
    with chat_server(lambda body: answer) as url:
        reply = ask(made(url))
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("Answer: 4", "2 and 2", "stop")
    assert reply.usage == Usage(prompt_tokens=10, completion_tokens=5)


def test_an_error_within_a_stream_is_no_answer():
    broken = stream(
        {"choices": [{"delta": {"content": "Answer: 5"}}]},
        {"error": {"code": 502, "message": "Upstream dropped"}, "choices": [{"delta": {}, "finish_reason": "error"}]},
    )
    with chat_server(once(broken)) as url:
        reply = ask(made(url))
    assert (reply.text, reply.faults) == ("Answer: 4", ("error",))


def test_a_whole_reply_with_the_end_of_a_stream_behind_it_is_read():
    with chat_server(lambda body: Raw(body=json.dumps(completion(body, "Answer: 4")) + "\n\ndata: [DONE]\n")) as url:
        assert ask(made(url)).text == "Answer: 4"


# --------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai/gpt-4o", "gpt-4o-2024-08-06"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("anthropic/claude-sonnet-4", "anthropic/claude-4-sonnet-20250522"),
        ("mistral-large-latest", "mistral-large-2411"),
        ("command-r", "command-r-08-2024"),
        ("qwen3", "qwen3:latest"),
        ("claude-3.7-sonnet", "claude-3-7-sonnet-20250219"),
        ("meta-llama/llama-3-1-8b-instruct", "llama-3.1-8b-instruct"),
        ("qwen/qwen3-32b:free", "qwen/qwen3-32b"),
        ("gemini-2.5-flash", "models/gemini-2.5-flash"),
        ("qwen2.5-7b-instruct", "/srv/models/Qwen2.5-7B-Instruct.gguf"),
        ("m", ""),
    ],
)
def test_another_name_of_the_model_is_no_other_model(asked, answered):
    assert not is_another(answered, asked=asked)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4o", "gpt-4o-mini-2024-07-18"),
        ("gpt-4", "gpt-4-32k"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"),
        ("llama-3", "llama-3.1"),
        ("llama-3", "llama-3-1"),
        ("gemini-1.5-pro", "gemini-2-5-pro"),
        ("qwen3:8b", "qwen3:4b"),
        ("deepseek-r1", "deepseek-r1-distill-qwen-7b"),
    ],
)
def test_another_model_is_one(asked, answered):
    assert is_another(answered, asked=asked)
