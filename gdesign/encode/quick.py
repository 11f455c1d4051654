"""PyTorch Geometric without the seconds that it takes to import what is not used here.

It imports torch's compiler, to ask of a model whether it was compiled, and transformers, for the type of an argument:
half of the time until a design is drawn. Torch brings its compiler itself once somebody asks for it.
"""

import sys
from types import ModuleType

import torch

_COMPILER = "torch._dynamo"
_TRANSFORMERS = "transformers"


def _import() -> None:
    away: dict[str, ModuleType | None] = {_COMPILER: ModuleType(_COMPILER), _TRANSFORMERS: None}
    away = {name: module for name, module in away.items() if name not in sys.modules}
    if not hasattr(torch, "__getattr__"):  # of a torch that does not bring its compiler when it is asked for
        away.pop(_COMPILER, None)
    before = set(sys.modules)
    sys.modules |= away  # type: ignore[arg-type]  # None: cannot be imported
    try:
        import torch_geometric.nn  # noqa: F401
    except (ImportError, AttributeError):  # a version that uses them on import: whoever imports it next gets them
        for name in [name for name in sys.modules if name.split(".")[0] == "torch_geometric" and name not in before]:
            del sys.modules[name]
    finally:
        for name in away:
            del sys.modules[name]


if "torch_geometric" not in sys.modules:
    _import()
