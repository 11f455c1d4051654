from functools import partial
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.tasks.answers.choices import choice
from gdesign.tasks.answers.formulas import equivalent, formula
from gdesign.tasks.answers.literals import literal
from gdesign.tasks.answers.marked import boxed, own_words, stated
from gdesign.tasks.answers.numbers import number
from gdesign.tasks.answers.texts import exact

FEW = settings(deadline=None, max_examples=60)


@FEW
@given(st.text() | st.text(alphabet="Answer: $\\{}()[]^_/.,-+=0123456789eE'\"`*#fracboxedtext\n", max_size=60))
def test_no_reader_raises_on_any_text(text):
    for read in (number, literal, formula, exact, boxed, stated):
        assert read(text) is None or isinstance(read(text), str)
    assert choice(text, 4, ("1", "two")) in (None, "A", "B", "C", "D")
    assert equivalent("1", text) in (True, False)


def test_the_last_balanced_box_is_taken():
    assert boxed(r"\boxed{1} then \boxed{\frac{1}{2}} then \boxed{open") == r"\frac{1}{2}"
    assert boxed(r"\fbox{3}") == "3"
    assert boxed("none") is None


@pytest.mark.parametrize(
    "part", ["\n", " ", "answer ", "answer  ", "\\boxed{", "\\frac ", "Answer: the is ", "'", "1 ", "$", "((", "**"]
)
def test_long_texts_are_read_in_no_time(part):
    text = part * 10_000
    began = perf_counter()
    for read in (number, literal, formula, exact, boxed):
        read(text)
    choice(text, 4, ("a", "b"))
    assert perf_counter() - began < 5  # a tenth of a second where time grows with length alone


READERS = [number, partial(choice, num_options=5, options=("7", "5", "9", "x", "y")), formula, literal, exact]


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


@pytest.mark.parametrize("read", [number, partial(choice, num_options=4), formula, literal])
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
