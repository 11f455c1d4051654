"""joint: what every design would score and cost on a question, and the design that is worth most at a price of cost.

Both parts together: S_d(q) = w E_d(q) + R_d(q) and C_d(q) = F_d(q) exp(r_d(q)). Evidence (E, F) composes what agents
replied alone; the critic (R, r) adds what messages, copies and the rest change, reads what evidence says of each agent,
and is fitted to every run there has been; w falls from 1 as runs come in. docs/methods/joint.md has the equations.

Shape letters: T problems in a batch, P past questions, A agents, L designs, H hidden features.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.design.base import Draft, Expected
from gdesign.design.draws import RNG
from gdesign.design.joint.catalogue import Catalogue
from gdesign.design.joint.critic import Network
from gdesign.design.joint.evidence import Attended, Evidence
from gdesign.design.joint.ledger import Ledger
from gdesign.design.joint.listed import USUAL, Look
from gdesign.encode.graph import GNN, GraphEncoder
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError

GOLDEN = 0.6180339887
"""Multiples of it spread evenly between whole numbers."""
WORTH = 5
"""Runs of each design that evidence counts as much as."""


class Joint(Evidence):
    """Draw the designs that are expected to be worth most, given the question and the price of cost.

    No parameter belongs to a slot, and evidence goes by names, so agents may be added later. The other settings are
    those of `Listed` and `Evidence`.

    Args:
        num_probes: How many training questions each agent is asked alone before training, 0 for none, None for all.
        hidden: How often it is kept back from the critic in training who an agent is (text, prices, cost). That of
            agents added later always is: the critic has not learned what it means, and goes by what they replied.

    Raises:
        ConfigError: As of `Listed`, or `hidden` outside [0, 1].
    """

    num_drawn: Tensor

    def __init__(
        self,
        *,
        space: Space,
        gnn: GNN = GraphEncoder,
        shapes: Sequence[str] = USUAL,
        reuse: bool = True,
        temperature: float = 0.02,
        explored: float = 0.1,
        shrinkage: float = 100.0,
        doubt: float = 0.2,
        num_probes: int | None = 200,
        max_probes: int | None = 4000,
        hidden: float = 0.0,
        num_factors: int = 6,
        cost_weight: float = 0.3,
        ridge: float = 0.3,
        spread: float = 1.5,
        text_weight: float = 3.0,
    ) -> None:
        super().__init__(
            space=space,
            shapes=shapes,
            reuse=reuse,
            temperature=temperature,
            explored=explored,
            num_probes=num_probes,
            max_probes=max_probes,
            num_factors=num_factors,
            cost_weight=cost_weight,
            ridge=ridge,
            spread=spread,
            text_weight=text_weight,
        )
        if not 0 <= hidden <= 1:
            raise ConfigError(f"hidden is a share of the agents, expected 0 <= hidden <= 1; got {hidden}")
        self.hidden = hidden
        self.network = Network(gnn=gnn, space=space)
        self._ledger = Ledger(shrinkage=shrinkage, doubt=doubt)
        self.register_buffer("num_drawn", torch.zeros((), dtype=torch.long))

    @property
    def counts(self) -> float:
        """What evidence counts beside the critic: w, as if each design had had `WORTH` runs.

        Where few designs can be listed the critic soon knows them better than what agents replied alone does, and what
        is added stands in its way; it reads evidence in any case.
        """
        prior = WORTH * self.vocabulary.num_designs
        return prior / (prior + int(self.num_drawn))

    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Draw designs for each problem; greedily, the one expected to be worth most."""
        draft = super().forward(problem, num_designs=num_designs, generator=generator, greedy=greedy)
        if self.training and not greedy:
            self.num_drawn += problem.num_graphs * num_designs
        return draft

    def look(self, problem: Batch, catalogue: Catalogue) -> Look:
        """Return what evidence and critic say; before anybody was asked, what the critic alone does."""
        if not self.asked:
            return self.network.look(problem, catalogue)
        profiles = self.profiles(catalogue).to(problem.x.device)
        question = problem.x[problem.slot < 0]
        attention = profiles(question)
        alone = torch.stack([*profiles.alone(attention), profiles.told(question)], dim=-1)
        hidden = self._hidden(question, profiles.added)
        agents = self.network.read(problem, catalogue, alone=alone, hidden=hidden)
        return Both(Attended(self, attention), self.network, agents, counts=self.counts)

    def _hidden(self, question: Float[Tensor, "T D"], added: Bool[Tensor, " A"]) -> Bool[Tensor, "T A"]:
        """Return who is kept back; in training the last digits of the question's features decide."""
        if not self.training:
            return added.expand(len(question), -1)
        digits = 1e4 * question.sum(1, keepdim=True).double()
        agents = torch.arange(1, len(added) + 1, device=added.device)
        return ((digits + agents * GOLDEN).frac().abs() < self.hidden) | added


class Both(Look):
    """S = w E + R and C = F exp(r).

    Args:
        counts: w.
    """

    def __init__(self, evidence: Attended, network: Network, agents: Float[Tensor, "T A H"], *, counts: float) -> None:
        self.counts = counts
        self.evidence = evidence
        self.network = network
        self.agents = agents

    def every(self, catalogue: Catalogue) -> Expected:
        """Return S and C of each design on each problem."""
        E, F = self.evidence.every(catalogue)
        R, r = self.network.every(self.agents, catalogue.places.to(self.agents.device))
        return Expected(self.counts * E + R, F * r.exp())

    def some(self, catalogue: Catalogue, row: Int[Tensor, " L"]) -> Expected:
        """Return S and C of each design on one problem."""
        E, F = self.evidence.some(catalogue, row)
        R, r = self.network.some(self.agents, catalogue.places.to(self.agents.device), row)
        return Expected(self.counts * E + R, F * r.exp())
