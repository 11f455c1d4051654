import pytest

from gdesign.errors import DataError
from gdesign.sandbox import Sandbox
from gdesign.tasks.suites import fault, suite_of

TRIPLE = "import math\n\ndef triple(x):\n    if x is None:\n        raise ValueError('no number')\n    return 3 * x"
WRONG = "def triple(x):\n    return x + 100"
CLASS = """
class Stack:
    def __init__(self):
        self.items = []
    def push(self, x):
        self.items.append(x)
    def pop(self):
        return self.items.pop()
"""


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox()


def passes(sandbox, program, suite):
    return sandbox.check(program, tests=suite.tests, names=suite.names).ok


MEANT = {
    "lines": "assert triple(2) == 6",
    "indented lines with windows' ends": "    x = 2\r\n    assert triple(x) == 6\r\n",
    "pytest": "def test_it():\n    assert triple(2) == 6",
    "pytest, with the program imported": "from solution import triple\n\ndef test_it():\n    assert triple(2) == 6",
    "the program's file imported": "import solution\n\ndef test_it():\n    assert solution.triple(2) == 6",
    "it imported under another name": "import my_code as m, math\nassert m.triple(math.floor(2.5)) == 6",
    "its function under another name": "from code_of import triple as thrice\nassert thrice(2) == 6",
    "a call that says whether": "all(triple(x) == 3 * x for x in (1, 2))",
    "cases by keywords": """
import pytest

@pytest.mark.parametrize(argnames="x,y", argvalues=[(1, 3), (2, 6)])
def test_it(x, y):
    assert triple(x) == y
""",
    "everything imported": "from main import *\n\ndef test_it():\n    assert triple(2) == 6",
    "cases": """
import pytest

@pytest.mark.slow
@pytest.mark.parametrize("x, y", [(1, 3), pytest.param(2, 6, id="two")])
@pytest.mark.parametrize("z", [0, 1])
def test_it(x, y, z):
    assert triple(x) + z == y + z
""",
    "raises and approx": """
import pytest
from pytest import approx

def test_it():
    assert triple(0.1) == approx(0.3) and [triple(0.1)] == approx([0.3]) and triple(1) != approx(3.1)
    with pytest.raises(ValueError, match="number") as caught:
        triple(None)
    assert "no" in str(caught.value)
    pytest.raises(ValueError, triple, None)
""",
    "a class": "class TestTriple:\n    x = 2\n    def test_it(self):\n        assert triple(self.x) == 6",
    "unittest": """
import unittest

class Base(unittest.TestCase):
    def setUp(self):
        self.x = 2

class TripleTest(Base):
    def test_it(self):
        with self.subTest(x=self.x):
            self.assertEqual(triple(self.x), 6)

    @unittest.skip("later")
    def test_later(self):
        self.fail()

if __name__ == "__main__":
    unittest.main(verbosity=2)
""",
    "unittest's main by name": """
from unittest import TestCase, main

class TripleTest(TestCase):
    def test_it(self):
        self.assertEqual(triple(2), 6)

main()
""",
    "a main guard": "def check(f):\n    assert f(2) == 6\n\nif '__main__' == __name__:\n    check(triple)",
    "a main guard that runs pytest": """
import sys, pytest
def test_it():
    assert triple(2) == 6
if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
""",
    "a function that nothing calls": "def check():\n    for x in range(3):\n        assert triple(x) == 3 * x",
    "a function that another one calls": "def check(x):\n    assert triple(x) == 3 * x\n\ndef test_it():\n    check(2)",
    "a tuple": "assert (triple(2) == 6, 'triple of two')",
    "a tuple of tests": "assert (triple(0) == 0, triple(2) == 6)",
    "comparisons": "triple(0) == 0\ntriple(2) == 6 and triple(1) == 3",
    "a comparison in a function": "def test_it():\n    triple(2) == 6",
    "examples": ">>> x = 2\n>>> triple(x)\n6\n>>> for i in range(2):\n...     print(triple(i))\n0\n3",
    "examples that raise": """
Some words.

    >>> triple(2)
    6
    >>> triple(None)
    Traceback (most recent call last):
        ...
    ValueError: no number
""",
}


@pytest.mark.parametrize("tests", MEANT.values(), ids=MEANT.keys())
def test_tests_are_run_as_they_were_meant(sandbox, tests):
    suite = suite_of(TRIPLE, tests, where="here")
    assert suite.names == ("triple",)
    assert fault(TRIPLE, suite, sandbox) == ""
    assert not passes(sandbox, WRONG, suite)


@pytest.mark.parametrize(
    ("tests", "says"),
    [
        ("def test_it(tmp_path):\n    assert triple(2) == 6", r"hold test_it\(tmp_path\), which nothing calls"),
        (
            "def check(candidate):\n    assert candidate(2) == triple(2)",
            r"hold check\(candidate\), which nothing calls",
        ),
        (
            "import pytest\n@pytest.fixture\ndef two():\n    return 2\ndef test_it(two):\n    assert triple(two) == 6",
            "the decorator @pytest.fixture",
        ),
        (
            "import pytest\n@pytest.mark.skip\ndef test_it():\n    assert triple(2) == 6",
            "the decorator @pytest.mark.skip",
        ),
        (
            "import pytest\n@pytest.mark.parametrize('x', [1], indirect=True)\ndef test_it(x):\n    assert triple(x)",
            "indirect",
        ),
        ("async def test_it():\n    assert triple(2) == 6", "the async test test_it"),
        (
            "class TestIt:\n    def setup_method(self): ...\n    def test(self): assert triple(2) == 6",
            "TestIt.setup_method",
        ),
        ("class TestIt:\n    def test(self, two): assert triple(two) == 6", r"TestIt\.test\(two\)"),
        (
            "from unittest import IsolatedAsyncioTestCase as T, IsolatedAsyncioTestCase\n"
            "class TestIt(IsolatedAsyncioTestCase):\n    def test(self): assert triple(2) == 6",
            "the async tests of TestIt",
        ),
        ("import doctest\ntriple(2)\ndoctest.testmod()", r"doctest\.testmod"),
        (">>> triple(2) # doctest: +ELLIPSIS\n6", "options of doctest"),
        (">>> triple(2)\n6\n>>> if True:\n...     triple(\n...", "cannot be read"),
        ("print('ok')", "use nothing .*triple"),
    ],
)
def test_what_is_not_run_is_named(tests, says):
    with pytest.raises(DataError, match=f"^here: .*(?:{says})"):
        suite_of(TRIPLE, tests, where="here")


@pytest.mark.parametrize(
    ("tests", "says"),
    [
        ("triple(2)", "return meaningless objects"),
        ("print(triple(2))", "return meaningless objects"),
        ("assert triple(2), 6", "return meaningless objects"),
        ("assert triple", "return meaningless objects"),
        ("assert triple(1) is not None", "return meaningless objects"),
        ("assert triple(1) != triple(2)", "return meaningless objects"),
        ("x = triple\nassert x(1).__class__ != x", "return meaningless objects"),
        ("def test_it():\n    return triple(2) == 6", "return meaningless objects"),
        (
            "def outer():\n    def inner():\n        assert triple(2) == 6\nouter()\ntriple(0)",
            "return meaningless objects",
        ),
        ("try:\n    assert triple(2) == 6\nexcept AssertionError:\n    print('no')", "return meaningless objects"),
        ("if triple(2) != 6:\n    print('wrong')", "return meaningless objects"),
        ("import pytest\nwith pytest.raises(Exception):\n    triple(None)", "always raise"),
        ("try:\n    assert triple(2) == 6\nexcept Exception:\n    pass", "return meaningless objects"),
        ("import unittest\nclass A(unittest.TestCase):\n    def test(self): triple(2)", "return meaningless objects"),
    ],
)
def test_tests_that_nonsense_passes_are_told(sandbox, tests, says):
    assert f"so does a program whose functions {says}" in fault(TRIPLE, suite_of(TRIPLE, tests, where="here"), sandbox)


@pytest.mark.parametrize(
    ("reference", "tests"),
    [
        (CLASS, "s = Stack()\ns.push(1)\nassert s.pop() == 1"),
        (CLASS, "def test_it():\n    s = Stack()\n    s.push(1)\n    assert len(s.items) == 1"),
        ("LIMIT = 3", "assert LIMIT == 3"),
        ("def is_odd(x): return x % 2 == 1", "assert is_odd(3)\nassert not is_odd(2)"),
        ("def sort(x): x.sort()", "x = [2, 1]\nassert sort(x) is None\nassert x == [1, 2]"),
        ("def up(n):\n    yield from range(n)", "assert list(up(2)) == [0, 1]"),
        ("def grow(x): return x + 1", "x = 0\nwhile x < 3:\n    x = grow(x)\nassert x == 3"),
        (
            "def refuse(x): raise KeyError(x)",
            "try:\n    refuse(1)\nexcept KeyError:\n    pass\nelse:\n    assert False",
        ),
    ],
)
def test_tests_that_say_something_are_taken(sandbox, reference, tests):
    assert fault(reference, suite_of(reference, tests, where="here"), sandbox) == ""


def test_a_reference_that_is_wrong_is_told_with_the_test(sandbox):
    said = fault(WRONG, suite_of(WRONG, "def test_it():\n    assert triple(2) == 6", where="here"), sandbox)
    assert said.startswith("fails its tests: AssertionError")
    assert "in the test: assert triple(2) == 6" in said
    case = "import unittest\nclass A(unittest.TestCase):\n    def test(self): self.assertEqual(triple(2), 6)"
    assert "102 != 6" in fault(WRONG, suite_of(WRONG, case, where="here"), sandbox)


def test_tests_that_nonsense_keeps_busy_are_taken():
    slow = Sandbox(cpu_seconds=1, wall_seconds=3)
    tests = "x = 1\nwhile triple(x) != 3:\n    pass\nassert triple(2) == 6"
    assert fault(TRIPLE, suite_of(TRIPLE, tests, where="here"), slow) == ""
