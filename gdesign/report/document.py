"""A report as data, and its two files: `report.md` with its pictures beside it, and `report.html`.

`report.html` is one file that needs no network: pictures are SVG inside of it. It holds no scripts, and its policy
forbids browsers to run any or to fetch anything.
"""

import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from importlib.util import find_spec
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from gdesign.errors import installing
from gdesign.report.text import money

HAS_MATPLOTLIB = find_spec("matplotlib") is not None


@dataclass(frozen=True, slots=True)
class Text:
    """Words.

    Attributes:
        text: What they say.
        style: `soft` for what is known after one reading, `bad` for what went wrong, `code` for what was typed or said
            and stands as it was, `quote` for what was asked; else they are a paragraph.
    """

    text: str
    style: Literal["", "soft", "bad", "code", "quote"] = ""


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    texts: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        head: Its columns.
        rows: Its cells.
        num_words: How many columns, from the first, hold words; the rest are numbers and stand to the right.
        code: The column that holds commands.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_words: int = 1
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers that matter most: what, how much, and how sure or of what kind."""

    tiles: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Who took how many USD, dearest first, in several ways of telling who.

    Attributes:
        usd: USD by name, by what the names are of.
        total: The sum of each way.
    """

    usd: Mapping[str, Mapping[str, float]]
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture.

    Attributes:
        file: Its name beside `report.md`.
        says: What it shows, for those who do not see it.
        draw: Draws it, as PNG to a path or as SVG to a stream.
    """

    file: str
    says: str
    draw: Callable[[Path | BinaryIO], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Blocks under a heading of their own.

    Attributes:
        title: The heading.
        blocks: What stands below.
        framed: Whether a frame holds them together.
        to: Where the heading leads, in `report.html`.
    """

    title: str
    blocks: Sequence["Block"]
    framed: bool = False
    to: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Blocks that are shown when they are asked for; `report.md` cannot fold, and leaves them out."""

    title: str
    blocks: Sequence["Block"]


Block = Text | Items | Table | Numbers | Shares | Picture | Part | Folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What both files say.

    Attributes:
        title: What it is of.
        badge: Stands beside the title in `report.html`.
        lead: What comes first.
        sections: Blocks by heading; pictures are in none of their parts.
        footer: The last words.
    """

    title: str
    badge: str = ""
    lead: Sequence[Block] = ()
    sections: Mapping[str, Sequence[Block]] = field(default_factory=dict)
    footer: str = ""


def write(report: Report, folder: Path) -> Path:
    """Write `report.md` with its pictures, and `report.html`; return the path of the first."""
    if not HAS_MATPLOTLIB:
        report = _without_pictures(report)
    for block in chain(report.lead, *report.sections.values()):
        if isinstance(block, Picture):
            block.draw(folder / block.file)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["svg"] = _svg
    environment.filters["url"] = lambda path: quote(os.fsencode(Path(os.path.relpath(path, folder)).as_posix()))
    template = environment.from_string((files("gdesign.report") / "report.html.jinja").read_text(encoding="utf-8"))
    path = folder / "report.md"
    for file, text in ((path, markdown(report)), (path.with_suffix(".html"), template.render(report=report))):
        file.write_text(text, encoding="utf-8", errors="backslashreplace")  # LLMs may say lone surrogates
    return path


def markdown(report: Report) -> str:
    """Return a report as Markdown."""
    parts = [f"# {report.title}", *_paragraphs(report.lead)]
    for heading, blocks in report.sections.items():
        if paragraphs := _paragraphs(blocks):
            parts += [f"## {heading}", *paragraphs]
    return "\n\n".join([*parts, *([report.footer] if report.footer else [])]) + "\n"


def _paragraphs(blocks: Iterable[Block]) -> list[str]:
    return [text for block in blocks if (text := _paragraph(block))]


def _paragraph(block: Block) -> str:
    match block:
        case Text(text, "code"):
            fence = "~~~" if "```" in text else "```"
            return f"{fence}\n{text}\n{fence}"
        case Text(text, "quote"):
            return "\n".join(f"> {line}" for line in text.splitlines())
        case Text(text):
            return text
        case Items(texts):
            return "\n".join(f"- {text}" for text in texts)
        case Table():
            lines = [_line(block.head), "|" + "---|" * len(block.head)]
            return "\n".join([*lines, *(_line(row, code=block.code) for row in block.rows)])
        case Numbers(tiles):
            return "\n".join(f"- {name}: {value} ({more})" for name, value, more in tiles)
        case Shares(usd=usd, total=total):
            tables = (
                Table(
                    head=(f"by {word}", "USD", "share"),
                    rows=[(name, money(one), f"{one / total:.0%}") for name, one in by.items()],
                )
                for word, by in usd.items()
            )
            return "\n\n".join(_paragraphs(tables))
        case Picture(file=file, says=says):
            return f"![{says}]({file})"
        case Part(title=title, blocks=blocks):
            return "\n\n".join([f"### {title}", *_paragraphs(blocks)])
        case Folded():
            return ""


def _line(cells: Sequence[str], *, code: int | None = None) -> str:
    shown = (" ".join(cell.splitlines()).replace("|", r"\|") for cell in cells)
    return "| " + " | ".join(f"`{cell}`" if i == code and cell else cell for i, cell in enumerate(shown)) + " |"


def _svg(picture: Picture) -> str:
    stream = BytesIO()
    picture.draw(stream)
    return f"data:image/svg+xml;base64,{b64encode(stream.getvalue()).decode()}"


def _without_pictures(report: Report) -> Report:
    def kept(blocks: Iterable[Block]) -> list[Block]:
        return [block for block in blocks if not isinstance(block, Picture)]

    sections = {heading: left for heading, blocks in report.sections.items() if (left := kept(blocks))}
    missing = Text(f"Pictures need matplotlib; {installing('report')}.", "soft")
    return replace(report, lead=[*kept(report.lead), missing], sections=sections)
