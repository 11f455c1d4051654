# ruff: noqa: RUF001, RUF002 (other scripts and their punctuation are meant)
"""How numbers are written.

Numbers are read as they are written in English (`1,234.56`), German or Spanish (`1.234,56`), French (`1 234,56`), Swiss
(`1'234.56`) and Indian (`1,00,000`), in the digits of any script, with signs, fractions and powers of Unicode or LaTeX
(`−7`, `1½`, `10³`), with scales (`2 million`, `3k`, `$1.5M`), currencies, per cent signs and units around them.
Where a form could be two numbers, these rules decide:

- A comma before exactly three digits parts thousands (`12,345`), but for a leading zero (`0,125`); before any other
  number of digits it is decimal (`12,5`).
- In a text whose language writes decimal commas, and that writes another one, a comma before three digits is decimal
  too (`2,5 + 0,625 = 3,125`), but not beside a currency.
- A single point is decimal (`1.234`), but before exactly three digits in a text that writes decimal commas, or whose
  language does, and no number of which is written in English.
- A plain space before three digits parts thousands where an answer begins with the number, beside a currency sign,
  before a decimal comma, and in texts of such a language.
"""

import math
import re
import unicodedata
from fractions import Fraction

SCALES = {
    "hundred": 100,
    "thousand|tausend|tsd\\.|mil|mille|mila|тысяч[аи]?|тыс\\.?|tusen|tysi(?:ąc|ące|ęcy)|duizend|ribu|nghìn|ngàn|bin": 10
    ** 3,
    "lakhs?|लाख": 10**5,
    "millions?|millionen|mio\\.?|mill[oó]n(?:es)?|milion[ei]|milh(?:ão|ões)|миллион(?:а|ов)?|млн\\.?|miljoen|milyon|juta"
    "|triệu|mln|miljoner": 10**6,
    "crores?|करोड़": 10**7,
    "billions?|milliarden?|mrd\\.?|milliards?|miliard[oi]|bilh(?:ão|ões)|миллиард(?:а|ов)?|млрд\\.?|miljard|milyar"
    "|tỷ": 10**9,
    "trillions?|billionen": 10**12,
}
"""What words behind a number multiply it by, as parts of a regular expression."""

CURRENCY = r"(?:USD|US\$|R\$|EUR|GBP|INR|CHF|Rs\.?|[$€£¥₹₽₩])"
NUMBER = re.compile(
    rf"""
    (?P<sign>(?<![\w)\]}}%])-(?={CURRENCY}|[0-9.])|(?:^|(?<=[=:(]\s)|(?<=[=:($]))-\s(?={CURRENCY}|[0-9.]))?
    (?:(?<![A-Za-z]){CURRENCY}\s?)?
    (?P<inner>(?<=[$€£¥₹])-)?
    (?<![A-Za-z^_0-9])(?<!\^\{{)(?!0[xX][0-9A-Fa-f])
    (?:
        (?:(?P<whole>[0-9]+)(?:\s+|\s+and\s+|-))?(?P<top>[0-9]+)\s?/\s?(?P<bottom>[0-9]+)
      | (?P<digits>[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])|[0-9]+)(?P<decimals>\.[0-9]+)?
      | (?<![\w.])(?P<point>\.[0-9]+)
    )
    (?:[eE](?P<e>[-+]?[0-9]+)(?![0-9.])|\s?(?:[x\u00d7*]|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?\{{?(?P<ten>[-+]?[0-9]+)\}}?)?
    (?:(?:\^|\*\*)\{{?(?P<power>-?[0-9]{{1,4}})\}}?(?![0-9.]))?
    (?:\s*(?P<scale>(?i:{"|".join(SCALES)})(?:\s(?i:{"|".join(SCALES)}))*)(?!\w))?
    """,
    re.VERBOSE,
)
_MAX_DIGITS = 300
_MAX_EXPONENT = 300


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
        text = re.sub(
            r"[¼-¾⅐-⅞]", lambda m: _apart(m, unicodedata.normalize("NFKD", m[0]).replace("\u2044", "/")), text
        )
        text = re.sub(r"[⁰¹²³⁴-⁹⁻]+", lambda m: f"^{{{m[0].translate(_RAISED)}}}", text)
        text = re.sub(r"[^\W\D]", lambda m: str(unicodedata.decimal(m[0])), text)
        text = re.sub(r"(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))", "", text)
    text = re.sub(r"\{,\}|(?<=[0-9]),?\\[,;!:](?=[0-9]{3})", ",", text).replace("\\$", "$").replace("\\%", "%")
    text = re.sub(r"\\[dt]?frac ?\{? ?(-?[0-9]+) ?\}? ?\{ ?([0-9]+) ?\}", _fraction, text)
    text = re.sub(r"\\[dt]?frac ?([0-9])([0-9])", _fraction, text)
    return re.sub(r"\\(?:text|mathrm|mathbf|textbf) ?\{([^{}]*)\}", r" \1", text)


def _fraction(match: re.Match[str]) -> str:
    return _apart(match, f"{match[1]}/{match[2]}")


def _apart(match: re.Match[str], fraction: str) -> str:
    """Return a fraction parted from what stands before it (`2 1/2`), but not from its sign."""
    return fraction if _SIGN.search(match.string, max(match.start() - 3, 0), match.start()) else f" {fraction}"


_SIGN = re.compile(r"(?:\A|[^\w)\]}%\s])-\Z|\s-\Z")
_GROUPS = re.compile(r"(?<![0-9.,])(?<![0-9] )[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9]| ?/|-[A-Za-z])")
_DECIMAL_COMMA = re.compile(
    r"(?<![0-9.,])(?<![({\[][0-9])(?:0,[0-9]+|[0-9]+,(?:[0-9]{1,2}|[0-9]{4,}))(?![0-9]|,[0-9]|[)}\]])"
)
_ENGLISH = re.compile(r"[0-9],[0-9]{3}(?![0-9,])|(?<![0-9.,])(?:[0-9]+\.(?:[0-9]{1,2}|[0-9]{4,})|0\.[0-9]+)(?![0-9.,])")
_COMMA_OF_THREE = re.compile(  # money has no thousandths
    r"(?<![0-9.,({\[$€£¥₹₽])(?<![$€£¥₹₽]\s)([1-9][0-9]{0,2}),([0-9]{3})"
    r"(?![0-9]|,[0-9]|\s?(?:[$€£¥₹₽]|d[oó]l|eur|руб|долл|pesos?\b))",
    re.I,
)
_POINT = re.compile(r"[0-9]\.[0-9]{1,2}(?![0-9])")
_SAYS_COMMA = re.compile(
    r"[а-яё]{2,}|\b(?:der|die|das|wir|sie|mit|que|del|así|elle|donc|avec|und|ist|für|antwort|el|los|una|por|para|respuesta|les|des|est|pour|une|réponse|il|gli"
    r"|che|risposta|não|uma|são|resposta|het|een|van|antwoord|jest|się|odpowiedź|och|är|svar|bir|için|cevap|adalah)\b",
    re.I,
)
_SAYS_POINT = re.compile(r"\b(?:the|of|and|is|are|was|to|we|she|he|each)\b", re.I)


def in_english(text: str) -> str:
    """Return a text with its numbers written as in English, by the rules of this module."""
    text = re.sub(r"(?<=[0-9])_(?=[0-9]{3}(?![0-9]))", "", text)
    text = _MYRIADS.sub(_by_myriads, text)
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
    if foreign and _DECIMAL_COMMA.search(text) and not _POINT.search(text):
        text = _COMMA_OF_THREE.sub(r"\1.\2", text)
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


def _scale(words: str) -> int:
    """Return what words multiply by (`million`, `hundred thousand`)."""
    found = [n for word in words.split() for known, n in SCALES.items() if re.fullmatch(known, word, re.IGNORECASE)]
    return math.prod(found)


_MYRIADS = re.compile(
    r"(?<![0-9.,])(?:[0-9][0-9,]*(?:\.[0-9]+)?\s?(?:[十百千십백천]?[万萬만亿億억]|[百千백천](?![克米瓦卡分])))+[0-9]*"
)
_UNITS = {"十십": 1, "百백": 2, "千천": 3, "万萬만": 4, "亿億억": 8}


def _by_myriads(match: re.Match[str]) -> str:
    """Return a number of Chinese, Japanese or Korean units (`3万5千`, `1.5億`, `3百万`) in digits alone."""
    if len(match[0]) > _MAX_DIGITS:
        return match[0]
    value = Fraction(0)
    for number, units in re.findall(r"([0-9][0-9,]*(?:\.[0-9]+)?)\s?([^0-9\s]*)", match[0]):
        power = sum(power for unit in units for same, power in _UNITS.items() if unit in same)
        value += Fraction(number.replace(",", "")) * 10**power
    return canonical_number(value)


def _joined(match: re.Match[str]) -> str:
    return re.sub(r"[^0-9]", "", match[0])


def local(part: str) -> str:
    """Return what is stated with its first number in English: no space between thousands, no letter for a scale."""
    begin = re.match(rf"\W*{CURRENCY}?\s?(?={_GROUPS.pattern})", part)
    if begin is not None:
        groups = _GROUPS.match(part, begin.end())
        if groups is not None:
            part = (
                part[: begin.end()] + _joined(groups) + re.sub(r"^,(?=[0-9]{1,2}(?![0-9]))", ".", part[groups.end() :])
            )
    part = re.sub(rf"({CURRENCY}\s?-?[0-9][0-9.,]*)(m|b)\b", lambda m: f"{m[1]} {_LETTERS[m[2].upper()]}", part)
    return re.sub(r"(?<=[0-9])(k|K|M|bn|B)\b", lambda m: f" {_LETTERS[m[1]]}", part)


_LETTERS = {"k": "thousand", "K": "thousand", "M": "million", "bn": "billion", "B": "billion"}
_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_WORDS = {word: i for i, word in enumerate(_TO_TWENTY)} | {word: 10 * i for i, word in enumerate(_TENS, start=2)}


_PARTS = {
    "half": 2,
    "halves": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "eighth": 8,
    "tenth": 10,
}
_MOST_WORDS = 24
_IN_PARTS = re.compile(
    rf"(?:(?P<whole>.+?) and )?(?P<top>an? |[a-z]+ )?(?P<part>{'|'.join(_PARTS)})s?"
    r"(?: (?:of )?(?:an? )?(?P<unit>[a-z]+))?"
)


def in_words(part: str) -> Fraction | None:
    """Return the number that English words are (`twelve`, `one hundred and five pens`, `two thirds`, `two million`)."""
    said = " ".join(re.findall(r"[a-z]+|\S", part.lower().strip(".! ").replace("-", " ")))
    parts = _IN_PARTS.fullmatch(said) if len(said) < _MAX_DIGITS else None
    if parts is None:
        return _spelled(said.split())
    whole = _spelled(parts["whole"].split()) if parts["whole"] else Fraction(0)
    top = (parts["top"] or "a").strip()
    if whole is None or (top not in _WORDS and top not in ("a", "an")):
        return None
    scale = _scale(parts["unit"]) if parts["unit"] in ("hundred", "thousand", "million", "billion") else 1
    return (whole + Fraction(_WORDS.get(top, 1), _PARTS[parts["part"]])) * scale


def _spelled(words: list[str]) -> Fraction | None:
    words = [w for w in words if w != "and"]
    if not words or words[0] not in _WORDS or len(words) > _MOST_WORDS:
        return None
    total = now = 0
    for i, word in enumerate(words):
        if word in _WORDS:
            now += _WORDS[word]
        elif word == "hundred":
            now *= 100
        elif word in ("thousand", "million", "billion"):
            total, now = total + now * _scale(word), 0
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
    exponent = int(match["e"] or match["ten"] or 0)
    if abs(exponent) > _MAX_EXPONENT:
        return None
    if match["power"] is not None:
        power = int(match["power"])
        if abs(power) * len(str(value)) > _MAX_DIGITS or (value == 0 and power < 0):
            return None
        value **= power
    value *= Fraction(10) ** exponent * (_scale(match["scale"]) if match["scale"] else 1)
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
