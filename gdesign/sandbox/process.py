"""One program in one fresh process: started, confined, listened to, ended."""

import errno
import marshal
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Literal, cast

from gdesign.sandbox.isolation import Isolation, bubble, ruleset_for, syscall_filter

Why = Literal["ok", "error", "timeout", "memory", "output", "killed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a program.

    Attributes:
        why: `ok`: it ended by itself and, where there are tests, passed them. `error`: it raised, exits with another
            code than 0, or fails a test. `timeout`, `memory`, `output`: it went over that limit. `killed`: it was ended
            by a signal.
        detail: What went wrong, in a few lines; empty where nothing did.
        stdout: What it printed, as far as the limit on output goes.
        stderr: Likewise.
        seconds: How long it took, start of the process included.
    """

    why: Why
    detail: str = ""
    stdout: str = ""
    stderr: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong."""
        return self.why == "ok"


def execute(
    program: str,
    *,
    isolation: Isolation,
    limits: Mapping[str, float],
    before: str = "",
    tests: dict[str, object] | None = None,
    stdin: str = "",
    stop: threading.Event | None = None,
    notebook: bool = False,
) -> Result:
    """Execute a program in a process of its own.

    The judge executes `tests` (`source`, `names` and `before`) once it has ended; without any it is a script. Setting
    `stop` ends it; `notebook` prints the value of its last expression where it prints nothing.

    Raises:
        OSError: The process cannot be started.
    """
    began = monotonic()
    python = str(Path(sys.executable).resolve())
    job: dict[str, Any] = {"program": program, "before": before, "tested": tests is not None, "limits": dict(limits)}
    job["notebook"] = notebook
    job["confine"] = {"capabilities": isolation == "none", "syscalls": b"" if isolation == "none" else syscall_filter()}
    file_bytes = int(limits["file_bytes"])
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
        ruleset = stack.enter_context(ruleset_for(folder)) if isolation == "landlock" else -1
        job_file = stack.enter_context(_in_memory(_code() + marshal.dumps(job)))
        tests_file = stack.enter_context(_in_memory(marshal.dumps(tests)))
        input_file = stack.enter_context(_in_memory(stdin.encode("utf-8", "replace")))
        verdict, verdict_end = os.pipe()
        reading = stack.enter_context(os.fdopen(verdict, "rb"))
        fds = [job_file, tests_file, verdict_end, *([] if ruleset < 0 else [ruleset])]
        command = [python, "-S", "-s", "-P", "-B", "-c", _BOOT, *map(str, (job_file, tests_file, verdict_end, ruleset))]
        bubbled = isolation == "bubblewrap"
        try:
            process = subprocess.Popen(
                [*bubble(python, file_bytes), *command] if bubbled else command,
                stdin=input_file,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment("/box" if bubbled else folder),
                cwd=folder,
                pass_fds=fds,
                start_new_session=True,
            )
        finally:
            os.close(verdict_end)
        assert process.stdout is not None
        assert process.stderr is not None
        with process:
            try:
                said, went_over = _listen(
                    [process.stdout.fileno(), process.stderr.fileno(), reading.fileno()],
                    deadline=began + limits["wall_seconds"],
                    limit=int(limits["output_bytes"]),
                    watched=None if bubbled else (folder, file_bytes),
                    stop=stop,
                )
            finally:
                with _gone_is_fine():
                    os.killpg(process.pid, signal.SIGKILL)
        # its name is another each time, and a prompt that shows it would be no recording's
        stdout, stderr, verdict_text = (part.decode("utf-8", "replace").replace(folder, "/box") for part in said)
    why, _, detail = verdict_text.partition("\n")
    if went_over:
        why, detail = went_over, _WENT_OVER[went_over].format(**limits)
    elif not why:
        last = stderr.strip().splitlines()
        why, detail = _of_judge(process.returncode, last[-1] if last else "")
    return Result(why=cast(Why, why), detail=detail, stdout=stdout, stderr=stderr, seconds=monotonic() - began)


_WENT_OVER = {
    "timeout": "more than {wall_seconds:g} s",
    "output": "it prints more than {output_bytes} bytes, or writes more than {file_bytes} to files",
    "killed": "it was stopped",
}


def _of_judge(returncode: int, last: str) -> tuple[str, str]:
    if returncode in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        return "timeout", "the tests took too long"
    return ("killed", f"ended by signal {-returncode}") if returncode < 0 else ("error", last or "it gave no verdict")


_LOOK_SECONDS = 0.05


def _listen(
    fds: Sequence[int], *, deadline: float, limit: int, watched: tuple[str, int] | None, stop: threading.Event | None
) -> tuple[list[bytearray], str]:
    """Return what came through pipes until all are closed, and which limit it went over (`killed`: it was stopped)."""
    said = [bytearray() for _ in fds]
    look = monotonic()
    with selectors.DefaultSelector() as selector:
        for fd, buffer in zip(fds, said, strict=True):
            selector.register(fd, selectors.EVENT_READ, buffer)
        while selector.get_map():
            left = deadline - monotonic()
            if left <= 0:
                return said, "timeout"
            if stop is not None and stop.is_set():
                return said, "killed"
            for key, _ in selector.select(min(left, _LOOK_SECONDS)):
                part = os.read(key.fd, 1 << 16)
                if not part:
                    selector.unregister(key.fd)
                key.data.extend(part[: limit - len(key.data)])
                if len(key.data) >= limit:
                    return said, "output"
            if watched is not None and monotonic() > look + _LOOK_SECONDS:
                if _size(watched[0]) > watched[1]:
                    return said, "output"
                look = monotonic()
    return said, ""


def _size(folder: str) -> int:
    """Return how many bytes the files in a folder take, each at least one block."""
    total = 0
    with os.scandir(folder) as files:
        for file in files:
            with _gone_is_fine():
                total += max(4096, 512 * file.stat(follow_symlinks=False).st_blocks)
    return total


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESRCH):
            raise


@contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    """Open a file that has no name and no place on a disk."""
    fd = os.memfd_create("sandbox")
    try:
        with os.fdopen(fd, "w+b", closefd=False) as file:
            file.write(data)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _environment(folder: str) -> dict[str, str]:
    return {
        "HOME": folder,
        "LANG": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
        "PYTHONHASHSEED": "0",  # the same program prints the same, whatever the order of its sets
        "PYTHONUTF8": "1",
        "TMPDIR": folder,
    }


_BOOT = """
import marshal, os, sys
job, tests, verdict, ruleset = map(int, sys.argv[1:])
with open(job, "rb") as file:
    codes, job = marshal.load(file), marshal.load(file)
space = {"__name__": "sandbox"}
for code in codes:
    exec(code, space)
space["main"](job, tests, verdict, ruleset)
"""


@cache
def _code() -> bytes:
    files = [Path(__file__).with_name("inside") / name for name in ("wire.py", "judge.py")]
    return marshal.dumps([compile(f.read_text(encoding="utf-8"), "sandbox", "exec", dont_inherit=True) for f in files])
