"""evidence: what agents replied alone to questions of the past says what designs without messages come to.

S_d(q) = E_d(q) = sum over past questions i of a_i(q) S_d(i), and C_d(q) = F_d(q) likewise: S_d(i) is composed exactly
from what each agent replied alone to i, messages left out, and attention a_i(q) picks the past questions that are like
this one (gdesign.design.joint.profiles). Nothing is trained by gradient. docs/methods/joint.md has the equations.

Shape letters: T problems in a batch, P past questions, A agents, L listed designs, D text features.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.design.base import Designer, Expected, Searched, Trials
from gdesign.design.joint.catalogue import Catalogue
from gdesign.design.joint.listed import Listed, Look
from gdesign.design.joint.probes import PRICES, ask, most_runs
from gdesign.design.joint.profiles import Profiles
from gdesign.design.joint.record import Record
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.errors import ConfigError
from gdesign.types import Agent, Design, Task


class Evidence(Listed, Searched):
    """Draw the designs that evidence expects to be worth most, given the question and the price of cost.

    Evidence goes by the names of role, LLM and operator. So agents may be added later: with `start` naming a trained
    run, only they are asked `num_probes` questions, and nothing is trained again. Other settings are those of `Listed`.

    Args:
        num_probes: How many training questions each agent is asked alone at most, None for all.
        max_probes: How many such runs there are in all; where not every agent can be asked all of these questions,
            each is asked once, and then those that may be the best for a question at some price (Thompson sampling:
            Thompson, Biometrika 1933). None for no limit.
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
        self.num_runs = most_runs(len(set(space.agents)), num_probes=num_probes, max_probes=max_probes, again=reuse)
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
                "nothing but evidence is known here, and no agent was asked anything; train first (gdesign train "
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
            self._record = yield from ask(
                self._record,
                new,
                tasks,
                problems=problems,
                generator=generator,
                num_probes=self.num_probes,
                max_probes=self.max_probes,
                again=self.reuse,
            )
            self._catalogue = self._known = None
        if self._record is not None and self.grows:
            self._propose_all(tasks, problems, generator)

    def without(self, tasks: Sequence[Task]) -> Designer:
        """Return it without what is known of some questions."""
        if self._record is None:
            return self
        other = copy.copy(self)
        other._record = self._record.without([f"{task.benchmark}:{task.id}" for task in tasks])
        other._known = None
        return other

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
