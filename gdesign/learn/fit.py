"""Train, search, or leave alone: whatever a designer needs before it is evaluated."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import TorchCheckpointIO
from tqdm import tqdm

from gdesign.design.base import Designer, Searched
from gdesign.errors import ConfigError
from gdesign.execute.arena import refuse_unanswered
from gdesign.learn.data import TaskData
from gdesign.learn.module import DesignModule
from gdesign.runs import checkpoint
from gdesign.runs.checkpoint import write
from gdesign.runs.metrics import MetricsFile
from gdesign.types import Task

MakeTrainer = Callable[..., L.Trainer]


class WholeFiles(TorchCheckpointIO):
    """Writes checkpoints so that a kill leaves the old one or the new one.

    Lightning's own way goes through the folder for temporary files. Where that is another file system the last step is
    a copy, which a kill cuts short.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write one."""
        write(checkpoint, path)


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
        patience: Number of validations without a better utility after which training ends; None for never.
        loggers: Where metrics go beside `metrics.csv`.
        resume: Go on from `checkpoint/last.ckpt` if it is there, to the same numbers as without the stop.

    Raises:
        ConfigError: The trainer ended before the first validation, or has fewer epochs than are behind it; no call was
            answered; or tokens or seconds have a price and USD have none, for a designer that asks for runs of its own.
        DataError: There is a checkpoint to go on from and it cannot be read.
    """
    designer = module.designer
    if isinstance(designer, Searched):
        module.reward.refuse_untold()
    began = perf_counter()
    resumes = resume and (folder / checkpoint.LAST).is_file()
    trains = any(p.requires_grad for p in designer.parameters())
    if isinstance(designer, Searched) and not resumes:
        _search(module, designer, [item.task for item in (*data.train, *(() if trains else data.validation))])
    if (isinstance(designer, Searched) and not resumes) or not learns(designer):
        module.seconds = perf_counter() - began
        checkpoint.save(designer, folder / checkpoint.BEST, seconds=module.seconds)
    if trains:
        last, best = folder / checkpoint.LAST, Path(checkpoint.BEST).stem
        callbacks: list[Callback] = [
            ModelCheckpoint(last.parent, best, monitor="val/utility", mode="max", enable_version_counter=False),
            ModelCheckpoint(last.parent, last.stem, enable_version_counter=False),
        ]
        if patience is not None:
            callbacks.append(EarlyStopping(monitor="val/utility", mode="max", patience=patience))
        keep = checkpoint.read(last, "global_step") if resumes else 0
        metrics = MetricsFile(folder / "metrics.csv", keep_steps=keep)
        trainer = make_trainer(callbacks=callbacks, logger=[metrics, *loggers], plugins=[WholeFiles()])
        done = checkpoint.read(last, "epoch") + 1 if resumes else 0
        if trainer.max_epochs is not None and 0 <= trainer.max_epochs < done:
            raise ConfigError(
                f"{folder} was trained for {done} epochs already, more than trainer.max_epochs={trainer.max_epochs}; "
                "give it more, train anew (resume=false), or name another folder (out=...)"
            )
        _train(module, data, trainer, last=last if resumes else None)
        if not (folder / checkpoint.BEST).is_file():
            raise ConfigError(
                "training ended before the first validation, so no designer is the best; let it last for an epoch or "
                "more (trainer.max_epochs, trainer.max_steps), or evaluate an untrained designer by gdesign eval"
            )
        checkpoint.restore(designer, folder / checkpoint.BEST)
    refuse_unanswered(module.unanswered or [])


def _train(module: DesignModule, data: TaskData, trainer: L.Trainer, *, last: Path | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, data, ckpt_path=last, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def _search(module: DesignModule, designer: Searched, tasks: Sequence[Task]) -> None:
    steps = designer.search(
        tasks, problems=module.problems, usd_weight=module.reward.usd_weight, generator=module.generator
    )
    jobs = next(steps, None)
    with tqdm(total=designer.num_runs, desc="search", unit="run", leave=False, disable=None) as bar:
        while jobs is not None:
            if designer.num_runs is None:  # then all that it asks for is what it asks for first
                bar.total = bar.n + len(dict.fromkeys(jobs))
            found = module.execute(jobs, phase="fit:search", tell=bar.update)
            try:
                jobs = steps.send([(run, module.reward.in_usd(outcome)) for run, outcome in found])
            except StopIteration:
                jobs = None
