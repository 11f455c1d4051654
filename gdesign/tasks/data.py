"""Which data files there are, where they are, and what they must hold."""

import gzip
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

from gdesign.errors import ConfigError, DataError, MissingDataError


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One data file, unmodified from its origin or derived from it.

    Attributes:
        path: Relative to the data folder.
        sha256: Of the file.
        origin: The repository it comes from.
        commit: The state of the repository.
        licence: That of the repository or, where it carries another's data, of the data.
        rows: Number of rows; None where it has none.
        upstream: Path in the repository of an unmodified file; empty for a derived one.
        content_sha256: Of the upstream file, where ours is that file gzipped; empty otherwise.
        derived: What a derived file was made from; empty for an unmodified one.
    """

    path: str
    sha256: str
    origin: str
    commit: str
    licence: str
    rows: int | None = None
    upstream: str = ""
    content_sha256: str = ""
    derived: str = ""

    @property
    def url(self) -> str:
        """Return where the unmodified file can be had; empty for a derived one."""
        if not self.upstream:
            return ""
        return f"{self.origin.replace('github.com', 'raw.githubusercontent.com')}/{self.commit}/{self.upstream}"


FILES = tuple(DataFile(**file) for file in json.loads((files("gdesign.tasks") / "manifest.json").read_bytes()))
"""All known files, by path."""

# --------------------------------------------------------------------------- where files are


def data_dir() -> Path:
    """Return the data folder: the environment variable GDESIGN_DATA, else the project's `data/`."""
    named = os.environ.get("GDESIGN_DATA")
    return Path(named) if named else Path(__file__).resolve().parents[2] / "data"


def find(relative: str) -> Path:
    """Return a file of the data folder, gzipped or not.

    Raises:
        MissingDataError: It is not there; the message names origin and checksum.
    """
    return existing(data_dir() / relative)


def existing(path: Path) -> Path:
    """Return the path, or the same with `.gz`, whichever is a file.

    Raises:
        MissingDataError: Neither is there; the message names origin and checksum, if they are known.
    """
    for candidate in (path, path.with_name(path.name + ".gz")):
        if candidate.is_file():
            return candidate
    folder = data_dir().resolve()
    relative = path.resolve().relative_to(folder).as_posix() if path.resolve().is_relative_to(folder) else ""
    for file in FILES:
        if file.path in (relative, f"{relative}.gz"):
            raise MissingDataError(f"{folder / file.path} is not there: {_origin(file)}")
    raise MissingDataError(f"{path} is not there, nor is {path.name}.gz; check the path")


def _origin(file: DataFile) -> str:
    here = f"set GDESIGN_DATA to a folder that holds it as {file.path} (sha256 {file.sha256})"
    if file.url:
        return f"it is {file.url} ({file.licence}); get it with `gdesign data fetch {file.path}`, or {here}"
    return (
        f"it was derived from {file.origin} at {file.commit} ({file.licence}): {file.derived}; "
        f"it cannot be fetched, {here}"
    )


# --------------------------------------------------------------------------- what files must hold


class FileStatus(NamedTuple):
    """Whether a known file is there and is what it should be (`ok`, `missing`, `changed`)."""

    file: DataFile
    state: Literal["ok", "missing", "changed"]


def verify(*, known: Sequence[DataFile] = FILES, folder: Path | None = None) -> Iterator[FileStatus]:
    """Yield the state of each known file of a data folder (None: `data_dir()`), by checksum."""
    folder = data_dir() if folder is None else folder
    for file in known:
        yield FileStatus(file, _state(folder / file.path, file))


def _state(path: Path, file: DataFile) -> Literal["ok", "missing", "changed"]:
    if not path.is_file():
        return "missing"
    data = path.read_bytes()
    found = [hashlib.sha256(data).hexdigest()]
    if file.content_sha256:  # the same content, gzipped by another program
        with suppress(gzip.BadGzipFile, EOFError):
            found.append(hashlib.sha256(gzip.decompress(data)).hexdigest())
    return "ok" if found[0] == file.sha256 or file.content_sha256 in found[1:] else "changed"


def fetch(name: str, *, known: Sequence[DataFile] = FILES, folder: Path | None = None) -> Path:
    """Fetch a known file from its origin into a data folder, check it, and return its path.

    Its name is the path in the data folder (None: `data_dir()`), with or without `.gz`.

    A file that is already there and right is left alone.

    Raises:
        ConfigError: No file is known by that name.
        MissingDataError: It is a derived file, which nobody serves, or its origin does not answer.
        DataError: What came is not what the checksum promises; nothing is written.
    """
    folder = data_dir() if folder is None else folder
    file = next((f for f in known if name in (f.path, f.path.removesuffix(".gz"))), None)
    if file is None:
        raise ConfigError(f"no data file is known as {name!r}; known are {', '.join(f.path for f in known)}")
    path = folder / file.path
    if _state(path, file) == "ok":
        return path
    if not file.url:
        raise MissingDataError(f"{file.path} cannot be fetched: {_origin(file)}")
    import pooch  # loading it takes longer than all the rest
    from requests import RequestException

    pooch.get_logger().setLevel("WARNING")
    checksum = f"sha256:{file.content_sha256 or file.sha256}"
    with TemporaryDirectory() as temporary:
        try:
            got = pooch.retrieve(file.url, known_hash=checksum, path=temporary, progressbar=sys.stderr.isatty())
        except RequestException as error:
            raise MissingDataError(f"{file.url} cannot be fetched ({error}): {_origin(file)}") from error
        except ValueError as error:
            raise DataError(f"{file.url} is not the file that gdesign knows, nothing was written: {error}") from error
        data = Path(got).read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(gzip.compress(data, mtime=0) if file.content_sha256 else data)
    part.replace(path)
    return path
