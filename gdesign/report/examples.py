"""Which designs to show of an evaluation: those for easy and for hard questions."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from gdesign.export.schema import design_from_json
from gdesign.tasks.synthetic import read
from gdesign.types import Design


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One run, and what it is an example of.

    Attributes:
        title: What it stands for.
        design: What was run.
        line: The line of runs.jsonl.
    """

    title: str
    design: Design
    line: Mapping[str, Any]

    @property
    def question(self) -> str:
        """The question, on one line; the task's name where its words were not written down."""
        return " ".join(self.line.get("question", self.line["task"]).split())


def examples(rows: Sequence[Mapping[str, Any]]) -> list[Example]:
    """Return the most frequent design of easy and of hard questions, each with its first such question.

    Where the questions do not tell how hard they are: the most frequent, the cheapest and the dearest design.
    """
    groups = by_difficulty(rows)
    found = []
    for name, members in groups.items():
        counts = Counter(map(_key, members))
        # of equally frequent designs the largest team, which shows most
        key = max(counts, key=lambda key: (counts[key], len(key)))
        found.append(_example(f"{counts[key]} of {len(members)} {name}", key, members))
    if list(groups) == ["questions"]:
        usd: dict[str, list[float]] = {}
        for row in rows:
            usd.setdefault(_key(row), []).append(row["usd"])
        order = sorted(usd, key=lambda key: (mean(usd[key]), key))
        for key, word in ((order[0], "cheapest"), (order[-1], "dearest")):
            if all(_key(e.line) != key for e in found):
                price = f"{1000 * mean(usd[key]):.4f} USD per 1,000 questions"
                title = f"The {word} design, of {len(usd[key])} of {len(rows)} questions: {price}"
                found.append(_example(title, key, rows))
    return found


def by_difficulty(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return easy and hard questions apart where their text tells, else all together."""
    if not rows or any(row["benchmark"] != "synthetic" or "question" not in row for row in rows):
        return {"questions": list(rows)} if rows else {}
    groups: dict[str, list[Mapping[str, Any]]] = {"easy questions": [], "hard questions": []}
    for row in rows:
        if (name := f"{read(row['question']).difficulty} questions") in groups:
            groups[name].append(row)
    return {name: found for name, found in groups.items() if found}


def _key(row: Mapping[str, Any]) -> str:
    return json.dumps(row["design"])


def _example(title: str, key: str, rows: Sequence[Mapping[str, Any]]) -> Example:
    row = next(row for row in rows if _key(row) == key)
    return Example(title=title, design=design_from_json(row["design"]), line=row)
