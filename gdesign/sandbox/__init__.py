"""Where programs that models write are run."""

from gdesign.sandbox.isolation import STATEMENTS, Isolation
from gdesign.sandbox.process import Result
from gdesign.sandbox.run import Sandbox

__all__ = ["STATEMENTS", "Isolation", "Result", "Sandbox"]
