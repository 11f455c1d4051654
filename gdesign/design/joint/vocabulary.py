"""Designs of a few shapes over the agents on offer, as tables; and what those without messages come to.

A shape is a design with places for agents. Where nobody hears anyone, the outcome of a design on a question follows
from what each agent replies alone, so outcomes of all designs can be composed from as many runs as there are agents.

Shape letters: T questions, C candidates, L designs of a shape, K places of a shape.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, combinations_with_replacement, permutations, product
from math import comb, perm

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gdesign.agents import teams
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError
from gdesign.types import Agent, Design


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A kind of design.

    Attributes:
        make: Agents, in the order of the places, to the design.
        size: K.
        num_unordered: Agents in the first so many places may change places.
        by_name: Whether these stand by name, as designs that the last agent decides list them; if not, as the slots
            do (ties of a vote go to the first).
    """

    make: Callable[[Sequence[Agent]], Design]
    size: int
    num_unordered: int = 0
    by_name: bool = True

    @property
    def skeleton(self) -> Design:
        """The design of agents that stand for the places, in their order."""
        return self.make([Agent(role=str(k), llm="any") for k in range(self.size)])

    @property
    def talks(self) -> bool:
        """Whether anybody hears anyone."""
        return bool(self.skeleton.spatial or self.skeleton.temporal)


SHAPES = {
    "single": Shape(make=teams.single, size=1),
    "pair": Shape(make=teams.chain, size=2),
    "chain": Shape(make=teams.chain, size=3),
    "vote": Shape(make=teams.vote, size=3, num_unordered=3, by_name=False),
    "star": Shape(make=teams.star, size=3, num_unordered=2),
    "star_of_four": Shape(make=teams.star, size=4, num_unordered=3),
    "complete": Shape(make=teams.complete, size=3),
    "cascade": Shape(make=teams.cascade, size=3, num_unordered=2),
    "cascade_twice": Shape(make=teams.cascade_twice, size=4, num_unordered=2),
    "asking": Shape(make=teams.asking, size=3, num_unordered=2),
    "debate": Shape(make=teams.debate, size=2, num_unordered=2, by_name=False),
}
"""Kinds of design, by the names that configurations give."""


class Vocabulary:
    """All designs of some shapes over the candidates of a space.

    Args:
        space: The agents on offer; slots of one candidate count once.

    Raises:
        ConfigError: An unknown shape, or the candidates are too few for every shape.
    """

    def __init__(self, space: Space, *, shapes: Sequence[str], reuse: bool) -> None:
        if unknown := [s for s in shapes if s not in SHAPES]:
            raise ConfigError(f"shape {unknown[0]!r} is unknown; expected some of {', '.join(SHAPES)}")
        if not shapes or len(set(shapes)) < len(shapes):
            raise ConfigError(f"shapes must name each shape once, and at least one; got {list(shapes)}")
        self.agents = tuple(dict.fromkeys(space.agents))
        self.shapes = tuple(SHAPES[name] for name in shapes)
        self.reuse = reuse
        smallest = min(shape.size for shape in self.shapes)
        if not reuse and len(self.agents) < smallest:
            raise ConfigError(
                f"no shape can be filled by {len(self.agents)} agents; the smallest of {list(shapes)} takes {smallest}"
            )

    @property
    def num_designs(self) -> int:
        """How many designs there are of all shapes, counted without listing them."""
        n = len(self.agents)
        total = 0
        for shape in self.shapes:
            free = shape.size - shape.num_unordered
            if self.reuse:
                total += comb(n + shape.num_unordered - 1, shape.num_unordered) * n**free
            elif n >= shape.size:
                total += comb(n, shape.num_unordered) * perm(n - shape.num_unordered, free)
        return total

    @cached_property
    def teams(self) -> list[Int[Tensor, "_ _"]]:
        """For each shape, the candidates in the places of each design."""
        return [self._teams(shape) for shape in self.shapes]

    def design(self, shape: int, team: Sequence[int]) -> Design:
        """Return a design by the number of its shape and its candidates."""
        return self.shapes[shape].make([self.agents[c] for c in team])

    def find(self, design: Design) -> tuple[int, tuple[int, ...]] | None:
        """Return shape and candidates of a design; None if it is not among those of the shapes."""
        agents = [Agent(role=a.role, llm=a.llm, operator=a.operator) for a in design.agents]
        if not set(agents) <= set(self.agents) or (not self.reuse and len(set(agents)) < len(agents)):
            return None
        for number, shape in enumerate(self.shapes):
            if len(agents) == shape.size and shape.make(agents) == design:
                team = [self.agents.index(a) for a in agents]
                first = self._sorted(team[: shape.num_unordered], shape)
                if not shape.by_name and first != tuple(team[: shape.num_unordered]):
                    return None  # a vote in another order, whose ties another agent wins
                return number, (*first, *team[shape.num_unordered :])
        return None

    def _sorted(self, team: Sequence[int], shape: Shape) -> tuple[int, ...]:
        if not shape.by_name:
            return tuple(sorted(team))
        return tuple(sorted(team, key=lambda c: (self.agents[c].role, self.agents[c].llm, self.agents[c].operator)))

    def _teams(self, shape: Shape) -> Int[Tensor, "L K"]:
        everyone = range(len(self.agents))
        num_free = shape.size - shape.num_unordered
        pick = combinations_with_replacement if self.reuse else combinations
        order: Callable[..., object] = (lambda x, n: product(x, repeat=n)) if self.reuse else permutations
        rows = [
            (*self._sorted(first, shape), *rest)
            for first in pick(everyone, shape.num_unordered)
            for rest in order(everyone, num_free)  # type: ignore[attr-defined]
            if self.reuse or not set(first) & set(rest)
        ]
        return torch.tensor(rows, dtype=torch.long).view(-1, shape.size)


def compose(
    shape: Shape, ids: Int[Tensor, "T L K"], scores: Float[Tensor, "T L K"], usd: Float[Tensor, "T L K"]
) -> tuple[Float[Tensor, "T L"], Float[Tensor, "T L"]]:
    """Return score and USD of designs of a shape, from what the agent in each place replies alone.

    Exact where nobody hears anyone and replies do not change from one time to the next; where agents hear others it
    is what the design would come to if they took no notice.

    Args:
        ids: Equal for equal answers to one question; -1 for an unreadable answer.
    """
    skeleton = shape.skeleton
    answers: list[Tensor] = []
    spoke: list[Bool[Tensor, "T L"]] = []
    for k, agent in enumerate(skeleton.agents):
        own = ids[..., k]
        if agent.gate is None:
            spoke.append(torch.ones_like(own, dtype=torch.bool))
        else:
            watched = [answers[w] for w in agent.gate.watch]
            most = torch.stack([_votes(a, watched) for a in watched]).amax(0)
            spoke.append(most < agent.gate.quorum)
        answers.append(own.masked_fill(~spoke[-1], -1))
    total = (usd * torch.stack(spoke, dim=-1)).sum(-1) * skeleton.num_rounds
    match skeleton.decision.kind:
        case "last":
            score = scores[..., 0]
            for k in range(1, shape.size):
                score = torch.where(spoke[k], scores[..., k], score)
        case "vote":
            votes = torch.stack([_votes(a, answers) for a in answers], dim=-1)
            score = scores.gather(-1, votes.argmax(-1, keepdim=True))[..., 0]
        case _:
            raise AssertionError(skeleton.decision.kind)
    return score, total


def _votes(answer: Tensor, answers: Sequence[Tensor]) -> Int[Tensor, "T L"]:
    return torch.stack([(answer == other) & (answer >= 0) for other in answers]).sum(0, dtype=torch.int8)
