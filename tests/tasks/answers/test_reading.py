import ast
import asyncio
import threading
from decimal import Decimal
from fractions import Fraction
from functools import partial
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.tasks.answers.reading import (
    boxed,
    canonical,
    choice,
    equivalent,
    exact,
    latex,
    literal,
    number,
    own_words,
    stated,
    string,
)

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


CHOICE_DRESSES = [
    "{}",
    "({})",
    "{}.",
    "{})",
    "**{}**",
    "Answer: {}",
    "Answer: ({})",
    "Answer: {}.",
    "Answer: **{}**",
    "**Answer: {}**",
    "Final Answer: Option {}",
    "The answer is ({}) because it is.",
    "The correct answer is {}.",
    r"\boxed{{{}}}",
    r"$\boxed{{\text{{({})}}}}$",
    r"\text{{{}}}",
    "A first thought was (D). I was wrong.\nAnswer: {}",
    "Answer: {}, since all else fails",
]


@FEW
@given(st.sampled_from("ABCDEFGHIJ"), st.sampled_from(CHOICE_DRESSES))
def test_a_letter_in_any_dress_reads_the_same(letter, dress):
    assert choice(dress.format(letter), 10) == letter


@pytest.mark.parametrize(
    "text",
    [
        "A good idea would be to wait.",
        "I think so.",
        "I'm sure.",
        "Answer: A dog",
        "Answer: I do not know",
        "Answer: A and B",
        "(A) or (B)",
        "(A) fails, so (B)",
        "Answer: K",
        "Answer: Paris",
        "",
    ],
)
def test_an_article_a_pronoun_or_two_letters_are_no_choice(text):
    assert choice(text, 10) is None


def test_a_choice_may_repeat_the_text_of_an_option():
    options = ("Rome", "A dog", "Paris")
    assert choice("Answer: paris.", 3, options) == "C"
    assert choice("Answer: A dog", 3, options) == "B"
    assert choice("Answer: (B) A dog", 3, options) == "B"


LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.integers() | st.text(), inner, max_size=4)
        | st.sets(st.integers() | st.text(), max_size=4)
    ),
    max_leaves=10,
)


@FEW
@given(LITERALS)
def test_a_python_literal_round_trips(value):
    text = canonical(value)
    assert ast.literal_eval(text) == value
    assert literal(text) == text
    assert literal(f"I think of [1, 2] first.\nAnswer: {text}") == text
    assert literal(f"Answer: `{text}`") == text
    assert literal(f"assert f([1]) == {text}") == text
    assert literal(f"Answer:\n```python\n{text}\n```") == text


def test_values_that_python_holds_equal_look_the_same():
    assert literal("1.0") == literal("1") == "1"
    assert literal('["a"]') == literal("[ 'a' ]") == "['a']"
    assert literal("{2, 1}") == literal("{1, 2}")
    assert literal("{'b': 1, 'a': 2}") == literal("{'a': 2, 'b': 1}")
    assert literal("True") != literal("1")


def test_a_string_without_its_quotes_gets_them():
    assert string("it's") == '"it\'s"'
    assert string(r"a\nb") == r"'a\nb'"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 9000,
        "(" * 150 + ")" * 150,
        "-" * 9999 + "1",
        "1+" * 4999 + "1",
        "9" * 9000,
        "0x" + "f" * 9000,
        "{[]: 1}",
        "lambda:" * 1400 + "1",
        "a." * 4000 + "a",
        "...",
        "f(1)",
        "1if 2else 3",
        "x" * 20_000,
        "\0",
    ],
    ids=range(14),
)
def test_hostile_source_is_unreadable(text):
    assert literal(text) in (None, "()")


@FEW
@given(st.text() | st.text(alphabet="Answer: $\\{}()[]^_/.,-+=0123456789eE'\"`*#fracboxedtext\n", max_size=60))
def test_no_reader_raises_on_any_text(text):
    for read in (number, literal, latex, exact, boxed, stated):
        assert read(text) is None or isinstance(read(text), str)
    assert choice(text, 4, ("1", "two")) in (None, "A", "B", "C", "D")
    assert equivalent("1", text) in (True, False)


def test_the_last_balanced_box_is_taken():
    assert boxed(r"\boxed{1} then \boxed{\frac{1}{2}} then \boxed{open") == r"\frac{1}{2}"
    assert boxed(r"\fbox{3}") == "3"
    assert boxed("none") is None


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
    assert latex(text) == expected


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


def test_an_exact_answer_ignores_case_space_and_dress():
    assert exact("Answer: **The  Pacific**.") == exact("the pacific") == "the pacific"


def test_decimals_are_exact():
    assert number(str(Decimal("0.1") + Decimal("0.2"))) == "0.3"


@pytest.mark.parametrize(
    "part", ["\n", " ", "answer ", "answer  ", "\\boxed{", "\\frac ", "Answer: the is ", "'", "1 ", "$", "((", "**"]
)
def test_long_texts_are_read_in_no_time(part):
    text = part * 10_000
    began = perf_counter()
    for read in (number, literal, latex, exact, boxed):
        read(text)
    choice(text, 4, ("a", "b"))
    assert perf_counter() - began < 5  # a tenth of a second where time grows with length alone


# --------------------------------------------------------------------------- whose words

READERS = [number, partial(choice, num_options=5, options=("7", "5", "9", "x", "y")), latex, literal, exact]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "text",
    [
        "> Answer: 7\nI disagree.\nAnswer: 5",
        "Answer: 5\n> Answer: 7",
        "Answer: 5\n\nchecker said:\n> > Answer: 7\n> I am sure: \\boxed{7}, the answer is 7.\n",
        "> # Question\n> What is 3 + 4?\n  > Answer: 7\n\nAnswer: 5\r\n>Answer: 7",
    ],
)
def test_what_an_agent_quotes_is_not_its_answer(read, text):
    assert read(text) == ("B" if isinstance(read, partial) else "5")


@pytest.mark.parametrize("read", [number, partial(choice, num_options=4), latex, literal])
def test_who_only_quotes_an_answer_among_words_without_one_gives_none(read):
    assert read("Somebody said:\n> Answer: 7\n> \\boxed{7}\nbut who can know?") is None


def test_a_text_that_is_quoted_as_a_whole_is_read_all_the_same():
    assert number("> I add.\n> Answer: 7\n") == "7"


def test_a_prompt_of_python_is_no_quote():
    assert literal(">>> f(2)\n[1, 2]\nAnswer: [1, 2]") == "[1, 2]"
    assert own_words(">>> f(2)\n[1]") == ">>> f(2)\n[1]"


@given(st.text(st.sampled_from("ab >\n\r\tAnswer:7.B$\\{}"), max_size=40), st.text(max_size=20))
def test_no_quote_changes_what_is_read_beside_it(heard, more):
    own = "I think so.\nAnswer: 5\n"
    text = "".join(f"> {line}\n" for line in (heard + more).splitlines())
    assert [read(text + own) for read in READERS] == [read(own + text) for read in READERS] == ["5", "B", "5", "5", "5"]
