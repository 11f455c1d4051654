import gzip
import hashlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from gdesign.errors import ConfigError, DataError, MissingDataError
from gdesign.tasks.data import FILES, DataFile, data_dir, fetch, find, read_csv, read_json_list, read_jsonl, verify


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def origin(tmp_path):
    """A repository with one file."""
    upstream = tmp_path / "origin" / "c0ffee" / "a.jsonl"
    upstream.parent.mkdir(parents=True)
    upstream.write_bytes(b'{"a": 1}\n')
    return upstream


@pytest.fixture
def url(origin):
    """Where a server has the repository."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=origin.parents[1])) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def known(origin, url):
    return DataFile(
        path="sub/a.jsonl.gz",
        sha256=sha256(b"some other gzip of it"),
        origin=url,
        commit="c0ffee",
        licence="MIT",
        upstream="a.jsonl",
        content_sha256=sha256(origin.read_bytes()),
    )


def test_the_data_folder_is_named_by_the_environment_or_is_the_projects_own(monkeypatch, tmp_path):
    monkeypatch.setenv("GDESIGN_DATA", str(tmp_path))
    assert data_dir() == tmp_path
    monkeypatch.delenv("GDESIGN_DATA")
    assert (data_dir() / "README.md").is_file()


def test_a_missing_known_file_is_named_with_its_origin_and_checksum(monkeypatch, tmp_path):
    monkeypatch.setenv("GDESIGN_DATA", str(tmp_path))
    file = next(f for f in FILES if f.path == "bench/math500.jsonl.gz")
    with pytest.raises(MissingDataError) as error:
        find("bench/math500.jsonl")
    for word in (file.path, file.sha256, file.url, "gdesign data fetch", "GDESIGN_DATA"):
        assert word in str(error.value)


def test_a_missing_derived_file_says_what_it_was_made_from(monkeypatch, tmp_path):
    monkeypatch.setenv("GDESIGN_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match=r"derived from .*WildEval/ZeroEval"):
        find("routing/zeroeval/gsm.results.csv")


def test_a_file_is_fetched_checked_and_gzipped(known, tmp_path):
    path = fetch("sub/a.jsonl", known=[known], folder=tmp_path)
    assert gzip.decompress(path.read_bytes()) == b'{"a": 1}\n'
    assert [s.state for s in verify(known=[known], folder=tmp_path)] == ["ok"]


def test_a_file_that_is_not_what_was_promised_is_not_written(known, origin, tmp_path):
    origin.write_bytes(b"something else")
    with pytest.raises(DataError, match="expected"):
        fetch("sub/a.jsonl.gz", known=[known], folder=tmp_path)
    assert [s.state for s in verify(known=[known], folder=tmp_path)] == ["missing"]


def test_an_origin_that_does_not_answer_is_an_error_that_says_what_to_do(known, origin, tmp_path):
    origin.unlink()
    with pytest.raises(MissingDataError, match="GDESIGN_DATA"):
        fetch("sub/a.jsonl", known=[known], folder=tmp_path)


def test_a_derived_file_cannot_be_fetched(tmp_path):
    with pytest.raises(MissingDataError, match="derived"):
        fetch("routing/prices.csv", folder=tmp_path)


def test_an_unknown_file_cannot_be_fetched(tmp_path):
    with pytest.raises(ConfigError, match=r"gsm8k_train"):
        fetch("nonsense", folder=tmp_path)


def test_a_changed_file_is_noticed(known, tmp_path):
    path = fetch("sub/a.jsonl", known=[known], folder=tmp_path)
    path.write_bytes(b"no gzip")
    assert [s.state for s in verify(known=[known], folder=tmp_path)] == ["changed"]


def test_each_known_file_is_either_unmodified_or_derived():
    assert all(bool(f.upstream) != bool(f.derived) for f in FILES)
    assert len({f.path for f in FILES}) == len(FILES)


def test_every_file_of_a_whole_data_folder_is_known_and_what_it_should_be():
    if not (data_dir() / "peers").is_dir():
        pytest.skip("needs the whole folder that GDESIGN_DATA names")
    found = {p.relative_to(data_dir()).as_posix() for p in data_dir().rglob("*") if p.is_file()}
    assert found - {"MANIFEST.md"} == {f.path for f in FILES}
    assert {s.state for s in verify()} == {"ok"}


@pytest.mark.parametrize(
    ("content", "says"),
    [("{}", "expected a JSON list"), ("[", "not JSON"), ('[{"a": 1}, 2]', r"\[1\]: expected a JSON object")],
)
def test_a_broken_list_is_named(tmp_path, content, says):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(DataError, match=says):
        list(read_json_list(path, needs=("a",)))


@pytest.mark.parametrize(
    ("content", "says"),
    [('{"a": 1}\n{"a": \n', ":2: not JSON"), ("\n[1]\n", ":2: expected a JSON object"), ('{"b": 1}', ":1: .*lacks a")],
)
def test_a_broken_line_is_named(tmp_path, content, says):
    path = tmp_path / "x.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=says):
        list(read_jsonl(path, needs=("a",)))


def test_a_broken_archive_and_a_foreign_encoding_are_named(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(b"no gzip")
    with pytest.raises(DataError, match="gzip"):
        list(read_jsonl(path))
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 100)[:-9])
    with pytest.raises(DataError, match="gzip"):
        list(read_jsonl(path))
    path.write_bytes(gzip.compress(b"\xff"))
    with pytest.raises(DataError, match="UTF-8"):
        list(read_jsonl(path))


def test_a_csv_file_is_read_by_column_and_its_line_ends_stay(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b'a,b\n1,"x\r\ny"\n')
    assert list(read_csv(path, needs=("a",))) == [(3, {"a": "1", "b": "x\r\ny"})]
    path.write_bytes(b"a,b\n1\n")
    with pytest.raises(DataError, match=":2: 1 values, expected 2"):
        list(read_csv(path))
    with pytest.raises(DataError, match="lacks c"):
        list(read_csv(path, needs=("c",)))
