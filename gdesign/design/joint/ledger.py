"""What runs have shown of each design beyond what the method says of it.

The best of thousands of estimates is likely one that is too high (the winner's curse). So each design has an intercept
of its own: what its runs scored beyond what was expected of them, shrunk towards nothing (a random effect; Robinson,
Statistical Science 1991). And where a design is chosen for good it counts less the fewer runs it had: a lower
confidence bound, as in learning from runs that were not chosen for it (Rashidinejad et al., NeurIPS 2021).

Shape letters: L designs.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gdesign.design.joint.catalogue import Catalogue
from gdesign.design.joint.record import design_from_state, design_state
from gdesign.errors import ConfigError
from gdesign.types import Agent, Design


class Ledger:
    """How many runs each design had, and what they scored beyond what was expected, in all.

    Args:
        shrinkage: How many runs a design needs for half of what they scored beyond expectation to be added to it.
        doubt: What a design without a run counts less, in score, where one is chosen for good; one with n runs,
            doubt / sqrt(1 + n).

    Raises:
        ConfigError: `shrinkage` is not above 0, or `doubt` below 0.
    """

    def __init__(self, *, shrinkage: float = 100.0, doubt: float = 0.0) -> None:
        if not shrinkage > 0:
            raise ConfigError(f"shrinkage is a number of runs above 0; got {shrinkage}")
        if not doubt >= 0:
            raise ConfigError(f"doubt is a score of 0 or more; got {doubt}")
        self.shrinkage = shrinkage
        self.doubt = doubt
        self._found: Mapping[Design, tuple[int, float]] = {}
        self._agents: frozenset[Agent] = frozenset()
        self._read: tuple[Mapping[Design, int], Tensor] | None = None

    def of(self, runs: Iterable[tuple[Design, float]], *, agents: Iterable[Agent]) -> "Ledger":
        """Return the ledger of some runs, with the same settings.

        Args:
            runs: The design of each, and its score less what was expected.
            agents: Who was on offer.
        """
        found: dict[Design, tuple[int, float]] = {}
        for design, surplus in runs:
            num, total = found.get(design, (0, 0.0))
            found[design] = (num + 1, total + surplus)
        return self._with(found, agents)

    def surplus(self, catalogue: Catalogue) -> Float[Tensor, " L"]:
        """Return what is added to the score expected of each design."""
        num, total = self._columns(catalogue).unbind()
        surplus: Tensor = total / (num + self.shrinkage)
        return surplus

    def doubted(self, catalogue: Catalogue) -> Float[Tensor, " L"]:
        """Return what each design counts less.

        Where agents were added since, the runs tell nothing of designs with them; then none is doubted.
        """
        num = self._columns(catalogue)[0]
        if not self._agents.issuperset(catalogue.agents):
            return torch.zeros_like(num)
        return (1 + num).rsqrt() * self.doubt

    def state(self) -> dict[str, list[Any]]:
        """Return what was counted as lists, which a checkpoint may hold."""
        return {
            "runs": [[design_state(design), num, total] for design, (num, total) in self._found.items()],
            "agents": sorted([a.role, a.llm, a.operator] for a in self._agents),
        }

    def of_state(self, state: Mapping[str, Sequence[Any]]) -> "Ledger":
        """Return the ledger that `state` was taken of, with the same settings as this one."""
        found = {design_from_state(design): (num, total) for design, num, total in state["runs"]}
        return self._with(found, (Agent(role=r, llm=m, operator=o) for r, m, o in state["agents"]))

    def _with(self, found: Mapping[Design, tuple[int, float]], agents: Iterable[Agent]) -> "Ledger":
        ledger = Ledger(shrinkage=self.shrinkage, doubt=self.doubt)
        ledger._found, ledger._agents = found, frozenset(agents)
        return ledger

    def _columns(self, catalogue: Catalogue) -> Float[Tensor, "2 L"]:
        if self._read is None or self._read[0] is not catalogue.index:
            rows = [self._found.get(design, (0, 0.0)) for design in catalogue.designs]
            self._read = (catalogue.index, torch.tensor(rows).T)
        return self._read[1]
