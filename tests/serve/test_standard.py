"""langchain-tests' standard suite, in a process of its own: its plugins would reach into every other test."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REFUSED = {
    "tool message": 2,  # likewise a message of no text
    "tool calling": 12,  # agents of a team call no tools of a client
    "tool choice": 1,
    "support PDF|support audio|support image|Anthropic inputs": 4,  # nothing but text is read
    "VCR": 1,  # measures a recording of their own
}
"""What is skipped: a pattern in its reason, and how often."""


def test_the_standard_suite_of_langchain_passes_but_for_what_is_refused_by_design():
    pytest.importorskip("langchain_tests")
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-c", "/dev/null", f"--rootdir={ROOT}", "-p", "no:cacheprovider", "-q",
            "-rs", "--import-mode=importlib", "--asyncio-mode=auto", "-o", "asyncio_default_test_loop_scope=session",
            "-o", "asyncio_default_fixture_loop_scope=session", "-o", f"pythonpath={ROOT}", "tests/serve/standard.py",
        ],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"29 passed, 20 skipped, 1 xfailed", done.stdout), done.stdout[-500:]
    skipped = Counter[str]()
    for times, reason in re.findall(r"^SKIPPED \[(\d+)\] \S+ (.*)$", done.stdout, re.MULTILINE):
        (why,) = [pattern for pattern in REFUSED if re.search(pattern, reason)][:1] or [reason]
        skipped[why] += int(times)
    assert skipped == REFUSED
