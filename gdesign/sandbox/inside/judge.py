"""What runs inside the sandbox: a judge, and the child that executes the program.

The process that the sandbox starts (the judge) forks. The child confines itself and executes the program. The judge
confines itself likewise and, where there are tests, reads them only then and executes them: a name under test is a
`Remote` there, and each use of it is a message to the child (`wire.py`). Only plain values come back, made anew by the
judge, so what a test compares is compared by Python's own types in a process that the program cannot reach: not its
memory, not the tests, not the pipe that the verdict goes to.

`wire.py` and this file are sent there as code and executed in one namespace. Nothing of gdesign can be imported, and no
module that takes long to: importing typing would be half of what a program waits for. So annotations are not evaluated.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from gdesign.sandbox.inside.wire import SHOWN, Gone, Peer, Remote, said_by


# --------------------------------------------------------------------------- confinement


def confine(*, capabilities: bool, ruleset: int, syscalls: bytes) -> None:
    """Give up capabilities, then files outside the ruleset, then system calls outside the filter."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: object) -> None:
        if getattr(libc, name)(*arguments) != 0:
            raise OSError(ctypes.get_errno(), f"the sandbox cannot be closed: {name} failed")

    none = ctypes.c_ulong(0)
    call("prctl", 38, ctypes.c_ulong(1), none, none, none)  # PR_SET_NO_NEW_PRIVS
    if not capabilities:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        call("capset", header, (ctypes.c_uint32 * 6)())
    if ruleset >= 0:
        call("syscall", ctypes.c_long(446), ctypes.c_long(ruleset), none)  # landlock_restrict_self
        os.close(ruleset)
    if syscalls:
        code = ctypes.create_string_buffer(syscalls, len(syscalls))

        class Program(ctypes.Structure):
            _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

        program = Program(len(syscalls) // 8, ctypes.addressof(code))
        call("prctl", 22, ctypes.c_ulong(2), ctypes.byref(program), none, none)  # PR_SET_SECCOMP, a filter


def hide() -> None:
    """Die with the parent, and let no process of the same user look inside."""
    import ctypes

    libc = ctypes.CDLL(None)
    none = ctypes.c_ulong(0)
    libc.prctl(1, ctypes.c_ulong(9), none, none, none)  # PR_SET_PDEATHSIG, SIGKILL
    libc.prctl(4, none, none, none, none)  # PR_SET_DUMPABLE


# --------------------------------------------------------------------------- the child


def perform(job: dict[str, Any], peer: Peer) -> NoReturn:
    """Execute the program; then do what the judge asks for, where there are tests."""
    tested = job["tested"]
    module = type(sys)("solution" if tested else "__main__")
    sys.modules[module.__name__] = module
    sys.argv = ["program.py"]
    code = 0
    try:
        exec(compile(job["before"], "given.py", "exec", dont_inherit=True), vars(module))
        if not job["notebook"] or not _as_notebook(job["program"], vars(module)):
            exec(compile(job["program"], "program.py", "exec", dont_inherit=True), vars(module))
        kind, words = "ok", ""
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        if isinstance(error.code, str):
            sys.stderr.write(error.code + "\n")
        kind, words = ("error", f"it exits with {error.code}") if code or tested else ("ok", "")
    except BaseException as error:
        code = 1
        kind = "memory" if isinstance(error, MemoryError) else "error"
        words = f"{type(error).__name__}: {said_by(error)}"
        _show(error, job["program"])
    try:
        if tested and kind == "ok":
            peer.send(("ready",))
            while True:
                peer.serve(peer.receive())
        if not tested:
            import atexit

            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        peer.send(("end", kind, words[:SHOWN]))
    except BaseException:
        code = 1
    os._exit(code & 255)


def _as_notebook(source: str, names: dict[str, Any]) -> bool:
    """Execute a program whose last statement is an expression, and print its value where nothing else was printed.

    Return whether it is such a program; one that is not is not executed.
    """
    import _ast
    import io

    tree: Any = compile(source, "program.py", "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, _ast.Expr) or (isinstance(last.value, _ast.Constant) and type(last.value.value) is str):
        return False

    class Watched(io.FileIO):
        silent = True

        def write(self, data: Any) -> int:
            Watched.silent = False
            return super().write(data)

    system: Any = sys
    out = io.TextIOWrapper(io.BufferedWriter(Watched(1, "wb", closefd=False)), encoding="utf-8", errors="replace")
    system.stdout = system.__stdout__ = out
    before = _ast.Module(tree.body[:-1], [])
    exec(compile(before, "program.py", "exec", dont_inherit=True), names)
    value = eval(compile(_ast.Expression(last.value), "program.py", "eval", dont_inherit=True), names)
    out.flush()
    if Watched.silent and value is not None:
        out.write(f"{value}\n")
        out.flush()
    return True


def _show(error: BaseException, program: str) -> None:
    """Print a traceback as Python would, without the lines of this file."""
    import linecache
    import traceback

    linecache.cache["program.py"] = (len(program), None, program.splitlines(keepends=True), "program.py")
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == "sandbox":
        trace = trace.tb_next
    sys.stderr.write("".join(traceback.format_exception(type(error), error, trace)))


# --------------------------------------------------------------------------- the judge


def judge(tests: dict[str, Any], peer: Peer) -> tuple[str, str]:
    """Execute tests against the names that the program defines and return what came of it."""
    space: dict[str, Any] = {"__name__": "tests"}
    try:
        exec(compile(tests["before"], "given.py", "exec", dont_inherit=True), space)
        defined = peer.ask("globals")
        for name in tests["names"]:
            if name not in defined:
                return "error", f"the program does not define {name}"
            space[name] = peer.ask("global", name)
        peer.last = None
        exec(compile(tests["source"], "tests.py", "exec", dont_inherit=True), space)
    except Gone:
        raise
    except MemoryError:
        return "memory", "the tests ran out of memory"
    except BaseException as error:
        if peer.gone:
            raise Gone from None
        return "error", _report(error, tests["source"], peer)
    if peer.gone:  # tests that expect an exception may have caught it
        raise Gone
    return "ok", ""


def _report(error: BaseException, source: str, peer: Peer) -> str:
    words = f"{type(error).__name__}: {said_by(error)}".removesuffix(": ")
    lines, line = source.splitlines(), 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "tests.py":
            line = trace.tb_lineno
        trace = trace.tb_next
    if line:
        words += f"\nin the test: {lines[line - 1].strip()[:SHOWN]}"
    if isinstance(error, AssertionError):
        words += f"\nthe last value that came back was {_shown(peer.last)}"
    return words


def _shown(value: object) -> str:
    try:
        return "an object" if type(value) is Remote else repr(value)[:SHOWN]
    except (ValueError, RecursionError, MemoryError):
        return f"a {type(value).__name__} that is too long to show"


def ended(child: int, cpu_seconds: int) -> tuple[str, str]:
    """Return what became of a child that ended without a word, or speaks another language."""
    import resource
    import time

    for _ in range(40):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        time.sleep(0.005)
    else:
        return "error", "it tampers with the line to its judge"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        if number == 24 or used.ru_utime + used.ru_stime >= cpu_seconds:  # SIGXCPU
            return "timeout", f"more than {cpu_seconds} s of processor time"
        return "killed", f"ended by signal {number}"
    return "error", f"it ended before it should, with exit code {os.WEXITSTATUS(status)}"


def main(job: dict[str, Any], tests_file: int, verdict: int, ruleset: int) -> NoReturn:
    """Fork, execute the program in the child, judge it here, and write the verdict."""
    import resource

    hide()
    limits = job["limits"]
    for what, soft, hard in (
        (resource.RLIMIT_CPU, limits["cpu_seconds"], limits["cpu_seconds"] + 1),
        (resource.RLIMIT_AS, limits["memory_bytes"], limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"], limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, 64, 64),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(what, (soft, hard))
    down, up = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        hide()
        keep = sorted({2, down[0], up[1], max(ruleset, 2)})
        for below, above in zip(keep, [*keep[1:], 1 << 20], strict=True):
            os.closerange(below + 1, above)
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        confine(**job["confine"], ruleset=ruleset)
        perform(job, Peer(down[0], up[1], obliging=True))
    os.close(down[0])
    os.close(up[1])
    confine(**job["confine"], ruleset=ruleset)
    peer = Peer(up[0], down[1], obliging=False)
    try:
        first = peer.receive()
        if job["tested"] and first[0] == "ready":
            import marshal

            with open(tests_file, "rb") as file:
                kind, words = judge(marshal.loads(file.read()), peer)
        elif first[0] == "end" and first[1] in ("ok", "error", "memory") and not (job["tested"] and first[1] == "ok"):
            kind, words = first[1], str(first[2])
        else:
            raise Gone
    except Gone:
        kind, words = ended(child, limits["cpu_seconds"])
    os.write(verdict, f"{kind}\n{words}".encode("utf-8", "replace")[:4096])
    os._exit(0)
