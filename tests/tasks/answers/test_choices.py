# ruff: noqa: RUF001 (other scripts are meant)
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
    "Answer: {} because it is so",
    "Answer: {}!",
    'Answer: "{}"',
    "Answer: <{}>",
    "Answer: [{}]",
    "The answer is {} and not another.",
    "The answer is {} rather than another.",
    "The answer should be ({}).",
    "The answer is definitely {}.",
    "The correct answer is {} which is right.",
    "So the correct choice is {}.",
    "Best option: {}",
    "Option {} is correct.",
    "({}) is the best answer.",
    "{}. It says so, is the right answer.",
    "I would pick {}.",
    "I'll go with option {}.",
    "Hence answer {} is right.",
    "<answer>{}</answer>",
    '{{"answer": "{}"}}',
    "# Answer\n\n{}",
    "Die richtige Antwort ist {}.",
    "La respuesta correcta es la {}.",
    "选{}",
    "答案是（{}）",
    "正解は{}です",
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


CAPITALS = ("Lima", "Oslo", "Bern", "Cairo", "Riga", "Kyiv", "Doha", "Rome", "Male", "Suva")


@pytest.mark.parametrize(
    "dress", ["Answer: {} {}", "Answer: {} = {}", 'Answer: {} "{}"', "Answer: {} | {}", "Answer: {} → {}", "**{}: {}**"]
)
def test_a_letter_before_the_text_of_its_option_is_read_whichever_it_is(dress):
    read = [choice(dress.format(chr(65 + i), city), 10, CAPITALS) for i, city in enumerate(CAPITALS)]
    assert read == list("ABCDEFGHIJ")


@pytest.mark.parametrize(
    "text",
    [
        "The answer is (A) or (C).",
        "Answer: A, C",
        "The most likely answer is either (B) Oslo or (C) Bern.",
        "\\boxed{(A) Lima, (B) Oslo}",
        "The answer is (B). But the correct answer cannot be determined.",
        "If it is cold, the answer is (B). If not, the answer is (A). So the answer depends on the weather.",
        "The correct answer is \\boxed{\\text{None of the above}}. (A) fails.",
        "(A) is not the correct choice.",
        "The answer is \\boxed{(A) Lima} and \\boxed{(C) Bern}.",
        "A: It is not my place to say.",
    ],
)
def test_who_names_no_one_option_chooses_none(text):
    assert choice(text, 4, CAPITALS[:4]) is None


@pytest.mark.parametrize(
    "text",
    [
        "Answer: C, not A",
        "The answer is (C). (A) is in the south.",
        "(A) is too far. (B) is too cold. The most appropriate choice would be (C) Bern, as it is near.",
        "(A) and (B) are wrong. This leaves us with the right choice, which is (C) Bern. It is near.",
        "Of (A), (B) and (C), the most likely place to meet is (C) Bern.",
        "(A) is far, (B) is cold. The best choice for a meeting would be Bern. It is near.",
        "(A) is far, (B) is cold.\n\n(C) Bern.",
        "It must be \\boxed{Bern}, (A) is far, (B) is cold.",
        "Answer: Bern, the capital.",
        "Answer: С",  # Cyrillic
        "Answer: Ｃ",
    ],
)
def test_a_choice_is_found_in_what_is_concluded(text):
    assert choice(text, 4, CAPITALS[:4]) == "C"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Answer: $40", "B"),
        ("Answer: 40 miles", "B"),
        ("Answer: 40.0", "B"),
        ("Answer: d = 40", "B"),
        ("\\boxed{\\frac{5}{2}}", "C"),
        ("Answer: 2.5", "C"),
        ("Answer: 60 kg", "D"),
        ("Answer: 60 lb", None),
        ("Answer: 60", "D"),
        ("Answer: 45", None),
    ],
)
def test_the_number_of_an_option_chooses_it(text, expected):
    assert choice(text, 4, ("20", "40", "5/2", "60 kg")) == expected


def test_where_options_stand_in_the_question_alone_a_letter_is_read():
    assert choice("Answer: (Q)", 26) == "Q"


@pytest.mark.parametrize(
    ("said", "options", "letter"),
    [
        ("5π", ("5", r"$5\pi$", "10"), "B"),
        ("π/3", ("3", r"$\frac{\pi}{3}$", "1"), "B"),
        ("√7", ("$7$", r"$\sqrt{7}$", "14"), "B"),
        (r"\sqrt{7}", ("7", "√7"), "B"),
        ("5", ("5", r"$5\pi$", "10"), "A"),
        ("3/4", (r"$\frac{3}{4}$", "3", "4"), "A"),
        ("0.75", (r"$\frac{3}{4}$", "3", "4"), "A"),
        ("x^3", ("$x^3$", "$3x$", "3"), "A"),
        ("5 m", ("5 cm", "5 m", "10 m"), "B"),
    ],
)
def test_an_option_with_a_root_or_pi_is_another_than_its_number(said, options, letter):
    assert choice(f"Answer: {said}", len(options), options) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("A - wrong, B - right, C - wrong", "B"),
        ("A. ✗\nB. ✓\nC. ✗", "B"),
        ("A: true\nB: true\nC: false", None),
        ("B+D", None),
        ("Answer: B;D", None),
        ("Tôi chọn B", "B"),
        ("उत्तर B है", "B"),
        ("I believe it is B.", "B"),
        ("not C but B", "B"),
        ("## B", "B"),
    ],
)
def test_verdicts_and_pairs_of_options(text, letter):
    assert choice(text, 4) == letter
