"""Where data files are, what they must hold, and how they are read."""

import csv
import gzip
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from gdesign.errors import DataError, MissingDataError


def data_dir() -> Path:
    """Return the data folder: the environment variable GDESIGN_DATA, else the project's `data/`."""
    named = os.environ.get("GDESIGN_DATA")
    return Path(named) if named else Path(__file__).resolve().parents[2] / "data"


def existing(path: Path) -> Path:
    """Return the path, or the same with `.gz`, whichever is a file.

    Raises:
        MissingDataError: Neither is there.
    """
    for candidate in (path, path.with_name(path.name + ".gz")):
        if candidate.is_file():
            return candidate
    raise MissingDataError(f"{path} is not there, nor is {path.name}.gz")


@contextmanager
def reading(path: Path) -> Iterator[TextIO]:
    """Open a text file, gzipped or not, in UTF-8 with its line ends as they are.

    Raises:
        MissingDataError: It is not there.
        DataError: It is no gzip file although its name says so, is cut short, or is not UTF-8.
    """
    try:
        file = (
            gzip.open(path, "rt", encoding="utf-8", newline="")
            if path.suffix == ".gz"
            else path.open(newline="", encoding="utf-8")
        )
        with file:
            yield cast(TextIO, file)
    except FileNotFoundError:
        raise MissingDataError(f"{path} is not there") from None
    except (gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"{path} is no whole gzip file ({error}); fetch or write it again") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error}); write it as UTF-8") from error


def read_jsonl(path: Path, *, needs: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number (from 1) and object of each line of a JSON Lines file, gzipped or not.

    Args:
        path: The file.
        needs: Keys that every object must have.

    Raises:
        DataError: A line is no JSON object or lacks a key; the message names file and line.
    """
    with reading(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}:{number}: not JSON ({error})") from error
            if not isinstance(values, dict):
                raise DataError(f"{path}:{number}: expected a JSON object, got {type(values).__name__}")
            if missing := [key for key in needs if key not in values]:
                raise DataError(
                    f"{path}:{number}: the object has the keys {', '.join(values) or '(none)'}; "
                    f"it lacks {', '.join(missing)}"
                )
            yield number, values


def read_csv(path: Path, *, needs: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number (from 1) and values by column of each row of a CSV file, gzipped or not.

    Args:
        path: The file, with a header.
        needs: Columns that it must have.

    Raises:
        DataError: A column lacks, or a row has more or fewer values than the header; file and line are named.
    """
    with reading(path) as file:
        rows = csv.reader(file)
        header = next(rows, [])
        if missing := [name for name in needs if name not in header]:
            raise DataError(f"{path} has the columns {', '.join(header) or '(none)'}; it lacks {', '.join(missing)}")
        for row in rows:
            if len(row) != len(header):
                raise DataError(
                    f"{path}:{rows.line_num}: {len(row)} values, expected {len(header)} ({', '.join(header)})"
                )
            yield rows.line_num, dict(zip(header, row, strict=True))
