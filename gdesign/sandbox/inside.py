"""What runs inside the sandbox; it is sent there as code and imports nothing of gdesign.

The process that the sandbox starts (the judge) forks. The child confines itself and executes the program. The judge
confines itself likewise and, where there are tests, reads them only then and executes them: a name under test is a
`Remote` there, and each use of it is a message to the child. Only plain values come back, made anew by the judge, so
what a test compares is compared by Python's own types in a process that the program cannot reach: not its memory, not
the tests, not the pipe that the verdict goes to.

A message is an operation and its arguments; the answer is `ok` with the value and those arguments that were changed in
place, or `raise` with the name and the message of an exception. Values are written as a tag, a length and the bytes or
items; what is no plain value stays where it is and is named by a number.
"""

# ruff: noqa: D102 (the methods of Remote do what their names say, at the other side)
# Annotations are not evaluated here: importing typing would be half of what a program waits for.
from __future__ import annotations

import builtins
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Any, NoReturn
else:
    from _collections import deque  # collections itself takes long to import

_MAX_MESSAGE = 64 << 20
_SHOWN = 300


class Gone(BaseException):
    """The other side has ended, or sends what is no message."""


class CandidateError(Exception):
    """The program raised what is no exception of Python's own."""


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


# --------------------------------------------------------------------------- values


def _known() -> dict[tuple[str, str], tuple[Callable[[Any], str], Callable[[Any, str], object]]]:
    """Return how values of the standard library become text and are made from it, by module and class."""
    return {
        ("decimal", "Decimal"): (str, lambda kind, text: kind(text)),
        ("fractions", "Fraction"): (str, lambda kind, text: kind(text)),
        ("datetime", "date"): (lambda v: v.isoformat(), lambda kind, text: kind.fromisoformat(text)),
        ("datetime", "datetime"): (lambda v: v.isoformat(), lambda kind, text: kind.fromisoformat(text)),
        ("datetime", "time"): (lambda v: v.isoformat(), lambda kind, text: kind.fromisoformat(text)),
        ("datetime", "timedelta"): (
            lambda v: f"{v.days} {v.seconds} {v.microseconds}",
            lambda kind, text: kind(*map(int, text.split())),
        ),
    }


class Peer:
    """One end of the line between judge and child.

    Args:
        source: What it reads from.
        target: What it writes to.
        obliging: Whether it does all that the other side asks for, rather than calls alone.
    """

    def __init__(self, source: int, target: int, *, obliging: bool) -> None:
        self._source, self._target = source, target
        self._obliging = obliging
        self._here: list[object] = []
        self._number: dict[int, int] = {}
        self._known = _known()
        self.last: object = None
        self.gone = False

    # messages

    def send(self, message: tuple[object, ...]) -> None:
        """Send a message."""
        self._send(self.pack(message))

    def _send(self, data: bytes) -> None:
        view = memoryview(len(data).to_bytes(8, "big") + data)
        while view:
            try:
                view = view[os.write(self._target, view) :]
            except BrokenPipeError:
                raise Gone from None

    def receive(self) -> Any:
        """Return the next message."""
        size = int.from_bytes(self._read(8), "big")
        if size > _MAX_MESSAGE:
            raise Gone
        return self.unpack(self._read(size))

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            part = os.read(self._source, min(size, 1 << 20))
            if not part:
                raise Gone
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def ask(self, operation: str, *arguments: Any, names: dict[str, Any] | None = None) -> Any:
        """Have the other side do something and return what comes of it, or raise what it raised.

        Raises:
            Gone: There is no other side any more. It stays so, whoever catches this.
        """
        if self.gone:
            raise Gone
        try:
            return self._ask(operation, arguments, names or {})
        except Gone:
            self.gone = True
            raise

    def _ask(self, operation: str, arguments: tuple[Any, ...], names: dict[str, Any]) -> Any:
        self.send((operation, list(arguments), names))
        while True:
            message = self.receive()
            if message[0] == "ok":
                for key, value in message[2]:
                    _become(names[key] if type(key) is str else arguments[key], value)
                self.last = message[1]
                return message[1]
            if message[0] == "raise":
                if message[1] == "StopIteration" and operation != "next":
                    raise CandidateError("StopIteration")  # which would stop whatever loop this is in, unseen
                raise _exception(message[1], message[2])
            self.serve(message)

    def serve(self, message: Any) -> None:
        """Do what the other side asks for and answer."""
        try:
            operation, arguments, names = message
            if self._obliging:
                act = _OPERATIONS[operation]
            elif operation == "call" and any(arguments[0] is thing for thing in self._here):
                act = _OPERATIONS["call"]
            else:
                raise Gone
            given = {**dict(enumerate(arguments)), **names}
            before = {key: self.pack(a) for key, a in given.items() if type(a) in _IN_PLACE}
            value = act(*arguments, **names)
            changed = [(key, given[key]) for key, packed in before.items() if self.pack(given[key]) != packed]
            answer = self.pack(("ok", value, changed))
        except Gone:
            raise
        except BaseException as error:
            answer = self.pack(("raise", type(error).__name__, _words(error)))
        self._send(answer)

    # values

    def pack(self, value: object) -> bytes:
        """Return a value as bytes; what is no plain value stays here under a number."""
        parts: list[bytes] = []
        self._pack(value, parts)
        return b"".join(parts)

    def _pack(self, value: Any, parts: list[bytes]) -> None:
        kind = type(value)
        if kind is Remote:
            _put(parts, b"o", b"%d" % object.__getattribute__(value, "_number"))
        elif value is None or kind is bool:
            _put(parts, b"n" if value is None else b"1" if value else b"0", b"")
        elif isinstance(value, int):
            _put(parts, b"i", b"%x" % int.__int__(value))
        elif isinstance(value, float):
            _put(parts, b"f", float.hex(value).encode())
        elif isinstance(value, str):
            _put(parts, b"s", str.encode(value, "utf-8", "surrogatepass"))
        elif kind is complex:
            _put(parts, b"c", f"{value.real.hex()} {value.imag.hex()}".encode())
        elif isinstance(value, bytes):
            _put(parts, b"b", bytes.__add__(value, b""))
        elif isinstance(value, dict):
            items = [x for pair in dict.items(value) for x in pair]
            self._pack_all(b"d", items, parts)
        elif isinstance(value, tuple):
            self._pack_all(b"t", list(tuple.__iter__(value)), parts)
        elif isinstance(value, list):
            self._pack_all(b"l", list(list.__iter__(value)), parts)
        elif isinstance(value, set):
            self._pack_all(b"u", list(set.__iter__(value)), parts)
        elif isinstance(value, frozenset):
            self._pack_all(b"z", list(frozenset.__iter__(value)), parts)
        elif isinstance(value, deque):
            self._pack_all(b"q", [value.maxlen, *deque.__iter__(value)], parts)
        elif kind is bytearray:
            _put(parts, b"a", bytes(value))
        elif kind is range:
            self._pack_all(b"r", [value.start, value.stop, value.step], parts)
        elif (kind.__module__, kind.__name__) in self._known and kind is _standard(kind.__module__, kind.__name__):
            text = self._known[kind.__module__, kind.__name__][0](value)
            self._pack_all(b"k", [kind.__module__, kind.__name__, text], parts)
        elif _is_builtin(value) and (isinstance(value, type) or not self._obliging):
            _put(parts, b"y", value.__name__.encode())
        else:
            number = self._number.setdefault(id(value), len(self._here))
            if number == len(self._here):
                self._here.append(value)  # kept, so that no other object gets its id
            _put(parts, b"x", b"%d" % number)

    def _pack_all(self, tag: bytes, values: list[Any], parts: list[bytes]) -> None:
        parts.append(tag + len(values).to_bytes(4, "big"))
        for value in values:
            self._pack(value, parts)

    def unpack(self, data: bytes) -> Any:
        """Return the value that bytes hold.

        Raises:
            Gone: They hold none.
        """
        try:
            value, end = self._unpack(data, 0)
        except (ValueError, IndexError, TypeError, KeyError, RecursionError, OverflowError):
            raise Gone from None
        if end != len(data):
            raise Gone
        return value

    def _unpack(self, data: bytes, at: int) -> tuple[Any, int]:
        tag = data[at : at + 1]
        count = int.from_bytes(data[at + 1 : at + 5], "big")
        at += 5
        if tag in _CONTAINERS:
            if count > len(data) - at:
                raise ValueError
            values = []
            for _ in range(count):
                value, at = self._unpack(data, at)
                values.append(value)
            match tag:
                case b"l":
                    return values, at
                case b"t":
                    return tuple(values), at
                case b"u":
                    return set(values), at
                case b"z":
                    return frozenset(values), at
                case b"d":
                    return dict(zip(values[::2], values[1::2], strict=True)), at
                case b"q":
                    return deque(values[1:], values[0]), at
                case b"r":
                    return range(*values), at
            module, name, text = values
            return self._known[module, name][1](_standard(module, name), text), at
        end = at + count
        if end > len(data):
            raise ValueError
        body = data[at:end]
        match tag:
            case b"n":
                return None, end
            case b"0" | b"1":
                return tag == b"1", end
            case b"i":
                return int(body, 16), end
            case b"f":
                return float.fromhex(body.decode()), end
            case b"s":
                return body.decode("utf-8", "surrogatepass"), end
            case b"c":
                real, imaginary = body.decode().split()
                return complex(float.fromhex(real), float.fromhex(imaginary)), end
            case b"b":
                return body, end
            case b"a":
                return bytearray(body), end
            case b"y":
                named = vars(builtins)[body.decode()]
                if not (self._obliging or isinstance(named, type)):
                    raise ValueError
                return named, end
            case b"x":
                return Remote(self, int(body)), end
            case b"o":
                return self._here[int(body)], end
        raise ValueError


_CONTAINERS = (b"l", b"t", b"u", b"z", b"d", b"q", b"r", b"k")
_NAMED = (type, type(len))
_IN_PLACE = (list, dict, set, bytearray, deque)


def _put(parts: list[bytes], tag: bytes, body: bytes) -> None:
    parts.append(tag + len(body).to_bytes(4, "big") + body)


def _is_builtin(value: Any) -> bool:
    return isinstance(value, _NAMED) and vars(builtins).get(value.__name__) is value


def _standard(module: str, name: str) -> Any:
    return getattr(__import__(module), name)


def _become(old: Any, new: Any) -> None:
    """Give a value that was changed in place at the other side the same content here."""
    if isinstance(old, list | bytearray):
        old[:] = new
    elif isinstance(old, dict | set):
        old.clear()
        old.update(new)
    elif isinstance(old, deque):
        old.clear()
        old.extend(new)


def _exception(name: str, words: str) -> Exception:
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _NEED_MORE):
        return kind(words)
    return CandidateError(f"{name}: {words}")


_NEED_MORE = (UnicodeError, BaseExceptionGroup)


def _words(error: BaseException) -> str:
    try:
        return str(error)[:_SHOWN]
    except BaseException:
        return ""


class Remote:
    """What is no plain value and lives at the other side.

    It equals no plain value and has no order with one, whatever its own class says: so an object that claims to equal
    everything passes no test.
    """

    __slots__ = ("_number", "_peer")

    def __init__(self, peer: Peer, number: int) -> None:
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_number", number)

    def _ask(self, operation: str, *arguments: object) -> Any:
        return object.__getattribute__(self, "_peer").ask(operation, self, *arguments)

    def __call__(self, *arguments: object, **names: object) -> Any:
        return object.__getattribute__(self, "_peer").ask("call", self, *arguments, names=names)

    def __getattr__(self, name: str) -> Any:
        return Remote._ask(self, "getattr", name)

    def __setattr__(self, name: str, value: object) -> None:
        Remote._ask(self, "setattr", name, value)

    def __getitem__(self, key: object) -> Any:
        return Remote._ask(self, "getitem", key)

    def __setitem__(self, key: object, value: object) -> None:
        Remote._ask(self, "setitem", key, value)

    def __delitem__(self, key: object) -> None:
        Remote._ask(self, "delitem", key)

    def __contains__(self, item: object) -> bool:
        return Remote._ask(self, "contains", item) is True

    def __len__(self) -> int:
        return int(Remote._ask(self, "len"))

    def __iter__(self) -> Iterator[Any]:
        iterator = Remote._ask(self, "iter")
        while True:
            try:
                yield Remote._ask(iterator, "next")
            except StopIteration:
                return

    def __next__(self) -> Any:
        return Remote._ask(self, "next")

    def __bool__(self) -> bool:
        return Remote._ask(self, "bool") is True

    def __str__(self) -> str:
        return str(Remote._ask(self, "str"))

    def __repr__(self) -> str:
        return str(Remote._ask(self, "repr"))

    def __hash__(self) -> int:
        return int(object.__getattribute__(self, "_number"))

    def __instancecheck__(self, thing: object) -> bool:
        return type(thing) is Remote and Remote._ask(self, "instance", thing) is True

    def __eq__(self, other: object) -> bool:
        return type(other) is Remote and Remote._ask(self, "eq", other) is True

    def __lt__(self, other: object) -> Any:
        return Remote._order(self, "lt", other)

    def __le__(self, other: object) -> Any:
        return Remote._order(self, "le", other)

    def __gt__(self, other: object) -> Any:
        return Remote._order(self, "gt", other)

    def __ge__(self, other: object) -> Any:
        return Remote._order(self, "ge", other)

    def _order(self, operation: str, other: object) -> Any:
        if type(other) is not Remote:
            return NotImplemented
        return Remote._ask(self, operation, other) is True

    def __enter__(self) -> Any:
        return Remote._ask(self, "enter")

    def __exit__(self, kind: object, error: object, traceback: TracebackType | None) -> None:
        Remote._ask(self, "leave")


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda act, /, *arguments, **names: act(*arguments, **names),
    "getattr": getattr,
    "setattr": setattr,
    "getitem": lambda thing, key: thing[key],
    "setitem": lambda thing, key, value: thing.__setitem__(key, value),
    "delitem": lambda thing, key: thing.__delitem__(key),
    "contains": lambda thing, item: item in thing,
    "len": len,
    "iter": iter,
    "next": next,
    "bool": bool,
    "str": str,
    "repr": repr,
    "instance": lambda kind, thing: isinstance(thing, kind),
    "eq": lambda a, b: bool(a == b),
    "lt": lambda a, b: bool(a < b),
    "le": lambda a, b: bool(a <= b),
    "gt": lambda a, b: bool(a > b),
    "ge": lambda a, b: bool(a >= b),
    "enter": lambda thing: thing.__enter__(),
    "leave": lambda thing: thing.__exit__(None, None, None),
    "global": lambda name: vars(sys.modules["solution"])[name],
    "globals": lambda: list(vars(sys.modules["solution"])),
}


# --------------------------------------------------------------------------- the child


def perform(job: dict[str, Any], peer: Peer) -> NoReturn:
    """Execute the program; then do what the judge asks for, where there are tests."""
    tested = job["tested"]
    module = type(sys)("solution" if tested else "__main__")
    sys.modules[module.__name__] = module
    sys.argv = ["program.py"]
    code = 0
    try:
        for source, name in ((job["before"], "given.py"), (job["program"], "program.py")):
            exec(compile(source, name, "exec", dont_inherit=True), vars(module))
        kind, words = "ok", ""
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        if isinstance(error.code, str):
            sys.stderr.write(error.code + "\n")
        kind, words = ("error", f"it exits with {error.code}") if code or tested else ("ok", "")
    except BaseException as error:
        code = 1
        kind = "memory" if isinstance(error, MemoryError) else "error"
        words = f"{type(error).__name__}: {_words(error)}"
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
        peer.send(("end", kind, words[:_SHOWN]))
    except BaseException:
        code = 1
    os._exit(code & 255)


def _show(error: BaseException, program: str) -> None:
    """Print a traceback as Python would, without the lines of this file."""
    import linecache
    import traceback

    linecache.cache["program.py"] = (len(program), None, program.splitlines(keepends=True), "program.py")
    trace = error.__traceback__
    sys.stderr.write("".join(traceback.format_exception(type(error), error, trace and trace.tb_next)))


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
    words = f"{type(error).__name__}: {_words(error)}".removesuffix(": ")
    lines, line = source.splitlines(), 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "tests.py":
            line = trace.tb_lineno
        trace = trace.tb_next
    if line:
        words += f"\nin the test: {lines[line - 1].strip()[:_SHOWN]}"
    if isinstance(error, AssertionError):
        words += f"\nthe last value that came back was {_shown(peer.last)}"
    return words


def _shown(value: object) -> str:
    try:
        return "an object" if type(value) is Remote else repr(value)[:_SHOWN]
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
