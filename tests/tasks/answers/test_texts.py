from gdesign.tasks.answers.texts import exact


def test_an_exact_answer_ignores_case_space_and_dress():
    assert exact("Answer: **The  Pacific**.") == exact("the pacific") == "the pacific"
