"""The designs that may be drawn: a finite set over the agents on offer, which grows while a designer learns.

Shape letters: T problems in a batch, N slots, A agents, L designs, K places of the largest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.design.joint.places import Places
from gdesign.encode.problem import USUAL_TOKENS, Space
from gdesign.types import Agent, Design


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Some designs over one space, each once.

    Attributes:
        numbers: Of the agents on offer.
        kind: What kind of design each is: its shape, or one more for those that were proposed.
        places: Who stands where.
        index: The number of each design.
        agent: The agent of each slot of the space.
        usual_usd: USD for 1,000 calls of each agent, by `USUAL_TOKENS`.
    """

    numbers: Mapping[Agent, int]
    designs: tuple[Design, ...]
    kind: Int[Tensor, " L"]
    places: Places
    index: Mapping[Design, int]
    agent: Int[Tensor, " N"]
    usual_usd: Float[Tensor, " A"]

    @classmethod
    def of(cls, space: Space, designs: Mapping[Design, int]) -> "Catalogue":
        """Return the catalogue of some designs, of which there is one at least, by their kinds."""
        agents = tuple(dict.fromkeys(space.agents))
        llms = [space.pool.llm(a.llm) for a in agents]
        numbers = {agent: i for i, agent in enumerate(agents)}
        usual = [1000 * m.usd(prompt_tokens=USUAL_TOKENS[0], completion_tokens=USUAL_TOKENS[1]) for m in llms]
        return cls(
            numbers=numbers,
            designs=tuple(designs),
            kind=torch.tensor(list(designs.values())),
            places=Places.of(tuple(designs), numbers),
            index={design: i for i, design in enumerate(designs)},
            agent=torch.tensor([numbers[a] for a in space.agents]),
            usual_usd=torch.tensor(usual),
        )

    def of_same(self, designs: Sequence[Design]) -> "Catalogue":
        """Return some designs over the same space, in their order."""
        return replace(
            self,
            designs=tuple(designs),
            kind=torch.zeros(len(designs), dtype=torch.long),
            places=Places.of(designs, self.numbers),
            index={design: i for i, design in enumerate(designs)},
        )

    @property
    def agents(self) -> tuple[Agent, ...]:
        """Who is on offer, each once."""
        return tuple(self.numbers)

    @cached_property
    def even(self) -> Float[Tensor, " L"]:
        """Of each design, up to a factor, where every kind is as likely as any other, and every design of a kind."""
        return 1 / torch.bincount(self.kind)[self.kind].float()

    @cached_property
    def singles(self) -> Int[Tensor, " A"]:
        """The number of each agent's design in which it is alone; -1 where there is none."""
        return torch.tensor([self.index.get(Design(agents=(agent,)), -1) for agent in self.agents])

    def find(self, design: Design) -> int:
        """Return the number of a design; how many there are if it is none of these."""
        return self.index.get(design, len(self.designs))

    def present(self, problem: Batch) -> Bool[Tensor, "T L"]:
        """Return which designs can be made of the slots of each problem."""
        is_slot = problem.slot >= 0
        device = problem.x.device
        here = torch.zeros(problem.num_graphs, len(self.numbers), dtype=torch.bool, device=device)
        here[problem.batch[is_slot], self.agent.to(device)[problem.slot[is_slot]]] = True
        places = self.places.to(device)
        return (here[:, places.agent] | ~places.there).all(-1)
