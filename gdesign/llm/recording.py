"""Recordings: what was asked and what was answered, in one SQLite file.

A call is written in a transaction of its own. The file is in WAL mode with `synchronous=NORMAL`: a committed call is
with the operating system, so it outlives the process whatever kills it; a power failure may take the last calls with
it, and leaves the file whole. `FULL` would wait for the disk at each call, five times as long, for that case alone.

The key of a call is a hash of the whole request as JSON (`calls.py`). Keys and headers of an endpoint are no part of
what is stored.
"""

import json
import sqlite3
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from time import monotonic, sleep
from typing import Any, cast

from gdesign.errors import ConfigError, DataError, MissingDataError
from gdesign.llm.calls import (
    NO_CALL,
    Call,
    read_lines,
    reply_from_json,
    reply_to_json,
    request_from_json,
    request_to_json,
)
from gdesign.types import Reply, Request

VERSION = 1
"""Of the tables; a file says its own as `PRAGMA user_version`."""
APPLICATION = 0x67646373
"""What tells a recording from other SQLite files (`PRAGMA application_id`)."""
PATIENCE = 60.0
"""Seconds to wait for another process that writes to the same file."""
TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    llm TEXT NOT NULL,
    time TEXT NOT NULL,
    request TEXT NOT NULL,
    reply TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS endpoints (llm TEXT PRIMARY KEY, url TEXT NOT NULL);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
COMMIT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What became of calls that were merged into a recording.

    Attributes:
        num_added: New ones.
        num_known: Those that it held already, with the same reply.
        num_different: Those that it held with another reply, which it keeps.
    """

    num_added: int = 0
    num_known: int = 0
    num_different: int = 0


class Recording:
    """Calls in a SQLite file; several processes may use it at the same time.

    The file is made, with its folder, if it is not there and `create` says so.

    Raises:
        MissingDataError: It is not there.
        DataError: It is no recording, or one that this version of gdesign does not know.
    """

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        self.path = Path(path)
        if create:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        elif not self.path.is_file():
            raise MissingDataError(f"{self.path} is not there; expected a recording, such as runs/calls.sqlite")
        with self._named():
            # the event loop may run in another thread than the one that builds the client
            self._file = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            weakref.finalize(self, self._file.close)  # the last to close a file tidies it up
            self._open()

    def __reduce__(self) -> tuple[type["Recording"], tuple[Path]]:
        return Recording, (self.path.absolute(),)

    def _open(self) -> None:
        if not self._one("SELECT count(*) FROM sqlite_master"):
            self._write_ahead()
            self._file.executescript(TABLES)
        if self._one("PRAGMA application_id") != APPLICATION:
            raise DataError(f"{self.path} is no recording of gdesign but another SQLite file; name another file")
        if (version := self._one("PRAGMA user_version")) != VERSION:
            raise DataError(
                f"{self.path} is a recording of version {version}, and this gdesign reads version {VERSION}; export it "
                "with the gdesign that wrote it (gdesign calls export) and merge that into a new one"
            )
        self._file.execute("PRAGMA synchronous = NORMAL")

    def _write_ahead(self) -> None:
        deadline = monotonic() + PATIENCE
        while True:
            try:
                self._file.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:  # the one statement that SQLite does not let wait
                if not error.sqlite_errorname.startswith("SQLITE_BUSY") or monotonic() > deadline:
                    raise
            sleep(0.02)

    def get(self, request: Request) -> Reply | None:
        """Return the reply that is recorded for a request; None if there is none."""
        key = _key(_request_text(request))
        with self._named():
            row = self._file.execute("SELECT reply FROM calls WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        with _readable(str(self.path)):
            return reply_from_json(json.loads(row[0]))

    def put(self, request: Request, reply: Reply, *, time: str | None = None) -> Reply:
        """Write a call (of now, unless a time is given) and return what the file holds then: the first reply has won.

        Raises:
            DataError: The file cannot be written.
        """
        text = _request_text(request)
        time = datetime.now(UTC).isoformat(timespec="milliseconds") if time is None else time
        row = (_key(text), request.llm, time, text, json.dumps(reply_to_json(reply), separators=(",", ":")))
        with self._named():
            done = self._file.execute(
                "INSERT INTO calls (key, llm, time, request, reply) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row
            )
        if done.rowcount:
            return reply
        first = self.get(request)
        assert first is not None
        return first

    def merge(self, calls: Iterable[Call]) -> Merged:
        """Write calls that the file does not hold yet, all of them or, if anything goes wrong, none.

        Raises:
            ConfigError: They are those of a recording with other endpoints.
        """
        num = Counter[str]()
        with self._together():
            if isinstance(calls, Recording):
                self._bind(calls.endpoints)
            for call in calls:
                before = self._file.total_changes
                kept = self.put(call.request, call.reply, time=call.time)
                new = self._file.total_changes > before
                num["num_added" if new else "num_known" if kept == call.reply else "num_different"] += 1
        return Merged(**num)

    def drop(self, calls: Iterable[Call]) -> int:
        """Delete calls, so that they are asked again, and return how many were there.

        An LLM of which no call is left may be served by another endpoint from then on.
        """
        keys = [(_key(_request_text(call.request)),) for call in calls]
        with self._together():
            num = self._file.executemany("DELETE FROM calls WHERE key = ?", keys).rowcount
            self._file.execute("DELETE FROM endpoints WHERE llm NOT IN (SELECT llm FROM calls)")
        return num

    def bind(self, endpoints: Mapping[str, str]) -> None:
        """Write down the URL by which each LLM is served.

        Raises:
            ConfigError: The file holds replies of an LLM of this name from elsewhere.
        """
        with self._together():
            self._bind(endpoints)

    def _bind(self, endpoints: Mapping[str, str]) -> None:
        self._file.executemany(
            "INSERT INTO endpoints (llm, url) VALUES (?, ?) ON CONFLICT DO NOTHING", endpoints.items()
        )
        self.check(endpoints)

    def check(self, endpoints: Mapping[str, str]) -> None:
        """Raise ConfigError where the file holds replies of an LLM from another endpoint than the one given."""
        served = self.endpoints
        for llm, url in endpoints.items():
            if (before := served.get(llm, url)) != url:
                raise ConfigError(
                    f"{self.path} holds replies of {llm} from {before}, not {url}, which may serve another model under "
                    "that name; name another file (llm.record=FILE), or null for none"
                )

    @property
    def endpoints(self) -> dict[str, str]:
        """By which endpoint each LLM is served, as far as that is known."""
        with self._named():
            return dict(self._file.execute("SELECT llm, url FROM endpoints"))

    def __len__(self) -> int:
        with self._named():
            return cast("int", self._one("SELECT count(*) FROM calls"))

    def __iter__(self) -> Iterator[Call]:
        with self._named():
            for time, request, reply in self._file.execute("SELECT time, request, reply FROM calls ORDER BY id"):
                with _readable(str(self.path)):
                    call = Call(
                        request=request_from_json(json.loads(request)),
                        reply=reply_from_json(json.loads(reply)),
                        time=time,
                    )
                yield call

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _one(self, statement: str) -> Any:
        return self._file.execute(statement).fetchone()[0]

    @contextmanager
    def _together(self) -> Iterator[None]:
        with self._named():
            self._file.execute("BEGIN IMMEDIATE")
            with self._file:
                yield

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise DataError(f"{self.path} cannot be used as a recording ({error})") from error


def calls_of(path: str | Path) -> Iterable[Call]:
    """Return the calls of a recording, or of JSON Lines where its name ends in `.jsonl` or `.jsonl.gz`.

    Raises:
        MissingDataError: There is no such file.
        DataError: It is damaged or something else.
    """
    if str(path).endswith((".jsonl", ".jsonl.gz")):
        if not Path(path).is_file():
            raise MissingDataError(f"{path} is not there; `gdesign calls export` writes such a file")
        return read_lines(path)
    return Recording(path)


@contextmanager
def _readable(where: str) -> Iterator[None]:
    try:
        yield
    except NO_CALL as error:
        raise DataError(f"{where}: no recorded call ({type(error).__name__}: {error})") from error


def _request_text(request: Request) -> str:
    return json.dumps(request_to_json(request), separators=(",", ":"))


def _key(request: str) -> bytes:
    return blake2b(request.encode(), digest_size=16).digest()
