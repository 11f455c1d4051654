"""What a run folder holds, and when one may be used again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gdesign.design.checkpoint import CONFIG
from gdesign.errors import ConfigError
from gdesign.types import Task

MAY_DIFFER = ("out", "resume", "split", "trainer", "logger", "patience", "num_test_samples")
"""Keys that a run may be gone on with after a change."""


def default_folder(names: Mapping[str, str], seed: int, *, swept: Sequence[str] = ()) -> Path:
    """Return `runs/<designer>-<task>-<seed>`, with the other overrides of a sweep before the seed.

    Args:
        names: Of designer and task.
        seed: The seed.
        swept: Overrides as typed, `key=value`; designer, task and seed are left out.
    """
    others = []
    for override in swept:
        key, _, value = override.lstrip("+").partition("=")
        if key not in ("designer", "task", "seed", *MAY_DIFFER):
            others.append(f"{key.split('.')[-1]}={value.replace('/', '_')}")
    return Path("runs") / "-".join([names["designer"], names["task"], *others, str(seed)])


def open_folder(folder: Path, config: DictConfig) -> None:
    """Make a run folder and write its config.

    Raises:
        ConfigError: It holds a run of another config.
    """
    path = folder / CONFIG
    new = OmegaConf.to_container(config, resolve=True)
    assert isinstance(new, dict)
    if path.is_file():
        old = OmegaConf.to_container(OmegaConf.load(path))
        before, now = (_flat({k: v for k, v in c.items() if k not in MAY_DIFFER}) for c in (old, new))  # type: ignore[union-attr]
        changed = [k for k in {**before, **now} if before.get(k) != now.get(k)]
        if changed:
            key = changed[0]
            raise ConfigError(
                f"{folder} holds a run with {key}={before.get(key)}, not {now.get(key)}; name another folder "
                "(out=...), or remove this one"
            )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(new)), encoding="utf-8")


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {prefix: node}
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def write_splits(folder: Path, splits: Mapping[str, Sequence[Task]], *, seed: int | None) -> None:
    """Write which tasks lie in which split.

    Args:
        folder: The run folder.
        splits: Tasks by split.
        seed: What the benchmark made the splits with; None if they were given.
    """
    rows = {name: [f"{t.benchmark}:{t.id}" for t in tasks] for name, tasks in splits.items()}
    (folder / "splits.json").write_text(json.dumps({"seed": seed, **rows}, indent=1) + "\n", encoding="utf-8")
