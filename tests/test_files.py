import codecs
import gzip
import json

import pytest

from gdesign.errors import DataError, MissingDataError
from gdesign.files import read_csv, read_json_list, read_jsonl

LINES = '{"a": "Ä"}\r\n\r\n{"a": "b\u2028c"}\r\n'


@pytest.fixture
def file(tmp_path):
    def file(content, name="x.jsonl"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return file


@pytest.mark.parametrize(
    "content",
    [
        LINES.encode(),
        codecs.BOM_UTF8 + LINES.encode(),
        LINES.encode("utf-16"),
        codecs.BOM_UTF16_BE + LINES.encode("utf-16-be"),
        LINES.encode("utf-16-le"),
        gzip.compress(codecs.BOM_UTF8 + LINES.encode()),
    ],
    ids=["UTF-8", "marked", "UTF-16", "big-endian", "unmarked UTF-16", "gzipped"],
)
def test_lines_are_read_in_the_encodings_that_programs_save_them_in(file, content):
    assert list(read_jsonl(file(content))) == [(1, {"a": "Ä"}), (3, {"a": "b\u2028c"})]


@pytest.mark.parametrize("separator", [",", ",\n", "\n,\n  "])
def test_a_list_is_read_where_lines_are_expected(file, separator):
    entries = [{"a": [1, 2]}, {"a": "]"}, {"a": {}}]
    text = f"\n[{separator.join(map(json.dumps, entries))}\n]\n"
    found = list(read_jsonl(file(text)))
    assert [values for _, values in found] == entries
    assert [line for line, _ in found] == [2 + i * separator.count("\n") for i in range(3)]
    assert list(read_jsonl(file("[]"))) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('[{"a": 1}\n {"a": 2}]', ":1: not JSON .no comma"),
        ('[{"a": 1},\n\n{"a": 2', ":3: not JSON"),
        ('[{"a": 1}', ":1: not JSON"),
        ('[{"a": 1}] x', "follows the end of the list"),
        ("[" * 100_000, ":1: not JSON"),
        ('{"a": ' * 100_000, ":1: not JSON"),
        ('{"a": ' + "9" * 5000 + "}", ":1: not JSON that can be read"),
        ('{"a": 1}\n{"a": 1, "b": 2, "a": 3}', ":2: .*'a' is given twice"),
        ('{"a": 1} {"a": 2}', ":1: not JSON .more follows"),
        ("{'a': 1}", ":1: not JSON .*double quotes"),
        ('{\n"a": 1}', ":1: not JSON"),
        ('{"a": 1}\n{"a": "M\xfcller"}'.encode("latin-1"), ":2: not UTF-8 .*save it as UTF-8"),
        ('{"a": 1}'.encode("utf-16") + b"x", "not UTF-8"),
    ],
)
def test_lines_that_are_no_json_are_named(file, content, says):
    with pytest.raises(DataError, match=says):
        list(read_jsonl(file(content)))


def test_half_a_character_becomes_the_sign_for_one_that_was_lost(file):
    found = list(read_jsonl(file('{"a": ["x \\ud83d y", "\\ud83d\\ude00 \\\\ud83d"]}')))
    assert found == [(1, {"a": ["x \ufffd y", "\U0001f600 \\ud83d"]})]


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"none\.jsonl is not there"):
        list(read_jsonl(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match="is a folder"):
        list(read_jsonl(tmp_path))


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
    assert list(read_csv(path, needs=("a",))) == [(2, {"a": "1", "b": "x\r\ny"})]
    path.write_bytes(b"a,b\n1\n")
    with pytest.raises(DataError, match=r":2: .* are 1 values, expected 2"):
        list(read_csv(path))
    with pytest.raises(DataError, match="lacks c"):
        list(read_csv(path, needs=("c",)))
