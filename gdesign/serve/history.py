"""Past runs of a run folder: `runs.jsonl` as the page and other programs read it."""

import json
from array import array
from collections.abc import Iterator, Mapping
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

from gdesign.export.schema import design_from_json, design_to_json
from gdesign.runs.log import renewed
from gdesign.serve.protocol import ApiError, clean

RUNS = "runs.jsonl"


class History:
    """The runs of a run folder, found by the number of their line; lines that are added later are seen.

    Args:
        folder: The run folder. Folders in it that hold runs of their own, as evaluations do, are known by name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: dict[str, tuple[tuple[int, int, int], array[int]]] = {}

    def folders(self) -> list[str]:
        """Return the names of the folders that may hold runs; the run folder itself is the empty name."""
        return ["", *sorted(p.parent.name for p in self._folder.glob(f"*/{RUNS}"))]

    def page(
        self, *, folder: str, limit: int, offset: int, text: str = "", score: float | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """Return `limit` runs of one of `folders` behind the `offset` newest, newest first, and how many there are.

        Args:
            text: What the question, task, answer or phase of those that count must hold, whatever its case.
            score: What those that count must have scored; None for anything.

        Raises:
            ApiError: 404; there is no such folder.
        """
        path = self._path(folder)
        starts = self._starts(path, folder)
        total = len(starts) - 1
        if text or score is not None:
            found = [
                (n, row)
                for n, row in enumerate(map(renewed, _rows(path, total)))
                if (score is None or row["score"] == score) and (not text or _holds(row, text.casefold()))
            ][::-1]
            return [self._short(row, n) for n, row in found[offset : offset + limit]], len(found)
        numbers = range(total - 1 - offset, max(-1, total - 1 - offset - limit), -1)
        return [self._short(self._row(path, starts, n), n) for n in numbers], total

    def one(self, id: str, *, folder: str) -> dict[str, Any]:
        """Return one run with its design and turns.

        Raises:
            ApiError: 404; there is no such run.
        """
        path = self._path(folder)
        starts = self._starts(path, folder)
        if not (id.isascii() and id.isdigit() and len(id) < 12 and int(id) < len(starts) - 1):
            raise ApiError(
                404, f"There is no run {id[:40]!r}; there are {len(starts) - 1}, counted from 0.", code="no_such_run"
            )
        row = self._row(path, starts, int(id))
        design = design_from_json(row["design"])
        words = "question" in row
        turns = []
        for agent, number, answer, *rest in row["turns"]:
            text, error = rest[:2] if rest else (None, None)
            said = {"text": text, "answer": answer, "error": error}
            silent = words and not any(value is not None for value in said.values())
            who = {"role": design.agents[agent].role, "llm": design.agents[agent].llm}
            turns.append({"agent": agent, "round": number, **who, "silent": silent, **said})
        names = ("usd", "prompt_tokens", "completion_tokens", "calls", "critical_path", "seconds", "label", "seed")
        return (
            self._short(row, int(id))
            | {name: row[name] for name in names if name in row}
            | {"design": design_to_json(design), "turns": turns}
        )

    def _path(self, folder: str) -> Path:
        if folder not in self.folders():
            raise ApiError(404, f"There is no folder {folder[:80]!r} with runs.", code="no_such_folder")
        return self._folder / folder / RUNS

    def _starts(self, path: Path, folder: str) -> "array[int]":
        """Return where lines begin, and where the last whole one ends."""
        if not path.is_file():  # nothing was run yet
            return array("Q", [0])
        found = path.stat()
        state = (found.st_ino, found.st_size, found.st_mtime_ns)
        if folder not in self._lines or self._lines[folder][0] != state:
            self._lines[folder] = state, _line_starts(path)
        return self._lines[folder][1]

    def _row(self, path: Path, starts: "array[int]", number: int) -> dict[str, Any]:
        with path.open("rb") as file:
            file.seek(starts[number])
            line = json.loads(file.read(starts[number + 1] - starts[number]))
        row: dict[str, Any] = json.loads(clean(json.dumps(line, ensure_ascii=False)))
        return renewed(row)

    def _short(self, row: dict[str, Any], number: int) -> dict[str, Any]:
        names = ("phase", "task", "answer", "score", "usd", "calls")
        return {
            "id": str(number),
            "question": row.get("question"),
            "num_agents": len(row["design"]["agents"]),
            **{name: row[name] for name in names},
        }


def _rows(path: Path, num: int) -> Iterator[dict[str, Any]]:
    if num:
        with path.open("rb") as file:
            for line in islice(file, num):
                yield json.loads(clean(json.dumps(json.loads(line), ensure_ascii=False)))


def _holds(row: Mapping[str, Any], text: str) -> bool:
    return any(text in str(row[name]).casefold() for name in ("question", "task", "answer", "phase") if row.get(name))


def _line_starts(path: Path) -> "array[int]":
    with path.open("rb") as file:
        return array("Q", accumulate((len(line) for line in file if line.endswith(b"\n")), initial=0))
