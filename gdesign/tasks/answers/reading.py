r"""Readers of answers: pure functions from what an LLM wrote to a canonical answer, or None.

All of them prefer the last line `Answer: X`, which every prompt asks for. None reads a line that is
quoted (`> `): it is what somebody else said. What they cannot read is None; it scores nothing and is
counted. None of them raises on any text.
"""

import ast
import logging
import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

# --------------------------------------------------------------------------- where the answer stands

_LINE = re.compile(
    r"^[ \t>#*_`~\-•]*(?:(?:the|my|so|thus|therefore),?[ \t]+)*(?:(?:final|correct)[ \t]+)?"
    r"answer[ \t*_`~]*[:\uff1a][*_`~]*(.*)$",
    re.IGNORECASE | re.MULTILINE,
)
_CUE = re.compile(r"\banswer[\s*_`~]*(?:is|:|\uff1a|=|would be|must be)(?:\s*:)?", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)


_QUOTED = re.compile(r"^[ \t]*>(?!>>).*\n?", re.MULTILINE)


def own_words(text: str) -> str:
    """Return a text without its quoted lines (`> `); all of it where it is nothing but quoted.

    Agents get quoted what others said, and some repeat it: an answer that stands in a quote is not
    theirs. A prompt of Python (`>>>`) is no quote.
    """
    if ">" not in text:
        return text
    own = _QUOTED.sub("", text)
    return own if own.strip() else text


def stated(text: str) -> str | None:
    """Return what the last line `Answer: X` states; what follows the line if it states nothing itself.

    Marks of Markdown around `Answer` do not matter. None if there is no such line.
    """
    text = own_words(text)
    last = None
    for last in _LINE.finditer(text):  # noqa: B007 - the last one is wanted
        pass
    if last is None:
        return None
    if last[1].strip().strip("*_`~"):
        return last[1].strip()
    after = text[last.end() :].strip()
    fenced = _FENCE.match(after)
    if fenced:
        return _FENCE.split(after)[1].strip()
    return after.split("\n\n")[0].strip()


def _after_cue(text: str) -> str | None:
    """Return what follows the last `answer is`, up to the end of its line."""
    last = None
    for last in _CUE.finditer(text):  # noqa: B007 - the last one is wanted
        pass
    return None if last is None else text[last.end() :].lstrip().split("\n", 1)[0].strip()


def boxed(text: str) -> str | None:
    r"""Return what the last \boxed{...} or \fbox{...} with balanced braces holds; None if there is none."""
    closing: dict[int, int] = {}
    open_: list[int] = []
    for brace in re.finditer(r"\\[{}]|[{}]", text):
        if brace[0] == "{":
            open_.append(brace.end())
        elif brace[0] == "}" and open_:
            closing[open_.pop()] = brace.start()
    starts = [m.end() for m in re.finditer(r"\\(?:f?boxed|fbox) ?\{", text)]
    inside = [text[start : closing[start]].strip() for start in starts if start in closing]
    return inside[-1] if inside else None


def exact(text: str) -> str | None:
    """Return the stated answer, else the whole text, with case and white space folded and dress removed."""
    text = own_words(text)
    words = stated(text)
    words = " ".join((text if words is None else words).split()).casefold()
    for _ in range(2):
        words = words.strip("*_`~\"'“”").removesuffix(".").strip()
    return words or None


# --------------------------------------------------------------------------- numbers

_CURRENCY = r"(?:USD|US\$|EUR|GBP|INR|Rs\.?|[$€£¥₹])"
_NUMBER = re.compile(
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
    text = _plain(own_words(text))
    for part in (stated(text), _last(r"####\s*([^\n]*)", text), boxed(text), _after_cue(text)):
        if part is not None:
            inner = boxed(part)
            found = _first_number(part if inner is None else inner)
            if found is not None:
                return _canonical_number(found)
    last = None
    for match in _NUMBER.finditer(text):
        value = _value(match)
        last = last if value is None else value
    return None if last is None else _canonical_number(last)


def _plain(text: str) -> str:
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
        for match in _NUMBER.finditer(part):
            value = _value(match)
            if value is not None:
                return value
    return None


def _value(match: re.Match[str]) -> Fraction | None:
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


def _canonical_number(value: Fraction) -> str:
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


# --------------------------------------------------------------------------- choices

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
    for part in (stated(text), boxed(text), _after_cue(text)):
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


# --------------------------------------------------------------------------- mathematics

_MAX_LATEX = 200
_MATH = re.compile(r"(?<!\\)\$\$(.+?)(?<!\\)\$\$|(?<!\\)\$(.+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_MAX_DEGREE = 40
_MAX_EXPONENT_OF_NUMBER = 10_000
# What may occupy sympy for hours; its own timeouts work by signals, which only the main thread may use.
_ENDLESS = re.compile(r"[0-9]{4,}\s*!|[)}\]!]\s*!|\\(?:i+nt|oint|sum|prod|lim)(?![a-z])|binom.*[0-9]{4,}")


def latex(text: str) -> str | None:
    r"""Return the mathematical answer in a text, as a number (see `number`) or as tidied LaTeX.

    Reads, first that is there: the last line `Answer: X`, boxed, `the answer is X`, the last formula,
    the last number.
    """
    text = own_words(text)
    part = stated(text)
    if part is None or not part.strip():
        part = boxed(text)
    if part is None:
        part = _after_cue(text)
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
    plain = _plain(part)
    match = _NUMBER.fullmatch(plain.strip())
    if match is None:  # a unit or a per cent sign behind the number
        match = _NUMBER.fullmatch(re.sub(r"\s*(?:%|\^\{?\\circ\}?|\\degree|°)$", "", plain).strip())
    value = None if match is None else _value(match)
    if value is not None:
        return _canonical_number(value)
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
    """Return whether writing out the powers of a formula would take too long."""
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


# --------------------------------------------------------------------------- Python literals

_MAX_LITERAL = 10_000
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_WARNED = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?P<number>\b[0-9][\w.]*?)(?=(?:and|else|for|if|in|is|not|or)\b)""",
    re.DOTALL,
)


def literal(text: str) -> str | None:
    """Return the Python literal that a text answers, in one canonical form.

    Reads the last line `Answer: X`, else the last `assert ... == X`, else the last code block, else
    the whole text. Values that Python holds equal look the same (`1.0` and `1`, the order of a
    set or a dict, the kind of quotes), but for `True` and `1`.
    """
    text = own_words(text)
    part = stated(text)
    if part is not None:
        return _literal(part)
    asserts = re.findall(r"^[ \t]*assert\s.*$", text, re.MULTILINE)
    blocks = re.findall(r"```[^\n]*\n(.*?)```", text, re.DOTALL)
    for candidate in (*asserts[-1:], *blocks[-1:], text):
        found = _literal(candidate)
        if found is not None:
            return found
    return None


def string(words: str) -> str:
    """Return the canonical literal of a string that was written without its quotes."""
    for quote in "'\"":
        found = None if quote in words else _evaluated(f"{quote}{words}{quote}")
        if found is not None:
            return found
    return repr(words)


def _literal(part: str) -> str | None:
    part = part.strip()
    fenced = re.fullmatch(r"```(?:[a-zA-Z]*\n)?(.*?)```", part, re.DOTALL)
    undressed = (fenced[1] if fenced else part).strip()
    for candidate in (undressed, undressed.strip("*`").strip(), undressed.removesuffix(".").strip("*`").strip()):
        found = _evaluated(candidate)
        if found is not None:
            return found
    return None


def _evaluated(source: str) -> str | None:
    if not source or len(source) > _MAX_LITERAL:
        return None
    try:
        body = ast.parse(_WARNED.sub(_without_warning, source)).body
        if len(body) != 1:
            return None
        node: ast.AST = body[0]
        if isinstance(node, ast.Assert):
            node = node.test
        if isinstance(node, ast.Expr | ast.Assign):
            node = node.value
        if isinstance(node, ast.Compare) and all(isinstance(op, ast.Eq) for op in node.ops):
            node = node.comparators[-1]
        if not isinstance(node, ast.expr):
            return None
        return canonical(ast.literal_eval(node))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _without_warning(match: re.Match[str]) -> str:
    """Write unknown escapes in a string, and a number before a keyword, as Python reads them without warning."""
    return f"{match['number']} " if match["number"] else _ESCAPE.sub(_known_escape, match[0])


def _known_escape(match: re.Match[str]) -> str:
    return match[0] if match[1] in "\n\\'\"abfnrtv01234567xNuU" else "\\" + match[0]


def canonical(value: object) -> str:
    """Return the canonical text of a Python literal's value.

    Raises:
        ValueError: It has none (`...`, a complex number without end).
    """
    join: Callable[[Sequence[str]], str] = ", ".join
    match value:
        case bool() | None | str() | bytes():
            return repr(value)
        case int():
            return repr(value)
        case float():
            if math.isinf(value):
                return "1e999" if value > 0 else "-1e999"
            return repr(int(value)) if value.is_integer() else repr(value)
        case complex() if math.isfinite(value.real) and math.isfinite(value.imag):
            return repr(value)
        case list():
            return f"[{join([canonical(v) for v in value])}]"
        case tuple():
            return f"({join([canonical(v) for v in value])}{',' if len(value) == 1 else ''})"
        case set():
            return f"{{{join(sorted(canonical(v) for v in value))}}}" if value else "set()"
        case dict():
            return f"{{{join(sorted(f'{canonical(k)}: {canonical(v)}' for k, v in value.items()))}}}"
    raise ValueError(f"{type(value).__name__} has no canonical text")
