import asyncio
import threading

import pytest

from gdesign.tasks.answers.formulas import equivalent, formula


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"Answer: $\dfrac{1}{2}$", "0.5"),
        (r"so \boxed{\left( 3, \frac{\pi}{2} \right)}", r"( 3, \frac{\pi}{2} )"),
        (r"Answer: \boxed{864 \mbox{ inches}^2}", "864"),
        (r"Answer: $\$32,\!348$", "32348"),
        ("Hence $x + 1$ and $x + 2$", "x + 2"),
        ("nothing", None),
    ],
)
def test_formulas_are_tidied(text, expected):
    assert formula(text) == expected


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        ("x^2+2x+1", "(x+1)^2", True),
        (r"\frac{1}{2}", "0.5", True),
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}", True),
        ("(1,2)", "(2,1)", False),
        ("2", r"9^{9^{9^{9^{9}}}}", False),
        ("2", "99999!", False),
        ("2", "9**9**9**9", False),
        ("2", "(x+y+z+1)^{500}", False),
        ("2", r"\int x^x dx", False),
        ("2", "x" * 5000, False),
    ],
)
def test_equivalence_is_mathematical(gold, answer, same):
    assert equivalent(gold, answer) is same


def test_equivalence_works_in_any_thread_and_in_a_running_loop(caplog):
    results = []
    thread = threading.Thread(target=lambda: results.append(equivalent("a^2-b^2", "(a-b)(a+b)")))
    thread.start()
    thread.join()

    async def inside():
        return equivalent("2a+2b", "2(a+b)"), equivalent("2", r"\frac{")

    assert results == [True]
    assert asyncio.run(inside()) == (True, False)
    assert not caplog.records
