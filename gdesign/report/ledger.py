"""What runs.jsonl says of a run folder besides its means: where the money went, and what failed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gdesign.runs.log import read_runs

Row = Mapping[str, Any]
Stage = Literal["training", "evaluation"]


@dataclass(slots=True)
class Sum:
    """What some runs took and were worth.

    Attributes:
        runs: How many.
        weight: Of all their questions.
        score: By weight, summed.
        calls: That got a reply.
        usd: Of all calls.
        paid_usd: What of it was asked live.
        prompt_tokens: Of all calls.
        completion_tokens: Of all calls.
        unreadable: Runs whose decided answer could not be parsed.
        failures: Calls that failed.
        faults: Survived by asking again.
    """

    runs: int = 0
    weight: float = 0.0
    score: float = 0.0
    calls: int = 0
    usd: float = 0.0
    paid_usd: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unreadable: int = 0
    failures: int = 0
    faults: int = 0

    def add(self, row: Row) -> None:
        """Add a line of runs.jsonl."""
        weight = row.get("weight", 1.0)
        self.runs += 1
        self.weight += weight
        self.score += weight * row["score"]
        self.calls += row["calls"]
        self.usd += row["usd"]
        self.paid_usd += row.get("paid_usd", row["usd"] if row["label"] == "live" else 0.0)
        self.prompt_tokens += row["prompt_tokens"]
        self.completion_tokens += row["completion_tokens"]
        self.unreadable += row["unreadable"]
        self.failures += row["failures"]
        self.faults += row.get("faults", 0)

    @property
    def mean_score(self) -> float:
        """The mean score, by weight."""
        return self.score / self.weight


@dataclass(slots=True)
class Ledger:
    """What the lines of a runs.jsonl sum up to.

    Attributes:
        phases: Sums by phase.
        by_llm: USD by stage and LLM.
        by_role: USD by stage and role.
        untold: USD by stage of lines that do not say which agent took them, as earlier versions wrote.
        latest: Of the evaluated split, the last line of each run, by benchmark, task and seed.
    """

    phases: dict[str, Sum] = field(default_factory=dict)
    by_llm: dict[Stage, Counter[str]] = field(default_factory=dict)
    by_role: dict[Stage, Counter[str]] = field(default_factory=dict)
    untold: Counter[Stage] = field(default_factory=Counter)
    latest: dict[tuple[str, str, int], Row] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Add a line of runs.jsonl."""
        self.phases.setdefault(row["phase"], Sum()).add(row)
        stage: Stage = "training" if row["phase"].startswith("fit:") else "evaluation"
        if row["usd"] and "agent_usd" not in row:
            self.untold[stage] += row["usd"]
        for agent, usd in zip(row["design"]["agents"], row.get("agent_usd", ()), strict=False):
            self.by_llm.setdefault(stage, Counter())[agent["llm"]] += usd
            self.by_role.setdefault(stage, Counter())[agent["role"]] += usd

    def benchmarks(self) -> dict[str, Sum]:
        """Return sums of the evaluated runs, by benchmark."""
        found: dict[str, Sum] = {}
        for (benchmark, _, _), row in sorted(self.latest.items()):
            found.setdefault(benchmark, Sum()).add(row)
        return found

    def errors(self) -> Counter[str]:
        """Return why calls of the evaluated runs failed, and how often."""
        return Counter(turn[4] for row in self.latest.values() for turn in row["turns"] if len(turn) > 4 and turn[4])


def read_ledger(folder: Path, *, split: str | None, num_samples: int = 1) -> Ledger:
    """Return what the runs.jsonl of a run folder sums up to; nothing where there is none.

    Args:
        folder: The run folder.
        split: The phase of the evaluation; None if there is none.
        num_samples: How often each question was evaluated; later seeds are left over from another evaluation.
    """
    found = Ledger()
    if not (folder / "runs.jsonl").is_file():
        return found
    for row in read_runs(folder / "runs.jsonl"):
        found.add(row)
        if row["phase"] == split and row["seed"] < num_samples:
            found.latest[row["benchmark"], row["task"], row["seed"]] = row
    return found
