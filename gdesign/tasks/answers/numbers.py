# ruff: noqa: RUF001, RUF002 (other scripts and their punctuation are meant)
"""Answers that are numbers.

Numbers are read as they are written in English (`1,234.56`), German or Spanish (`1.234,56`), French (`1 234,56`), Swiss
(`1'234.56`) and Indian (`1,00,000`), in the digits of any script, with signs, fractions and powers of Unicode or LaTeX
(`−7`, `1½`, `10³`), with scales (`2 million`, `3k`, `$1.5M`), currencies, per cent signs and units around them.
Where a form could be two numbers, these rules decide:

- A comma before exactly three digits parts thousands (`12,345`), but for a leading zero (`0,125`); before any other
  number of digits it is decimal (`12,5`).
- A single point is decimal (`1.234`), but before exactly three digits in a text that writes decimal commas, or whose
  language does, and no number of which is written in English.
- A plain space before three digits parts thousands where an answer begins with the number, beside a currency sign,
  before a decimal comma, and in texts of such a language.
"""

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction

from gdesign.tasks.answers.marked import boxed, boxes_are_joined, cues, own_words, stated, withdrawn

_CURRENCY = r"(?:USD|US\$|R\$|EUR|GBP|INR|CHF|Rs\.?|[$€£¥₹₽₩])"
NUMBER = re.compile(
    rf"""
    (?P<sign>(?<![\w)\]}}%])-(?={_CURRENCY}|[0-9.])|(?:^|(?<=[=:(]\s)|(?<=[=:(]))-\s(?={_CURRENCY}|[0-9.]))?
    (?:(?<![A-Za-z]){_CURRENCY}\s?)?
    (?P<inner>(?<=[$€£¥₹])-)?
    (?<![A-Za-z^_])(?<!\^\{{)
    (?:
        (?:(?P<whole>[0-9]+)(?:\s+|\s+and\s+|-))?(?P<top>[0-9]+)\s?/\s?(?P<bottom>[0-9]+)
      | (?P<digits>[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])|[0-9]+)(?P<decimals>\.[0-9]+)?
      | (?<![\w.])(?P<point>\.[0-9]+)
    )
    (?:[eE](?P<e>[-+]?[0-9]+)(?![0-9.])|\s?(?:[x\u00d7*]|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?\{{?(?P<ten>[-+]?[0-9]+)\}}?)?
    (?:(?:\^|\*\*)\{{?(?P<power>-?[0-9]{{1,4}})\}}?(?![0-9.]))?
    (?:\s+(?P<scale>hundred|thousand|million|billion|trillion)\b)?
    """,
    re.VERBOSE,
)
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_MAX_DIGITS = 300
_MAX_EXPONENT = 300


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
    text = _in_english(plain(own_words(text)))
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
    text = _in_english(plain(own_words(text)))
    part = _local(next((p for p in (stated(text), *_HASHES.findall(text)[-1:], boxed(text)) if p is not None), text))
    if _in_words(part) is not None:
        return True
    whole = NUMBER.fullmatch(part.strip())
    return len(list(_values(part))) == 1 and (whole is not None or not re.search(r"[0-9]\s*[-:]\s*[0-9]", part))


# --------------------------------------------------------------------------- which number

_HASHES = re.compile(
    rf"^[ \t]*####[ \t]*(-?\s?{_CURRENCY}?\s?-?[0-9.][0-9.,/ ]*%?(?:[ \t]+[^\W\d]+(?=\s*\Z))?)[ \t]*$", re.M
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
_EXPRESSION = re.compile(r"\s*[^\W\d_]*\s*(?:[-+*/×÷·^]|\\times|\\cdot|\\div)\s*[$€£¥₹]?[0-9(]")
_UNKNOWN = re.compile(r"[0-9)}]\s?[xyz](?![\w]|\s*[0-9$(])|(?<![\w])[xyz]\s?[-+*/]\s?[0-9]|[-+]\s?[xyz](?!\w)")
_MANY = 200


def _of_statement(part: str, before: str) -> Fraction | None:
    """Return the number that what is stated gives, without its reasons."""
    part = part.strip("*_`~ \t\n")
    in_words = _in_words(part)
    if in_words is not None:
        return in_words
    for sentence in re.split(r"[.;]\s+(?=[A-Z])|\n", _local(part)):
        match = NUMBER.search(sentence)
        if match is not None:
            if "=" not in sentence and _UNKNOWN.search(sentence):
                return None
            begins = not re.search(r"[^\W_]", re.sub(_CURRENCY, "", sentence[: match.start()]))
            aside = r"\([^()]*\)" if begins else r"\([^()]*(?:[=+×*/]|because|since| - )[^()]*\)"
            for shorter in (_REASON.split(re.sub(aside, " ", sentence))[0], _REASON.split(sentence)[0], sentence):
                if _first(shorter) is not None:
                    return _chosen(shorter, before, last=not begins)
    return None


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
    if (in_words := _in_words(first)) is not None:
        return in_words
    for line in (*_DRESSED.findall(text)[::-1], first):
        match = NUMBER.match(line := _local(line.strip()))
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
        aside = {value for m in _ASIDE.finditer(sentence) for value in _values(m[0])}
        values = [value for value in values if value not in aside] or values
    return (values[-1] if last else values[0]) if values else None


def _are_two(text: str) -> bool:
    """Return whether a text is nothing but two numbers with their units (`27, 18`, `3 cats and 4 dogs`)."""
    found = [m for m in NUMBER.finditer(text) if value_of(m) is not None]
    if len(found) != 2:
        return False
    between, behind = text[found[0].end() : found[1].start()], text[found[1].end() :]
    return bool(
        re.fullmatch(r"[\w ]*?(?:,|;|&|或|和|\b(?:and|or|und|oder|y|o|et|ou|e|и|или|na|au)\b)\W*", between)
        and re.fullmatch(r"[\w ]*\W*", behind)
    )


def _of_equation(text: str) -> Fraction | None:
    """Return the last side that is a number alone, with a unit; the first number of the last side where none is."""
    sides = [side for side in text.split("=")[::-1] if _first(side) is not None]
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


# --------------------------------------------------------------------------- how numbers are written

_MINUS = "\u2212\u2010\u2011\u2012\u2013\u2014\u2015\ufe58\ufe63\uff0d"
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_ASCII = {
    **dict.fromkeys(map(ord, _MINUS), "-"),
    **{ord(full): half for full, half in zip("．，％＋／＝：＄￥（）٫٬⁄", ".,%+/=:$¥().,/", strict=True)},
}


def plain(text: str) -> str:
    r"""Return the text with the digits of all scripts, signs, fractions, powers and LaTeX around numbers made plain."""
    if not text.isascii():
        text = text.translate(_ASCII)
        text = re.sub(r"[¼-¾⅐-⅞]", lambda m: " " + unicodedata.normalize("NFKD", m[0]).replace("\u2044", "/"), text)
        text = re.sub(r"[⁰¹²³⁴-⁹⁻]+", lambda m: f"^{{{m[0].translate(_RAISED)}}}", text)
        text = re.sub(r"[^\W\D]", lambda m: str(unicodedata.decimal(m[0])), text)
        text = re.sub(r"(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))", "", text)
    text = re.sub(r"\{,\}|(?<=[0-9]),?\\[,;!:](?=[0-9]{3})", ",", text).replace("\\$", "$").replace("\\%", "%")
    text = re.sub(r"\\[dt]?frac ?\{? ?(-?[0-9]+) ?\}? ?\{ ?([0-9]+) ?\}", r" \1/\2", text)
    text = re.sub(r"\\[dt]?frac ?([0-9])([0-9])", r" \1/\2", text)
    return re.sub(r"\\(?:text|mathrm|mathbf|textbf) ?\{([^{}]*)\}", r" \1", text)


_GROUPS = re.compile(r"(?<![0-9.,])(?<![0-9] )[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9]| ?/|-[A-Za-z])")
_DECIMAL_COMMA = re.compile(r"(?<![0-9.,])(?<!\([0-9])(?:0,[0-9]+|[0-9]+,(?:[0-9]{1,2}|[0-9]{4,}))(?![0-9]|,[0-9]|\))")
_ENGLISH = re.compile(r"[0-9],[0-9]{3}(?![0-9,])|(?<![0-9.,])(?:[0-9]+\.(?:[0-9]{1,2}|[0-9]{4,})|0\.[0-9]+)(?![0-9.,])")
_SAYS_COMMA = re.compile(
    r"[а-яё]{2,}|\b(?:der|die|das|und|ist|für|antwort|el|los|una|por|para|respuesta|les|des|est|pour|une|réponse|il|gli"
    r"|che|risposta|não|uma|são|resposta|het|een|van|antwoord|jest|się|odpowiedź|och|är|svar|bir|için|cevap|adalah)\b",
    re.I,
)
_SAYS_POINT = re.compile(r"\b(?:the|of|and|is|are|was|to|we|she|he|each)\b", re.I)


def _in_english(text: str) -> str:
    """Return a text with its numbers written as in English, by the rules of this module."""
    text = re.sub(r"(?<![0-9.,])[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?![0-9]|,[0-9])", _joined, text)
    text = re.sub(r"(?<![0-9.,'])[0-9]{1,3}(?:['’][0-9]{3})+(?![0-9])", _joined, text)
    foreign = len(_SAYS_COMMA.findall(text)) > len(_SAYS_POINT.findall(text))
    groups = (
        _GROUPS.pattern
        if foreign
        else rf"(?<=[$€£¥₹]){_GROUPS.pattern}|{_GROUPS.pattern}(?=,[0-9]{{1,2}}(?![0-9])| ?[$€£¥₹₽])"
    )
    text = re.sub(groups, _joined, text)
    grouped = r"(?<![0-9.,])[1-9][0-9]{0,2}(?:(?:\.[0-9]{3})+(?=,[0-9])|(?:\.[0-9]{3}){2,}(?![0-9.]))"
    commas = bool(re.search(grouped, text) or _DECIMAL_COMMA.search(text))
    text = re.sub(grouped, _joined, text)
    if (commas or foreign) and not _ENGLISH.search(text):
        text = re.sub(r"(?<![0-9.,])[1-9][0-9]{0,2}\.[0-9]{3}(?![0-9.,])", _joined, text)
    text = _DECIMAL_COMMA.sub(lambda m: m[0].replace(",", "."), text)
    text = re.sub(
        r"\bnegative\s+(?=[0-9.$])|(?:^|(?<=is )|(?<=be )|(?<=[:=] ))minus\s+(?=[0-9.$])", "-", text, flags=re.I | re.M
    )
    return re.sub(
        r"([0-9])(\s*(?:dollars?|euros?|pounds?))\s+(?:and\s+)?([0-9]{1,2})\s+(?:cents?|pence)\b",
        lambda m: f"{m[1]}.{int(m[3]):02}{m[2]}",
        text,
        flags=re.I,
    )


def _joined(match: re.Match[str]) -> str:
    return re.sub(r"[^0-9]", "", match[0])


def _local(part: str) -> str:
    """Return what is stated with its first number in English: no space between thousands, no letter for a scale."""
    begin = re.match(rf"\W*{_CURRENCY}?\s?(?={_GROUPS.pattern})", part)
    if begin is not None:
        groups = _GROUPS.match(part, begin.end())
        if groups is not None:
            part = (
                part[: begin.end()] + _joined(groups) + re.sub(r"^,(?=[0-9]{1,2}(?![0-9]))", ".", part[groups.end() :])
            )
    return re.sub(r"(?<=[0-9])(k|M|bn|B)\b", lambda m: f" {_LETTERS[m[1]]}", part)


_LETTERS = {"k": "thousand", "M": "million", "bn": "billion", "B": "billion"}
_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_WORDS = {word: i for i, word in enumerate(_TO_TWENTY)} | {word: 10 * i for i, word in enumerate(_TENS, start=2)}


def _in_words(part: str) -> Fraction | None:
    """Return the number that English words are (`twelve`, `one hundred and five pens`), below a million."""
    words = [w for w in re.findall(r"[a-z]+|\S", part.lower().strip(".! ").replace("-", " ")) if w != "and"]
    if not words or words[0] not in _WORDS:
        return None
    total = now = 0
    for i, word in enumerate(words):
        if word in _WORDS:
            now += _WORDS[word]
        elif word == "hundred":
            now *= 100
        elif word == "thousand":
            total, now = total + 1000 * now, 0
        elif i != len(words) - 1 or not word.isalpha():
            return None
    return Fraction(total + now)


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
    if match["power"] is not None:
        power = int(match["power"])
        if abs(power) * len(str(value)) > _MAX_DIGITS or (value == 0 and power < 0):
            return None
        value **= power
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
