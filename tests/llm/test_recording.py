import sqlite3
from dataclasses import replace
from threading import Timer

import pytest

from gdesign.errors import ConfigError, DataError
from gdesign.llm.calls import (
    Call,
    read_lines,
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


def test_dropped_calls_are_gone(recording):
    assert recording.drop([call(1), call(2), call(9)]) == 2
    assert [c.request.sample for c in recording] == [0, 3, 4]


def test_an_llm_whose_calls_were_all_dropped_may_be_served_elsewhere(recording):
    recording.bind({"m": "http://a/v1"})
    recording.drop([call(1)])
    assert recording.endpoints == {"m": "http://a/v1"}
    recording.drop(list(recording))
    recording.bind({"m": "http://b/v1"})


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
