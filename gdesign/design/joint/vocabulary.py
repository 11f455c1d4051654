"""Designs of a few shapes over the agents on offer, as tables; and what those without messages come to.

A shape is a design with places for agents. Where nobody hears anyone, the outcome of a design on a question follows
from what each agent replies alone, so outcomes of all designs can be composed from as many runs as there are agents.

Shape letters: T questions, C candidates, L designs of a shape, K places of a shape.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    def skeletons(self) -> list[Design]:
        """A design of each shape."""
        return [shape.skeleton for shape in self.shapes]

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

    def designs(self, most: int, num: int) -> dict[Design, int]:
        """Return designs, with the number of their shape: all, or where these are too many, so many.

        Each shape has an even share of them.

        Every agent alone is among them, if that is a shape; which others are is drawn, always alike.
        """
        whole = self.num_designs <= most
        generator = torch.Generator().manual_seed(0)
        found: dict[Design, int] = {}
        for number, shape in enumerate(self.shapes):
            if whole or shape.size == 1:
                teams = self._teams(shape)
            else:
                teams = self._drawn(shape, num // len(self.shapes), generator)
            for team in teams.tolist():
                found.setdefault(shape.make([self.agents[c] for c in team]), number)
        return found

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

    def _drawn(self, shape: Shape, num: int, generator: torch.Generator) -> Int[Tensor, "L K"]:
        """Return some teams of a shape, drawn evenly."""
        n = len(self.agents)
        if self.reuse:
            rows = torch.randint(n, (num, shape.size), generator=generator)
        elif n < shape.size:
            return torch.zeros(0, shape.size, dtype=torch.long)
        else:
            rows = torch.rand(num, n, generator=generator).argsort(1)[:, : shape.size]
        first = shape.num_unordered
        teams = [(*self._sorted(team[:first], shape), *team[first:]) for team in rows.tolist()]
        return torch.tensor(teams, dtype=torch.long).view(-1, shape.size)


def compose(
    design: Design, ids: Int[Tensor, "T L K"], scores: Float[Tensor, "T L K"], usd: Float[Tensor, "T L K"]
) -> tuple[Float[Tensor, "T L"], Float[Tensor, "T L"]]:
    """Return score and USD of designs that differ from this one in their agents alone, from what each replies alone.

    Exact where nobody hears anyone and replies do not change from one time to the next; where agents hear others it
    is what the design would come to if they took no notice.

    Args:
        ids: Equal for equal answers to one question; -1 for an unreadable answer.
    """
    answers: list[Tensor] = []
    spoke: list[Bool[Tensor, "T L"]] = []
    for k, agent in enumerate(design.agents):
        own = ids[..., k]
        if agent.gate is None:
            spoke.append(torch.ones_like(own, dtype=torch.bool))
        else:
            watched = [answers[w] for w in agent.gate.watch]
            most = torch.stack([_votes(a, watched) for a in watched]).amax(0)
            spoke.append(most < agent.gate.quorum)
        answers.append(own.masked_fill(~spoke[-1], -1))
    total = (usd * torch.stack(spoke, dim=-1)).sum(-1) * design.num_rounds
    match design.decision.kind:
        case "last":
            score = scores[..., 0]
            for k in range(1, len(design.agents)):
                score = torch.where(spoke[k], scores[..., k], score)
        case "judge":
            judge = design.decision.judge or 0
            score = scores[..., judge] * spoke[judge]
        case _:
            weights = design.decision.weights or (1.0,) * len(answers)
            voters = [k for k, weight in enumerate(weights) if weight != 0]
            score, most = scores[..., voters[0]] * spoke[voters[0]], torch.full(usd.shape[:-1], -torch.inf)
            for k in reversed(voters):  # whoever spoke, where nothing can be read; the earliest of these
                score = torch.where(spoke[k], scores[..., k], score)
            for k in voters:
                votes = sum(weights[j] * (answers[k] == answers[j]) for j in voters)
                wins = (answers[k] >= 0) & (votes > most)
                score, most = torch.where(wins, scores[..., k], score), torch.where(wins, votes, most)
    return score, total


def _votes(answer: Tensor, answers: Sequence[Tensor]) -> Int[Tensor, "T L"]:
    return torch.stack([(answer == other) & (answer >= 0) for other in answers]).sum(0, dtype=torch.int8)
