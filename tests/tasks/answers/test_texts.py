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
