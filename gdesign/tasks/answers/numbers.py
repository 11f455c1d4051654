"""Answers that are numbers."""

import re
from fractions import Fraction

from gdesign.tasks.answers.marked import after_cue, boxed, own_words, stated

_CURRENCY = r"(?:USD|US\$|EUR|GBP|INR|Rs\.?|[$€£¥₹])"
NUMBER = re.compile(
    rf"""
    (?P<sign>(?<![\w)\]}}%])-(?={_CURRENCY}|[0-9.])|(?:^|(?<=[=:(]\s)|(?<=[=:(]))-\s(?={_CURRENCY}|[0-9.]))?
    (?:(?<![A-Za-z]){_CURRENCY}\s?)?
    (?P<inner>(?<=[$€£¥₹])-)?
    (?<![A-Za-z])
    (?:
        (?:(?P<whole>[0-9]+)(?:\s+|\s+and\s+|-))?(?P<top>[0-9]+)\s?/\s?(?P<bottom>[0-9]+)
      | (?P<digits>[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])|[0-9]+)(?P<decimals>\.[0-9]+)?
      | (?<![\w.])(?P<point>\.[0-9]+)
    )
    (?:[eE](?P<e>[-+]?[0-9]+)(?![0-9.])|\s?(?:[x\u00d7*]|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?\{{?(?P<ten>[-+]?[0-9]+)\}}?)?
    (?:\s+(?P<scale>hundred|thousand|million|billion|trillion)\b)?
    """,
    re.VERBOSE,
)
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_MAX_DIGITS = 300
_MAX_EXPONENT = 300


def number(text: str) -> str | None:
    """Return the number that a text answers, as a canonical string.

    Reads, first that is there: the last line `Answer: X`, `#### X`, boxed, `the answer is X`, and
    last the last number of all. Currency, per cent signs, thousands separators, units and Markdown
    are dress.

    Returns:
        `18`, `-0.25`, or a fraction in lowest terms where no decimal ends (`2/3`); None if there is
        no number.
    """
    text = plain(own_words(text))
    for part in (stated(text), _last(r"####\s*([^\n]*)", text), boxed(text), after_cue(text)):
        if part is not None:
            inner = boxed(part)
            found = _first_number(part if inner is None else inner)
            if found is not None:
                return canonical_number(found)
    last = None
    for match in NUMBER.finditer(text):
        value = value_of(match)
        last = last if value is None else value
    return None if last is None else canonical_number(last)


def plain(text: str) -> str:
    r"""Return the text with minus signs, spaces and LaTeX around numbers made plain."""
    text = text.replace("\u2212", "-").replace("\u2013", "-")
    text = re.sub(r"(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))", ",", text)
    text = re.sub(r"\{,\}|(?<=[0-9]),?\\[,;!:](?=[0-9]{3})", ",", text).replace("\\$", "$").replace("\\%", "%")
    text = re.sub(r"\\[dt]?frac ?\{? ?(-?[0-9]+) ?\}? ?\{ ?([0-9]+) ?\}", r" \1/\2", text)
    text = re.sub(r"\\[dt]?frac ?([0-9])([0-9])", r" \1/\2", text)
    return re.sub(r"\\(?:text|mathrm|mathbf|textbf) ?\{([^{}]*)\}", r" \1", text)


def _last(pattern: str, text: str) -> str | None:
    found = re.findall(pattern, text)
    return found[-1] if found else None


def _first_number(text: str) -> Fraction | None:
    """Return the first number in a sentence, of what follows the last `=` if there is one."""
    text = re.split(r"[.;]\s+(?=[A-Z])", text, maxsplit=1)[0]
    for part in (text.rsplit("=", 1)[-1], text):
        for match in NUMBER.finditer(part):
            value = value_of(match)
            if value is not None:
                return value
    return None


def value_of(match: re.Match[str]) -> Fraction | None:
    """Return the value of a match; None if it is too long to be meant, or divides by zero."""
    if match.end() - match.start() > _MAX_DIGITS:
        return None
    if match["top"] is not None:
        if int(match["bottom"]) == 0:
            return None
        value = Fraction(int(match["top"]), int(match["bottom"])) + int(match["whole"] or 0)
    else:
        value = Fraction((match["digits"] or "0").replace(",", "") + (match["decimals"] or match["point"] or ""))
    exponent = int(match["e"] or match["ten"] or 0) + _SCALES.get(match["scale"], 0)
    if abs(exponent) > _MAX_EXPONENT:
        return None
    value *= Fraction(10) ** exponent
    return -value if match["sign"] or match["inner"] else value


def canonical_number(value: Fraction) -> str:
    """Return a number as a decimal, or as a fraction in lowest terms where no decimal ends."""
    rest, shift = value.denominator, 0
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest //= prime
            power += 1
        shift = max(shift, power)
    if rest != 1:
        return str(value)
    if shift == 0:
        return str(value.numerator)
    digits = str(abs(value.numerator) * 10**shift // value.denominator).rjust(shift + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-shift]}.{digits[-shift:]}"
