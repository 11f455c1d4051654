"""Designers that learn nothing: one of the standard teams, for every question the same.

Shape letters: B problems in a batch.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.design.base import Designer, Draft
from gdesign.design.draws import RNG
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError
from gdesign.types import Play


class Constant(Designer):
    """A distribution with all its mass on one design, whatever the question."""

    @property
    @abstractmethod
    def design(self) -> Play:
        """The design, or the policy."""

    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Return the design as often as designs are drawn."""
        num: int = problem.num_graphs * num_designs
        design = self.design
        return Draft(designs=lambda: [design] * num, log_prob=torch.zeros(num, device=problem.x.device))

    def log_prob(self, problem: Batch, designs: Sequence[Play]) -> Float[Tensor, " B"]:
        """Return 0 for the design, -inf for every other."""
        own = self.design
        return torch.tensor([0.0 if d == own else -torch.inf for d in designs], device=problem.x.device)


class Fixed(Constant):
    """One standard team for every question; it has no parameters.

    Args:
        topology: Makes the design out of the chosen agents: a function of `gdesign.agents.teams`, `macnet`, or one of
            `gdesign.agents.policies`, which makes a policy instead.
        slots: The agents by slot index, in this order; a slot may be named more than once.
        llms: The agents by the names of their LLMs, in this order, each in its first free slot.
        llm: Keep only the agents with this LLM.
        role: Keep only the agents with this role.
        operator: Keep only the agents that work so.
        num_agents: Take the first so many of the chosen agents; None for all.
        repeat: Where `num_agents` is more than there are, go round the chosen agents again and again.
        **options: The topology's own (`num_rounds` of a debate, `quorum` of a cascade, ...).

    Raises:
        ConfigError: No such agents are on offer, or the topology cannot be made of them.
    """

    def __init__(
        self,
        *,
        space: Space,
        topology: Callable[..., Play],
        slots: Sequence[int] | None = None,
        llms: Sequence[str] | None = None,
        llm: str | None = None,
        role: str | None = None,
        operator: str | None = None,
        num_agents: int | None = None,
        repeat: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(space=space)
        if sum(x is not None for x in (slots, llms, llm)) > 1:
            raise ConfigError("choose agents by slots, by llms or by llm, not by several of them at once")
        chosen = _choose(space, slots=slots, llms=llms, llm=llm, role=role, operator=operator)
        if num_agents is not None:
            if num_agents < 1 or (num_agents > len(chosen) and not repeat):
                raise ConfigError(
                    f"num_agents={num_agents}, and {len(chosen)} agents fit the choice; "
                    "lower it, name slots (a slot may be named more than once), or set repeat=true"
                )
            chosen = list(islice(cycle(chosen), num_agents))
        self._design = topology([space.agents[i] for i in chosen], **options)

    @property
    def design(self) -> Play:
        """The design, or the policy."""
        return self._design


def _choose(
    space: Space,
    *,
    slots: Sequence[int] | None,
    llms: Sequence[str] | None,
    llm: str | None,
    role: str | None,
    operator: str | None,
) -> list[int]:
    n = len(space.slots)
    if slots is not None and (wrong := [i for i in slots if not 0 <= i < n]):
        raise ConfigError(f"slot {wrong[0]} does not exist; the slots are 0..{n - 1}: {_listing(space)}")
    chosen = list(range(n)) if slots is None else list(slots)
    if role is not None:
        chosen = _keep(chosen, [space.slots[i].role for i in chosen], role, "role")
    if operator is not None:
        chosen = _keep(chosen, [space.slots[i].operator for i in chosen], operator, "operator")
    if llm is not None:
        chosen = _keep(chosen, [space.slots[i].llm for i in chosen], llm, "LLM")
    if llms is None:
        return chosen
    picked: list[int] = []
    for name in llms:
        free = [i for i in chosen if i not in picked]
        picked.append(_keep(free, [space.slots[i].llm for i in free], name, "LLM")[0])
    return picked


def _keep(chosen: list[int], names: list[str], wanted: str, kind: str) -> list[int]:
    kept = [i for i, name in zip(chosen, names, strict=True) if name == wanted]
    if not kept:
        raise ConfigError(f"no free slot has the {kind} {wanted!r}; there are: {', '.join(dict.fromkeys(names))}")
    return kept


def _listing(space: Space) -> str:
    return ", ".join(f"{i} {s.role}/{s.llm}/{s.operator}" for i, s in enumerate(space.slots))
