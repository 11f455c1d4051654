"""Answers that are the letter of an option."""

import re
from collections.abc import Sequence

from gdesign.tasks.answers.marked import after_cue, boxed, own_words, stated
from gdesign.tasks.answers.texts import exact

_MARKS = re.compile(r"[*_`~$\"“”]|\\(?:textbf|text|mathrm|mathbf|mathsf|boxed|fbox)\b|[{}]|\\[()\[\]]")
_HEAD = r"(?:(?:the|my|is|it|it's|correct|final|best|right|most\s+likely|answer|option|choice|letter|be)\b[\s:]*)*"
_CHOICE = re.compile(
    rf"{_HEAD}(?:[(\[]\s*(?P<brackets>[A-Za-z])\s*[)\]]|(?P<mark>[A-Za-z])\s*(?:[)\]:.](?!\w)|$)|(?P<bare>[A-Z])\b(?![\w'\u2019-]))",
    re.IGNORECASE,
)
_BECAUSE = re.compile(r"\s*(?:[,;(\u2013\u2014-]|because\b|since\b|as\b|is\b|for\b|\.|$)", re.IGNORECASE)
_ANOTHER = re.compile(r"\s*(?:[,/&]|and\b|or\b)\s*[(\[]?\s*[A-Z]\b\s*(?:[)\].,:]|$|and\b|or\b)")
_DRESSED = re.compile(
    r"[(\[]\s*([A-Z])\s*[)\]]|\*\*\s*[(\[]?([A-Z])[)\]]?[.:]?\s*\*\*|\b(?:option|choice)\s+([A-Z])\b(?!['\u2019])",
    re.ASCII,
)


def choice(text: str, num_options: int, options: Sequence[str] = ()) -> str | None:
    """Return the capital letter that a text chooses.

    Reads, first that is there: the last line `Answer: X`, boxed, `the answer is X`, the whole text,
    and last a letter in brackets, in bold or after `option`, if no other is so dressed. An article
    `A` and a pronoun `I` are no choices.

    Args:
        text: What was written.
        num_options: How many options there are; a letter beyond them is unreadable.
        options: Their texts; an answer that repeats one of them chooses it.
    """
    text = own_words(text)
    allowed = {chr(65 + i) for i in range(num_options)}
    for part in (stated(text), boxed(text), after_cue(text)):
        if part is not None:
            letter = _by_text(part, options) or _leading_letter(part)
            if letter is not None:
                return letter if letter in allowed else None
    letter = _by_text(text, options)
    if letter is not None:
        return letter
    dressed = {a or b or c for a, b, c in _DRESSED.findall(text)}
    leading = _leading_letter(text)
    if leading is not None:
        dressed.add(leading)
    return next(iter(dressed)) if len(dressed) == 1 and dressed <= allowed else None


def _leading_letter(part: str) -> str | None:
    plain = " ".join(_MARKS.sub("", part).split()).lstrip("'")
    match = _CHOICE.match(plain)
    if match is None:
        return None
    rest = plain[match.end() :]
    if _ANOTHER.match(rest):
        return None
    if match["brackets"] or match["mark"]:
        return (match["brackets"] or match["mark"]).upper()
    bare = match["bare"]
    if bare.islower() or (bare in "AI" and not _BECAUSE.match(rest)):
        return None
    return bare


def _by_text(part: str, options: Sequence[str]) -> str | None:
    said = exact(part)
    if said is None or re.fullmatch("[a-z]", said):  # a letter names an option, whatever the options say
        return None
    same = [i for i, option in enumerate(options) if exact(option) == said]
    return chr(65 + same[0]) if len(same) == 1 else None
