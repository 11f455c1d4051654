"""The config of a run folder: data, not code. Building from it makes only things of gdesign, unless it is trusted."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gdesign.errors import ConfigError, DataError, MissingDataError
from gdesign.llm.options import BASE_URL, is_loopback, variable_of

CONFIG = "config.yaml"
BUILDERS = ("gdesign.api", "gdesign.cli", "gdesign.runs.checkpoint", "gdesign.runs.config")
"""What builds from configs itself, and so could be told to trust another one."""
CONVOLUTIONS = "torch_geometric.nn."
"""Where the convolutions of graph encoders come from; they read what they are called with and nothing else."""
LIVE = ("gdesign.llm.live", "gdesign.llm.openai")
"""What sends questions to another machine."""
OF_TRAINING = ("trainer", "logger", "early_stopping")
"""What is not built from a run folder; nor is the learner's optimizer."""
HARMLESS = re.compile(r"\$\{(?:[\w.\[\]]+|oc\.env:(?:HOME|XDG_CACHE_HOME)(?:,[^${}]*)?)\}")
"""Interpolations that give a value of the same config or, as gdesign/configs/text does, a folder for caches; any other
variable may hold a secret."""


def read_config(folder: str | Path, *, trust: bool = False, without: Collection[str] = ()) -> DictConfig:
    """Return the config of a run folder.

    Args:
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
            f"{path} is not there; expected a run folder as gdesign train writes it, such as runs/gdesigner-synthetic-0"
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
    for key in OF_TRAINING:
        config.pop(key, None)
    if not OmegaConf.is_interpolation(config, "learner") and isinstance(learner := config.get("learner"), DictConfig):
        learner.pop("optimizer", None)
    for target in _calls(OmegaConf.to_container(config)):
        if not _is_own(target, source=source):
            raise ConfigError(
                f"{source} would call {target}, which is not part of gdesign; read it, and if you trust it say so "
                "(trust=true for gdesign eval, --trust for gdesign)"
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
    for node in live_clients(config.llm):
        url = str(node.get("base_url", BASE_URL))
        variable = node.get("api_key_env") or variable_of(url) or "NAME"
        if url not in named and not is_loopback(url):
            raise ConfigError(
                f"{source} would send questions, and the key that the environment variable {variable} holds, to "
                f"{urlsplit(url).hostname}; if that is what you want, name the endpoint (+llm.base_url={url} for "
                f"gdesign eval, --llm {url} --api-key-env {variable} for gdesign ask) or trust the folder (trust=true "
                "for gdesign eval, --trust for gdesign)"
            )
        for llm in instantiate(node["pool"]).llms if node.get("pool") and not own_pool else ():
            if llm.base_url is not None and not is_loopback(llm.base_url):
                raise ConfigError(
                    f"{source} has a pool whose LLM {llm.name!r} would get questions, and the key that the variable "
                    f"{llm.api_key_env} holds, at {urlsplit(llm.base_url).hostname}; if that is what you want, "
                    "name the pool (pool=... for gdesign eval) or trust the folder (trust=true for gdesign eval, "
                    "--trust for gdesign)"
                )


def live_clients(llm: DictConfig) -> Iterator[dict[Any, Any]]:
    """Yield the parts of a config's LLM client that send questions to another machine."""
    for node in mappings(OmegaConf.to_container(llm, resolve=True)):
        target = node.get("_target_")
        if target is not None and getattr(get_object(str(target)), "__module__", "") in LIVE:
            yield node


def mappings(node: Any) -> Iterator[dict[Any, Any]]:
    """Yield a plain config's mappings, at all depths."""
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from mappings(value)


def _is_own(target: str, *, source: str) -> bool:
    convolution = target.startswith(CONVOLUTIONS)
    if not (convolution or target.startswith("gdesign.")) or target.startswith(BUILDERS):
        return False
    try:
        found = get_object(target)
    except ImportError as error:
        raise ConfigError(
            f"{source} names {target}, which this version of gdesign does not have; train again with it, or use the "
            "version that commands.jsonl beside it names"
        ) from error
    if convolution:
        from torch_geometric.nn import MessagePassing

        return isinstance(found, type) and issubclass(found, MessagePassing)
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
