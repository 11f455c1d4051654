"""Answers that are Python literals."""

import ast
import math
import re
from collections.abc import Callable, Sequence

from gdesign.tasks.answers.marked import after_cue, boxed, own_words, stated
from gdesign.tasks.answers.notation import unbroken

_MAX_LITERAL = 10_000
_MAX_DRESS = 6
_DRESS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"```(?:[a-zA-Z]*\n)?(?P<inner>.*?)```",
        r"\*\*(?P<inner>.*[^*].*)\*\*[.。]?",
        r"(?P<mark>`+)(?P<inner>(?!`).+?)(?P=mark)[.。]?",
        r"\$(?P<inner>[^$]+|['\"\[({].*)\$[.。]?",
        r"\$\$\s+(?P<inner>[^$]+)\s+\$\$[.。]?",
        r"\\\((?P<inner>.+)\\\)[.。]?",
        r"\\\[(?P<inner>(?:(?!\\\]).)+)\\\]",
        r"\\(?:text|texttt|textbf|mbox|mathrm|mathtt)\s*\{(?P<inner>.*)\}",
    )
)
_TEXT = re.compile(r"\\(?:text|texttt|textbf|mbox|mathrm|mathtt)\s*\{([^{}]*)\}")
_ESCAPED = re.compile(r"\\(?:([{}_%#&$])|[,;! ])")
_STRAIGHT = str.maketrans("“”„‟‘’‚‛", 4 * '"' + 4 * "'")  # noqa: RUF001
_SAID = re.compile(
    r"(?:(?:so|thus|hence|therefore|then|finally|and)\b,?\s*)*[*_]*"
    r"(?:\w+\(.*\)|(?:the\s+)?(?:final\s+)?(?:output|result|(?:return(?:ed)?\s+)?value|function)|it)[*_]*\s*"
    r"(?:=(?!=)|:|->|→|⇒|returns|is|will\s+be|evaluates\s+to|outputs)[*_]*\s*(?=\S)",
    re.IGNORECASE | re.DOTALL,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z*])")
_BRACKET = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|(?P<open>[(\[{])|(?P<close>[)\]}])""")
_REASON = re.compile(r"[\s.,;]+\(?(?:because|since|as|which|where)\b", re.IGNORECASE)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_WARNED = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?P<number>\b[0-9][\w.]*?)(?=(?:and|else|for|if|in|is|not|or)\b)""",
    re.DOTALL,
)


def literal(text: str) -> str | None:
    r"""Return the Python literal that a text answers, in one canonical form.

    Reads the marked answer, else what is boxed, else the last `assert ... == X`, else the sentence that says it (`the
    answer is X`; in the last line `the output is X`), else the last code block, else the whole text. Fences, bold,
    dollars, `\boxed{...}`, curly quotes, the call before it (`f(3) = `, `f(3) returns `) and
    a reason behind it are dress. Values that Python holds equal look the same (`1.0` and `1`, the order of a set or a
    dict, the kind of quotes), but for `True` and `1`.
    """
    text = unbroken(own_words(text))
    part = stated(text)
    if part is not None:
        found = _literal(part)
        return _literal(_closed(text, part)) if found is None else found
    asserts = re.findall(r"^[ \t]*assert\s.*$", text, re.MULTILINE)
    blocks = re.findall(r"```[^\n]*\n(.*?)```", text, re.DOTALL)
    for candidate in (boxed(text), *asserts[-1:], after_cue(text), *_ends(text), *blocks[-1:], text):
        found = None if candidate is None else _literal(candidate)
        if found is not None:
            return found
    return None


def _ends(text: str) -> list[str]:
    """Return the ends of a text that say what comes out: the last line, its last sentence, the last paragraph."""
    line, paragraph = text.rstrip().rpartition("\n")[2], text.rstrip().rpartition("\n\n")[2]
    return [end for end in (line, _SENTENCE.split(line)[-1], paragraph) if _SAID.match(end)]


def _closed(text: str, part: str) -> str:
    """Return what begins as a part of a text does, and goes on over lines until its brackets are closed."""
    begin, depth = text.rfind(part), 0
    if begin < 0:
        return ""
    for bracket in _BRACKET.finditer(text, begin, begin + _MAX_LITERAL):
        depth += (bracket["open"] is not None) - (bracket["close"] is not None)
        if bracket["close"] and depth <= 0 and bracket.end() > begin + len(part):
            return text[begin : bracket.end()].lstrip("*`") if depth == 0 else ""
        if depth == 0 and bracket.end() > begin + len(part):
            return ""
    return ""


def unquoted(text: str) -> str | None:
    """Return the literal of a string whose quotes were left out, where an answer is marked; without its dress."""
    text = unbroken(own_words(text))
    part = stated(text) or boxed(text)
    return string(_undressed(part)[-1].strip("`")) if part else None


def string(words: str) -> str:
    """Return the canonical literal of a string that was written without its quotes."""
    for quote in "'\"":
        found = None if quote in words else _evaluated(f"{quote}{words}{quote}")
        if found is not None:
            return found
    return repr(words)


def _literal(part: str, depth: int = 0) -> str | None:
    if len(part) > 2 * _MAX_LITERAL or depth > _MAX_DRESS:
        return None
    for undressed in _undressed(part):
        for candidate in (
            undressed,
            undressed.strip("*`").strip(),
            undressed.rstrip("*`").rstrip(".。").strip("*`").strip(),
            undressed.translate(_STRAIGHT),
        ):
            found = _evaluated(candidate)
            if found is not None:
                return found
        said, reason = _SAID.match(undressed), _REASON.search(undressed)
        for candidate in (undressed[said.end() :] if said else "", undressed[: reason.start()] if reason else ""):
            found = _literal(candidate, depth + 1) if candidate else None
            if found is not None:
                return found
    return None


def _undressed(part: str) -> list[str]:
    """Return an answer as it is written, and less and less dressed."""
    found = [part.strip()]
    while len(found) <= _MAX_DRESS:
        inner = boxed(found[-1])
        if inner is None:
            dress = next((m for m in (pattern.fullmatch(found[-1]) for pattern in _DRESS) if m), None)
            inner = None if dress is None else dress["inner"].strip()
        if not inner:
            break
        found.append(inner)
    if len(found) > 1 and "\\" in found[-1]:
        without_text = _TEXT.sub(r"\1", found[-1])
        found.append(_ESCAPED.sub(r"\1", without_text))
    return found


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
