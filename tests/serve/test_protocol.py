import json

import pytest

from gdesign.serve.protocol import DONE, ApiError, ChatRequest, completion, events, read
from gdesign.types import Label, Message, Reply, Usage

REPLY = Reply(text="one  two\nthree ", usage=Usage(prompt_tokens=3, completion_tokens=4), label=Label.SIMULATED)


def read_chat(body):
    return read(ChatRequest, body)


def chat(**values):
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **values}).encode()


def test_a_request_is_read_whole():
    got = read_chat(chat(temperature=0.5, max_tokens=3, seed=7, stream=True, stream_options={"include_usage": True}))
    assert (got.model, got.messages) == ("m", (Message("user", "hi"),))
    assert (got.temperature, got.max_tokens, got.seed) == (0.5, 3, 7)
    assert got.stream
    assert got.stream_options.include_usage


def test_what_is_null_is_left_out():
    assert read_chat(chat(temperature=None, max_tokens=None, seed=None, stream=None, stream_options=None)) == read_chat(
        chat()
    )


def test_the_newer_name_of_the_limit_on_tokens_comes_first():
    assert read_chat(chat(max_tokens=3, max_completion_tokens=5)).max_tokens == 5


def test_a_developer_is_heard_as_the_system_and_parts_as_one_text():
    got = read_chat(
        chat(
            messages=[
                {"role": "developer", "content": "be brief"},
                {"role": "assistant", "content": None},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            ]
        )
    )
    assert got.messages == (Message("system", "be brief"), Message("assistant", ""), Message("user", "ab"))


def test_fields_that_are_not_known_are_ignored():
    assert read_chat(chat(user="me", store=False, top_p=0.9, n=1)) == read_chat(chat())


def test_an_error_says_what_came_but_not_all_of_it():
    with pytest.raises(ApiError) as caught:
        read_chat(chat(seed="x" * 10_000))
    assert len(str(caught.value)) < 200
    assert json.loads(caught.value.body())["error"]["param"] == "seed"


def test_the_events_of_a_stream_put_together_are_the_completion():
    whole = json.loads(completion(REPLY, id="i", model="m"))
    chunks = [json.loads(e.removeprefix(b"data: ")) for e in events(REPLY, id="i", model="m", include_usage=True)]
    deltas = [c["choices"][0]["delta"] for c in chunks[:-1]]
    assert "".join(d.get("content", "") for d in deltas) == REPLY.text == whole["choices"][0]["message"]["content"]
    assert deltas[0]["role"] == "assistant"
    assert [c["usage"] for c in chunks] == [None] * (len(chunks) - 1) + [whole["usage"]]
    assert {c["id"] for c in chunks} == {whole["id"]}
    assert DONE == b"data: [DONE]\n\n"
