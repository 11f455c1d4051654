"""adaptive: whom to ask first, and after each answer whether to stop or whom to ask next.

Every agent of the pool answers training questions alone. A model of how agents answer is fitted to who gave equal
answers and which were right (gdesign.design.joint.response). For a question and a price of cost the best policy over a
pool of a few agents follows by dynamic programming (gdesign.design.joint.planner). Agents hear nobody.
docs/methods/adaptive.md has the equations.

Shape letters: T past questions, B questions, C agents, D text features, Q nodes.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.design.base import Draft, Expected, Searched, Trials, refuse_below_one
from gdesign.design.draws import RNG
from gdesign.design.joint import planner, response
from gdesign.design.joint.planner import Plan, Table
from gdesign.design.joint.policy import State, Step, Steps, form
from gdesign.design.joint.probes import ask, most_runs
from gdesign.design.joint.record import Record
from gdesign.design.joint.response import Answered, Response
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.errors import ConfigError
from gdesign.types import Agent, Play, Task

TYPICAL = 8
"""How many questions of a kind stand for all where its pool is chosen."""
SELDOM = 0.02
"""Answers of a form that is right less often than this count as unreadable."""
ENOUGH = 20
"""How often a form must have been seen for that."""
MANY = 50
"""Training questions from which on a domain of a benchmark is a kind of its own."""
CHOICE = 32
"""How many agents are looked at where a pool is chosen; of more, those that are worth most alone at some price."""
DIGITS = 6
"""That a policy keeps of probabilities and costs, so that it does not depend on what else was planned with it."""
TABLES = 16
"""Tables of states that are kept; one of eight agents takes 80 MB."""
MAX_STATES = 100_000
"""Most states of a plan; that many take about 0.5 GB."""
CHUNK = 32
"""Questions planned at once; bounds the memory that takes."""


class Planned(NamedTuple):
    """What is planned for some questions of a kind.

    Attributes:
        pool: Columns of the record.
        known: States and their probabilities.
        plan: What to do in each.
    """

    pool: tuple[int, ...]
    known: Table
    plan: Plan


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a model is fitted and what a policy may do; see `Adaptive`."""

    pool_size: int
    max_calls: int
    max_waves: int | None
    max_wave: int
    depth: int
    num_steps: int
    ridge: float
    text_ridge: float
    num_components: int


class Fitted:
    """A response model fitted to a record, and the pools that were chosen for it so far.

    Args:
        kinds: Benchmark and domain of each kind of question; no domain where it is all others of the benchmark.
        kind: Of the questions of the record.
        malformed: Benchmark and form of answers that count as unreadable.
        pools: Columns of the record by kind, price, and columns that they were chosen from.
    """

    def __init__(
        self,
        record: Record,
        model: Response,
        settings: Settings,
        *,
        kinds: Sequence[tuple[str, str]],
        kind: Int[Tensor, " T"],
        malformed: frozenset[tuple[str, str]],
        pools: Mapping[tuple[int, float, tuple[int, ...]], tuple[int, ...]] | None = None,
    ) -> None:
        self.record = record
        self.model = model
        self.settings = settings
        self.kinds = tuple(kinds)
        self.kind = kind
        self.malformed = malformed
        self.pools = dict(pools or {})
        self._tables: dict[tuple[int, tuple[int, ...]], Table] = {}

    @classmethod
    def of(
        cls,
        record: Record,
        settings: Settings,
        *,
        generator: torch.Generator,
        domains: Mapping[str, str] | None = None,
    ) -> "Fitted":
        """Fit a model to a record.

        Args:
            domains: Of questions, by their names in the record; those with many questions are kinds of their own.
        """
        pairs = [(_benchmark(task), (domains or {}).get(task, "")) for task in record.tasks]
        own = {pair for pair, count in Counter(pairs).items() if count >= MANY}
        pairs = [pair if pair in own else (pair[0], "") for pair in pairs]
        kinds = sorted(set(pairs))
        kind = torch.tensor([kinds.index(pair) for pair in pairs])
        malformed = _malformed(record)
        model = response.fit(
            answered(record, kind, malformed),
            generator=generator,
            num_steps=settings.num_steps,
            ridge=settings.ridge,
            text_ridge=settings.text_ridge,
            num_components=settings.num_components,
        )
        return cls(record, model, settings, kinds=kinds, kind=kind, malformed=malformed)

    def sort(self, benchmarks: Sequence[str], x: Float[Tensor, "B D"]) -> Int[Tensor, " B"]:
        """Return the kind of each question: of those of its benchmark, or of all for a new one, the nearest in text."""
        own = torch.tensor([[name == benchmark for name, _ in self.kinds] for benchmark in benchmarks])
        apart = torch.cdist(x, self.model.centre)
        return torch.where(own | ~own.any(1, keepdim=True), apart, torch.inf).argmin(1)

    def pool(self, kind: int, price: float, columns: Sequence[int]) -> tuple[int, ...]:
        """Return the agents that are worth most together, chosen at a price nearby.

        Args:
            columns: Whom to choose from.
        """
        key = kind, _rounded(price), tuple(columns)
        if key not in self.pools:
            x = self.record.x[self.kind == kind]
            some = torch.full((len(x),), kind)
            prior, dearer = self.model.prior(x, some), self.model.dearer(x, some)
            order = (prior @ response.Z.double()).argsort()
            typical = order[torch.linspace(0, len(order) - 1, 2 * TYPICAL + 1).long()[1::2]]
            self.pools[key] = tuple(
                planner.choose(
                    self.model,
                    kind,
                    prior[typical],
                    dearer[typical],
                    key[1],
                    size=self.settings.pool_size,
                    depth=min(self.settings.depth, self.settings.max_calls),
                    candidates=self._promising(kind, key[1], columns),
                )
            )
        return self.pools[key]

    def plan(self, x: Float[Tensor, "B D"], kind: int, price: float, columns: Sequence[int]) -> Planned:
        """Return what is planned for questions of a kind."""
        pool = self.pool(kind, price, columns)
        known = self._tables.pop((kind, pool), None)
        if known is None:
            known = planner.table(self.model, kind, pool, max_calls=self.settings.max_calls)
        self._tables[kind, pool] = known
        if len(self._tables) > TABLES:
            del self._tables[next(iter(self._tables))]  # the one that was not used for longest
        some = torch.full((len(x),), kind)
        prior, dearer = self.model.prior(x, some), self.model.dearer(x, some)
        if self.settings.max_waves is None:
            return Planned(pool, known, planner.solve(known, prior, dearer, price))
        waves = {"max_waves": self.settings.max_waves, "max_wave": self.settings.max_wave}
        return Planned(pool, known, planner.solve_waves(known, prior, dearer, price, **waves))

    def steps(self, planned: Planned, row: int, kind: int, price: float) -> Steps:
        """Return the policy for one of the questions that something was planned for."""
        pool, known, plan = planned
        labels = known.states.label
        here: dict[tuple[int, int], tuple[tuple[int, ...], list[int]]] = {}
        layer, waves = [0], 0
        while layer:
            for s in layer:
                bits = int(plan.action[min(waves, len(plan.action) - 1), s, row])
                asked = tuple(m for m in range(len(pool)) if bits >> m & 1)
                after = [s]
                for m in asked:
                    after = [c for b in after for c in known.states.child[b, m].tolist() if c < len(labels)]
                here[waves, s] = asked, after if asked else []
            layer, waves = [c for s in layer for c in here[waves, s][1]], waves + 1
        worth: dict[tuple[int, int], float] = {}
        found: dict[tuple[int, State], Step] = {}
        for (waves, s), (asked, after) in reversed(here.items()):
            label = labels[s].tolist()
            chances = plan.sure[s, :, row].tolist()
            reach = max(sum(chances), 1e-12)
            blocks = chances[1 : max(label) + 1]
            best = max(blocks, default=0.0)
            usd = sum(plan.usd[s, m, row].item() for m in asked)
            worth[waves, s] = sum(worth[waves + 1, c] for c in after) - price * usd if asked else best
            found[waves, tuple(label)] = Step(
                ask=asked,
                take=label.index(1 + blocks.index(best)) if blocks else None,
                sure=tuple(round(chance / reach, DIGITS) for chance in blocks),
                reach=round(reach, DIGITS),
                gain=round((worth[waves, s] - best) / reach, DIGITS),
                usd=round(usd / reach, DIGITS),
            )
        return Steps(
            agents=tuple(self.record.agents[c] for c in pool),
            steps=found,
            malformed=frozenset(shape for name, shape in self.malformed if name == self.kinds[kind][0]),
            blank=bool(self.model.blank[kind]),
        )

    def _promising(self, kind: int, price: float, columns: Sequence[int]) -> list[int]:
        if len(columns) <= CHOICE:
            return list(columns)
        prior = response.log_prior(torch.zeros(1)).exp()[0]
        score = self.model.logit()[kind, list(columns)].sigmoid() @ prior
        usd = self.model.usd()[kind, list(columns)] @ prior
        prices = torch.tensor([0.0, 0.3, 1.0, 3.0])[:, None] * price
        rank = (score - prices * usd).argsort(descending=True).argsort().amin(0)
        return [columns[i] for i in rank.argsort(stable=True)[:CHOICE].sort().values.tolist()]

    def state(self) -> dict[str, Any]:
        """Return tensors, lists and strings, which a checkpoint may hold."""
        return {
            "model": self.model.state(),
            "kinds": [list(pair) for pair in self.kinds],
            "kind": self.kind,
            "malformed": [list(pair) for pair in sorted(self.malformed)],
            "pools": [[kind, price, list(of), list(pool)] for (kind, price, of), pool in self.pools.items()],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], record: Record, settings: Settings) -> "Fitted":
        """Return what `state` was made of."""
        return cls(
            record,
            Response.from_state(state["model"]),
            settings,
            kinds=[(benchmark, domain) for benchmark, domain in state["kinds"]],
            kind=state["kind"],
            malformed=frozenset((kind, shape) for kind, shape in state["malformed"]),
            pools={(kind, price, tuple(of)): tuple(pool) for kind, price, of, pool in state["pools"]},
        )


def _benchmark(task: str) -> str:
    return task.partition(":")[0]


def _rounded(price: float) -> float:
    """Return the price that pools are chosen at, two in each octave."""
    return 2 ** (round(2 * math.log2(price)) / 2) if price > 0 else 0.0


def _malformed(record: Record) -> frozenset[tuple[str, str]]:
    """Return the forms of answers that are seldom right, by benchmark."""
    seen: dict[tuple[str, str], list[float]] = {}
    ids = torch.where(record.seen, record.ids.long(), -1)
    rows = zip(record.tasks, record.answers, ids.tolist(), record.scores.tolist(), strict=True)
    for task, texts, numbers, scores in rows:
        forms = [form(text) for text in texts]
        for number, score in zip(numbers, scores, strict=True):
            if number >= 0:
                seen.setdefault((_benchmark(task), forms[number]), []).append(score)
    return frozenset(
        key for key, scores in seen.items() if len(scores) >= ENOUGH and sum(scores) < SELDOM * len(scores)
    )


def answered(record: Record, kind: Int[Tensor, " T"], malformed: frozenset[tuple[str, str]]) -> Answered:
    """Return what agents answered; malformed answers are unreadable."""
    block = record.ids.long()
    for i, (task, texts) in enumerate(zip(record.tasks, record.answers, strict=True)):
        wrong = [n for n, text in enumerate(texts) if (_benchmark(task), form(text)) in malformed]
        block[i] = torch.where(torch.isin(block[i], torch.tensor(wrong, dtype=torch.long)), -1, block[i])
    return Answered(
        block=block,
        right=record.scores > 0.5,
        usd=record.usd,
        seen=record.seen,
        kind=kind,
        x=record.x,
        weight=record.weight,
    )


class Adaptive(Searched):
    """All mass on the policy that is worth most on the question, given the price of cost.

    Args:
        num_probes: How many training questions each agent is asked alone at most, None for all.
        max_probes: How many such runs there are in all, the better agents asked more; None for no limit.
        pool_size: How many agents a policy chooses from at most; all states over them are solved.
        max_calls: How many agents it asks at most.
        max_waves: How often it asks at most, several agents at once; None for one agent at a time.
        max_wave: How many agents it asks at once at most, where max_waves is given.
        depth: How many agents are asked at most while pools are compared.
        num_steps: Steps of Adam that the response model is fitted in.
        ridge: Penalty on every deviation of an agent or a kind of question; the inverse variance of its prior.
        text_ridge: Penalty on what text tells of difficulty, in multiples of ridge.
        num_components: How many principal components of text are looked at.

    Raises:
        ConfigError: A number is below 1, a penalty below 0, or more than `MAX_STATES` states would be planned.
    """

    def __init__(
        self,
        *,
        space: Space,
        num_probes: int | None = None,
        max_probes: int | None = None,
        pool_size: int = 8,
        max_calls: int = 5,
        max_waves: int | None = None,
        max_wave: int = 5,
        depth: int = 3,
        num_steps: int = 400,
        ridge: float = 3.0,
        text_ridge: float = 10.0,
        num_components: int = 16,
    ) -> None:
        super().__init__(space=space)
        refuse_below_one(
            pool_size=pool_size,
            max_calls=max_calls,
            max_waves=1 if max_waves is None else max_waves,
            max_wave=max_wave,
            depth=depth,
            num_steps=num_steps,
            num_components=num_components,
            num_probes=1 if num_probes is None else num_probes,
            max_probes=1 if max_probes is None else max_probes,
        )
        for name, penalty in (("ridge", ridge), ("text_ridge", text_ridge)):
            if penalty < 0:
                raise ConfigError(f"{name} must be 0 or more; got {penalty}")
        self.num_probes = num_probes
        self.max_probes = max_probes
        num_agents = len(set(space.agents))
        self.num_runs = most_runs(num_agents, num_probes=num_probes, max_probes=max_probes, again=False)
        num_states = planner.num_states(min(pool_size, num_agents), max_calls)
        if num_states > MAX_STATES:
            raise ConfigError(
                f"a plan over {num_states:,} states is too large, expected {MAX_STATES:,} at most; lower "
                f"pool_size={pool_size} or max_calls={max_calls}"
            )
        self.settings = Settings(
            pool_size=pool_size,
            max_calls=max_calls,
            max_waves=max_waves,
            max_wave=max_wave,
            depth=depth,
            num_steps=num_steps,
            ridge=ridge,
            text_ridge=text_ridge,
            num_components=num_components,
        )
        self._fitted: Fitted | None = None

    def search(
        self, tasks: Sequence[Task], *, problems: ProblemEncoder, usd_weight: float, generator: torch.Generator
    ) -> Trials:
        """Run each agent of which nothing is known alone, then fit the model and choose a pool."""
        record = None if self._fitted is None else self._fitted.record
        new = [a for a in dict.fromkeys(self.space.agents) if record is None or a not in record.agents]
        if new:
            record = yield from ask(
                record,
                new,
                tasks,
                problems=problems,
                generator=generator,
                num_probes=self.num_probes,
                max_probes=self.max_probes,
                again=False,
            )
        assert record is not None
        domains = {f"{task.benchmark}:{task.id}": task.domain for task in tasks}
        self._fitted = Fitted.of(record, self.settings, generator=generator, domains=domains)
        for kind in range(len(self._fitted.kinds)):
            self._fitted.pool(kind, usd_weight, self._columns(self.space))

    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Return the policy that is worth most on each problem, K times; nothing is drawn."""
        plays = [play for play in self._plays(problem, problem.usd_weight.tolist()) for _ in range(num_designs)]
        return self._draft(plays, problem.x.device)

    def log_prob(self, problem: Batch, designs: Sequence[Play]) -> Float[Tensor, " B"]:
        """Return 0 for the policy that is worth most, -inf for any other."""
        same = [a == b for a, b in zip(self._plays(problem, problem.usd_weight.tolist()), designs, strict=True)]
        return torch.where(torch.tensor(same, device=problem.x.device), 0.0, -torch.inf)

    def expect(self, problem: Batch, designs: Sequence[Play], *, of: Int[Tensor, " B"] | None = None) -> Expected:
        """Return what is expected of policies that this designer made.

        Raises:
            ConfigError: A design is none.
        """
        if odd := [type(d).__name__ for d in designs if not isinstance(d, Steps)]:
            raise ConfigError(f"designer=adaptive expects something of its own policies only; got a {odd[0]}")
        return self._expected(designs, problem.x.device)

    def frontier(self, problem: Batch, usd_weights: Sequence[float]) -> Draft:
        """Return the policies held best for one problem at each price of cost."""
        return self._draft([self._plays(problem, [price])[0] for price in usd_weights], problem.x.device)

    def _draft(self, plays: Sequence[Any], device: torch.device) -> Draft:
        return Draft(
            designs=lambda: list(plays),
            log_prob=torch.zeros(len(plays), device=device),
            expected=self._expected(plays, device),
        )

    def _expected(self, plays: Sequence[Any], device: torch.device) -> Expected:
        score, usd = zip(*(play.expected() for play in plays), strict=True)
        return Expected(torch.tensor(score, device=device), torch.tensor(usd, device=device))

    def _plays(self, problem: Batch, prices: Sequence[float]) -> list[Steps]:
        """Return the best policy for each problem at its price."""
        if self._fitted is None:
            raise ConfigError(
                "nothing is known of how these agents answer; train first (gdesign train designer=adaptive), with "
                "trainer.max_epochs above 0"
            )
        fitted = self._fitted
        x = problem.x[problem.slot < 0].cpu()
        kind = fitted.sort([task.benchmark for task in problem.task], x).tolist()
        found: list[Steps | None] = [None] * len(x)
        offered: list[set[Agent]] = [set() for _ in found]
        for i, slot in zip(problem.batch.tolist(), problem.slot.tolist(), strict=True):
            if slot >= 0:
                offered[i].add(problem.space[i].agents[slot])
        alike: dict[tuple[int, float, tuple[int, ...]], list[int]] = {}
        for i, (k, price, agents) in enumerate(zip(kind, prices, offered, strict=True)):
            columns = tuple(c for c, agent in enumerate(fitted.record.agents) if agent in agents)
            alike.setdefault((k, float(price), columns), []).append(i)
        for (k, price, columns), rows in alike.items():
            if not columns:
                raise ConfigError(
                    "nothing is known of any of these agents; let them answer some training questions first: gdesign "
                    "train designer=adaptive start=<run folder>"
                )
            for start in range(0, len(rows), CHUNK):
                some = rows[start : start + CHUNK]
                planned = fitted.plan(x[some], k, price, columns)
                for j, i in enumerate(some):
                    found[i] = fitted.steps(planned, j, k, price)
        return [play for play in found if play is not None]

    def _columns(self, space: Space) -> list[int]:
        assert self._fitted is not None
        return [c for c, agent in enumerate(self._fitted.record.agents) if agent in space.agents]

    def get_extra_state(self) -> Mapping[str, Any]:
        """Return the record, the model and the pools, for the state dict."""
        if self._fitted is None:
            return {"record": {}}
        return {"record": self._fitted.record.state(), **self._fitted.state()}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take those of a state dict."""
        known = state["record"]
        self._fitted = Fitted.from_state(state, Record.from_state(known), self.settings) if known else None
