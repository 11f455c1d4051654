# ruff: noqa: RUF001 (other scripts and their punctuation are meant)
"""Answers that are compared as texts."""

import re
import unicodedata

from gdesign.tasks.answers.marked import boxed, cues, own_words, stated

_PAIRS = (
    ("**", "**"),
    ("*", "*"),
    ("`", "`"),
    ("~~", "~~"),
    ('"', '"'),
    ("'", "'"),
    ("“", "”"),
    ("‘", "’"),
    ("$", "$"),
)
_DRESS = (*_PAIRS, ("__", "__"), ("_", "_"), ("<", ">"), ("[", "]"), ("(", ")"), ("{", "}"), ("\\(", "\\)"))
_MARKS = ".!。！"
_APOSTROPHES = {ord("\u02bc"): "'"}
_LATEX = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|mbox)\s*\{([^{}]*)\}")


def exact(text: str, *, sentence: bool = True) -> str | None:
    r"""Return the answer of a text, with case and white space folded and dress removed.

    Reads, first that is there: what is stated (see `marked`), boxed, `the answer is X` up to the end of its sentence,
    what one sentence that is the whole text says of its subject (`The capital of Peru is Lima.`), the whole text. Dress
    is what stands in pairs around all of it (Markdown, quotes, `$`), LaTeX's `\text`, and a full stop. Marks without a
    partner belong to the answer: `A*` is not `A`. What may be dress or not stays on, and `same_text` tries both:
    brackets, underscores (`__init__`), an exclamation mark.

    Args:
        text: What was written.
        sentence: Whether a sentence is read as what it says, which a reference is not.
    """
    text = unicodedata.normalize("NFC", own_words(text)).translate(_APOSTROPHES)
    words = stated(text, bare=False)
    if words is None:
        words = boxed(text)
    if words is None:
        words = next((_first_sentence(said) for _, said in cues(text)), None)
    if words is None:
        words = _said_of_subject(text) if sentence else None
    if words is None:
        words = text
    inner = boxed(words)
    words = _LATEX.sub(r"\1", words if inner is None else inner).replace("\\ ", " ")
    words = re.sub(r"(?<=\w)\u2019(?=\w)", "'", words)
    words = _bare(" ".join(words.split()).casefold(), _PAIRS, ".。")
    return words or None


def is_sentence(text: str) -> bool:
    """Return whether `exact` would read a text, as the sentence that it may be, as less than all of it."""
    text = f"{text[:1].upper()}{text[1:].removesuffix('.')}."
    return exact(text) != exact(text, sentence=False)


def _first_sentence(said: str) -> str:
    """Return what is said up to a full stop that ends no initial and no title (`J. K. Rowling`, `Dr. No`)."""
    for stop in _STOP.finditer(said):
        if not _SHORTENED.search(said, max(stop.start() - 6, 0), stop.start()):
            return said[: stop.start()]
    return said


def _said_of_subject(text: str) -> str | None:
    """Return what one sentence says of its subject, behind its last `is`; None where the text is none or denies it."""
    said = _SENTENCE.fullmatch(text.strip())
    if said is None or _first_sentence(said[0]) != said[0] or _DENIES.search(said[0], 0, said.start("of")):
        return None
    return said["of"]


_DENIES = re.compile(
    r"\b(?:no(?!,)|not|none|nobody|nothing|neither|nor|never|hardly|cannot|if|unless|whether"
    r"|false|untrue|wrong|incorrect|unlikely|impossible|doubt\w*|den(?:y|ies)|disagree\w*)\b|n['\u2019]t\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"(?=[^\W\d_a-z])[^\n?:]{2,150}\b(?:is|are|was|were)[ ]+"
    r"(?!(?:not|no|never|un\w+|that|because|what|which|whether|when|where|how|why|as|in|on|at|of|to|for|from|by)\b)"
    r"(?P<of>(?:(?!\b(?:is|are|was|were)\b)[^\n?:;]){1,80})\."
)
_STOP = re.compile(r"(?<=[\w*_`\"'”’)\]])[.!](?=\s)|(?:です|である)?[。！]")
_SHORTENED = re.compile(
    r"(?:^|[\s.(*_])(?:[^\W\d_]|(?:Dr|St|Mr|Ms|Mrs|Jr|Sr|Mt|Ft|Lt|Sgt|Gen|Col|Capt|Prof|Rev|Gov|Sen|No|vs))\Z"
)


def same_text(reference: str, answer: str) -> bool:
    """Return whether an answer is a reference, both as `exact` reads them, with or without what may be its dress."""
    tried = {answer}
    while answer not in ("", reference):
        shorter = _once(answer, _DRESS, _MARKS)
        if shorter in tried:
            return False
        tried.add(shorter)
        answer = shorter
    return answer == reference


def _bare(words: str, pairs: tuple[tuple[str, str], ...], marks: str) -> str:
    while (shorter := _once(words, pairs, marks)) != words:
        words = shorter
    return words


def _once(words: str, pairs: tuple[tuple[str, str], ...], marks: str) -> str:
    """Return a text without one pair around it, or without a mark at its end; as it is where there is neither."""
    for left, right in pairs:
        inner = words[len(left) : len(words) - len(right)]
        if inner and words.startswith(left) and words.endswith(right) and left not in inner and right not in inner:
            return inner.strip()
    if words[-1:] in tuple(marks) and len(words) > 1:
        return words[:-1].strip()
    return words
