"""`gdesign sandbox`: say what keeps programs in that models write."""

from argparse import Namespace
from statistics import median

from gdesign.cli.talk import say
from gdesign.sandbox import STATEMENTS, Sandbox


def run(options: Namespace) -> None:
    """Print the sandbox in force, its limits, and how long an empty program takes."""
    sandbox = Sandbox()
    say(f"in force: {STATEMENTS[sandbox.isolation]}")
    for name, value in sandbox.limits.items():
        say(f"{name:16} {value:>14,}")
    seconds = median(sandbox.run("pass").seconds for _ in range(10))
    say(f"an empty program takes {1000 * seconds:.0f} ms")
