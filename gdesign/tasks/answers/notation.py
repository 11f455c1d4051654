# ruff: noqa: RUF001 (signs that look like others are what this file is about)
r"""How formulas are written: LaTeX, Unicode and the notation of programs, as one list of tokens.

`\frac{\sqrt3}{2}`, `√3/2` and `sqrt(3)/2` become tokens of the same kinds. Words are kept as words, for what is
no formula (`There are`, `\text{ cm}^2`) is told apart by them.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "symbol", "function", "word", "open", "close", "op"]


@dataclass(frozen=True, slots=True)
class Token:
    """The smallest part of a formula: what it is, and its text in one notation."""

    kind: Kind
    text: str


class UnreadableError(ValueError):
    """A formula is written in a way that is not known, or is too large to be computed."""


FUNCTIONS = frozenset(
    "sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan arccot arcsec arccsc exp ln log lg sqrt cbrt frac"
    " binom abs floor ceiling overline".split()
)
_OTHER_NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "ceil": "ceiling", "dfrac": "frac"}
_OTHER_NAMES |= {"tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom"}
_CONSTANTS = {"pi": "\\pi", "infinity": "\\infty", "infty": "\\infty", "inf": "\\infty", "oo": "\\infty"}
_GREEK = "alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon"
_GREEK += " phi varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell"
_SYMBOLS = {name: "\\" + name for name in _GREEK.split()}
_COMMANDS = {
    **dict.fromkeys(("le", "leq", "leqslant"), "≤"),
    **dict.fromkeys(("ge", "geq", "geqslant"), "≥"),
    **dict.fromkeys(("ne", "neq"), "≠"),
    **dict.fromkeys(("approx", "simeq", "doteq"), "≈"),
    **dict.fromkeys(("cdot", "times", "ast"), "*"),
    **{"degree": "°"},
    **dict.fromkeys(("lor", "vee"), "or"),
    **dict.fromkeys(("land", "wedge"), "and"),
    **dict.fromkeys(("setminus", "backslash"), "setminus"),
    **{"lt": "<", "gt": ">", "div": "/", "pm": "±", "mp": "∓", "cup": "cup", "cap": "cap", "in": "∈", "prime": "'"},
    **{"colon": ":", "mid": "|", "vert": "|", "lvert": "|", "rvert": "|", "iff": "≈", "equiv": "≡"},
}
_BRACKETS = {
    **dict.fromkeys(("(", "[", "{", "\\{"), "open"),
    **dict.fromkeys((")", "]", "}", "\\}"), "close"),
}
_COMMAND_BRACKETS = {
    "lbrace": "\\{", "rbrace": "\\}", "lbrack": "[", "rbrack": "]", "langle": "⟨", "rangle": "⟩", "lfloor": "⌊",
    "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉",
}  # fmt: skip
_CHARACTERS = str.maketrans({
    **dict.fromkeys("\u2212\u2013\u2010\u2011\u2012", "-"),
    **dict.fromkeys("×·⋅∙∗", "*"),
    **dict.fromkeys("÷∕⁄", "/"),
    **dict.fromkeys("≤⩽≦", r"\le "),
    **dict.fromkeys("≥⩾≧", r"\ge "),
    **dict.fromkeys("≈≃≅", r"\approx "),
    **dict.fromkeys("∅⌀", r"\emptyset "),
    **dict.fromkeys("′’", "'"),
    **dict.fromkeys("$£€¥₹%", " "),
    **{"√": r"\sqrt ", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]", "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap "},
    **{"∈": r"\in ", "≠": r"\ne ", "±": r"\pm ", "∓": r"\mp ", "°": r"\degree ", "∖": r"\setminus ", "…": r"\ldots "},
    **{"⟨": r"\langle ", "⟩": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil "},
    **{"ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}"},
    **{"∨": r"\lor ", "∧": r"\land ", "∠": r"\angle ", "△": r"\triangle ", "—": " \x04 ", "\x0c": r"\f", "\x08": r"\b"},
})  # fmt: skip
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˣ]+")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₐₑₒₓₙₖₘ]+")
_LITERATE = re.compile(
    r"\\(?:text|mbox|hbox|textbf|textit|textrm|textnormal|mathrm|mathsf|mathbf|mathit|boldsymbol|operatorname\*?)\s*"
    r"\{((?:[^{}]|\{[^{}]*\})*)\}"
)
_DRESS = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|limits|big|Big|bigg|Bigg|[bB]ig+[lr]|phantom\{[^{}]*\})(?![a-zA-Z])\.?"
    r"|\\(?:quad|qquad)(?![a-zA-Z])|~|(?<!\\)\\[ !;:,]"
)
MATH = re.compile(
    r"(?<!\\)\$\$(.+?)(?<!\\)\$\$|(?<!\\)\$(.+?)(?<!\\)\$|\\\(((?:(?!\\\)|(?<!\\)\\\().)+)\\\)|\\\[((?:(?!\\\]|(?<!\\)\\\[).)+)\\\]",
    re.DOTALL,
)
_DISPLAY = re.compile(
    r"\$\$[^$]+\$\$|\\\[(?:(?!\\\]|(?<!\\)\\\[).)+\\\]|\\\((?:(?!\\\)|(?<!\\)\\\().)+\\\)|\\begin\{(\w+)\}.*?\\end\{\1\}",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"""
    (?P<number>(?:[0-9]+(?:\.[0-9]*\\overline\{[0-9]+\}|\.[0-9]+)?|(?<![\w.])\.[0-9]+)(?:[eE][-+]?[0-9]+(?![\w.^]))?)
    |\\(?P<edge>begin|end)\s*\{(?P<environment>[^{}]*)\}(?:\{[lcr|]*\})?
    |\\(?P<command>[A-Za-z]+)\ ?
    |(?P<letters>[^\W\d_]+(?:['-](?=[^\W\d_]{2})[^\W\d_]+)*)
    |(?P<op>\*\*|<=|>=|!=|==|\\[{}|\\]|\S)
    """,
    re.VERBOSE,
)
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9]|,[0-9])")
_SHORT_WORDS = frozenset(
    "is are be in of to the has no yes odd cm mm km kg ft lb oz mi yd hr min sec mph sq cu usd for if so we it".split()
)
_RUN = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{4,}|^\s*[A-Za-z]{3}\s*$")
_OPERATORS = frozenset("+-*/^=<>_!")
_SAME_OPERATOR = {"**": "^", "<=": "≤", ">=": "≥", "!=": "≠", "==": "=", "\\|": "‖"}


def tokens(text: str) -> list[Token]:
    r"""Return the tokens of a text that holds a formula: in dollars, `\(..\)` or `\[..\]`, or bare.

    In dollars, `ab` is a product; outside, letters that touch an operator or a digit are one, other words are words.
    Spacing, sizes, currencies and per cent signs are left out.

    Raises:
        UnreadableError: It holds a command or a sign that is not known.
    """
    text = _plain(text)
    found: list[Token] = []
    end = 0
    for match in MATH.finditer(text):
        found += _scan(text[end : match.start()], math=False)
        inside = next(group for group in match.groups() if group)
        found += _scan(inside, math=not _holds_words(inside))
        end = match.end()
    return found + _scan(text[end:], math=False)


def _holds_words(formula: str) -> bool:
    return any(
        run not in FUNCTIONS and run not in _OTHER_NAMES and run not in _SYMBOLS for run in _RUN.findall(formula)
    )


def unbroken(text: str) -> str:
    r"""Return a text with each displayed formula (`$$..$$`, `\[..\]`, a matrix) on one line."""
    return _DISPLAY.sub(lambda m: re.sub(r"\s*\n\s*", " ", m[0]), text)


def _plain(text: str) -> str:
    """Write Unicode as LaTeX, and leave out what only makes LaTeX look well."""
    text = re.sub(r"(?<![\w\\])(?:negative|minus)\s+(?=\$?(?:[0-9.(√]|\\))", "-", text, flags=re.IGNORECASE)
    text = re.sub(r"^\s*\$?([0-9]+) to ([0-9]+)\$?\s*\.?\s*$", r"\1:\2", text)
    text = re.sub(
        r"(?<![\w.,])[0-9]{1,3}(?:[ \u00a0\u2009\u202f][0-9]{3})+,[0-9]+(?![0-9,])",
        lambda m: re.sub(r"\s", "", m[0]).replace(",", "."),
        text,
    )
    text = re.sub(r"\\\\\[[0-9.]+ ?(?:pt|em|ex|mm|cm)\]", r"\\\\", text)
    text = re.sub(r"\(([0-9]+)\)(?=_\{?[0-9])", r"\1", text)
    text = re.sub(r"(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))", "", text)
    text = _RAISED.sub(lambda m: f"^{{{unicodedata.normalize('NFKC', m[0])}}}", text)
    text = _LOWERED.sub(lambda m: f"_{{{unicodedata.normalize('NFKC', m[0])}}}", text)
    text = re.sub(r"(?<=[0-9])\{,\}(?=[0-9]{3})|(?<=[0-9]),?\\[,;!: ]\s*(?=[0-9]{3}(?![0-9]))", "", text)
    if "matrix" not in text and "array" not in text:  # as JSON writes it
        text = re.sub(r"\\\\(?=[A-Za-z(){}\[\]])", r"\\", text)
    text = re.sub(r"(?<![0-9.])[0-9]{1,3}(?: [0-9]{3})+(?![0-9.])", lambda m: m[0].replace(" ", ""), text)
    text = re.sub(r"(?<=[0-9])(?:\^?\{?\\text\{(?:st|nd|rd|th)\}\}?|(?:st|nd|rd|th)\b)", "", text)
    text = re.sub(r"\\?%|\\[$#]", " ", text)
    text = "".join(_character(c) for c in text)
    text = re.sub(r"\^\s*(?:\{\s*\\(?:circ|degree)\s*\}|\\circ(?![a-zA-Z]))", r"\\degree ", _DRESS.sub(" ", text))
    text = re.sub(r"\blog(2|10)(?=\s*\()", r"\\log_{\1}", text)
    text = re.sub(r"(?<=[0-9}])\s+m/s(?:\^\{?2\}?)?(?![a-z])", " ", text)
    text = re.split(r"[,;(]\s*i\.\s?e\.", text, maxsplit=1)[0]
    text = re.sub(r"(?<=[)\]])\s*U\s*(?=[(\[])", r"\\cup ", text)
    return _LITERATE.sub(_literate, text)


def _character(c: str) -> str:
    """Return a character of Unicode as LaTeX; dollars stay, for they bound formulas."""
    if c.isascii() and c not in "\x0c\x08":
        return c
    if c in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒":
        top, bottom = unicodedata.normalize("NFKC", c).split("⁄")
        return rf"\frac{{{top}}}{{{bottom}}}"
    if c.translate(_CHARACTERS) != c:
        return c.translate(_CHARACTERS)
    name = unicodedata.name(c, "").split()
    if name[:2] == ["GREEK", "SMALL"] and len(name) == 4:
        return f"\\{name[3].lower().replace('lamda', 'lambda')} "
    return unicodedata.normalize("NFKC", c)


def _literate(match: re.Match[str]) -> str:
    """Mark upright letters: a function's name, one letter of a formula, or words."""
    inside = match[1].strip()
    if _OTHER_NAMES.get(inside, inside) in FUNCTIONS:
        return f"\\{inside} "
    if re.fullmatch(r"[A-Za-z]+ ?/ ?[A-Za-z]+", inside):  # m/s
        return " \x02 units \x03 "
    return inside if len(inside) == 1 else f" \x02 {match[1]} \x03 "


def _scan(text: str, *, math: bool) -> list[Token]:
    found: list[Token] = []
    depth = 0
    at = 0
    literate = False
    while (match := _TOKEN.search(text, at)) is not None:
        grouped = _GROUPED.match(text, match.start()) if depth == 0 and match["number"] else None
        at = (grouped or match).end()
        if match["number"]:
            found.append(Token("number", (grouped or match)[0].replace(",", "")))
        elif match["edge"]:
            if match["environment"].strip("pbvBV*") not in ("matrix", "smallmatrix", "array"):
                raise UnreadableError(f"{match['environment']} is not known")
            found.append(Token("function", match["edge"]))
        elif match["command"]:
            found += _command(match["command"])
        elif match["letters"]:
            found += _letters(match, text, math=math and not literate)
        elif match["op"] in "\x02\x03":
            literate = match["op"] == "\x02"
        else:
            if match["op"] == "." and text[at : at + 1].isdigit():
                raise UnreadableError("a number has two points")
            op = _SAME_OPERATOR.get(match["op"], match["op"])
            kind: Kind = _BRACKETS.get(op, "op")  # type: ignore[assignment]
            found.append(Token(kind, op))
            if op != "{" and op != "}":
                depth += (kind == "open") - (kind == "close")
    return found


def _command(name: str) -> list[Token]:
    name = _OTHER_NAMES.get(name, name)
    if name in FUNCTIONS:
        return [Token("function", name)]
    if name in _CONSTANTS or name in _SYMBOLS:
        return [Token("symbol", _CONSTANTS.get(name) or _SYMBOLS[name])]
    if name in _COMMANDS:
        return [Token("op", _COMMANDS[name])]
    if name in _COMMAND_BRACKETS:
        bracket = _COMMAND_BRACKETS[name]
        return [Token("open" if name[0] == "l" else "close", bracket)]
    if name in ("emptyset", "varnothing"):
        return [Token("symbol", "\\emptyset")]
    if name in ("mathbb", "vec", "hat", "bar", "widehat", "overrightarrow", "angle", "triangle"):
        return [Token("function", name)]
    raise UnreadableError(f"\\{name} is not known")


def _letters(match: re.Match[str], text: str, *, math: bool) -> list[Token]:
    """Return a run of letters as a function, a constant, a product of symbols, or a word."""
    run = match["letters"]
    name = _OTHER_NAMES.get(run, run).removeprefix("\\")
    if name.lower() in FUNCTIONS and name.lower() != "overline":
        return [Token("function", name.lower())]
    if run in _CONSTANTS:
        return [Token("symbol", _CONSTANTS[run])]
    if run in ("and", "or"):
        return [Token("op", run)]
    if run in _SYMBOLS and len(run) > 3:
        return [Token("symbol", _SYMBOLS[run])]
    before, after = text[: match.start()], text[match.end() :]
    if not run.isascii() or re.fullmatch("[IVX]{2,}", run) or (not math and _is_word(run, before, after)):
        return [Token("word", run)]
    return [Token("symbol", letter) for letter in run]


def _is_word(run: str, before: str, after: str) -> bool:
    if before.endswith(("\\triangle ", "\\angle ")):
        return False
    if len(run) == 1:  # an article, or the pronoun
        return (
            run in "aAI" and re.match(r" [A-Za-z]{2}", after) is not None and not re.match(r" (?:and|or|is)\b", after)
        )
    if len(run) > 3 or run.lower() in _SHORT_WORDS:
        return True
    if not (before + after).strip():  # `ab` alone
        return len(run) == 3
    touches = before[-1:].isdigit() or before[-1:] in ("}", ")", "{") or after[:1] in ("(", "^", "_", "}")
    between = (before.rstrip()[-1:], after.lstrip()[:1])
    return not touches and not any(c and c in _OPERATORS for c in between)
