"""The distribution that critic, evidence and joint share: over a catalogue of designs, by what is expected of each.

p(d given q, lambda) = softmax over d of (S_d(q) - lambda C_d(q)) / temperature. The methods differ in where S, the
score, and C, the USD for 1,000 questions, come from; lambda, the price of cost, enters here and nowhere else, so one
fit serves every price. The catalogue begins with designs of a few shapes and grows by what is proposed: designs a
step from those held best.

Shape letters: T problems in a batch, K designs drawn for each, B = T * K, L designs, A agents.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.design.base import Designer, Draft, Expected, Reviewed
from gdesign.design.draws import NEVER, RNG
from gdesign.design.joint.catalogue import Catalogue
from gdesign.design.joint.ledger import Ledger
from gdesign.design.joint.places import ungated
from gdesign.design.joint.proposals import Language
from gdesign.design.joint.record import design_from_state, design_state
from gdesign.design.joint.vocabulary import Vocabulary
from gdesign.design.slot_graphs import each
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError
from gdesign.types import Agent, Design

USUAL = ("single", "pair", "vote", "star", "star_of_four", "complete", "cascade", "asking", "debate")
"""Shapes that the catalogue begins with unless others are named."""
MAX_LISTED = 5_000
"""Designs of these that are all in the catalogue; where there are more, `NUM_LISTED` of them are."""
NUM_LISTED = 1_500
MAX_PROPOSED = 1_500
"""Most proposed designs that the catalogue keeps."""
MAX_GRADIENT = 1_000
"""Most designs through all of which gradients go; of more, through the drawn ones alone."""
EVERY = 8
"""Training steps from one proposal to the next."""
ASKED = 2
"""Questions of a step that designs are proposed for."""
MAX_PARENTS = 24
"""Designs at most from which a proposal starts."""


class Look(ABC):
    """What is known of the agents on some problems, so that designs can be told apart."""

    @abstractmethod
    def every(self, catalogue: Catalogue) -> Expected:
        """Return S and C of each design on each problem, Float[T, L] each."""

    @abstractmethod
    def some(self, catalogue: Catalogue, row: Int[Tensor, " L"]) -> Expected:
        """Return S and C of each design on one problem, Float[L] each.

        Args:
            row: The problem of each design.
        """


class Distribution(NamedTuple):
    """What is expected of every design of the catalogue, and how likely it is drawn.

    Attributes:
        expected: S and C.
        worth: S - lambda C; out of training with what runs have shown, and less what is doubted.
        log_p: Log-probability.
        present: Whether the slots of the problem can fill it.
    """

    expected: Expected
    worth: Float[Tensor, "T L"]
    log_p: Float[Tensor, "T L"]
    present: Bool[Tensor, "T L"]


class Listed(Designer):
    """A softmax over a catalogue of designs.

    Args:
        shapes: What kinds of design the catalogue begins with, names of `gdesign.design.joint.vocabulary.SHAPES`. What
            none of them has (messages, rounds, votes, gates) no proposed design has either.
        reuse: Whether an agent may stand in several places of a design. Recorded answers hold one answer an LLM.
        temperature: Of the draws, in utility: how much worse a design is that is drawn e times more seldom.
        explored: Share of the draws in training that take any kind alike, and any design of it, whatever they are
            expected to be worth; so what was misjudged early is seen again.

    Raises:
        ConfigError: An unknown shape, too few agents, or `explored` outside [0, 1).
    """

    def __init__(
        self, *, space: Space, shapes: Sequence[str], reuse: bool, temperature: float, explored: float = 0.0
    ) -> None:
        super().__init__(space=space)
        if not temperature > 0:
            raise ConfigError(f"temperature must be above 0; got {temperature}")
        if not 0 <= explored < 1:
            raise ConfigError(f"explored is a share of the draws, expected 0 <= explored < 1; got {explored}")
        self.shapes = tuple(shapes)
        self.reuse = reuse
        self.temperature = temperature
        self.explored = explored
        self.vocabulary = Vocabulary(space, shapes=self.shapes, reuse=reuse)
        self._proposed: dict[Design, float] = {}
        self._catalogue: tuple[Space, Catalogue] | None = None
        self._last: Batch | None = None
        self._ledger = Ledger()
        self._near = lru_cache(maxsize=10_000)(Language.of(self.vocabulary.skeletons, reuse=reuse).near)

    @property
    def grows(self) -> bool:
        """Whether designs are proposed: where those of the shapes are too many to list."""
        return self.vocabulary.num_designs > MAX_LISTED

    @abstractmethod
    def look(self, problem: Batch, catalogue: Catalogue) -> Look:
        """Return what is known of the agents on each problem; prices of cost do not count."""

    def catalogue(self, space: Space) -> Catalogue:
        """Return the designs that may be drawn over a space."""
        if self._catalogue is None or self._catalogue[0] is not space:
            designs = Vocabulary(space, shapes=self.shapes, reuse=self.reuse).designs(MAX_LISTED, NUM_LISTED)
            on_offer = set(space.agents)
            for design in self._proposed:
                if on_offer.issuperset(map(ungated, design.agents)):
                    designs.setdefault(design, len(self.shapes))
            self._catalogue = (space, Catalogue.of(space, designs))
        return self._catalogue[1]

    def distribution(self, problem: Batch) -> tuple[Distribution, Look]:
        """Return the distribution over the catalogue, given each question and its price of cost."""
        catalogue = self.catalogue(problem.space[0])
        look = self.look(problem, catalogue)
        with torch.set_grad_enabled(torch.is_grad_enabled() and len(catalogue.designs) <= MAX_GRADIENT):
            expected = look.every(catalogue)
        present = catalogue.present(problem)
        worth = expected.score - problem.usd_weight[:, None] * expected.usd
        if not self.training:
            expected = self._shown(expected, catalogue)
            worth = self._worth_for_good(expected, problem.usd_weight[:, None], catalogue)
        log_p = (worth / self.temperature).masked_fill(~present, NEVER).log_softmax(-1)
        if self.training and self.explored:
            even = catalogue.even.to(log_p) * present
            even = self.explored * even / even.sum(-1, keepdim=True)
            log_p = torch.logaddexp(log_p + math.log1p(-self.explored), even.log())
        return Distribution(expected, worth, log_p, present), look

    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Draw designs for each problem; greedily, the one expected to be worth most."""
        catalogue = self.catalogue(problem.space[0])
        (expected, worth, log_p, present), look = self.distribution(problem)
        row = each(problem.num_graphs, num_designs, log_p.device)
        keys = worth
        if not greedy:
            noise = log_p.new_empty(len(row), log_p.shape[1]).exponential_(generator=generator)
            keys = log_p.detach()[row] - noise.log()
        chosen = (keys if len(keys) == len(row) else keys[row]).masked_fill(~present[row], -torch.inf).argmax(-1)
        designs = [catalogue.designs[i] for i in chosen.tolist()]
        score, usd = expected.score[row, chosen], expected.usd[row, chosen]
        value = worth[row, chosen]
        if torch.is_grad_enabled() and not worth.requires_grad:
            score, usd = look.some(catalogue.of_same(designs), row)
            value = score - problem.usd_weight[row] * usd
        if self.training and not greedy:
            self._last = problem
        return Draft(
            designs=lambda: designs,
            log_prob=log_p[row, chosen],
            entropy=-(log_p.exp() * log_p).sum(-1)[row],
            value=value,
            expected=Expected(score, usd),
        )

    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " T"]:
        """Return the log-probability of one given design a problem; -inf where it cannot be drawn."""
        catalogue = self.catalogue(problem.space[0])
        _, _, log_p, present = self.distribution(problem)[0]
        log_p = log_p.masked_fill(~present, -torch.inf)
        impossible = log_p.new_full((len(log_p), 1), -torch.inf)
        number = torch.tensor([catalogue.find(design) for design in designs], device=log_p.device)
        return torch.cat([log_p, impossible], dim=1).gather(1, number[:, None])[:, 0]

    def expect(self, problem: Batch, designs: Sequence[Design], *, of: Int[Tensor, " B"] | None = None) -> Expected:
        """Return the score, and the USD for 1,000 questions, expected of given designs; see `Designer.expect`.

        Raises:
            ConfigError: An agent of a design is not on offer.
        """
        catalogue = self.catalogue(problem.space[0])
        known = set(catalogue.agents)
        if missing := [a for d in designs for a in map(ungated, d.agents) if a not in known]:
            agent = missing[0]
            raise ConfigError(
                f"{type(self).__name__} can say what to expect of designs over the agents on offer; got one with "
                f"{agent.role}/{agent.llm}/{agent.operator}"
            )
        row = torch.arange(len(designs), device=problem.x.device) if of is None else of
        these = catalogue.of_same(designs)
        expected = self.look(problem, catalogue).some(these, row)
        return expected if self.training else self._shown(expected, these)

    def frontier(self, problem: Batch, usd_weights: Sequence[float]) -> Draft:
        """Return the designs expected to be worth most at each price; the question is looked at once."""
        catalogue = self.catalogue(problem.space[0])
        expected = self._shown(self.look(problem, catalogue).every(catalogue), catalogue)
        (score,), (usd,) = expected
        price = torch.tensor(usd_weights, dtype=score.dtype, device=score.device)
        worth = self._worth_for_good(expected, price[:, None], catalogue).masked_fill(
            ~catalogue.present(problem), -torch.inf
        )
        chosen = worth.argmax(-1)
        log_prob = (worth / self.temperature).log_softmax(-1).gather(1, chosen[:, None])[:, 0]
        return Draft(
            designs=lambda: [catalogue.designs[i] for i in chosen.tolist()],
            log_prob=log_prob,
            expected=Expected(score[chosen], usd[chosen]),
        )

    # ------------------------------------------------------------------------ what runs have shown

    @torch.no_grad()
    def review(self, runs: Iterable[Reviewed]) -> None:
        """Count the runs of each design, and what they scored beyond what is expected of them now."""
        self._ledger = self._ledger.of((), agents=())
        surplus: list[tuple[Design, float]] = []
        for problem, designs, of, score in runs:
            more = score - self.expect(problem, designs, of=of).score
            surplus += zip(designs, more.tolist(), strict=True)
        self._ledger = self._ledger.of(surplus, agents=self.space.agents)

    def _shown(self, expected: Expected, catalogue: Catalogue) -> Expected:
        surplus = self._ledger.surplus(catalogue)
        return expected._replace(score=expected.score + surplus.to(expected.score))

    def _worth_for_good(
        self, shown: Expected, price: Float[Tensor, "T 1"], catalogue: Catalogue
    ) -> Float[Tensor, "T L"]:
        doubt = self._ledger.doubted(catalogue).to(shown.score)
        return shown.score - price * shown.usd - doubt

    # ------------------------------------------------------------------------ proposals

    def step_taken(self, num_steps: int) -> None:
        """Propose designs for the questions of the step, now and then."""
        if self._last is not None and self.grows and num_steps % EVERY == 0:
            self.propose(self._last)
        self._last = None

    @torch.no_grad()
    def propose(self, problem: Batch, *, num_asked: int = ASKED) -> int:
        """Add to the catalogue what is held best a step from the best designs, of all and of each kind.

        Args:
            num_asked: For how many of the problems.

        Returns:
            How many were added.
        """
        training = self.training
        self.eval()
        try:
            return self._propose(problem, num_asked)
        finally:
            self.train(training)

    def _propose(self, problem: Batch, num_asked: int, *, num_best: int = 3, num_agents: int = 6) -> int:
        space = problem.space[0]
        catalogue = self.catalogue(space)
        look = self.look(problem, catalogue)
        worth = self._worth(look.every(catalogue), problem, catalogue)
        gap = worth - worth.amax(-1, keepdim=True)
        kinds = catalogue.kind
        parents: dict[int, None] = {}
        agents: dict[Agent, None] = {}
        for own in gap[:num_asked]:
            parents |= dict.fromkeys(own.topk(min(num_best, len(own))).indices.tolist())
            agents |= dict.fromkeys(self._promising(own, catalogue, num_agents))
        every = gap[:num_asked].amax(0)
        parents |= {
            int(every.masked_fill(kinds != kind, -torch.inf).argmax()): None for kind in sorted(set(kinds.tolist()))
        }
        among = tuple(sorted(list(agents)[: 2 * num_agents], key=catalogue.numbers.__getitem__))
        found: dict[Design, None] = {}
        for parent in list(parents)[:MAX_PARENTS]:
            found |= self._near(catalogue.designs[parent], among)
        new = [design for design in found if design not in catalogue.index]
        if not new:
            return 0
        more = catalogue.of_same(new)
        theirs = self._worth(look.every(more), problem, more) - worth.amax(-1, keepdim=True)
        best = theirs.topk(min(num_best, len(new)), dim=-1)
        near = best.values > -self.temperature
        for design in self._proposed:
            self._proposed[design] -= 0.001
        for d, i in catalogue.index.items():
            if d in self._proposed:
                self._proposed[d] = max(self._proposed[d], float(gap[:, i].max()))
        added = [new[i] for i in torch.unique(best.indices[near]).tolist()]
        for d in added:
            self._proposed[d] = 0.0
        if len(self._proposed) > MAX_PROPOSED:
            kept = sorted(self._proposed, key=self._proposed.__getitem__, reverse=True)[: 4 * MAX_PROPOSED // 5]
            self._proposed = {d: self._proposed[d] for d in kept}
        if added:
            self._catalogue = None
        return len(added)

    def _worth(self, expected: Expected, problem: Batch, catalogue: Catalogue) -> Float[Tensor, "T L"]:
        worth = expected.score - problem.usd_weight[:, None] * expected.usd
        present = catalogue.present(problem)
        return torch.where(present, worth, torch.full_like(worth, -torch.inf))

    def _promising(self, gap: Float[Tensor, " L"], catalogue: Catalogue, num: int) -> list[Agent]:
        """Return the agents that are best alone, and those of the best designs."""
        found: dict[Agent, None] = {}
        if bool((catalogue.singles >= 0).all()):
            best = gap[catalogue.singles].topk(min(num // 2, len(catalogue.agents))).indices.tolist()
            found |= dict.fromkeys(catalogue.agents[i] for i in best)
        for i in gap.topk(min(100, len(gap))).indices.tolist():
            found |= dict.fromkeys(map(ungated, catalogue.designs[i].agents))
            if len(found) >= num:
                break
        return list(found)[:num]

    def get_extra_state(self) -> Mapping[str, Any]:
        """Return what was proposed, for the state dict."""
        return {
            "proposed": [design_state(d) for d in self._proposed],
            "held": list(self._proposed.values()),
            "ledger": self._ledger.state(),
        }

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take what was proposed from a state dict; what needs agents that are not on offer is not drawn."""
        self._proposed = dict(zip(map(design_from_state, state["proposed"]), state["held"], strict=True))
        self._ledger = self._ledger.of_state(state["ledger"])
        self._catalogue = None
