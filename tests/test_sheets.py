import gzip

import pytest

from gdesign.errors import DataError, MissingDataError
from gdesign.files import read_sheet


@pytest.fixture
def sheet(tmp_path):
    def read(content, *, needs=()):
        path = tmp_path / "a.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_sheet(path, needs=needs)

    return read


PLAIN = "name,share,words\nann,0.5,yes\nbob,1,no\n"
ROWS = [["ann", "0.5", "yes"], ["bob", "1", "no"]]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip(),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        "sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n"),
        "\ufeffsep=|\n" + PLAIN.replace(",", "|"),
        "\n" + PLAIN + "\n\n",
        PLAIN + ",,\n ,,\n",
        PLAIN.replace("bob", "\nbob", 1),
        PLAIN.replace("\n", ",,\n"),
        '"name","share","words"\n"ann","0.5","yes"\n"bob","1","no"\n',
        PLAIN.replace("name,share", " name , share"),
    ],
)
def test_a_table_reads_alike_whatever_program_wrote_it(sheet, content):
    read = sheet(content, needs=("name", "share", "words"))
    assert read.header == ("name", "share", "words")
    assert [row for _, row in read.rows] == ROWS


def test_rows_are_named_by_the_line_they_begin_in(sheet):
    text = 'sep=,\na,b\n1,"two\nlines"\n\n3,4\n'
    assert list(sheet(text).rows) == [(3, ["1", "two\nlines"]), (6, ["3", "4"])]


def test_a_gzipped_file_is_read_too(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + PLAIN.encode()))
    assert [row for _, row in read_sheet(path).rows] == ROWS


def test_a_field_may_be_long(sheet):
    text = "x" * 300_000
    assert [row for _, row in sheet(f"a,b\n1,{text}\n").rows] == [["1", text]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,c\n1,2\n", "has the columns a, c; it lacks b"),
        ("", r"has the columns \(none\)"),
        ("a,b,b\n1,2,3\n", "column b twice"),
        ("a,b\n1,2\n1,2,3\n", r":3: .* are 3 values, expected 2 \(a, b\); .* in quotes"),
        ("a,b\n1\n", ":2: .* are 1 values, expected 2"),
        ('a,b\n1,2\n3,"never closed\n5,6\n', ":3: not CSV .*each quote closed"),
        ('a,b\n1,"x" y\n', ":2: not CSV"),
        (b"a,b\n1,caf\xe9\n", "not UTF-8"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused_with_its_line(sheet, content, says):
    with pytest.raises(DataError, match=says):
        list(sheet(content, needs=("a", "b")).rows)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"no\.csv"):
        read_sheet(tmp_path / "no.csv")


def test_a_comma_is_a_decimal_mark_only_where_it_parts_no_values(sheet):
    assert sheet("a;b\n").number("0,25") == 0.25 == sheet("a,b\n").number("0.25")
    for text, content in (("0,25", "a,b\n"), ("1.234,5", "a;b\n"), ("", "a;b\n")):
        with pytest.raises(ValueError, match="could not convert"):
            sheet(content).number(text)


def test_a_whole_number_may_be_written_as_scripts_do_beside_empty_values(sheet):
    assert [sheet("a,b\n").whole(text) for text in ("27", " 27", "27.0")] == [27, 27, 27]
    assert sheet("a;b\n").whole("27,0") == 27
    for text in ("27.5", "nan", "inf", "x", ""):
        with pytest.raises(ValueError, match=r"."):
            sheet("a,b\n").whole(text)
