"""Runs Python that nobody has read: in a process without network, files, environment or time to waste.

What is promised and what is not: docs/sandbox.md.
"""

import os
import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from gdesign.errors import ConfigError
from gdesign.sandbox.isolation import Isolation
from gdesign.sandbox.process import Result, execute


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
        self.limits: Mapping[str, float] = {
            "cpu_seconds": cpu_seconds,
            "memory_bytes": memory_bytes,
            "file_bytes": file_bytes,
            "wall_seconds": wall_seconds,
            "output_bytes": output_bytes,
            "max_concurrent": max_concurrent,
        }
        for name, value in self.limits.items():
            if not value > 0:
                raise ConfigError(f"{name} of the sandbox is {value}; expected more than 0")
        self._isolation = isolation
        self._room = threading.BoundedSemaphore(max_concurrent)

    def __reduce__(self) -> tuple[partial["Sandbox"], tuple[()]]:
        return partial(Sandbox, isolation=self._isolation, **self.limits), ()  # type: ignore[arg-type]

    @property
    def isolation(self) -> Isolation:
        """What is in force; see `STATEMENTS`.

        Raises:
            ConfigError: Nothing that keeps programs from the network and from files works here, and GDESIGN_SANDBOX
                does not say `none`.
        """
        return _in_force(self._isolation, os.environ.get("GDESIGN_SANDBOX", ""), shutil.which("bwrap"))

    def run(
        self, program: str, *, stdin: str = "", stop: threading.Event | None = None, notebook: bool = False
    ) -> Result:
        """Run a program as a script.

        Its result is `ok` also where it says `sys.exit(0)`.

        Args:
            program: Its source.
            stdin: What it can read from standard input.
            stop: Ends it (`killed`) once it is set, by another thread; None for never.
            notebook: Whether the value of a last statement that is an expression is printed, where the program prints
                nothing itself.

        Raises:
            ConfigError: See `isolation`.
        """
        isolation = self.isolation
        with self._room:
            return execute(program, isolation=isolation, limits=self.limits, stdin=stdin, stop=stop, notebook=notebook)

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
        isolation = self.isolation
        judged: dict[str, object] = {"source": tests, "names": list(names), "before": before}
        with self._room:
            return execute(program, isolation=isolation, limits=self.limits, before=before, tests=judged)


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
    for isolation in [m for m in means if wanted in ("auto", m)]:
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
        try:
            result = execute(_PROBE.format(outside=str(outside)), isolation=isolation, limits=_PROBED)
        except (SeccompError, OSError) as error:
            return str(error)
    if result.ok and result.stdout == "":
        return None
    said = (result.stdout + result.stderr).strip().splitlines()
    return f"it does not hold ({said[-1] if said else result.detail})"


_PROBED = {
    "cpu_seconds": 5,
    "memory_bytes": 512 << 20,
    "file_bytes": 1 << 20,
    "wall_seconds": 20.0,
    "output_bytes": 10_000,
}
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
