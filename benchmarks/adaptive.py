"""Policies that go on deciding while they run, on recorded answers of 26 LLMs: one fit for all prices of cost.

    GDESIGN_DATA=... python benchmarks/adaptive.py --write benchmarks/results/adaptive.md
    GDESIGN_DATA=... python benchmarks/adaptive.py --lockbox --write benchmarks/results/frontier-lockbox-adaptive.md

GSM8K, MATH-L5 and CRUX-O weigh the same. Each seed splits the questions outside the lock-box into another half for
training, validation included, and half for the test, as benchmarks/frontier.py does; every row gets the same half.
What each LLM answers alone is run once by the executor. Nobody hears anyone, so what cascades and policies come to is
composed from that; `--executed 300` runs so many policies a seed in the executor too and compares. With --lockbox all
questions outside it are trained on, and those in it are the test.
"""

import argparse
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import torch
from frontier import PRICES, bootstrap, plus_minus_signed
from runner import begin, command, compose, plus_minus, without_repeats
from torch import Tensor

if TYPE_CHECKING:
    from gdesign.design.joint.adaptive import Fitted
    from gdesign.design.joint.record import Record

REFERENCE = "two-then-one cascade, searched"
ADAPTIVE = "adaptive, one agent a wave"
STATIC = (-0.0018, 0.0051, 0.0087, 0.0077, 0.0074)
"""Mean gain of joint without its critic over the searched cascade in each half, as frontier.md has it."""
BINS = 10


@dataclass(frozen=True, kw_only=True)
class Alone:
    """What each LLM answers alone to the questions of training and test, and which these are.

    Attributes:
        record: All questions.
        halves: Rows and weights of the training and the test half, by seed.
    """

    record: "Record"
    halves: dict[int, tuple[Tensor, Tensor, Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Came:
    """What a row of the table came to on some questions at one price.

    Attributes:
        sure: How probable it was held that the answer is right; None where nobody says.
        path: Who was asked and who gave equal answers; None likewise.
        fitted: The utility that the plan expects; None likewise.
    """

    score: Tensor
    usd: Tensor
    calls: Tensor
    waves: Tensor
    sure: Tensor | None = None
    path: list[Any] | None = None
    fitted: Tensor | None = None


def load(out: Path, seeds: Sequence[int], *, lockbox: bool) -> Alone:
    """Return what is known, run before if it is in the folder."""
    from hydra.utils import instantiate

    from gdesign.agents import teams
    from gdesign.design.joint.record import Record, Replied
    from gdesign.design.routers.base import features
    from gdesign.execute.arena import LocalArena
    from gdesign.runs.checkpoint import assemble
    from gdesign.types import Job

    tasks, splits, test = {}, {}, "lockbox" if lockbox else "test"
    for seed in seeds:
        extra = ("+task.final=true",) if lockbox else ()
        config = compose(("experiment=frontier", "designer=evidence", *extra)).copy()
        config.seed = seed
        benchmark = instantiate(config.task)
        splits[seed] = {split: benchmark.load(split) for split in ("train", "validation", test)}
        tasks.update({f"{t.benchmark}:{t.id}": t for split in splits[seed].values() for t in split})
    path = out / "alone.pt"
    if path.is_file():
        record = Record.from_state(torch.load(path, weights_only=True))
    else:
        problems, _ = assemble(config)
        agents = list(dict.fromkeys(problems.space.agents))
        every = list(tasks.values())
        record = Record.empty(tasks=list(tasks), x=features(problems, every), weight=torch.ones(len(every)))
        jobs = [Job(teams.single([agent]), task, 0) for task in every for agent in agents]
        with LocalArena(pool=problems.space.pool, llm=instantiate(config.llm), benchmark=benchmark) as arena:
            results = arena.run(jobs, phase="benchmark")
        record = record.joined(agents).told(
            [
                Replied(i // len(agents), job.design.agents[0], run.answer, outcome.score, 1000 * outcome.usd)
                for i, (job, (run, outcome)) in enumerate(zip(jobs, results, strict=True))
            ]
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(record.state(), path)
    halves = {}
    for seed, parts in splits.items():
        found = []
        for names in (("train", "validation"), (test,)):
            some = [task for name in names for task in parts[name]]
            found.append(record.rows([f"{task.benchmark}:{task.id}" for task in some]))
            found.append(torch.tensor([task.weight for task in some]))
        halves[seed] = tuple(found)
    return Alone(record=record, halves=halves)


def part(record: "Record", rows: Tensor, weight: Tensor) -> "Record":
    """Return some questions of a record."""
    by_question = ("x", "ids", "scores", "usd", "seen", "again")
    return replace(
        record,
        tasks=tuple(record.tasks[i] for i in rows.tolist()),
        answers=tuple(record.answers[i] for i in rows.tolist()),
        weight=weight,
        **{name: getattr(record, name)[rows] for name in by_question},
    )


def shuffled(record: "Record", *, seed: int) -> "Record":
    """Return the record with each LLM's answers, and what they scored and cost, dealt out anew among the questions."""
    g = torch.Generator().manual_seed(seed)
    names = [task.partition(":")[0] for task in record.tasks]
    order = torch.arange(len(names))[:, None].repeat(1, record.ids.shape[1])
    for name in dict.fromkeys(names):
        own = torch.tensor([i for i, other in enumerate(names) if other == name])
        for m in range(order.shape[1]):
            order[own, m] = own[torch.randperm(len(own), generator=g)]
    answers: list[tuple[str, ...]] = []
    ids = torch.full_like(record.ids, -1)
    for i, row in enumerate(order.tolist()):
        texts = [None if record.ids[j, m] < 0 else record.answers[j][int(record.ids[j, m])] for m, j in enumerate(row)]
        known = {text: n for n, text in enumerate(dict.fromkeys(t for t in texts if t is not None))}
        ids[i] = torch.tensor([-1 if t is None else known[t] for t in texts])
        answers.append(tuple(known))
    scores, usd = record.scores.gather(0, order), record.usd.gather(0, order)
    return replace(record, ids=ids, scores=scores, usd=usd, answers=tuple(answers))


# --------------------------------------------------------------------------- rows of the table


Method = Callable[[Tensor], list[Came]]
"""What a fitted row comes to on rows of the record, at each price."""


def best_static(record: "Record", rows: Tensor, weight: Tensor, *, cascades: bool, apart: bool = False) -> Method:
    """Search the best single LLM or two-then-one cascade at each price, for each benchmark apart if asked."""

    def outcomes(some: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ids, score, usd = record.ids[some], record.scores[some].double(), record.usd[some].double()
        if not cascades:
            return score, usd, torch.ones_like(score)
        a, b, c = _triples(ids.shape[1]).T
        same = (ids[:, a] == ids[:, b]) & (ids[:, a] >= 0)
        return (
            torch.where(same, score[:, a], score[:, c]),
            usd[:, a] + usd[:, b] + torch.where(same, 0.0, usd[:, c]),
            torch.where(same, 2.0, 3.0),
        )

    kind = torch.tensor(
        [
            sorted({t.partition(":")[0] for t in record.tasks}).index(t.partition(":")[0]) if apart else 0
            for t in record.tasks
        ]
    )
    score, usd, _ = outcomes(rows)
    chosen: dict[tuple[int, float], int] = {}
    for k in kind.unique().tolist():
        own = kind[rows] == k
        for price in PRICES:
            worth = weight[own].double() @ (score[own] - price * usd[own])
            chosen[k, price] = int(worth.argmax())

    def method(some: Tensor) -> list[Came]:
        score, usd, calls = outcomes(some)
        found = []
        for price in PRICES:
            d = torch.tensor([chosen[k, price] for k in kind[some].tolist()])[:, None]
            s, u, n = (part.gather(1, d)[:, 0] for part in (score, usd, calls))
            found.append(Came(score=s, usd=u, calls=n, waves=torch.where(n > 2, 2.0, 1.0)))
        return found

    return method


@lru_cache
def _triples(num: int) -> Tensor:
    return torch.tensor([(a, b, c) for a, b in combinations(range(num), 2) for c in range(num) if c not in (a, b)])


def agreement(record: "Record", rows: Tensor, weight: Tensor, *, longest: int = 5, beam: int = 8) -> Method:
    """Search agreement cascades: LLMs one after the other until two agree, else the last one's answer.

    Longer ones are grown from the best few shorter ones.
    """

    def outcomes(line: Sequence[int], some: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ids, score, usd = record.ids[some], record.scores[some].double(), record.usd[some].double()
        over = torch.zeros(len(some), dtype=torch.bool)
        won, paid, calls = (torch.zeros(len(some), dtype=torch.float64) for _ in range(3))
        for n, m in enumerate(line):
            paid += usd[:, m] * ~over
            calls += ~over
            before = list(line[:n])
            agrees = ((ids[:, before] == ids[:, m : m + 1]) & (ids[:, m : m + 1] >= 0)).any(1)
            ends = ~over & (agrees | (n == len(line) - 1))
            won = torch.where(ends, score[:, m], won)
            over |= ends
        return won, paid, calls

    chosen = {}
    num = record.ids.shape[1]
    w = weight.double()

    def worth(line: Sequence[int], price: float) -> float:
        won, paid, _ = outcomes(line, rows)
        return float(w @ (won - price * paid))

    for price in PRICES:
        triples = _triples(num)
        ids, score, usd = record.ids[rows], record.scores[rows].double(), record.usd[rows].double()
        a, b, c = triples.T
        same = (ids[:, a] == ids[:, b]) & (ids[:, a] >= 0)
        value = w @ (torch.where(same, score[:, a], score[:, c]) - price * (usd[:, a] + usd[:, b] + ~same * usd[:, c]))
        lines = [tuple(triples[i].tolist()) for i in value.topk(beam).indices.tolist()]
        best = max((worth(line, price), line) for line in [*lines, *((m,) for m in range(num))])
        for _ in range(longest - 3):
            grown = {
                (*line[:at], m, *line[at:])
                for line in lines
                for m in range(num)
                if m not in line
                for at in range(1, len(line) + 1)
            }
            ranked = sorted(((worth(line, price), line) for line in grown), reverse=True)[:beam]
            best = max(best, ranked[0])
            lines = [line for _, line in ranked]
        chosen[price] = best[1]

    def method(some: Tensor) -> list[Came]:
        found = []
        for price in PRICES:
            won, paid, calls = outcomes(chosen[price], some)
            found.append(Came(score=won, usd=paid, calls=calls, waves=(calls - 1).clamp_min(1)))
        return found

    return method


@lru_cache
def _settings() -> Any:
    from gdesign.runs.checkpoint import assemble

    config = compose(("experiment=frontier", "designer=adaptive", "text=hash")).copy()
    return assemble(config)[1].settings


def adaptive(
    record: "Record",
    rows: Tensor,
    weight: Tensor,
    *,
    seed: int,
    max_waves: int | None = None,
    fitted: "Fitted | None" = None,
) -> tuple[Method, "Fitted"]:
    """Fit the response model to some rows, once for all prices, and plan."""
    from gdesign.design.joint.adaptive import CHUNK, Fitted, answered
    from gdesign.design.joint.planner import follow

    settings = _settings()
    settings = replace(settings, max_waves=max_waves)
    if fitted is None:
        generator = torch.Generator().manual_seed(seed)
        fitted = Fitted.of(part(record, rows, weight), settings, generator=generator)
    else:
        fitted = Fitted(
            fitted.record,
            fitted.model,
            settings,
            kinds=fitted.kinds,
            kind=fitted.kind,
            malformed=fitted.malformed,
            pools=fitted.pools,
        )
    columns = range(record.ids.shape[1])
    model = fitted

    def method(some: Tensor) -> list[Came]:
        asked_of = part(record, some, torch.ones(len(some)))
        names = [task.partition(":")[0] for task in asked_of.tasks]
        data = answered(asked_of, model.sort(names, asked_of.x), model.malformed)
        block = torch.where((data.block < 0) & model.model.blank[data.kind][:, None], 1 << 14, data.block)
        found = []
        for price in PRICES:
            score, usd, calls, waves, sure, value = torch.zeros(6, len(some), dtype=torch.float64)
            path: list[Any] = [None] * len(some)
            for k in range(len(model.kinds)):
                of_kind = (data.kind == k).nonzero()[:, 0]
                for now in of_kind.split(CHUNK):
                    pool, known, plan = model.plan(data.x[now], k, price, columns)
                    done = follow(known.states, plan, block[now][:, pool])
                    here = torch.arange(len(now))
                    won = record.scores[some[now]][:, pool][here, done.taken.clamp_min(0)] * (done.taken >= 0)
                    score[now] = won.double()
                    usd[now] = (record.usd[some[now]][:, pool] * done.asked).sum(1).double()
                    calls[now], waves[now] = done.asked.sum(1).double(), done.waves.double()
                    chances = plan.sure[done.state, :, here]
                    sure[now] = (chances[:, 1:].amax(1) / chances.sum(1)).double()
                    value[now] = plan.worth[0].double()
                    for i, s in zip(now.tolist(), done.state.tolist(), strict=True):
                        asked = [(pool[m], x) for m, x in enumerate(known.states.label[s].tolist()) if x >= 0]
                        path[i] = (k, tuple(record.agents[m].llm for m, _ in asked), tuple(x for _, x in asked))
            found.append(Came(score=score, usd=usd, calls=calls, waves=waves, sure=sure, path=path, fitted=value))
        return found

    return method, fitted


def cascade_routing(record: "Record", rows: Tensor, weight: Tensor, *, fitted: "Fitted", seed: int) -> Method:
    """Fit cascade routing (Dekoninck, Baader and Vechev, ICLR 2025): estimate anew after each answer.

    The quality of an LLM is a logistic regression on the text's components and on who agrees with whom so far; one for
    LLMs that answered, one for those that did not. The quality of a set is the expected highest estimate in it, where
    that of an LLM which did not answer yet will change by as much as such estimates changed in training. Sets are what
    was run and up to three more; of the best set the cheapest LLM runs next. The pools are those of adaptive.
    """
    from gdesign.design.joint.adaptive import answered

    g = torch.Generator().manual_seed(seed)
    model = fitted.model
    draws = torch.randn(64, 8, generator=g)
    columns = range(record.ids.shape[1])

    def read(some: Tensor) -> Any:
        asked_of = part(record, some, torch.ones(len(some)))
        names = [task.partition(":")[0] for task in asked_of.tasks]
        data = answered(asked_of, fitted.sort(names, asked_of.x), fitted.malformed)
        block = torch.where((data.block < 0) & model.blank[data.kind][:, None], 1 << 14, data.block)
        return data, block, model.text(data.x, data.kind).float()

    def features(text: Tensor, same: Tensor, ran: Tensor) -> tuple[Tensor, Tensor]:
        """Return features of each LLM once it answered, and before, B M F each."""
        num = ran.shape[1]
        others = ran[:, None, :] * (1 - torch.eye(num))
        agree = same * others
        one = torch.ones(len(text), 1)
        base = torch.cat([one, text], 1)[:, None].expand(-1, num, -1)
        after = torch.cat(
            [base, agree, others, agree.sum(2, keepdim=True), (agree.sum(2, keepdim=True) == 0).float()], 2
        )
        pairs = same * ran[:, :, None] * ran[:, None]
        largest = pairs.sum(2).amax(1, keepdim=True)
        ahead = torch.cat([one, text, ran, largest, largest / ran.sum(1, keepdim=True).clamp_min(1)], 1)
        return after, ahead[:, None].expand(-1, num, -1)

    def regression(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        beta = torch.zeros(x.shape[1], x.shape[2], requires_grad=True)
        adam = torch.optim.Adam([beta], lr=0.1)
        for _ in range(150):
            logits = torch.einsum("bmf,mf->bm", x, beta)
            fit = torch.nn.functional.binary_cross_entropy_with_logits(logits, y, weight=w, reduction="none")
            adam.zero_grad()
            (fit.sum(0) / w.sum(0).clamp_min(1)).sum().add(2e-3 * (beta[:, 1:] ** 2).sum()).backward()
            adam.step()
        return beta.detach()

    def sameness(block: Tensor) -> Tensor:
        return ((block[:, :, None] == block[:, None]) & (block[:, :, None] >= 0)).float()

    data, block, text = read(rows)
    learned: dict[tuple[int, float], Any] = {}
    for price in PRICES:
        for k in range(len(fitted.kinds)):
            pool = list(fitted.pool(k, price, columns))
            own = (data.kind == k).nonzero()[:, 0].repeat(6)
            same, right = sameness(block[own][:, pool]), data.right[own][:, pool].float()
            chance = torch.rand(len(own), 1, generator=g)
            ran = (torch.rand(len(own), len(pool), generator=g) < chance).float()
            w = weight[own][:, None]
            after, ahead = features(text[own], same, ran)
            beta = regression(after, right, ran * w), regression(ahead, right, (1 - ran) * w)
            everyone = torch.ones_like(ran)
            full = torch.einsum("bmf,mf->bm", features(text[own], same, everyone)[0], beta[0]).sigmoid()
            before = torch.einsum("bmf,mf->bm", features(text[own], same, torch.zeros_like(ran))[1], beta[1]).sigmoid()
            cost = data.usd[own][:, pool].mean(0).float()
            learned[k, price] = pool, beta, (full - before).std(0), cost

    def method(some: Tensor) -> list[Came]:
        data, block, text = read(some)
        found = []
        for price in PRICES:
            score, usd, calls = torch.zeros(3, len(some), dtype=torch.float64)
            for k in range(len(fitted.kinds)):
                own = (data.kind == k).nonzero()[:, 0]
                pool, beta, spread, cost = learned[k, price]
                same, num = sameness(block[own][:, pool]), len(pool)
                more = torch.tensor(
                    [[m in s for m in range(num)] for n in range(4) for s in combinations(range(num), n)]
                ).float()
                ran, going = torch.zeros(len(own), num), torch.ones(len(own), dtype=torch.bool)
                while going.any():
                    after, ahead = features(text[own], same, ran)
                    told = torch.einsum("bmf,mf->bm", after, beta[0]).sigmoid()
                    hoped = torch.einsum("bmf,mf->bm", ahead, beta[1]).sigmoid()
                    now = torch.where(ran > 0, told, -1.0)
                    drawn = hoped[:, None] + spread * draws[:, :num] * (1 - ran)[:, None]
                    taken = (1 - ran)[:, None] * more
                    fresh = torch.where(taken[:, :, None] > 0, drawn[:, None], -1.0).amax(-1)
                    best = torch.maximum(fresh, now.amax(1)[:, None, None]).mean(2).clamp_min(0)
                    worth = best - price * (taken @ cost)
                    chosen = taken[torch.arange(len(own)), worth.argmax(1)]
                    going &= chosen.any(1)
                    cheapest = torch.where(chosen > 0, cost, torch.inf).argmin(1)
                    ran[going, cheapest[going]] = 1
                answer = now.argmax(1)
                here = torch.arange(len(own))
                score[own] = (record.scores[some[own]][:, pool][here, answer] * (ran.any(1))).double()
                usd[own] = (record.usd[some[own]][:, pool] * ran).sum(1).double()
                calls[own] = ran.sum(1).double()
            found.append(Came(score=score, usd=usd, calls=calls, waves=calls))
        return found

    return method


def executed(data: Alone, seed: int, num: int) -> str:
    """Run policies for some test questions by the executor, at every price; say how that differs from the table."""
    from hydra.utils import instantiate

    from gdesign.execute.arena import LocalArena
    from gdesign.runs.checkpoint import assemble
    from gdesign.types import Job

    config = compose(("experiment=frontier", "designer=adaptive", "text=hash")).copy()
    config.seed = seed
    benchmark = instantiate(config.task)
    record, (rows, weight, test, _) = data.record, data.halves[seed]
    some = test[torch.randperm(len(test), generator=torch.Generator().manual_seed(seed))[:num]].sort().values
    tasks = {f"{t.benchmark}:{t.id}": t for t in benchmark.load("test")}
    method, fitted = adaptive(record, rows, weight.float(), seed=seed)
    table = method(some)
    columns = range(record.ids.shape[1])
    jobs = []
    for price in PRICES:
        for i in some.tolist():
            task = tasks[record.tasks[i]]
            kind = int(fitted.sort([task.benchmark], record.x[[i]]))
            planned = fitted.plan(record.x[[i]], kind, price, columns)
            jobs.append(Job(fitted.steps(planned, 0, kind, price), task, 0))
    pool = assemble(config)[0].space.pool
    with LocalArena(pool=pool, llm=instantiate(config.llm), benchmark=benchmark) as arena:
        outcomes = [outcome for _, outcome in arena.run(jobs, phase="benchmark")]
    score = torch.tensor([o.score for o in outcomes]).view(len(PRICES), -1)
    usd = torch.tensor([1000 * o.usd for o in outcomes]).view(len(PRICES), -1)
    wrong = (score - torch.stack([c.score for c in table])).abs() > 1e-4
    dearer = (usd - torch.stack([c.usd for c in table])).abs() > 1e-4
    return (
        f"{len(jobs)} policies for {num} test questions of seed {seed} were run by the executor: "
        f"{int(wrong.sum())} scores and {int(dearer.sum())} costs differ from the table."
    )


# --------------------------------------------------------------------------- tables


def worth(came: Sequence[Came]) -> Tensor:
    """Return the utility of every question at every price, and in a last row their mean over prices."""
    rows = torch.stack([c.score.double() - price * c.usd.double() for c, price in zip(came, PRICES, strict=True)])
    return torch.cat([rows, rows.mean(0, keepdim=True)])


def weighted(values: Tensor, weight: Tensor) -> list[float]:
    """Return weighted means over questions."""
    return ((values * weight).sum(-1) / weight.sum()).tolist()


def run_seed(data: Alone, seed: int) -> dict[str, Any]:
    """Fit all rows to a half and test them; the results are weights and, by row, what came on test and training."""
    record, (rows, weight, test, test_weight) = data.record, data.halves[seed]
    weight = weight.float()
    found: dict[str, Any] = {"weight": test_weight.double(), "train_weight": weight.double(), "rows": test}

    def add(name: str, method: Method, *, on_training: bool = False) -> None:
        found[name] = method(test)
        if on_training:
            found[f"{name}, on training"] = method(rows)

    add("best single LLM, searched", best_static(record, rows, weight, cascades=False))
    add(REFERENCE, best_static(record, rows, weight, cascades=True), on_training=True)
    add("two-then-one cascade for each benchmark", best_static(record, rows, weight, cascades=True, apart=True))
    add("agreement cascade, searched", agreement(record, rows, weight))
    method, fitted = adaptive(record, rows, weight, seed=seed)
    add(ADAPTIVE, method, on_training=True)
    for waves in (2, 3):
        add(
            f"adaptive, {waves} waves at most",
            adaptive(record, rows, weight, seed=seed, fitted=fitted, max_waves=waves)[0],
        )
    add("cascade routing", cascade_routing(record, rows, weight, fitted=fitted, seed=seed))
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    for share in (8, 4, 2):
        some = order[: len(rows) // share].sort().values
        add(f"adaptive, 1/{share} of the training half", adaptive(record, rows[some], weight[some], seed=seed)[0])
    add("adaptive, fitted on the test half", adaptive(record, test, test_weight.float(), seed=seed)[0])
    mixed = shuffled(record, seed=seed)
    single = best_static(mixed, rows, weight, cascades=False, apart=True)
    found["shuffled: best single LLM for each benchmark"] = single(test)
    found["shuffled: adaptive"] = adaptive(mixed, rows, weight, seed=seed)[0](test)
    return found


def main_table(found: Sequence[dict[str, Any]], names: Sequence[str]) -> list[str]:
    """Return utilities and gains over the searched cascade, as Markdown."""
    heads = [f"lambda {price:g}" for price in PRICES]
    lines = [
        f"| utility | {' | '.join(heads)} | mean | less the searched cascade's | calls | waves |",
        "|---" * (len(PRICES) + 5) + "|",
    ]
    for name in names:
        utilities = torch.tensor([weighted(worth(one[name]), one["weight"]) for one in found])
        reference = torch.tensor([weighted(worth(one[REFERENCE]), one["weight"]) for one in found])
        cells = [plus_minus(column) for column in utilities.T.tolist()]
        cells.append("" if name == REFERENCE else plus_minus_signed((utilities - reference)[:, -1].tolist()))
        for what in ("calls", "waves"):
            cells.append(f"{mean(weighted(getattr(c, what), one['weight']) for one in found for c in one[name]):.2f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, without_repeats(len(PRICES) + 5)]


def gain_table(found: Sequence[dict[str, Any]], name: str, against: str, num_questions: int) -> list[str]:
    """Return the mean gain of a row at every price, with its interval over questions, as Markdown.

    A question counts with all the halves that test it: what is resampled are questions.
    """
    sums, weights = torch.zeros(len(PRICES) + 1, num_questions, dtype=torch.float64), torch.zeros(num_questions)
    for one in found:
        sums[:, one["rows"]] += (worth(one[name]) - worth(one[against])) * one["weight"]
        weights[one["rows"]] += one["weight"]
    seen = weights > 0
    each, weight = sums[:, seen] / weights[seen], weights[seen].double()
    lines = [f"| {name} less {against} | mean | 95 % over questions | halves above 0 |", "|---|---|---|---|"]
    for j, head in enumerate([*(f"lambda {price:g}" for price in PRICES), "mean"]):
        low, high = bootstrap(each[j], weight)
        by_half = [weighted((worth(one[name]) - worth(one[against]))[j], one["weight"]) for one in found]
        gain = float((each[j] * weight).sum() / weight.sum())
        above = sum(g > 0 for g in by_half)  # type: ignore[operator]
        lines.append(f"| {head} | {gain:+.4f} | {low:+.4f} to {high:+.4f} | {above} of {len(found)} |")
    return lines


def static(found: Sequence[dict[str, Any]]) -> str:
    """Return how adaptive compares with static joint, half by half."""
    own = [
        weighted((worth(one[ADAPTIVE]) - worth(one[REFERENCE]))[-1], one["weight"])
        for one in found[: len(STATIC)]  # of the same seeds
    ]
    differences = [float(mine) - other for mine, other in zip(own, STATIC, strict=False)]  # type: ignore[arg-type]
    each = ", ".join(f"{d:+.4f}" for d in differences)
    return (
        "Static joint (frontier.md) has .799, .763, .740, .723, mean .756 on these halves; adaptive's mean gain less "
        f"that of joint, half by half: {each}; mean {plus_minus_signed(differences)}."
    )


def paths(found: Sequence[dict[str, Any]], name: str) -> list[str]:
    """Return how paths spread over questions, and how often a policy asks, as Markdown."""
    lines = [
        "| lambda | calls | waves | after 1 call | 2 | 3 | 4 | 5 | paths, nats | teams, nats | most frequent team |",
        "|---" * 11 + "|",
    ]
    for j, price in enumerate(PRICES):
        cells: list[list[float]] = []
        first: Counter[str] = Counter()
        for one in found:
            came = one[name][j]
            weight = one["weight"] / one["weight"].sum()
            shares: Counter[Any] = Counter()
            teams: Counter[Any] = Counter()
            for (k, team, labels), w in zip(came.path, weight.tolist(), strict=True):
                shares[k, team, labels] += w
                teams[team] += w
            cells.append(
                [
                    weighted(came.calls, weight),
                    weighted(came.waves, weight),
                    *(weighted((came.calls == n).double(), weight) for n in range(1, 6)),
                    *(-sum(p * math.log(p) for p in count.values()) for count in (shares, teams)),
                ]  # type: ignore[list-item]
            )
            first[" + ".join(max(teams, key=lambda team: teams[team]))] += 1
        means = torch.tensor(cells).mean(0).tolist()
        shown = [f"{means[0]:.2f}", f"{means[1]:.2f}", *(f"{100 * x:.0f} %" for x in means[2:7])]
        shown += [f"{means[7]:.2f}", f"{means[8]:.2f}", first.most_common(1)[0][0]]
        lines.append(f"| {price:g} | {' | '.join(shown)} |")
    return lines


def calibration(found: Sequence[dict[str, Any]], name: str) -> list[str]:
    """Return how often answers were right by how probable that was held, as Markdown."""
    sure = torch.cat([c.sure for one in found for c in one[name]])
    right = torch.cat([c.score for one in found for c in one[name]])
    weight = torch.cat([one["weight"] for one in found for _ in one[name]])
    bins = (sure * BINS).long().clamp(0, BINS - 1)
    lines, error = ["| held | share | held, mean | right |", "|---|---|---|---|"], 0.0
    for b in range(BINS):
        own = bins == b
        if not own.any():
            continue
        total = float(weight[own].sum())
        held, was = (float((x[own] * weight[own]).sum()) / total for x in (sure, right))
        share = total / float(weight.sum())
        error += share * abs(held - was)
        lines.append(f"| {b / BINS:.1f} to {(b + 1) / BINS:.1f} | {100 * share:.1f} % | {held:.3f} | {was:.3f} |")
    return [*lines, "", f"Mean absolute error over the bins, weighted by their shares: {error:.3f}."]


def fitted_and_tested(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return what was expected, what came on the training half and on the test half, as Markdown."""
    lines = [
        f"| | {' | '.join(f'lambda {price:g}' for price in PRICES)} | mean |",
        "|---" * (len(PRICES) + 2) + "|",
    ]

    def row(name: str, values: Tensor) -> None:
        lines.append(f"| {name} | {' | '.join(f'{x:.3f}' for x in [*values.tolist(), float(values.mean())])} |")

    for name, text, split in (
        (ADAPTIVE, "adaptive: expected of the training half", "train"),
        (f"{ADAPTIVE}, on training", "adaptive: on the training half", "train"),
        (ADAPTIVE, "adaptive: expected of the test half", "expected"),
        (ADAPTIVE, "adaptive: on the test half", "test"),
        (f"{REFERENCE}, on training", "searched cascade: on the training half", "train"),
        (REFERENCE, "searched cascade: on the test half", "test"),
    ):
        rows = []
        for one in found:
            weight = one["train_weight" if split == "train" else "weight"]
            if split == "expected" or text.endswith("expected of the training half"):
                came = one[f"{ADAPTIVE}, on training"] if split == "train" else one[name]
                rows.append(weighted(torch.stack([c.fitted for c in came]), weight))
            else:
                rows.append(weighted(worth(one[name])[:-1], weight))
        row(text, torch.tensor(rows).mean(0))
    return lines


def controls(found: Sequence[dict[str, Any]]) -> list[str]:
    """Return what is left where each LLM's answers are shuffled between questions, as Markdown."""
    names = ("shuffled: best single LLM for each benchmark", "shuffled: adaptive")
    lines = [f"| | {' | '.join(f'lambda {price:g}' for price in PRICES)} | mean |", "|---" * (len(PRICES) + 2) + "|"]
    for name in names:
        columns = torch.tensor([weighted(worth(one[name]), one["weight"]) for one in found]).T.tolist()
        lines.append(f"| {name} | {' | '.join(plus_minus(column) for column in columns)} |")
    return lines


def main() -> None:
    """Run everything, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds (5)")
    parser.add_argument(
        "--executed", type=int, default=0, help="test questions whose policies the executor runs too, for two seeds (0)"
    )
    parser.add_argument("--lockbox", action="store_true", help="train on all else and test on the lock-box; one seed")
    parser.add_argument("--out", type=Path, help="where answers go (runs/adaptive or runs/adaptive-lockbox)")
    parser.add_argument("--write", type=Path, help="write the tables to this file too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    out = args.out or Path("runs") / ("adaptive-lockbox" if args.lockbox else "adaptive")
    seeds = range(1 if args.lockbox else args.seeds)
    data = load(out, seeds, lockbox=args.lockbox)
    found = []
    for seed in seeds:
        path = out / f"{seed}.pt"
        if not path.is_file():
            torch.save(run_seed(data, seed), path)
        found.append(torch.load(path, weights_only=False))
    if args.executed:
        runs = [executed(data, seed, args.executed) for seed in seeds[:2]]
    else:
        runs = []
    names = [
        name
        for name in found[0]
        if isinstance(found[0][name], list) and not name.startswith("shuffled") and not name.endswith("on training")
    ]
    num = len(data.record.tasks)
    sampled = (
        "Trained on all questions outside the lock-box, tested on the lock-box."
        if args.lockbox
        else f"Mean ± standard deviation over {args.seeds} random halves outside the lock-box, those of frontier.md; "
        "the halves overlap, so the spread is no standard error. adaptive is fitted once a half, for all prices and "
        "all waves."
    )
    parts = [
        f"# Policies that go on deciding, on recorded answers{', the lock-box' if args.lockbox else ''}",
        "",
        f"`GDESIGN_DATA=... {command()}`; experiment=frontier and designer=adaptive; answers "
        f"exact. utility = score - lambda x USD per 1,000 questions; the three benchmarks weigh the same. {sampled}",
        "",
        *main_table(found, names),
        "",
        "Adaptive self-consistency (Aggarwal et al., 2023) needs several samples of one LLM, and each was recorded "
        "once. adaptive is told a question's benchmark, as the program that reads its answer is; so is the row of a "
        "cascade for each benchmark, and cascade routing. Other rows are not. An agreement cascade asks LLMs one after "
        "the other until two agree.",
        "",
        *([] if args.lockbox else [static(found), ""]),
        "Of the settings, ridge was chosen among 0.3, 1 and 3 by two folds within the training halves of three seeds "
        "(mean utility .764, .764, .766; 30 instead of 10 for text_ridge .763; forms of answers left aside .764). The "
        "other settings are those of a first attempt on these data, which tried things on such halves too. With "
        "ridge 1 the test halves had been looked at once before that (+.0111).",
        "",
        *runs,
        "",
        "## Gains",
        "",
        "Paired by question; intervals resample questions, each with all the halves that test it.",
        "",
        *gain_table(found, ADAPTIVE, REFERENCE, num),
        "",
        *gain_table(found, "adaptive, 2 waves at most", REFERENCE, num),
        "",
        *gain_table(found, ADAPTIVE, "two-then-one cascade for each benchmark", num),
        "",
        *gain_table(found, ADAPTIVE, "agreement cascade, searched", num),
        "",
        *gain_table(found, ADAPTIVE, "cascade routing", num),
        "",
        "## Fitted and tested",
        "",
        *fitted_and_tested(found),
        "",
        "## Answers shuffled between questions",
        "",
        "Each LLM's answers, with what they scored and cost, are dealt out anew among the questions of a benchmark, in "
        "training and test: what is left is what each LLM is worth alone.",
        "",
        *controls(found),
        "",
        "## Paths",
        "",
        "A path is who was asked and who gave equal answers when it stopped; entropies are over questions, in a half.",
        "",
        *paths(found, ADAPTIVE),
        "",
        "## Calibration",
        "",
        "How probable the policy held the answer that it took, and how often it was right, all prices and halves.",
        "",
        *calibration(found, ADAPTIVE),
        "",
    ]
    text = "\n".join(parts)
    if args.write:
        args.write.write_text(text)
    print(text)


if __name__ == "__main__":
    begin(main)
