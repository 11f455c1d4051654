"""`report.md` of a run folder."""

from pathlib import Path


def write_page(folder: Path) -> Path:
    """Write `report.md` and its pictures; return its path."""
    path = folder / "report.md"
    return path
