import pytest

from gdesign.tasks.answers.texts import exact, same_text


def test_an_exact_answer_ignores_case_space_and_dress():
    assert exact("Answer: **The  Pacific**.") == exact("the pacific") == "the pacific"


@pytest.mark.parametrize(
    "reply",
    [
        "Oslo",
        "Answer: Oslo.",
        "**Answer: Oslo**",
        "Answer: <Oslo>",
        "Answer: [Oslo]",
        "Answer: (Oslo)",
        "Answer: __Oslo__",
        "Answer: “Oslo”",
        "Answer: Oslo!",
        "The answer is **Oslo**. It is in the north.",
        "It is cold there.\n\\boxed{\\text{Oslo}}",
        "Answer: $\\mathrm{Oslo}$",
        "## Answer\n\nOslo",
        "<answer>Oslo</answer>",
        '{"answer": "Oslo"}',
        "Antwort: Oslo",
    ],
)
def test_a_text_in_any_dress_is_the_same(reply):
    said = exact(reply)
    assert said is not None
    assert same_text("oslo", said)


@pytest.mark.parametrize(
    "marked", ["a*", "*.txt", "__name__", "_x", "c++", "[5]", "<br>", "$path", "#5", "yahoo!", "u.s", "'s"]
)
def test_marks_that_belong_to_an_answer_are_no_dress(marked):
    bare = marked.strip("*_+[]<>$#!'.")
    reference = exact(marked)
    assert reference is not None
    for reply in (marked, f"Answer: {marked}", f"Answer: `{marked}`", f"**Answer:** {marked}"):
        said = exact(reply)
        assert said is not None
        assert same_text(reference, said)
    if bare != marked:
        assert not same_text(reference, exact(f"Answer: {bare}"))


def test_nothing_is_no_text():
    assert exact("") is None
    assert exact("Answer: ") == "answer:"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is H. G. Wells. He wrote it.", "h. g. wells"),
        ("The answer is St. Paul.", "st. paul"),
        ("The answer is John F. Kennedy.", "john f. kennedy"),
        ("The answer is Mr. Darcy! Of course.", "mr. darcy"),
        ("The answer is green. Dr. Low says so.", "green"),
        ("答えは京都です。", "京都"),
        ("Answer: don\u2019t", "don't"),
        ("Answer: nin\u0303o", "ni\u00f1o"),
    ],
)
def test_a_name_with_initials_is_one_answer(text, expected):
    assert exact(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The capital of Peru is Lima.", "lima"),
        ("The author of the book was J. K. Rowling.", "j. k. rowling"),
        ("The capital of Peru, which is in South America, is **Lima**.", "lima"),
        ("The days are Monday and Friday.", "monday and friday"),
        ("It is not Lima.", "it is not lima"),
        ("It is false that the capital is Lima.", "it is false that the capital is lima"),
        ("I don't think the capital of Peru is Lima.", "i don't think the capital of peru is lima"),
        ("I don\u2019t think it is Lima.", "i don't think it is lima"),
        ("None of these cities is Lima.", "none of these cities is lima"),
        ("I doubt that it is Lima.", "i doubt that it is lima"),
        ("Nobody knows whether it is Lima.", "nobody knows whether it is lima"),
        ("No, it is Lima.", "lima"),
        ("The capital is unknown.", "the capital is unknown"),
        ("The capital of Peru is Lima. It is large.", "the capital of peru is lima. it is large"),
        ("Peru is large. The capital is Lima.", "peru is large. the capital is lima"),
        ("Is it Lima?", "is it lima?"),
        ("The capital of Peru is Lima", "the capital of peru is lima"),
        ("Answer: The sun is a star.", "the sun is a star"),
        ("Sentiment: the film is good.", "sentiment: the film is good"),
    ],
)
def test_one_sentence_is_read_as_what_it_says(text, expected):
    assert exact(text) == expected
