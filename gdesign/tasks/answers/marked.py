"""Where in a reply the answer stands: outside quotes, behind the last mark."""

import re

from gdesign.tasks.answers.thoughts import without_thoughts as without_thoughts

_LINE = re.compile(
    r"^[ \t>#*_`~\-•]*(?:(?:the|my|so|thus|therefore),?[ \t]+)*(?:(?:final|correct)[ \t]+)?"
    r"answer[ \t*_`~]*[:\uff1a][*_`~]*(.*)$",
    re.IGNORECASE | re.MULTILINE,
)
_CUE = re.compile(r"\banswer[\s*_`~]*(?:is|:|\uff1a|=|would be|must be)(?:\s*:)?", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)
_QUOTED = re.compile(r"^[ \t]*>(?!>>).*\n?", re.MULTILINE)


def own_words(text: str) -> str:
    """Return a text without thoughts (`without_thoughts`) and quoted lines (`> `); all said if it is all quoted.

    Agents get quoted what others said, and some repeat it: an answer that stands in a quote is not
    theirs. A prompt of Python (`>>>`) is no quote.
    """
    text = without_thoughts(text)
    if ">" not in text:
        return text
    own = _QUOTED.sub("", text)
    return own if own.strip() else text


def stated(text: str) -> str | None:
    """Return what the last line `Answer: X` states; what follows the line if it states nothing itself.

    Marks of Markdown around `Answer` do not matter. None if there is no such line.
    """
    text = own_words(text)
    *_, last = (None, *_LINE.finditer(text))
    if last is None:
        return None
    if last[1].strip().strip("*_`~"):
        return last[1].strip()
    after = text[last.end() :].strip()
    fenced = _FENCE.match(after)
    if fenced:
        return _FENCE.split(after)[1].strip()
    return after.split("\n\n")[0].strip()


def after_cue(text: str) -> str | None:
    """Return what follows the last `answer is`, up to the end of its line."""
    *_, last = (None, *_CUE.finditer(text))
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
