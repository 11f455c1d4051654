"""One expression, from its tokens to sympy and back to one canonical text.

Nothing here takes long or fails by its size: what would be too large to compute is unreadable instead. So it works in
any thread, without the signals that sympy's own timeouts need.
"""

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from gdesign.tasks.answers.figures import canonical_number
from gdesign.tasks.answers.notation import Token, UnreadableError

if TYPE_CHECKING:
    from sympy import Expr

_MAX_BITS = 12_000
_MAX_DIGITS = 300
_MAX_DEGREE = 10_000
_MAX_TERMS = 120
_MAX_NESTING = 40
_CLOSING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "⌊": "⌋", "⌈": "⌉"}
_REPEATING = re.compile(r"([0-9]*)\.([0-9]*)\\overline\{([0-9]+)\}")


def decimal(text: str) -> Fraction:
    r"""Return the value of a decimal as it is written: `.5`, `1e-7`, `0.\overline{3}`."""
    repeating = _REPEATING.fullmatch(text)
    if repeating is None:
        if len(text) > _MAX_DIGITS or abs(int(re.split("[eE]", text + "e0")[1])) > _MAX_DIGITS:
            raise UnreadableError("a number of so many digits is not computed")
        return Fraction(text)
    whole, fixed, repeated = repeating.groups()
    period = Fraction(int(repeated), (10 ** len(repeated) - 1) * 10 ** len(fixed))
    return period + Fraction(f"{whole or 0}.{fixed or 0}")


def expression(tokens: Sequence[Token]) -> "Expr":
    """Return the expression that all of the tokens write.

    Raises:
        UnreadableError: They are no expression, or one that is too large.
    """
    grammar = _Grammar([t for t in tokens if t.text != "°"] if not _in_degrees(tokens) else list(tokens))
    value = grammar.sum()
    if grammar.at < len(grammar.tokens):
        raise UnreadableError(f"{grammar.tokens[grammar.at].text!r} is not expected there")
    if _has_no_value(value):
        raise UnreadableError("it has no finite value")
    return value


def _in_degrees(tokens: Sequence[Token]) -> bool:
    return any(t.text in ("sin", "cos", "tan", "cot", "sec", "csc") for t in tokens)


def _sympy() -> Any:
    import sympy  # it takes half a second to load

    return sympy


def _has_no_value(value: "Expr") -> bool:
    return bool(value.has(_sympy().zoo, _sympy().nan))


class _Grammar:
    """Reads tokens by descent; each method returns the value of what it took."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.sympy: Any = _sympy()

    def sum(self) -> "Expr":
        self.depth += 1
        if self.depth > _MAX_NESTING:
            raise UnreadableError("it is nested too deeply")
        value = self.product(signed=True)
        while self.next() in ("+", "-"):
            sign = 1 if self.take().text == "+" else -1
            value = value + sign * self.product(signed=True)
        self.depth -= 1
        return value

    def product(self, *, signed: bool = False, argument: bool = False) -> "Expr":
        sign = 1
        while signed and self.next() in ("+", "-"):
            sign *= -1 if self.take().text == "-" else 1
        value = self.power()
        while (op := self.next()) is not None:
            token = self.tokens[self.at]
            if token.kind == "op" and op in ("*", "/") and not argument:
                self.take()
                negative = self.next() == "-" and bool(self.take())
                factor = self.power()
                factor = -factor if negative else factor
                value = value * factor if op == "*" else self.quotient(value, factor)
            elif token.kind in ("symbol", "function") or (token.kind == "open" and op != "\\{"):
                if argument and token.kind == "function" and op not in ("frac", "sqrt"):
                    break
                value = value * self.power()
            else:
                break
        return value if sign == 1 else -value

    def power(self) -> "Expr":
        value = self.base()
        while (op := self.next()) in ("^", "!", "'", "°"):
            self.take()
            if op == "^":
                value = self.raised(value, self.group())
            elif op == "!" and self.next() != "!":  # !! is another thing
                value = self.factorial(value)
            elif op == "°":
                value = value * self.sympy.pi / 180
            elif isinstance(value, self.sympy.Symbol):
                value = self.sympy.Symbol(value.name + "'")
            else:
                raise UnreadableError("a prime or !! stands behind it")
        return value

    def base(self) -> "Expr":
        token = self.take()
        match token.kind:
            case "number":
                return self.number(token.text)
            case "symbol":
                return self.symbol(token.text)
            case "function":
                return self.function(token.text)
            case "open" if token.text in _CLOSING and token.text != "\\{":
                value = self.sum()
                self.close(_CLOSING[token.text])
                if token.text in "⌊⌈":
                    value = (self.sympy.floor if token.text == "⌊" else self.sympy.ceiling)(value)
                return value
        if token.text in ("|", "‖"):
            value = self.sum()
            self.close(token.text)
            return self.sympy.Abs(value)
        raise UnreadableError(f"{token.text!r} is not expected there")

    def number(self, text: str) -> "Expr":
        value = decimal(text)
        if self.next() == "frac" and text.isdigit():  # 1\frac{4}{5} is a mixed number
            start = self.at
            self.take()
            top, bottom = self.group(digit=True), self.group(digit=True)
            if top.is_Integer and bottom.is_Integer and 0 < top < bottom:
                value += Fraction(int(top), int(bottom))
            else:
                self.at = start
        return self.sympy.Rational(value.numerator, value.denominator)

    def symbol(self, name: str) -> "Expr":
        if self.next() == "_":
            self.take()
            return self.sympy.Symbol(f"{name}_{{{self.verbatim()}}}")
        sympy = self.sympy
        named = {"i": sympy.I, "I": sympy.I, "e": sympy.E, "\\pi": sympy.pi, "\\infty": sympy.oo}
        return named.get(name) or sympy.Symbol(name)

    def verbatim(self) -> str:
        """Take a group as it is written."""
        if self.next() != "{":
            return self.take().text
        self.take()
        text = ""
        while (token := self.take()).text != "}":
            if token.text == "{":
                raise UnreadableError("an index is nested too deeply")
            text += token.text
        return text

    def group(self, *, digit: bool = False) -> "Expr":
        """Take what stands in brackets, else one value, else (`digit`) one digit, as LaTeX takes arguments."""
        if self.next() == "{":
            self.take()
            value = self.sum()
            self.close("}")
            return value
        token = self.tokens[self.at] if self.at < len(self.tokens) else None
        if digit and token is not None and token.kind == "number" and token.text.isdigit() and len(token.text) > 1:
            self.tokens[self.at] = Token("number", token.text[1:])
            return self.number(token.text[0])
        if not digit and token is not None and token.text in "+-":
            sign = -1 if self.take().text == "-" else 1
            return sign * self.base()
        return self.base()

    def function(self, name: str) -> "Expr":
        match name:
            case "frac":
                return self.quotient(self.group(digit=True), self.group(digit=True))
            case "binom":
                return self.binomial(self.group(digit=True), self.group(digit=True))
            case "sqrt" | "cbrt":
                root: Any = 2 if name == "sqrt" else 3
                if self.next() == "[":
                    self.take()
                    root = self.sum()
                    self.close("]")
                return self.raised(self.group(), self.quotient(self.sympy.Integer(1), self.sympy.sympify(root)))
            case "overline" | "vec" | "hat" | "bar" | "widehat" | "overrightarrow" | "mathbb":
                return self.sympy.Symbol(f"\\{name}{{{self.verbatim()}}}")
            case "angle" | "triangle":
                return self.sympy.Symbol(f"\\{name}")
            case "begin" | "end":
                raise UnreadableError("a matrix stands within a formula")
        return self.applied(name)

    def applied(self, name: str) -> "Expr":
        exponent = subscript = None
        while self.next() in ("^", "_"):
            if self.take().text == "^":
                exponent = self.group()
            else:
                subscript = self.group()
        if self.next() in ("(", "[", "{"):
            closing = _CLOSING[self.take().text]
            value = self.sum()
            if self.next() == "," and name == "log":
                self.take()
                subscript = self.sum()
            self.close(closing)
        else:
            value = self.product(signed=True, argument=True)
        sympy = self.sympy
        if name in ("log", "ln", "lg"):
            if name == "lg":
                subscript = sympy.Integer(10)
            if value == 0:
                raise UnreadableError("0 has no logarithm")
            result = sympy.log(value) if subscript is None else self.quotient(sympy.log(value), sympy.log(subscript))
        elif name == "exp":
            result = self.raised(sympy.E, value)
        elif exponent == -1 and hasattr(sympy, "a" + name):
            result, exponent = getattr(sympy, "a" + name)(value), None
        else:
            result = getattr(sympy, {"abs": "Abs"}.get(name, name.replace("arc", "a")))(value)
        return result if exponent is None else self.raised(result, exponent)

    def quotient(self, top: "Expr", bottom: "Expr") -> "Expr":
        if bottom == 0:
            raise UnreadableError("it divides by zero")
        return top / bottom

    def raised(self, base: "Expr", exponent: "Expr") -> "Expr":
        if exponent.is_Rational:
            size = abs(int(exponent.p))
            if size > _MAX_DEGREE or exponent.q > 1000 or (base == 0 and exponent <= 0):
                raise UnreadableError("such a power is not computed")
            if base.is_Rational and size * max(int(base.p).bit_length(), int(base.q).bit_length()) > _MAX_BITS:
                raise UnreadableError("such a power is not computed")
        return base**exponent

    def factorial(self, value: "Expr") -> "Expr":
        if value.is_Integer:
            if not 0 <= value <= 1500:
                raise UnreadableError("such a factorial is not computed")
            return self.sympy.Integer(math.factorial(int(value)))
        if value.is_number:
            raise UnreadableError("such a factorial is not computed")
        return self.sympy.factorial(value)

    def binomial(self, n: "Expr", k: "Expr") -> "Expr":
        if n.is_Integer and k.is_Integer:
            if not (0 <= n <= 3000 and 0 <= k):
                raise UnreadableError("such a binomial is not computed")
            return self.sympy.Integer(math.comb(int(n), int(k)))
        return self.sympy.Function("binom")(n, k)

    def next(self) -> str | None:
        return self.tokens[self.at].text if self.at < len(self.tokens) else None

    def take(self) -> Token:
        if self.at == len(self.tokens):
            raise UnreadableError("it ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def close(self, bracket: str) -> None:
        if self.take().text != bracket:
            raise UnreadableError(f"{bracket!r} is missing")


def symbol(name: str) -> "Expr":
    """Return what a name stands for."""
    return _sympy().Symbol(name)


def fraction_of(value: "Expr") -> Fraction | None:
    """Return a rational number as a fraction; None for another expression."""
    return Fraction(int(value.p), int(value.q)) if value.is_Rational else None


def simplest(value: "Expr") -> "Expr":
    """Return an expression in the one form that equal ones share, so far as that is found out quickly."""
    sympy = _sympy()
    if value.is_Rational or value.is_Symbol or value.is_infinite:
        return value
    if _terms(value) > _MAX_TERMS or value.count_ops() > 2 * _MAX_TERMS:
        return value
    try:
        if value.is_number:
            if value.has(sympy.I):
                value = sympy.expand_complex(value)
            return sympy.expand(sympy.radsimp(sympy.expand_log(sympy.sqrtdenest(value), force=True)))
        divides = any(p.exp.could_extract_minus_sign() and not p.is_number for p in value.atoms(sympy.Pow))
        return sympy.cancel(value) if divides else sympy.expand(value)
    except (sympy.PolynomialError, NotImplementedError, ValueError, TypeError, AttributeError, RecursionError):
        return value


def _terms(value: "Expr") -> int:
    """Return how many terms an expression has once it is expanded, at most."""
    if value.is_Add:
        return min(10**9, sum(_terms(a) for a in value.args))
    if value.is_Mul:
        return min(10**9, math.prod(_terms(a) for a in value.args))
    if value.is_Pow and value.exp.is_Integer:
        n, terms = abs(int(value.exp)), _terms(value.base)
        return 1 if terms == 1 else min(10**9, math.comb(terms + n - 1, n)) if n < 200 else 10**9
    return max([1, *(_terms(a) for a in value.args)])


def printed(value: "Expr") -> str:
    """Return an expression as canonical LaTeX, a rational number as `canonical_number` writes it."""
    value = simplest(value)
    fraction = fraction_of(value)
    if fraction is not None:
        return canonical_number(fraction)
    text = str(_sympy().latex(value, fold_short_frac=False, ln_notation=True))
    text = re.sub(r"\{\\left\((.*?) \\right\)\}", r"(\1)", text).replace("\\left", "").replace("\\right", "")
    return re.sub("^- ", "-", " ".join(text.split()))


def equal(first: "Expr", second: "Expr") -> bool:
    """Return whether two expressions have the same value, wherever both have one.

    Rational numbers are compared exactly, other numbers to 30 digits relative to their size, and formulas at
    some points: so nothing is expanded, and no difference is too small to be seen.
    """
    if first == second:
        return True
    if first.is_Rational and second.is_Rational:
        return False
    symbols = sorted(first.free_symbols | second.free_symbols, key=str)
    if not symbols:
        return _same_number(first, second) is True
    sympy = _sympy()
    told = 0
    for seed in range(1, 9):
        points = {
            s: sympy.Rational((-1) ** (seed // 3) * (7 * seed + 5 * i + 2), 11 + 2 * i) for i, s in enumerate(symbols)
        }
        same = _same_number(first.subs(points), second.subs(points), real=not first.has(sympy.I))
        if same is False:
            return False
        told += same is True
    return told >= 4


def _same_number(first: "Expr", second: "Expr", *, real: bool = False) -> bool | None:
    """Return whether two numbers are the same; None if one has no value, or (`real`) none that is real."""
    if _has_no_value(first) or _has_no_value(second):
        return None
    if first.is_infinite or second.is_infinite:
        return bool(first == second)
    try:
        a, b = first.evalf(50, maxn=200), second.evalf(50, maxn=200)
        if real and not (a.is_real and b.is_real):
            return None
        difference, size = abs(_complex(a - b)), max(abs(_complex(a)), abs(_complex(b)))
    except (ValueError, TypeError, OverflowError, NotImplementedError):
        return None
    return bool(difference <= size * _sympy().Float("1e-30"))


def _complex(value: "Expr") -> "Expr":
    """Return a number that was computed; raise ValueError for what is none."""
    real, imaginary = value.as_real_imag()
    if not (real.is_Float or real.is_Rational) or not (imaginary.is_Float or imaginary.is_Rational):
        raise ValueError(f"{value} is no number")
    return value
