from fractions import Fraction

import pytest

from gdesign.tasks.answers.expressions import decimal, equal, expression, printed
from gdesign.tasks.answers.notation import UnreadableError, tokens


def value(text):
    return expression(tokens(text))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (".5", Fraction(1, 2)),
        ("12.50", Fraction(25, 2)),
        ("3e-7", Fraction(3, 10**7)),
        (r"0.1\overline{6}", Fraction(1, 6)),
    ],
)
def test_decimals_are_exact(text, same):
    assert decimal(text) == same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\frac{2}{\sqrt{8}}", r"\frac{\sqrt{2}}{2}"),
        ("(x-1)^2", "x^{2} - 2 x + 1"),
        (r"\frac{x^2-1}{x-1}", "x + 1"),
        (r"\ln 8", r"3 \ln(2)"),
        (r"\frac{1}{1-i}", r"\frac{1}{2} + \frac{i}{2}"),
        (r"2\sin x\cos x", r"2 \sin(x) \cos(x)"),
        ("3!", "6"),
        (r"\binom{6}{2}", "15"),
        (r"-\frac{1}{3}", "-1/3"),
    ],
)
def test_an_expression_has_one_text_that_reads_as_itself(text, expected):
    assert printed(value(text)) == expected
    assert printed(value(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["9^{9^9}", "2^{100000}", "5000!", "5!!", "10^{10^{10}}", "1e999", "1/0", "0^0", "0^{-2}", "2 3", "x+", "(" * 99],
)  # fmt: skip
def test_what_is_too_large_or_no_expression_is_unreadable(text):
    with pytest.raises(UnreadableError):
        value(text)


def test_what_differs_in_the_fortieth_digit_differs():
    assert not equal(value("1/3^{60}"), value("1/3^{61}"))
    assert not equal(value("1.0000000000000000000000000000000000000001"), value("1"))
    assert equal(value(r"\sqrt{2}\sqrt{3}"), value(r"\sqrt6"))
    assert not equal(value(r"\sqrt{x^2}"), value("x"))
