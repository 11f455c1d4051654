"""What training looked like: validations over steps and over executed runs, for the seeds of a method."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gdesign.report.tables import Group
from gdesign.runs.metrics import read_metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The validations of one training.

    Attributes:
        steps: Steps taken before each validation.
        runs: Runs executed by then, validation included; empty where metrics.csv does not tell.
        utility: Of each validation.
    """

    steps: tuple[int, ...]
    runs: tuple[float, ...]
    utility: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """The trainings of one method; a curve a seed."""

    method: str
    task: str
    label: str
    usd_weight: float
    curves: tuple[Curve, ...]


def learning(groups: Sequence[Group]) -> list[Learning]:
    """Return the trainings of each method that was trained in a folder of the group."""
    found = []
    for g in groups:
        paths = [path for e in g.members if (path := e.folder / "metrics.csv").is_file()]
        curves = tuple(curve for curve in map(read_curve, paths) if curve.steps)
        if curves:
            found.append(Learning(method=g.method, task=g.task, label=g.label, usd_weight=g.usd_weight, curves=curves))
    return found


def validations(path: Path) -> list[dict[str, str]]:
    """Return the rows of a metrics.csv that are validations; one that a kill cut short is left out."""
    return [row for row in read_metrics(path) if row["val/utility"] and all(cell is not None for cell in row.values())]


def read_curve(path: Path) -> Curve:
    """Return the validations of a metrics.csv."""
    rows = validations(path)
    runs = [float(row["runs"]) for row in rows if row.get("runs")]
    return Curve(
        steps=tuple(int(row["step"]) + 1 for row in rows),
        runs=tuple(runs) if len(runs) == len(rows) else (),  # earlier versions did not count them
        utility=tuple(float(row["val/utility"]) for row in rows),
    )
