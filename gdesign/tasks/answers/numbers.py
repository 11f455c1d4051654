# ruff: noqa: RUF001 (other scripts and their punctuation are meant)
"""Answers that are numbers, which `figures` reads as they are written."""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from gdesign.tasks.answers.figures import (
    CURRENCY,
    NUMBER,
    canonical_number,
    in_english,
    in_words,
    local,
    plain,
    value_of,
)
from gdesign.tasks.answers.marked import boxed, boxes_are_joined, cues, own_words, stated, withdrawn


def number(text: str) -> str | None:
    """Return the number that a text answers, as a canonical string.

    Reads, first that is there: what is stated (see `marked`), `#### X`, boxed, `the answer is X`, a line that holds
    nothing but the number (in bold, or the first), and last the number that the last sentence with one concludes.

    A sentence may hold several: then the result of its equation counts, else the one that was computed last before it
    (`= 50 miles. So she runs 50 miles in 7 hours`), else the one in bold, else the last; in what is stated, the first.
    Brackets and reasons (`because`) behind a number are left out, and so are times (`5 pm`) and ordinals (`6th`). Two
    numbers (`27, 18`), an expression with an unknown (`2x + 4`) and a conclusion that is withdrawn (`so it cannot be
    determined`) are none.

    Returns:
        `18`, `-0.25`, or a fraction in lowest terms where no decimal ends (`2/3`); None if there is
        no number, or none in what is stated or boxed.
    """
    text = in_english(plain(own_words(text)))
    part = stated(text)
    if part is not None:
        at = max(text.rfind(part), 0)
        inner = boxed(part)
        found = _of_statement(part if inner is None else inner, text[:at])
        if found is None and text[at + len(part) :].strip("*_`~<>\"' \n"):
            found = _concluded(text[at:])  # the working stands behind the mark
        return None if found is None else canonical_number(found)
    if boxes_are_joined(text):
        return None
    box = boxed(text)
    parts = (*_HASHES.findall(text)[-1:], *([] if box is None or re.fullmatch("[a-z]", box) else [box]))  # an unknown
    marks = [(text.rfind(part), part) for part in parts]
    for at, part in (*marks, *((at, said) for at, said in cues(text) if _first(said) is not None)):
        inner = boxed(part)
        found = _of_statement(part if inner is None else inner, text[:at])
        return None if found is None else canonical_number(found)
    found = _alone(text)
    if found is None:
        found = _concluded(text)
    return None if found is None else canonical_number(found)


def is_one_number(text: str) -> bool:
    """Return whether a text gives one number and nothing that could be another, as a reference must.

    `12 m^2` and `#### 18` behind a derivation do; what names two (`5-7`, `3 and 5`), a time (`10:30`) and a date
    (`2024-05-17`) do not.
    """
    text = in_english(plain(own_words(text)))
    part = local(next((p for p in (stated(text), *_HASHES.findall(text)[-1:], boxed(text)) if p is not None), text))
    if in_words(part) is not None:
        return True
    whole = NUMBER.fullmatch(part.strip())
    return len(list(_values(part))) == 1 and (whole is not None or not re.search(r"[0-9]\s*[-:]\s*[0-9]", part))


# --------------------------------------------------------------------------- which number

_HASHES = re.compile(
    rf"^[ \t]*####[ \t]*(-?\s?{CURRENCY}?\s?-?[0-9.][0-9.,/ ]*%?(?:[ \t]+[^\W\d]+(?=\s*\Z))?)[ \t]*$", re.M
)
_DRESSED = re.compile(r"^[ \t]*(?:\*\*|__)([^*\n]+?)[.:]?(?:\*\*|__)[ \t.]*$", re.M)
_SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=[^\Wa-z0-9_]|[*$\\(])|\n+|(?<=[。！？।])")
_REASON = re.compile(r"\b(?:because|since|given that|as (?:it|he|she|they|the|we|each|there)|so that)\b", re.I)
_NO_RESULT = re.compile(
    r"\b[0-9]{1,2}(?::[0-9]{2})?\s?[ap]\.?\s?m\b\.?|\b[0-9]{1,2}:[0-9]{2}\b|\b[0-9]+(?:st|nd|rd|th)\b"
    r"|[0-9]+[^\W\d_]{1,4}?(?:あたり|当たり|につき|ごと)",
    re.I,
)
_RESTATED = re.compile(r"\b(?:or|i\.e\.|that is),?\s+(?:about |approximately )?[0-9][0-9.,]*\s?(?:%|per ?cent)", re.I)
_ASIDE = re.compile(
    r"\b(?:in|for|after|within|during|over|per|every|from|among)\s(?:the |each |all |these )?[$€£]?[0-9][0-9.,]*",
    re.I,
)
_ASIDE_TIME = re.compile(  # the same in other languages, of times alone: their prepositions have more meanings
    r"(?<!\w)(?:en|durante|por|in|während|nach|innerhalb von|für|pro|pendant|pour|après|par|за|через|в течение|em|dopo"
    r"|per|na|w|ciągu|för|på|op)\s[0-9][0-9.,]*\s(?:jours?|heures?|minut\w*|semain\w*|semanas?|mois|ans?\b|années"
    r"|días?|dias?|horas?|mes(?:es|i|e)?\b|años?|anos?|tage?n?|stunden?|wochen?|monate?n?|jahre?n?|дн\w*|день|час\w*"
    r"|недел\w*|месяц\w*|год\w*|лет|giorn[oi]|or[ea]\b|settiman[ae]|ann[oi]|dni|godzin\w*|tygodni\w*|lat\b|dag\w*|timmar"
    r"|uur|weken|veckor|dager|jaar|år)",
    re.I,
)
_EXPRESSION = re.compile(r"\s*[^\W\d_]*\s*(?:[-+*/×÷·^]|\\times|\\cdot|\\div)\s*[$€£¥₹]?[0-9(]")
_UNKNOWN = re.compile(
    r"[0-9)}](?:\s?[xyz]|[an])(?![\w]|\s*[0-9$(])|[0-9][a-z]\s?[-+^]\s?[0-9(]|(?<![\w])[xyz]\s?[-+*/]\s?[0-9]|[-+]\s?[xyz](?!\w)"
)
_UNFINISHED = re.compile(r"[√π]|\\(?:sqrt|pi|[dt]?frac|log|ln|sin|cos|tan)(?![a-z])|\b(?:sqrt|pi)\b")
_RANGE = re.compile(
    r"(?:\w+ ){0,2}(?:between|zwischen|entre|между)\s[^\w.-]*[0-9.,]+\s\w+\s[^\w.-]*[0-9.,]+(?: \w+)?\W*\Z", re.I
)
_BETWEEN = re.compile(r"[)\s]*(?:[-+/×÷·]|(?<!\*)\*(?!\*)|x(?=\s)|\\times|\\cdot|\\div)[(\s]*")
_MANY = 200


def _of_statement(part: str, before: str) -> Fraction | None:
    """Return the number that what is stated gives, without its reasons."""
    part = part.strip("*_`~ \t\n")
    spelled = in_words(part)
    if spelled is not None:
        return spelled
    for sentence in re.split(r"[.;]\s+(?=[A-Z])|\n", local(part)):
        match = NUMBER.search(sentence)
        if match is not None:
            if "=" not in sentence and _UNKNOWN.search(sentence):
                return None
            begins = not re.search(r"[^\W_]", re.sub(CURRENCY, "", sentence[: match.start()]))
            aside = r"\([^()]*\)" if begins else r"\([^()]*(?:[=+×*/]|because|since| - )[^()]*\)"
            for shorter in (_REASON.split(re.sub(aside, " ", sentence))[0], _REASON.split(sentence)[0], sentence):
                if _first(shorter) is not None:
                    if _is_expression(shorter):
                        return None
                    return _chosen(shorter, before, last=not begins)
    return None


def _is_expression(text: str) -> bool:
    """Return whether a text leaves something to compute: a root, pi, or an operator between numbers without result."""
    if "=" in text or "≈" in text:
        return False
    found = [m for m in NUMBER.finditer(text) if value_of(m) is not None]
    return (
        _UNFINISHED.search(text) is not None
        or _RANGE.match(text) is not None
        or any(
            _BETWEEN.fullmatch(text, first.end(), second.start() + len(second["sign"] or ""))
            for first, second in pairwise(found)
        )
    )


def _concluded(text: str) -> Fraction | None:
    """Return the number that the last sentence with one concludes; None if it is withdrawn there or later."""
    end = len(text)
    for gap in (*[m.start() for m in _SENTENCE.finditer(text)][::-1], 0):
        if _first(text[gap:end]) is not None:
            return None if gap <= withdrawn(text) else _chosen(text[gap:end], text[:gap], last=True)
        end = gap
    return None


def _alone(text: str) -> Fraction | None:
    """Return the number that stands alone, on the first line or in bold on one of its own, but for a unit."""
    first = text.strip().split("\n", 1)[0]
    if (spelled := in_words(first)) is not None:
        return spelled
    for line in (*_DRESSED.findall(text)[::-1], first):
        match = NUMBER.match(line := local(line.strip()))
        if match is not None and re.fullmatch(r"\s*(?:%|[$€£¥₹]|[^\W\d_]+\.?)?\.?", line[match.end() :]):
            return value_of(match)
    return None


def _chosen(sentence: str, before: str, *, last: bool) -> Fraction | None:
    """Return the result among the numbers of a sentence, see `number`; the last or the first where nothing tells."""
    sentence = re.sub(r"<<[^<>\n]*>>", "", sentence)
    if "=" in sentence:
        return _of_equation(sentence)
    if _UNKNOWN.search(sentence) or (not last and _are_two(sentence)):
        return None
    values = list(_values(_NO_RESULT.sub(" ", sentence))) or list(_values(sentence))
    if values and _RESTATED.search(sentence):
        return values[-1]
    if len(set(values)) > 1:
        bold = {value for span in re.findall(r"\*\*([^*\n]+)\*\*", sentence) for value in _values(span)}
        likely: list[Fraction] = [
            value for value in (_computed(before), *(bold if len(bold) == 1 else ())) if value in values
        ]
        if likely:
            return likely[0]
        aside = {value for aside in (_ASIDE, _ASIDE_TIME) for m in aside.finditer(sentence) for value in _values(m[0])}
        values = [value for value in values if value not in aside] or values
    return (values[-1] if last else values[0]) if values else None


def _are_two(text: str) -> bool:
    """Return whether a text is nothing but several numbers with their units (`27, 18`, `3 cats and 4 dogs`)."""
    found = [m for m in NUMBER.finditer(text) if value_of(m) is not None]
    if len(found) < 2:
        return False
    betweens, behind = [text[a.end() : b.start()] for a, b in pairwise(found)], text[found[-1].end() :]
    return all(
        re.fullmatch(
            r"\s?(?:hours?|hrs?|h|minutes?|mins?|weeks?|days?|years?|months?|feet|foot|ft|pounds?|lbs?),?\s(?:and )?",
            between,
        )
        or re.fullmatch(r"[\w ]*?(?:,|;|&|或|和|\b(?:and|or|und|oder|y|o|et|ou|e|и|или|na|au)\b)\W*", between)
        for between in betweens
    ) and bool(re.fullmatch(r"[\w ]*\W*", behind))


def _of_equation(text: str) -> Fraction | None:
    """Return the last side that is a number alone, with a unit; the first number of the last side where none is."""
    sides = [side for side in map(str.strip, text.split("=")[::-1]) if _first(side) is not None]
    if not sides or _UNKNOWN.search(sides[0]):
        return None
    for side in sides:
        match = next(m for m in NUMBER.finditer(side) if value_of(m) is not None)
        if not _EXPRESSION.match(side, match.end()):
            return value_of(match)
    return _first(sides[0])


def _computed(text: str) -> Fraction | None:
    """Return the last number behind an equals sign that no computation goes on from."""
    for sign in [m.end() for m in re.finditer(r"[=≈]\s*(?:<<[^<>\n]*>>)?\s*", text)][: -_MANY - 1 : -1]:
        match = NUMBER.match(text, sign)
        if match is not None and not _EXPRESSION.match(text, match.end()):
            return value_of(match)
    return None


def _values(text: str) -> Iterator[Fraction]:
    return (value for match in NUMBER.finditer(text) if (value := value_of(match)) is not None)


def _first(text: str) -> Fraction | None:
    return next(_values(text), None)
