from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdesign.tasks.answers import defines, program

F = "def f(x):\n    return x"
WORSE = "def f(x):\n    return 0"
HELPED = "def f(x):\n    return helper(x)"


@pytest.mark.parametrize(
    "text",
    [
        F,
        f"```python\n{F}\n```",
        f"Here:\n\n```py\n\n{F}\n\n```\n\nAnswer: see above",
        f"```\n{F}\n```",
        f"It begins so\n```python\n{F}",
        "1. As a list:\n    ```python\n    def f(x):\n        return x\n    ```",
        f"```python\ndef g(x):\n    pass\n```\nor\n```python\n{F}\n```\nUse it:\n```python\nprint(f(1))\n```",
        f"```python\n{F}   \n```\n```bash\npython f.py\n```",
        f"The function is\n{F}\nAnswer: f",
        F.replace("\n", "\r\n"),
        f"~~~~\n{F}\n~~~~",
        f"- ```Python 3.11\n{F}\n  ```",
        f'``` {{.python title="f.py"}}\n{F}\n```',
        f"```python title='f.py' {{1,3}}\n{F}\n```",
        f"Answer: ```sage\n{F}```",
        f"````markdown\nLook:\n```python\n{F}\n```\n````",
        f"```text\nLook:\n```python\n{F}\n```\n",
        f"```python\n{F}\n```python\nprint(f(1))\n```",
        f"```python\n{F}\n\nIt returns what it is given.",
        f"My function:\n\n    {F.replace(chr(10), chr(10) + '    ')}\n\nThat is all.",
        f"<solution>{F}\n</solution>",
        f"**Answer:** {F}\n\nDone",
        f"{F}\n\nNote: x\nExample: f(3) gives 3.",
        "```pycon\n>>> def f(x):\n...     return x\n...\n```",
        f"<think>\n```python\n{WORSE}\n\nhm</think>\n{F}\n\nIt works.",
    ],
)
def test_a_program_is_read_from_a_reply(text):
    assert program(text, ["f"]) == F


@pytest.mark.parametrize("fence", ["```", "~~~"])
def test_a_docstring_may_hold_fences(fence):
    examples = f"    {fence}python\n    f(1)\n    {fence}\n\n{fence}\nx\n{fence}\n"
    whole = f'def f(x):\n    """Return x.\n\n{examples}    """\n    return x'
    for text in (f"{fence}python\n{whole}\n{fence}\nor\n```\nf(2)\n```", f"`{fence}``\n{whole}\n`{fence}``"):
        assert program(text.replace("`~~~``", "~~~~"), ["f"]) == whole


@pytest.mark.parametrize(
    "words",
    [
        "A version that is wrong:",
        "This one does not work for 0:",
        "Don't do this:",
        "### Incorrect\n",
        "A common mistake is the following.\n\nLook, an anti-pattern:",
        "For comparison:",
        "Alternatively, a constant:",
        "That isn\u2019t correct:",
        "Eine falsche Lösung:",
    ],
)
def test_what_is_said_to_be_wrong_or_a_comparison_is_not_the_answer(words):
    assert program(f"```python\n{F}\n```\n\n{words}\n\n```python\n{WORSE}\n```\nThe end.", ["f"]) == F
    assert program(f"{words}\n```python\n{WORSE}\n```", ["f"]) == WORSE


@pytest.mark.parametrize(
    "words",
    [
        "Wait. That was wrong. So:",
        "The naive version above is wrong, now the corrected one:",
        "This is not a slower but a better one:",
        "```python\nprint(f(1))\n```\nIt is incorrect for 0. Thus:",
        "",
    ],
)
def test_the_last_one_is_the_answer_where_it_mends_another(words):
    assert program(f"```python\n{WORSE}\n```\n\n{words}\n\n```python\n{F}\n```", ["f"]) == F


def test_a_comment_may_say_that_a_program_is_wrong():
    assert program(f"```python\n{F}\n```\n```python\n# wrong!\n{WORSE}\n```", ["f"]) == F


@pytest.mark.parametrize(
    "use", ["f = f(3)", "f: int = f(3) + 1", "from solution import f\nprint(f(3))", "result = f(3)", "assert f(3) == 3"]
)
def test_a_use_of_a_name_does_not_define_it(use):
    assert program(f"```python\n{F}\n```\nUse it:\n```python\n{use}\n```", ["f"]) == F
    assert not defines(use, "f")


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("def helper(x):\n    return x", HELPED), (0, 1)),
        ((HELPED, "Its helper:", "def helper(x):\n    return x", "print(f(1))"), (0, 2)),
        (("import math", "from os import path", "def f(x):\n    return math.floor(x)"), (0, 2)),
        (("import math", "def helper(x):\n    return math.floor(x)", HELPED), (0, 1, 2)),
        (("def other(x):\n    return x", F), (1,)),
        (("class A:\n    pass", "def f(x):\n    return A()", "f(1)"), (0, 1)),
    ],
)
def test_helpers_and_imports_in_blocks_of_their_own_are_joined(parts, joined):
    text = "\n\n".join(part if part[-1] == ":" else f"```python\n{part}\n```" for part in parts)
    assert program(text, ["f"]) == "\n\n\n".join(parts[i] for i in joined)


def test_several_names_may_stand_in_several_blocks():
    assert program(f"```\nclass A: pass\n```\n```\n{F}\n```\n```\nf(A())\n```", ["f", "A"]) == f"class A: pass\n\n\n{F}"


def test_a_script_is_the_last_block_that_does_something_with_what_it_uses():
    text = f"```python\n{F}\n```\nand\n```python\nprint(f(2))\n```\nOutput:\n```\n2\n```\n```json\n{{}}\n```"
    assert program(text) == f"{F}\n\n\nprint(f(2))"


def test_a_body_alone_is_a_program():
    assert program("Complete it so:\n```python\n    y = x\n    return y\n```", ["f"]) == "y = x\nreturn y"


def test_equal_programs_are_equal_answers():
    assert program(f"```python\n{F}\n```") == program(f"Thus\n```\n\n{F}  \n\n```\nAnswer: above")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Answer: 5",
        "I import nothing.",
        "import the answer from above",
        "```json\n{}\n```",
        "```\n5\n```",
        "> ```python\n> x = 1\n> ```",
        "```javascript\nconsole.log(1)\n```",
        f"<think>\n{F}\n</think>\nI cannot.",
    ],
)
def test_a_reply_without_a_program_is_unreadable(text):
    assert program(text) is None


def test_what_a_program_defines():
    for source in (
        "def f(): ...",
        "x = 1\nclass f: ...",
        "async def f(): ...",
        "f = g",
        "f: int = 1",
        "f = h(f)\nf = 1",
    ):
        assert defines(source, "f")
    assert defines("try:\n    f = g\nexcept NameError:\n    f = None", "f")
    for source in (
        "def ff(): ...",
        "g = f",
        "# def f",
        "print(f)",
        "class A:\n    def f(self): ...",
        "def f(",
        "f: int",
    ):
        assert not defines(source, "f")


@given(st.text(alphabet="`~\n def(x):\"'>#{}=import", max_size=80))
def test_no_text_makes_it_raise(text):
    assert program(text, ["f"]) != ""


def test_a_long_reply_is_read_quickly():
    assert program("import this is prose\n" * 5000, ["f"]) is None
    assert program("```python\nx = '''\n" * 2000, ["f"]) is not None


RIGHT = "def f(x):\n    return x + 1"


@pytest.mark.parametrize(
    "reply",
    [
        "```python\n{}\n```\nFor reference, the faulty version was:\n```python\ndef f(x):\n    return x\n```",
        "After:\n```python\n{}\n```\nBefore:\n```python\ndef f(x):\n    return x\n```",
        "```python\n{}\n```\n```python\n# Bad\ndef f(x):\n    return x\n```",
        "```python\n{}\n```\nThe stub is:\n```python\ndef f(x):\n    '''Adds one.'''\n    ...\n```",
        "```python\n{}\n```\n```python\ndef f(x):\n    raise NotImplementedError('later')\n```",
        "```python\ndef f(x):\n    return x\n```\nThat is wrong for x = 0.\n```python\n{}\n```",
        "```python\n{}\n\nThis adds one to whatever comes.\n```",
    ],
)
@pytest.mark.parametrize("names", [("f",), ()])
def test_what_is_shown_beside_a_program_is_none(reply, names):
    assert program(reply.format(RIGHT), names) == RIGHT


def test_a_skeleton_is_a_program_where_there_is_no_other():
    assert program("```python\ndef f(x):\n    pass\n```", ["f"]) == "def f(x):\n    pass"


def test_spaces_that_python_does_not_know_are_plain():
    assert program("```python\ndef f(x):\n\u00a0\u00a0\u00a0\u00a0return\u00a0x\u200b + 1\n```") == RIGHT
    assert program("```python\nx = '\u00a0'\n```") == "x = '\u00a0'"


def test_empty_lines_take_no_time():
    began = perf_counter()
    program("x" + "\n" * 40_000)
    assert perf_counter() - began < 1
