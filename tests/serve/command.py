"""The command `gdesign simulate` as a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GDESIGN = str(Path(sys.executable).with_name("gdesign"))


@contextmanager
def simulating(*options: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Start the command on a free port; yield the base_url and the process, which is stopped in the end."""
    with subprocess.Popen(
        [GDESIGN, "simulate", "--port", "0", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("listening on "), process.stderr.read() if process.stderr else line
            yield line.removeprefix("listening on ").strip(), process
        finally:
            process.terminate()
