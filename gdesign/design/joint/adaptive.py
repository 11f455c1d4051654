"""adaptive: whom to ask first, and after each answer whether to stop or whom to ask next.

Every agent of the pool answers training questions alone. A model of how agents answer is fitted to who gave equal
answers and which were right (gdesign.design.joint.response). For a question and a price of cost the best policy over a
pool of a few agents follows by dynamic programming (gdesign.design.joint.planner). Agents hear nobody.
docs/methods/adaptive.md has the equations.

Shape letters: T past questions, B questions, C agents, D text features, Q nodes.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gdesign.design.base import Searched, refuse_below_one
from gdesign.design.joint import planner, response
from gdesign.design.joint.planner import Plan, Table
from gdesign.design.joint.record import Record
from gdesign.design.joint.response import Answered, Response
from gdesign.encode.problem import Space

TYPICAL = 8
"""How many questions of a kind stand for all where its pool is chosen."""
SELDOM = 0.02
"""Answers of a form that is right less often than this count as unreadable."""
ENOUGH = 20
"""How often a form must have been seen for that."""
CHOICE = 32
"""How many agents are looked at where a pool is chosen; of more, those that are worth most alone at some price."""
CHUNK = 32
"""Questions planned at once; bounds the memory that takes."""


def form(answer: str) -> str:
    """Return what an answer looks like: every number becomes 9, every word a."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", answer))


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
        kinds: Names of the kinds of questions: their benchmarks.
        malformed: Kind and form of answers that count as unreadable.
        pools: Columns of the record by kind and price.
    """

    def __init__(
        self,
        record: Record,
        model: Response,
        settings: Settings,
        *,
        kinds: Sequence[str],
        malformed: frozenset[tuple[str, str]],
        pools: Mapping[tuple[int, float], tuple[int, ...]] | None = None,
    ) -> None:
        self.record = record
        self.model = model
        self.settings = settings
        self.kinds = tuple(kinds)
        self.malformed = malformed
        self.pools = dict(pools or {})
        self._tables: dict[tuple[int, tuple[int, ...]], Table] = {}

    @classmethod
    def of(cls, record: Record, settings: Settings, *, generator: torch.Generator) -> "Fitted":
        """Fit a model to a record."""
        kinds = sorted({_benchmark(task) for task in record.tasks})
        malformed = _malformed(record)
        told = answered(record, kinds, malformed)
        model = response.fit(
            told,
            generator=generator,
            num_steps=settings.num_steps,
            ridge=settings.ridge,
            text_ridge=settings.text_ridge,
            num_components=settings.num_components,
        )
        return cls(record, model, settings, kinds=kinds, malformed=malformed)

    def kind(self, benchmarks: Sequence[str], x: Float[Tensor, "B D"]) -> Int[Tensor, " B"]:
        """Return the kind of each question: its benchmark, or what is nearest in text where that is a new one."""
        number = {name: k for k, name in enumerate(self.kinds)}
        named = torch.tensor([number.get(name, -1) for name in benchmarks])
        return torch.where(named >= 0, named, self.model.kinds(x))

    def pool(self, kind: int, price: float, columns: Sequence[int]) -> tuple[int, ...]:
        """Return the agents that are worth most together, chosen at a price nearby.

        Args:
            columns: Whom to choose from.
        """
        key = kind, _rounded(price)
        if key not in self.pools or not set(self.pools[key]) <= set(columns):
            x = self.record.x[self._rows(kind)]
            some = torch.full((len(x),), kind)
            prior, dearer = self.model.prior(x, some), self.model.dearer(x, some)
            order = (prior @ response.Z).argsort()
            typical = order[torch.linspace(0, len(order) - 1, 2 * TYPICAL + 1).long()[1::2]].unique()
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
        if (kind, pool) not in self._tables:
            self._tables[kind, pool] = planner.table(self.model, kind, pool, max_calls=self.settings.max_calls)
        known = self._tables[kind, pool]
        some = torch.full((len(x),), kind)
        prior, dearer = self.model.prior(x, some), self.model.dearer(x, some)
        if self.settings.max_waves is None:
            return Planned(pool, known, planner.solve(known, prior, dearer, price))
        waves = {"max_waves": self.settings.max_waves, "max_wave": self.settings.max_wave}
        return Planned(pool, known, planner.solve_waves(known, prior, dearer, price, **waves))

    def _rows(self, kind: int) -> list[int]:
        return [i for i, task in enumerate(self.record.tasks) if _benchmark(task) == self.kinds[kind]]

    def _promising(self, kind: int, price: float, columns: Sequence[int]) -> list[int]:
        if len(columns) <= CHOICE:
            return list(columns)
        prior = response._log_prior(torch.zeros(1)).exp()[0]
        score = self.model.logit()[kind, list(columns)].sigmoid() @ prior
        usd = self.model.usd()[kind, list(columns)] @ prior
        prices = torch.tensor([0.0, 0.3, 1.0, 3.0])[:, None] * price
        rank = (score - prices * usd).argsort(descending=True).argsort().amin(0)
        return [columns[i] for i in rank.argsort(stable=True)[:CHOICE].sort().values.tolist()]

    def state(self) -> dict[str, Any]:
        """Return tensors, lists and strings, which a checkpoint may hold."""
        return {
            "model": self.model.state(),
            "kinds": list(self.kinds),
            "malformed": [list(pair) for pair in sorted(self.malformed)],
            "pools": [[kind, price, list(pool)] for (kind, price), pool in self.pools.items()],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], record: Record, settings: Settings) -> "Fitted":
        """Return what `state` was made of."""
        return cls(
            record,
            Response.from_state(state["model"]),
            settings,
            kinds=state["kinds"],
            malformed=frozenset((kind, shape) for kind, shape in state["malformed"]),
            pools={(kind, price): tuple(pool) for kind, price, pool in state["pools"]},
        )


def _benchmark(task: str) -> str:
    return task.partition(":")[0]


def _rounded(price: float) -> float:
    """Return the price that pools are chosen at, two in each octave."""
    return 2 ** (round(2 * math.log2(price)) / 2) if price > 0 else 0.0


def _malformed(record: Record) -> frozenset[tuple[str, str]]:
    """Return the forms of answers that are seldom right, by kind."""
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


def answered(record: Record, kinds: Sequence[str], malformed: frozenset[tuple[str, str]]) -> Answered:
    """Return what agents answered, answers of a malformed kind unreadable."""
    block = record.ids.long()
    for i, (task, texts) in enumerate(zip(record.tasks, record.answers, strict=True)):
        wrong = [n for n, text in enumerate(texts) if (_benchmark(task), form(text)) in malformed]
        block[i] = torch.where(torch.isin(block[i], torch.tensor(wrong, dtype=torch.long)), -1, block[i])
    return Answered(
        block=block,
        right=record.scores > 0.5,
        usd=record.usd,
        seen=record.seen,
        kind=torch.tensor([kinds.index(_benchmark(task)) for task in record.tasks]),
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
        ConfigError: A number is below 1.
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
        )
        self.num_probes = num_probes
        self.max_probes = max_probes
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

    def forward(self, problem, *, num_designs=1, generator=None, greedy=False):
        raise NotImplementedError

    def log_prob(self, problem, designs):
        raise NotImplementedError

    def search(self, tasks, *, problems, usd_weight, generator):
        raise NotImplementedError
