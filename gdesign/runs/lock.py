"""A run folder has one writer at a time."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from gdesign.errors import ConfigError

LOCK = ".lock"
WRITER = ".writer.json"
"""Says who holds the lock, for people; the lock itself is the operating system's, and ends with its process."""


@contextmanager
def only_writer(folder: Path, *, command: str) -> Iterator[None]:
    """Keep other processes from writing into a run folder.

    The folder is made where there is none, and is gone again where nothing was written.

    Args:
        command: What writes, for whoever comes second.

    Raises:
        ConfigError: Another process writes into it; the message says which.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    writer = folder / WRITER
    try:
        lock = FileLock(folder / LOCK).acquire(blocking=False)
    except Timeout:
        raise ConfigError(
            f"{folder} is being written by {_told(writer)}; wait until it ends, end it, or name another folder "
            "(out=...)"
        ) from None
    with lock:
        writer.write_text(json.dumps(_myself(command)) + "\n", encoding="utf-8")
        try:
            yield
        finally:
            writer.unlink(missing_ok=True)
            with suppress(OSError):  # an open file cannot be removed everywhere, nor a folder that holds something
                (folder / LOCK).unlink()
                for path in missing:
                    path.rmdir()


def _myself(command: str) -> dict[str, str | int]:
    return {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
    }


def _told(writer: Path) -> str:
    try:
        holder = json.loads(writer.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it has only begun, or is about to end
        return "another process"
    return f"process {holder['process']} on {holder['host']} since {holder['since']} ({holder['command']})"
