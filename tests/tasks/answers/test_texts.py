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
