"""Which runs there are: those that were evaluated, and those that lack something, with what it is."""

import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import yaml

from gdesign.errors import DataError, MissingDataError
from gdesign.runs.checkpoint import BEST
from gdesign.runs.config import CONFIG
from gdesign.runs.folder import flat, typed
from gdesign.runs.metrics import read_metrics

NUMBERS = (
    "score", "usd", "utility", "n", "label", "split", "num_samples", "interval", "utility_interval", "unreadable",
    "failures", "usd_weight", "token_weight", "training",
)  # fmt: skip
"""What an eval.json must hold to be compared."""
NAMES = ("designer", "task", "pool", "llm")
NOT_TYPED = ("names", "checkpoint", "out", "resume", "split", "trust", "yes")
"""What an evaluation is not told again, or in words of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One run folder that was evaluated.

    Attributes:
        config: Its config.yaml.
        trained: The config.yaml that its checkpoint was trained with, which is its own unless `gdesign eval`
            evaluated the checkpoint of another folder.
        summary: Its eval.json.
    """

    folder: Path
    config: dict[str, Any]
    trained: dict[str, Any]
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incomplete:
    """One run folder without numbers to compare.

    Attributes:
        missing: What is missing, in words.
        command: What to type to get it; None where gdesign cannot know.
    """

    folder: Path
    missing: str
    command: str | None = None


def find_evaluations(paths: Iterable[Path]) -> tuple[list[Evaluation], list[Incomplete]]:
    """Return the evaluations in some folders and below, and the run folders without one; each folder once.

    Links to folders are followed.

    A run whose training went on after it was evaluated counts as not evaluated.

    Raises:
        MissingDataError: There is no run folder in one of them.
    """
    done: list[Evaluation] = []
    incomplete: list[Incomplete] = []
    seen: set[Path] = set()
    for path in paths:
        configs = sorted(_configs(path))
        if not configs:
            raise MissingDataError(
                f"{path} holds no run folder; gdesign train and gdesign eval write them, by default under runs/"
            )
        for found in configs:
            if found.resolve() in seen:
                continue
            seen.add(found.resolve())
            look = look_at(found.parent)
            if isinstance(look, Evaluation):
                done.append(look)
            else:
                incomplete.append(look)
    return done, incomplete


def _configs(path: Path) -> Iterator[Path]:
    been: set[Path] = set()  # links may lead back
    for folder, below, files in os.walk(path, followlinks=True):
        real = Path(folder).resolve()
        if real in been:
            below.clear()
            continue
        been.add(real)
        if CONFIG in files:
            yield Path(folder) / CONFIG


def read_evaluation(folder: Path) -> Evaluation:
    """Return the config and the numbers of one run folder.

    Raises:
        MissingDataError: It was not evaluated.
        DataError: A file is broken.
    """
    path = folder / "eval.json"
    if not path.is_file():
        raise MissingDataError(
            f"{path} is not there; evaluate the run first: gdesign eval {typed('checkpoint', folder)}"
        )
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(summary, dict):
            raise DataError(f"it holds no JSON object: {summary!r}")
        config = _read_config(folder)
        trained = _trained_with(folder, config)
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"{folder} holds a broken eval.json or config.yaml ({error})") from error
    return Evaluation(folder=folder, config=config, trained=trained, summary=summary)


def look_at(folder: Path) -> Evaluation | Incomplete:
    """Return the evaluation in a run folder, or what is missing there."""
    try:
        config = _read_config(folder)
    except (ValueError, yaml.YAMLError):
        return Incomplete(folder=folder, missing=f"{CONFIG} cannot be read; remove the folder, and train again")
    phase = last_phase(folder / "runs.jsonl")
    training = phase is not None and phase.startswith("fit:")
    if not (folder / "eval.json").is_file():
        if training or not (folder / BEST).is_file():
            return _stopped(folder, config)
        return _unevaluated(
            folder, config, "not evaluated" if phase is None else f"stopped in the evaluation on {phase}"
        )
    try:
        found = read_evaluation(folder)
    except DataError:
        return _unevaluated(folder, config, "eval.json is broken")
    if lacking := [name for name in NUMBERS if name not in found.summary]:
        return _unevaluated(folder, config, f"eval.json lacks {', '.join(lacking)}, as earlier versions wrote it")
    if training:
        stopped = _stopped(folder, config)
        return replace(stopped, missing=f"trained further after its evaluation; {stopped.missing}")
    return found


def last_phase(path: Path) -> str | None:
    """Return what the last whole line of a runs file was done for; None where there is none."""
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as text:
            end = text.rfind(b"\n")
            return str(json.loads(text[text.rfind(b"\n", 0, end) + 1 : end])["phase"])
    except (FileNotFoundError, ValueError, LookupError):  # an empty file cannot be mapped
        return None


def _read_config(folder: Path) -> dict[str, Any]:
    config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    if not isinstance(config, dict) or not {"names", "seed"} <= config.keys():
        raise DataError(f"{folder / CONFIG} is no config of a run: it lacks names or seed")
    return config


def _trained_with(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Return the config of the checkpoint that was evaluated: where `eval` puts its folders, or as typed there."""
    if config.get("checkpoint"):
        for parent in (folder.parent, Path(config["checkpoint"])):
            if (parent / CONFIG).is_file():
                return _read_config(parent)
    return config


def _stopped(folder: Path, config: Mapping[str, Any]) -> Incomplete:
    """Return what a folder lacks in which nothing was run yet, or training last."""
    if config.get("checkpoint"):
        return _unevaluated(folder, config, "not evaluated")
    metrics = folder / "metrics.csv"
    rows = read_metrics(metrics) if metrics.is_file() else []
    at = f" at step {int(rows[-1]['step']) + 1}" if rows else ""
    if not (folder / BEST).is_file():
        missing = f"stopped{at} before there was a checkpoint"
    elif config.get("split") is None:
        return _unevaluated(folder, config, f"trained, last{at}; no evaluation was asked for (split=null)")
    else:
        missing = f"training stopped{at}, or still goes on"
    script = "train" if "resume" in config else "eval"
    where = shlex.quote(str(folder.resolve()))
    settings = "hydra.run.dir=. hydra.output_subdir=null hydra/job_logging=none"
    command = f"gdesign {script} --config-path={where} --config-name={Path(CONFIG).stem} {settings}"
    return Incomplete(folder=folder, missing=missing, command=command)


def _unevaluated(folder: Path, config: Mapping[str, Any], missing: str) -> Incomplete:
    return Incomplete(folder=folder, missing=missing, command=_evaluate(folder, config))


def _evaluate(folder: Path, config: Mapping[str, Any]) -> str:
    """Return the command that evaluates a run folder, or the checkpoint that a folder of `gdesign eval` is of."""
    split = config.get("split") or "test"
    parent = folder.parent
    if not config.get("checkpoint") or not (parent / CONFIG).is_file():
        return f"gdesign eval {typed('checkpoint', folder)} split={split}"
    saved = _read_config(parent)
    groups = [name for name in NAMES if config["names"].get(name) != saved["names"].get(name)]
    words = [f"{name}={config['names'][name]}" for name in groups]
    before = flat({k: v for k, v in saved.items() if k not in ("names", *groups)})
    now = flat({k: v for k, v in config.items() if k not in (*NOT_TYPED, *groups)})
    words += [typed(f"++{k}", "null" if v is None else v) for k, v in now.items() if before.get(k) != v]
    return " ".join(["gdesign eval", typed("checkpoint", parent), *words, f"split={split}", typed("out", folder)])
