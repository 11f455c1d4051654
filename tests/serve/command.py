"""The commands that serve, each as a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GDESIGN = str(Path(sys.executable).with_name("gdesign"))


@contextmanager
def running(command: str, *options: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Start a command on a free port; yield the base_url and the process, which is stopped in the end."""
    with subprocess.Popen(
        [GDESIGN, command, "--port", "0", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("listening on "), process.stderr.read() if process.stderr else line
            yield line.removeprefix("listening on ").strip(), process
        finally:
            process.terminate()


@contextmanager
def simulating(*options: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Do so with `gdesign simulate`."""
    with running("simulate", *options) as started:
        yield started
