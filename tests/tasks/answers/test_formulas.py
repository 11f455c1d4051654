import asyncio
import threading
from itertools import combinations
from time import perf_counter

import pytest

from gdesign.tasks.answers.formulas import equivalent, formula


def right(gold, reply):
    """Whether a reply is right, as the benchmarks grade it."""
    answer = formula(f"Answer: {reply}")
    return answer is not None and equivalent(gold, answer)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"Answer: $\dfrac{1}{2}$", "0.5"),
        (r"so \boxed{\left( 3, \frac{\pi}{2} \right)}", r"(3, \frac{\pi}{2})"),
        (r"Answer: \boxed{864 \mbox{ inches}^2}", "864"),
        (r"Answer: $\$32,\!348$", "32348"),
        ("Hence $x + 1$ and $x + 2$", "x + 2"),
        ("Answer: **Clockwise**.", "clockwise"),
        ("nothing", None),
        (r"答案是 $\frac{3}{4}$。", "0.75"),
        (r"答案是 \(\frac34\)。", "0.75"),
        ("Answer: 12 345,25", "12345.25"),
        ("Antwort: 7,5", "7.5"),
        ("Respuesta: $0,125$", "0.125"),
        ("Answer: 7,5", "5, 7"),
        ("So:\n\\[\n\\begin{pmatrix} 1 \\\\[4pt] x \\end{pmatrix}\n\\]", formula(r"Answer: $(1, x)$")),
    ],
)
def test_formulas_are_read_in_one_form(text, expected):
    assert formula(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "**Answer:** \\[\n\\boxed{\\frac{7}{4}}\n\\]",
        "Answer:\n$$\n\\frac{7}{4}\n$$",
        "Answer: \\(\n1.75\n\\)",
        "Answer: We add up both of the parts.\n\n$1 + \\frac34$\n\n\\boxed{7/4}",
        "The final answer is $\\boxed{\\tfrac74}$.",
        "Answer: $1\\frac{3}{4}$",
        r"Answer: $\\frac{7}{4}$",
    ],
)
def test_a_displayed_or_boxed_formula_is_found(text):
    assert formula(text) == "1.75"


@pytest.mark.parametrize(
    ("gold", "replies"),
    [
        (r"5\sqrt{7}", ["5√7", "5*sqrt(7)", "5 · √7", r"$\sqrt{175}$", "5*7**0.5", "5 sqrt(7) cm"]),
        (r"y^3-2y", ["y³ − 2y", "y**3 - 2*y", "y^3-2y", "$y(y^2-2)$", "y*y*y - 2 y"]),  # noqa: RUF001
        (r"\frac{3\pi}{4}", ["3π/4", "3*pi/4", "¾π", "0.75*pi", r"$\dfrac{3}{4}\pi$ radians"]),
        (r"[-1,\infty)", ["[−1, ∞)", "x ≥ -1", "-1 <= t", "{x | x ≥ -1}", "[-1, oo)", r"$x \in [-1, +\infty)$"]),  # noqa: RUF001
        (r"(-\infty,0)\cup(2,\infty)", ["(-∞,0) ∪ (2,∞)", "x > 2 or x < 0", "(2, ∞) U (-∞, 0)"]),  # noqa: RUF001
        (r"(3,5]", ["3 < x ≤ 5", "5 >= y > 3", "x > 3 and x ≤ 5", r"$x\in(3,5]$"]),
        (r"2 \pm \sqrt{6}", ["2 ± √6", "2 + √6, 2 - √6", r"$x = 2+\sqrt6$ or $x = 2-\sqrt6$", "{2-√6, 2+√6}"]),
        (r"e^{3}+1", ["exp(3) + 1", "e³ + 1", "e**3 + 1", r"$\mathrm{e}^3+1$"]),
        (r"3-2i", ["3 - 2*i", "3.0 - 2.0i", "-2i + 3", "3 - 2*I"]),
        (r"\ln 5", ["ln(5)", "log(5)", r"$\log_e 5$"]),
        (r"\log_3 7", ["log_3(7)", "log₃ 7", r"$\frac{\ln 7}{\ln 3}$", "log(7)/log(3)"]),
        (r"\sin^2 x", ["sin(x)**2", "sin²(x)", r"$1-\cos^2 x$"]),
        ("312_7", ["312₇", "$312_{7}$", "312 (base 7)", "312 base 7", "312"]),
        (r"2\frac{3}{8}", ["2 3/8", "2⅜", "19/8", "2.375", r"$2 \frac38$"]),
        (r"0.\overline{27}", ["3/11", r"$0.\overline{27}$"]),
        ("0.0000451", ["4.51e-5", "4.51 × 10⁻⁵", r"$4.51 \cdot 10^{-5}$"]),  # noqa: RUF001
        (r"60^\circ", ["60°", "60 degrees", r"$\angle B = 60^\circ$", "60"]),
        ("40", ["There are 40 of them", "only 40", "40 (forty)", "n = 40, because $8 \\cdot 5 = 40$", "40%", "$40"]),
        (r"\frac{2}{7}", ["2/7 ≈ 0.2857", "2/7 = 0.2857", r"$P = \frac27$ (about 0.286)", "2/7 or 0.2857", "0.285714"]),
        ("2, 11", ["$2$ and $11$", "11, 2", "x = 2 or x = 11", r"$\{11, 2\}$", "$x_1=11$, $x_2=2$", "(2, 11)"]),
        (r"(4,\frac12)", ["(4, 0.5)", "x = 4, y = 1/2", "(x, y) = (4, ½)", r"$\left(4,\,\tfrac12\right)$"]),
        (r"\begin{pmatrix} 2 \\ 9 \end{pmatrix}", ["(2, 9)", r"$\begin{bmatrix}2\\9\end{bmatrix}$", "⟨2, 9⟩"]),
        (
            r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
            ["[[1, 2], [3, 4]]", "$\\begin{pmatrix}\n1 & 2 \\\\\n3 & 4\n\\end{pmatrix}$"],
        ),
        ("y = 4x - 1", ["4x - 1", "y = -1 + 4x", "$4x - y - 1 = 0$", "$f(x)=4x-1$"]),
        ("2x - 3y = 6", ["-2x + 3y + 6 = 0", "$4x - 6y = 12$"]),
        (r"\text{odd}", ["odd", "Odd.", "The function is odd", "odd, because f(-x) = -f(x)"]),
        (r"\emptyset", ["∅", "no solution", "There are no real solutions"]),
        (r"\mathbb{R}", ["all real numbers", "ℝ", "(-∞, ∞)"]),  # noqa: RUF001
        ("3:5", ["3 : 5", "6:10", "3/5"]),
        ("21", ["twenty-one", "$21$ hours", "21st", "21 m/s", "21 (or 21.0)", "There are $21$ such pairs"]),
        (r"\text{II and III}", ["II, III", "II and III"]),
        ("-7", ["negative 7", "Minus 7.", r"negative $7$"]),
        ("1.25", [r"$y \approx 1.25$", "x ≈ 1.25"]),
        (r"\pi", [r"$\pi \approx 3.14$"]),
        ("2:7", ["2 to 7"]),
        ("1101_2", [r"$(1101)_2$", "(1101)_2"]),
        (r"\frac{3}{2}", ["2 - 1/2", "2-1/2", "1 1/2", "1.5 hours"]),
    ],
)  # fmt: skip
def test_a_formula_is_right_in_every_notation(gold, replies):
    assert [r for r in replies if not right(gold, r)] == []


@pytest.mark.parametrize(
    ("gold", "replies"),
    [
        ("0.0000451", ["0.0000452", "0.00000451", "0"]),
        ("2.0000003", ["2.0000004", "2"]),
        (r"\frac{1}{3^{50}}", [r"$\frac{1}{3^{51}}$", "0"]),
        (r"\frac{1}{1003!}", [r"$\frac{1}{1005!}$"]),
        (r"\frac{1}{3}", ["0.33", "0.333334", "0.3"]),
        ("312_7", ["312_8", "213_7", "156"]),
        (r"(3,5]", ["[3,5]", "(3,5)", "3 ≤ x ≤ 5", "(5,3]"]),
        ("(1,4)", [r"$\{1,4\}$", "(4,1)", "[1,4]", "4, 1"]),
        ("1,4", ["(4,1)", "1, 4, 5", "14"]),
        (r"\{1,4\}", ["(1,4)", "{1}"]),
        (r"5\sqrt{7}", [r"$-5\sqrt7$", r"$7\sqrt5$", "5", "13.2", r"$5\sqrt[3]{7}$"]),
        (r"1-\frac{1}{e}", [r"$1+\frac{1}{\mathrm{e}}$"]),
        (r"\pm 11", ["11", "-11"]),
        ("p - q", ["q - p", "p + q"]),
        (r"\frac{x+1}{2}", ["x+1/2", "(x-1)/2"]),
        ("9:30", ["8:30", "9:31"]),
        (r"1, 2, \ldots, n", [r"$1, 3, \ldots, n$"]),
        (r"\sum_{k=1}^n k^2", [r"$\sum_{k=1}^n k^3$"]),
        ("|x|", ["x"]),
        (r"\text{Saturday}", ["Sunday", "6"]),
        ("40", ["There are 41 ways", "40x", "40 or 41", "-40"]),
        ("1 hour 30 minutes", ["1 hour 45 minutes", "1"]),
        ("5", ["not 5", "between 5 and 6", "1.5.5", "three fifths"]),
        (r"\triangle ABC", [r"$\triangle ABD$"]),
        (r"\text{June 5}", ["July 5", "5"]),
        ("-1", ["II"]),
    ],
)
def test_another_formula_is_wrong(gold, replies):
    assert [r for r in replies if right(gold, r)] == []


@pytest.mark.parametrize(
    "replies",
    [
        ("$(7,8)$", "$( 7, 8 )$", "x=7, y=8", r"$\left(7,8\right)$"),
        (r"$4\sqrt5$", "4√5", r"$\sqrt{80}$", "4*sqrt(5)"),
        ("$n=12$", "12", "There are 12 ways", "12.0"),
        ("3 and -2", "$-2, 3$", "{3, -2}", "x = 3 or x = -2"),
        ("$(x+1)(x-2)$", "x^2 - x - 2", "x² - x - 2"),
        (r"$\frac{1}{1+\sqrt2}$", r"$\sqrt2-1$", "√2 - 1"),
        ("$1 < x < 6$", "(1, 6)", "x > 1 and x < 6"),
        ("$2x+1$", "y = 2x + 1", "1 + 2x"),
        (r"$\text{East}$", "east", "**East**"),
    ],
)
def test_equal_formulas_are_the_same_string(replies):
    assert len({formula(f"Answer: {r}") for r in replies}) == 1


@pytest.mark.parametrize("mark", [r"\(", r"\["])
def test_marks_that_are_never_closed_take_no_longer(mark):
    began = perf_counter()
    formula(f"x {mark} y " * 8_000)
    assert perf_counter() - began < 1


def test_a_list_is_a_pair_where_the_question_asks_for_one():
    assert formula("Answer: 9, 4") == "4, 9"
    assert formula("Answer: 9, 4", ordered=True) == "(9, 4)"


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        ("x^2+2x+1", "(x+1)^2", True),
        (r"\frac{1}{2}", "0.5", True),
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}", True),
        (r"\sqrt{1/n}", r"\frac{1}{\sqrt{n}}", True),
        (r"(1,3)\cap(2,5)", r"(2,5) \cap (1,3)", True),
        ("(1,2)", "(2,1)", False),
        ("2", r"9^{9^{9^{9^{9}}}}", False),
        ("2", "99999!", False),
        ("2", "9^{40!}", False),
        ("2", "9**9**9**9", False),
        ("2", "(x+y+z+1)^{500}", False),
        ("2", r"\int x^x dx", False),
        ("2", "x" * 5000, False),
        ("2", "(" * 300 + "2" + ")" * 300, False),
    ],
)
def test_equivalence_is_mathematical(gold, answer, same):
    assert equivalent(gold, answer) is same


@pytest.mark.parametrize(
    "formulas", [("1", "2", "-1", "1/2", "x", "1, 2", "(1,2)", "[1,2]", "1_2", "a", r"\pi", "2:1", r"\infty")]
)
def test_unlike_formulas_differ_in_both_orders(formulas):
    same = {("1", "1_2"), ("1, 2", "(1,2)"), ("2", "2:1")}  # digits without a base; order unsaid; a ratio's value
    for pair in combinations(formulas, 2):
        for a, b in (pair, pair[::-1]):
            assert equivalent(a, b) is ((a, b) in same or ((b, a) in same and "," not in a)), (a, b)


@pytest.mark.parametrize(
    "text", ["\\frac{", "}{", "$", "^^", "\\left(", "((((1", "1//0", "\\frac{1}{0}", "0^{-1}", "\\sqrt", "=,=", "\x00"]
)
def test_no_text_raises(text):
    formula(f"Answer: {text}")
    equivalent("2", text)


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
