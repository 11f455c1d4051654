import gzip
import json
import sqlite3
from dataclasses import fields, replace
from threading import Timer

import pytest

from gdesign.errors import ConfigError, DataError
from gdesign.llm.calls import (
    Call,
    read_lines,
    reply_from_json,
    reply_to_json,
    request_from_json,
    request_to_json,
    write_lines,
)
from gdesign.llm.recording import Merged, Recording, calls_of
from gdesign.types import Label, Message, Reply, Request, Usage

REPLY = Reply(text="a", usage=Usage(prompt_tokens=1, completion_tokens=2), label=Label.LIVE)


def call(i=0, *, text="a", **kwargs):
    request = Request(llm="m", messages=(Message("user", f"q{i} \ud800"),), sample=i, **kwargs)
    return Call(request=request, reply=replace(REPLY, text=text, seconds=0.1 * i), time=f"2025-01-01T00:00:{i:02}")


@pytest.fixture
def recording(tmp_path):
    recording = Recording(tmp_path / "calls.sqlite", create=True)
    recording.merge(call(i) for i in range(5))
    return recording


OTHER = {
    Request: {"llm": "n", "messages": (Message("user", "r"),), "temperature": 1.0, "max_tokens": 3, "sample": 9},
    Reply: {
        "text": "b",
        "usage": Usage(prompt_tokens=1, completion_tokens=2, counted=True),
        "label": Label.SIMULATED,
        "score": 1.0,
        "finish_reason": "length",
        "num_calls": 2,
        "seconds": 1.5,
        "faults": ("500",),
        "live": Usage(prompt_tokens=1, completion_tokens=1),
    },
}


@pytest.mark.parametrize("name", [f.name for f in fields(Request) if f.compare])
def test_every_part_of_a_request_is_recorded(name):
    changed = replace(call().request, **{name: OTHER[Request][name]})
    assert request_to_json(changed) != request_to_json(call().request)
    assert request_from_json(json.loads(json.dumps(request_to_json(changed)))) == changed


@pytest.mark.parametrize("name", [f.name for f in fields(Reply)])
def test_every_part_of_a_reply_is_recorded(name):
    changed = replace(REPLY, **{name: OTHER[Reply][name]})
    again = reply_from_json(json.loads(json.dumps(reply_to_json(changed))))
    assert [getattr(again, f.name) for f in fields(Reply)] == [getattr(changed, f.name) for f in fields(Reply)]


@pytest.mark.parametrize("name", ["calls.jsonl", "calls.jsonl.gz"])
def test_a_recording_that_was_exported_and_merged_is_equal(recording, tmp_path, name):
    assert write_lines(recording, tmp_path / name) == 5
    again = Recording(tmp_path / "again.sqlite", create=True)
    assert again.merge(read_lines(tmp_path / name)) == Merged(num_added=5)
    assert list(again) == list(recording)
    assert [c.reply.seconds for c in again] == [c.reply.seconds for c in recording]


def test_merging_keeps_what_was_there(recording):
    news = [call(4), call(3, text="another answer"), call(7)]
    assert recording.merge(news) == Merged(num_added=1, num_known=1, num_different=1)
    assert len(recording) == 6
    assert recording.get(call(3).request).text == "a"


def test_a_merge_that_fails_changes_nothing(recording, tmp_path):
    write_lines([call(8)], tmp_path / "more.jsonl")
    with (tmp_path / "more.jsonl").open("a") as file:
        file.write('{"request": {}}\n')
    with pytest.raises(DataError, match=r"more\.jsonl, line 2: no recorded call"):
        recording.merge(read_lines(tmp_path / "more.jsonl"))
    assert len(recording) == 5


@pytest.mark.parametrize("packed", [b"no gzip", gzip.compress(b"x" * 10000)[:-30]])
def test_a_damaged_packed_file_is_named(tmp_path, packed):
    (tmp_path / "calls.jsonl.gz").write_bytes(packed)
    with pytest.raises(DataError, match=r"calls\.jsonl\.gz, line"):
        list(read_lines(tmp_path / "calls.jsonl.gz"))


def test_dropped_calls_are_gone(recording):
    assert recording.drop([call(1), call(2), call(9)]) == 2
    assert [c.request.sample for c in recording] == [0, 3, 4]


def test_an_llm_whose_calls_were_all_dropped_may_be_served_elsewhere(recording):
    recording.bind({"m": "http://a/v1"})
    recording.drop([call(1)])
    assert recording.endpoints == {"m": "http://a/v1"}
    recording.drop(list(recording))
    recording.bind({"m": "http://b/v1"})


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
    row = {"time": "t", "request": request_to_json(call().request), "reply": reply_to_json(call().reply)}
    *outer, name = where.split(".")
    (row[outer[0]] if outer else row)[name] = value
    (tmp_path / "calls.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"calls\.jsonl, line 1: no recorded call"):
        list(read_lines(tmp_path / "calls.jsonl"))


def test_a_line_that_is_nested_without_end_is_refused(tmp_path):
    (tmp_path / "calls.jsonl").write_text('{"time": ' + "[" * 100_000)
    with pytest.raises(DataError, match=r"calls\.jsonl, line 1: no recorded call"):
        list(read_lines(tmp_path / "calls.jsonl"))


def test_a_damaged_row_of_a_recording_is_named(recording):
    file = sqlite3.connect(recording.path)
    file.execute("UPDATE calls SET reply = '{}' WHERE id = 2")
    file.commit()
    file.close()
    with pytest.raises(DataError, match=r"calls\.sqlite: no recorded call"):
        list(recording)
    with pytest.raises(DataError, match=r"calls\.sqlite: no recorded call"):
        recording.get(call(1).request)


def test_an_llm_is_bound_to_one_endpoint(recording):
    recording.bind({"m": "http://a/v1"})
    recording.check({"m": "http://a/v1", "n": "http://b/v1"})
    with pytest.raises(ConfigError, match="replies of m from http://a/v1"):
        recording.bind({"m": "http://b/v1"})


def test_a_merged_recording_brings_its_endpoints_and_an_export_brings_none(recording, tmp_path):
    recording.bind({"m": "http://a/v1"})
    write_lines(recording, tmp_path / "calls.jsonl")
    elsewhere, free = (Recording(tmp_path / f"{name}.sqlite", create=True) for name in ("elsewhere", "free"))
    elsewhere.bind({"m": "http://b/v1"})
    with pytest.raises(ConfigError, match="replies of m from http://b/v1, not http://a/v1"):
        elsewhere.merge(recording)
    recording.bind({"a": "http://a/v1"})
    with pytest.raises(ConfigError, match="replies of m"):
        elsewhere.merge(recording)
    with pytest.raises(ConfigError, match="replies of m"):
        elsewhere.bind({"a": "http://a/v1", "m": "http://a/v1"})
    assert len(elsewhere) == 0
    assert elsewhere.endpoints == {"m": "http://b/v1"}
    assert elsewhere.merge(calls_of(tmp_path / "calls.jsonl")).num_added == 5
    assert free.merge(calls_of(recording.path)).num_added == 5
    assert free.endpoints == recording.endpoints


@pytest.mark.parametrize("busy", [["BEGIN IMMEDIATE"], ["BEGIN", "SELECT count(*) FROM sqlite_master"]])
def test_a_new_recording_waits_for_another_process_that_has_the_file(tmp_path, busy):
    other = sqlite3.connect(tmp_path / "calls.sqlite", isolation_level=None, check_same_thread=False)
    for statement in busy:
        other.execute(statement).fetchall()
    let_go = Timer(0.2, other.execute, ["COMMIT"])
    let_go.start()
    assert len(Recording(tmp_path / "calls.sqlite", create=True)) == 0
    let_go.join()
    other.close()


def test_the_file_is_whole_and_alone_when_it_is_closed(recording):
    recording.close()
    assert [p.name for p in recording.path.parent.iterdir()] == [recording.path.name]
    assert sqlite3.connect(recording.path).execute("PRAGMA integrity_check").fetchall() == [("ok",)]
