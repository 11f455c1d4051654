"""The checkpoint of a run folder: tensors and plain values, nothing that is run when read."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from gdesign.design.base import Designer, Searched
from gdesign.encode.adapters import Adaptable, Adapters
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import ConfigError, DataError, MissingDataError
from gdesign.runs.config import read_config

BEST = "checkpoint/best.ckpt"
LAST = "checkpoint/last.ckpt"
PREFIX = "designer."
"""What the designer's tensors are called in a training checkpoint."""
DAMAGED = (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)
"""What torch raises when it reads a damaged file: it depends on which bytes are wrong."""


def assemble(config: DictConfig) -> tuple[ProblemEncoder, Designer]:
    """Build the problem encoder and a fresh designer.

    Args:
        config: Has `pool`, `text`, `problem`, `designer` and `seed`, which draws the first parameters.

    Raises:
        ConfigError: The text encoder is to be trained, and the designer is not trained by gradient.
    """
    pool = instantiate(config.pool)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = instantiate(config.text)
    # as a partial, since Hydra would turn a dataclass among the arguments into a config
    problems = instantiate(config.problem, _partial_=True)(pool=pool, encoder=encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        designer = instantiate(config.designer, _partial_=True)(space=problems.space)
    if isinstance(encoder, Adaptable) and encoder.adapters is not None:
        _train_along(encoder.adapters, designer)
    return problems, designer


def _train_along(adapters: Adapters, designer: Designer) -> None:
    """Make the text encoder's adapters parameters of the designer, so that both are trained and kept as one."""
    name = type(designer).__name__
    if isinstance(designer, Searched) or not any(p.requires_grad for p in designer.parameters()):
        raise ConfigError(
            f"text.trainable=true trains the text encoder along with the designer, by gradient, and {name} "
            + ("keeps what it saw of past questions" if isinstance(designer, Searched) else "has no parameters")
            + "; set text.trainable=false, or choose a designer that is trained by gradient alone (gdesigner, critic)"
        )
    designer.add_module("text", adapters)


def save(designer: Designer, path: str | Path, *, seconds: float = 0.0) -> None:
    """Write a designer's tensors, in the layout of a training checkpoint."""
    state = {PREFIX + name: value for name, value in designer.state_dict().items()}
    write({"state_dict": state, "seconds": seconds}, path)


def write(content: Mapping[str, Any], path: str | Path) -> None:
    """Put a checkpoint in its place, with its folder, or leave there what was there: whatever ends the process."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    torch.save(content, unfinished)
    unfinished.replace(path)


def content(path: str | Path, *needed: str) -> dict[str, Any]:
    """Return what a checkpoint holds.

    Args:
        needed: Entries that it must have.

    Raises:
        DataError: It is no checkpoint, or was cut short.
    """
    try:
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        for key in ("state_dict", *needed):
            found[key]
    except DAMAGED as error:
        raise DataError(
            f"{path} is no checkpoint of gdesign, or was cut short; copy it again, or remove it and train again"
        ) from error
    return found


def read(path: str | Path, key: str) -> Any:
    """Return one entry of a checkpoint.

    Raises:
        DataError: It is no checkpoint, or was cut short.
    """
    return content(path, key)[key]


def restore(designer: Designer, path: str | Path) -> None:
    """Give a designer the tensors of a checkpoint.

    Raises:
        MissingDataError: It is not there.
        DataError: It is no checkpoint, or was cut short.
        ConfigError: It is of another designer or other agents.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(f"{path} is not there; gdesign train writes it after the first validation")
    state = read(path, "state_dict")
    own = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
    try:
        designer.load_state_dict(own)
    except RuntimeError as error:
        raise ConfigError(
            f"{path} does not fit the designer that the config describes; was config.yaml changed since? ({error})"
        ) from error


def load(folder: str | Path, *, trust: bool = False) -> tuple[ProblemEncoder, Designer]:
    """Return the problem encoder and the best designer of a run folder, in eval mode.

    Raises:
        MissingDataError: A file is not there.
        ConfigError: The config names something outside gdesign and is not trusted, or does not fit the checkpoint.
    """
    problems, designer = assemble(read_config(folder, trust=trust))
    restore(designer, Path(folder) / BEST)
    return problems, designer.eval()
