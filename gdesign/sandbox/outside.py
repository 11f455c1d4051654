"""Runs Python that nobody has read: in a process without network, files, environment or time to waste.

What is promised and what is not: docs/sandbox.md.
"""

import errno
import marshal
import os
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Literal, cast

from gdesign.errors import ConfigError

Isolation = Literal["bubblewrap", "landlock", "none"]
Why = Literal["ok", "error", "timeout", "memory", "output", "killed"]

STATEMENTS: dict[Isolation, str] = {
    "bubblewrap": "bubblewrap: namespaces of its own (no network, no files but Python's own), a seccomp filter, limits",
    "landlock": "landlock: no files but Python's own (Landlock), no network and no other processes (a seccomp filter), "
    "limits",
    "none": "none: limits on time and memory alone; programs can reach the network and your files",
}
"""What is in force, in words."""


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


class Sandbox:
    """Runs untrusted Python, one fresh process a program.

    Which means are in force is found out at the first use, by trying them: bubblewrap, else Landlock. Where neither
    works, every use is refused, unless the environment variable GDESIGN_SANDBOX says `none`. No config can say so: it
    may have come with somebody's run folder.

    A program sees the standard library, a folder of its own that is gone afterwards, and nothing else. It cannot start
    processes or threads, nor make folders.

    Args:
        isolation: `auto`, or one that must be in force: `bubblewrap`, `landlock`.
        cpu_seconds: Limit on processor time, in whole seconds.
        wall_seconds: Limit on time by the clock, which a busy machine uses up faster.
        memory_bytes: Limit on the address space of a process.
        file_bytes: Limit on the size of a file, and of all files together.
        output_bytes: Limit on what is printed.
        max_concurrent: How many programs run at a time; None for one a core.

    Attributes:
        limits: The limits by name.

    Raises:
        ConfigError: The isolation is unknown or a limit is not above zero.
    """

    def __init__(
        self,
        *,
        isolation: Literal["auto", "bubblewrap", "landlock"] = "auto",
        cpu_seconds: int = 10,
        wall_seconds: float = 30.0,
        memory_bytes: int = 512 << 20,
        file_bytes: int = 16 << 20,
        output_bytes: int = 1 << 20,
        max_concurrent: int | None = None,
    ) -> None:
        if isolation not in ("auto", "bubblewrap", "landlock"):
            raise ConfigError(f"isolation {isolation!r} is unknown; expected auto, bubblewrap or landlock")
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        max_concurrent = cores if max_concurrent is None else max_concurrent
        self._limits = {"cpu_seconds": cpu_seconds, "memory_bytes": memory_bytes, "file_bytes": file_bytes}
        more = {"wall_seconds": wall_seconds, "output_bytes": output_bytes, "max_concurrent": max_concurrent}
        self.limits: Mapping[str, float] = {**self._limits, **more}
        for name, value in self.limits.items():
            if not value > 0:
                raise ConfigError(f"{name} of the sandbox is {value}; expected more than 0")
        self._isolation = isolation
        self._wall_seconds = wall_seconds
        self._output_bytes = output_bytes
        self._room = threading.BoundedSemaphore(max_concurrent)

    @property
    def isolation(self) -> Isolation:
        """What is in force; see `STATEMENTS`.

        Raises:
            ConfigError: Nothing that keeps programs from the network and from files works here, and GDESIGN_SANDBOX
                does not say `none`.
        """
        return _in_force(self._isolation, os.environ.get("GDESIGN_SANDBOX", ""), shutil.which("bwrap"))

    def run(self, program: str, *, stdin: str = "", stop: threading.Event | None = None) -> Result:
        """Run a program as a script.

        Its result is `ok` also where it says `sys.exit(0)`.

        Args:
            program: Its source.
            stdin: What it can read from standard input.
            stop: Ends it (`killed`) once it is set, by another thread; None for never.

        Raises:
            ConfigError: See `isolation`.
        """
        return self._execute({"program": program, "before": "", "tested": False}, None, stdin, stop)

    def check(self, program: str, *, tests: str, names: Sequence[str], before: str = "") -> Result:
        """Execute a program and hold it to tests that it can neither read nor answer for.

        The tests run in another process than the program. There, a name under test stands for what the program
        defines: calls, attributes, items, iteration and so on go to the program, and plain values come back (numbers,
        strings, bytes, lists, deques, tuples, sets, dicts, ranges, dates, decimals, fractions; those of derived classes
        as those they derive from). What is no plain value, such as an instance of a class of the program, stays there;
        it equals no plain value. Arguments that are changed in place are changed in the tests too.

        Args:
            program: The source under test.
            tests: Source of the tests; whatever it raises means that the program fails.
            names: What the tests use of the program.
            before: Source that is executed before the program and, again, before the tests.

        Raises:
            ConfigError: See `isolation`.
        """
        judge: dict[str, object] = {"source": tests, "names": list(names), "before": before}
        return self._execute({"program": program, "before": before, "tested": True}, judge, "", None)

    def _execute(
        self, job: dict[str, object], tests: dict[str, object] | None, stdin: str, stop: threading.Event | None
    ) -> Result:
        isolation = self.isolation
        with self._room:
            return _execute(
                isolation, job | {"limits": self._limits}, tests, stdin, self._wall_seconds, self._output_bytes, stop
            )


# --------------------------------------------------------------------------- what is in force


@cache
def _in_force(wanted: str, environment: str, bwrap: str | None) -> Isolation:
    if sys.platform != "linux":
        raise ConfigError(
            f"programs that models write run on Linux alone, not on {sys.platform}; use a container with it"
        )
    if environment not in ("", "none"):
        raise ConfigError(f"GDESIGN_SANDBOX is {environment!r}; expected none, or leave it unset")
    if environment == "none":
        return "none"
    tried = []
    means: tuple[Isolation, ...] = ("bubblewrap", "landlock")
    for isolation in means if wanted == "auto" else (cast(Isolation, wanted),):
        reason = _unusable(isolation, bwrap)
        if reason is None:
            return isolation
        tried.append(f"{isolation}: {reason}")
    raise ConfigError(
        f"programs that models write cannot be kept from the network and your files here ({'; '.join(tried)}). Install "
        "bubblewrap (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap) or use Linux 5.13 or "
        "newer with Landlock. In a container or virtual machine that holds nothing of value, GDESIGN_SANDBOX=none runs "
        "them with limits on time and memory alone"
    )


def _unusable(isolation: Isolation, bwrap: str | None) -> str | None:
    """Return why an isolation does not work here, by trying to break it; None if it holds."""
    if isolation == "bubblewrap" and bwrap is None:
        return "bwrap is not installed"
    from seccompy import SeccompError

    with TemporaryDirectory() as folder:
        outside = Path(folder) / "outside"
        outside.touch()
        limits = {"cpu_seconds": 5, "memory_bytes": 512 << 20, "file_bytes": 1 << 20}
        job = {"program": _PROBE.format(outside=str(outside)), "before": "", "tested": False, "limits": limits}
        try:
            result = _execute(isolation, job, None, "", 20.0, 10_000, None)
        except (SeccompError, OSError) as error:
            return str(error)
    if result.ok and result.stdout == "":
        return None
    said = (result.stdout + result.stderr).strip().splitlines()
    return f"it does not hold ({said[-1] if said else result.detail})"


_PROBE = """
import os, socket
def attempt(what, act):
    try:
        act()
    except OSError:
        pass
    else:
        print(what)
attempt("sockets", lambda: socket.socket(socket.AF_INET))
attempt("files", lambda: open({outside!r}))
attempt("processes", os.fork)
open("inside", "w").write("x")
"""


# --------------------------------------------------------------------------- running


def _execute(
    isolation: Isolation,
    job: dict[str, object],
    tests: dict[str, object] | None,
    stdin: str,
    wall_seconds: float,
    output_bytes: int,
    stop: threading.Event | None,
) -> Result:
    began = monotonic()
    python = str(Path(sys.executable).resolve())
    limits = cast(dict[str, int], job["limits"])
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
        inside = "/box" if isolation == "bubblewrap" else folder
        confine = {"capabilities": isolation == "none", "syscalls": b"" if isolation == "none" else _filter()}
        ruleset = stack.enter_context(_ruleset(folder)) if isolation == "landlock" else -1
        job_file = stack.enter_context(_in_memory(_code() + marshal.dumps(job | {"confine": confine})))
        tests_file = stack.enter_context(_in_memory(marshal.dumps(tests)))
        input_file = stack.enter_context(_in_memory(stdin.encode("utf-8", "replace")))
        verdict, verdict_end = os.pipe()
        reading = stack.enter_context(os.fdopen(verdict, "rb"))
        fds = [job_file, tests_file, verdict_end, *([] if ruleset < 0 else [ruleset])]
        command = [python, "-S", "-s", "-P", "-B", "-c", _BOOT, *map(str, (job_file, tests_file, verdict_end, ruleset))]
        if isolation == "bubblewrap":
            command = [*_bubble(python, limits["file_bytes"]), *command]
        try:
            process = subprocess.Popen(
                command,
                stdin=input_file,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(inside),
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
                watched = None if isolation == "bubblewrap" else (folder, limits["file_bytes"])
                said, why = _listen(
                    [process.stdout.fileno(), process.stderr.fileno(), reading.fileno()],
                    deadline=began + wall_seconds,
                    limit=output_bytes,
                    watched=watched,
                    stop=stop,
                )
            finally:
                with _gone_is_fine():
                    os.killpg(process.pid, signal.SIGKILL)
        # its name is another each time, and a prompt that shows it would be no recording's
        stdout, stderr, words = (part.decode("utf-8", "replace").replace(folder, "/box") for part in said)
    detail = _WENT_OVER.get(why, "").format(wall_seconds=wall_seconds, output_bytes=output_bytes, **limits)
    if not why:
        why, _, detail = words.partition("\n")
        if not why:
            last = stderr.strip().splitlines()
            why, detail = _of_judge(process.returncode, last[-1] if last else "")
    return Result(why=cast(Why, why), detail=detail, stdout=stdout, stderr=stderr, seconds=monotonic() - began)


_WENT_OVER = {
    "timeout": "more than {wall_seconds:g} s",
    "output": "it prints more than {output_bytes} bytes, or writes more than {file_bytes} to files",
    "killed": "it was stopped",
}


def _of_judge(returncode: int, last: str) -> tuple[str, str]:
    """Return what became of a judge that gave no verdict."""
    if returncode in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        return "timeout", "the tests took too long"
    return ("killed", f"ended by signal {-returncode}") if returncode < 0 else ("error", last or "it gave no verdict")


def _listen(
    fds: Sequence[int],
    *,
    deadline: float,
    limit: int,
    watched: tuple[str, int] | None,
    stop: threading.Event | None,
) -> tuple[list[bytes], str]:
    """Return what came through pipes until all are closed, and which limit it went over, if one.

    `killed` stands for having been told to stop.
    """
    said = [bytearray() for _ in fds]
    look = monotonic()
    with selectors.DefaultSelector() as selector:
        for fd, buffer in zip(fds, said, strict=True):
            selector.register(fd, selectors.EVENT_READ, buffer)
        while selector.get_map():
            left = deadline - monotonic()
            if left <= 0:
                return [bytes(b) for b in said], "timeout"
            if stop is not None and stop.is_set():
                return [bytes(b) for b in said], "killed"
            ready = selector.select(min(left, _LOOK_SECONDS))
            for key, _ in ready:
                part = os.read(key.fd, 1 << 16)
                if not part:
                    selector.unregister(key.fd)
                key.data.extend(part[: limit - len(key.data)])
                if len(key.data) >= limit:
                    return [bytes(b) for b in said], "output"
            if watched is not None and monotonic() > look + _LOOK_SECONDS:
                if _size(watched[0]) > watched[1]:
                    return [bytes(b) for b in said], "output"
                look = monotonic()
    return [bytes(b) for b in said], ""


_LOOK_SECONDS = 0.05


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
    # A fixed seed: the same program prints the same, whatever the order of its sets.
    return {
        "HOME": folder,
        "LANG": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "TMPDIR": folder,
    }


_BOOT = """
import marshal, os, sys
job, tests, verdict, ruleset = map(int, sys.argv[1:])
with open(job, "rb") as file:
    code, job = marshal.load(file), marshal.load(file)
space = {"__name__": "sandbox"}
exec(code, space)
space["main"](job, tests, verdict, ruleset)
"""


@cache
def _code() -> bytes:
    """Return what runs inside, compiled."""
    path = Path(__file__).with_name("inside.py")
    return marshal.dumps(compile(path.read_text(encoding="utf-8"), "sandbox", "exec", dont_inherit=True))


# --------------------------------------------------------------------------- means


def _readable() -> list[str]:
    """Return the files and folders that Python itself needs."""
    folders = [
        sysconfig.get_path("stdlib"),
        *(
            f"{prefix}/{lib}"
            for prefix in (sys.base_prefix, sys.base_exec_prefix, "/usr", "")
            for lib in ("lib", "lib64")
        ),
        "/usr/share/zoneinfo",
        "/etc/ld.so.cache",
        "/etc/localtime",
    ]
    return [folder for folder in dict.fromkeys(folders) if os.path.exists(folder)]


@contextmanager
def _ruleset(folder: str) -> Iterator[int]:
    """Make a Landlock ruleset: Python's own files can be read, a folder be written to."""
    from landlockpy import AccessFS, Ruleset, Scope

    reading = AccessFS.READ_FILE | AccessFS.READ_DIR
    scoped = Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL
    with Ruleset(scoped=scoped) as ruleset:
        for path in _readable():
            ruleset.allow_path(path, reading if os.path.isdir(path) else AccessFS.READ_FILE)
        for device in ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"):
            ruleset.allow_path(device, AccessFS.READ_FILE | AccessFS.WRITE_FILE)
        ruleset.allow_path(folder, ruleset.handled_fs & ~AccessFS.EXECUTE)
        yield ruleset.fileno()


def _bubble(python: str, file_bytes: int) -> list[str]:
    """Return the command that makes namespaces with Python's own files and an empty folder in memory."""
    binds = []
    for path in (python, *_readable()):
        if os.path.islink(path) and path.count("/") == 1:
            binds += ["--symlink", os.readlink(path), path]
        else:
            binds += ["--ro-bind", path, path]
    alone = ["--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--die-with-parent"]
    folder = ["--dev", "/dev", "--size", str(file_bytes), "--perms", "0700", "--tmpfs", "/box", "--chdir", "/box"]
    bwrap = shutil.which("bwrap")
    assert bwrap is not None
    return [bwrap, *alone, *binds, *folder, "--"]


@cache
def _filter() -> bytes:
    """Return a seccomp filter: what Python needs for its own files and pipes is allowed, all else is refused."""
    from seccompy import Action, Filter, arch
    from seccompy.syscalls import AARCH64_SYSCALLS, X86_64_SYSCALLS

    here = X86_64_SYSCALLS if arch() == "x86_64" else AARCH64_SYSCALLS
    made = Filter(Action.ERRNO | errno.EPERM)
    for name in ALLOWED.split():
        if name in here:  # a newer architecture lacks the older names
            made.allow(name)
    made.errno("clone3", errno.ENOSYS)
    made.allow("prlimit64", args={2: 0})  # reading limits, not setting them
    for command in (0, 1, 2, 3, 4, 5, 6, 7, 1030):  # copies, flags and locks; not who is sent a signal
        made.allow("fcntl", args={1: command})
    for command in (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451):  # is it a terminal, how large, how much to read
        made.allow("ioctl", args={1: command})
    # asyncio wakes itself through a pair of sockets that are tied to each other and to nothing else
    made.allow("socketpair", args={0: 1})
    made.allow("sendto", args={4: 0})
    return made.program


ALLOWED = """
access brk chdir clock_getres clock_gettime clock_nanosleep close close_range copy_file_range dup dup2 dup3
epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 exit exit_group faccessat faccessat2 fadvise64
fallocate fchdir fdatasync flock fstat fstatfs fsync ftruncate futex getcpu getcwd getdents64
getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid getppid getrandom getresgid getresuid getrlimit
getrusage getsid gettid gettimeofday getuid lseek link linkat lstat madvise membarrier mmap mprotect
mremap munmap nanosleep newfstatat open openat openat2 pause pipe pipe2 poll ppoll pread64 preadv pselect6 pwrite64
pwritev read readlink readlinkat readv recvfrom rename renameat renameat2 restart_syscall rseq rt_sigaction
rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_getaffinity sched_yield select sendfile
set_robust_list setitimer shutdown sigaltstack stat statfs statx symlink symlinkat sysinfo time times umask
uname unlink unlinkat wait4 waitid write writev
"""
"""System calls that programs may make: no sockets, no processes, no signals to others, no tracing, no mounts.

Nor what Landlock leaves open: the mode, owner, times and attributes of files. Nor new folders: one within the other,
deeper than a path can be long, they could neither be measured nor removed.
"""
