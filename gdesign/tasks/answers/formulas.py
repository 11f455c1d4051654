"""Answers that are formulas, and when two of them are the same."""

import logging
import math
import re
from functools import lru_cache

from gdesign.tasks.answers.marked import after_cue, boxed, own_words, stated
from gdesign.tasks.answers.numbers import NUMBER, canonical_number, number, plain, value_of

_MAX_LATEX = 200
_MATH = re.compile(r"(?<!\\)\$\$(.+?)(?<!\\)\$\$|(?<!\\)\$(.+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_MAX_DEGREE = 40
_MAX_EXPONENT_OF_NUMBER = 10_000
# What may occupy sympy for hours; its own timeouts work by signals, which only the main thread may use.
_ENDLESS = re.compile(r"[0-9]{4,}\s*!|[)}\]!]\s*!|\\(?:i+nt|oint|sum|prod|lim)(?![a-z])|binom.*[0-9]{4,}")


def formula(text: str) -> str | None:
    r"""Return the mathematical answer in a text, as a number (see `number`) or as tidied LaTeX.

    Reads, first that is there: the last line `Answer: X`, boxed, `the answer is X`, the last formula,
    the last number.
    """
    text = own_words(text)
    part = stated(text)
    if part is None or not part.strip():
        part = boxed(text)
    if part is None:
        part = after_cue(text)
    if not part:
        formulas = _MATH.findall(text)
        part = next(f for f in formulas[-1] if f) if formulas else number(text)
    if part is None:
        return None
    return _tidy(part) or None


def _tidy(part: str) -> str:
    inner = boxed(part)
    if inner is not None:
        part = inner
    else:
        formulas = _MATH.findall(part)
        if len(formulas) == 1 and len(_MATH.sub("", part).split()) < 8:
            part = next(f for f in formulas[0] if f)
    part = " ".join(part.split()).strip("*`").removesuffix(".").strip().strip("$").strip()
    part = re.sub(r"(?<=\S) ?\\(?:text|mbox|mathrm) ?\{ [^{}]*\}(?:\^\{?[0-9]\}?)?$", "", part)  # a unit
    bare = plain(part)
    match = NUMBER.fullmatch(bare.strip())
    if match is None:  # a unit or a per cent sign behind the number
        match = NUMBER.fullmatch(re.sub(r"\s*(?:%|\^\{?\\circ\}?|\\degree|°)$", "", bare).strip())
    value = None if match is None else value_of(match)
    if value is not None:
        return canonical_number(value)
    part = re.sub(r"\\(?:left|right|displaystyle|,|;|!|:|quad|qquad)(?![a-zA-Z])|~", "", part)
    part = re.sub(r"\\[dt]frac", r"\\frac", part)
    return " ".join(part.split())


@lru_cache(maxsize=4096)
def equivalent(gold: str, answer: str) -> bool:
    r"""Return whether two mathematical answers are the same, by math-verify.

    Overlong answers, towers of powers, integrals, sums and the like are compared as strings only.
    Works in any thread: the timeouts of math-verify, which work by signals, are off.
    """
    if gold == answer:
        return True
    if any(len(x) > _MAX_LATEX or _ENDLESS.search(x) or _too_high(x) for x in (gold, answer)):
        return False
    from math_verify import parse, verify  # it loads sympy, which takes a second

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)  # it reports each formula it cannot parse
    first = parse(f"${gold}$", parsing_timeout=None)
    second = parse(f"${answer}$", parsing_timeout=None)
    return bool(verify(first, second, timeout_seconds=None))


def _too_high(text: str) -> bool:
    symbols = re.search(r"(?<![A-Za-z\\])[A-Za-z]", text)
    return _tower(text) or _degree(text) > (_MAX_DEGREE if symbols else _MAX_EXPONENT_OF_NUMBER)


def _tower(text: str) -> bool:
    """Return whether a number is raised in an exponent, or an exponent follows another one."""
    in_exponent, opens_exponent = [False], [False]  # of each open bracket
    caret = closed_exponent = False
    previous = ""
    for token in re.findall(r"\^|\*\*|[0-9]+|\S", text):
        if token in ("^", "**"):
            if closed_exponent or (in_exponent[-1] and previous.isdigit()):
                return True
            caret = True
            continue
        if token in "{([":
            in_exponent.append(in_exponent[-1] or caret)
            opens_exponent.append(caret)
            closed_exponent = False
        elif token in "})]":
            closed_exponent = len(opens_exponent) > 1 and opens_exponent.pop()
            in_exponent = in_exponent[: len(opens_exponent)]
        else:
            closed_exponent = caret
            previous = token
        caret = False
    return False


def _degree(text: str) -> int:
    """Return the sum of all exponents in a formula; that of a bracket multiplies what is inside."""
    sums, last = [0], 0  # of each open bracket; of the bracket that was just closed
    tokens = re.findall(r"(?:\^|\*\*)\s*(?:\{[^{}]*\}|\([^()]*\)|[0-9]+)?|[{(\[]|[})\]]|[^\s]", text)
    for token in tokens:
        if token[0] == "^" or token[:2] == "**":
            exponent = math.prod(max(1, int(digits)) for digits in re.findall("[0-9]+", token))
            sums[-1] += max(1, last) * exponent - last
            last = 0
        elif token in "{([":
            sums.append(0)
            last = 0
        elif token in "})]" and len(sums) > 1:
            last = sums.pop()
            sums[-1] += last
        else:
            last = 0
    return sum(sums)
