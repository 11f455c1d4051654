"""The best design of a family, found by exhaustive search on training questions.

Shape letters: T questions, N slots, C designs, K agents of a design.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gdesign.agents import teams
from gdesign.design.base import Trials
from gdesign.design.joint.record import numbered
from gdesign.design.joint.vocabulary import SHAPES, Shape, compose
from gdesign.design.searches.base import Kept
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.errors import ConfigError
from gdesign.types import Design, Job, Task

CHUNK = 1 << 20
"""Outcomes composed at once; bounds the memory that a search takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One row of what a search found.

    Attributes:
        utility: Weighted mean of score - usd_weight * 1,000 * usd over the questions.
        usd: Weighted mean USD a question.
    """

    design: Design
    utility: float
    score: float
    usd: float


class Search(Kept):
    """The one design of its families that has the best mean utility on training questions.

    In these families nobody hears anyone, so the outcome of a design on a question follows from what
    each agent replies alone. So each slot's agent is run alone on every question, once, and nothing
    else is asked of an LLM. The composition is exact where a client answers the same request alike
    each time (recordings, replays, caches, temperature 0).

    Args:
        space: The agents on offer, each candidate in one slot.
        families: `singles`; `votes` of `num_voters` agents, ties to the lowest slot; `cascades`, in
            which two agents speak and a third decides if they disagree.

    Raises:
        ConfigError: An unknown family, no design in any family, or a candidate that fills several
            slots (its copies would reply differently, which single runs do not show).
    """

    name = "search"
    index: Int[Tensor, ""]

    def __init__(self, *, space: Space, families: Sequence[str], num_voters: int = 3) -> None:
        super().__init__(space=space)
        if any(space.instances):
            raise ConfigError("search needs each candidate in one slot; this space holds a candidate twice")
        if num_voters < 2:
            raise ConfigError(f"num_voters must be 2 or more; got {num_voters}")
        n = len(space.slots)
        self._families = [_family(name, space, num_voters) for name in families]
        if not any(len(table) for _, table in self._families):
            raise ConfigError(f"no design of {', '.join(families)} can be made of {n} agents")
        self.register_buffer("index", torch.tensor(-1))

    @property
    def probes(self) -> tuple[Design, ...]:
        """Each slot's agent alone."""
        return tuple(teams.single([agent]) for agent in self.space.agents)

    def _found(self) -> Design | None:
        return None if self.index < 0 else self._design_at(int(self.index))

    def search(
        self, tasks: Sequence[Task], *, problems: ProblemEncoder, usd_weight: float, generator: torch.Generator
    ) -> Trials:
        """Run every agent alone on every question, then compose."""
        num = len(self.probes)
        results = yield [Job(probe, task, 0) for task in tasks for probe in self.probes]
        rows = [results[i : i + num] for i in range(0, len(results), num)]
        self.fit(
            answers=[[run.answer for run, _ in row] for row in rows],
            scores=torch.tensor([[o.score for _, o in row] for row in rows]),
            usd=torch.tensor([[o.usd for _, o in row] for row in rows], dtype=torch.float64),
            weight=torch.tensor([t.weight for t in tasks]),
            usd_weight=usd_weight,
        )

    def fit(
        self,
        *,
        answers: Sequence[Sequence[str | None]],
        scores: Float[Tensor, "T N"],
        usd: Float[Tensor, "T N"],
        weight: Float[Tensor, " T"] | None = None,
        usd_weight: float = 0.0,
        num_best: int = 5,
    ) -> tuple[Found, ...]:
        """Find the best design and keep it (the state dict carries it).

        With `run` the Run and `outcome` the Outcome of probe n on question t:

        Args:
            answers: `run.answer` for each question, slot by slot; None agrees with nothing.
            scores: `outcome.score`.
            usd: `outcome.usd`, USD for one question.
            weight: `task.weight`; None for equal weights.
            usd_weight: lambda for USD per 1,000 questions, as in `gdesign.execute.reward.utility`.

        Returns:
            The best designs, best first; of equals the one enumerated first.
        """
        scores, usd = scores.double(), usd.double()
        ids, _ = numbered(answers, [()] * len(answers))
        assert ids.shape == scores.shape == usd.shape == (len(answers), len(self.space.slots))
        weight = torch.ones(len(ids)) if weight is None else weight
        share = weight.double() / weight.double().sum()
        score, cost = (
            torch.cat(parts)
            for parts in zip(*((share @ s, share @ u) for s, u in self._outcomes(ids, scores, usd)), strict=True)
        )
        utility = score - usd_weight * 1000 * cost
        best = torch.sort(utility, descending=True, stable=True).indices[:num_best].tolist()
        self.index.fill_(best[0])
        return tuple(
            Found(design=self._design_at(i), utility=float(utility[i]), score=float(score[i]), usd=float(cost[i]))
            for i in best
        )

    def _outcomes(
        self, ids: Int[Tensor, "T N"], scores: Float[Tensor, "T N"], usd: Float[Tensor, "T N"]
    ) -> Iterator[tuple[Float[Tensor, "T C"], Float[Tensor, "T C"]]]:
        for shape, table in self._families:
            for part in torch.split(table, max(1, CHUNK // len(ids))):
                yield compose(shape.skeleton, ids[:, part], scores[:, part], usd[:, part])

    def _design_at(self, index: int) -> Design:
        for shape, table in self._families:
            if index < len(table):
                return shape.make([self.space.agents[i] for i in table[index].tolist()])
            index -= len(table)
        raise AssertionError(index)


def _family(name: str, space: Space, num_voters: int) -> tuple[Shape, Int[Tensor, "C K"]]:
    n = len(space.slots)
    slots = torch.arange(n)
    match name:
        case "singles":
            return SHAPES["single"], slots[:, None]
        case "votes":
            shape = Shape(make=teams.vote, size=num_voters, num_unordered=num_voters, by_name=False)
            return shape, torch.combinations(slots, num_voters)
        case "cascades":
            # a design lists the pair by name, and where the pair agrees its second agent answers
            pairs = torch.tensor(sorted(range(n), key=space.slots.__getitem__))[torch.combinations(slots, 2)]
            table = torch.cat([pairs.repeat_interleave(n, 0), slots.repeat(len(pairs))[:, None]], dim=1)
            return SHAPES["cascade"], table[(table[:, :2] != table[:, 2:]).all(1)]
        case _:
            raise ConfigError(f"family {name!r} is unknown; expected some of singles, votes, cascades")
