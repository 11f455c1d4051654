"""Answers that are formulas, and when two of them are the same."""

import logging
import math
import re
from functools import lru_cache

from gdesign.tasks.answers.figures import NUMBER, canonical_number, plain, value_of
from gdesign.tasks.answers.marked import after_cue, boxed, own_words, stated
from gdesign.tasks.answers.notation import MATH, UnreadableError, tokens, unbroken
from gdesign.tasks.answers.numbers import number
from gdesign.tasks.answers.shapes import Shape, same
from gdesign.tasks.answers.structure import read
from gdesign.tasks.answers.words import WORDS, spoken

_MAX_LATEX = 600
_NAMES = re.compile(r"[0-9]+|[A-Za-z]+")
_EXPONENT = re.compile(r"(?:\^|\*\*)[\s{(-]*([0-9]+)")
_MAX_EXPONENT = 100
_COMMA = re.compile(
    r"(\$?)(-?[0-9]+),([0-9]{1,2}|[0-9]{4,}|(?<=\b0,)[0-9]+)(\1\.?)"
)  # 3,5 and 0,125; 1,234 says too little
_WITH_COMMA = tuple(WORDS[code] for code in "de es fr ru cs el id it nl pl pt sv tr uk vi".split())
_ENDLESS = re.compile(
    r"!|\\(?:i+nt|oint|sum|prod|lim)(?![a-z])|binom|\\[lc]?dots|[0-9]\s*:|[0-9]\\?\s+[0-9]|_\{?[0-9]|\\[pb]?mod"
)


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
    text = unbroken(own_words(text))
    part = stated(text)
    if part is None or not part.strip() or _is_sentence(part):
        part = boxed(text) or part
    if part is None:
        part = after_cue(text)
    if not part:
        formulas = MATH.findall(text)
        part = next(f for f in formulas[-1] if f) if formulas else number(text)
    if part is None:
        return None
    part = part.replace("。", ". ").strip()
    decimal = _COMMA.fullmatch(part.strip("*"))
    if decimal and (languages := spoken(text, "answer")) and all(words in _WITH_COMMA for words in languages):
        part = f"{decimal[2]}.{decimal[3]}"
    inner = boxed(part)
    return _canonical(part if inner is None else inner, ordered) or None


def _is_sentence(part: str) -> bool:
    """Return whether an answer is but words, so that it may announce the one in the box."""
    if len(part.split()) < 4 or boxed(part):
        return False
    shape = _shape(part)
    return shape is None or shape.kind == "words"


@lru_cache(maxsize=4096)
def _canonical(part: str, ordered: bool) -> str:
    part = part.strip().strip("*`").strip()
    bare = plain(part.strip("$").removesuffix(".").strip())
    match = NUMBER.fullmatch(re.sub(r"\s*(?:%|\^\{?\\circ\}?|\\degree|°)$", "", bare).strip())
    value = None if match is None or re.search("[0-9]-[0-9]", bare) else value_of(match)  # 3-1/2 is no mixed number
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
    if first is not None and second is not None:
        return same(first, second)
    return _canonical(gold, False) == _canonical(answer, False) or _verified(gold, answer)


def _verified(gold: str, answer: str) -> bool:
    """Return whether math-verify holds two formulas for equal that `read` does not know, and that write the same names.

    It reads some formulas in part only, compares bases, small numbers and orders wrongly, and may compute for hours;
    so it is not asked about those. Its timeouts, which work by signals in the main thread alone, are off.
    """
    if any(len(x) > _MAX_LATEX // 3 or _ENDLESS.search(x) or not x.strip() for x in (gold, answer)):
        return False
    if sorted(_NAMES.findall(gold)) != sorted(_NAMES.findall(answer)):
        return False
    if math.prod(max(1, int(n)) for x in (gold, answer) for n in _EXPONENT.findall(x)) > _MAX_EXPONENT:
        return False
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)  # it reports each formula it cannot parse
    read_in = [parse(f"${x.strip('$')}$", parsing_timeout=None) for x in (gold, answer)]
    return bool(verify(*read_in, float_rounding=15, timeout_seconds=None))
