"""joint: what every design would score and cost on a question, and the design that is worth most at a price of cost.

One distribution over a vocabulary of designs, which says at once who takes part, who hears whom, in which rounds, who
stays silent and how they decide: a design is drawn with probability softmax((score - lambda USD) / temperature). Score
and USD are expected by two parts. Evidence: what each agent replied alone to questions of the past composes exactly to
outcomes of designs without messages, and attention picks the past questions that are like this one
(gdesign.design.joint.evidence). A critic: a graph network that reads the question, the agents, and what the evidence
says of each, adds what messages, copies and the rest change; it is fitted to every run there has been, whoever drew it.
lambda enters in closed form, so one fit serves every price of cost. docs/methods/joint.md has the equations.

Shape letters: B problems in a batch, N slots, C candidates, L designs, K places of a shape, T past questions, H hidden
features, V nodes, D text features, S slots of all problems.
"""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch_geometric.data import Batch

from gdesign.agents import teams
from gdesign.design.base import Draft, Search, Searched
from gdesign.design.dags import NEVER
from gdesign.design.joint.evidence import Evidence
from gdesign.design.joint.vocabulary import MAX_DESIGNS, Shape, Vocabulary
from gdesign.design.routers.base import features
from gdesign.encode.graph import Encoder
from gdesign.encode.problem import NUM_FEATURES, ProblemEncoder, Space
from gdesign.errors import ConfigError
from gdesign.types import Agent, Design, Job, Task

USUAL_TOKENS = (300, 200)
"""Prompt and completion tokens that a call is taken to need where no reply of the agent is known."""
NUM_KNOWN = 3
"""Numbers that the critic reads of each agent alone: expected score by attention and by text, and log USD."""
MAX_LOG_USD = 4.0
"""What the critic may change the log of expected USD by; its exponential must not overflow."""

HIDDEN = 0.3
"""How often it is kept back from the critic in training who an agent is (text, prices, cost) where there is evidence.
That of agents added later always is: the critic has not learned what it means, and goes by what they replied."""
GOLDEN = 0.6180339887
"""Multiples of it spread evenly between whole numbers."""

MAX_LISTED = 5_000
"""Most designs that are all kept where there is evidence to choose by."""


class Joint(Searched):
    """Draw the designs that are expected to be worth most, given the question and the price of cost.

    No parameter belongs to a slot, and evidence goes by the names of role, LLM and operator. So agents may be added
    later: with `start` naming a trained run, only they are asked `num_probes` questions, and nothing is trained again.

    Args:
        space: The agents on offer.
        shapes: What kinds of design there are, names of `gdesign.design.joint.vocabulary.SHAPES`.
        reuse: Whether an agent may stand in several places of a design. Recorded answers hold one answer an LLM.
        num_probes: How many training questions each agent is asked alone before training, 0 for none, None for all.
        critic: Whether the network is there; without it evidence is all, and nothing is trained by gradient.
        temperature: Of the draws, in utility: how much worse a design is that is drawn e times more seldom.
        explored: Share of the draws in training that take any shape alike, and any design of it, whatever they are
            expected to be worth; so what was misjudged early is seen again. Only with the critic.
        hidden_dim: H.
        num_layers: Message passing steps.
        usd_weights: Prices of cost that designs are looked for at where there are more than can be listed.
        num_best: How many designs of each shape are kept there in each place and at each of these prices.

    Raises:
        ConfigError: An unknown shape, too few agents, no critic and no evidence, or `explored` outside [0, 1).
    """

    def __init__(
        self,
        *,
        space: Space,
        shapes: Sequence[str] = (
            "single",
            "pair",
            "vote",
            "star",
            "star_of_four",
            "complete",
            "cascade",
            "asking",
            "debate",
        ),
        reuse: bool = True,
        num_probes: int | None = 0,
        critic: bool = True,
        temperature: float = 0.02,
        explored: float = 0.1,
        hidden_dim: int = 64,
        num_layers: int = 2,
        usd_weights: Sequence[float] = (0.005, 0.02, 0.05, 0.1),
        num_best: int = 60,
    ) -> None:
        super().__init__(space=space)
        if not critic and num_probes == 0:
            raise ConfigError("joint without a critic knows nothing but evidence; set num_probes above 0")
        if not 0 <= explored < 1:
            raise ConfigError(f"explored is a share of the draws, expected 0 <= explored < 1; got {explored}")
        self.shapes = tuple(shapes)
        self.reuse = reuse
        self.num_probes = num_probes
        self.temperature = temperature
        self.explored = explored
        self.usd_weights = tuple(usd_weights)
        self.num_best = num_best
        self.critic = None
        if critic:
            self.critic = Critic(
                shapes=Vocabulary(space, shapes=shapes, reuse=reuse).shapes,
                text_dim=space.text_dim,
                hidden_dim=hidden_dim,
                num_layers=num_layers,
            )
        self._record: Record | None = None
        self._tables: tuple[Space, Tables] | None = None

    # ----------------------------------------------------------------------- the distribution

    def forward(self, problem: Batch, *, generator: torch.Generator | None = None, greedy: bool = False) -> Draft:
        """Draw one design a problem; greedily, the one expected to be worth most."""
        tables = self._tables_of(problem)
        worth, log_p, present = self._distribution(problem, tables)
        if greedy:
            chosen = worth.masked_fill(~present, -torch.inf).argmax(-1)
        else:
            noise = torch.empty_like(log_p).exponential_(generator=generator)
            chosen = (log_p.detach() - noise.log()).masked_fill(~present, -torch.inf).argmax(-1)
        each = torch.arange(len(chosen), device=chosen.device)
        log_prob = log_p[each, chosen]
        return Draft(
            designs=lambda: [tables.design(i) for i in chosen.tolist()],
            log_prob=log_prob,
            entropy=-(log_p.exp() * log_p).sum(-1),
            penalty=torch.zeros_like(log_prob),
            value=worth[each, chosen],
        )

    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " B"]:
        """Return the log-probability of one given design a problem; -inf where it cannot be drawn."""
        tables = self._tables_of(problem)
        _, log_p, present = self._distribution(problem, tables)
        log_p = log_p.masked_fill(~present, -torch.inf)
        impossible = log_p.new_full((len(log_p), 1), -torch.inf)
        index = torch.tensor([tables.find(design) for design in designs], device=log_p.device)
        out: Tensor = torch.cat([log_p, impossible], dim=1).gather(1, index[:, None])[:, 0]
        return out

    def expect(self, problem: Batch, designs: Sequence[Design]) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
        """Return the score, and the USD for 1,000 questions, expected of one given design a problem.

        Raises:
            ConfigError: A design is none of those that can be drawn.
        """
        tables = self._tables_of(problem)
        index = torch.tensor([tables.find(design) for design in designs], device=problem.x.device)
        if bool((index == tables.num_designs).any()):
            raise ConfigError("joint can say what to expect of its own kinds of design only; got another one")
        known = self._known(problem, tables)
        score, usd = (table.gather(1, index[:, None])[:, 0] for table in (known.score, known.usd))
        if self.critic is None:
            return score, usd
        agents = self.critic.read(problem, known, tables)
        shape = torch.bucketize(index, torch.tensor(tables.ends, device=index.device), right=True)
        change = agents.new_zeros(len(index), 2)
        for number, (first, listed) in enumerate(zip((0, *tables.ends), tables.teams, strict=False)):
            rows = (shape == number).nonzero()[:, 0]
            if len(rows):
                team = listed.to(index.device)[index[rows] - first]
                change = change.index_add(0, rows, self.critic.change(agents[rows], number, team[:, None])[:, 0])
        return score + change[:, 0], usd * change[:, 1].exp()

    def _distribution(
        self, problem: Batch, tables: "Tables"
    ) -> tuple[Float[Tensor, "B L"], Float[Tensor, "B L"], Bool[Tensor, "B L"]]:
        """Return what every design is expected to be worth, its log-probability, and whether it can be made."""
        score, usd, present = self._expect_all(problem, tables)
        worth = score - problem.usd_weight[:, None] * usd
        log_p = (worth / self.temperature).masked_fill(~present, NEVER).log_softmax(-1)
        if self.training and self.critic is not None:
            even = tables.even.to(log_p) * present
            even = self.explored * even / even.sum(-1, keepdim=True)
            log_p = torch.logaddexp(log_p + math.log1p(-self.explored), even.log())
        return worth, log_p, present

    def _expect_all(
        self, problem: Batch, tables: "Tables"
    ) -> tuple[Float[Tensor, "B L"], Float[Tensor, "B L"], Bool[Tensor, "B L"]]:
        """Return what is expected of every design, and which can be made of the slots of each problem."""
        first, same = _distinct(problem)
        if len(first) < problem.num_graphs:  # several designs are drawn for each task; they are looked at once
            problem = Batch.from_data_list([problem.get_example(i) for i in first])
        known = self._known(problem, tables)
        present = self._present(problem, tables)[same]
        if self.critic is None:
            return known.score[same], known.usd[same], present
        agents = self.critic.read(problem, known, tables)
        change = torch.cat(
            [self.critic.change(agents, s, teams.to(agents.device)) for s, teams in enumerate(tables.teams)], dim=1
        )
        return (known.score + change[..., 0])[same], (known.usd * change[..., 1].exp())[same], present

    def _present(self, problem: Batch, tables: "Tables") -> Bool[Tensor, "B L"]:
        is_slot = problem.slot >= 0
        device = problem.x.device
        here = torch.zeros(problem.num_graphs, len(tables.vocabulary.agents), dtype=torch.bool, device=device)
        here[problem.batch[is_slot], tables.candidate.to(device)[problem.slot[is_slot]]] = True
        return torch.cat([here[:, teams.to(device)].all(-1) for teams in tables.teams], dim=1)

    def _known(self, problem: Batch, tables: "Tables") -> "Known":
        """Return what is expected before the critic speaks."""
        num, device = problem.num_graphs, problem.x.device
        if tables.evidence is None:
            usual = tables.usual_usd.to(device)
            even = torch.full_like(usual, 0.5)
            usd = torch.cat([usual[teams.to(device)].sum(-1) for teams in tables.teams])
            return Known(
                alone=torch.stack([even, usual, even], dim=-1).expand(num, -1, -1),
                score=torch.zeros(num, len(usd), device=device),
                usd=usd.expand(num, -1),
            )
        evidence = tables.evidence.to(device)
        question = problem.x[problem.slot < 0]
        attention = evidence(question)
        score, usd = tables.expect(attention)
        alone = torch.stack([*evidence.alone(attention), evidence.told(question)], dim=-1)
        return Known(alone=alone, score=score, usd=usd)

    # ----------------------------------------------------------------------- evidence

    def search(
        self, tasks: Sequence[Task], *, problems: ProblemEncoder, usd_weight: float, generator: torch.Generator
    ) -> Search:
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
        if record is None:
            weight = torch.tensor([tasks[i].weight for i in chosen.tolist()])
            asked = [names[i] for i in chosen.tolist()]
            self._record = Record.of(
                agents=new, tasks=asked, x=x[chosen], answers=answers, scores=scores, usd=usd, weight=weight
            )
        else:
            self._record = record.joined(new, rows=rows[chosen], answers=answers, scores=scores, usd=usd)
        self._tables = None

    def get_extra_state(self) -> Mapping[str, Any]:
        """Return the evidence, for the state dict."""
        if self._record is None:
            return {}
        teams = [t.clone() for t in self._tables_for(self.space).teams]
        return {**self._record.state(), "listed": self._listed(), "teams": teams}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take the evidence of a state dict; that of agents which are not on offer stays unused."""
        self._record = Record.from_state(state) if state else None
        same = bool(state) and state["listed"] == self._listed()
        self._tables = None
        if same:
            self._tables = (self.space, self._make_tables(self.space, list(state["teams"])))

    def _listed(self) -> list[list[str]]:
        """Return what the numbers in the tables of designs stand for."""
        agents = [[a.role, a.llm, a.operator] for a in dict.fromkeys(self.space.agents)]
        return [list(self.shapes), [str(self.reuse)], *agents]

    # ----------------------------------------------------------------------- tables

    def _tables_of(self, problem: Batch) -> "Tables":
        return self._tables_for(problem.space[0])

    def _tables_for(self, space: Space) -> "Tables":
        if self._tables is None or self._tables[0] is not space:
            self._tables = (space, self._make_tables(space, None))
        return self._tables[1]

    def _make_tables(self, space: Space, teams: list[Int[Tensor, "_ _"]] | None) -> "Tables":
        vocabulary = Vocabulary(space, shapes=self.shapes, reuse=self.reuse)
        evidence = None if self._record is None else self._record.evidence(vocabulary.agents)
        if teams is None:
            teams = vocabulary.teams
            total = sum(map(len, teams))
            if evidence is None and total > MAX_DESIGNS:
                raise ConfigError(
                    f"there are {total} designs of these shapes over {len(vocabulary.agents)} agents, more than "
                    f"{MAX_DESIGNS}; choose fewer shapes or agents, or let evidence choose (num_probes)"
                )
            if evidence is not None and total > MAX_LISTED:
                teams = [
                    t[evidence.shortlist(shape, t, usd_weights=self.usd_weights, num_best=self.num_best)]
                    for shape, t in zip(vocabulary.shapes, teams, strict=True)
                ]
        return Tables.of(space, vocabulary, teams, evidence)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is expected before the critic speaks.

    Attributes:
        alone: Score, USD for 1,000 questions, and score by the text, of each agent alone.
        score: Of each design, its messages left out; 0 without evidence.
        usd: Of each design likewise, for 1,000 questions.
    """

    alone: Float[Tensor, "B C 3"]
    score: Float[Tensor, "B L"]
    usd: Float[Tensor, "B L"]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The designs over one space, and what the evidence says of them.

    Attributes:
        vocabulary: Shapes and agents.
        teams: The candidates in the places of each design, a table a shape.
        ends: Where each shape's designs end among all.
        index: The number of each design by shape and candidates.
        candidate: The candidate of each slot of the space.
        even: Of each design, up to a factor, where every shape is as likely as any other, and every design of a shape.
        usual_usd: USD for 1,000 calls of each candidate, by `USUAL_TOKENS`.
        evidence: What the agents replied alone; None where nothing was asked.
        score: Expected outcomes of the designs on past questions.
        usd: Likewise.
    """

    vocabulary: Vocabulary
    teams: Sequence[Int[Tensor, "_ _"]]
    ends: Sequence[int]
    index: Mapping[tuple[int, tuple[int, ...]], int]
    candidate: Int[Tensor, " N"]
    even: Float[Tensor, " L"]
    usual_usd: Float[Tensor, " C"]
    evidence: Evidence | None
    score: Float[Tensor, "T L"] | None
    usd: Float[Tensor, "T L"] | None

    @classmethod
    def of(
        cls, space: Space, vocabulary: Vocabulary, teams: list[Int[Tensor, "_ _"]], evidence: Evidence | None
    ) -> "Tables":
        """Compose the outcomes of the designs."""
        llms = [space.pool.llm(a.llm) for a in vocabulary.agents]
        usual = [1000 * m.usd(prompt_tokens=USUAL_TOKENS[0], completion_tokens=USUAL_TOKENS[1]) for m in llms]
        rows = [(number, tuple(team)) for number, table in enumerate(teams) for team in table.tolist()]
        score = usd = None
        if evidence is not None:
            outcomes = [evidence.outcomes(shape, table) for shape, table in zip(vocabulary.shapes, teams, strict=True)]
            score, usd = (torch.cat(parts, dim=1) for parts in zip(*outcomes, strict=True))
        return cls(
            vocabulary=vocabulary,
            teams=teams,
            ends=list(accumulate(map(len, teams))),
            index={row: i for i, row in enumerate(rows)},
            candidate=torch.tensor([vocabulary.agents.index(a) for a in space.agents]),
            even=torch.cat([torch.full((len(t),), 1 / max(1, len(t))) for t in teams]),
            usual_usd=torch.tensor(usual),
            evidence=evidence,
            score=score,
            usd=usd,
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

    def expect(self, attention: Float[Tensor, "B T"]) -> tuple[Float[Tensor, "B L"], Float[Tensor, "B L"]]:
        """Return what the attended questions say of each design."""
        assert self.score is not None
        assert self.usd is not None
        return attention @ self.score.to(attention), attention @ self.usd.to(attention)


class Critic(nn.Module):
    """What agents add to each other: a graph network over the slots and the question, and a sum over places.

    Args:
        shapes: Kinds of design.
        text_dim: D.
        hidden_dim: H.
        num_layers: Message passing steps.
    """

    def __init__(self, *, shapes: Sequence[Shape], text_dim: int, hidden_dim: int, num_layers: int) -> None:
        super().__init__()
        self.encoder = Encoder(
            text_dim=text_dim,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            num_features=NUM_FEATURES + NUM_KNOWN,
        )
        # agents that may change places share a map
        self.roles = [[0] * s.num_unordered + list(range(1, s.size - s.num_unordered + 1)) for s in shapes]
        self.places = nn.ModuleList(nn.Linear(hidden_dim, (max(roles) + 1) * hidden_dim) for roles in self.roles)
        self.both = nn.Linear(hidden_dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, 2)
        with torch.no_grad():
            self.out.weight.mul_(0.1)

    def read(self, problem: Batch, known: Known, tables: Tables) -> Float[Tensor, "B C H"]:
        """Return encodings of the candidates, given the question; it does not look at the price of cost."""
        is_slot = problem.slot >= 0
        candidate = tables.candidate.to(problem.x.device)[problem.slot[is_slot]]
        row = problem.batch[is_slot]
        numbers = torch.zeros(len(problem.slot), NUM_FEATURES + NUM_KNOWN, device=problem.x.device)
        numbers[:, : NUM_FEATURES - 2] = problem.features[:, : NUM_FEATURES - 2]
        numbers[:, 2] = 0.0  # slots of one candidate are one agent here
        alone = known.alone[row, candidate]
        numbers[is_slot, NUM_FEATURES] = 4 * alone[:, 0] - 2
        numbers[is_slot, NUM_FEATURES + 1] = alone[:, 1].clamp_min(1e-6).log10()
        numbers[is_slot, NUM_FEATURES + 2] = 4 * alone[:, 2] - 2
        if tables.evidence is not None:
            hidden = self._hidden(problem, row, candidate) | tables.evidence.added.to(candidate.device)[candidate]
            problem = copy(problem)
            problem.x = problem.x.clone()
            unknown = is_slot.nonzero()[hidden, 0]
            problem.x[unknown] = 0.0
            numbers[unknown, :2] = 0.0
            numbers[unknown, NUM_FEATURES + 1] = 0.0
        encoded: Tensor = self.encoder(problem, numbers)
        agents = encoded.new_zeros(problem.num_graphs, len(tables.vocabulary.agents), encoded.shape[-1])
        return agents.index_put((row, candidate), encoded[is_slot])

    def _hidden(self, problem: Batch, row: Int[Tensor, " S"], candidate: Int[Tensor, " S"]) -> Bool[Tensor, " S"]:
        """Return who is kept back in training; the last digits of the question's features decide."""
        if not self.training:
            return torch.zeros_like(candidate, dtype=torch.bool)
        digits = 1e4 * problem.x[problem.slot < 0].sum(1).double()
        out: Tensor = (digits[row] + (candidate + 1) * GOLDEN).frac().abs() < HIDDEN
        return out

    def change(
        self, agents: Float[Tensor, "B C H"], shape: int, teams: Int[Tensor, "L K"] | Int[Tensor, "B 1 K"]
    ) -> Float[Tensor, "B L 2"]:
        """Return what is added to the score of each design, and to the log of its USD."""
        num, count, dim = agents.shape
        placed = self.places[shape](agents).view(num, count, -1, dim)
        each = torch.arange(num, device=agents.device)[:, None]
        total = agents.new_zeros(())
        for k, role in enumerate(self.roles[shape]):
            total = total + placed[each, teams[..., k], role]
        out: Tensor = self.out(torch.relu(self.both(torch.relu(total))))
        score, usd = out.unbind(-1)
        return torch.stack([score, MAX_LOG_USD * torch.tanh(usd / MAX_LOG_USD)], dim=-1)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What agents replied alone, as it is kept.

    Attributes:
        agents: Who was asked.
        tasks: What they were asked, `<benchmark>:<id>`.
        x: Text features of the questions.
        ids: Equal for equal answers to one question; -1 for an unreadable one.
        scores: Of each agent alone.
        usd: Of each agent alone, for 1,000 questions.
        seen: Who was asked what.
        added: Who came after the others.
        weight: Of the questions.
        answers: The answers themselves, by question, so that those of agents added later can be compared.
    """

    agents: tuple[Agent, ...]
    tasks: tuple[str, ...]
    x: Float[Tensor, "T D"]
    ids: Int[Tensor, "T C"]
    scores: Float[Tensor, "T C"]
    usd: Float[Tensor, "T C"]
    seen: Bool[Tensor, "T C"]
    added: Bool[Tensor, " C"]
    weight: Float[Tensor, " T"]
    answers: tuple[tuple[str, ...], ...]

    @classmethod
    def of(
        cls,
        *,
        agents: Sequence[Agent],
        tasks: Sequence[str],
        x: Float[Tensor, "T D"],
        answers: Sequence[Sequence[str | None]],
        scores: Float[Tensor, "T C"],
        usd: Float[Tensor, "T C"],
        weight: Float[Tensor, " T"],
    ) -> "Record":
        """Return the record of agents that were all asked the same."""
        ids, texts = _numbered(answers, [()] * len(answers))
        return cls(
            agents=tuple(agents),
            tasks=tuple(tasks),
            x=x,
            ids=ids,
            scores=scores,
            usd=usd,
            seen=torch.ones_like(ids, dtype=torch.bool),
            added=torch.zeros(len(agents), dtype=torch.bool),
            weight=weight,
            answers=texts,
        )

    def rows(self, tasks: Sequence[str]) -> Int[Tensor, " B"]:
        """Return which question of the record each task is; -1 for none."""
        row = {name: i for i, name in enumerate(self.tasks)}
        return torch.tensor([row.get(name, -1) for name in tasks])

    def joined(
        self,
        agents: Sequence[Agent],
        *,
        rows: Int[Tensor, " B"],
        answers: Sequence[Sequence[str | None]],
        scores: Float[Tensor, "B C"],
        usd: Float[Tensor, "B C"],
    ) -> "Record":
        """Return the record with further agents, who were asked some of its questions."""
        num = len(agents)
        ids, texts = _numbered(answers, [self.answers[r] for r in rows.tolist()])
        known = list(self.answers)
        for r, text in zip(rows.tolist(), texts, strict=True):
            known[r] = text

        def widened(old: Tensor, new: Tensor) -> Tensor:
            more = torch.zeros(len(old), num, dtype=old.dtype)
            more[rows] = new.to(old.dtype)
            return torch.cat([old, more], dim=1)

        return Record(
            agents=(*self.agents, *agents),
            tasks=self.tasks,
            x=self.x,
            ids=widened(self.ids, ids),
            scores=widened(self.scores, scores),
            usd=widened(self.usd, usd),
            seen=widened(self.seen, torch.ones_like(ids, dtype=torch.bool)),
            added=torch.cat([self.added, torch.ones(num, dtype=torch.bool)]),
            weight=self.weight,
            answers=tuple(known),
        )

    def evidence(self, agents: Sequence[Agent]) -> Evidence:
        """Return the evidence on these agents, in their order.

        Raises:
            ConfigError: Nothing is known of one of them.
        """
        if new := [a for a in agents if a not in self.agents]:
            raise ConfigError(
                f"nothing is known of the agent {new[0].role}/{new[0].llm}/{new[0].operator}; let it answer some "
                "training questions first: train.py designer=joint start=<run folder> trainer.max_epochs=0"
            )
        columns = [self.agents.index(a) for a in agents]
        return Evidence(
            x=self.x,
            ids=self.ids[:, columns],
            scores=self.scores[:, columns],
            usd=self.usd[:, columns],
            seen=self.seen[:, columns],
            added=self.added[columns],
            weight=self.weight,
        )

    def state(self) -> dict[str, Any]:
        """Return tensors, lists and strings, which a checkpoint may hold."""
        return {
            "agents": [[a.role, a.llm, a.operator] for a in self.agents],
            "tasks": list(self.tasks),
            "answers": [list(row) for row in self.answers],
            **{name: getattr(self, name) for name in ("x", "ids", "scores", "usd", "seen", "added", "weight")},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Record":
        """Return the record that `state` was made of."""
        return cls(
            agents=tuple(Agent(role=r, llm=m, operator=o) for r, m, o in state["agents"]),
            tasks=tuple(state["tasks"]),
            answers=tuple(tuple(row) for row in state["answers"]),
            **{name: state[name] for name in ("x", "ids", "scores", "usd", "seen", "added", "weight")},
        )


def _distinct(problem: Batch) -> tuple[list[int], Int[Tensor, " B"]]:
    """Return the first of the problems that share a task, its slots and its price, and which of these each one is."""
    slots, ptr = problem.slot.tolist(), problem.ptr.tolist()
    found: dict[object, int] = {}
    first: list[int] = []
    same = []
    for b, (task, price) in enumerate(zip(problem.task, problem.usd_weight.tolist(), strict=True)):
        key = (task.question, price, tuple(slots[ptr[b] : ptr[b + 1]]))
        if key not in found:
            found[key] = len(first)
            first.append(b)
        same.append(found[key])
    return first, torch.tensor(same, device=problem.x.device)


def _numbered(
    answers: Sequence[Sequence[str | None]], known: Sequence[Sequence[str]]
) -> tuple[Int[Tensor, "T C"], tuple[tuple[str, ...], ...]]:
    """Return a number for each answer, equal for equal ones, and the answers by number."""
    rows, texts = [], []
    for row, before in zip(answers, known, strict=True):
        seen = {text: i for i, text in enumerate(before)}
        rows.append([-1 if a is None else seen.setdefault(a, len(seen)) for a in row])
        texts.append(tuple(seen))
    return torch.tensor(rows, dtype=torch.int16), tuple(texts)
