"""Designs as tensors: who stands in them, and what kind of place each stands in.

A place is told by the design's own graph, whoever stands there: whom it hears and is heard by within a round and from
the round before, whom it watches and how many of these must agree, whether it decides, how often it speaks, and which
other places hold a copy of the same agent. Designs that differ in their agents alone share their places.

Shape letters: L designs, S skeletons, K places of the largest, F features of a place, R relations, U kinds of use.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gdesign.types import Agent, Decision, Design, Edge, Gate

NUM_PLACE_FEATURES = 13
"""F: what `_features` says of a place."""
NUM_RELATIONS = 7
"""R: hears and is heard within a round, hears and is heard a round later, watches and is watched, is a copy of."""


class Skeleton(NamedTuple):
    """A design without its agents; `same` has the first place of the agent that stands in each place."""

    gates: tuple[Gate | None, ...]
    spatial: tuple[Edge, ...]
    temporal: tuple[Edge, ...]
    num_rounds: int
    decision: Decision
    same: tuple[int, ...]


def ungated(agent: Agent) -> Agent:
    """Return the agent without its gate: the candidate that it is."""
    return agent if agent.gate is None else Agent(role=agent.role, llm=agent.llm, operator=agent.operator)


def skeleton(design: Design) -> Skeleton:
    """Return what is left of a design without its agents."""
    agents = [ungated(agent) for agent in design.agents]
    gates = tuple(agent.gate for agent in design.agents)
    same = tuple(agents.index(agent) for agent in agents)
    return Skeleton(gates, design.spatial, design.temporal, design.num_rounds, design.decision, same)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Who stands where in some designs.

    Attributes:
        agent: The agent in each place, by its number among those on offer; 0 where the design is smaller.
        kind: The kind of each place, skeleton times K plus its index in it; S K where the design is smaller.
        features: Of the places of each skeleton.
        relations: Of the places of each skeleton: [s, r, i, j] where r holds from i to j.
    """

    agent: Int[Tensor, "L K"]
    kind: Int[Tensor, "L K"]
    features: Float[Tensor, "S K F"]
    relations: Float[Tensor, "S R K K"]

    @cached_property
    def there(self) -> Bool[Tensor, "L K"]:
        """Where there is a place."""
        return self.kind < len(self.features) * self.features.shape[1]

    @cached_property
    def used(self) -> tuple[Int[Tensor, "U 2"], Int[Tensor, "L K"]]:
        """Each agent in each kind of place where some design has it, once; and which of these each place is."""
        num = len(self.features) * self.features.shape[1] + 1
        pairs, which = torch.unique(self.agent * num + self.kind, return_inverse=True)
        return torch.stack([pairs // num, pairs % num], dim=1), which

    def to(self, device: torch.device) -> "Places":
        """Return the same with its tensors there."""
        if self.agent.device == device:
            return self
        return Places(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    @classmethod
    def of(cls, designs: Sequence[Design], numbers: Mapping[Agent, int]) -> "Places":
        """Return those of some designs, of which there is one at least.

        Args:
            numbers: Of the agents on offer.
        """
        most = max(len(design.agents) for design in designs)
        seen: dict[Skeleton, int] = {}
        which = [seen.setdefault(skeleton(design), len(seen)) for design in designs]
        rows = [_padded([numbers[ungated(a)] for a in d.agents], most, 0) for d in designs]
        last = len(seen) * most
        kinds = [
            _padded(range(s * most, s * most + len(d.agents)), most, last) for s, d in zip(which, designs, strict=True)
        ]
        features, relations = zip(*(_graph(key, most) for key in seen), strict=True)
        return cls(
            agent=torch.tensor(rows),
            kind=torch.tensor(kinds),
            features=torch.stack(features),
            relations=torch.stack(relations),
        )


def _padded(row: Iterable[int], length: int, value: int) -> list[int]:
    out = list(row)
    return out + [value] * (length - len(out))


@lru_cache(maxsize=10_000)
def _graph(key: Skeleton, most: int) -> tuple[Float[Tensor, "K F"], Float[Tensor, "R K K"]]:
    num = len(key.gates)
    relations = torch.zeros(NUM_RELATIONS, most, most)
    for number, edges, first in ((0, key.spatial, 1), (2, key.temporal, 2)):
        for src, dst, rounds in edges:
            share = len(rounds) / (key.num_rounds - first + 1) if rounds else 1.0
            relations[number, dst, src] = relations[number + 1, src, dst] = share
    for i, gate in enumerate(key.gates):
        for w in () if gate is None else gate.watch:
            relations[4, i, w] = relations[5, w, i] = 1.0
        for j in range(num):
            relations[6, i, j] = float(i != j and key.same[i] == key.same[j])
    features = torch.zeros(most, NUM_PLACE_FEATURES)
    features[:num] = _features(key, relations[:, :num, :num])
    return features, relations


def _features(key: Skeleton, relations: Float[Tensor, "R K K"]) -> Float[Tensor, "K F"]:
    num = len(key.gates)
    quorum = [0.0 if g is None else g.quorum / len(g.watch) for g in key.gates]
    kind, weights = key.decision.kind, key.decision.weights
    always = max((i for i, gate in enumerate(key.gates) if gate is None), default=0)
    match kind:
        case "last":
            share = [float(i >= always) for i in range(num)]
        case "judge":
            share = [float(i == key.decision.judge) for i in range(num)]
        case _:
            share = [w / max(1e-6, max(map(abs, weights))) for w in weights] if weights else [1.0] * num
    own = torch.tensor([[float(g is not None) for g in key.gates], quorum, share]).T
    whole = torch.tensor([float(kind == "last"), float(kind == "judge"), num / 4, key.num_rounds - 1.0, 1.0])
    counts = torch.stack([relations[r].sum(1) / 2 for r in (0, 1, 2, 4, 6)], dim=1)
    return torch.cat([own, counts, whole.expand(num, -1)], dim=1)
