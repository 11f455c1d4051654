"""Recordings: what was asked and what was answered, in one SQLite file or as JSON Lines.

A call is written in a transaction of its own. The file is in WAL mode with `synchronous=NORMAL`: a committed call is
with the operating system, so it outlives the process whatever kills it; a power failure may take the last calls with
it, and leaves the file whole. `FULL` would wait for the disk at each call, five times as long, for that case alone.

The key of a call is a hash of the whole request as JSON. Requests and replies are stored as JSON in ASCII, so any text
comes back bit by bit, lone surrogates and NULs included. Keys and headers of an endpoint are no part of either.
"""

import gzip
import json
import math
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TextIO, cast

from gdesign.errors import ConfigError, DataError, MissingDataError
from gdesign.types import Label, Message, Reply, Request, Usage

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
class Call:
    """One recorded call.

    Attributes:
        request: What was asked; its origin is not recorded.
        reply: What was answered, as it came.
        time: When it was written, in UTC, as ISO 8601.
    """

    request: Request
    reply: Reply
    time: str


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

    Args:
        path: The file.
        create: Whether to make it, with its folder, if it is not there.

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
        """Write a call and return the reply that the file holds from then on: whoever wrote first has won.

        Args:
            request: What was asked.
            reply: What was answered.
            time: When, in UTC, as ISO 8601; None for now.

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
        num = {"added": 0, "known": 0, "different": 0}
        with self._together():
            if isinstance(calls, Recording):
                self._bind(calls.endpoints)
            for call in calls:
                before = self._file.total_changes
                kept = self.put(call.request, call.reply, time=call.time)
                if self._file.total_changes > before:
                    num["added"] += 1
                else:
                    num["known" if kept == call.reply else "different"] += 1
        return Merged(num_added=num["added"], num_known=num["known"], num_different=num["different"])

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
        """Write down by which endpoint each LLM is served.

        Args:
            endpoints: URLs by the names of LLMs.

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
        """Return the number of calls."""
        with self._named():
            return cast("int", self._one("SELECT count(*) FROM calls"))

    def __iter__(self) -> Iterator[Call]:
        """Yield the calls, oldest first."""
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


# --------------------------------------------------------------------------- JSON


def request_to_json(request: Request) -> dict[str, Any]:
    """Return all that equality looks at; equal requests give equal JSON."""
    return {
        "llm": request.llm,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "temperature": float(request.temperature) + 0.0,  # 0, 0.0 and -0.0 are equal
        "max_tokens": request.max_tokens,
        "sample": request.sample,
    }


def request_from_json(row: Mapping[str, Any]) -> Request:
    """Return the request that `request_to_json` wrote.

    Raises:
        TypeError: A value is none of a request.
        LookupError: One is missing.
    """
    return Request(
        llm=_text_in(row, "llm"),
        messages=tuple(_message(m) for m in _list_in(row, "messages")),
        temperature=_number_in(row, "temperature"),
        max_tokens=None if row["max_tokens"] is None else _count_in(row, "max_tokens"),
        sample=_count_in(row, "sample"),
    )


def _message(row: Mapping[str, Any]) -> Message:
    role = row["role"]
    if role not in ("system", "user", "assistant"):
        raise TypeError(f"role is {role!r}; expected system, user or assistant")
    return Message(role, _text_in(row, "content"))


def reply_to_json(reply: Reply) -> dict[str, Any]:
    """Return the whole reply; what is not said of most is left out."""
    row: dict[str, Any] = {
        "text": reply.text,
        **_usage_to_json(reply.usage),
        "finish_reason": reply.finish_reason,
        "seconds": reply.seconds,
        "label": str(reply.label),
    }
    if reply.num_calls != 1:
        row["num_calls"] = reply.num_calls
    if reply.faults:
        row["faults"] = list(reply.faults)
    if reply.score is not None:
        row["score"] = reply.score
    if reply.live is not None:
        row["live"] = _usage_to_json(reply.live)
    return row


def reply_from_json(row: Mapping[str, Any]) -> Reply:
    """Return the reply that `reply_to_json` wrote.

    Raises:
        TypeError: A value is none of a reply.
        LookupError: One is missing.
    """
    return Reply(
        text=_text_in(row, "text"),
        usage=_usage_from_json(row),
        label=Label[_text_in(row, "label").upper()],
        score=_number_in(row, "score") if "score" in row else None,
        finish_reason=_text_in(row, "finish_reason"),
        num_calls=_count_in(row, "num_calls") if "num_calls" in row else 1,
        seconds=_number_in(row, "seconds"),
        faults=_words_in(row, "faults") if "faults" in row else (),
        live=_usage_from_json(row["live"]) if "live" in row else None,
    )


def _usage_to_json(usage: Usage) -> dict[str, Any]:
    row: dict[str, Any] = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    return row | ({"counted": True} if usage.counted else {})


def _usage_from_json(row: Mapping[str, Any]) -> Usage:
    return Usage(
        prompt_tokens=_count_in(row, "prompt_tokens"),
        completion_tokens=_count_in(row, "completion_tokens"),
        counted=_flag_in(row, "counted") if "counted" in row else False,
    )


def _text_in(row: Mapping[str, Any], name: str) -> str:
    if not isinstance(value := row[name], str):
        raise TypeError(f"{name} is {value!r}; expected text")
    return value


def _list_in(row: Mapping[str, Any], name: str) -> list[Any]:
    if not isinstance(value := row[name], list):
        raise TypeError(f"{name} is {value!r}; expected a list")
    return value


def _words_in(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = _list_in(row, name)
    if not all(isinstance(word, str) for word in value):
        raise TypeError(f"{name} is {value!r}; expected a list of words")
    return tuple(value)


def _flag_in(row: Mapping[str, Any], name: str) -> bool:
    if not isinstance(value := row[name], bool):
        raise TypeError(f"{name} is {value!r}; expected true or false")
    return value


def _count_in(row: Mapping[str, Any], name: str) -> int:
    if type(value := row[name]) is not int or value < 0:
        raise TypeError(f"{name} is {value!r}; expected 0, 1, 2, ...")
    return value


def _number_in(row: Mapping[str, Any], name: str) -> float:
    if type(value := row[name]) not in (int, float) or not 0 <= value < math.inf:
        raise TypeError(f"{name} is {value!r}; expected a number, 0 or more")
    return cast("float", value)


_NO_CALL = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@contextmanager
def _readable(where: str) -> Iterator[None]:
    try:
        yield
    except _NO_CALL as error:
        raise DataError(f"{where}: no recorded call ({type(error).__name__}: {error})") from error


def write_lines(calls: Iterable[Call], path: str | Path) -> int:
    """Write calls as JSON Lines and return how many there were.

    Args:
        calls: What to write.
        path: The file; packed if its name ends in `.gz`.
    """
    num = 0
    with _text(Path(path), "wt") as file:
        for num, call in enumerate(calls, start=1):  # noqa: B007
            row = {"time": call.time, "request": request_to_json(call.request), "reply": reply_to_json(call.reply)}
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
    return num


def read_lines(path: str | Path) -> Iterator[Call]:
    """Yield the calls that `write_lines` wrote.

    Raises:
        DataError: A line holds no call; file and line are named.
    """
    with _text(Path(path), "rt") as file:
        lines = enumerate(file, start=1)
        while True:
            number = 0
            try:
                number, line = next(lines)
                row = json.loads(line)
                call = Call(
                    request=request_from_json(row["request"]),
                    reply=reply_from_json(row["reply"]),
                    time=_text_in(row, "time"),
                )
            except StopIteration:
                return
            except (*_NO_CALL, OSError, EOFError) as error:
                raise DataError(f"{path}, line {number}: no recorded call ({type(error).__name__}: {error})") from error
            yield call


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


def _text(path: Path, mode: str) -> TextIO:
    if path.suffix == ".gz":
        return cast("TextIO", gzip.open(path, mode, encoding="utf-8"))
    return cast("TextIO", path.open(mode, encoding="utf-8"))


def _request_text(request: Request) -> str:
    return json.dumps(request_to_json(request), separators=(",", ":"))


def _key(request: str) -> bytes:
    return blake2b(request.encode(), digest_size=16).digest()
