from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdesign.tasks.answers import choice, exact, formula, literal, number
from gdesign.tasks.answers.thoughts import without_thoughts

READERS = [number, lambda text: choice(text, 9, tuple("123456789")), formula, literal, exact]

DRESSES = [
    "<think>{thought}</think>{said}",
    "<think>\n{thought}\n</think>\n\n{said}",
    "<thinking>{thought}</thinking>\n{said}",
    "<Thought>{thought}</Thought>{said}",
    "<reasoning>\n{thought}\n</reasoning>\n{said}",
    "<seed:think>{thought}</seed:think>{said}",
    "[THINK]{thought}[/THINK]{said}",
    "◁think▷{thought}◁/think▷{said}",
    "<unused94>thought\n{thought}<unused95>{said}",
    "<|channel>thought\n{thought}<channel|>{said}",
    "<|begin_of_thought|>{thought}<|end_of_thought|>\n\n<|begin_of_solution|>\n{said}<|end_of_solution|>",
    "<|START_THINKING|>{thought}<|END_THINKING|><|START_RESPONSE|>{said}<|END_RESPONSE|>",
    "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>{said}<|return|>",
    "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>commentary to=functions.f "
    "<|constrain|>json<|message|>{thought}<|call|><|start|>assistant<|channel|>final<|message|>{said}",
    "analysisHm. {thought}assistantfinal{said}",
    "Here is my thought process:\n{thought}\n\nHere is my response:\n{said}",
    "{thought}\n</think>\n\n{said}",  # the server left the beginning out
    "{thought}</think>{said}",
    "{thought}[/THINK]{said}",
    "<think>{thought} <think> {thought}</think>{said}",
    "<thinking>{thought}<reflection>{thought}</reflection>{thought}</thinking>{said}",
    "<think>{thought}</think>{said}\n</think>",
    "<think>\n\n</think>\n\n{said}",
    "<think>{thought}</think>{said}<|im_end|>\n<|im_start|>user\nAnd 4?<|im_end|>\n<|im_start|>assistant\nAnswer: 9",
]


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize(
    "thought", ["Answer: 4. No,\nthe answer is \\boxed{4}", "```\n4\n```\n# so\n<answer>4</answer>"]
)
def test_what_is_thought_is_not_said(dress, thought):
    assert without_thoughts(dress.format(thought=thought, said="It is\n\nAnswer: 7")) == "It is\n\nAnswer: 7"


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("dress", DRESSES)
def test_every_reader_reads_what_is_said(read, dress):
    assert read(dress.format(thought="Answer: 4", said="Answer: 7")) == ("G" if read is READERS[1] else "7")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "text",
    [
        "<think>So it is\nAnswer: 7",
        "<thinking>\nIt is \\boxed{7}.",
        "[THINK]Answer: 7",
        "<|channel|>analysis<|message|>Answer: 7",
        "analysisThey ask for 7.\nAnswer: 7",
        "Answer: 7</think>",
        "<think>Answer: 7</think>\n",
    ],
)
def test_who_only_thinks_says_nothing(read, text):
    assert without_thoughts(text) == ""
    assert read(text) is None


def test_what_stands_before_an_unfinished_thought_is_said():
    assert without_thoughts("Answer: 7\n<think>Is it? Perhaps\nAnswer: 4") == "Answer: 7"


@pytest.mark.parametrize(
    "text",
    [
        "Put it between `<think>` and `</think>`.\nAnswer: 7",
        "Models begin with a <think> tag.\nAnswer: 7",
        'print(re.sub("<think>.*?</think>", "", text))',
        "a < b, x[0] > 3, <b>bold</b>, [1, 2]",
        "analysis of the final\nThe answer is 7",
        "Here is my thought process: 3 + 4.\nAnswer: 7",
        "  7 \n",
    ],
)
def test_a_text_that_only_mentions_thoughts_is_left_as_it_is(text):
    assert without_thoughts(text) == text


@given(
    st.lists(
        st.sampled_from(["<think>", "</think>", "a", "\n", "'", "<|end|>", "[THINK]", "analysisA", "<|"]), max_size=12
    )
)
def test_no_text_is_too_odd(parts):
    text = "".join(parts)
    said = without_thoughts(text)
    assert said in (text, said.strip())


@pytest.mark.parametrize(
    "part", ["<think>", "</think>", "<", "<|channel|>", "analysis", "\nHere is my thought process:"]
)
def test_long_texts_are_told_apart_in_no_time(part):
    began = perf_counter()
    without_thoughts(part * 20_000)
    assert perf_counter() - began < 2


def test_a_thought_that_ends_behind_a_fence_ends():
    fence = "`" * 3
    for gap in ("", "\n"):
        assert without_thoughts(f"<think>So\n{fence}py\nx = 4\n{fence}{gap}</think>36") == "36"
    assert without_thoughts("<reflect>Answer: 4</reflect>36") == "36"
    assert without_thoughts("I close with `</think>` here.") == "I close with `</think>` here."
