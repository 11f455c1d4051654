# ruff: noqa: RUF001 (other scripts and their punctuation are meant)
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
    r"|as (?:follows|required|expected)"
    r"|in (?:line|step|part|terms|fact|the (?:form|range|text|passage|question|problem))"
    r"|an? (?:\w+ ){0,2}(?:integer|whole number|fraction|decimal|number|prime|letter)"
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
_TURN = re.compile(
    r"^#{2,}[ \t]*(?:instruction|input|question|user|human|response|assistant)s?[ \t]*:[ \t]*$", re.I | re.M
)
_LONGEST = 10_000  # characters of an answer
_LONGEST_SAID = 1_000  # of one that a sentence gives
_PADDING = re.compile(r"[ \t]{500,}")
_MOST_CUES = 50  # sentences that are looked at, the last ones; a model in a loop writes thousands
_BULLET = re.compile(r"\A[-*+•–—] +")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~|\"\"\"|''').*$", re.MULTILINE)


@lru_cache(maxsize=16)  # one reader asks several times
def own_words(text: str) -> str:
    """Return what a reply itself says: no thoughts, no quoted lines (`> `), nothing behind a question of its own.

    Agents get quoted what others said, and some repeat it: an answer that stands in a quote is not theirs. All
    of a text counts if it is all quoted. That a program failed (`failure`) is no answer, so two whose programs fail do
    not agree. A prompt of Python (`>>>`) is no quote, nor are lines that begin with `>>`
    unless they stand in a quote.
    """
    text = _FAILED.sub("", _without_quotes(without_thoughts(_PADDING.sub(" ", text))))
    questions = sorted((*_ASKED.finditer(text), *_TURN.finditer(text)), key=re.Match.start)
    if questions:
        marks = [m.start() for m in (*_lines(text), *_OTHER_MARK.finditer(text))] + [at for at, _ in _cues(text)]
        first = min(marks, default=len(text))
        if not any(
            q.re is _ASKED and q["number"] for q in questions if q.start() < first
        ):  # then they are steps of its own
            text = text[: next((q.start() for q in questions if q.start() > first), len(text))]
    return text


def failure(why: str) -> str:
    """Return the line that says of a program that it failed."""
    return f"The program does not work ({why}):"


_FAILED = re.compile(rf"^{re.escape(failure('WHY')).replace('WHY', '[^)]*')}$", re.MULTILINE)
_OTHER_MARK = re.compile(r"^[ \t]*####[ \t]*\S|\\f?boxed|</answer>", re.IGNORECASE | re.MULTILINE)


@lru_cache
def _line(words: Words) -> re.Pattern[str]:
    name = rf"(?:(?:{whole(words.dress)})[ \t,]*){{0,4}}(?:{whole(words.answer)})(?:[ \t]*(?:{whole(words.dress)}))*"
    return re.compile(
        rf"^[ \t>#*_`~\-•|]*(?:(?:the|so|thus|hence|therefore|then|here is|and),?[ \t]+)*{name}"
        r"(?:[ \t]*[#№]?[0-9]{1,2}|[ \t]+(?:to|of|for|in)\b[^:\n]{0,60}|[ \t]*\([^()\n]{0,40}\))?[ \t*_`~]*"
        r"(?:[:\uff1a|]|[\-–—](?=[ \t]))[*_`~]*(.*)$"
        rf"|^[ \t>#*_]*{name}[ \t*_#]*()$",
        re.IGNORECASE | re.MULTILINE,
    )


@lru_cache
def _cue(words: Words) -> re.Pattern[str]:
    return re.compile(
        rf"(?:{whole(words.answer)})(?:[ \t]*(?:{whole(words.dress)}))*(?P<to>[ \t]+(?:to|of|for)\b[^:.\n]{{0,80}}?)?"
        rf"[\s*_`~]*(?:[:\uff1a=]|(?P<says>{whole(words.says)})(?:[ \t]*:)?"
        r"|(?(to)(?!)|(?=[ \t]+[(*]*(?:"  # `answer 18`, but neither `answer to question 2` nor `answer 1: 18`
        rf"[0-9](?:(?!{whole(words.says)})[^:=\uff1a\n]){{0,60}}$|(?-i:[A-Z])[)*]*(?:[ \t]+है)?[.।]?[ \t]*$))))\s*",
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
    own = own_words(text)
    for mark in sorted(_marks(own), key=re.Match.start, reverse=True):
        said = _said(own, mark)
        if said:
            placeholder = re.fullmatch(r"([*_`]*)<([^<>\n]+)>\1", said)
            return placeholder[2].strip() if bare and placeholder else said
    return None


def _marks(text: str) -> Iterator[re.Match[str]]:
    tags = list(_TAG.finditer(text)) if "<" in text or "[" in text else []
    yield from tags
    if '"' in text or "'" in text:
        yield from _FIELD.finditer(text)
    for line in _lines(text):
        if not any(tag.start() <= line.start() < tag.end() for tag in tags):
            yield line


def _said(text: str, mark: re.Match[str]) -> str:
    if mark.re is _FIELD:
        return _value(text, mark.end())
    if mark.re is _TAG:
        inside = (mark["in"] or mark["square"] or "").strip()
        within = max(_lines(inside), key=re.Match.start, default=None)
        return (_said(inside, within) if within else "") or inside
    return _undressed(mark) if (mark[1] or "").strip().strip("*_`~|") else _below(text, mark)


def _undressed(line: re.Match[str]) -> str:
    """Return what a line states without the end of a dress that began before it (`**Answer: X**`, `| Answer | X |`)."""
    before, said = line[0][: line.start(1) - line.start()].lstrip(), line[1].strip()
    if before.startswith("|"):
        said = said.removesuffix("|").strip()
    for mark in ("**", "__", "`", "*", "_"):
        if before.count(mark) % 2 and said.count(mark) % 2:
            said = said.removesuffix(mark).strip()
    return said


def _below(text: str, line: re.Match[str]) -> str:
    after = text[line.end() : line.end() + _LONGEST].strip()
    fenced = _FENCE.match(after)
    if fenced:
        return _FENCE.split(after)[1].strip()
    return _BULLET.sub("", after.split("\n\n")[0]).strip()


def _value(text: str, begin: int) -> str:
    try:
        value, end = json.JSONDecoder().raw_decode(text, begin)
    except (ValueError, RecursionError):
        rest = re.match(r"'((?:[^'\\\n]|\\.)*)'|[^,}\n]*", text[begin : begin + _LONGEST])
        return "" if rest is None else (rest[1] or rest[0]).strip()
    return value.strip() if isinstance(value, str) else text[begin:end]


def after_cue(text: str) -> str | None:
    """Return what follows the last `answer is`, up to the end of its line."""
    return next((said for _, said in cues(text)), None)


def cues(text: str) -> list[tuple[int, str]]:
    """Return what follows each `answer is`, up to the end of its line, and where; the last one first.

    Empty where the answer is withdrawn later on.
    """
    found = _cues(text)
    return [] if found and found[-1][0] < withdrawn(text) else found[::-1]


def _cues(text: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    every = sorted((m for words in spoken(text, "answer") for m in _cue(words).finditer(text)), key=re.Match.start)
    for cue in every[-_MOST_CUES:]:
        rest = text[cue.end() : cue.end() + _LONGEST_SAID].split("\n", 1)[0].strip()
        if rest and not (cue["says"] and _NOTHING_STATED.match(rest)):
            found.append((cue.start(), rest))
    return found


def withdrawn(text: str) -> int:
    """Return where it is last said that there is no one answer (it depends, it cannot be determined); -1 if nowhere."""
    return max((m.start() for m in _WITHDRAWN.finditer(text)), default=-1)


def boxed(text: str) -> str | None:
    r"""Return what the last \boxed{...} or \fbox{...} with balanced braces holds; None if there is none.

    None too if it is said of it that it is not the answer. One that holds but the placeholder `answer` is none.
    """
    closing: dict[int, int] = {}
    open_: list[int] = []
    for brace in re.finditer(r"\\[{}]|[{}]", text):
        if brace[0] == "{":
            open_.append(brace.end())
        elif brace[0] == "}" and open_:
            closing[open_.pop()] = brace.start()
    boxes = [(m.end(), closing[m.end()]) for m in re.finditer(r"\\(?:f?boxed|fbox) ?\{", text) if m.end() in closing]
    boxes = [box for box in boxes if not _UNFILLED.fullmatch(text, *box)]
    if not boxes or _TURNED_DOWN.match(text, boxes[-1][1]):
        return None
    return text[slice(*boxes[-1])].strip()


_UNFILLED = re.compile(r"\s*(?:final |your )?answer\s*")
_TURNED_DOWN = re.compile(r"\}[\s$.)\\]*(?:is|are)[ \t]+(?:not\b|incorrect|wrong)")


def boxes_are_joined(text: str) -> bool:
    r"""Return whether two boxes are given as one answer (`\boxed{3} and \boxed{4}`), which is none of one value."""
    return _JOINED.search(text) is not None


_JOINED = re.compile(r"\\f?boxed ?\{[^{}\n]*(?:\{[^{}\n]*\}[^{}\n]*)*\}[$)\s\\]*(?:and|or|,|&)[$(\s\\]*\\f?boxed ?\{")
