import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from gdesign.errors import ConfigError
from gdesign.sandbox.outside import STATEMENTS, Sandbox

LIMITS = {
    "cpu_seconds": 1,
    "memory_bytes": 192 << 20,
    "file_bytes": 1 << 20,
    "output_bytes": 50_000,
}


def made(isolation, wall_seconds):
    sandbox = Sandbox(isolation=isolation, wall_seconds=wall_seconds, **LIMITS)
    try:
        assert sandbox.isolation == isolation
    except ConfigError as error:
        pytest.skip(str(error).split(". Install")[0])
    return sandbox


@pytest.fixture(params=["bubblewrap", "landlock"])
def box(request):
    return made(request.param, 20.0)


@pytest.fixture(params=["bubblewrap", "landlock"])
def hasty(request):
    """A box with little patience, for programs that do not end."""
    return made(request.param, 0.6)


def succeeded(box, attempts, setup=""):
    """Return those of the attempts (expressions) that raise nothing in the box."""
    lines = ["import ctypes, fcntl, os, resource, signal, socket, subprocess, threading, urllib.request", setup]
    lines += ["libc = ctypes.CDLL(None, use_errno=True)", "def call(name, *arguments):"]
    lines += ["    if getattr(libc, name)(*arguments) < 0: raise OSError"]
    lines += [f"for attempt in {list(attempts)!r}:", "    try: eval(attempt)"]
    lines += ["    except (OSError, RuntimeError, ValueError): pass", "    else: print(attempt)"]
    done = box.run("\n".join(lines))
    assert done.ok, done
    return done.stdout.splitlines()


# --------------------------------------------------------------------------- programs


def test_a_program_prints_and_reads(box):
    done = box.run("import sys\nprint(sys.stdin.read().upper())\nprint('so', file=sys.stderr)", stdin="why\n")
    assert (done.why, done.stdout, done.stderr) == ("ok", "WHY\n\n", "so\n")


def test_a_program_that_raises_shows_its_traceback(box):
    done = box.run("def f():\n    return 1 / 0\n\nf()\n")
    assert (done.why, done.detail) == ("error", "ZeroDivisionError: division by zero")
    assert 'File "program.py", line 2, in f\n    return 1 / 0' in done.stderr
    assert "sandbox" not in done.stderr


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("raise SystemExit", "ok"),
        ("raise SystemExit(3)", "error"),
        ("import os; os._exit(0)", "error"),
        ("x =", "error"),
    ],
)
def test_how_a_program_ends_is_told(box, program, why):
    assert box.run(program).why == why


def test_the_usual_library_works(box):
    program = """
        import asyncio, collections, dataclasses, datetime, decimal, functools, heapq, itertools, json, math, random
        import re, statistics, string, tempfile, typing, zoneinfo

        @dataclasses.dataclass
        class A:
            x: int

        async def f():
            await asyncio.sleep(0.01)
            return A(1)

        with tempfile.NamedTemporaryFile("w") as file:
            file.write("x")
        print(asyncio.run(f()), math.gcd(4, 6), re.findall("a", "aba"), decimal.Decimal("0.1"))
    """
    done = box.run("\n".join(line[8:] for line in program.splitlines()))
    assert done.ok, done
    assert done.stdout == "A(x=1) 2 ['a', 'a'] 0.1\n"


def test_a_program_prints_the_same_each_time(box):
    program = "print({'a', 'b', 'c', 'd', 'e'}, hash('x'))"
    assert box.run(program) == box.run(program)


def test_programs_run_at_the_same_time_as_far_as_there_is_room():
    sandbox = Sandbox(max_concurrent=2)
    results = []

    def run(i):
        results.append(sandbox.run(f"print({i})").stdout)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [f"{i}\n" for i in range(5)]


# --------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "import time\ntime.sleep(1000)",
        "import signal\nfor s in range(1, 64):\n    try: signal.signal(s, signal.SIG_IGN)\n    except OSError: pass\n"
        "while True: signal.pause()",
        "int('9' * 4000) ** 10 ** 9",
    ],
    ids=["loop", "loop that ignores signals", "loop that catches all", "sleep", "deaf sleep", "one long instruction"],
)
def test_what_does_not_end_is_ended(hasty, program):
    began = time.monotonic()
    assert hasty.run(program).why == "timeout"
    assert time.monotonic() - began < 5


def test_processor_time_is_limited_however_busy_the_machine_is(box):
    done = box.run("while True: pass")
    assert (done.why, done.detail) == ("timeout", "more than 1 s of processor time")


@pytest.mark.parametrize(
    "program",
    [
        "x = [0] * 10**9",
        "x = []\nwhile True: x.append(bytes(10**6))",
        "import mmap\nmmap.mmap(-1, 10**9)",
    ],
)
def test_what_takes_too_much_memory_fails(box, program):
    assert box.run(program).why in ("memory", "error", "killed")


def test_recursion_without_end_fails(box):
    assert box.run("def f(): return f() + 1\nf()").why == "error"
    deep = "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return max([x], key=f)\nf(1)"
    assert box.run(deep).why in ("killed", "memory", "error")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output_is_cut_off(box, stream):
    began = time.monotonic()
    done = box.run(f"import sys\nwhile True: sys.{stream}.write('x' * 1000)")
    assert done.why == "output"
    assert len(getattr(done, stream)) == 50_000
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "program",
    [
        "open('a', 'w').write('x' * 2**21)",
        "import os\nfor i in range(10**6):\n    with open(f'{i}', 'w') as f: f.write('x' * 10**5)",
        "import os\nfor i in range(10**6): print(open(f'{i}', 'w'))",
        "import os\nfor i in range(10**6): os.mkdir(f'{i}'); os.chdir(f'{i}')",
    ],
    ids=["one file", "many files", "empty files", "folders in folders"],
)
def test_a_disk_is_not_filled(box, program):
    assert box.run(program).why in ("error", "output")


def test_no_process_and_no_thread_is_started(box):
    attempts = [
        "os.fork()",
        "os.forkpty()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv('/bin/true', ['true'])",
        "subprocess.run(['/bin/true'])",
        "threading.Thread(target=lambda: None).start()",
        "call('fork')",
        "call('vfork')",
        "call('syscall', 57)",
        "call('syscall', 435, 0, 0)",
        "call('syscall', 0x40000000 + 57)",
    ]
    assert succeeded(box, attempts) == []
    assert box.run("import os\nwhile True: os.fork()").why == "error"
    assert box.run("import os\nraise SystemExit(os.system('true'))").why == "error"


def test_nothing_is_left_running(hasty):
    before = children()
    hasty.run(
        "import os, time\nfor act in (os.setsid, os.fork):\n    try: act()\n    except OSError: pass\ntime.sleep(100)"
    )
    hasty.check("import time\nf = time.sleep", tests="f(100)", names=["f"])
    for _ in range(100):  # what was killed takes a moment to go, on a busy machine
        if children() == before:
            break
        time.sleep(0.02)
    assert children() == before


def children():
    """Return the sandboxes that this process, or nobody any more, has started and that still run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments, parent = (
                (process / "cmdline").read_text(),
                (process / "stat").read_text().rsplit(")", 1)[1].split()[1],
            )
        except OSError:  # it is gone by now
            continue
        if "marshal.load(file)" in arguments and int(parent) in (1, os.getpid()):
            found.append(process.name)
    return sorted(found)


# --------------------------------------------------------------------------- the world outside


def test_there_is_no_network(box, tmp_path):
    unix = str(tmp_path / "s")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        server.settimeout(0.05)
        other.settimeout(0.05)
        other.bind(unix)
        port = server.getsockname()[1]
        attempts = [
            "socket.socket()",
            "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
            "socket.socket(socket.AF_UNIX)",
            "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
            f"socket.create_connection(('127.0.0.1', {port}), timeout=1)",
            f"urllib.request.urlopen('http://127.0.0.1:{port}', timeout=1)",
            "socket.getaddrinfo('example.org', 80)",
            f"socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', {unix!r})",
            f"socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].connect({unix!r})",
            f"socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendmsg([b'x'], [], 0, {unix!r})",
            "socket.socketpair()[0].bind('mine')",
        ]
        assert succeeded(box, attempts) == []
        for waiting in (server.accept, lambda: other.recv(1)):
            with pytest.raises(TimeoutError):
                waiting()


def test_the_environment_is_empty(box, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret")
    done = box.run(
        "import os, glob\nprint(dict(os.environ))\nfor f in glob.glob('/proc/*/environ'): print(open(f).read())"
    )
    assert "HOME" in done.stdout
    assert "a-secret" not in done.stdout
    assert {"GDESIGN_DATA", "OPENAI_API_KEY", "USER", "VIRTUAL_ENV"}.isdisjoint(eval(done.stdout.splitlines()[0]))


def test_no_process_can_be_looked_into(box):
    pid = os.getpid()
    names = [
        f"/proc/{who}/{what}"
        for who in (pid, 1, "%d")
        for what in ("environ", "mem", "cmdline", "maps", "fd/0", "fd/1", "fd/2", *(f"fd/{i}" for i in range(3, 30)))
    ]
    attempts = [f"open({name!r} % os.getppid(), 'rb')" if "%d" in name else f"open({name!r}, 'rb')" for name in names]
    attempts += ["call('ptrace', 16, os.getppid(), 0, 0)", f"call('ptrace', 16, {pid}, 0, 0)"]
    attempts += [f"os.pidfd_open({pid})", "os.pidfd_open(os.getppid())", "os.pidfd_open(1)"]
    assert succeeded(box, attempts) == []


def test_no_file_outside_can_be_read_or_listed_or_written(box, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a-secret")
    (tmp_path / "folder").mkdir()
    attempts = [
        f"open({str(secret)!r}).read()",
        f"os.listdir({str(tmp_path)!r})",
        f"os.listdir({str(tmp_path.parent)!r})",
        "open(os.path.expanduser('~root/.ssh/id_rsa'))",
        f"open({__file__!r})",
        "open('/etc/passwd')",
        "open('/etc/shadow')",
        f"open({str(secret)!r}, 'a')",
        f"os.remove({str(secret)!r})",
        f"os.rename({str(secret)!r}, 'mine')",
        f"os.link({str(secret)!r}, 'mine')",
        f"os.symlink({str(secret)!r}, 'mine') or open('mine').read()",
        f"os.mkdir({str(tmp_path / 'new')!r})",
        f"os.rmdir({str(tmp_path / 'folder')!r})",
        f"os.chmod({str(secret)!r}, 0)",
        f"os.truncate({str(secret)!r}, 0)",
        f"open({sys.executable!r}, 'ab')",
        f"open({os.__file__!r}, 'a')",
        "open('/dev/mem', 'rb')",
        "open('/sys/kernel/x', 'w')",
        "os.mkfifo('/var/fifo')",
        "os.chroot('.')",
        "call('mount', b'none', b'.', b'tmpfs', 0, None)",
        "call('unshare', 0x10000000)",
        "call('setuid', 0)",
        "call('prlimit', 0, 0, ctypes.create_string_buffer(16), None)",
        "call('memfd_create', b'x', 0)",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10))",
        f"os.utime({str(secret)!r})",
        f"os.chown({str(secret)!r}, 0, 0)",
        f"os.setxattr({str(secret)!r}, 'user.x', b'')",
    ]
    assert succeeded(box, attempts) == []
    assert secret.read_text() == "a-secret"
    assert secret.stat().st_mode & 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "secret"]


def test_a_program_has_a_folder_of_its_own_that_is_empty_and_gone_afterwards(box):
    program = "import os\nprint(os.getcwd(), os.listdir(), os.environ['HOME'])\nopen('a', 'w').write('x')"
    first, second = box.run(program), box.run(program)
    folder = first.stdout.split()[0]
    assert first.ok
    assert first.stdout.endswith(f" [] {folder}\n")
    assert " [] " in second.stdout
    assert not Path(folder).exists()


def test_no_open_file_is_inherited(box, tmp_path):
    (tmp_path / "secret").write_text("a-secret")
    with (tmp_path / "secret").open() as file:
        os.set_inheritable(file.fileno(), True)
        program = """
import os
for fd in range(3, 1000):
    for act in (lambda: os.lseek(fd, 0, 0), lambda: print(os.read(fd, 100)), lambda: os.dup(fd)):
        try: act()
        except OSError: pass
"""
        sent = program.replace("print(os.read(fd, 100))", "os.fstat(fd).st_size and print(os.pread(fd, 100, 0))")
        assert "a-secret" not in box.run(sent).stdout


def test_nobody_else_is_sent_a_signal(box):
    whom = ["os.getppid()", "1", "-1", "0", str(os.getpid())]
    attempts = [f"os.kill({pid}, signal.SIGTERM)" for pid in whom]
    attempts += [f"fcntl.fcntl(0, fcntl.F_SETOWN, {pid})" for pid in whom]
    attempts += [f"os.killpg({os.getpgrp()}, signal.SIGTERM)", "os.setpgid(0, 0)", "os.setsid()"]
    assert succeeded(box, attempts) == []


# --------------------------------------------------------------------------- tests that hold a program


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


# --------------------------------------------------------------------------- what is in force


def test_what_is_in_force_is_known_and_has_words():
    assert Sandbox().isolation in STATEMENTS


def test_without_any_means_programs_are_refused_and_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"bwrap is not installed.*apt install bubblewrap.*GDESIGN_SANDBOX=none"):
        Sandbox(isolation="bubblewrap").run("pass")


def test_a_weaker_setting_is_taken_from_the_environment_alone(monkeypatch):
    with pytest.raises(ConfigError, match="expected auto, bubblewrap or landlock"):
        Sandbox(isolation="none")
    monkeypatch.setenv("GDESIGN_SANDBOX", "none")
    sandbox = Sandbox(**LIMITS)
    assert sandbox.isolation == "none"
    assert sandbox.run("print(1)").stdout == "1\n"
    assert sandbox.run("while True: pass").why == "timeout"
    assert sandbox.check("def f(x): return x + 4710", tests=TESTS, names=["f"]).ok
    assert not sandbox.check("import os; os._exit(0)", tests=TESTS, names=["f"]).ok
    monkeypatch.setenv("GDESIGN_SANDBOX", "off")
    with pytest.raises(ConfigError, match="GDESIGN_SANDBOX is 'off'"):
        sandbox.run("pass")


@pytest.mark.parametrize(
    "limit", ["cpu_seconds", "wall_seconds", "memory_bytes", "file_bytes", "output_bytes", "max_concurrent"]
)
def test_a_limit_is_above_zero(limit):
    with pytest.raises(ConfigError, match=f"{limit} of the sandbox is 0"):
        Sandbox(**{limit: 0})
