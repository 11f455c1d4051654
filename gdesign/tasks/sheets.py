"""CSV files as spreadsheets and scripts write them: one reader, which refuses what it would have to guess."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gdesign.errors import DataError
from gdesign.tasks.data import reading

DELIMITERS = ",;\t"
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
            ValueError: It is none.
        """
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
    with reading(path) as file:
        text = file.read().removeprefix("\ufeff")
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
