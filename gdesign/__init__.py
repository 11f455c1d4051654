"""gdesign learns, per question, which team of LLM agents should answer it.

`gdesign.load("runs/a")` returns a trained designer. The other public values are in `gdesign.types`, and
`gdesign.execute.run` runs a design; neither needs a machine-learning stack, so `load` is looked up when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gdesign.api import Answer, Model, Proposal, load

__version__ = "0.1.0"
__all__ = ["Answer", "Model", "Proposal", "load"]


def __getattr__(name: str) -> object:
    """Return a public name."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("gdesign.api"), name)
