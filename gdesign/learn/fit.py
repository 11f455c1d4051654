"""Train, search, or leave alone: whatever a designer needs before it is evaluated."""

import json
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import TorchCheckpointIO

from gdesign.design.base import Designer, Searched
from gdesign.design.choose import greedy
from gdesign.errors import ConfigError, DataError
from gdesign.export.schema import design_from_json
from gdesign.learn.data import TaskData
from gdesign.learn.module import DesignModule, Teacher
from gdesign.runs import checkpoint
from gdesign.runs.checkpoint import write
from gdesign.runs.log import read_runs
from gdesign.runs.metrics import MetricsFile
from gdesign.types import Design, Task


class WholeFiles(TorchCheckpointIO):
    """Writes checkpoints so that a kill leaves the old one or the new one.

    Lightning's own way goes through the folder for temporary files. Where that is another file system the last step is
    a copy, which a kill cuts short.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write one."""
        write(checkpoint, path)


MakeTrainer = Callable[..., L.Trainer]
NOTHING_SPENT: Mapping[str, int | float] = {"runs": 0, "calls": 0, "usd": 0.0, "paid_usd": 0.0, "seconds": 0.0}
"""What training cost where there was none."""


def learns(designer: Designer) -> bool:
    """Return whether the designer is changed by training questions."""
    return isinstance(designer, Searched) or any(p.requires_grad for p in designer.parameters())


def refuse_all(designer: Designer, split: str | None) -> None:
    """Raise ConfigError where a designer that learns would be evaluated on what it learns from."""
    if split == "all" and learns(designer):
        raise ConfigError("split=all holds the questions that this designer learns from; use split=test")


def fit(
    module: DesignModule,
    data: TaskData,
    *,
    folder: Path,
    make_trainer: MakeTrainer,
    patience: int | None = None,
    loggers: Sequence[Logger] = (),
    resume: bool = False,
) -> None:
    """Let the designer learn and leave the best one, by validation utility, in module and folder.

    A designer that asks for runs of its own gets them first, on training questions, and on those for validation too
    if nothing is trained afterwards. One with parameters is then trained; any other learns nothing.
    `checkpoint/best.ckpt` is written in each case.

    Args:
        module: The designer and all it learns from.
        data: Training and validation tasks.
        folder: The run folder.
        make_trainer: Makes the Lightning trainer, given callbacks and loggers.
        patience: Number of validations without a better utility after which training ends; None for never.
        loggers: Where metrics go beside `metrics.csv`.
        resume: Go on from `checkpoint/last.ckpt` if it is there, to the same numbers as without the stop.

    Raises:
        ConfigError: The trainer ended before the first validation, or latency has a price for a designer that asks
            for runs of its own.
        DataError: There is a checkpoint to go on from and it cannot be read.
    """
    designer = module.designer
    if isinstance(designer, Searched) and module.second_weight:
        raise ConfigError(
            f"{type(designer).__name__} weighs designs by score and USD alone, and reward.second_weight is "
            f"{module.second_weight:g}; set it to 0, or choose a designer that learns from the utility itself"
        )
    began = perf_counter()
    resumes = resume and (folder / checkpoint.LAST).is_file()
    trains = any(p.requires_grad for p in designer.parameters())
    if isinstance(designer, Searched) and not resumes:
        _search(module, designer, [item.task for item in (*data.train, *(() if trains else data.validation))])
    if (isinstance(designer, Searched) and not resumes) or not learns(designer):
        checkpoint.save(designer, folder / checkpoint.BEST, seconds=perf_counter() - began)
    if trains:
        _train(module, data, folder, make_trainer, patience, loggers, resumes)
        if not (folder / checkpoint.BEST).is_file():
            raise ConfigError(
                "training ended before the first validation, so no designer is the best; let it last for an epoch or "
                "more (trainer.max_epochs, trainer.max_steps), or evaluate an untrained designer by eval.py"
            )
        checkpoint.restore(designer, folder / checkpoint.BEST)


def _train(
    module: DesignModule,
    data: TaskData,
    folder: Path,
    make_trainer: MakeTrainer,
    patience: int | None,
    loggers: Sequence[Logger],
    resumes: bool,
) -> None:
    last = folder / checkpoint.LAST
    keep = checkpoint.read(last, "global_step") if resumes else 0
    best = Path(checkpoint.BEST).stem
    callbacks: list[Callback] = [
        ModelCheckpoint(last.parent, best, monitor="val/utility", mode="max", enable_version_counter=False),
        ModelCheckpoint(last.parent, last.stem, enable_version_counter=False),
    ]
    if patience is not None:
        callbacks.append(EarlyStopping(monitor="val/utility", mode="max", patience=patience))
    metrics = MetricsFile(folder / "metrics.csv", keep_steps=keep)
    trainer = make_trainer(callbacks=callbacks, logger=[metrics, *loggers], plugins=[WholeFiles()])
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, data, ckpt_path=last if resumes else None, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def _search(module: DesignModule, designer: Searched, tasks: Sequence[Task]) -> None:
    steps = designer.search(tasks, problems=module.problems, usd_weight=module.usd_weight, generator=module.generator)
    jobs = next(steps, None)
    while jobs is not None:
        results = module.execute(jobs, phase="fit:search")
        try:
            jobs = steps.send(results)
        except StopIteration:
            jobs = None


def num_epochs(folder: Path) -> int:
    """Return how many epochs of training a run folder holds."""
    last = folder / checkpoint.LAST
    return int(checkpoint.read(last, "epoch")) + 1 if last.is_file() else 0


def spent(folder: Path) -> dict[str, int | float]:
    """Return what training cost.

    Returns:
        runs, calls, usd: By the runs that ended, those of epochs that were gone through again included; calls of runs
            that were broken off are not in it.
        paid_usd: What of it was asked live, so paid then; the rest came from a recording.
        faults: Number of faults that were survived by asking again; only where there were some.
        seconds: How long it took.
    """
    total: dict[str, int | float] = dict(NOTHING_SPENT)
    if (folder / "runs.jsonl").is_file():
        rows = [row for row in read_runs(folder / "runs.jsonl") if row["phase"].startswith("fit:")]
        total |= bill(rows)
    written = [folder / name for name in (checkpoint.LAST, checkpoint.BEST) if (folder / name).is_file()]
    if written:
        total["seconds"] = checkpoint.read(written[0], "seconds")
    return total


def bill(rows: Iterable[Mapping[str, Any]]) -> dict[str, int | float]:
    """Return runs, calls, usd and paid_usd of some lines of a runs file, and faults where there were some."""
    total: dict[str, int | float] = {"runs": 0, "calls": 0, "usd": 0.0, "paid_usd": 0.0}
    faults = 0
    for row in rows:
        total["runs"] += 1
        total["calls"] += row["calls"]
        total["usd"] += row["usd"]
        # earlier versions did not write what was paid; what is live was
        total["paid_usd"] += row.get("paid_usd", row["usd"] if row["label"] == "live" else 0.0)
        faults += row.get("faults", 0)
    return total | ({"faults": faults} if faults else {})


def best_designs(path: str | Path) -> Teacher:
    """Return a teacher: for each task the design that the designer of another run holds best.

    Args:
        path: The run folder; a search's as well as a trained designer's.

    Raises:
        MissingDataError: It holds no checkpoint.
    """
    problems, designer = checkpoint.load(path)
    usd_weight = checkpoint.read_config(path).reward.usd_weight

    def teacher(tasks: Sequence[Task]) -> list[Design]:
        return greedy(designer, problems, tasks, usd_weight=usd_weight)

    return teacher


def best_runs(path: str | Path, *, usd_weight: float, token_weight: float = 0.0, second_weight: float = 0.0) -> Teacher:
    """Return a teacher: for each task the design that was worth most in the runs of a folder.

    Args:
        path: A run folder or its `runs.jsonl`.
        usd_weight: lambda for USD per 1,000 questions.
        token_weight: lambda for tokens per question.
        second_weight: lambda for seconds of latency per question.

    Raises:
        MissingDataError: There are no runs.
    """
    path = Path(path)
    worth: dict[tuple[str, str], dict[str, list[float]]] = {}
    designs: dict[str, Mapping[str, Any]] = {}
    for row in read_runs(path / "runs.jsonl" if path.is_dir() else path):
        text = json.dumps(row["design"], sort_keys=True)
        designs[text] = row["design"]
        tokens = row["prompt_tokens"] + row["completion_tokens"]
        value = row["score"] - usd_weight * 1000 * row["usd"] - token_weight * tokens
        value -= second_weight * row.get("latency", 0.0)
        worth.setdefault((row["benchmark"], row["task"]), {}).setdefault(text, []).append(value)
    best = {
        key: design_from_json(designs[max(values, key=lambda text: sum(values[text]) / len(values[text]))])
        for key, values in worth.items()
    }

    def teacher(tasks: Sequence[Task]) -> list[Design]:
        for task in tasks:
            if (task.benchmark, task.id) not in best:
                raise DataError(
                    f"{path} holds no run of the task {task.id!r} ({task.benchmark}), so no design to imitate"
                )
        return [best[task.benchmark, task.id] for task in tasks]

    return teacher
