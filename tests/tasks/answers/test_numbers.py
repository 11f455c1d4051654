from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.tasks.answers.numbers import number

FEW = settings(deadline=None, max_examples=60)


NUMBER_DRESSES = [
    "{}",
    "Answer: {}",
    "Answer: {}.",
    "**Answer:** {}",
    "Answer: **{}**",
    "Final answer: ${}",
    "The answer is {}.",
    "The answer is ${}",
    "I first got 7, and that was wrong.\nAnswer: {} dollars per day",
    "3 * 6 is 18\n#### {}",
    r"so it is \boxed{{{}}}",
    r"Answer: $\boxed{{{}}}$",
    "In all 5 cases it is **{}**",
    "Answer: {}%",
    "Answer: {} USD",
    "Answer:\n{}",
    "Answer: x = {}",
]


@FEW
@given(st.decimals(-(10**9), 10**9, places=3) | st.integers(-(10**12), 10**12), st.sampled_from(NUMBER_DRESSES))
def test_a_number_in_any_dress_reads_the_same(value, dress):
    plain = number(str(value))
    assert plain is not None
    assert Fraction(plain) == Fraction(value)
    assert number(dress.format(value)) == plain
    assert number(dress.format(f"{value:,}")) == plain
    assert number(plain) == plain


@FEW
@given(st.integers(-999, 999), st.integers(1, 999), st.sampled_from(NUMBER_DRESSES))
def test_a_fraction_in_any_dress_reads_the_same(top, bottom, dress):
    read = number(dress.format(f"{top}/{bottom}"))
    assert read is not None
    assert Fraction(read) == Fraction(top, bottom)


@FEW
@given(st.decimals(-1000, 1000, places=4))
def test_a_number_reads_the_same_in_scientific_notation(value):
    assert number(f"{value:e}") == number(str(value))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Answer: 1 3/4", "1.75"),
        (r"Answer: $\frac{2}{3}$", "2/3"),
        (r"\boxed{-\dfrac{1}{4}}", "-0.25"),
        ("Answer: -$5", "-5"),
        ("Answer: $-5", "-5"),
        ("Answer: \u22125", "-5"),
        ("10 - 5", "5"),
        ("pages 3-5", "5"),
        ("1.5 x 10^3", "1500"),
        (r"1{,}234\,567", "1234567"),
        ("Answer: 2 million", "2000000"),
        ("Answer: 9 * 2 = 18", "18"),
        ("The answer is 18. Check: 5 + 3 = 8", "18"),
        ("Answer: 4\nWait.\nAnswer: 5", "5"),
        ("no digits", None),
        ("1/0", None),
        ("1e999999999", None),
        ("", None),
    ],
)
def test_numbers_are_read_as_people_write_them(text, expected):
    assert number(text) == expected


def test_decimals_are_exact():
    assert number(str(Decimal("0.1") + Decimal("0.2"))) == "0.3"
