"""`metrics.csv`: one row a log, appended at once, so that nothing is lost and a resumed run goes on below."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

COLUMNS = (
    "step",
    "epoch",
    "runs",
    "train/loss",
    "train/utility",
    "train/score",
    "train/usd",
    "train/entropy",
    "val/utility",
    "val/score",
    "val/usd",
)
"""A validation names the runs executed by then, its own included. USD are per 1,000 questions; training numbers are
means over the designs drawn since the row before."""


class MetricsFile(Logger):
    """Writes metrics as CSV.

    Lightning's own CSV logger deletes the file that it finds; this one goes on with it.

    Args:
        keep_steps: How many steps of a file found there stand; rows beyond were of work that was lost.
    """

    def __init__(self, path: Path, *, keep_steps: int = 0) -> None:
        super().__init__()
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = []
        if keep_steps and path.is_file():
            kept = [row for row in read_metrics(path) if int(row["step"]) < keep_steps]
        unfinished = path.with_name(f".{path.name}")
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=COLUMNS)
            writer.writeheader()
            writer.writerows(kept)
        unfinished.replace(path)  # a kill leaves the old rows or the new ones

    @property
    def name(self) -> str:
        """Return the file's name."""
        return self._path.name

    @property
    def version(self) -> str:
        """Return nothing: a run folder holds one run."""
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Write nothing: the run folder holds the config."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one row."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, fieldnames=COLUMNS).writerow({"step": step, **metrics})


def read_metrics(path: Path) -> list[dict[str, str]]:
    """Return the rows of a metrics file; what was not logged is an empty text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
