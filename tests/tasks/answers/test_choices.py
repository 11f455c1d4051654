import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.tasks.answers.choices import choice

FEW = settings(deadline=None, max_examples=60)


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
