"""What runs.jsonl says of a run folder besides its means: where the money went, and what failed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gdesign.runs.log import read_runs, with_repeats

Line = Mapping[str, Any]
Stage = Literal["training", "evaluation"]
STAGES: tuple[Stage, ...] = ("training", "evaluation")


@dataclass(slots=True)
class Tally:
    """What the lines of a runs.jsonl sum up to.

    Attributes:
        phases: `amounts` of all runs, summed by phase.
        usd: USD by stage, `LLM` or `role`, and its name.
        untold: USD by stage of lines that do not say which agent took them, as earlier versions wrote.
        latest: Of the evaluated split, the last line of each run, by benchmark, task and seed.
    """

    phases: dict[str, Counter[str]] = field(default_factory=dict)
    usd: Counter[tuple[Stage, str, str]] = field(default_factory=Counter)
    untold: Counter[Stage] = field(default_factory=Counter)
    latest: dict[tuple[str, str, int], Line] = field(default_factory=dict)

    def add(self, line: Line) -> None:
        """Add a line of runs.jsonl."""
        self.phases.setdefault(line["phase"], Counter()).update(amounts(line))
        stage = STAGES[not line["phase"].startswith("fit:")]
        if line["usd"] and "agent_usd" not in line:
            self.untold[stage] += line["usd"]
        for agent, usd in zip(line["design"]["agents"], line.get("agent_usd", ()), strict=False):
            self.usd[stage, "LLM", agent["llm"]] += usd
            self.usd[stage, "role", agent["role"]] += usd

    def benchmarks(self) -> dict[str, Counter[str]]:
        """Return `amounts` of the evaluated runs, summed by benchmark."""
        found: dict[str, Counter[str]] = {}
        for (benchmark, _, _), line in sorted(self.latest.items()):
            found.setdefault(benchmark, Counter()).update(amounts(line))
        return found

    def errors(self) -> Counter[str]:
        """Return why calls of the evaluated runs failed, and how often."""
        return Counter(turn[4] for line in self.latest.values() for turn in line["turns"] if len(turn) > 4 and turn[4])


def amounts(line: Line) -> dict[str, Any]:
    """Return what a run took and was worth, to be summed; its score counts by its question's weight."""
    weight = line.get("weight", 1.0)
    paid = line.get("paid_usd", line["usd"] if line["label"] == "live" else 0.0)
    names = ("calls", "usd", "prompt_tokens", "completion_tokens", "unreadable", "failures")
    found = {name: line[name] for name in names} | {"paid_usd": paid, "faults": line.get("faults", 0)}
    return found | {"runs": 1, "weight": weight, "score": weight * line["score"]}


def read_tally(folder: Path, *, split: str | None, num_samples: int = 1) -> Tally:
    """Return what the runs.jsonl of a run folder sums up to; nothing where there is none.

    What a stopped or repeated command did again counts once.

    `latest` holds the first `num_samples` seeds of the split; later ones are left over from another evaluation.
    """
    found = Tally()
    if not (folder / "runs.jsonl").is_file():
        return found
    for line, before in with_repeats(read_runs(folder / "runs.jsonl")):
        if before is None:
            found.add(line)
        if line["phase"] == split and line["seed"] < num_samples:
            found.latest[line["benchmark"], line["task"], line["seed"]] = line
    return found
