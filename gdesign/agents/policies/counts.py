"""How many agents give the same answer."""

from collections import Counter
from collections.abc import Sequence

from gdesign.types import Turn


def counts(turns: Sequence[Turn]) -> list[tuple[str, int]]:
    """Return the answers with how many gave each, most first, then the earliest; unreadable ones agree with nothing."""
    return Counter(turn.answer for turn in turns if turn.answer is not None).most_common()


def agreeing(turns: Sequence[Turn]) -> tuple[int, int]:
    """Return how many gave the most frequent answer, and who gave it first; 0 and 0 where none can be read."""
    found = counts(turns)
    if not found:
        return 0, 0
    answer, num = found[0]
    return num, next(turn.agent for turn in turns if turn.answer == answer)
