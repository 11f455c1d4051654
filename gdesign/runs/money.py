"""What a config lets be spent, and what a training did cost."""

from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from gdesign.errors import ConfigError
from gdesign.execute.limits import Limits
from gdesign.llm.cost import Allowance
from gdesign.llm.options import BASE_URL
from gdesign.runs import checkpoint
from gdesign.runs.config import live_clients
from gdesign.runs.log import read_runs, with_repeats
from gdesign.types import AgentPool

MOST = ("max_waves", "max_agents")
"""How often a policy may ask, and how many agents."""
LIMITS = ("question", "agent", "longest_reply", *MOST)
"""What `limits` of a config may hold."""
AMOUNTS = ("usd", "tokens", "calls")
COMPARISON = "fit:comparison"
"""The phase of runs that are made to compare a learned designer with others."""
FINALISTS, SEEN = 4, 2
"""How many single agents, and how many designs seen in training, answer the validation questions for that."""
MOST_QUESTIONS = 400
CALIBRATED, OTHER_PRICES = 60, (0.1, 0.3, 3.0, 10.0)
"""On so many validation questions a designer that expects something shows what comes of it at other prices of cost too,
each so many times that of the training."""
"""How many validation questions they answer."""
MOST_RUNS = 3000
SHARE = 0.1
"""How many runs, as a share of those of the training, pick the finalists among many agents, unless each needs one."""
NOTHING_SPENT: Mapping[str, int | float] = {"runs": 0, "calls": 0, "usd": 0.0, "paid_usd": 0.0, "seconds": 0.0}
"""What training cost where there was none."""


def limits_of(config: DictConfig) -> Limits | None:
    """Return the limits on a question and on an agent that a config names; None if it names none.

    Args:
        config: May have `limits`; `llm.max_tokens` is the longest reply unless `limits.longest_reply` says another.

    Raises:
        ConfigError: An entry is unknown or of another kind.
    """
    found = _entries(config.get("limits"), "limits", kind="entry", known=LIMITS)
    limits: dict[str, Any] = {}
    for name in ("question", "agent"):
        example = f", such as limits.{name}.usd=0.01"
        given = _entries(found.get(name), f"limits.{name}", kind="limit", known=AMOUNTS, example=example)
        if amounts := {key: value for key, value in given.items() if value is not None}:
            limits[name] = Allowance(**amounts)
    if not isinstance(found.get("longest_reply"), int | None):
        raise ConfigError(f"limits.longest_reply is {found.get('longest_reply')!r}; expected a whole number")
    for name in MOST:
        if not isinstance(number := found.get(name), int | None):
            raise ConfigError(f"limits.{name} is {number!r}; expected a whole number")
        if number is not None:
            limits[name] = number
    if not limits:
        return None
    longest = found.get("longest_reply")
    return Limits(**limits, longest_reply=config.llm.get("max_tokens") if longest is None else longest)


def _entries(node: Any, name: str, *, kind: str, known: Sequence[str], example: str = "") -> Mapping[Any, Any]:
    found = node or {}
    if not isinstance(found, Mapping):
        raise ConfigError(f"{name} is {found!r}; expected a mapping with any of {', '.join(known)}{example}")
    if unknown := [key for key in found if key not in known]:
        raise ConfigError(f"{name} has the {kind} {unknown[0]!r}; expected any of {', '.join(known)}")
    return found


def endpoints(llm: DictConfig, pool: AgentPool) -> list[str]:
    """Return the URLs that a config's client would ask; none if its answers are recorded or simulated."""
    urls: dict[str, None] = {}
    for node in live_clients(llm):
        urls |= dict.fromkeys(m.base_url or str(node.get("base_url", BASE_URL)) for m in pool.llms)
    return list(urls)


def comparison_runs(*, training: int, candidates: int, validation: int) -> int:
    """Return the most runs that comparing a learned designer may take, where nothing is known beforehand.

    Args:
        training: How many runs the training made.
        candidates: How many agents there are.
        validation: How many runs each finalist takes.
    """
    singles = min(FINALISTS, candidates)
    least = (singles + SEEN) * validation + (2 * candidates if candidates > FINALISTS else 0)
    return max(least, min(MOST_RUNS, round(SHARE * training)) if candidates > FINALISTS else 0)


def spent(folder: Path) -> dict[str, int | float]:
    """Return what training cost, as docs/metrics.md says of `training`; faults only where there were some.

    What a stopped or repeated training did again counts once, with the seconds that it took the first time; of
    `paid_usd` all is told.
    """
    total: dict[str, int | float] = dict(NOTHING_SPENT)
    path = folder / "runs.jsonl"
    once: list[dict[str, Any]] = []
    paid_again = saved = 0.0
    for row, before in with_repeats(read_runs(path)) if path.is_file() else ():
        if not row["phase"].startswith("fit:") or row["phase"] == COMPARISON:
            continue
        if before is None:
            once.append(row)
        else:
            paid_again += bill([row])["paid_usd"]
            saved += before - row.get("took", 0.0)
    if once:
        total |= bill(once)
        total["paid_usd"] += paid_again
    written = [folder / name for name in (checkpoint.LAST, checkpoint.BEST) if (folder / name).is_file()]
    if written:
        total["seconds"] = checkpoint.read(written[0], "seconds") + saved
    return total


def bill(rows: Iterable[Mapping[str, Any]]) -> dict[str, int | float]:
    """Return runs, calls, usd and paid_usd of some lines of a runs file, and faults where there were some."""
    rows = list(rows)
    # earlier versions did not write what was paid; what is live was
    paid = (row.get("paid_usd", row["usd"] if row["label"] == "live" else 0.0) for row in rows)
    calls, usd = sum(row["calls"] for row in rows), fsum(row["usd"] for row in rows)  # exact in any order
    faults = sum(row.get("faults", 0) for row in rows)
    total = {"runs": len(rows), "calls": calls, "usd": usd, "paid_usd": fsum(paid)}
    return total | ({"faults": faults} if faults else {})
