"""`gdesign report`: compare run folders in a table and pictures."""

import os
from argparse import Namespace
from pathlib import Path

from gdesign.cli.talk import say
from gdesign.report.page import write_overview


def run(options: Namespace) -> None:
    """Write the report and print it."""
    out = options.out or Path(os.path.commonpath([folder.resolve() for folder in options.folders]))
    path = write_overview(options.folders, out, baseline=options.baseline)
    say(path.read_text(encoding="utf-8"))
    say(f"written to {path}")
