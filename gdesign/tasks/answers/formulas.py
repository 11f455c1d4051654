"""Answers that are formulas, and when two of them are the same."""

import re
from functools import lru_cache

from gdesign.tasks.answers.marked import after_cue, boxed, own_words, stated
from gdesign.tasks.answers.notation import MATH, UnreadableError, tokens
from gdesign.tasks.answers.numbers import NUMBER, canonical_number, number, plain, value_of
from gdesign.tasks.answers.shapes import Shape, read, same

_MAX_LATEX = 600


def formula(text: str, *, ordered: bool = False) -> str | None:
    r"""Return the mathematical answer in a text, in one canonical form that equal formulas share.

    Reads, first that is there: the last line `Answer: X`, boxed, `the answer is X`, the last formula,
    the last number. LaTeX, Unicode and program notation, words and remarks beside the formula, units.

    Args:
        text: What was written.
        ordered: Whether a list without brackets is one in which the order counts.

    Returns:
        A number (see `number`) or LaTeX: `x^{2} + 1`, `3 \sqrt{13}`, `[2, 5)`, a list in ascending order; words in
        lower case where it is no formula. None if there is no answer.
    """
    text = own_words(text)
    part = stated(text)
    if part is None or not part.strip():
        part = boxed(text)
    if part is None:
        part = after_cue(text)
    if not part:
        formulas = MATH.findall(text)
        part = next(f for f in formulas[-1] if f) if formulas else number(text)
    if part is None:
        return None
    inner = boxed(part)
    return _canonical(part if inner is None else inner, ordered) or None


@lru_cache(maxsize=4096)
def _canonical(part: str, ordered: bool) -> str:
    part = part.strip().strip("*`").strip()
    bare = plain(part.strip("$").removesuffix(".").strip())
    match = NUMBER.fullmatch(re.sub(r"\s*(?:%|\^\{?\\circ\}?|\\degree|°)$", "", bare).strip())
    value = None if match is None else value_of(match)
    if value is not None:
        return canonical_number(value)
    shape = _shape(part, ordered)
    return " ".join(part.strip("$").split()) if shape is None else shape.canonical


@lru_cache(maxsize=4096)
def _shape(part: str, ordered: bool = False) -> Shape | None:
    """Return a formula's shape; None where it cannot be read."""
    if len(part) > _MAX_LATEX:
        return None
    try:
        shape = read(tokens(part), ordered=ordered)
        shape.canonical  # noqa: B018
    except UnreadableError:
        return None
    return shape


@lru_cache(maxsize=4096)
def equivalent(gold: str, answer: str) -> bool:
    r"""Return whether two mathematical answers are the same."""
    if gold == answer:
        return True
    first, second = _shape(gold), _shape(answer)
    if first is None or second is None:
        return _canonical(gold, False) == _canonical(answer, False)
    return same(first, second)
