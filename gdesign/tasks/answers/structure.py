"""What the tokens of an answer say: from the list of its parts down to its brackets, relations and values."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gdesign.tasks.answers.expressions import expression
from gdesign.tasks.answers.notation import Token, UnreadableError
from gdesign.tasks.answers.numbers import number
from gdesign.tasks.answers.shapes import Shape, interval, is_real, joined, met, rounded, same
from gdesign.tasks.answers.wording import elements, undressed

_FLIPPED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤", "=": "=", "≠": "≠"}
_RELATIONS = frozenset("=<>≤≥≠∈≈≡")
_OPENING = {"(": "(", "[": "[", "⟨": "(", "\\{": "\\{", "{": "\\{"}
_REALS = ("all real numbers", "all reals", "real numbers", "all real", "any real number")
_MARKED = ("angle", "triangle", "overline")
_MAX_PARTS = 20


def read(tokens: Sequence[Token], *, ordered: bool = False) -> Shape:
    """Return the shape of an answer.

    Args:
        tokens: The whole answer.
        ordered: Whether a list without brackets is a tuple.

    Raises:
        UnreadableError: It is no formula that is known.
    """
    if len(tokens) > 300:
        raise UnreadableError("it is too long")
    found = elements(tokens)
    if len(found) > _MAX_PARTS:
        raise UnreadableError("it has too many parts")
    shapes = [_element(signed) for _, part in found for signed in _signs(part)]
    if len(shapes) == 1:
        return shapes[0]
    if found[-1][0] == "or" and shapes[-1].places and shapes[-2].kind == "value" and rounded(shapes[-2], shapes[-1]):
        shapes.pop()  # 3/4 or 0.75
    if all(s.kind in ("union", "tuple") and s.places for s in shapes):
        return met(shapes) if "or" not in [link for link, _ in found] else joined(shapes)
    if len(shapes) == 1:
        return shapes[0]
    names = [s.text.partition("_")[0] for s in shapes]  # x_1 = 2, x_2 = 3 is a list
    if all(s.kind == "value" for s in shapes):
        if all(names) and len(set(names)) == len(names):  # x = 2, y = 3
            by_name = sorted(shapes, key=lambda s: s.text)
            return Shape("tuple", tuple(_nameless(s) for s in by_name), "()")
        if ordered:
            return Shape("tuple", tuple(_nameless(s) for s in shapes), "()")
    return _listed(shapes)


def _nameless(shape: Shape) -> Shape:
    return Shape("value", value=shape.value, places=shape.places) if shape.kind == "value" and shape.text else shape


def _listed(shapes: Sequence[Shape]) -> Shape:
    flat: list[Shape] = []
    for shape in shapes:
        flat += shape.parts if shape.kind == "list" else [_nameless(shape)]
    return flat[0] if len(flat) == 1 else Shape("list", tuple(flat))


def _signs(part: list[Token]) -> list[list[Token]]:
    """Return a part once for each choice of its plus-minus signs."""
    doubled = [at for at, t in enumerate(part) if t.text == "±"]
    reverse = [at for at, t in enumerate(part) if t.text == "∓"]
    if (not doubled and not reverse) or part[0].text in ("\\{", "{"):
        return [part]
    if len(doubled) > 3:
        raise UnreadableError("it has too many signs")
    chosen = []
    for choice in range(2 ** max(1, len(doubled))):
        signed = list(part)
        for i, at in enumerate(doubled):
            signed[at] = Token("op", "-" if choice >> i & 1 else "+")
        for at in reverse:
            signed[at] = Token("op", "+" if choice & 1 else "-")
        chosen.append(signed)
    return chosen


def _at_top(tokens: Sequence[Token], signs: frozenset[str]) -> list[int]:
    """Return where a sign stands outside brackets."""
    depth = environment = bars = 0
    found = []
    for at, token in enumerate(tokens):
        depth += (token.kind == "open") - (token.kind == "close")
        environment += (token.text == "begin") - (token.text == "end")
        if token.kind == "op" and token.text in signs and depth == 0 and environment == 0 and bars % 2 == 0:
            found.append(at)
        bars += token.text == "|"
    return found


def _pieces(tokens: Sequence[Token], at: Sequence[int]) -> list[list[Token]]:
    edges = [-1, *at, len(tokens)]
    return [list(tokens[a + 1 : b]) for a, b in pairwise(edges)]


def _element(tokens: list[Token]) -> Shape:
    if not tokens:
        raise UnreadableError("there is nothing")
    if all(t.kind == "word" for t in tokens):
        return _words(tokens)
    relations = _at_top(tokens, _RELATIONS)
    if relations:
        return _related(_pieces(tokens, relations), [tokens[at].text for at in relations])
    unions = _at_top(tokens, frozenset(("cup", "cap", "setminus")))
    if unions:
        return _set_algebra(_pieces(tokens, unions), [tokens[at].text for at in unions])
    colons = _at_top(tokens, frozenset(":"))
    if colons:
        pieces = _pieces(tokens, colons)
        if any((len(p) > 1 and p[0].text.startswith("0")) or p[0].text.startswith("00") for p in pieces if p):
            raise UnreadableError("it is a time of day")
        return Shape("ratio", tuple(_value(p) for p in pieces))
    return _bracketed(tokens) or _matrix(tokens) or _numeral(tokens) or _value(tokens)


def _words(tokens: Sequence[Token]) -> Shape:
    said = [t.text.lower() for t in tokens]
    while len(said) > 1 and said[0] in ("the", "a", "an", "it", "it's", "answer"):
        del said[0]
    if "no" in said and said[-1] in ("solution", "solutions", "roots"):
        return _value([Token("symbol", "\\emptyset")])
    value = number(f"Answer: {' '.join(said)}")
    if value is not None and not re.search(r"(?:quarters?|half|halves|thirds?|ths?)$", said[-1]):  # five
        return _value([Token("number", value)])
    if " ".join(said) in _REALS:
        return _everything()
    return Shape("words", text=" ".join(said))


def _everything() -> Shape:
    return interval(_infinite("-"), _infinite("+"), "(", ")")


def _infinite(sign: str) -> Shape:
    return _value([Token("op", sign), Token("symbol", "\\infty")])


def _value(tokens: Sequence[Token]) -> Shape:
    tokens = undressed(list(tokens))
    if [t.text for t in tokens] == ["mathbb", "{", "R", "}"]:
        return _everything()
    value = expression(tokens)
    written = [t for t in tokens if t.text not in "+-"]
    places = len(written[0].text.partition(".")[2]) if len(written) == 1 and written[0].kind == "number" else 0
    return Shape("value", value=value, places=places)


def _bracketed(tokens: list[Token]) -> Shape | None:
    """Return what stands in one pair of brackets: a tuple, an interval, a set; None for a value in brackets."""
    depth = 0
    for at, token in enumerate(tokens):
        depth += (token.kind == "open") - (token.kind == "close")
        if depth == 0 and at < len(tokens) - 1:
            return None
    if tokens[0].text not in _OPENING or tokens[-1].kind != "close":
        return None
    inside = tokens[1:-1]
    parts = _pieces(inside, _at_top(inside, frozenset(",;")))
    described = _at_top(inside, frozenset("|:"))
    if tokens[0].text == "\\{" or (tokens[0].text == "{" and (len(parts) > 1 or described)):
        if described:
            return _element(inside[described[0] + 1 :])
        if not inside:
            return _value([Token("symbol", "\\emptyset")])
        shapes: list[Shape] = []
        for part in parts:
            for signed in _signs(part):
                shape = _element(signed)
                if not any(same(shape, s) for s in shapes):
                    shapes.append(shape)
        listed = _listed(shapes)
        return Shape("list", listed.parts, "{}") if listed.kind == "list" else listed
    if len(parts) == 1:
        return _matrix(inside) if inside[:1] and inside[0].text == "begin" else None
    closing = {"⟩": ")"}.get(tokens[-1].text, tokens[-1].text)
    brackets = _OPENING[tokens[0].text] + closing
    if len(parts) > 2 and brackets == "[]":  # a list in the brackets of programs
        brackets = "()"
    shapes = [_element(p) for p in parts]
    width = len(shapes[0].parts)
    if all(p[:1] and p[0].text == "[" for p in parts) and width > 1 and all(len(s.parts) == width for s in shapes):
        return Shape("matrix", tuple(cell for row in shapes for cell in row.parts), str(width))
    return Shape("tuple", tuple(shapes), brackets)


def _matrix(tokens: list[Token]) -> Shape | None:
    if tokens[0].text != "begin":
        return None
    inside = tokens[1:-1]
    if tokens[-1].text != "end":
        raise UnreadableError("it is no matrix")
    rows = [
        _pieces(row, _at_top(row, frozenset("&"))) for row in _pieces(inside, _at_top(inside, frozenset(("\\\\",))))
    ]
    rows = [row for row in rows if row != [[]]]
    if not rows or len({len(row) for row in rows}) != 1:
        raise UnreadableError("the rows of a matrix differ")
    parts = tuple(_element(cell) for row in rows for cell in row)
    if len(rows[0]) == 1:
        return Shape("tuple", parts, "()")
    return Shape("matrix", parts, str(len(rows[0])))


def _numeral(tokens: list[Token]) -> Shape | None:
    if len(tokens) < 3 or tokens[0].kind != "number" or tokens[1].text != "_":
        return None
    base = [t for t in tokens[2:] if t.text not in "{}()"]
    names = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9"}
    if len(base) != 1 or not names.get(base[0].text, base[0].text).isdigit():
        raise UnreadableError("it has no base")
    said = names.get(base[0].text, base[0].text)
    return Shape("numeral", text=f"{tokens[0].text}_{said}" if len(said) == 1 else f"{tokens[0].text}_{{{said}}}")


def _related(sides: list[list[Token]], signs: list[str]) -> Shape:
    """Return what a chain of relations says: the last value of `=`, an interval, or the relation itself."""
    if "≈" in signs:
        at = signs.index("≈")
        if len(signs) == 1 and _is_name(sides[0]) and not _is_name(sides[1]) and not _value(sides[0]).value.is_number:
            return _element(sides[1])  # x ≈ 2.5, where pi ≈ 3.14 is pi
        return _related(sides[: at + 1], signs[:at]) if at else _element(sides[0] or sides[1])
    if signs == ["∈"] or (signs == ["="] and _is_name(sides[0]) and sides[1][:1] and sides[1][0].text in _OPENING):
        return _element(sides[1])
    if set(signs) == {"="}:
        return _equated(sides)
    shapes = [_element(side) for side in sides]
    if any(s.kind != "value" for s in shapes):
        raise UnreadableError("it relates what are no values")
    values: list[Any] = [s.value for s in shapes]
    if len(signs) == 2 and _is_name(sides[1]) and set(signs) in ({"<"}, {"≤"}, {"<", "≤"}, {">"}, {"≥"}, {">", "≥"}):
        if signs[0] in ">≥":
            shapes, signs = shapes[::-1], [_FLIPPED[s] for s in signs[::-1]]
        return interval(shapes[0], shapes[2], "(" if signs[0] == "<" else "[", ")" if signs[1] == "<" else "]")
    if len(signs) != 1:
        raise UnreadableError("it relates too much")
    sign = signs[0]
    if values[0].is_number:
        shapes, sign = shapes[::-1], _FLIPPED[sign]
        values = [s.value for s in shapes]
    if values[1].is_number and (values[0].is_Symbol or _is_name(sides[0])):
        return _bounded(shapes[1], sign)
    if values[0].func.__name__ == "Abs" and values[0].args[0].is_Symbol and is_real(shapes[1]):  # |x| < 3
        low = Shape("value", value=-values[1])
        if sign in "<≤":
            return interval(low, shapes[1], "(" if sign == "<" else "[", ")" if sign == "<" else "]")
        return joined([_bounded(low, _FLIPPED[sign]), _bounded(shapes[1], sign)])
    if sign in ">≥":
        shapes, sign = shapes[::-1], _FLIPPED[sign]
    return Shape("relation", tuple(shapes), sign)


def _bounded(bound: Shape, sign: str) -> Shape:
    """Return the interval of what is less than a bound, or more, or another number."""
    low, high = _infinite("-"), _infinite("+")
    match sign:
        case "<" | "≤":
            return interval(low, bound, "(", ")" if sign == "<" else "]")
        case ">" | "≥":
            return interval(bound, high, "(" if sign == ">" else "[", ")")
    return Shape("union", (interval(low, bound, "(", ")"), interval(bound, high, "(", ")")), places=1)


def _is_name(tokens: Sequence[Token]) -> bool:
    """Return whether tokens name something: `x`, `x_1`, `f(x)`, `AB`, `f^{-1}(x)`."""
    if [t.text for t in tokens[1:6]] == ["^", "{", "-", "1", "}"]:
        tokens = [tokens[0], *tokens[6:]]
    named = [t.kind in ("symbol", "word") or t.text in _MARKED for t in tokens]
    others = ("(", ")", "_", "{", "}", "'", ",")
    return bool(tokens) and named[0] and all(
        name or t.kind == "number" or t.text in others for name, t in zip(named, tokens, strict=True)
    )  # fmt: skip


def _equated(sides: list[list[Token]]) -> Shape:
    if len(sides) == 2 and not _is_name(sides[0]) and _is_name(sides[1]) and len(sides[1]) == 1:
        sides = sides[::-1]
    last = _element(sides[-1])
    if last.kind == "numeral":
        return last
    if _is_name(sides[0]):
        if len(sides) == 2 and last.kind != "value":
            return last
        if len(sides) == 2 and sides[0][0] not in sides[1]:
            return Shape("value", value=last.value, places=last.places, text="".join(t.text for t in sides[0]))
        if len(sides) > 2:
            sides = sides[1:]
    shapes = [*(_element(side) for side in sides[:-1]), last]
    for before in shapes[-2::-1]:
        if last.kind == before.kind == "value" and last.places and not before.places:
            if before.value.is_number and rounded(before, last):
                return before  # 3/56 = 0.0536
    if len(shapes) == 1 or any(s.kind != "value" for s in shapes) or not shapes[-2].value.free_symbols:
        return last
    if len(shapes) > 2:
        return last
    return Shape("relation", tuple(shapes), "=")


def _set_algebra(pieces: list[list[Token]], signs: list[str]) -> Shape:
    if set(signs) != {"cup"}:
        raise UnreadableError("only unions are known")
    shapes = [_element(piece) for piece in pieces]
    if all(s.kind in ("tuple", "union") for s in shapes):
        return joined(shapes)
    if all(s.text == "{}" for s in shapes):
        return _listed(shapes)
    raise UnreadableError("it joins unlike sets")
