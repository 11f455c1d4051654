import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.tasks.answers.literals import canonical, literal, string, unquoted

FEW = settings(deadline=None, max_examples=60)


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"Answer: \boxed{[3, 'a']}", "[3, 'a']"),
        (r"So \boxed{(1, 2)}", "(1, 2)"),
        (r"Answer: $\boxed{\text{False}}$", "False"),
        (r"Answer: $\{1: [2]\}$", "{1: [2]}"),
        (r"Answer: \boxed{\{\text{'a\_b'}: 1\}}", "{'a_b': 1}"),
        ("Answer: $'x'$", "'x'"),
        ("Answer: $$\n[4, 5]\n$$", "[4, 5]"),
        ("Answer: \\[\n{'k': 0}\n\\]", "{'k': 0}"),
        ("**Answer:** **`'zz'`**", "'zz'"),
        ("Answer: “zz”", "'zz'"),
        ("Answer: [‘p’, “q”]", "['p', 'q']"),  # noqa: RUF001
        ("[ANSWER]\n(7,)\n[/ANSWER]", "(7,)"),
        ("[ANSWER]assert f('x') == 'xx'[/ANSWER]", "'xx'"),
        ("Answer: g([1], 2) = [3]", "[3]"),
        ("Answer: `g(2)` returns `{5}`", None),
        ("Answer: The output is 'ab'", "'ab'"),
        ("Answer: g(2) returns {5}", "{5}"),
        ("Answer: [0, 1] because both are kept", "[0, 1]"),
        ("Answer: abc", None),
        ("We walk through it.\n\nThe result is `{'a': 1}`.", "{'a': 1}"),
        ("```python\nx = [9]\n```\nSo it doubles x. Therefore, the function returns `[9, 9]`.", "[9, 9]"),
        ("Step 1: [0]\nThe correct answer is (3, 'b').", "(3, 'b')"),
        ("First.\n**Result:** `'zz'`", "'zz'"),
        ("先看代码。\n答案是 {1: 2}。", "{1: 2}"),
        ("Die Antwort ist `[7]`.", "[7]"),
        ("Answer: {\n  'a': [1,\n 2],\n  'b': ')'\n}\nDone.", "{'a': [1, 2], 'b': ')'}"),
        ("Answer: `(\n1,\n)`", "(1,)"),
        ("Answer: f(2) = [\n\n3]", "[3]"),
        ("Answer: [1,\nand so on", None),
        ("The output is not [1, 2].", None),
    ],
)
def test_the_dress_of_a_literal_is_taken_off(text, expected):
    assert literal(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Answer: qwer", "'qwer'"),
        ("Answer: **qwer**", "'qwer'"),
        ("Answer: `qwer`", "'qwer'"),
        (r"Answer: \boxed{\text{q w}}", "'q w'"),
        (r"so \boxed{qw}", "'qw'"),
        ("Answer: **q*", "'**q*'"),
        ("Answer: $$q$$", "'$$q$$'"),
        ("Answer: 5*8***", "'5*8***'"),
        ("qwer", None),
    ],
)
def test_a_marked_string_may_lack_its_quotes(text, expected):
    assert unquoted(text) == expected
