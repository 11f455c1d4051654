import os
import socket
import sys
import time
from pathlib import Path

import pytest


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
