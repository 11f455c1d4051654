import pytest

from gdesign.errors import DataError
from gdesign.sandbox import Sandbox
from gdesign.tasks.programs import Suite, grader, imports, names_under_test

F = "def f(x):\n    return x"


def test_what_tests_use_of_a_program():
    reference = "import math\nX = 1\nclass A: pass\ndef f(x): return helper(x)\ndef helper(x): return x"
    assert names_under_test(reference, "assert f(A()) == math.pi + X", where="here") == ("X", "A", "f")
    assert imports(reference) == "import math"
    with pytest.raises(DataError, match="here: the tests use nothing"):
        names_under_test(reference, "assert True", where="here")


@pytest.mark.parametrize(
    "tests",
    [
        "def f(): return 1\nassert f() == 1",
        "from math import gcd as f\nassert f(4, 6) == 2",
        "class f: pass\nassert f()",
        "f = len\nassert f([]) == 0",
        "for f in (1, 2): assert f",
        "def check(f): assert f\ncheck(1)",
        "def check():\n    global f\n    f = 1\ncheck()\nassert f",
        "assert [f for f in (1, 2)]",
        "x = 'f'",
        "f = 1",
    ],
)
def test_names_that_tests_define_themselves_are_none_of_the_program(tests):
    with pytest.raises(DataError, match="here: the tests use nothing"):
        names_under_test("def f(): return 1", tests, where="here")


@pytest.mark.parametrize(
    "tests",
    [
        "def check(x):\n    f = x\n    return f\nassert check(f()) == 1",
        "def check():\n    def inner(): return f()\n    return inner()\nassert check() == 1",
        "class Case:\n    def test(self): assert f() == 1\nCase().test()",
        "assert [x for x in f()]",
        "f.x = f()\nf()[0] = 1",
    ],
)
def test_names_that_tests_use_of_a_program_are_found_wherever_they_stand(tests):
    assert names_under_test("def f(): return 1", tests, where="here") == ("f",)


class Counting(Sandbox):
    num = 0

    def check(self, *arguments, **options):
        self.num += 1
        return super().check(*arguments, **options)


def test_the_same_program_is_graded_once():
    sandbox = Counting()
    grade = grader(sandbox)
    suite = Suite(tests="assert f(1) == 1", names=("f",))
    assert [grade(suite, F), grade(suite, F), grade(suite, F + " + 1")] == [1, 1, 0]
    assert sandbox.num == 2
