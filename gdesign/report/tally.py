"""What runs.jsonl says of a run folder besides its means: where the money went, and what failed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gdesign.runs.log import read_runs

Line = Mapping[str, Any]
Stage = Literal["training", "evaluation"]
STAGES: tuple[Stage, ...] = ("training", "evaluation")
SUMMED = ("calls", "usd", "prompt_tokens", "completion_tokens", "unreadable", "failures")


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

    def add(self, line: Line) -> None:
        """Add a line of runs.jsonl."""
        weight = line.get("weight", 1.0)
        self.runs += 1
        self.weight += weight
        self.score += weight * line["score"]
        self.paid_usd += line.get("paid_usd", line["usd"] if line["label"] == "live" else 0.0)
        self.faults += line.get("faults", 0)
        for name in SUMMED:
            setattr(self, name, getattr(self, name) + line[name])

    @property
    def mean_score(self) -> float:
        """The mean score, by weight."""
        return self.score / self.weight


@dataclass(slots=True)
class Tally:
    """What the lines of a runs.jsonl sum up to.

    Attributes:
        phases: Sums by phase.
        usd: USD by stage, `LLM` or `role`, and its name.
        untold: USD by stage of lines that do not say which agent took them, as earlier versions wrote.
        latest: Of the evaluated split, the last line of each run, by benchmark, task and seed.
    """

    phases: dict[str, Sum] = field(default_factory=dict)
    usd: Counter[tuple[Stage, str, str]] = field(default_factory=Counter)
    untold: Counter[Stage] = field(default_factory=Counter)
    latest: dict[tuple[str, str, int], Line] = field(default_factory=dict)

    def add(self, line: Line) -> None:
        """Add a line of runs.jsonl."""
        self.phases.setdefault(line["phase"], Sum()).add(line)
        stage = STAGES[not line["phase"].startswith("fit:")]
        if line["usd"] and "agent_usd" not in line:
            self.untold[stage] += line["usd"]
        for agent, usd in zip(line["design"]["agents"], line.get("agent_usd", ()), strict=False):
            self.usd[stage, "LLM", agent["llm"]] += usd
            self.usd[stage, "role", agent["role"]] += usd

    def benchmarks(self) -> dict[str, Sum]:
        """Return sums of the evaluated runs, by benchmark."""
        found: dict[str, Sum] = {}
        for (benchmark, _, _), line in sorted(self.latest.items()):
            found.setdefault(benchmark, Sum()).add(line)
        return found

    def errors(self) -> Counter[str]:
        """Return why calls of the evaluated runs failed, and how often."""
        return Counter(turn[4] for line in self.latest.values() for turn in line["turns"] if len(turn) > 4 and turn[4])


def read_tally(folder: Path, *, split: str | None, num_samples: int = 1) -> Tally:
    """Return what the runs.jsonl of a run folder sums up to; nothing where there is none.

    Args:
        folder: The run folder.
        split: The phase of the evaluation; None if there is none.
        num_samples: How often each question was evaluated; later seeds are left over from another evaluation.
    """
    found = Tally()
    if not (folder / "runs.jsonl").is_file():
        return found
    for line in read_runs(folder / "runs.jsonl"):
        found.add(line)
        if line["phase"] == split and line["seed"] < num_samples:
            found.latest[line["benchmark"], line["task"], line["seed"]] = line
    return found
