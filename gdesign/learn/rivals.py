"""What a learned designer is compared with: the best single agent, and the best designs that its training saw.

Shape letters: Q questions, R rivals.
"""

import json
import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gdesign.agents import teams
from gdesign.design.base import Designer, Searched
from gdesign.design.calibrated import Calibration, calibrate
from gdesign.design.choose import Held, held
from gdesign.design.deployed import Measured
from gdesign.execute.arena import Arena
from gdesign.execute.reward import Reward
from gdesign.export.schema import design_from_json, design_to_json
from gdesign.learn.data import Item, TaskData
from gdesign.learn.evaluate import bootstrap, weighted_mean
from gdesign.learn.fit import learns
from gdesign.learn.module import DesignModule
from gdesign.runs.checkpoint import BEST
from gdesign.runs.comparison import Kind
from gdesign.runs.log import read_runs
from gdesign.runs.money import (
    CALIBRATED,
    COMPARISON,
    FINALISTS,
    MOST_QUESTIONS,
    OTHER_PRICES,
    SEEN,
    bill,
    comparison_runs,
)
from gdesign.runs.standing import Rival, Standing, write_standing
from gdesign.types import Design, Job, Play, Task

KEPT = 4
"""Of so many single agents one goes on to the next round of questions."""
OFTEN = 5
"""How often a design of several agents must have been run to be looked at."""
SHRINK = 5.0
"""So many runs of its own make what is thought of a design half of what they say and half what others' say."""
SWEEPS = 30


class Worth(NamedTuple):
    """What a run was worth, and what it cost."""

    score: float
    usd: float
    tokens: float
    seconds: float


def compare(module: DesignModule, data: TaskData, *, folder: Path, seed: int) -> Standing | None:
    """Compare a designer that has learned with the best single agent and the best designs seen, on validation.

    Runs that the folder holds are used; those that lack are made, `gdesign.runs.money.comparison_runs` of them at most
    beside those of the designer itself. What was found is added to the best checkpoint.

    Args:
        folder: The run folder, with `runs.jsonl` and the best checkpoint.
        seed: Draws the questions of single agents, apart from everything that a training draws.

    Returns:
        None where nothing was learned.
    """
    designer = module.designer
    if not learns(designer):
        return None
    generator = torch.Generator().manual_seed(seed)
    singles = list(dict.fromkeys(teams.single([agent]) for agent in designer.space.agents))
    known = _Known(module.arena, module.reward, folder / "runs.jsonl")
    some = _some(data.validation, MOST_QUESTIONS, generator)
    seeds = range(module.num_validation_samples)
    num = comparison_runs(training=known.num_runs, candidates=len(singles), validation=len(some) * len(seeds))
    spare = num - (FINALISTS + SEEN) * len(some) * len(seeds)
    finalists = _finalists(singles, [item.task for item in data.train], known, num_runs=spare, generator=generator)
    kinds: dict[Design, Kind] = dict.fromkeys(finalists, "single")
    kinds |= dict.fromkeys(known.best_teams(SEEN), "seen")
    own = held(designer, module.problems, [item.seen for item in some], usd_weight=module.reward.usd_weight)
    columns: list[Sequence[Play]] = [[best.design for best in own], *([design] * len(some) for design in kinds)]
    table = known.measure(columns, [item.task for item in some], seeds)
    weight = torch.tensor([item.task.weight for item in some], dtype=torch.float64)
    r = module.reward
    utility = table @ torch.tensor([1.0, -1000 * r.usd_weight, -r.token_weight, -r.second_weight]).double()
    apart = utility[:, :1] - utility[:, 1:]
    gains, (low, high) = weighted_mean(apart, weight), bootstrap(apart, weight, seed=0)
    means = torch.einsum("q,qrc->rc", weight / weight.sum(), table)
    learned, *others = (Worth(*row) for row in means.tolist())
    standing = Standing(
        usd_weight=module.reward.usd_weight,
        n=len(some),
        score=learned.score,
        usd=1000 * learned.usd,
        utility=module.reward.of(**learned._asdict()),
        in_sample=_learned_from_validation(designer),
        rivals=tuple(
            Rival(kind=kind, worth=_measured(design, worth, module.reward), difference=gain, interval=interval)
            for (design, kind), worth, gain, interval in zip(
                kinds.items(), others, gains.tolist(), zip(low.tolist(), high.tolist(), strict=True), strict=True
            )
        ),
        took=known.took,
        calibration=_calibration(module, known, some, own, table[:, 0, :2]),
    )
    write_standing(standing, folder / BEST)
    return standing


def _calibration(
    module: DesignModule, known: "_Known", some: Sequence[Item], own: Sequence[Held], found: Float[Tensor, "Q 2"]
) -> Calibration | None:
    """Return how what a designer expects of its designs was borne out; None where it expects nothing.

    Its designs at other prices of cost are run too, on some of the questions. A designer that learned from these
    questions is asked as it would be without them.
    """
    if not own or own[0].score is None:
        return None
    designer, price = module.designer, module.reward.usd_weight
    few = range(0, len(some), math.ceil(len(some) / CALIBRATED))
    asked = [(times * price, few) for times in OTHER_PRICES]
    expected, came, question = [], [], []
    if _learned_from_validation(designer):
        assert isinstance(designer, Searched)
        designer = designer.without([item.task for item in some])
        asked.append((price, range(len(some))))
    else:
        expected, came, question = [[best.score, best.usd] for best in own], found.tolist(), list(range(len(some)))
    for weight, rows in asked:
        best = held(designer, module.problems, [some[i].seen for i in rows], usd_weight=weight)
        expected += [[b.score, b.usd] for b in best]
        came += known.measure([[b.design for b in best]], [some[i].task for i in rows], [0])[:, 0, :2].tolist()
        question += rows
    return calibrate(np.array(expected, float), np.array(came) * (1, 1000), np.array(question))


def _measured(design: Design, worth: Worth, reward: Reward) -> Measured:
    other = reward.token_weight * worth.tokens + reward.second_weight * worth.seconds
    return Measured(design=design, score=worth.score, usd=1000 * worth.usd, other=other)


def _learned_from_validation(designer: Designer) -> bool:
    """Return whether `fit` gave a designer the validation questions too."""
    return isinstance(designer, Searched) and not any(p.requires_grad for p in designer.parameters())


def _some(items: Sequence[Item], most: int, generator: torch.Generator) -> list[Item]:
    if len(items) <= most:
        return list(items)
    return [items[i] for i in sorted(torch.randperm(len(items), generator=generator)[:most].tolist())]


_Key = tuple[str, str, int, str]
"""Benchmark, task, seed, and the design as `runs.jsonl` has it."""


class _Known:
    """What the runs of a training were worth; what is asked beyond them is run, unless an earlier comparison did.

    What an earlier comparison ran counts only once it is asked again, so that a stopped one goes on to the same end.
    """

    def __init__(self, arena: Arena, reward: Reward, path: Path) -> None:
        self._arena, self._reward = arena, reward
        self._worth: dict[_Key, Worth] = {}
        self._earlier: dict[_Key, Worth] = {}
        self._texts: dict[Design, str] = {}
        self._came_to: dict[Job, Design] = {}  # of policies
        self._designs: dict[str, Mapping[str, Any]] = {}
        same: dict[str, str] = {}  # a design that was run often is held once
        self._effects: tuple[int, dict[str, float]] | None = None  # with how many runs it was made of
        self._took: list[Mapping[str, Any]] = []
        for row in read_runs(path) if path.is_file() else ():
            if row["phase"].startswith("fit:"):
                text = json.dumps(row["design"], sort_keys=True)
                text = same.setdefault(text, text)
                self._designs.setdefault(text, row["design"])
                tokens = row["prompt_tokens"] + row["completion_tokens"]
                worth = Worth(row["score"], row["usd"], tokens, row.get("latency", 0.0))
                earlier = row["phase"] == COMPARISON
                found = self._earlier if earlier else self._worth
                found[row["benchmark"], row["task"], row["seed"], text] = worth
                self._took += [row] if earlier else []
        self.num_runs = len(self._worth)

    @property
    def took(self) -> dict[str, int | float]:
        """What runs beside those of the training took."""
        return bill(self._took)

    def text(self, design: Design) -> str:
        """Return a design as `runs.jsonl` has it."""
        if design not in self._texts:
            row = design_to_json(design, brief=True)
            self._texts[design] = json.dumps(row, sort_keys=True)
            self._designs.setdefault(self._texts[design], row)
        return self._texts[design]

    def measure(
        self, columns: Sequence[Sequence[Play]], tasks: Sequence[Task], seeds: Sequence[int]
    ) -> Float[Tensor, "Q R 4"]:
        """Return the mean `Worth` of each column's design on each task."""
        jobs = [Job(column[i], task, s) for i, task in enumerate(tasks) for column in columns for s in seeds]
        found = torch.tensor(self.run(jobs), dtype=torch.float64)
        return found.view(len(tasks), len(columns), len(seeds), 4).mean(2)

    def run(self, jobs: Sequence[Job]) -> list[Worth]:
        """Return what each job is worth; those that nobody did are run."""
        for job in jobs:
            if (key := self._key(job)) in self._earlier:
                self._worth[key] = self._earlier.pop(key)
        self._execute([job for job in jobs if self._key(job) not in self._worth])
        return [self._worth[self._key(job)] for job in jobs]

    def answered(self, designs: Sequence[Design]) -> Counter[tuple[str, str]]:
        """Return how many of some designs were run on each question with seed 0."""
        texts = set(map(self.text, designs))
        return Counter(key[:2] for key in self._worth if key[2] == 0 and key[3] in texts)

    def effects(self) -> dict[str, float]:
        """Return how much better each design is than others on the same questions, each shrunk to those like it.

        Of a single agent those are the agents that share its role, its LLM or its operator.
        """
        if self._effects is not None and self._effects[0] == len(self._worth):
            return self._effects[1]
        runs = sorted(self._worth.items())  # not in the order in which calls ended, which is luck
        texts = [text for (*_, text), _ in runs]
        alike = {text: _alike(self._designs[text]) for text in dict.fromkeys(texts)}
        factors: list[list[Hashable]] = [[*texts], [key[:2] for key, _ in runs]]
        factors += [[alike[text][k] for text in texts] for k in range(3)]
        levels = [{level: i for i, level in enumerate(dict.fromkeys(factor))} for factor in factors]
        codes = [
            torch.tensor([place[level] for level in factor]) for place, factor in zip(levels, factors, strict=True)
        ]
        values = torch.tensor([self._reward.of(**w._asdict()) for _, w in runs], dtype=torch.float64)
        of_design, _, *others = (effect.tolist() for effect in _effects(codes, values))
        found = {
            text: own
            + sum(other[place[name]] for other, place, name in zip(others, levels[2:], alike[text], strict=True))
            for (text, own) in zip(alike, of_design, strict=True)
        }
        self._effects = len(runs), found
        return found

    def best_teams(self, num: int) -> list[Design]:
        """Return the designs of several agents that seem best among those that were run often."""
        counts = Counter(text for *_, text in self._worth)
        often = {text for text, count in counts.items() if count >= OFTEN and _alike(self._designs[text])[0] is None}
        if not often:
            return []
        effects = self.effects()
        best = sorted(often, key=lambda text: (-effects[text], text))
        return [design_from_json(self._designs[text]) for text in islice(best, num)]

    def _key(self, job: Job) -> _Key:
        """Return what a job is known by; where nobody knows yet what a policy comes to, what no run is known by."""
        design = job.design if isinstance(job.design, Design) else self._came_to.get(job)
        return job.task.benchmark, job.task.id, job.seed, "" if design is None else self.text(design)

    def _execute(self, jobs: Sequence[Job]) -> None:
        jobs = list(dict.fromkeys(jobs))
        for job, (run, o) in zip(jobs, self._arena.run(jobs, phase=COMPARISON) if jobs else (), strict=True):
            if not isinstance(job.design, Design):
                self._came_to[job] = run.design
            tokens = o.prompt_tokens + o.completion_tokens
            self._worth[self._key(job)] = Worth(o.score, o.usd, tokens, o.seconds)
            amounts = {"calls": o.calls, "usd": o.usd, "paid_usd": o.paid_usd, "faults": o.faults, "label": o.label}
            self._took.append(amounts)


def _alike(design: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Return role, LLM and operator of a single agent; of several nothing."""
    agents = design["agents"]
    if len(agents) > 1 or design.get("num_rounds", 1) != 1:
        return None, None, None
    (agent,) = agents
    return agent["role"], agent["llm"], agent.get("operator")


def _finalists(
    singles: Sequence[Design], tasks: Sequence[Task], known: _Known, *, num_runs: int, generator: torch.Generator
) -> list[Design]:
    """Return the single agents that seem best, by successive halving on training questions.

    All that are left answer the same questions, which are those that most of them have answered already, and then a
    part of them goes on, until few enough are left.
    """
    left = list(singles)
    rounds = math.ceil(math.log(len(left) / FINALISTS, KEPT)) if len(left) > FINALISTS else 0
    if rounds == 0:
        return left
    order = torch.randperm(len(tasks), generator=generator).tolist()
    answered = known.answered(singles)
    order.sort(key=lambda i: -answered[tasks[i].benchmark, tasks[i].id])
    for to_come in range(rounds, 0, -1):
        num = max(1, num_runs // to_come // len(left))
        num_runs -= num * len(left)
        asked, order = order[:num], order[num:]
        known.run([Job(design, tasks[i], 0) for i in asked for design in left])
        effects = known.effects()
        left.sort(key=lambda design: -effects.get(known.text(design), -math.inf))
        left = left[: max(FINALISTS, math.ceil(len(left) / KEPT))]
    return left


def _effects(codes: Sequence[Int[Tensor, " N"]], values: Float[Tensor, " N"]) -> list[Float[Tensor, " M"]]:
    """Return the effect of each level of some factors on values, by ridge regression, factor after factor."""
    sizes = [int(code.max()) + 1 for code in codes]
    counts = [torch.bincount(code, minlength=size) + SHRINK for code, size in zip(codes, sizes, strict=True)]
    effects = [torch.zeros(size, dtype=torch.float64) for size in sizes]
    left = values - values.mean()
    for _ in range(SWEEPS):
        for i, code in enumerate(codes):
            left = left + effects[i][code]
            effects[i] = torch.zeros(sizes[i], dtype=torch.float64).index_add(0, code, left) / counts[i]
            left = left - effects[i][code]
    return effects
