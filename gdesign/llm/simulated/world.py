"""The settings of a simulated world, read from YAML."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml

from gdesign.errors import ConfigError, MissingDataError
from gdesign.llm.simulated.client import World

T = TypeVar("T")


def load(path: str | Path) -> World:
    """Read a world from a YAML file; what it leaves out is as in the default world.

    The file holds fields of `gdesign.llm.simulated.World` by name, such as `seed: 1` or `popular: 0.4`;
    abilities, the transition and its shares are mappings with the fields of their own classes.

    Raises:
        MissingDataError: There is no such file.
        ConfigError: It is not YAML, or names a setting that does not exist or has a value of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(f"there is no file {path}; give a YAML file with settings of a world, such as `seed: 1`")
    try:
        data = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}; mend the line it names") from None
    except (ValueError, RecursionError) as error:  # a date that is none, brackets by the thousand
        raise ConfigError(f"{path} is not YAML with settings of a world: {error}") from None
    return _read(World, data, str(path))


def _read(kind: type[T], data: object, where: str) -> T:
    hints = get_type_hints(kind)
    if not isinstance(data, dict):
        raise ConfigError(f"{where} is {data!r}; expected a mapping with any of {', '.join(hints)}")
    if unknown := [name for name in data if name not in hints]:
        raise ConfigError(f"{where} has the unknown setting {unknown[0]!r}; expected any of {', '.join(hints)}")
    needed = [f.name for f in fields(cast(Any, kind)) if f.default is MISSING and f.default_factory is MISSING]
    if missing := [name for name in needed if name not in data]:
        raise ConfigError(f"{where} lacks {missing[0]}; add it")
    return kind(**{name: _value(hints[name], value, f"{where}: {name}") for name, value in data.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return _read(cast(type[Any], hint), value, where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ConfigError(f"{where} is {value!r}; expected a mapping")
        return {str(name): _value(arguments[1], entry, f"{where}.{name}") for name, entry in value.items()}
    if origin in (tuple, Collection):
        if not isinstance(value, list):
            raise ConfigError(f"{where} is {value!r}; expected a list")
        return tuple(_value(arguments[0], entry, f"{where}[{i}]") for i, entry in enumerate(value))
    expected = int | float if hint is float else hint
    if not isinstance(value, expected) or isinstance(value, bool):
        raise ConfigError(f"{where} is {value!r}; expected {'a text' if hint is str else 'a number'}")
    return value
