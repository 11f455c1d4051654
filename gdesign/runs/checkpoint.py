"""Designers built from a config, and read back from a run folder.

A run folder holds `config.yaml` (data, not code: building from it makes only things of gdesign,
unless it is trusted) and `checkpoint/best.ckpt` (tensors and plain values, nothing that is run when read).
"""

import pickle
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
import yaml
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch_geometric.nn import MessagePassing

from gdesign.design.base import Designer
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import ConfigError, DataError, MissingDataError
from gdesign.llm.options import BASE_URL, is_loopback, variable_of

CONFIG = "config.yaml"
BEST = "checkpoint/best.ckpt"
LAST = "checkpoint/last.ckpt"
PREFIX = "designer."
"""What the designer's tensors are called in a training checkpoint."""
BUILDERS = ("gdesign.cli", "gdesign.runs.checkpoint")
"""What builds from configs itself, and so could be told to trust another one."""
CONVOLUTIONS = "torch_geometric.nn."
"""Where the convolutions of graph encoders come from; they read what they are called with and nothing else."""
LIVE = ("gdesign.llm.live", "gdesign.llm.openai")
"""What sends questions to another machine."""
DAMAGED = (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)
"""What torch raises when it reads a damaged file: it depends on which bytes are wrong."""
HARMLESS = re.compile(r"\$\{(?:[\w.\[\]]+|oc\.env:(?:HOME|XDG_CACHE_HOME)(?:,[^${}]*)?)\}")
"""Interpolations that give a value of the same config or, as configs/text does, a folder for caches; any other
variable may hold a secret."""


def assemble(config: DictConfig) -> tuple[ProblemEncoder, Designer]:
    """Build the problem encoder and a fresh designer.

    Args:
        config: Has `pool`, `encoder`, `problem`, `designer` and `seed`, which draws the first parameters.
    """
    pool = instantiate(config.pool)
    # as a partial, since Hydra would turn a dataclass among the arguments into a config
    problems = instantiate(config.problem, _partial_=True)(pool=pool, encoder=instantiate(config.text))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        designer = instantiate(config.designer, _partial_=True)(space=problems.space)
    return problems, designer


def read_config(folder: str | Path, *, trust: bool = False, without: Collection[str] = ()) -> DictConfig:
    """Return the config of a run folder.

    Args:
        folder: The run folder.
        trust: Whether it may name things outside gdesign.
        without: What is left out, for it will not be built. Checking what a config names imports it, and what trains
            imports Lightning.

    Raises:
        MissingDataError: The folder holds no config.
        ConfigError: It names something outside gdesign and is not trusted.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise MissingDataError(
            f"{path} is not there; expected a run folder as train.py writes it, such as runs/gdesigner-synthetic-0"
        )
    try:
        config = OmegaConf.load(path)
    except (OmegaConfBaseException, yaml.YAMLError, ValueError, OSError) as error:
        raise DataError(f"{path} is no config ({error})") from error
    if not isinstance(config, DictConfig):
        raise DataError(f"{path} is no config: expected a mapping")
    for key in without:
        config.pop(key, None)
    if not trust:
        refuse_foreign_targets(config, source=str(path))
    return config


def refuse_foreign_targets(config: DictConfig, *, source: str) -> None:
    """Raise ConfigError if building from the config could call anything outside gdesign."""
    # what belongs to training is not built from a run folder
    for key in ("trainer", "logger", "early_stopping"):
        config.pop(key, None)
    for target in _calls(OmegaConf.to_container(config)):
        if not _is_own(target, source=source):
            raise ConfigError(
                f"{source} would call {target}, which is not part of gdesign; read it, and if you trust it say so "
                "(trust=true for eval.py, --trust for gdesign)"
            )


def refuse_unnamed_endpoints(
    config: DictConfig, *, source: str, named: Collection[str] = (), own_pool: bool = False
) -> None:
    """Raise ConfigError if the config's LLM client would send anything to another machine that the user did not name.

    Args:
        config: That of a run folder, perhaps with what the command line says.
        source: What the message calls it.
        named: The base_urls on the command line.
        own_pool: Whether the pool is named there, and with it the endpoints of its LLMs.
    """
    for node in mappings(OmegaConf.to_container(config.llm, resolve=True)):
        target = node.get("_target_")
        if target is None or getattr(get_object(str(target)), "__module__", "") not in LIVE:
            continue
        url = str(node.get("base_url", BASE_URL))
        variable = node.get("api_key_env") or variable_of(url) or "NAME"
        if url not in named and not is_loopback(url):
            raise ConfigError(
                f"{source} would send questions, and the key that the environment variable {variable} holds, to "
                f"{urlsplit(url).hostname}; if that is what you want, name the endpoint (+llm.base_url={url} for "
                f"eval.py, --llm {url} --api-key-env {variable} for gdesign ask) or trust the folder (trust=true for "
                "eval.py, --trust for gdesign)"
            )
        for llm in instantiate(node["pool"]).llms if node.get("pool") and not own_pool else ():
            if llm.base_url is not None and not is_loopback(llm.base_url):
                raise ConfigError(
                    f"{source} has a pool whose LLM {llm.name!r} would get questions, and the key that the variable "
                    f"{llm.api_key_env} holds, at {urlsplit(llm.base_url).hostname}; if that is what you want, "
                    "name the pool (pool=... for eval.py) or trust the folder (trust=true for eval.py, --trust for "
                    "gdesign)"
                )


def mappings(node: Any) -> Iterator[dict[Any, Any]]:
    """Yield a plain config's mappings, at all depths."""
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from mappings(value)


def _is_own(target: str, *, source: str) -> bool:
    if target.startswith(CONVOLUTIONS):
        found = get_object(target)
        return isinstance(found, type) and issubclass(found, MessagePassing)
    if not target.startswith("gdesign.") or target.startswith(BUILDERS):
        return False
    try:
        found = get_object(target)
    except ImportError as error:
        raise ConfigError(f"{source} names {target}, which this version of gdesign does not have") from error
    # the module says where a thing is made; a name alone may lead through a module's own imports
    module = str(getattr(found, "__module__", ""))
    return module.startswith("gdesign.") and not module.startswith(BUILDERS)


def _calls(node: Any) -> Iterator[str]:
    """Yield what building would call, and every interpolation that could build something yet to be seen."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "_target_":
                yield str(value)
            else:
                yield from _calls(value)
    elif isinstance(node, list):
        for value in node:
            yield from _calls(value)
    elif isinstance(node, str):
        left = node
        while (shorter := HARMLESS.sub("?", left)) != left:
            left = shorter
        if "${" in left:
            yield node


def save(designer: Designer, path: str | Path, *, seconds: float = 0.0) -> None:
    """Write a designer's tensors, in the layout of a training checkpoint.

    Args:
        designer: What was learned.
        path: The file.
        seconds: How long that took.
    """
    state = {PREFIX + name: value for name, value in designer.state_dict().items()}
    write({"state_dict": state, "seconds": seconds}, path)


def write(content: Mapping[str, Any], path: str | Path) -> None:
    """Put a checkpoint in its place, with its folder, or leave there what was there: whatever ends the process.

    Args:
        content: Tensors and plain values.
        path: The file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    torch.save(content, unfinished)
    unfinished.replace(path)


def read(path: str | Path, key: str) -> Any:
    """Return one entry of a checkpoint.

    Raises:
        DataError: It is no checkpoint, or was cut short.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)[key]
    # what torch raises depends on which bytes are wrong
    except (
        pickle.UnpicklingError,
        EOFError,
        RuntimeError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise DataError(
            f"{path} is no checkpoint of gdesign, or was cut short; copy it again, or remove it and train again"
        ) from error


def restore(designer: Designer, path: str | Path) -> None:
    """Give a designer the tensors of a checkpoint.

    Raises:
        MissingDataError: It is not there.
        DataError: It is no checkpoint, or was cut short.
        ConfigError: It is of another designer or other agents.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(f"{path} is not there; train.py writes it after the first validation")
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
