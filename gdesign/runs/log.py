"""`runs.jsonl`: a line for every execution, written as soon as it is known.

A line holds `phase` (`fit:train` and `fit:validation` in training, `fit:search` for what a designer asks for itself,
`fit:comparison` for what it is compared with then, else the split that is evaluated, with `:rival` or `:learned` for
what is not deployed), `step` and `weight` where there is one, `benchmark`, `task`, `seed`, `design` (as
`gdesign.export.schema` says, without what is default), `answer`, what the run was worth (`score`, `usd`,
`prompt_tokens`, `completion_tokens`, `calls`, `critical_path`, `unreadable`, `failures`, `label`), `seconds` and
`turns`: `[agent, round, answer]` for each. Outside training a turn goes on with its text and error, and
the `question` is there too. Where they are not zero: `paid_usd` (of `usd`, what was asked live), `latency` (seconds of
the slowest chain of calls; `seconds` is the time that passed here), `faults` (survived by asking again), `counted`
(turns whose tokens were counted here) and `agent_usd` (what of `usd` each agent took, to six digits). Of a policy the
`design` is what it came to, and `probability`, where it said so, how likely it held the answer to be right.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TextIO

from gdesign.errors import DataError, MissingDataError
from gdesign.export.schema import VERSION, design_to_json
from gdesign.types import Outcome, Run

WORTH = (
    "score", "usd", "prompt_tokens", "completion_tokens", "calls", "critical_path", "unreadable", "failures"
)  # fmt: skip
"""What of an outcome stands in each line."""


class RunsFile:
    """Appends a line for each run; what was written outlives Ctrl-C and a kill.

    Args:
        path: The file; it is made, with its folder, when the first line is written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: TextIO | None = None

    def append(
        self, run: Run, outcome: Outcome, *, phase: str, step: int | None = None, words: bool | None = None
    ) -> None:
        """Write one run and hand the line to the operating system.

        Args:
            words: Whether to write what each agent said, not only its answer; None for where nobody is trained.
        """
        words = not phase.startswith("fit:") if words is None else words
        line = json.dumps(self._row(run, outcome, phase, step, words), separators=(",", ":"))
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            mend_last_line(self.path)
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write(line + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file; a later `append` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _row(self, run: Run, outcome: Outcome, phase: str, step: int | None, words: bool) -> dict[str, Any]:
        turns: list[list[Any]] = []
        for t in run.turns:
            turn: list[Any] = [t.agent, t.round, t.answer]
            if words:
                turn += [None if t.reply is None else t.reply.text, t.error]
            turns.append(turn)
        row: dict[str, Any] = {"phase": phase}
        if step is not None:
            row["step"] = step
        row |= {"benchmark": run.task.benchmark, "task": run.task.id}
        if run.task.weight != 1:
            row["weight"] = run.task.weight
        if words:
            row["question"] = run.task.question
        seldom = {
            "paid_usd": outcome.paid_usd,
            "latency": outcome.seconds,
            "faults": outcome.faults,
            "counted": outcome.counted,
            "agent_usd": [float(f"{usd:.6g}") for usd in outcome.agent_usd] if any(outcome.agent_usd) else None,
        }
        return row | {
            "seed": run.seed,
            "design": design_to_json(run.design, brief=True),
            "answer": run.answer,
            **{name: getattr(outcome, name) for name in WORTH},
            "label": None if outcome.label is None else str(outcome.label),
            "seconds": round(run.seconds, 6),
            **{name: value for name, value in seldom.items() if value},
            **({} if run.probability is None else {"probability": round(run.probability, 6)}),
            "turns": turns,
        }


def mend_last_line(path: Path) -> None:
    """Cut off a last line that a kill left unfinished."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        size = end = file.seek(0, 2)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            if (at := file.read(end - start).rfind(b"\n")) >= 0:
                end = start + at + 1
                break
            end = start
        if end < size:
            file.truncate(end)


def read_runs(path: str | Path, *, phase: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the lines of a runs file, oldest first.

    A last line that a kill cut short is left out.

    Raises:
        MissingDataError: It is not there.
        DataError: A line that is not the last is no JSON object; file and line are named.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(f"{path} is not there; a run folder gets it when the first design is run")
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                if not line.endswith("\n"):
                    return
                raise DataError(f"{path}:{number}: not JSON ({error})") from error
            if phase is None or row["phase"] == phase:
                yield renewed(row)


def renewed(row: dict[str, Any]) -> dict[str, Any]:
    """Return a line with its design as lines hold it now: they once had a form of their own."""
    old = row.get("design")
    if old is None or "version" in old:
        return row
    new: dict[str, Any] = {"version": VERSION, "agents": []}
    for agent in old["agents"]:
        gate = {key: agent[key] for key in ("watch", "quorum") if key in agent}
        rest = {key: value for key, value in agent.items() if key not in gate}
        new["agents"].append({**rest, "gate": gate} if gate else rest)
    for kind in ("spatial", "temporal"):
        if kind in old:
            new[kind] = [dict(zip(("src", "dst", "rounds"), edge, strict=False)) for edge in old[kind]]
    if "num_rounds" in old:
        new["num_rounds"] = old["num_rounds"]
    decision = {"kind": old.get("decision", "last"), **{k: old[k] for k in ("weights", "judge") if k in old}}
    return {**row, "design": {**new, "decision": decision}}
