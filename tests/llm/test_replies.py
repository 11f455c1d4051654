import pytest

from gdesign.types import Usage
from tests.llm.asking import ask, changed, error, made
from tests.llm.chat_server import chat_server


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
