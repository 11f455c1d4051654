import pytest

TESTS = "assert f(1) == 4711\nassert f(2) == 4712\n"


def test_a_right_program_passes_and_a_wrong_one_is_told_where(box):
    assert box.check("def f(x): return x + 4710", tests=TESTS, names=["f"]).ok
    done = box.check("def f(x): return 4711", tests=TESTS, names=["f"])
    assert done.why == "error"
    assert done.detail == ("AssertionError\nin the test: assert f(2) == 4712\nthe last value that came back was 4711")


def test_tests_hold_any_plain_value_and_any_use_of_an_object(box):
    program = """
from collections import Counter, namedtuple
from datetime import date
from decimal import Decimal
from fractions import Fraction

class Point:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return self.x == other.x
    def __lt__(self, other): return self.x < other.x
    def __len__(self): return 7
    def moved(self, by=1): return Point(self.x + by)

Pair = namedtuple("Pair", "a b")
def values():
    return [None, True, 10**30, 0.1, 1j, "\\ud800", b"x", bytearray(b"y"), {1: (2,)}, {3}, frozenset({4}), range(5)]
def known(): return Decimal("0.10"), Fraction(1, 3), date(2020, 1, 2)
def derived(): return Counter("aab"), Pair(1, 2)
def numbers(n): yield from range(n)
def each(act, xs): return [act(x) for x in xs]
def adder(n): return lambda x: x + n
def turn(xs): xs.reverse()
def fails(): raise ValueError("no")
def kind(x, k): return isinstance(x, k), k
"""
    tests = """
from datetime import date
from decimal import Decimal
from fractions import Fraction
plain = [None, True, 10**30, 0.1, 1j, "\\ud800", b"x", bytearray(b"y"), {1: (2,)}, {3}, frozenset({4}), range(5)]
assert values() == plain
assert known() == (Decimal("0.1"), Fraction(1, 3), date(2020, 1, 2))
assert derived() == ({"a": 2, "b": 1}, (1, 2))
assert list(numbers(3)) == [0, 1, 2] and sum(numbers(4)) == 6
assert each(lambda x: 2 * x, [1, 2]) == [2, 4]
assert adder(2)(3) == 5
p = Point(1)
assert p == Point(1) and p != Point(2) and p < Point(2) and p.x == 1 and p.moved(by=2).x == 3 and len(p) == 7
assert isinstance(p, Point)
p.x = 5
assert p.x == 5
xs = [1, 2, 3]
assert turn(xs) is None and xs == [3, 2, 1]
assert kind(1, int) == (True, int)
try:
    fails()
except ValueError as error:
    assert str(error) == "no"
else:
    raise AssertionError
"""
    names = ["Point", "values", "known", "derived", "numbers", "each", "adder", "turn", "fails", "kind"]
    done = box.check(program, tests=tests, names=names)
    assert done.ok, done


@pytest.mark.parametrize(
    ("program", "tests"),
    [
        ("f = max", "assert f([1, 2]) == 2 and f(1, 3, key=abs) == 3"),
        ("f = int", "assert f('4') == 4"),
        ("def f(act): return act([1, 2])", "assert f(max) == 2"),
        ("def f(*, a): a.append(1)", "xs = []\nf(a=xs)\nassert xs == [1]"),
        ("def f(x, **more): more['d'].clear()", "xs, d = [], {1: 2}\nf(xs, d=d, e=xs)\nassert (xs, d) == ([], {})"),
    ],
)
def test_what_any_caller_may_do_tests_may_do(box, program, tests):
    done = box.check(program, tests=tests, names=["f"])
    assert done.ok, done


def test_a_deque_is_a_plain_value(box):
    program = """
from collections import deque
def last(xs, n): return deque(xs, maxlen=n)
def turn(xs): xs.rotate(1)
"""
    tests = """
from collections import deque
assert last([1, 2, 3], 2) == deque([2, 3]) and last([1], 2) != [1]
assert last([1], 5).maxlen == 5 and last([1], None).maxlen is None
xs = deque([1, 2, 3])
turn(xs)
assert xs == deque([3, 1, 2])
"""
    done = box.check(program, tests=tests, names=["last", "turn"])
    assert done.ok, done


def test_what_is_given_before_is_there_for_program_and_tests(box):
    given = "import math\ndef g(x): return math.floor(x)\ndef f(x):\n    'to be written'\n"
    assert box.check("def f(x): return g(x) + 1", tests="assert f(1.5) == g(2.5)", names=["f"], before=given).ok


TAMPERING = """
import sys; sys.exit(0)
---
import os; os._exit(0)
---
raise SystemExit
---
def f(x): import sys; sys.exit(0)
---
def f(x): import os; os._exit(0)
---
def f(x): raise AssertionError
---
import atexit, os; atexit.register(os._exit, 0)
def f(x): return 1
---
import sys; print('ok'); sys.stdout.flush(); sys.stdout = sys.stderr = None
def f(x): return 1
---
class A: __eq__ = __ne__ = __bool__ = __le__ = lambda *_: True
def f(x): return A()
---
class A(int): __eq__ = lambda *_: True
def f(x): return A(1)
---
class A(str): __eq__ = lambda *_: True
def f(x): return A("1")
---
class A(type): __eq__ = lambda *_: True
class B(metaclass=A): pass
def f(x): return B
---
from unittest.mock import ANY
def f(x): return ANY
---
import builtins; builtins.AssertionError = builtins.__build_class__ = None
def f(x): return 1
---
import builtins; del builtins.AssertionError
def f(x): raise Exception
---
def check(*_): pass
candidate = assert_ = check
def f(x): return 1
---
import sys; sys.settrace(lambda *a: None); sys.setprofile(lambda *a: None)
def f(x): return 1
---
import sys; sys.modules['solution'] = sys
def f(x): return 1
---
import sys; sys.modules.clear()
def f(x): return 1
---
import os
for fd in range(3, 100):
    try: os.write(fd, b'ok\\n')
    except OSError: pass
def f(x): return 1
---
import os; os.closerange(3, 100)
def f(x): return 1
---
import os, time; os.closerange(3, 100); time.sleep(1)
---
import signal; signal.raise_signal(signal.SIGKILL)
---
import ctypes; ctypes.string_at(0)
---
f = 1
---
f = int
---
def g(x): return x
---
this is no python
"""


@pytest.mark.parametrize("program", ["", *TAMPERING.split("---\n")])
def test_a_program_cannot_pass_by_tampering(box, program):
    done = box.check(program, tests=TESTS, names=["f"])
    assert done.why in ("error", "killed", "timeout"), done


SEARCH = """
import gc, os, sys
found = []
def search(thing):
    if isinstance(thing, (str, bytes)) and len(thing) < 10**6:
        text = thing if isinstance(thing, str) else thing.decode("latin-1")
        if chr(52) + "712" in text:
            found.append(text)
def f(x):
    frame = sys._getframe()
    while frame:
        for value in (*frame.f_locals.values(), *frame.f_globals.values(), *frame.f_code.co_consts): search(value)
        frame = frame.f_back
    for thing in gc.get_objects():
        for value in gc.get_referents(thing): search(value)
    for fd in range(100):
        for read in (lambda: os.pread(fd, 10**6, 0), lambda: os.lseek(fd, 0, 0) or os.read(fd, 10**6)):
            try:
                if os.fstat(fd).st_size: search(read())
            except OSError: pass
    for folder in ("/proc/self/fd", "/proc/%d/fd" % os.getppid(), ".", "/tmp"):
        try:
            for name in os.listdir(folder): search(open(folder + "/" + name, "rb").read(10**6))
        except OSError: pass
    for value in (sys.argv, sys.orig_argv, os.environ.values()):
        for v in value: search(v)
    return 4711 + (x == 2 and bool(found))
"""


def test_a_program_cannot_find_the_tests(box):
    done = box.check(SEARCH, tests=TESTS, names=["f"])
    assert done.detail.endswith("the last value that came back was 4711"), done


def test_a_program_that_speaks_to_the_judge_itself_does_not_pass(box):
    forged = """
import gc, os, sys
peer = next(o for o in gc.get_objects() if type(o).__name__ == "Peer")
{attack}
def f(x): return 1
"""
    attacks = [
        "peer.send(('end', 'ok', ''))\nos._exit(0)",
        "peer.send(('ready',))\npeer.send(('end', 'ok', ''))\nos._exit(0)",
        "peer.send(('ready',))\nwhile True: peer.send(('ok', ['f'], []))",
        "peer.send(('ready',))\nwhile True: peer.receive(); peer.send(('ok', None, [(0, None), (-1, 1), ('a', 2)]))",
        "peer.send(('ready',))\nwhile True: peer.send(('getattr', [peer, '_here'], {}))",
        "peer._send(b'l' + b'\\xff' * 4)",
        "peer._send(b'l\\0\\0\\0\\1' * 100_000)",
        "os.write(peer._target, b'\\xff' * 100)",
        "os.write(peer._target, b'\\0' * 7 + b'\\x05' + b'ylen')",
        "type(peer).pack = lambda self, value: b'1\\0\\0\\0\\0'",
    ]
    for attack in attacks:
        done = box.check(forged.format(attack=attack), tests=TESTS, names=["f"])
        assert done.why in ("error", "timeout", "memory"), (attack, done)


@pytest.mark.parametrize(
    "tests",
    [
        "try: f(-1)\nexcept Exception: pass",
        "try: f(-1)\nexcept: pass",
        "import unittest\nwith unittest.TestCase().assertRaises(Exception): f(-1)",
        "import contextlib\nfor x in (1, 2):\n    with contextlib.suppress(BaseException): f(x)",
    ],
)
def test_a_program_that_ends_does_not_pass_where_an_exception_is_expected(box, tests):
    assert box.check("def f(x): raise ValueError", tests=tests, names=["f"]).ok
    done = box.check("import os\ndef f(x): os._exit(0)", tests=tests, names=["f"])
    assert (done.why, done.detail) == ("error", "it ended before it should, with exit code 0")


def test_a_program_that_raises_stop_iteration_stops_no_loop_of_the_tests(box):
    tests = "assert all(map(lambda x: f(x) == 4711, [1, 2]))"
    assert box.check("def f(x): return 4711", tests=tests, names=["f"]).ok
    done = box.check("def f(x): raise StopIteration", tests=tests, names=["f"])
    assert done.why == "error"
    assert done.detail.startswith("CandidateError: StopIteration")
    assert box.check(
        "def f(x): return iter([x])", tests="i = f(1)\nassert next(i) == 1 and list(i) == []", names=["f"]
    ).ok


def test_iterating_without_end_ends(hasty):
    program = "import itertools\ndef f(x): return itertools.count()"
    assert hasty.check(program, tests="assert sum(f(1)) == 1", names=["f"]).why == "timeout"
