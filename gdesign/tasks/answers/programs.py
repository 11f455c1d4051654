"""Answers that are programs."""

import re
import textwrap
from collections.abc import Collection

_BLOCK = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
_BEGINS = re.compile(r"^(?:from \w|import \w|def \w|async def \w|class \w|@\w)", re.MULTILINE)
_STATED = re.compile(r"^[*_ \t]*Answer:[*_]*[ \t]*", re.MULTILINE)


def program(text: str, names: Collection[str] = ()) -> str | None:
    """Return the program in a reply without empty lines around it; None if there is none.

    Reads the last code block that defines one of the names, else the last code block, else, where there
    is no block, what begins with an import or a definition.
    """
    text = text.replace("\r\n", "\n")
    blocks = [body for language, body in _BLOCK.findall(text) if language.lower() in ("", "python", "python3", "py")]
    if not blocks:
        begins = _BEGINS.search(text)
        if begins is None:
            return None
        blocks = [_STATED.split(text[begins.start() :])[0] or text[begins.start() :]]
    found = [b for b in blocks if any(defines(b, name) for name in names)] or blocks
    return textwrap.dedent(found[-1]).strip("\n").rstrip() or None


def defines(source: str, name: str) -> bool:
    """Return whether a program seems to define a name, at the outermost level; it is not parsed."""
    return (
        re.search(rf"^\s*(?:(?:async\s+)?def|class)\s+{re.escape(name)}\b|^{re.escape(name)}\s*[:=]", source, re.M)
        is not None
    )
