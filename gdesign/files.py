"""How files that people write are read: in the encodings, line ends and forms that their programs save them in.

A byte order mark, UTF-16, Windows' line ends, gzip and a JSON list where lines were expected are read. What cannot be
read without guessing, such as Latin-1, is refused with the line and what to do.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, TextIO, cast

from gdesign.errors import DataError, MissingDataError

CONFIGS = Path(__file__).parent / "configs"
"""The choices of `gdesign train` and `gdesign eval`."""
_GZIP = b"\x1f\x8b"


@contextmanager
def reading(path: Path) -> Iterator[TextIO]:
    """Open a text file, gzipped or not, with its line ends as they are.

    It is UTF-8, with or without a byte order mark, or UTF-16.

    Raises:
        MissingDataError: It is not there.
        DataError: It is a gzip file cut short or changed, a folder, or in another encoding; the message names the line.
    """
    try:
        with _opened(path, errors="strict") as file:
            yield file
    except FileNotFoundError:
        raise MissingDataError(f"{path} is not there") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; give the path of a file") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is no whole gzip file ({error}); fetch or write it again") from error
    except UnicodeError as error:  # text that ends within a character of UTF-16 has no UnicodeDecodeError of its own
        raise DataError(
            f"{path}:{_undecoded(path)}: not UTF-8 ({error}); save it as UTF-8 (Excel: `CSV UTF-8`; a shell: "
            f"`iconv -f WINDOWS-1252 -t UTF-8 {path.name}`)"
        ) from error


@contextmanager
def _opened(path: Path, *, errors: str) -> Iterator[TextIO]:
    with path.open("rb") as raw:
        zipped = raw.peek(2)[:2] == _GZIP
        if path.suffix == ".gz" and not zipped and raw.peek(1):
            raise gzip.BadGzipFile("it does not begin as one")
    opened = gzip.open if zipped else open
    with opened(path, "rb") as binary:
        encoding = json.detect_encoding(binary.read(4))
    with opened(path, "rt", encoding=encoding, errors=errors, newline="") as file:
        yield cast(TextIO, file)


def _undecoded(path: Path) -> int:
    """Return the number of the first line with bytes that are no text."""
    with _opened(path, errors="backslashreplace") as lenient, _opened(path, errors="ignore") as without:
        pairs = enumerate(zip_longest(lenient, without), start=1)
        return next((number for number, (line, rest) in pairs if line != rest), 1)


def text_of(path: Path) -> str:
    """Return the whole text of a file; see `reading`."""
    with reading(path) as file:
        return file.read()


# --------------------------------------------------------------------------- JSON


def read_jsonl(path: Path, *, needs: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number (from 1) and object of each line of a JSON Lines file, gzipped or not.

    A file that holds one JSON list is read as well: the line is where an entry begins. A half of a
    surrogate pair becomes U+FFFD, so that whatever is read can be written.

    Raises:
        DataError: A line is no JSON object, lacks a key or has one twice; the message names file and line.
    """
    with reading(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            if line.lstrip().startswith("["):
                yield from _listed(line + file.read(), path, number, needs)
                return
            yield number, _object(_json(line, f"{path}:{number}"), f"{path}:{number}", needs)


def _listed(text: str, path: Path, number: int, needs: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line and object of each entry of a JSON list."""
    seen, at = 0, _after_space(text, text.index("[") + 1)
    while text[at : at + 1] != "]":
        number += text.count("\n", seen, at)
        seen, where = at, f"{path}:{number}"
        value, at = _decoded(text, at, where)
        yield number, _object(value, where, needs)
        at = _after_space(text, at)
        if text[at : at + 1] == ",":
            at = _after_space(text, at + 1)
        elif text[at : at + 1] != "]":
            raise DataError(f"{where}: not JSON (no comma, nor the end of the list, behind an entry); mend it")
    if text[at + 1 :].strip():
        raise DataError(f"{path}: something follows the end of the list; write one list, or one object a line")


def _after_space(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\n", "\r", "\t"):
        at += 1
    return at


def read_json_list(path: Path, *, needs: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield index (from 0) and object of each entry of a JSON file that holds one list, gzipped or not.

    Raises:
        DataError: The file is no JSON list of objects, or an object lacks a key; file and entry are named.
    """
    entries = read_json(path)
    if not isinstance(entries, list):
        raise DataError(f"{path}: expected a JSON list, got {type(entries).__name__}")
    for index, values in enumerate(entries):
        yield index, _object(values, f"{path}[{index}]", needs)


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; halves of surrogate pairs become U+FFFD.

    Raises:
        DataError: It is no JSON, or an object has a key twice.
    """
    return _json(text_of(path), str(path))


def _json(text: str, where: str) -> Any:
    value, end = _decoded(text, _after_space(text, 0), where)
    if text[end:].strip():
        raise DataError(f"{where}: not JSON (more follows at column {end + 1}); write one value, or one object a line")
    return value


def _decoded(text: str, at: int, where: str) -> tuple[Any, int]:
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error}); write one object, whole and with double quotes") from error
    except (ValueError, RecursionError) as error:  # a key twice, a number of thousands of digits, brackets likewise
        raise DataError(f"{where}: not JSON that can be read ({error})") from error
    return (_whole(value) if "\\u" in text else value), end


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} is given twice; keep one")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_once)


def _whole(value: Any) -> Any:
    """Return a value without halves of surrogate pairs, which no file and no server takes."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_whole(v) for v in value]
        case dict():
            return {_whole(k): _whole(v) for k, v in value.items()}
    return value


def _object(values: object, where: str, needs: Sequence[str]) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise DataError(f"{where}: expected a JSON object, got {type(values).__name__}")
    if missing := [key for key in needs if key not in values]:
        raise DataError(
            f"{where}: the object has the keys {', '.join(values) or '(none)'}; it lacks {', '.join(missing)}"
        )
    return values


# --------------------------------------------------------------------------- CSV

DELIMITERS = ",;\t"
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:[.,][0-9]{3})+")
UNKNOWN = frozenset({"", "nan", "null", "none", "na", "n/a"})
"""What stands in a column of numbers where there is no number, in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The rows of a CSV file.

    Commas, semicolons or tabs may part the values, whichever parts the header into the most; a first line `sep=;` says
    so itself. Rows without any value are left out, as are values without a header that are empty.

    Attributes:
        path: Of the file; gzipped or not.
        header: Names of the columns, without space around them.
        decimal_comma: Whether a comma may be a decimal mark: it is none where commas part the values.
        rows: Number of its first line (from 1) and values of each row, as many as there are columns.
    """

    path: Path
    header: tuple[str, ...]
    decimal_comma: bool
    rows: Iterator[tuple[int, list[str]]]

    def index(self, name: str) -> int | None:
        """Return where a column is; None where there is none of that name."""
        return self.header.index(name) if name in self.header else None

    def number(self, text: str) -> float:
        """Return a number as the file writes it.

        Raises:
            ValueError: It is none.
        """
        return float(text.replace(",", ".", 1) if self.decimal_comma else text)

    def whole(self, text: str) -> int:
        """Return a whole number as the file writes it; `27.0` is one, as a script writes it beside an empty value.

        Raises:
            ValueError: It is none, or `12.000` where the file may write thousands so.
        """
        if self.decimal_comma and _THOUSANDS.fullmatch(text.strip()):
            raise ValueError(f"{text} may be thousands or a fraction")
        try:
            return int(text)
        except ValueError:
            number = self.number(text)
            if not number.is_integer():  # nor are infinity and what is no number
                raise
            return int(number)

    def error(self, line: int, says: str) -> DataError:
        """Return the error of a row."""
        return DataError(f"{self.path}:{line}: {says}")


def read_sheet(path: Path, *, needs: Sequence[str] = ()) -> Sheet:
    """Read a CSV file, gzipped or not.

    Raises:
        MissingDataError: It is not there.
        DataError: It is not UTF-8, or a column lacks or is there twice. Reading the rows raises it where one has more
            or fewer values than the header, or a quote is not closed. File and line are named.
    """
    text = text_of(path)
    first, _, rest = text.partition("\n")
    skipped = 0
    if first.rstrip("\r").startswith("sep=") and len(first.rstrip("\r")) == 5:
        delimiters, text, skipped = first[4], rest, 1
    else:
        delimiters = DELIMITERS
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a long field is no fault
    header: tuple[str, ...] = ()
    delimiter = delimiters[0]
    for candidate in delimiters:
        found = next(_rows(path, text, candidate, skipped, strict=False), (0, []))[1]
        if len(found) > len(header):
            header, delimiter = tuple(name.strip() for name in found), candidate
    while header and not header[-1]:
        header = header[:-1]
    if missing := [name for name in needs if name not in header]:
        raise DataError(f"{path} has the columns {', '.join(header) or '(none)'}; it lacks {', '.join(missing)}")
    if twice := [name for name in needs if header.count(name) > 1]:
        raise DataError(f"{path} has the column {twice[0]} twice; keep one")
    return Sheet(
        path=path,
        header=header,
        decimal_comma=delimiter != ",",
        rows=_matching(path, _rows(path, text, delimiter, skipped), header, delimiter),
    )


def _rows(
    path: Path, text: str, delimiter: str, skipped: int, *, strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    line = 1
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise DataError(
                f"{path}:{line + skipped}: not CSV ({error}); a quote within a quoted value is to be doubled, and each "
                "quote closed"
            ) from None
        if row is None:
            return
        if row and (row[0].strip() or any(value.strip() for value in row)):
            yield line + skipped, row
        line = rows.line_num + 1


def _matching(
    path: Path, rows: Iterator[tuple[int, list[str]]], header: Sequence[str], delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    n = len(header)
    next(rows, None)
    for line, row in rows:
        if len(row) != n:
            if len(row) < n or any(value.strip() for value in row[n:]):
                raise DataError(
                    f"{path}:{line}: {str(row)[:200]} are {len(row)} values, expected {n} ({', '.join(header)}); put a "
                    f"value that holds {delimiter!r} in quotes"
                )
            row = row[:n]
        yield line, row


def read_csv(path: Path, *, needs: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number (from 1) and values by column of each row of a CSV file; see `read_sheet`."""
    sheet = read_sheet(path, needs=needs)
    for line, row in sheet.rows:
        yield line, dict(zip(sheet.header, row, strict=True))
