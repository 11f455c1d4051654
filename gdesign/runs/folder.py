"""What a run folder holds, and when one may be used again."""

import json
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

import gdesign
from gdesign.errors import ConfigError
from gdesign.runs.checkpoint import LAST
from gdesign.runs.config import CONFIG
from gdesign.runs.log import mend_last_line
from gdesign.types import Task

MAY_DIFFER = (
    "out", "resume", "split", "arena", "trainer", "logger", "patience", "num_test_samples", "threads", "trust", "yes"
)  # fmt: skip
"""Keys that may change when a folder is used again."""
MAY_DIFFER_OF_LLM = ("budget", "record", "max_concurrent", "max_retries", "timeout")
"""The same within `llm`: they change no answer."""
COMMANDS = "commands.jsonl"
"""What was typed to make a run folder: a line for each command that worked in it, with when and by what."""
LIBRARIES = ("torch", "torch_geometric", "lightning")
LATER = {
    "reward.second_weight": 0.0,
    "problem.anchor_reverse": False,
    "problem.anchor_seed": 0,
    "data.validation_batch_size": 64,
}
"""What a config means that was written before there was such a key."""


def default_folder(names: Mapping[str, str], seed: int, *, swept: Sequence[str] = ()) -> Path:
    """Return `runs/<designer>-<task>-<seed>`, with the other overrides of a sweep before the seed.

    Args:
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
    new = OmegaConf.to_container(config)
    assert isinstance(new, dict)
    new["names"] = OmegaConf.to_container(config.names, resolve=True)
    if path.is_file():
        old = OmegaConf.to_container(OmegaConf.load(path))
        assert isinstance(old, dict)
        both = [key for key in old if key in new and key not in MAY_DIFFER]
        harmless = tuple(f"llm.{name}" for name in MAY_DIFFER_OF_LLM)
        before, now = (LATER | flat({key: c[key] for key in both}) for c in (old, new))
        changed = [k for k in {**before, **now} if before.get(k) != now.get(k) and not k.startswith(harmless)]
        if changed:
            key = changed[0]
            raise ConfigError(
                f"{folder} holds a run with {key}={before.get(key)}, not {now.get(key)}; name another folder "
                "(out=...), or remove this one"
            )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(new)), encoding="utf-8")


def other_end(folder: Path, config: DictConfig) -> str | None:
    """Return in what a training that goes on to another end differs from one that had it from the beginning.

    None where it is the same, or where nothing is gone on with.
    """
    if not (config.resume and (folder / LAST).is_file() and (folder / CONFIG).is_file()):
        return None
    old, learner = OmegaConf.load(folder / CONFIG), config.learner
    ends = [tuple((c.trainer.get("max_epochs"), c.trainer.get("max_steps"))) for c in (old, config)]
    final = learner.get("final_entropy_weight")
    falls = ["lr"] if learner.get("final_lr", 1) != 1 else []
    falls += ["entropy_weight"] if final is not None and final != learner.entropy_weight else []
    if ends[0] == ends[1] or not falls:
        return None
    before, now = (
        ", ".join(f"{n}={v}" for n, v in zip(("max_epochs", "max_steps"), e, strict=True) if v) for e in ends
    )
    return (
        f"{' and '.join(f'learner.{name}' for name in falls)} went in a straight line towards the end of {before}, and "
        f"from here on as if that had always been {now}: the steps already taken are not those of one training with "
        f"{now} (resume=false trains anew)"
    )


def as_typed(name: str, *, swept: Sequence[str], out: str) -> str:
    """Return the command that this process runs, as it can be typed again.

    Args:
        name: `train` or `eval`.
        swept: Of a sweep, the overrides of this one of its runs; none outside a sweep.
        out: The run folder, which a sweep chooses and the command names then.
    """
    began = ["python", f"{name}.py"] if Path(sys.argv[0]).name == f"{name}.py" else ["gdesign", name]
    if not swept:
        return shlex.join([*began, *sys.argv[1:]])
    words = shlex.join([*began, *swept])
    return words if any(override.startswith("out=") for override in swept) else f"{words} {typed('out', out)}"


def typed(key: str, value: Any) -> str:
    """Return an override as it can be typed: Hydra refuses `=` in a value without quotes, and shells take them off."""
    text = f"{key}={value}"
    if isinstance(value, str | Path) and re.search(r"[^\w./+-]", str(value)):
        return f"\"{key}='{value}'\"" if not re.search(r"[\"'$`\\]", str(value)) else shlex.quote(text)
    return shlex.quote(text)


def write_command(folder: Path, command: str) -> None:
    """Append a command that works in a run folder, and what it runs with, to its `commands.jsonl`."""
    row = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "command": command, "versions": versions()}
    mend_last_line(folder / COMMANDS)
    with (folder / COMMANDS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def versions() -> dict[str, str]:
    """Return what runs: gdesign, its commit where it is a git checkout, Python, and the libraries that move numbers."""
    found = {"gdesign": gdesign.__version__, "python": platform.python_version()}
    found |= {name: version(name) for name in LIBRARIES}
    commit = _commit(Path(gdesign.__file__).parents[1])
    return found | ({"commit": commit} if commit else {})


def _commit(checkout: Path) -> str | None:
    """Return the commit, with `-dirty` where tracked files were changed; None where there is no checkout, or no git."""
    if not (checkout / ".git").exists() or shutil.which("git") is None:
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a config by their dotted keys."""
    if not isinstance(node, dict):
        return {prefix: node}
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        leaves |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return leaves


def evaluation_folder(folder: Path, overrides: Sequence[str]) -> Path:
    """Return where an evaluation of a run folder goes: there, or within if anything differs from training."""
    parts = []
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if key not in ("checkpoint", "trust", "threads", "yes") and override != "split=test":
            parts.append(value if key == "split" else f"{key.split('.')[-1]}={value.replace('/', '_')}")
    return folder / "-".join(parts) if parts else folder


def with_overrides(saved: DictConfig, config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return a saved config with what was asked for on the command line now.

    Another task is read as the saved one was, recorded or live, unless the command line says otherwise.

    Args:
        overrides: The command line, `key=value`, `key.part=value` or `group=choice`.

    Raises:
        ConfigError: An override names no setting that could be put into a saved config.
    """
    merged = saved.copy()
    for override in overrides:
        key = override.lstrip("+").partition("=")[0]
        node: Any = OmegaConf.to_container(config)
        for part in key.split("."):
            if not isinstance(node, dict) or part not in node:
                raise ConfigError(
                    f"{override} cannot be applied to the config of a run folder; give settings their values there "
                    "(key=value, key.part=value or group=choice)"
                )
            node = node[part]
        if key == "task" and "recorded" in saved.task and "recorded" not in node and not _chooses(overrides, "llm"):
            node["recorded"] = saved.task.recorded
        OmegaConf.update(merged, key, node, merge=False, force_add=True)
        if key in ("designer", "task", "pool", "llm"):
            merged.names[key] = config.names[key]
    if "arena" in config:  # where it ran in training does not matter
        merged.arena = config.arena
    return merged


def _chooses(overrides: Sequence[str], group: str) -> bool:
    return any(override.lstrip("+").partition("=")[0] == group for override in overrides)


def write_splits(folder: Path, splits: Mapping[str, Sequence[Task]]) -> None:
    """Write which tasks lie in which split; what they were split by is in the config."""
    rows = {name: [_name(t) for t in tasks] for name, tasks in splits.items()}
    (folder / "splits.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def refuse_seen(folder: Path, tasks: Sequence[Task], *, split: str) -> None:
    """Raise ConfigError where a split for testing holds questions that a run folder was trained with.

    Args:
        split: The split they are from; `train` and `validation` are no test.
    """
    path = folder / "splits.json"
    if split in ("train", "validation") or not path.is_file():
        return
    splits = json.loads(path.read_text(encoding="utf-8"))
    seen = {*splits["train"], *splits["validation"]}
    if num := sum(_name(t) in seen for t in tasks):
        raise ConfigError(
            f"{num} of the {len(tasks)} questions of split={split} are no test of {folder}, which was trained with "
            "them; leave the settings that split the task's questions as they were in training"
        )


def _name(task: Task) -> str:
    return f"{task.benchmark}:{task.id}"
