"""What an `eval.json` says of how a learned designer stands beside other designs, in words."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Kind = Literal["single", "seen"]
SAID: Mapping[Kind, str] = {"single": "the best single agent", "seen": "the best design seen in training"}


def said(comparison: Mapping[str, Any]) -> str:
    """Return the `comparison` of an `eval.json` in a few words, for the line that ends a command."""
    words = []
    for kind, name in SAID.items():
        for where, on in (("evaluated", ""), ("validation", " on validation")):
            if (rival := comparison[where].get(kind)) is not None:
                words.append(f"{apart(rival['difference'], rival['interval'])} than {name}{on}")
                break
    deployed = comparison["deployed"]
    ended = "" if deployed == "learned" else f"; {SAID[deployed]} is deployed in its place"
    return f"the learned designer is {', '.join(words)}{ended}"


def apart(difference: float, interval: Sequence[float]) -> str:
    """Return by how much something is better or worse, and the interval of that."""
    low, high = interval
    if difference < 0:
        return f"{-difference:.4f} worse ({0.0 - high:.4f} to {0.0 - low:.4f})"
    return f"{difference:.4f} better ({low:.4f} to {high:.4f})"
