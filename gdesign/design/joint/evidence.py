"""evidence: what agents replied alone to questions of the past says what designs without messages come to.

S_d(q) = E_d(q) = sum over past questions i of a_i(q) S_d(i), and C_d(q) = F_d(q) likewise: S_d(i) is composed exactly
from what each agent replied alone to i, messages left out, and attention a_i(q) picks the past questions that are like
this one (gdesign.design.joint.profiles). Nothing is trained by gradient. docs/methods/joint.md has the equations.

Shape letters: T problems in a batch, P past questions, A agents, L listed designs, D text features.
"""

import math
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.agents import teams
from gdesign.design.base import Expected, Searched, Trials
from gdesign.design.joint.catalogue import Catalogue
from gdesign.design.joint.listed import Listed, Look
from gdesign.design.joint.profiles import Profiles
from gdesign.design.joint.record import Record, Replied
from gdesign.design.routers.base import features
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.errors import ConfigError
from gdesign.types import Agent, Design, Job, Outcome, Run, Task

PRICES = (0.005, 0.02, 0.05, 0.1)
"""Prices of cost that designs are proposed at before anything is trained."""
SURVIVE = 4
"""One agent in so many goes on to the next round of questions where not all can be asked everything."""
REPEATED = 10
"""One question in so many is asked again where copies may be drawn."""


class Evidence(Listed, Searched):
    """Draw the designs that evidence expects to be worth most, given the question and the price of cost.

    Evidence goes by the names of role, LLM and operator. So agents may be added later: with `start` naming a trained
    run, only they are asked `num_probes` questions, and nothing is trained again. Other settings are those of `Listed`.

    Args:
        num_probes: How many training questions each agent is asked alone at most, None for all.
        max_probes: How many such runs there are in all; where not every agent can be asked all of these questions,
            every agent is asked a few, the better ones more, and the best all. None for no limit.
        num_factors: How many numbers the profile of a past question has at most.
        cost_weight: What a unit of log cost counts in a profile beside a unit of score.
        ridge: Strength of the penalty on the maps from text to profile, and to each agent's score.
        spread: How much wider than the prediction's error attention looks.
        text_weight: What text features count beside who else was right, where it is expected whether an agent is that
            was not asked.
    """

    def __init__(
        self,
        *,
        space: Space,
        shapes: Sequence[str] = ("single", "cascade", "cascade_twice"),
        reuse: bool = False,
        temperature: float = 0.02,
        explored: float = 0.0,
        num_probes: int | None = None,
        max_probes: int | None = None,
        num_factors: int = 6,
        cost_weight: float = 0.3,
        ridge: float = 0.3,
        spread: float = 1.5,
        text_weight: float = 3.0,
    ) -> None:
        super().__init__(space=space, shapes=shapes, reuse=reuse, temperature=temperature, explored=explored)
        self.num_probes = num_probes
        self.max_probes = max_probes
        self._settings: dict[str, Any] = {
            "num_factors": num_factors,
            "cost_weight": cost_weight,
            "ridge": ridge,
            "spread": spread,
            "text_weight": text_weight,
        }
        self._record: Record | None = None
        self._known: tuple[Mapping[Agent, int], Profiles, Mapping[Design, int], Expected] | None = None

    @property
    def asked(self) -> bool:
        """Whether any agent was asked anything, so that there is evidence."""
        return self._record is not None

    def look(self, problem: Batch, catalogue: Catalogue) -> Look:
        """Return attention to the past questions, and what designs scored and cost on these."""
        profiles = self.profiles(catalogue)
        attention = profiles.to(problem.x.device)(problem.x[problem.slot < 0])
        return Attended(self, attention)

    def profiles(self, catalogue: Catalogue) -> Profiles:
        """Return the past questions.

        Raises:
            ConfigError: Nothing was asked yet.
        """
        if self._record is None:
            raise ConfigError(
                "nothing but evidence is known here, and no agent was asked anything; train first (train.py "
                "designer=evidence), with designer.num_probes above 0"
            )
        if self._known is None or self._known[0] != catalogue.numbers:
            profiles = Profiles(**self._record.of_agents(catalogue.agents), **self._settings)
            self._known = (catalogue.numbers, profiles, {}, Expected(*torch.zeros(2, len(self._record.x), 0)))
        return self._known[1]

    def outcomes(self, catalogue: Catalogue) -> Expected:
        """Return what each design scored and cost on each past question, messages left out, Float[P, L]."""
        profiles = self.profiles(catalogue)
        assert self._known is not None
        _, _, index, columns = self._known
        if index is catalogue.index:
            return columns
        number = torch.tensor([index.get(design, -1) for design in catalogue.designs])
        new = number < 0
        score, usd = (torch.zeros(len(part), len(number)) for part in columns)
        score[:, ~new], usd[:, ~new] = (part[:, number[~new]] for part in columns)
        alike: dict[object, list[int]] = {}
        for i in new.nonzero()[:, 0].tolist():
            d = catalogue.designs[i]
            alike.setdefault((tuple(a.gate for a in d.agents), d.decision, d.num_rounds), []).append(i)
        for same in alike.values():
            first = catalogue.designs[same[0]]
            score[:, same], usd[:, same] = profiles.outcomes(first, catalogue.places.agent[same, : len(first.agents)])
        if self._catalogue is not None and catalogue is self._catalogue[1]:
            self._known = (catalogue.numbers, profiles, catalogue.index, Expected(score, usd))
        return Expected(score, usd)

    def search(
        self, tasks: Sequence[Task], *, problems: ProblemEncoder, usd_weight: float, generator: torch.Generator
    ) -> Trials:
        """Run each agent of which nothing is known alone, on questions of the record or, without one, on any.

        Then propose designs by what they replied.
        """
        new = [a for a in dict.fromkeys(self.space.agents) if self._record is None or a not in self._record.agents]
        if new and self.num_probes != 0:
            yield from self._ask(new, tasks, problems, generator)
        if self._record is not None and self.grows:
            self._propose_all(tasks, problems, generator)

    def _ask(
        self, new: Sequence[Agent], tasks: Sequence[Task], problems: ProblemEncoder, generator: torch.Generator
    ) -> Generator[Sequence[Job], Sequence[tuple[Run, Outcome]], None]:
        """Ask agents questions, the better ones more of them."""
        x = features(problems, tasks)
        names = [f"{task.benchmark}:{task.id}" for task in tasks]
        record = self._record
        rows = torch.arange(len(tasks)) if record is None else record.rows(names)
        fit = (rows >= 0).nonzero()[:, 0]
        if not len(fit):
            raise ConfigError(
                f"none of these {len(tasks)} questions is one that the agents known so far were asked, so nothing that "
                "the new ones reply could be compared; keep the task and seed of the run that start names"
            )
        chosen = fit[torch.randperm(len(fit), generator=generator)[: self.num_probes]]
        rounds = budget(len(new), len(chosen), self.max_probes)
        if record is None:
            chosen = chosen[: rounds[-1][1]].sort().values if len(rounds) == 1 else chosen[: rounds[-1][1]]
            weight = torch.tensor([tasks[i].weight for i in chosen.tolist()])
            record = Record.empty(tasks=[names[i] for i in chosen.tolist()], x=x[chosen], weight=weight)
            rows[chosen] = torch.arange(len(chosen))
        record, asked, last = record.joined(new), list(new), 0
        for num_agents, num in rounds:
            asked = best_of(record, asked, num_agents, problems=problems, tasks=tasks[:1])
            part = chosen[last:num].tolist()
            jobs = [Job(teams.single([agent]), tasks[i], 0) for i in part for agent in asked]
            again = part[: -(-len(part) // REPEATED)] if self.reuse else []
            jobs += [Job(teams.single([agent]), tasks[i], 1) for i in again for agent in asked]
            places = [int(rows[i]) for i in (*part, *again) for _ in asked]
            results = yield jobs
            record = record.told(
                [
                    Replied(place, run.design.agents[0], run.answer, outcome.score, 1000 * outcome.usd)
                    for place, (run, outcome) in zip(places, results, strict=True)
                ]
            )
            last = num
        self._record = record
        self._catalogue = self._known = None

    def _propose_all(
        self, tasks: Sequence[Task], problems: ProblemEncoder, generator: torch.Generator, *, num: int = 8
    ) -> None:
        """Propose designs for some questions at some prices of cost, until no more are found."""
        some = [tasks[i] for i in torch.randperm(len(tasks), generator=generator)[:num].tolist()]
        for _ in range(2):
            found = 0
            for price in PRICES:
                found += self.propose(problems(some, usd_weight=price), num_asked=num)
            if not found:
                break

    def get_extra_state(self) -> Mapping[str, Any]:
        """Return the evidence and what was proposed, for the state dict."""
        return {**super().get_extra_state(), "record": {} if self._record is None else self._record.state()}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take the evidence of a state dict; that of agents which are not on offer stays unused."""
        super().set_extra_state(state)
        self._record = Record.from_state(state["record"]) if state["record"] else None
        self._known = None


class Attended(Look):
    """S = E and C = F."""

    def __init__(self, evidence: Evidence, attention: Float[Tensor, "T P"]) -> None:
        self.evidence = evidence
        self.attention = attention

    def every(self, catalogue: Catalogue) -> Expected:
        """Return S and C of each design on each problem."""
        score, usd = (part.to(self.attention.device) for part in self.evidence.outcomes(catalogue))
        return Expected(self.attention @ score, self.attention @ usd)

    def some(self, catalogue: Catalogue, row: Int[Tensor, " L"]) -> Expected:
        """Return S and C of each design on one problem."""
        score, usd = (part.to(self.attention.device) for part in self.evidence.outcomes(catalogue))
        attention = self.attention[row]
        return Expected((attention * score.mT).sum(-1), (attention * usd.mT).sum(-1))


def budget(num_agents: int, num_questions: int, max_runs: int | None) -> list[tuple[int, int]]:
    """Return rounds of questions: how many agents are asked, up to which question; all agents first, fewer then.

    Each round has as many runs as any other (successive halving, with a quarter for a half).
    """
    if max_runs is None or num_agents * num_questions <= max_runs:
        return [(num_agents, num_questions)]
    num_rounds = max(1, round(math.log(num_agents / 8, SURVIVE)) + 1)
    rounds, last = [], 0
    for r in range(num_rounds):
        left = max(1, num_agents // SURVIVE**r)
        last = min(num_questions, last + max(3, max_runs // num_rounds // left))
        rounds.append((left, last))
    return rounds


def best_of(
    record: Record, agents: Sequence[Agent], num: int, *, problems: ProblemEncoder, tasks: Sequence[Task]
) -> list[Agent]:
    """Return the agents that look best so far at one of several prices of cost, in the order given.

    An agent of which little was seen is judged by others with a like text, too.
    """
    if num >= len(agents):
        return list(agents)
    columns = [record.agents.index(agent) for agent in agents]
    seen = record.seen[:, columns].double()
    count = seen.sum(0).clamp_min(1)
    score, usd = ((part[:, columns].double() * seen).sum(0) / count for part in (record.scores, record.usd))
    problem = problems(tasks)
    x = problem.x[problem.slot >= 0][[problems.space.agents.index(agent) for agent in agents]].double()
    x = x - x.mean(0)
    like = x @ x.mT
    kernel = like / like.diagonal().mean().clamp_min(1e-9) + torch.eye(len(x), dtype=x.dtype)
    level = score.mean()
    smooth = kernel @ torch.linalg.solve(kernel + torch.diag(0.2 / 0.04 / count), score - level) + level
    prices = torch.tensor([0.0, *PRICES], dtype=torch.float64)[:, None]
    rank = (smooth - prices * usd).argsort(descending=True).argsort().amin(0)
    kept = rank.argsort(stable=True)[:num].sort().values
    return [agents[i] for i in kept.tolist()]
