"""Answers that are compared as texts."""

from gdesign.tasks.answers.marked import own_words, stated


def exact(text: str) -> str | None:
    """Return the stated answer, else the whole text, with case and white space folded and dress removed."""
    text = own_words(text)
    words = stated(text)
    words = " ".join((text if words is None else words).split()).casefold()
    for _ in range(2):
        words = words.strip("*_`~\"'“”").removesuffix(".").strip()
    return words or None
