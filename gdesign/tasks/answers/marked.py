r"""Where in a reply the answer stands: outside thoughts and quotes, behind the last mark.

A mark is, in any of the languages of `words`,

- a line `Answer: X`, as every prompt asks for, in any dress of Markdown, or a heading `Answer` with X below it;
- a tag `<answer>X</answer>` or `[ANSWER]X[/ANSWER]`; a field `"answer": X` of JSON;
- LaTeX's `\boxed{X}`;
- a sentence `the correct answer is X`. Where something is said of an answer (`the answer is right`, `the answer is
  not 5`, `the answer depends on`) none is given.

The last one counts, of the first two kinds before boxed, and boxed before sentences. What stands behind a question
that a model asks itself after it has answered (`Question: ...`) does not count.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache

from gdesign.tasks.answers.thoughts import without_thoughts as without_thoughts
from gdesign.tasks.answers.words import Words, spoken, whole

_TAG = re.compile(
    r"<(?P<tag>(?:final_?)?answer|ans)>(?P<in>(?:(?!<(?P=tag)>).)*?)(?:</(?P=tag)>|\Z)"
    r"|\[ANSWER\](?P<square>(?:(?!\[ANSWER\]).)*?)(?:\[/ANSWER\]|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_FIELD = re.compile(
    r"""(?P<q>["'])(?:(?:final|correct|your|the)?[_ ]?(?:answer|option|choice))(?P=q)\s*:\s*(?=\S)""", re.IGNORECASE
)
_NOTHING_STATED = re.compile(
    r"[\s*_]*(?:(?:in)?correct|right|wrong|(?:in)?consistent|(?:un)?reasonable|(?:un)?clear|obvious|simple|valid|plausible"
    r"|not|no longer|never|depend\w*|given|found|obtained|determined|expected|required|supposed|based|below|above"
    r"|as follows|in the (?:form|range)|an? (?:\w+ ){0,2}(?:integer|whole number|fraction|decimal|number|prime|letter)"
    r"|(?:always |also )?(?:positive|negative|even|odd)(?! +[0-9])|unknown|the same|what|which|whether|how|why"
    r"|(?:impossible|possible) to|cannot|can't|closest|close to)\b",
    re.IGNORECASE,
)
_WITHDRAWN = re.compile(
    r"\banswer[ \t]+(?:\w+[ \t]+)?(?:depends|is (?:unknown|unclear))\b"
    r"|\b(?:can(?:not|'t| not)|could(?: not|n't)|(?:im|not )possible to|unable to)[ \t]+(?:be[ \t]+)?"
    r"(?:definitively |exactly )?(?:determined?|answer(?:ed)?|calculated?)\b"
    r"|\b(?:insufficient|not enough|n't have enough|need more) information\b"
    r"|\berror in the (?:given |provided )?(?:information|problem|question|calculation|data)",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"^[ \t#*_]*(?:(?:next|new|another)[ \t]+)?"
    r"(?:question|problem|exercise|q|human|user|instruction|问题|問題|frage|pregunta|вопрос)"
    r"(?P<number>[ \t]*#?\d+)?[ \t*_]*[:\uff1a.)][*_ \t]*(?=\S)",
    re.IGNORECASE | re.MULTILINE,
)
_LONGEST = 10_000  # characters of an answer
_FENCE = re.compile(r"^[ \t]*(?:```|~~~|\"\"\"|''').*$", re.MULTILINE)


@lru_cache(maxsize=16)  # one reader asks several times
def own_words(text: str) -> str:
    """Return what a reply itself says: no thoughts, no quoted lines (`> `), nothing behind a question of its own.

    Agents get quoted what others said, and some repeat it: an answer that stands in a quote is not theirs. All
    of a text counts if it is all quoted. A prompt of Python (`>>>`) is no quote, nor are lines that begin with `>>`
    unless they stand in a quote.
    """
    text = _without_quotes(without_thoughts(text))
    first = min(
        (m.start() for m in (next(_lines(text), None), _OTHER_MARK.search(text)) if m is not None), default=None
    )
    if first is not None:
        questions = list(_ASKED.finditer(text))
        if not any(q["number"] for q in questions if q.start() < first):
            text = text[: next((q.start() for q in questions if q.start() > first), len(text))]
    return text


_OTHER_MARK = re.compile(r"^[ \t]*####[ \t]*\S|\\f?boxed|</answer>", re.IGNORECASE | re.MULTILINE)


@lru_cache
def _line(words: Words) -> re.Pattern[str]:
    name = rf"(?:(?:{whole(words.dress)})[ \t,]*){{0,4}}(?:{whole(words.answer)})(?:[ \t]*(?:{whole(words.dress)}))*"
    return re.compile(
        rf"^[ \t>#*_`~\-•|]*(?:(?:the|so|thus|hence|therefore|then|here is|and),?[ \t]+)*{name}"
        r"(?:[ \t]+(?:to|of|for|in)\b[^:\n]{0,60}|[ \t]*\([^()\n]{0,40}\))?[ \t*_`~]*"
        r"(?:[:\uff1a|]|[\-–—](?=[ \t]))[*_`~]*(.*)$"  # noqa: RUF001
        rf"|^[ \t>#*_]*{name}[ \t*_#]*()$",
        re.IGNORECASE | re.MULTILINE,
    )


@lru_cache
def _cue(words: Words) -> re.Pattern[str]:
    return re.compile(
        rf"(?:{whole(words.answer)})(?:[ \t]*(?:{whole(words.dress)}))*(?:[ \t]+(?:to|of|for)\b[^:.\n]{{0,80}}?)?[\s*_`~]*"
        rf"(?:[:\uff1a=]|(?P<says>{whole(words.says)})(?:[ \t]*:)?|(?=[ \t]+[(*]*(?:[0-9]|(?-i:[A-Z])[)*]*\.?[ \t]*$)))\s*",
        re.IGNORECASE | re.MULTILINE,
    )


def _lines(text: str) -> Iterator[re.Match[str]]:
    """Yield the lines that are marks."""
    for words in spoken(text, "answer"):
        begin = 0
        for noun in re.finditer(whole(words.answer), text, re.IGNORECASE):
            if noun.start() >= begin:
                begin = text.find("\n", noun.end()) % (len(text) + 1)
                line = _line(words).match(text, text.rfind("\n", 0, noun.start()) + 1)
                if line is not None:
                    yield line


def _without_quotes(text: str) -> str:
    if ">" not in text:
        return text
    own: list[str] = []
    block: list[str] = []
    for line in (*text.splitlines(keepends=True), ""):
        begin = line.lstrip(" \t")
        if begin.startswith(">") and not begin.startswith(">>>"):
            block.append(line)
            continue
        if all(quoted.lstrip(" \t").startswith(">>") for quoted in block):
            own += block
        block.clear()
        own.append(line)
    said = "".join(own)
    return said if said.strip() else text


def stated(text: str, *, bare: bool = True) -> str | None:
    """Return what the last line `Answer: X`, answer tag or field of JSON states; None where none states anything.

    A line that states nothing itself heads what follows it, up to an empty line.

    Args:
        text: What was written.
        bare: Whether the angle brackets of a filled-in placeholder (`Answer: <X>`) are taken off.
    """
    *_, last = (None, *sorted(_statements(own_words(text))))
    if last is None:
        return None
    placeholder = re.fullmatch(r"([*_`]*)<([^<>\n]+)>\1", last[1])
    return placeholder[2].strip() if bare and placeholder else last[1]


def _statements(text: str) -> Iterator[tuple[int, str]]:
    tagged: list[tuple[int, int]] = []
    if "<" in text or "[" in text:
        for tag in _TAG.finditer(text):
            inside = (tag["in"] or tag["square"] or "").strip()
            within = max(_lines(inside), key=re.Match.start, default=None)
            tagged.append(tag.span())
            if inside:
                yield tag.start(), (within and (within[1] or "").strip()) or inside
    if '"' in text or "'" in text:
        for field in _FIELD.finditer(text):
            value = _value(text, field.end())
            if value:
                yield field.start(), value
    for line in _lines(text):
        said = _undressed(line) if (line[1] or "").strip().strip("*_`~|") else _below(text, line)
        if said and not any(begin <= line.start() < end for begin, end in tagged):
            yield line.start(), said


def _undressed(line: re.Match[str]) -> str:
    """Return what a line states without the end of a dress that began before it (`**Answer: X**`, `| Answer | X |`)."""
    said = line[1].strip()
    for mark in ("|", "**", "__", "`", "*", "_"):
        if said.endswith(mark) and said.count(mark) % 2 and mark in line[0][: line.start(1) - line.start()]:
            said = said.removesuffix(mark).strip()
    return said


def _below(text: str, line: re.Match[str]) -> str:
    after = text[line.end() : line.end() + _LONGEST].strip()
    fenced = _FENCE.match(after)
    if fenced:
        return _FENCE.split(after)[1].strip()
    return after.split("\n\n")[0].strip()


def _value(text: str, begin: int) -> str:
    try:
        value, end = json.JSONDecoder().raw_decode(text, begin)
    except (ValueError, RecursionError):
        rest = re.match(r"'((?:[^'\\\n]|\\.)*)'|[^,}\n]*", text[begin:])
        return "" if rest is None else (rest[1] or rest[0]).strip()
    return value.strip() if isinstance(value, str) else text[begin:end]


def after_cue(text: str) -> str | None:
    """Return what follows the last `answer is`, up to the end of its line."""
    return next((said for _, said in cues(text)), None)


def cues(text: str) -> list[tuple[int, str]]:
    """Return what follows each `answer is`, up to the end of its line, and where; the last one first.

    Empty where the answer is withdrawn later on.
    """
    found: list[tuple[int, str]] = []
    for cue in sorted((m for words in spoken(text, "answer") for m in _cue(words).finditer(text)), key=re.Match.start):
        rest = text[cue.end() : cue.end() + _LONGEST].split("\n", 1)[0].strip()
        if rest and not (cue["says"] and _NOTHING_STATED.match(rest)):
            found.append((cue.start(), rest))
    return [] if found and found[-1][0] < withdrawn(text) else found[::-1]


def withdrawn(text: str) -> int:
    """Return where it is last said that there is no one answer (it depends, it cannot be determined); -1 if nowhere."""
    return max((m.start() for m in _WITHDRAWN.finditer(text)), default=-1)


def boxed(text: str) -> str | None:
    r"""Return what the last \boxed{...} or \fbox{...} with balanced braces holds; None if there is none.

    None too if it is said of it that it is not the answer.
    """
    closing: dict[int, int] = {}
    open_: list[int] = []
    for brace in re.finditer(r"\\[{}]|[{}]", text):
        if brace[0] == "{":
            open_.append(brace.end())
        elif brace[0] == "}" and open_:
            closing[open_.pop()] = brace.start()
    boxes = [(m.end(), closing[m.end()]) for m in re.finditer(r"\\(?:f?boxed|fbox) ?\{", text) if m.end() in closing]
    if not boxes or _TURNED_DOWN.match(text, boxes[-1][1]):
        return None
    return text[slice(*boxes[-1])].strip()


_TURNED_DOWN = re.compile(r"\}[\s$.)\\]*(?:is|are)[ \t]+(?:not\b|incorrect|wrong)")
