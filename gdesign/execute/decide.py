"""Who decides, and how the last words of a design's agents become one answer."""

from collections.abc import Sequence

from gdesign.types import Decision, Turn


def decide(decision: Decision, last_words: Sequence[Turn | None]) -> Turn | None:
    """Return the turn that holds the decided answer, the earliest agent's where several hold it.

    An unreadable answer (None) agrees with nothing and casts no vote; where no answer is readable,
    a vote falls to the earliest agent that spoke. An agent of weight 0 takes no part in a weighted vote.

    Args:
        last_words: By agent, its latest turn with a reply; None if it never spoke.

    Returns:
        The deciding turn; None if nobody entitled to decide spoke.
    """
    spoken = [t for t in last_words if t is not None]
    if not spoken:
        return None
    if decision.kind == "last":
        return spoken[-1]
    if decision.kind == "judge":
        assert decision.judge is not None
        return last_words[decision.judge]
    weights = decision.weights or (1.0,) * len(last_words)
    voters = [t for t in spoken if weights[t.agent] != 0]
    votes: dict[str, float] = {}
    for turn in voters:
        if turn.answer is not None:
            votes[turn.answer] = votes.get(turn.answer, 0.0) + weights[turn.agent]
    if not votes:
        return voters[0] if voters else None
    winner = max(votes, key=votes.__getitem__)  # ties: dicts keep the order in which agents first gave an answer
    return next(t for t in voters if t.answer == winner)
