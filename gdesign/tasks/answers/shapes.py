"""What kind of thing a formula is: a value, a list, a tuple, an interval, an equation; its text, and its equals."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

from gdesign.tasks.answers.expressions import equal, fraction_of, printed, symbol
from gdesign.tasks.answers.notation import UnreadableError

_LATEX = {"<": "<", ">": ">", "≤": r"\le", "≥": r"\ge", "=": "=", "≠": r"\ne"}


@dataclass(frozen=True)
class Shape:
    r"""A formula as it is compared.

    Attributes:
        kind: `value`; `list` (in any order; a set too); `tuple` (a pair, an interval, a column); `union` of
            intervals; `relation`; `numeral` (digits in a base); `matrix`; `ratio`; `words`.
        parts: What it consists of: elements, sides, rows.
        text: The brackets of a tuple, the sign of a relation, digits and base, words; of a value what it is the
            value of (`x` where `x = 5` was written).
        value: Of a value.
        places: How many digits a value has that was written as a decimal; 0 for another one.
    """

    kind: Literal["value", "list", "tuple", "union", "relation", "numeral", "matrix", "ratio", "words"]
    parts: tuple["Shape", ...] = ()
    text: str = ""
    value: Any = None
    places: int = 0

    @cached_property
    def canonical(self) -> str:
        """The text that equal formulas share."""
        parts = [p.canonical for p in self.parts]
        match self.kind:
            case "value":
                return printed(self.value)
            case "list":
                return ", ".join(p.canonical for p in sorted(self.parts, key=_order))
            case "tuple":
                closing = {"(": ")", "[": "]"}.get(self.text[1:], self.text[1:])
                return f"{self.text[0]}{', '.join(parts)}{closing}"
            case "union":
                return r" \cup ".join(parts)
            case "relation":
                return f"{parts[0]} {_LATEX[self.text]} {parts[1]}"
            case "matrix":
                width = int(self.text)
                rows = [" & ".join(parts[i : i + width]) for i in range(0, len(parts), width)]
                return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"
            case "ratio":
                return ":".join(parts)
        return (
            rf"\text{{{self.text}}}" if self.kind == "words" and len(self.text) == 2 else self.text
        )  # two letters alone are a product


def _order(shape: Shape) -> tuple[bool, Fraction, str]:
    number = None if shape.value is None else fraction_of(shape.value)
    return number is None, number or Fraction(), shape.canonical


def interval(low: Shape, high: Shape, opening: str, closing: str) -> Shape:
    """Return an interval; its places tell it from a pair."""
    return Shape("tuple", (low, high), opening + closing, places=1)


def _ends(interval: Shape) -> tuple[tuple[float, bool], tuple[float, bool]]:
    """Return where an interval begins and ends, in an order that tells open from closed."""
    low, high = interval.parts
    if not is_real(low) or not is_real(high):
        raise UnreadableError("an interval's ends are not known")
    return (float(low.value), interval.text[0] == "("), (float(high.value), interval.text[1] == "]")


def _intervals(shape: Shape) -> Sequence[Shape]:
    return shape.parts if shape.kind == "union" else (shape,)


def joined(shapes: Sequence[Shape]) -> Shape:
    """Return the union of intervals."""
    merged: list[Shape] = []
    for piece in sorted((p for s in shapes for p in _intervals(s)), key=lambda p: _ends(p)[0]):
        if merged:
            (begins, is_open), (ended, was_closed) = _ends(piece)[0], _ends(merged[-1])[1]
            if begins < ended or (begins == ended and (was_closed or not is_open)):
                last = max(merged[-1], piece, key=lambda p: _ends(p)[1])
                merged[-1] = interval(merged[-1].parts[0], last.parts[1], merged[-1].text[0], last.text[1])
                continue
        merged.append(piece)
    return merged[0] if len(merged) == 1 else Shape("union", tuple(merged), places=1)


def met(shapes: Sequence[Shape]) -> Shape:
    """Return what intervals have in common; their union if that is nothing."""
    common = list(_intervals(shapes[0]))
    for shape in shapes[1:]:
        pairs = [(a, b) for a in common for b in _intervals(shape)]
        common = [i for a, b in pairs if (i := _between(a, b)) is not None]
    if not common:
        return joined(shapes)
    return joined(common)


def _between(first: Shape, second: Shape) -> Shape | None:
    low = max(first, second, key=lambda p: _ends(p)[0])
    high = min(first, second, key=lambda p: _ends(p)[1])
    (begins, is_open), (ends, is_closed) = _ends(low)[0], _ends(high)[1]
    if begins > ends or (begins == ends and (is_open or not is_closed)):
        return None
    return interval(low.parts[0], high.parts[1], low.text[0], high.text[1])


def is_real(shape: Shape) -> bool:
    """Return whether a shape is a real number, or infinite."""
    return shape.value is not None and shape.value.is_extended_real is True


def rounded(exact: Shape, decimal: Shape, digits: int = 1) -> bool:
    """Return whether a decimal is another number cut or rounded to so many digits, of which so many are told."""
    assert exact.value is not None
    assert decimal.value is not None
    stated = abs(int(decimal.value * 10**decimal.places))
    if not decimal.places or len(str(stated)) < digits or not exact.value.is_extended_real:
        return False
    over = ((abs(exact.value) - abs(decimal.value)) * 10**decimal.places).evalf(30)
    return bool(exact.value * decimal.value > 0 and -0.5000001 <= over < 1)


def same(gold: Shape, answer: Shape) -> bool:
    """Return whether an answer says what a reference says."""
    match gold.kind, answer.kind:
        case "value", "value":
            return _same_value(gold, answer)
        case "value", "relation" if answer.text == "=":
            if gold.text:  # y = 2x against 2x - y = 0
                return _same_equation((Shape("value", value=symbol(gold.text)), gold), answer.parts)
            return same(gold, answer.parts[1])
        case "relation", "relation":
            return gold.text == answer.text and _same_equation(gold.parts, answer.parts)
        case ("numeral", "value") | ("value", "numeral"):
            digits, value = (gold, answer) if gold.kind == "numeral" else (answer, gold)
            return digits.text.partition("_")[0] == value.canonical
        case "list", "list":
            return _same_list(gold.parts, answer.parts)
        case "list", "tuple":
            return not gold.text and answer.text == "()" and _same_tuple(gold.parts, answer.parts)
        case ("tuple", "tuple") | ("union", "union") | ("matrix", "matrix"):
            return gold.text == answer.text and _same_tuple(gold.parts, answer.parts)
        case "ratio", "ratio":
            first, second = ([p.value for p in ratio.parts] for ratio in (gold, answer))
            return len(first) == len(second) and all(
                equal(g * second[0], a * first[0]) for g, a in zip(first, second, strict=True)
            )
        case ("ratio", "value") | ("value", "ratio"):
            ratio, value = (gold, answer) if gold.kind == "ratio" else (answer, gold)
            sides = [p.value for p in ratio.parts]
            return len(sides) == 2 and equal(sides[0], sides[1] * value.value)
    return gold.canonical == answer.canonical


def _same_value(gold: Shape, answer: Shape) -> bool:
    assert gold.value is not None
    assert answer.value is not None
    if equal(gold.value, answer.value):
        return True
    if gold.value.is_number and answer.value.is_number and bool(gold.places) != bool(answer.places):
        exact, told = (gold, answer) if answer.places else (answer, gold)
        fraction = fraction_of(exact.value)
        ends = fraction is not None and fraction.denominator % 3 and 10**12 % fraction.denominator == 0
        return not ends and rounded(exact, told, 6)
    return False


def _same_tuple(gold: Sequence[Shape], answer: Sequence[Shape]) -> bool:
    return len(gold) == len(answer) and all(same(g, a) for g, a in zip(gold, answer, strict=True))


def _same_list(gold: Sequence[Shape], answer: Sequence[Shape]) -> bool:
    left = list(answer)
    for part in gold:
        at = next((i for i, a in enumerate(left) if same(part, a)), None)
        if at is None:
            return False
        del left[at]
    return not left


def _same_equation(gold: Sequence[Shape], answer: Sequence[Shape]) -> bool:
    """Return whether two relations are the same but for a factor, which is positive for an order."""
    (a, b), (c, d) = ([p.value for p in side] for side in (gold, answer))
    first, second = a - b, c - d
    if first.free_symbols != second.free_symbols:
        return False
    if not first.free_symbols:
        return equal(a, c) and equal(b, d)
    point = {s: 2 + i * i for i, s in enumerate(sorted(first.free_symbols, key=str))}
    scale = second.subs(point)
    return scale != 0 and equal(first * scale, second * first.subs(point))
