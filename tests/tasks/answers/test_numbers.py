# ruff: noqa: RUF001 (other scripts are meant)
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.tasks.answers.numbers import is_one_number, number

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


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("9,876.5", "9876.5"),
        ("9.876,5", "9876.5"),
        ("2.345.678", "2345678"),
        ("9 876,50", "9876.5"),
        ("9\u202f876,50", "9876.5"),
        ("9 876", "9876"),
        ("7'654'321.25", "7654321.25"),
        ("7’654", "7654"),
        ("45,67,890", "4567890"),
        ("3,75", "3.75"),
        ("0,875", "0.875"),
        ("8,125", "8125"),
        ("8.125", "8.125"),
        ("٤٢", "42"),
        ("٤٫٥", "4.5"),
        ("৯৮৭", "987"),
        ("๔๒", "42"),
        ("４２．５", "42.5"),
        ("2¾", "2.75"),
        ("⅜ of it", "0.375"),
        ("5 × 10⁴", "50000"),
        ("5 × 10⁻²", "0.05"),
        ("2⁵", "32"),
        ("2^{-2}", "0.25"),
        ("－42", "-42"),
        ("‒42", "-42"),
        ("—42", "-42"),
        ("minus 42", "-42"),
        ("negative 4.2", "-4.2"),
        ("12 m² of cloth", "12"),
        ("3 dollars and 5 cents", "3.05"),
        ("€2.5bn", "2500000000"),
        ("7k", "7000"),
        ("$7M", "7000000"),
        ("thirty-four", "34"),
        ("two thousand and five pens", "2005"),
        ("27 = 9 + 18", "27"),
        ("n = 9 * 3 = 27", "27"),
        ("27 (9 + 18 = 27, and 3 boxes are left)", "27"),
        ("27, since 9 * 3 = 27 and 8 * 3 = 24", "27"),
        ("27 because 54 / 2 = 27 eggs, 9 a day", "27"),
        ("27 eggs in 3 nests", "27"),
        ("It holds 27 eggs after 3 days", "27"),
        ("27 eggs (of 30)", "27"),
        ("100, or 100%", "100"),
        ("0.15, or 15%", "15"),
    ],
)
def test_a_stated_number_may_be_written_in_many_ways(written, expected):
    assert number(f"First I had 3, then 4.\n\nAnswer: {written}") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Der Preis ist 2,5 mal so hoch.\nAntwort: 4.500 Euro", "4500"),
        ("Das sind 4.500 Stück für die Stadt und den Rest.", "4500"),
        ("The price is 2.5 times as high.\nAnswer: 4.500", "4.5"),
        ("Il gagne 4 500 euros pour les deux mois.", "4500"),
        ("Получается 4 500 рублей.", "4500"),
        ("It is $4 500.", "4500"),
        ("He gives 2 500-dollar bills.", "500"),
    ],
)
def test_a_point_and_a_space_are_read_as_the_language_of_the_text_writes_them(text, expected):
    assert number(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8 * 9 = 72. So in 3 weeks she reads 72 pages.", "72"),
        ("8 * 9 = 72. Therefore she reads 72 pages in 3 weeks.", "72"),
        ("They pay 40 + 32 = 72 euros for 3 nights.", "72"),
        ("They pay 40 + 32 = $<<40+32=72>>72 for 3 nights.", "72"),
        ("So 3 nights cost **72 euros** for 2 people.", "72"),
        ("So she has 72 pages to read in 3 weeks.", "72"),
        ("She arrives at 11:00 PM after 72 miles.", "72"),
        ("She needs 72 points in the 6th game.", "72"),
        ("#### Step 1: Add\n40 + 32\n#### Step 2: Check\nIt is 72.", "72"),
        ("#### 3. Result\nIt is \\boxed{72}.", "72"),
        ("40 + 32\n#### 72", "72"),
        ("40 + 32\n#### $72.00", "72"),
        ("**72 pages**\n\nNote: I took a week for 7 days.", "72"),
        ("72\n\nWhy? There are 3 weeks of 24 pages.", "72"),
        ("So we have 2x + 72 pages.", None),
        ("So the answer is \\boxed{12 + x}.", None),
        ("Answer: 40 and 32", None),
        ("Jibu: 40 au 41", None),
        ("So it is $\\boxed{40}$ or $\\boxed{41}$.", None),
        ("Answer: 40 cats, 32 dogs", None),
        ("40 + 32\nAnswer: unknown", None),
        ("We have 40 + 32.\nAnswer: <your answer>", None),
    ],
)
def test_of_several_numbers_the_result_is_read(text, expected):
    assert number(text) == expected


@pytest.mark.parametrize("text", ["42", "-4.2", "1/3", "2 1/2", "42 km/h", "6 m^3", "$1,042.50", "1.042,50", "#### 42"])
def test_what_gives_one_number_may_be_a_reference(text):
    assert is_one_number(text)


@pytest.mark.parametrize("text", ["4-6", "4 to 6", "4 and 6", "4, 6", "6:45", "2025-06-07", "4 h 6 min", "none"])
def test_what_gives_several_or_none_may_be_none(text):
    assert not is_one_number(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"Answer: $-\frac{5}{8}$", "-0.625"),
        (r"The answer is $-\dfrac{7}{2}$.", "-3.5"),
        (r"Answer: y = -\tfrac{1}{5}", "-0.2"),
        (r"Answer: $-\frac12$", "-0.5"),
        ("Answer: \u2212\u00be", "-0.75"),
        ("Answer: $- 9$", "-9"),
        ("Answer: y = - 9", "-9"),
        (r"Answer: 3\frac{1}{4}", "3.25"),
        (r"Answer: -3\frac{1}{4}", "-3.25"),
    ],
)
def test_a_negative_fraction_keeps_its_sign(text, expected):
    assert number(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{5\sqrt{2}}",
        r"So \boxed{\frac{\pi}{4}}.",
        "Answer: 7π",
        "Answer: √25",
        "Answer: 4a",
        "Answer: 3n-1",
        r"Answer: \frac{7.5}{3}",
        "Answer: 9 + 6",
        "Answer: 4 × 6",
        r"\boxed{4 \cdot 6}",
        "Answer: 20 - 6",
        "Answer: 0x2A",
    ],
)
def test_an_expression_that_is_not_worked_out_is_none(text):
    assert number(text) is None


@pytest.mark.parametrize("text", ["Answer: 9 + 6 = 15", "Answer: **15** (9 + 6)", "Answer: 15, as 9 + 6 = 15"])
def test_an_expression_with_its_result_is_read(text):
    assert number(text) == "15"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Answer: 6万美元", "60000"),
        ("정답: 4만 원", "40000"),
        ("答案：2.5亿", "250000000"),
        ("答え：1万2000円", "12000"),
        ("答案：3千克", "3"),
        ("Antwort: 3,5 Mio. Euro", "3500000"),
        ("Antwort: 4 Milliarden", "4000000000"),
        ("Réponse : 3 millions", "3000000"),
        ("Respuesta: 6 mil dólares", "6000"),
        ("Ответ: 7 млн рублей", "7000000"),
        ("Ответ: 6 тысяч", "6000"),
        ("Answer: 3 lakh rupees", "300000"),
        ("Answer: 4 crore", "40000000"),
        ("Answer: 8K", "8000"),
        ("Answer: $4b", "4000000000"),
        ("Answer: 4m", "4"),
        ("Answer: one quarter", "0.25"),
        ("Answer: three-fifths", "0.6"),
        ("Answer: three million", "3000000"),
        ("Answer: six and a half", "6.5"),
        ("Answer: 12_000", "12000"),
        ("答え：4百万円", "4000000"),
        ("Answer: 4 hundred thousand", "400000"),
        ("Respuesta: 3 mil millones", "3000000000"),
        ("Answer: half a million", "500000"),
        ("Answer: one and a half million", "1500000"),
    ],
)
def test_words_that_multiply_or_divide_count(text, expected):
    assert number(text) == expected


def test_endless_words_are_no_number():
    assert number("two " + "thousand " * 5000) is None


@pytest.mark.parametrize(
    "text",
    [
        "Elle économise donc 2 300,50 € en 4 jours.",
        "Итак, она получит 2 300,50 рублей за 4 дня.",
        "Así que ahorra 2.300,50 dólares en 4 semanas.",
        "Also spart sie 2.300,50 Euro in 4 Wochen.",
    ],
)
def test_how_long_it_takes_is_no_result_in_any_language(text):
    assert number(text) == "2300.5"


@pytest.mark.parametrize(
    "text",
    ["Answer: 4, 5, 6", "Answer: {4,5}", "Answer: 4-9", "Answer: between 4 and 9", "Answer: 3 hours 20 minutes"],
)
def test_several_numbers_are_no_answer(text):
    assert number(text) is None


def test_a_comma_before_three_digits_is_decimal_where_a_text_writes_decimal_commas():
    assert number("Wir addieren 4,5 kg und 0,375 kg, das sind 4,875 kg.\nAntwort: 4,875 kg") == "4.875"
    assert number("Ella cobra $4,50 por clase, y son 1000 clases.\nRespuesta: $4,500") == "4500"
    assert number("Answer: 4,875") == "4875"
