"""evidence: what agents replied alone to questions of the past says what designs without messages come to.

S_d(q) = E_d(q) = sum over past questions i of a_i(q) S_d(i), and C_d(q) = F_d(q) likewise: S_d(i) is composed exactly
from what each agent replied alone to i, messages left out, and attention a_i(q) picks the past questions that are like
this one (gdesign.design.joint.profiles). Nothing is trained by gradient. docs/methods/joint.md has the equations.

Shape letters: T problems in a batch, P past questions, A agents, L listed designs, D text features.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.agents import teams
from gdesign.design.base import Expected, Searched, Trials
from gdesign.design.joint.listed import MAX_DESIGNS, Listed, Listing
from gdesign.design.joint.profiles import Profiles
from gdesign.design.joint.record import Record
from gdesign.design.joint.vocabulary import Vocabulary
from gdesign.design.routers.base import features
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.errors import ConfigError
from gdesign.types import Job, Task

MAX_LISTED = 5_000
"""Most designs that are all kept where there is evidence to choose by."""
MAX_CONSIDERED = 1_000_000
"""Most designs that evidence is asked about."""


class Evidence(Listed, Searched):
    """Draw the designs that evidence expects to be worth most, given the question and the price of cost.

    Evidence goes by the names of role, LLM and operator. So agents may be added later: with `start` naming a trained
    run, only they are asked `num_probes` questions, and nothing is trained again. Other settings are those of `Listed`.

    Args:
        num_probes: How many training questions each agent is asked alone, None for all.
        num_factors: How many numbers the profile of a past question has at most.
        cost_weight: What a unit of log cost counts in a profile beside a unit of score.
        ridge: Strength of the penalty on the maps from text to profile, and to each agent's score.
        spread: How much wider than the prediction's error attention looks.
        text_weight: What text features count beside who else was right, where it is expected whether an agent that
            was added later is.
        usd_weights: Prices of cost that designs are looked for at where there are more than can be listed.
        num_best: How many designs of each shape are kept there in each place and at each of these prices.
    """

    def __init__(
        self,
        *,
        space: Space,
        shapes: Sequence[str] = ("single", "cascade", "cascade_twice"),
        reuse: bool = False,
        temperature: float = 0.02,
        num_probes: int | None = None,
        num_factors: int = 6,
        cost_weight: float = 0.3,
        ridge: float = 0.3,
        spread: float = 1.5,
        text_weight: float = 3.0,
        usd_weights: Sequence[float] = (0.005, 0.02, 0.05, 0.1),
        num_best: int = 60,
    ) -> None:
        super().__init__(space=space, shapes=shapes, reuse=reuse, temperature=temperature)
        self.num_probes = num_probes
        self.usd_weights = tuple(usd_weights)
        self.num_best = num_best
        self._settings: dict[str, Any] = {
            "num_factors": num_factors,
            "cost_weight": cost_weight,
            "ridge": ridge,
            "spread": spread,
            "text_weight": text_weight,
        }
        self._record: Record | None = None
        self._restored: list[Int[Tensor, "_ _"]] | None = None
        self._profiles: tuple[Listing, Profiles, Expected] | None = None

    @property
    def asked(self) -> bool:
        """Whether any agent was asked anything, so that there is evidence."""
        return self._record is not None

    def expected(self, problem: Batch, listing: Listing) -> Expected:
        """Return S = E and C = F."""
        profiles, outcomes = self.known(listing, problem.x.device)
        a = profiles(problem.x[problem.slot < 0])
        return Expected(a @ outcomes.score, a @ outcomes.usd)

    def known(self, listing: Listing, device: torch.device) -> tuple[Profiles, Expected]:
        """Return the past questions, and what each listed design scored and cost on each, Float[P, L].

        Raises:
            ConfigError: Nothing was asked yet.
        """
        if self._record is None:
            raise ConfigError(
                "nothing but evidence is known here, and no agent was asked anything; train first (train.py "
                "designer=evidence), with designer.num_probes above 0"
            )
        if self._profiles is None or self._profiles[0] is not listing:
            profiles = self._profiles_of(self._record, listing.vocabulary)
            pairs = zip(listing.vocabulary.shapes, listing.teams, strict=True)
            parts = [profiles.outcomes(shape, table) for shape, table in pairs]
            score, usd = (torch.cat(columns, dim=1) for columns in zip(*parts, strict=True))
            self._profiles = (listing, profiles, Expected(score, usd))
        listing, profiles, outcomes = self._profiles
        return profiles.to(device), Expected(outcomes.score.to(device), outcomes.usd.to(device))

    def list_designs(self, vocabulary: Vocabulary) -> list[Int[Tensor, "_ _"]]:
        """Return all designs, or where they are many those that evidence holds best somewhere at some price.

        Before anybody was asked, many are thinned out evenly.

        Raises:
            ConfigError: There are too many to look at.
        """
        if self._restored is not None and tuple(dict.fromkeys(self.space.agents)) == vocabulary.agents:
            return self._restored
        if (total := vocabulary.num_designs) > MAX_CONSIDERED:
            raise ConfigError(
                f"there are {total} designs of these shapes over {len(vocabulary.agents)} agents, more than the "
                f"{MAX_CONSIDERED} that evidence can choose among; choose fewer shapes (designer.shapes) or agents"
            )
        listed = vocabulary.teams
        if self._record is None:
            if self.num_probes == 0:
                return super().list_designs(vocabulary)
            return [table[:: -(-total // MAX_DESIGNS)] for table in listed]
        if total <= MAX_LISTED:
            return listed
        profiles = self._profiles_of(self._record, vocabulary)
        return [
            t[profiles.shortlist(shape, t, usd_weights=self.usd_weights, num_best=self.num_best)]
            for shape, t in zip(vocabulary.shapes, listed, strict=True)
        ]

    def search(
        self, tasks: Sequence[Task], *, problems: ProblemEncoder, usd_weight: float, generator: torch.Generator
    ) -> Trials:
        """Run each agent of which nothing is known alone, on questions of the record or, without one, on any."""
        record = self._record
        new = [a for a in dict.fromkeys(self.space.agents) if record is None or a not in record.agents]
        if not new or self.num_probes == 0:
            return
        x = features(problems, tasks)
        names = [f"{task.benchmark}:{task.id}" for task in tasks]
        rows = torch.arange(len(tasks)) if record is None else record.rows(names)
        fit = (rows >= 0).nonzero()[:, 0]
        if not len(fit):
            raise ConfigError(
                f"none of these {len(tasks)} questions is one that the agents known so far were asked, so nothing that "
                "the new ones reply could be compared; keep the task and seed of the run that start names"
            )
        chosen = fit[torch.randperm(len(fit), generator=generator)[: self.num_probes]].sort().values
        results = yield [Job(teams.single([agent]), tasks[i], 0) for i in chosen.tolist() for agent in new]
        shape = (len(chosen), len(new))
        texts = [run.answer for run, _ in results]
        scores = torch.tensor([outcome.score for _, outcome in results]).view(shape)
        usd = 1000 * torch.tensor([outcome.usd for _, outcome in results]).view(shape)
        answers = [texts[i : i + len(new)] for i in range(0, len(texts), len(new))]
        places = rows[chosen]
        if record is None:
            weight = torch.tensor([tasks[i].weight for i in chosen.tolist()])
            record = Record.empty(tasks=[names[i] for i in chosen.tolist()], x=x[chosen], weight=weight)
            places = torch.arange(len(chosen))
        self._record = record.joined(new, rows=places, answers=answers, scores=scores, usd=usd)
        self._forget()

    def get_extra_state(self) -> Mapping[str, Any]:
        """Return the evidence, for the state dict."""
        if self._record is None:
            return {}
        tables = [t.clone() for t in self.listing(self.space).teams]
        return {**self._record.state(), "listed": self._listed(), "teams": tables}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take the evidence of a state dict; that of agents which are not on offer stays unused."""
        self._forget()
        self._record = Record.from_state(state) if state else None
        if state and state["listed"] == self._listed():
            self._restored = list(state["teams"])

    def _forget(self) -> None:
        self._listing = self._profiles = self._restored = None

    def _listed(self) -> list[list[str]]:
        """Return what the numbers in the tables of designs stand for."""
        agents = [[a.role, a.llm, a.operator] for a in dict.fromkeys(self.space.agents)]
        return [list(self.shapes), [str(self.reuse)], *agents]

    def _profiles_of(self, record: Record, vocabulary: Vocabulary) -> Profiles:
        return Profiles(**record.of_agents(vocabulary.agents), **self._settings)
