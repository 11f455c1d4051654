"""The distribution that critic, evidence and joint share: over listed designs, by what is expected of each.

p(d given q, lambda) = softmax over d of (S_d(q) - lambda C_d(q)) / temperature. The methods differ in where S, the
score, and C, the USD for 1,000 questions, come from; lambda, the price of cost, enters here and nowhere else, so one
fit serves every price.

Shape letters: T problems in a batch, K designs drawn for each, B = T * K, L listed designs, N slots, A agents.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.design.base import Designer, Draft, Expected
from gdesign.design.draws import NEVER, RNG
from gdesign.design.joint.vocabulary import Vocabulary
from gdesign.design.slot_graphs import each
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError
from gdesign.types import Design

USUAL = ("single", "pair", "vote", "star", "star_of_four", "complete", "cascade", "asking", "debate")
"""Shapes that are listed unless others are named."""
MAX_DESIGNS = 20_000
"""Most designs that a distribution is made over without evidence that some are better than others."""
USUAL_TOKENS = (300, 200)
"""Prompt and completion tokens that a call is taken to need where no reply of the agent is known."""


class Distribution(NamedTuple):
    """What is expected of every listed design, and how likely it is drawn.

    Attributes:
        expected: S and C.
        worth: S - lambda C.
        log_p: Log-probability.
        present: Whether the slots of the problem can fill it.
    """

    expected: Expected
    worth: Float[Tensor, "T L"]
    log_p: Float[Tensor, "T L"]
    present: Bool[Tensor, "T L"]


def checked_share(explored: float) -> float:
    """Return the share of the draws that explore.

    Raises:
        ConfigError: It is outside [0, 1).
    """
    if not 0 <= explored < 1:
        raise ConfigError(f"explored is a share of the draws, expected 0 <= explored < 1; got {explored}")
    return explored


class Listed(Designer):
    """A softmax over listed designs.

    Args:
        shapes: What kinds of design there are, names of `gdesign.design.joint.vocabulary.SHAPES`.
        reuse: Whether an agent may stand in several places of a design. Recorded answers hold one answer an LLM.
        temperature: Of the draws, in utility: how much worse a design is that is drawn e times more seldom.
        explored: Share of the draws in training that take any shape alike, and any design of it, whatever they are
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
        self.shapes = tuple(shapes)
        self.reuse = reuse
        self.temperature = temperature
        self.explored = checked_share(explored)
        self._listing: tuple[Space, Listing] | None = None
        self.vocabulary = Vocabulary(space, shapes=self.shapes, reuse=reuse)

    @abstractmethod
    def expected(self, problem: Batch, listing: "Listing") -> Expected:
        """Return S and C of every listed design on each problem, Float[T, L] each."""

    def list_designs(self, vocabulary: Vocabulary) -> "list[Int[Tensor, '_ _']]":
        """Return the agents in the places of each design that is listed, a table a shape.

        Raises:
            ConfigError: There are too many designs.
        """
        if (total := vocabulary.num_designs) > MAX_DESIGNS:
            raise ConfigError(
                f"there are {total} designs of these shapes over {len(vocabulary.agents)} agents, more than "
                f"{MAX_DESIGNS}; choose fewer shapes or agents, or let evidence choose (designer=joint with num_probes)"
            )
        return vocabulary.teams

    def listing(self, space: Space) -> "Listing":
        """Return the listed designs over a space."""
        if self._listing is None or self._listing[0] is not space:
            own = space is self.space
            vocabulary = self.vocabulary if own else Vocabulary(space, shapes=self.shapes, reuse=self.reuse)
            self._listing = (space, Listing.of(space, vocabulary, self.list_designs(vocabulary)))
        return self._listing[1]

    def distribution(self, problem: Batch) -> Distribution:
        """Return the distribution over listed designs, given each question and its price of cost."""
        listing = self.listing(problem.space[0])
        expected = self.expected(problem, listing)
        present = listing.present(problem)
        worth = expected.score - problem.usd_weight[:, None] * expected.usd
        log_p = (worth / self.temperature).masked_fill(~present, NEVER).log_softmax(-1)
        if self.training and self.explored:
            even = listing.even.to(log_p) * present
            even = self.explored * even / even.sum(-1, keepdim=True)
            log_p = torch.logaddexp(log_p + math.log1p(-self.explored), even.log())
        return Distribution(expected, worth, log_p, present)

    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Draw designs for each problem; greedily, the one expected to be worth most."""
        listing, (expected, worth, log_p, present) = self.listing(problem.space[0]), self.distribution(problem)
        row = each(problem.num_graphs, num_designs, log_p.device)
        keys = worth
        if not greedy:
            noise = log_p.new_empty(len(row), log_p.shape[1]).exponential_(generator=generator)
            keys = log_p.detach()[row] - noise.log()
        chosen = (keys if len(keys) == len(row) else keys[row]).masked_fill(~present[row], -torch.inf).argmax(-1)
        log_prob = log_p[row, chosen]
        return Draft(
            designs=lambda: [listing.design(i) for i in chosen.tolist()],
            log_prob=log_prob,
            entropy=-(log_p.exp() * log_p).sum(-1)[row],
            value=worth[row, chosen],
            expected=Expected(expected.score[row, chosen], expected.usd[row, chosen]),
        )

    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " T"]:
        """Return the log-probability of one given design a problem; -inf where it cannot be drawn."""
        listing, (_, _, log_p, present) = self.listing(problem.space[0]), self.distribution(problem)
        log_p = log_p.masked_fill(~present, -torch.inf)
        impossible = log_p.new_full((len(log_p), 1), -torch.inf)
        number = torch.tensor([listing.find(design) for design in designs], device=log_p.device)
        return torch.cat([log_p, impossible], dim=1).gather(1, number[:, None])[:, 0]

    def expect(self, problem: Batch, designs: Sequence[Design], *, of: Int[Tensor, " B"] | None = None) -> Expected:
        """Return the score, and the USD for 1,000 questions, expected of given designs; see `Designer.expect`.

        Raises:
            ConfigError: A design is none of those that can be drawn.
        """
        listing = self.listing(problem.space[0])
        number = torch.tensor([listing.find(design) for design in designs], device=problem.x.device)
        if bool((number == listing.num_designs).any()):
            raise ConfigError(
                f"{type(self).__name__} can say what to expect of the designs that it lists only; got another one"
            )
        row = torch.arange(len(designs), device=problem.x.device) if of is None else of
        score, usd = self.expected(problem, listing)
        return Expected(score[row, number], usd[row, number])

    def frontier(self, problem: Batch, usd_weights: Sequence[float]) -> Draft:
        """Return the designs expected to be worth most at each price; the question is looked at once."""
        listing = self.listing(problem.space[0])
        (score,), (usd,) = self.expected(problem, listing)
        price = torch.tensor(usd_weights, dtype=score.dtype, device=score.device)
        worth = (score - price[:, None] * usd).masked_fill(~listing.present(problem), -torch.inf)
        chosen = worth.argmax(-1)
        log_prob = (worth / self.temperature).log_softmax(-1).gather(1, chosen[:, None])[:, 0]
        return Draft(
            designs=lambda: [listing.design(i) for i in chosen.tolist()],
            log_prob=log_prob,
            expected=Expected(score[chosen], usd[chosen]),
        )


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The designs that are listed over one space.

    Attributes:
        teams: The agents in the places of each design, a table a shape.
        ends: Where each shape's designs end among all.
        index: The number of each design by shape and agents.
        agent: The agent of each slot of the space.
        even: Of each design, up to a factor, where every shape is as likely as any other, and every design of a shape.
        usual_usd: USD for 1,000 calls of each agent, by `USUAL_TOKENS`.
    """

    vocabulary: Vocabulary
    teams: Sequence[Int[Tensor, "_ _"]]
    ends: Sequence[int]
    index: Mapping[tuple[int, tuple[int, ...]], int]
    agent: Int[Tensor, " N"]
    even: Float[Tensor, " L"]
    usual_usd: Float[Tensor, " A"]

    @classmethod
    def of(cls, space: Space, vocabulary: Vocabulary, teams: Sequence[Int[Tensor, "_ _"]]) -> "Listing":
        """Number the designs."""
        llms = [space.pool.llm(a.llm) for a in vocabulary.agents]
        usual = [1000 * m.usd(prompt_tokens=USUAL_TOKENS[0], completion_tokens=USUAL_TOKENS[1]) for m in llms]
        rows = [(number, tuple(team)) for number, table in enumerate(teams) for team in table.tolist()]
        return cls(
            vocabulary=vocabulary,
            teams=teams,
            ends=list(accumulate(map(len, teams))),
            index={row: i for i, row in enumerate(rows)},
            agent=torch.tensor([vocabulary.agents.index(a) for a in space.agents]),
            even=torch.cat([torch.full((len(t),), 1 / max(1, len(t))) for t in teams]),
            usual_usd=torch.tensor(usual),
        )

    @property
    def num_designs(self) -> int:
        """L, of all shapes."""
        return self.ends[-1]

    def design(self, number: int) -> Design:
        """Return a design by its number."""
        shape = next(s for s, end in enumerate(self.ends) if number < end)
        first = self.ends[shape] - len(self.teams[shape])
        return self.vocabulary.design(shape, self.teams[shape][number - first].tolist())

    def find(self, design: Design) -> int:
        """Return the number of a design; `num_designs` if it is none of these."""
        found = self.vocabulary.find(design)
        return self.num_designs if found is None else self.index.get(found, self.num_designs)

    def present(self, problem: Batch) -> Bool[Tensor, "T L"]:
        """Return which designs can be made of the slots of each problem."""
        is_slot = problem.slot >= 0
        device = problem.x.device
        here = torch.zeros(problem.num_graphs, len(self.vocabulary.agents), dtype=torch.bool, device=device)
        here[problem.batch[is_slot], self.agent.to(device)[problem.slot[is_slot]]] = True
        return torch.cat([here[:, table.to(device)].all(-1) for table in self.teams], dim=1)
