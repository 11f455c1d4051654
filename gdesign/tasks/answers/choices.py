# ruff: noqa: RUF001 (other scripts and their punctuation are meant)
"""Answers that are the letter of an option.

A letter is read in every dress alike, be it A, which is an article too, I, a pronoun, or another: in brackets, in bold
or LaTeX, behind `option`, before `)`, `.` or `:`, before the text of its option or a reason (`A because`), alone.
`A dog` and `I think` are no letters, unless an option says so. Who names two names none, but for what is turned down
(`C, not A`).
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from gdesign.tasks.answers.formulas import equivalent, formula
from gdesign.tasks.answers.marked import after_cue, boxed, boxes_are_joined, cues, own_words, stated, withdrawn
from gdesign.tasks.answers.numbers import is_one_number, number
from gdesign.tasks.answers.texts import exact
from gdesign.tasks.answers.words import Words, spoken, whole

LETTERS = 26
"""How many letters a choice may be where options stand in the question alone."""

_MARKS = re.compile(
    r"\\(?:textbf|text|mathrm|mathbf|mathsf|mathit|boxed|fbox|bf|rm)\b|\\[()\[\]]|[*_`~$\"“”{}<>]|\\(?=\s)"
)
_CYRILLIC = str.maketrans("АВСЕНІКМОРТХ", "ABCEHIKMOPTX")  # of the same looks; options have Latin letters
_HEAD = (
    r"(?:(?:the|my|is|it|it's|are|be|would|should|definitely|clearly|probably|likely|therefore|so|either|indeed|only"
    r"|correct|final|best|right|most|answer|option|choice|letter|number|la|el|le|die|opción|opção|вариант)\b[\s:]*"
    r"|(?:ข้อ|ตัวเลือก|选项|選項|選択肢)\s*)*"
)
_TURNED_DOWN = re.compile(
    r"[,;.]?\s*\b(?:and not|but not|not|rather than|instead of|because|since|as|whereas|while|unlike|over|although)\b"
    r"|;|(?<=[a-z)])\.(?=\s)",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"[(\[]\s*([A-Z])\s*[)\]]")
_NAMED = re.compile(r"[(\[]\s*([A-Z])\s*[)\]]|\b(?:option|choice|answer|letter)\s+([A-Z])\b(?!['\u2019])", re.I)
_DRESSED = re.compile(
    r"[(\[]\s*([A-Z])\s*[)\]]|\*\*\s*[(\[]?([A-Z])[)\]]?[.:]?\s*\*\*|\b(?:option|choice)\s+([A-Z])\b(?!['\u2019])"
    r"|^[ \t]*#+[ \t]+([A-Z])[.:]?[ \t]*$",
    re.ASCII | re.MULTILINE,
)
_WRONG = re.compile(r"(?:\s\w+){0,6}?\s(?:is|are|was|can be|should be)\s(?:not\b|incorrect|wrong|eliminated|ruled out)")
_NO = r"(?!\bnot\b|n't\b)"
_BEST = re.compile(
    rf"\b(?:most\s+\w+|best|correct|right|only|logical|likely)\b(?:{_NO}[^.\n(]){{0,120}}?"
    r"\b(?:is|are|was|would be|will be|should be|be|to|would)\b\s*:?\s*"
    rf"(?P<said>(?:{_NO}[^.\n(]){{0,40}}?\([A-Z]\).*)",
)
_IS_RIGHT = re.compile(
    r"(?:[(\[]([A-Z])[)\]]|\*\*([A-Z])\*\*|\b(?:option|choice|answer|letter)\s+([A-Z])\b|(?<!\w)([A-Z])(?=[).:]?\s))"
    rf"[).:]?(?:\s(?:{_NO}(?!\bor\b|\band\b)[^.\n()]){{0,60}}?)?\s(?:is|seems|would be|must be)\s"
    r"(?:clearly |therefore )?(?:the )?(?:most \w+ |only )?(?:correct|right|best|appropriate|accurate)\b",
)
_I_CHOOSE = re.compile(
    r"\bI(?:'d|'ll|'m| am| would| will| have| must)?\s+(?:therefore\s+)?"
    r"(?:choose|chose|pick|select|go(?:ing)? (?:with|for)|opt(?:ing)? for|vote(?: for)?|answer|say)\b\s*:?\s*(.*)"
    r"|\bI\s(?:think|believe|guess)\s(?:that\s)?(?:it's|it\sis)\s(.*)"
    r"|(?<!\w)(?:[Cc]họn|[Ee]lijo|[Ee]scolho|[Ww]ähle|[Вв]ыбираю|choisis|memilih|[Ss]celgo|[Ww]ybieram)\s([(*]*[A-Z](?!\w).*)"
    r"|[选選][择擇]?\s*[:\uff1a]?\s*([(\uff08]?[A-Z](?![A-Za-z]).*)"
)


def choice(text: str, num_options: int, options: Sequence[str] = ()) -> str | None:
    """Return the capital letter that a text chooses.

    Reads, first that is there: what is stated (see `marked`), boxed, `the answer is X`, `the best option is X`,
    `X is correct`, `I choose X`, the whole text, a last line that repeats an option, and last a letter in brackets, in
    bold or after `option`, if no other is so dressed. What repeats the text of an option, with a unit, a currency or
    LaTeX around it, chooses it.

    Args:
        text: What was written.
        num_options: How many options there are; a letter beyond them is unreadable.
        options: Their texts; none where they stand in the question alone.
    """
    text = own_words(text)
    allowed = {chr(65 + i) for i in range(num_options)}
    for part in (stated(text), None if boxes_are_joined(text) else boxed(text)):
        if part is not None:
            letter = _chosen(part, options)
            return letter if letter in allowed else None
    if boxes_are_joined(text):
        return None
    for part in _conclusions(text):
        letter = _chosen(part, options)
        if letter is not None or _two(part):
            return letter if letter in allowed else None
    text = text[max(withdrawn(text), 0) :]
    if len(dict(_VERDICT.findall(text))) > 1 or _NOT_BUT.match(text):
        letter = _chosen(text, options)
        return letter if letter in allowed else None
    letter = _by_text(text, options)
    if letter is not None:
        return letter
    leading = _leading_letter(text, options)
    dressed = {next(filter(None, m.groups())) for m in _DRESSED.finditer(text) if not _WRONG.match(text, m.end())}
    if leading is None or dressed - {leading}:
        last = _last_line(text, options)
        if last is not None:
            return last
    if leading is not None:
        dressed.add(leading)
    return next(iter(dressed)) if len(dressed) == 1 and dressed <= allowed else None


def _conclusions(text: str) -> list[str]:
    """Return what is said to be chosen, the last saying first."""
    found = cues(text)
    found += [(m.start(), m["said"]) for words in spoken(text, "option") for m in _option_is(words).finditer(text)]
    if _BRACKETED.search(text):
        found += [(m.start(), m["said"]) for m in _BEST.finditer(text)]
    found += [(m.start(), next(filter(None, m.groups()))) for m in _IS_RIGHT.finditer(text)]
    found += [(m.start(), next(filter(None, m.groups()), "")) for m in _I_CHOOSE.finditer(text)]
    return [] if found and max(found)[0] < withdrawn(text) else [said for _, said in sorted(found, reverse=True)]


@lru_cache
def _option_is(words: Words) -> re.Pattern[str]:
    """Return a pattern of sentences in which an option is said to be the right one; alone it is only discussed."""
    noun, dress, says = whole(words.option), whole(words.dress), whole(words.says)
    return re.compile(
        rf"(?:(?:{dress})[ \t,]*(?:{noun})|(?:{noun})[ \t]*(?:{dress}))[^.\n:(]{{0,60}}?\s*"
        r"(?:[:\uff1a]"
        rf"|(?:{says})[ \t]*:?)[\s*_]*(?!not\b)(?P<said>\S.*)",
        re.IGNORECASE,
    )


# --------------------------------------------------------------------------- one saying

_CHOICE = re.compile(
    rf"{_HEAD}(?:[(\[]\s*(?P<brackets>[A-Za-z])\s*[)\]]|(?P<mark>[A-Za-z])\s*(?:(?P<colon>:)|[)\].](?!\w)|$)"
    r"|(?P<bare>[A-Z])(?![A-Za-z0-9_'\u2019-]))",
    re.IGNORECASE,
)
_ANOTHER = re.compile(r"\s*(?:[,/&+;]|and\b|or\b)\s*[(\[]?\s*[A-Z]\b\s*(?:[)\].,:]|$|and\b|or\b)")
_GOES_ON = re.compile(
    r"[^\x00-\x7f]|\s*(?:$|[^\w\s'\u2019]|(?:because|since|as|is|for|which|and not|not|rather|instead|over|but)\b)",
    re.IGNORECASE,
)


_NOT_BUT = re.compile(r"not\s+[(\[]?[A-Z][)\]]?,?\s+but\s+", re.IGNORECASE)
_IS_TRUE = re.compile(r"true|correct|right|yes|[✅✓✔]", re.IGNORECASE)
_VERDICT = re.compile(
    r"(?<!\w)([A-Z])[)\].*]{0,4}\s*[-\u2013\u2014:=]?\s*(?:is\s)?"
    r"((?i:true|false|(?:in)?correct|right|wrong|yes|no)(?=[\s,;.)]|\Z)|[✅✓✔❌✗✘])"
)


def _chosen(part: str, options: Sequence[str]) -> str | None:
    """Return the letter of what is stated, or is said to be the answer."""
    part = _NOT_BUT.sub("", _plain(part)) if _NOT_BUT.match(_plain(part)) else part
    if len(verdicts := dict(_VERDICT.findall(part))) > 1:
        right = [letter for letter, verdict in verdicts.items() if _IS_TRUE.fullmatch(verdict)]
        return right[0] if len(right) == 1 else None
    letter = _by_text(part, options) or _leading_letter(part, options)
    if letter is not None or _two(part):
        return letter
    plain = _plain(part)
    cut = _TURNED_DOWN.search(plain)
    said = plain if cut is None else plain[: cut.start()]
    named = {a or b.upper() for a, b in _NAMED.findall(said)}
    for clause in (said, re.split(r"[,;(\u2013\u2014]| - ", said, maxsplit=1)[0]):
        if (letter := _by_text(clause, options)) is not None:
            return letter
    return next(iter(named)) if len(named) == 1 else None


def _leading_letter(part: str, options: Sequence[str]) -> str | None:
    plain = _plain(part)
    match = _CHOICE.match(plain)
    if match is None or _two(part):
        return None
    if _WRONG.match(plain, match.end()):
        return None
    rest = plain[match.end() :]
    letter = (match["brackets"] or match["mark"] or match["bare"]).upper()
    text = options[ord(letter) - 65] if ord(letter) - 65 < len(options) else None
    repeats = text is not None and _folded(rest).startswith(_folded(text))
    if match["bare"] is None:
        # `A: ...` may begin an answer as `Q:` begins a question
        return letter if repeats or not (match["colon"] and rest.strip() and options) else None
    if match["bare"].islower():
        return None
    alone = letter not in "AI" or _GOES_ON.match(rest) is not None or (not options and rest[1:2].isupper())
    return letter if repeats or alone else None


def _two(part: str) -> bool:
    """Return whether two letters are named that neither is turned down."""
    plain = _plain(part)
    match = _CHOICE.match(plain)
    begin = 0 if match is None else match.end()
    if match is not None and _ANOTHER.match(plain, begin):
        return True
    cut = _TURNED_DOWN.search(plain, begin)
    return len(set(_BRACKETED.findall(plain if cut is None else plain[: cut.start()]))) > 1


def _last_line(text: str, options: Sequence[str]) -> str | None:
    """Return the letter of a last line that is an option with its text, unless the options are listed there."""
    *_, before, last = ("", "", *(line for line in text.splitlines() if line.strip()))
    return None if _option(before, options) else _option(last, options)


def _option(line: str, options: Sequence[str]) -> str | None:
    found = re.fullmatch(r"[(\[]?([A-Z])[)\].:]+\s+(.+)", _plain(line))
    if found is None or ord(found[1]) - 65 >= len(options):
        return None
    return found[1] if _folded(found[2]) == _folded(options[ord(found[1]) - 65]) else None


# --------------------------------------------------------------------------- what options say


def _by_text(part: str, options: Sequence[str]) -> str | None:
    """Return the letter of the only option that a text repeats, or whose number it gives."""
    said = _folded(part)
    if not options or not said or re.fullmatch("[a-z]", said):  # a letter names an option, whatever the options say
        return None
    same = [i for i, option in enumerate(options) if _folded(option) == said]
    if not same and len(part) < _SHORT and re.search(r"[0-9\u221a\u03c0\\]", unicodedata.normalize("NFKC", part)):
        same = _same_formula(part, options)
    if not same and (value := _measure(part)) is not None:
        measures = [_measure(option) for option in options]
        for units in ((value[1], ""), tuple({m[1] for m in measures if m is not None} if not value[1] else ())):
            same = same or [i for i, m in enumerate(measures) if m is not None and m[0] == value[0] and m[1] in units]
    return chr(65 + same[0]) if len(same) == 1 else None


def _same_formula(part: str, options: Sequence[str]) -> list[int]:
    """Return which options are the formula of a text; none unless both are written as formulas."""
    said = _formula(part)
    if said is None:
        return []
    return [i for i, option in enumerate(options) if (it := _formula(option)) is not None and equivalent(it, said)]


@lru_cache(maxsize=1024)
def _formula(text: str) -> str | None:
    """Return a short text as a formula, without a mark before it; None if words stand in it."""
    text = stated(text) or boxed(text) or after_cue(text) or text
    bare = re.sub(r"\\[A-Za-z]+|\b(?:pi|sqrt)\b", "", text)
    if (
        len(text) > _SHORT
        or re.search(r"[^\W\d_]{2}", bare)
        or not re.search(r"[0-9\u221a\u03c0\u00bc-\u00be]|\\", text)
    ):
        return None
    return formula(f"Answer: {text}")


_SHORT = 60  # characters of what is a number with a unit


def _plain(part: str) -> str:
    plain = " ".join(_MARKS.sub("", unicodedata.normalize("NFKC", part)).split()).lstrip("'# ").rstrip("' ")
    return re.sub(r"(?<!\w)[АВСЕНІКМОРТХ](?=\s*(?:[).:,]|$))", lambda m: m[0].translate(_CYRILLIC), plain)


@lru_cache(maxsize=1024)  # options are compared with every reply
def _folded(text: str) -> str:
    folded = (exact(_plain(text), sentence=False) or "").strip(" .,;:!?()[]")
    return re.sub(r"^(?:an?|the) (?=\w)", "", folded)


_TOUCHED = re.compile(r"[\u221a\u03c0^]|\\(?:sqrt|pi)\b|\b(?:sqrt|pi)\b|\\[dt]?frac\W*\\")  # no plain number


@lru_cache(maxsize=1024)
def _measure(text: str) -> tuple[str, str] | None:
    """Return the number that a short text gives, and the letters of its unit without the s of a plural."""
    value = number(text) if len(text) < _SHORT and not _TOUCHED.search(text) and is_one_number(text) else None
    unit = re.sub(r"[\W\d_]", "", re.sub(r"^[^=]*=", "", _plain(text).casefold())).removesuffix("s")
    return None if value is None else (value, unit)
