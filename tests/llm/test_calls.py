import gzip
import json
from dataclasses import fields, replace

import pytest

from gdesign.errors import DataError
from gdesign.llm.calls import read_lines, reply_from_json, reply_to_json, request_from_json, request_to_json
from gdesign.types import Label, Message, Reply, Request, Usage

REQUEST = Request(llm="m", messages=(Message("user", "q \ud800"),))
REPLY = Reply(text="a", usage=Usage(prompt_tokens=1, completion_tokens=2), label=Label.LIVE)

OTHER = {
    Request: {
        "llm": "n",
        "messages": (Message("user", "r"),),
        "temperature": 1.0,
        "max_tokens": 3,
        "sample": 9,
        "response_format": '{"type":"json_object"}',
    },
    Reply: {
        "text": "b",
        "usage": Usage(prompt_tokens=1, completion_tokens=2, cached_tokens=1, counted=True),
        "label": Label.SIMULATED,
        "score": 1.0,
        "finish_reason": "length",
        "num_calls": 2,
        "seconds": 1.5,
        "faults": ("500",),
        "live": Usage(prompt_tokens=1, completion_tokens=1),
        "reasoning": "hm",
        "model": "n",
        "usd": 0.5,
    },
}


@pytest.mark.parametrize("name", [f.name for f in fields(Request) if f.compare])
def test_every_part_of_a_request_is_recorded(name):
    changed = replace(REQUEST, **{name: OTHER[Request][name]})
    assert request_to_json(changed) != request_to_json(REQUEST)
    assert request_from_json(json.loads(json.dumps(request_to_json(changed)))) == changed


@pytest.mark.parametrize("name", [f.name for f in fields(Reply)])
def test_every_part_of_a_reply_is_recorded(name):
    changed = replace(REPLY, **{name: OTHER[Reply][name]})
    again = reply_from_json(json.loads(json.dumps(reply_to_json(changed))))
    assert [getattr(again, f.name) for f in fields(Reply)] == [getattr(changed, f.name) for f in fields(Reply)]


def test_a_reply_that_an_earlier_version_wrote_is_read():
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    written = {"text": "a", **usage, "finish_reason": "stop", "seconds": 0.0, "label": "live"}
    assert reply_from_json(written) == REPLY
    assert reply_to_json(REPLY) == written


@pytest.mark.parametrize("packed", [b"no gzip", gzip.compress(b"x" * 10000, mtime=0)[:-30]], ids=["text", "cut off"])
def test_a_damaged_packed_file_is_named(tmp_path, packed):
    (tmp_path / "calls.jsonl.gz").write_bytes(packed)
    with pytest.raises(DataError, match=r"calls\.jsonl\.gz, line"):
        list(read_lines(tmp_path / "calls.jsonl.gz"))


NONSENSE = [
    ("time", 5),
    ("request", []),
    ("request.llm", None),
    ("request.messages", {}),
    ("request.messages", [{"role": "boss", "content": "q"}]),
    ("request.messages", [{"role": "user", "content": 5}]),
    ("request.temperature", "x"),
    ("request.temperature", float("nan")),
    ("request.max_tokens", 1.5),
    ("request.sample", True),
    ("reply.text", 7),
    ("reply.prompt_tokens", "1"),
    ("reply.completion_tokens", -1),
    ("reply.finish_reason", None),
    ("reply.seconds", float("inf")),
    ("reply.label", "dead"),
    ("reply.label", 1),
    ("reply.counted", 1),
    ("reply.score", "x"),
    ("reply.faults", "timeout"),
    ("reply.live", 5),
]


@pytest.mark.parametrize(("where", "value"), NONSENSE)
def test_a_line_whose_values_are_no_call_is_refused(tmp_path, where, value):
    row = {"time": "t", "request": request_to_json(REQUEST), "reply": reply_to_json(REPLY)}
    *outer, name = where.split(".")
    (row[outer[0]] if outer else row)[name] = value
    (tmp_path / "calls.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"calls\.jsonl, line 1: no recorded call"):
        list(read_lines(tmp_path / "calls.jsonl"))


def test_a_line_that_is_nested_without_end_is_refused(tmp_path):
    (tmp_path / "calls.jsonl").write_text('{"time": ' + "[" * 100_000)
    with pytest.raises(DataError, match=r"calls\.jsonl, line 1: no recorded call"):
        list(read_lines(tmp_path / "calls.jsonl"))
