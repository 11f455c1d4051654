"""The one base class of all methods, and what a method hands back.

Shape letters: T problems in a batch, K designs drawn for each, B = T * K, N slots.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.data import Batch

from gdesign.design.draws import RNG
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.errors import ConfigError
from gdesign.types import Design, Job, Outcome, Play, Run, Task

Trials = Generator[Sequence[Job], Sequence[tuple[Run, Outcome]], None]
"""Yields what is to be run, is sent what came of it, in the same order, until it has seen enough."""


class Expected(NamedTuple):
    """What a method's critic expects of designs.

    Attributes:
        score: In [0, 1] where the critic has learned to tell.
        usd: USD for 1,000 questions.
    """

    score: Float[Tensor, " B"]
    usd: Float[Tensor, " B"]


class Draft:
    """K drawn designs a problem, and what a learner needs to know of the draw: design k of problem t is number t K + k.

    Each may be a policy instead.

    Args:
        designs: Builds the designs when they are first asked for.
        log_prob: Log-probability of each drawn design.
        entropy: Of a decision, on average over those that a draw may take, so that a weight means the same on pools of
            any size; beside what was likely before anything was learned, where a method has such. None for 0.
        penalty: The method's own regulariser, to be added to the loss; None for 0.
        soft: Probability of each edge (from, to) where the method has edges; None elsewhere.
        value: The utility that the method's critic expects of each drawn design; None without a critic.
        expected: Score and USD that it expects of each, where it tells these apart; None elsewhere.
    """

    def __init__(
        self,
        *,
        designs: Callable[[], Sequence[Play]],
        log_prob: Float[Tensor, " B"],
        entropy: Float[Tensor, " B"] | None = None,
        penalty: Float[Tensor, " B"] | None = None,
        soft: Float[Tensor, "B N N"] | None = None,
        value: Float[Tensor, " B"] | None = None,
        expected: Expected | None = None,
    ) -> None:
        self.log_prob = log_prob
        self.entropy = torch.zeros_like(log_prob) if entropy is None else entropy
        self.penalty = torch.zeros_like(log_prob) if penalty is None else penalty
        self.soft = soft
        self.value = value
        self.expected = expected
        self._make = designs

    @cached_property
    def designs(self) -> list[Play]:
        """The drawn designs, K a problem."""
        return list(self._make())


class Reviewed(NamedTuple):
    """Runs of training.

    Attributes:
        problem: A batch of T problems.
        designs: Of R runs.
        of: The problem of each run.
        score: Of each run.
    """

    problem: Batch
    designs: Sequence[Design]
    of: Int[Tensor, " R"]
    score: Float[Tensor, " R"]


class Designer(nn.Module, ABC):
    """A conditional probability distribution over designs, given a task and the agents on offer.

    A method may hand back policies, designs that go on deciding while they run, in their place.

    Args:
        space: The agents it will be trained on. Methods whose parameters do not depend on which
            agents these are can be used on any other space with the same text features.
    """

    def __init__(self, *, space: Space) -> None:
        super().__init__()
        self.space = space

    @abstractmethod
    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Draw designs for each problem, which is encoded once.

        Args:
            problem: A batch of T problems.
            num_designs: K.
            generator: Where randomness comes from; None for torch's own.
            greedy: Take the design that the method holds best instead of drawing; deterministic.
        """

    @abstractmethod
    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " T"]:
        """Return the log-probability of one given design a problem; -inf where it cannot be drawn.

        It scores designs, not the internal choices that led to them: choices that give the same design are summed.
        """

    def expect(self, problem: Batch, designs: Sequence[Design], *, of: Int[Tensor, " B"] | None = None) -> Expected:
        """Return the score, and the USD for 1,000 questions, expected of given designs.

        Args:
            of: The problem of each design; None for one design a problem, in their order.

        Raises:
            ConfigError: The method expects nothing of a design.
        """
        raise self._expects_nothing()

    def frontier(self, problem: Batch, usd_weights: Sequence[float]) -> Draft:
        """Return the designs held best for one problem at each of some prices of cost, with what is expected of them.

        Args:
            problem: A batch of one problem, whose own price does not count.

        Raises:
            ConfigError: The method expects nothing of a design.
        """
        raise self._expects_nothing()

    def _expects_nothing(self) -> ConfigError:
        return ConfigError(
            f"{type(self).__name__} does not predict what a design scores and costs; designer=joint, critic and "
            "evidence do"
        )

    def review(self, runs: Iterable[Reviewed]) -> None:
        """Look once more at all runs of training, before a validation; methods that keep count of them act here."""

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
    ) -> Trials:
        """Ask for runs until enough is known, then keep what was found; the state dict carries it.

        Args:
            tasks: Everything there is to learn from.
            problems: Encodes tasks, for methods that look at the question.
            usd_weight: lambda, for USD per 1,000 questions.
        """

    def without(self, tasks: Sequence[Task]) -> Designer:
        """Return the designer as it would be without some questions, to see what it expects of such.

        Itself where it fits so few numbers that single questions do not show.
        """
        return self


def refuse_below_one(**numbers: int | float) -> None:
    """Raise ConfigError for a number that is not 1 or more."""
    for name, number in numbers.items():
        if number < 1:
            raise ConfigError(f"{name} must be 1 or more; got {number}")
