"""How drawn designs and their utilities become a loss whose gradient improves the designer.

Shape letters: T tasks, K designs drawn for each, R earlier runs.

Each estimator returns the mean over tasks (times their weights) and designs of
-advantage * log-probability; the gradient of its expectation is the exact policy gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gdesign.errors import ConfigError, UserError


class Replayed(NamedTuple):
    """Earlier runs that a critic goes over again.

    Attributes:
        expected: What the critic expects of each, with its gradient.
        utility: What each was worth.
        task: Equal for runs of one task in one step.
        weight: Of its task.
    """

    expected: Float[Tensor, " R"]
    utility: Float[Tensor, " R"]
    task: Int[Tensor, " R"]
    weight: Float[Tensor, " R"]


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """K designs drawn for each of T tasks, and what they turned out to be worth.

    Attributes:
        log_prob: Of each design, with its gradient.
        utility: Of each run; holds no gradient.
        entropy: As the method defines it.
        weight: Of each task; 1 on average over the training tasks.
        teacher_log_prob: Of a given design for each task; None where none is imitated.
        value: What the method's critic expects each design to be worth, with its gradient; None without a critic.
        replayed: Earlier runs that are gone over again; None for none.
    """

    log_prob: Float[Tensor, "T K"]
    utility: Float[Tensor, "T K"]
    entropy: Float[Tensor, "T K"]
    penalty: Float[Tensor, "T K"]
    weight: Float[Tensor, " T"]
    teacher_log_prob: Float[Tensor, " T"] | None = None
    value: Float[Tensor, "T K"] | None = None
    replayed: Replayed | None = None


Estimator = Callable[[Rollouts], Tensor]


class Reinforce(nn.Module):
    """REINFORCE against the moving average of earlier utilities (Williams 1992).

    The baseline holds no utility of the designs it is compared with, so the gradient is unbiased;
    before the first step it is 0. It is a buffer, so checkpoints carry it.

    Args:
        decay: What the average keeps at each step, in [0, 1).
    """

    total: Tensor
    count: Tensor

    def __init__(self, *, decay: float = 0.95) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ConfigError(f"decay must be in [0, 1); got {decay}")
        self.decay = decay
        self.register_buffer("total", torch.zeros((), dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @property
    def baseline(self) -> Float[Tensor, ""]:
        """The moving average; 0 before the first step."""
        return self.total / self.count.clamp(min=1e-12)

    def forward(self, rollouts: Rollouts) -> Float[Tensor, ""]:
        """Return the loss, then let the average see the utilities."""
        advantage = rollouts.utility - self.baseline.to(rollouts.utility.dtype)
        loss = -(rollouts.weight[:, None] * advantage * rollouts.log_prob).mean()
        if self.training:
            mean = (rollouts.weight[:, None] * rollouts.utility).sum() / (rollouts.weight.sum() * advantage.shape[1])
            self.total = self.decay * self.total + mean.double()
            self.count = self.decay * self.count + 1.0
        return loss


def leave_one_out(rollouts: Rollouts) -> Float[Tensor, ""]:
    """Return the REINFORCE loss of each design against the mean of the others drawn for its task.

    Kool, van Hoof and Welling 2019, "Buy 4 REINFORCE samples, get a baseline for free!".

    Raises:
        ConfigError: Fewer than two designs a task.
    """
    k = rollouts.utility.shape[1]
    if k < 2:
        raise ConfigError(f"leave_one_out compares designs of one task; num_designs must be 2 or more, got {k}")
    others = (rollouts.utility.sum(dim=1, keepdim=True) - rollouts.utility) / (k - 1)
    return -(rollouts.weight[:, None] * (rollouts.utility - others) * rollouts.log_prob).mean()


def imitation(rollouts: Rollouts) -> Float[Tensor, ""]:
    """Return the negative log-probability of the given designs.

    Raises:
        ConfigError: No designs were given.
        UserError: The method cannot draw one of them.
    """
    given = rollouts.teacher_log_prob
    if given is None:
        raise ConfigError("imitation needs designs to imitate; name a run folder as learner.teacher")
    if bool(torch.isinf(given).any()):
        which = int(torch.isinf(given).nonzero()[0])
        raise UserError(
            f"the designer cannot draw the design it should imitate (task {which} of the batch has log-probability "
            "-inf); imitate designs of its own family, or choose another designer"
        )
    return -(rollouts.weight * given).mean()


def critic(rollouts: Rollouts, *, between: float = 1.0) -> Float[Tensor, ""]:
    """Return the squared error of what the method's critic expects of each design.

    The inner problem of bi-level optimisation; the outer one, that designs are worth much to the
    critic, is the penalty of a method that has one (CommFormer, arXiv 2405.08550).

    Args:
        between: What the mean error of a task's designs counts beside each design's own distance from it. Designs of
            one task are run with the same luck, so how they differ is known better than how good all of them are.

    Raises:
        ConfigError: The method has no critic.
    """
    if rollouts.value is None:
        raise ConfigError("this learner trains a critic, and the designer has none; choose another learner")
    error = rollouts.value - rollouts.utility
    mean = error.mean(1, keepdim=True)
    parts = [(rollouts.weight[:, None] * ((error - mean).square() + between * mean.square())).flatten()]
    if rollouts.replayed is not None:
        earlier = rollouts.replayed
        error = earlier.expected - earlier.utility
        num = torch.bincount(earlier.task).to(error)
        of_task = (torch.zeros_like(num).index_add(0, earlier.task, error) / num)[earlier.task]
        parts.append(earlier.weight * ((error - of_task).square() + between * of_task.square()))
    return torch.cat(parts).mean()
