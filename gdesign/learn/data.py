"""Tasks for training: shuffled with a seed, weighted, and what the designer gets to read of them."""

from collections.abc import Iterator, Sequence, Sized
from dataclasses import replace
from typing import NamedTuple

import lightning as L
import torch
from torch.utils.data import DataLoader, Sampler

from gdesign.design.base import refuse_below_one
from gdesign.errors import ConfigError
from gdesign.types import Task


class Item(NamedTuple):
    """A task as it is run, and the same with the question that the designer reads."""

    task: Task
    seen: Task


class Batch(tuple[Item, ...]):
    """Some items; opaque to Lightning, which would try to rebuild frozen dataclasses."""


class EpochShuffle(Sampler[int]):
    """Every index once, in an order that depends on seed and epoch only, so that a resumed run goes on alike."""

    def __init__(self, data: Sized, *, seed: int) -> None:
        self._num = len(data)
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls it."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed((self._seed << 24) + self._epoch)
        yield from torch.randperm(self._num, generator=generator).tolist()

    def __len__(self) -> int:
        return self._num


class TaskData(L.LightningDataModule):
    """Training and validation tasks in batches.

    Weights are scaled to 1 on average over the training tasks.

    Args:
        validation: Tasks that early stopping and the choice of a checkpoint see.
        validation_batch_size: Tasks run at once in validation.
        shuffle_questions: A control: the designer reads the question of another task than the one its design is run on.
        seed: Orders the tasks, and permutes the questions.
    """

    def __init__(
        self,
        *,
        train: Sequence[Task],
        validation: Sequence[Task],
        batch_size: int,
        shuffle_questions: bool,
        seed: int,
        validation_batch_size: int = 64,
    ) -> None:
        super().__init__()
        if not train:
            raise ConfigError("there are no training tasks; the split train of this task is empty")
        if not validation:
            raise ConfigError("there are no validation tasks; the split validation of this task is empty")
        refuse_below_one(batch_size=batch_size)
        mean = sum(t.weight for t in train) / len(train)
        tasks = [replace(t, weight=t.weight / mean) for t in train]
        self.train = items(tasks, shuffle_questions=shuffle_questions, seed=seed)
        self.validation = items(validation, shuffle_questions=shuffle_questions, seed=seed)
        self._batch_size = batch_size
        self._validation_batch_size = validation_batch_size
        self._seed = seed

    def train_dataloader(self) -> DataLoader[Item]:
        """Return the training batches."""
        sampler = EpochShuffle(self.train, seed=self._seed)
        return DataLoader(self.train, batch_size=self._batch_size, sampler=sampler, collate_fn=Batch)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Item]:
        """Return the validation batches."""
        return DataLoader(self.validation, batch_size=self._validation_batch_size, collate_fn=Batch)  # type: ignore[arg-type]


def items(tasks: Sequence[Task], *, shuffle_questions: bool = False, seed: int = 0) -> list[Item]:
    """Pair each task with what the designer reads: itself, or, shuffled, the question of another."""
    if not shuffle_questions:
        return [Item(t, t) for t in tasks]
    order = torch.randperm(len(tasks), generator=torch.Generator().manual_seed(seed)).tolist()
    return [Item(t, replace(t, question=tasks[i].question)) for t, i in zip(tasks, order, strict=True)]
