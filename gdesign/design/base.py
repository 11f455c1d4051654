"""The one base class of all methods, and what a method hands back.

Shape letters: B problems in a batch, N slots.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import Batch

from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.errors import ConfigError
from gdesign.types import Design, Job, Outcome, Run, Task

Search = Generator[Sequence[Job], Sequence[tuple[Run, Outcome]], None]
"""Yields what is to be run, is sent what came of it, in the same order, until it has seen enough."""


class Draft:
    """One drawn design a problem, and what a learner needs to know of the draw.

    Args:
        designs: Builds the designs when they are first asked for.
        log_prob: Log-probability of each drawn design.
        entropy: Of the distribution each design was drawn from, as its method defines it.
        penalty: The method's own regulariser, to be added to the loss.
        soft: Probability of each edge (from, to) where the method has edges; None elsewhere.
        value: The utility that the method's critic expects of each drawn design; None without a critic.
    """

    def __init__(
        self,
        *,
        designs: Callable[[], list[Design]],
        log_prob: Float[Tensor, " B"],
        entropy: Float[Tensor, " B"],
        penalty: Float[Tensor, " B"],
        soft: Float[Tensor, "B N N"] | None = None,
        value: Float[Tensor, " B"] | None = None,
    ) -> None:
        self.log_prob = log_prob
        self.entropy = entropy
        self.penalty = penalty
        self.soft = soft
        self.value = value
        self._make = designs
        self._designs: list[Design] | None = None

    @property
    def designs(self) -> list[Design]:
        """The drawn designs, one a problem."""
        if self._designs is None:
            self._designs = self._make()
        return self._designs


class Designer(nn.Module, ABC):
    """A conditional probability distribution over designs, given a task and the agents on offer.

    Args:
        space: The agents it will be trained on. Methods whose parameters do not depend on which
            agents these are can be used on any other space with the same text features.
    """

    def __init__(self, *, space: Space) -> None:
        super().__init__()
        self.space = space

    @abstractmethod
    def forward(self, problem: Batch, *, generator: torch.Generator | None = None, greedy: bool = False) -> Draft:
        """Draw one design a problem.

        Args:
            problem: A batch of B problems.
            generator: Where randomness comes from; None for torch's own.
            greedy: Take the design that the method holds best instead of drawing; deterministic.
        """

    @abstractmethod
    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " B"]:
        """Return the log-probability of one given design a problem; -inf where it cannot be drawn.

        It scores designs, not the internal choices that led to them: choices that give the same
        design are summed.
        """

    def expect(self, problem: Batch, designs: Sequence[Design]) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
        """Return the score, and the USD for 1,000 questions, expected of one given design a problem.

        Raises:
            ConfigError: The method expects nothing of a design.
        """
        raise ConfigError(f"{type(self).__name__} does not predict what a design scores and costs; designer=joint does")

    def step_taken(self, num_steps: int) -> None:
        """Hear that so many training steps were taken; methods with a schedule of their own act here.

        What it changes must be parameters or buffers, so that a resumed training goes on alike.
        """


class Searched(Designer):
    """A designer that is fitted to runs that it asks for itself, instead of by gradient steps.

    Attributes:
        num_runs: The most runs that it asks for, where it can say so beforehand; what a live search may cost is
            estimated by it. None where all that it asks for is what it asks for first.
    """

    num_runs: int | None = None

    @abstractmethod
    def search(
        self, tasks: Sequence[Task], *, problems: ProblemEncoder, usd_weight: float, generator: torch.Generator
    ) -> Search:
        """Ask for runs until enough is known, then keep what was found; the state dict carries it.

        Args:
            tasks: Everything there is to learn from.
            problems: Encodes tasks, for methods that look at the question.
            usd_weight: lambda, for USD per 1,000 questions.
            generator: Where randomness comes from.
        """
