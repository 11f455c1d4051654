import gzip
import hashlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from gdesign.errors import ConfigError, DataError, MissingDataError
from gdesign.tasks.data import FILES, DataFile, data_dir, fetch, find, verify


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
