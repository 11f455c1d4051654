"""The line between judge and child: plain values as bytes, and what stays at the other side.

A message is an operation and its arguments; the answer is `ok` with the value and those arguments that were changed in
place, or `raise` with the name and the message of an exception. Values are written as a tag, a length and the bytes or
items; what is no plain value stays where it is and is named by a number.

`judge.py` says what the two processes do, and what may be imported here.
"""

from __future__ import annotations

import _operator  # operator itself takes longer to import
import builtins
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterator
    from typing import Any
else:
    from _collections import deque  # collections itself takes long to import

_MAX_MESSAGE = 64 << 20
SHOWN = 300
"""Most characters of anything that is shown."""


class Gone(BaseException):
    """The other side has ended, or sends what is no message."""


class CandidateError(Exception):
    """The program raised what is no exception of Python's own."""


# By tag: a class, how its values become bytes or items, and how they are made of them. A derived class is sent as the
# one that it derives from, by that one's own methods.
_OF_BYTES: dict[bytes, tuple[type, Callable[[Any], bytes], Callable[[bytes], object]]] = {
    b"n": (type(None), lambda v: b"", lambda body: None),
    b"1": (bool, lambda v: b"1" if v else b"", bool),
    b"i": (int, lambda v: b"%x" % int.__int__(v), lambda body: int(body, 16)),
    b"f": (float, lambda v: float.hex(v).encode(), lambda body: float.fromhex(body.decode())),
    b"s": (str, lambda v: str.encode(v, "utf-8", "surrogatepass"), lambda body: body.decode("utf-8", "surrogatepass")),
    b"b": (bytes, lambda v: bytes.__add__(v, b""), lambda body: body),
    b"a": (bytearray, lambda v: bytes(memoryview(v)), bytearray),
}
_OF_ITEMS: dict[bytes, tuple[type, Callable[[Any], list[Any]], Callable[[list[Any]], object]]] = {
    b"d": (
        dict,
        lambda v: [x for pair in dict.items(v) for x in pair],
        lambda items: dict(zip(items[::2], items[1::2], strict=True)),
    ),
    b"t": (tuple, lambda v: list(tuple.__iter__(v)), tuple),
    b"l": (list, lambda v: list(list.__iter__(v)), lambda items: items),
    b"u": (set, lambda v: list(set.__iter__(v)), set),
    b"z": (frozenset, lambda v: list(frozenset.__iter__(v)), frozenset),
    b"q": (deque, lambda v: [v.maxlen, *deque.__iter__(v)], lambda items: deque(items[1:], items[0])),
    b"r": (range, lambda v: [v.start, v.stop, v.step], lambda items: range(*items)),
    b"c": (complex, lambda v: [complex(v).real, complex(v).imag], lambda items: complex(*items)),
}
_TAGS = {kind: tag for forms in (_OF_BYTES, _OF_ITEMS) for tag, (kind, _, _) in forms.items()}
_OF_TEXT: dict[tuple[str, str], tuple[Callable[[Any], str], Callable[[Any, str], object]]] = {
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
"""Classes of the standard library, by module and name; only themselves, since a text says nothing of a derived one."""
_IN_PLACE = (list, dict, set, bytearray, deque)


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
            answer = self.pack(("raise", type(error).__name__, said_by(error)))
        self._send(answer)

    # values

    def pack(self, value: object) -> bytes:
        """Return a value as bytes; what is no plain value stays here under a number."""
        parts: list[bytes] = []
        self._pack(value, parts)
        return b"".join(parts)

    def _pack(self, value: Any, parts: list[bytes]) -> None:
        kind = type(value)
        tag = _TAGS.get(kind) or _tag_of_other(kind, value)
        if tag in _OF_BYTES:
            _put(parts, tag, _OF_BYTES[tag][1](value))
        elif tag in _OF_ITEMS:
            self._pack_all(tag, _OF_ITEMS[tag][1](value), parts)
        elif tag == b"k":
            place = kind.__module__, kind.__name__
            self._pack_all(tag, [*place, _OF_TEXT[place][0](value)], parts)
        elif tag == b"o":
            _put(parts, tag, b"%d" % object.__getattribute__(value, "_number"))
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
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError):
            raise Gone from None
        if end != len(data):
            raise Gone
        return value

    def _unpack(self, data: bytes, at: int) -> tuple[Any, int]:
        tag = data[at : at + 1]
        count = int.from_bytes(data[at + 1 : at + 5], "big")
        at += 5
        if count > len(data) - at:
            raise ValueError
        if (form := _OF_BYTES.get(tag)) is not None:
            return form[2](data[at : at + count]), at + count
        if tag not in _OF_ITEMS and tag != b"k":
            return self._named(tag, data[at : at + count]), at + count
        items = []
        for _ in range(count):
            item, at = self._unpack(data, at)
            items.append(item)
        if tag in _OF_ITEMS:
            return _OF_ITEMS[tag][2](items), at
        module, name, text = items
        return _OF_TEXT[module, name][1](_standard(module, name), text), at

    def _named(self, tag: bytes, body: bytes) -> object:
        match tag:
            case b"x":
                return Remote(self, int(body))
            case b"o":
                return self._here[int(body)]
            case b"y":
                named = vars(builtins)[body.decode()]
                if self._obliging or isinstance(named, type):
                    return named
        raise ValueError


def _tag_of_other(kind: type, value: object) -> bytes:
    """Return the tag of a value of a derived class, of one that becomes a text, or of a `Remote`; else nothing."""
    if kind is Remote:
        return b"o"
    place = kind.__module__, kind.__name__
    if place in _OF_TEXT and kind is _standard(*place):
        return b"k"
    return next((tag for plain, tag in _TAGS.items() if isinstance(value, plain)), b"")


def _put(parts: list[bytes], tag: bytes, body: bytes) -> None:
    parts.append(tag + len(body).to_bytes(4, "big") + body)


def _is_builtin(value: Any) -> bool:
    return isinstance(value, type | type(len)) and vars(builtins).get(value.__name__) is value


def _standard(module: str, name: str) -> Any:
    return getattr(__import__(module), name)


def _become(old: Any, new: Any) -> None:
    """Give a value that was changed in place at the other side the same content here."""
    if isinstance(old, list | bytearray):
        old[:] = new
    elif isinstance(old, dict | set | deque):
        old.clear()
        (old.extend if isinstance(old, deque) else old.update)(new)


def _exception(name: str, message: str) -> Exception:
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _NEED_MORE):
        return kind(message)
    return CandidateError(f"{name}: {message}")


_NEED_MORE = (UnicodeError, BaseExceptionGroup)


def said_by(error: BaseException) -> str:
    """Return what an exception says; nothing where it cannot say it."""
    try:
        return str(error)[:SHOWN]
    except BaseException:
        return ""


def _ask(thing: Remote, operation: str, /, *arguments: object, **names: object) -> Any:
    return object.__getattribute__(thing, "_peer").ask(operation, thing, *arguments, names=names)


def _asks(operation: str, read: Callable[[Any], Any] = lambda value: value) -> Any:
    """Return a method that has the other side do something."""
    return lambda self, *arguments: read(_ask(self, operation, *arguments))


def _compares(operation: str, otherwise: object) -> Any:
    """Return a method that has the other side compare two of its own things; anything else is `otherwise`."""
    return lambda self, other: _is_true(_ask(self, operation, other)) if type(other) is Remote else otherwise


def _is_true(value: object) -> bool:
    return value is True


class Remote:
    """What is no plain value and lives at the other side.

    It equals no plain value and has no order with one, whatever its own class says: so an object that claims to equal
    everything passes no test.
    """

    __slots__ = ("_number", "_peer")

    def __init__(self, peer: Peer, number: int) -> None:
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_number", number)

    def __call__(self, /, *arguments: object, **names: object) -> Any:
        """Have the other side call it."""
        return _ask(self, "call", *arguments, **names)

    def __iter__(self) -> Iterator[Any]:
        iterator = _ask(self, "iter")
        while True:
            try:
                yield _ask(iterator, "next")
            except StopIteration:
                return

    def __hash__(self) -> int:
        return int(object.__getattribute__(self, "_number"))

    def __instancecheck__(self, thing: object) -> bool:
        return type(thing) is Remote and _ask(self, "instance", thing) is True

    def __exit__(self, *error: object) -> None:
        _ask(self, "leave")

    __enter__ = _asks("enter")
    __getattr__ = _asks("getattr")
    __setattr__ = _asks("setattr")
    __getitem__ = _asks("getitem")
    __setitem__ = _asks("setitem")
    __delitem__ = _asks("delitem")
    __contains__ = _asks("contains", _is_true)
    __next__ = _asks("next")
    __len__ = _asks("len", int)
    __bool__ = _asks("bool", _is_true)
    __str__ = _asks("str", str)
    __repr__ = _asks("repr", str)
    __eq__ = _compares("eq", False)
    __lt__ = _compares("lt", NotImplemented)
    __le__ = _compares("le", NotImplemented)
    __gt__ = _compares("gt", NotImplemented)
    __ge__ = _compares("ge", NotImplemented)


def _truth_of(compare: Callable[[Any, Any], object]) -> Callable[[Any, Any], bool]:
    return lambda a, b: bool(compare(a, b))


_OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: vars(builtins)[name] for name in ("getattr", "setattr", "iter", "next", "len", "bool", "str", "repr")},
    **{name: getattr(_operator, name) for name in ("getitem", "setitem", "delitem", "contains")},
    **{name: _truth_of(getattr(_operator, name)) for name in ("eq", "lt", "le", "gt", "ge")},
    "call": lambda act, /, *arguments, **names: act(*arguments, **names),
    "instance": lambda kind, thing: isinstance(thing, kind),
    "enter": lambda thing: thing.__enter__(),
    "leave": lambda thing: thing.__exit__(None, None, None),
    "global": lambda name: vars(sys.modules["solution"])[name],
    "globals": lambda: list(vars(sys.modules["solution"])),
}
