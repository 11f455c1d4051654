import threading

import pytest

from gdesign.errors import ConfigError
from gdesign.sandbox import STATEMENTS, Sandbox

TESTS = "assert f(1) == 4711\nassert f(2) == 4712\n"


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
    sandbox = Sandbox(cpu_seconds=1)
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


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        ("x = 2\nx + 3", "5\n"),
        ("'five'", ""),  # a program that is a text is a docstring
        ("x = 'five'\nx", "five\n"),
        ("print(1)\n2", "1\n"),
        ("import sys\nsys.stdout.write('17')", "17"),
        ("def f():\n    print(5)\n    return True\n\nf()", "5\n"),
        ("[].append(1)", ""),
        ("from __future__ import annotations\ndef f(x: int) -> y:\n    return x\n\nf(5)", "5\n"),
        ("if True:\n    5", ""),
        ("print = 5\nprint", "5\n"),
        ("", ""),
    ],
)
def test_as_a_notebook_a_program_shows_its_last_value_where_it_prints_nothing(box, program, printed):
    result = box.run(program, notebook=True)
    assert (result.why, result.stdout) == ("ok", printed)


def test_what_a_notebook_prints_as_bytes_is_printed(box):
    assert box.run("import sys\nsys.stdout.buffer.write(b'42\\n')", notebook=True).stdout == "42\n"


def test_a_script_shows_no_value_and_a_notebook_fails_as_a_script_does(box):
    assert box.run("5").stdout == ""
    for program in ("def f():\n    return 1 / 0\n\n\nf()", "1 +", "raise SystemExit(3)", "x = 1\nx.y"):
        assert box.run(program, notebook=True) == box.run(program)
