"""What the searches share: one design that is kept, and the questions that designs are compared on."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

from gdesign.design import base, fixed
from gdesign.errors import ConfigError
from gdesign.types import Design, Task


class Kept(fixed.Constant, base.Searched):
    """All mass on the best design that was found, which a buffer names."""

    name: ClassVar[str]

    @abstractmethod
    def _found(self) -> Design | None:
        """Return the best design found; None before anything was searched."""

    @property
    def design(self) -> Design:
        """The best design found.

        Raises:
            ConfigError: Nothing was searched yet.
        """
        if (design := self._found()) is None:
            raise ConfigError(
                f"{self.name} has not looked at any question yet; train it first (gdesign train designer={self.name})"
            )
        return design


class Questions:
    """Every task with every seed below a number: seed by seed, each time in another random order."""

    def __init__(self, tasks: Sequence[Task], *, num_samples: int, generator: torch.Generator) -> None:
        self._tasks = tasks
        self._num_samples = num_samples
        self._generator = generator
        self._orders: list[list[int]] = []

    def __len__(self) -> int:
        return len(self._tasks) * self._num_samples

    def __getitem__(self, k: int) -> tuple[Task, int]:
        seed, i = divmod(k, len(self._tasks))
        while len(self._orders) <= seed:
            self._orders.append(torch.randperm(len(self._tasks), generator=self._generator).tolist())
        return self._tasks[self._orders[seed][i]], seed
