"""About what a training or an evaluation will cost, by the designs that a designer draws now."""

import asyncio
import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from omegaconf import DictConfig

from gdesign.agents import teams
from gdesign.agents.prompt import OPERATORS, prompt
from gdesign.design.base import Designer, Searched
from gdesign.design.choose import greedy
from gdesign.design.deployed import serves_every_price
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import LLMError
from gdesign.execute.adaptive import opening
from gdesign.execute.operators import MOST_CALLS
from gdesign.execute.plan import Plan
from gdesign.llm.base import LLMClient
from gdesign.llm.options import BASE_URL, is_loopback, terms_of
from gdesign.llm.recording import Recording
from gdesign.runs import checkpoint
from gdesign.runs.config import live_clients
from gdesign.runs.money import CALIBRATED, MOST_QUESTIONS, OTHER_PRICES, SEEN, comparison_runs
from gdesign.types import Agent, AgentPool, Design, Job, Play, Reply, Request, Task

ESTIMATE = "estimate.txt"
"""What a run folder calls what its training was estimated to cost."""
NUM_SAMPLES = 32
"""Designs that an estimate looks at."""
NUM_RECORDED = 10_000
"""Recorded calls that an estimate looks at."""
BYTES_PER_TOKEN = 4
"""Of English, about; what an estimate assumes of prompts."""
COMPLETION_TOKENS = 300
"""What an estimate assumes of a reply where no recording says better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What some runs may cost.

    Attributes:
        runs: Number of executions of a design.
        usd: At the pool's prices.
        recorded: Calls that a recording holds, as far as that can be told beforehand: of agents that hear nobody.
        seconds: What the calls that are not recorded take, with as many in flight as each endpoint is asked at a time;
            of LLMs whose seconds are not known it is 0.
    """

    runs: float = 0.0
    calls: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    usd: float = 0.0
    recorded: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(**{name: value + getattr(other, name) for name, value in asdict(self).items()})

    def __mul__(self, runs: int | float) -> "Spending":
        return Spending(**{name: value * runs for name, value in asdict(self).items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """About what a training or an evaluation will cost.

    Attributes:
        parts: By what it is for.
        notes: What was assumed.
    """

    parts: Mapping[str, Spending]
    notes: tuple[str, ...]

    @property
    def total(self) -> Spending:
        """Return the sum of the parts."""
        return sum(self.parts.values(), Spending())

    def __str__(self) -> str:
        rows = [(name, cost) for name, cost in self.parts.items() if cost.runs]
        if len(rows) > 1:
            rows.append(("together", self.total))
        recorded, timed = self.total.recorded > 0, self.total.seconds > 0
        lines = [
            f"{'about':12} {'runs':>10} {'calls':>10} {'prompt tokens':>14} {'completion tokens':>18} {'USD':>12}"
            + f" {'recorded':>10}" * recorded
            + f" {'minutes':>10}" * timed
        ]
        lines += [
            f"{name:12} {c.runs:>10,.0f} {c.calls:>10,.0f} {c.prompt_tokens:>14,.0f} {c.completion_tokens:>18,.0f} "
            f"{c.usd:>12,.4f}" + f" {c.recorded:>10,.0f}" * recorded + f" {c.seconds / 60:>10,.1f}" * timed
            for name, c in rows
        ]
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])


def estimate_training(
    designer: Designer,
    problems: ProblemEncoder,
    *,
    train: Sequence[Task],
    validation: Sequence[Task],
    test: Sequence[Task],
    config: DictConfig,
    num_epochs: int,
    timed: Mapping[str, float] = {},
) -> Estimate:
    """Return about what a training will cost, with the comparison and the evaluation that follow.

    Args:
        config: Has `learner` and `reward`; says of the client what is recorded and how long replies are, and how often
            a test is run.
        num_epochs: How many epochs are still to come.
        timed: What `time_calls` found.
    """
    trains = any(p.requires_grad for p in designer.parameters())
    pool = problems.space.pool
    lengths = _Lengths.of(config, pool, timed)
    notes = list(lengths.notes(pool))
    asked: list[tuple[Play, Task]] = []
    parts = {}
    usd_weight: float = config.reward.usd_weight
    if isinstance(designer, Searched) and num_epochs:
        tasks = [*train, *(() if trains else validation)]
        asked = [(design, task) for design, task, _ in _first_jobs(designer, problems, tasks, usd_weight=usd_weight)]
        if asked:
            runs = len(asked) if designer.num_runs is None else designer.num_runs
            parts["search"] = _mean_cost(_spread(asked), pool=pool, lengths=lengths) * runs
            notes.append(
                f"search: by the first {len(asked)} runs that the designer asks for"
                + (", and what it may ask for when it has seen these is not in it" if designer.num_runs is None else "")
            )
    some = _spread(train)
    if asked and not trains:
        mean = held = _mean_cost(_spread(asked), pool=pool, lengths=lengths)
    else:
        mean, held = (
            _mean_cost(_drawn(designer, problems, some, usd_weight=usd_weight, first=first), pool=pool, lengths=lengths)
            for first in (True, False)
        )
        notes.append(f"by {len(some)} designs as the designer draws them now; training changes which it draws")
    samples = 1
    if trains:
        learner = config.learner
        drawn, samples = 0 if learner.get("teacher") else learner.num_designs, learner.num_validation_samples
        parts["training"] = mean * (num_epochs * len(train) * drawn)
        parts["validation"] = held * (num_epochs * len(validation) * samples)
    parts["test"] = held * (len(test) * config.num_test_samples)
    if trains or isinstance(designer, Searched):
        singles = [teams.single([agent]) for agent in problems.space.agents]
        alone = _mean_cost(list(zip(_spread(singles), cycle(some), strict=False)), pool=pool, lengths=lengths)
        answers = min(len(validation), MOST_QUESTIONS) * samples
        before = round(sum(parts[name].runs for name in ("search", "training", "validation") if name in parts))
        most = comparison_runs(training=before, candidates=len(singles), validation=answers)
        parts["comparison"] = alone * (most - SEEN * answers) + mean * (SEEN * answers)
        if serves_every_price(designer):
            parts["comparison"] += mean * (len(OTHER_PRICES) * min(len(validation), CALIBRATED) + answers)
        parts["rival"] = alone * (len(test) * config.num_test_samples)
        notes.append(
            "comparison: single agents, and designs that training ran often, on validation questions, as far as "
            "training did not run them; rival: the best single agent on those of the test"
        )
    return Estimate(parts=parts, notes=tuple(notes))


def estimate_evaluation(
    designer: Designer,
    problems: ProblemEncoder,
    tasks: Sequence[Task],
    *,
    config: DictConfig,
    rival: Design | None = None,
    timed: Mapping[str, float] = {},
) -> Estimate:
    """Return about what an evaluation will cost, with that of a design that the designer is compared with.

    Args:
        rival: The other design.
        timed: What `time_calls` found.
    """
    some = _spread(tasks)
    designs = greedy(designer, problems, some, usd_weight=config.reward.usd_weight)
    pool = problems.space.pool
    lengths = _Lengths.of(config, pool, timed)
    mean = _mean_cost(list(zip(designs, some, strict=True)), pool=pool, lengths=lengths)
    notes = (*lengths.notes(pool), f"by the designs of {len(some)} of the {len(tasks)} questions")
    runs = len(tasks) * config.num_test_samples
    parts = {config.split: mean * runs}
    if rival is not None:
        parts["rival"] = _mean_cost([(rival, task) for task in some], pool=pool, lengths=lengths) * runs
    return Estimate(parts=parts, notes=notes)


def time_calls(llm: LLMClient, tasks: Sequence[Task], *, pool: AgentPool, config: DictConfig) -> dict[str, float]:
    """Return the seconds of a call to each LLM on this machine that no recording tells of, one after the other.

    An agent of each is asked the first two questions, as the run itself will ask, and the recording keeps what it says;
    without one nobody is asked.
    """
    known = _Lengths.of(config, pool, {})
    if known.path is None:
        return {}
    found: dict[str, float] = {}
    for node in live_clients(config.llm):
        for model in pool.llms:
            here = is_loopback(model.base_url or str(node.get("base_url", BASE_URL)))
            agent = next((c for c in pool.candidates if c.llm == model.name and c.operator in OPERATORS), None)
            if not here or agent is None or known.seconds.get(model.name):
                continue
            plan = Plan(teams.single([Agent(**agent._asdict())]), pool=pool)
            for task in tasks[:2]:  # a model may be loaded at its first call
                try:
                    reply = asyncio.run(_ask(llm, plan.request(0, task, seed=0, heard=(), previous=None)))
                except LLMError:
                    break
                found[model.name] = reply.seconds
    return found


async def _ask(llm: LLMClient, request: Request) -> Reply:
    return await llm(request)


def write_estimate(folder: Path, estimate: Estimate) -> None:
    """Write what a training will cost, about, for its report; what is left of a training that goes on is not written.

    Args:
        folder: The run folder.
    """
    if not (folder / checkpoint.LAST).is_file():
        (folder / ESTIMATE).write_text(f"{estimate}\n", encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lengths:
    """How long replies are and take: as recorded, and else as assumed."""

    recorded: Mapping[str, float]
    seconds: Mapping[str, float]
    in_flight: Mapping[str, int]
    recording: Recording | None
    temperature: float
    max_tokens: int | None
    path: Path | None

    @classmethod
    def of(cls, config: DictConfig, pool: AgentPool, timed: Mapping[str, float]) -> "_Lengths":
        path = Path(config.llm.record) if config.llm.get("record") else None
        found: dict[str, list[tuple[int, float]]] = {}
        recording = Recording(path) if path is not None and path.is_file() else None
        for call in islice(recording, NUM_RECORDED) if recording is not None else ():
            found.setdefault(call.request.llm, []).append((call.reply.usage.completion_tokens, call.reply.seconds))
        return cls(
            recorded={llm: fmean(tokens for tokens, _ in calls) for llm, calls in found.items()},
            seconds={**timed, **{llm: fmean(seconds for _, seconds in calls) for llm, calls in found.items()}},
            # what was timed alone says nothing of several at a time
            in_flight=_in_flight(config, pool) | {llm: 1 for llm in timed if llm not in found},
            recording=recording,
            temperature=config.llm.get("temperature", 0.0),
            max_tokens=config.llm.get("max_tokens"),
            path=path,
        )

    def holds(self, request: Request) -> bool:
        """Return whether a call is recorded."""
        sent = replace(request, temperature=self.temperature, max_tokens=self.max_tokens)
        return self.recording is not None and self.recording.get(sent) is not None

    def __call__(self, llm: str) -> float:
        tokens = self.recorded.get(llm, float(COMPLETION_TOKENS))
        return tokens if self.max_tokens is None else min(tokens, float(self.max_tokens))

    def notes(self, pool: AgentPool) -> Iterable[str]:
        known = [m.name for m in pool.llms if m.name in self.recorded]
        if known:
            yield f"replies as long as {self.path} holds them on average: " + ", ".join(
                f"{name} {self(name):.0f} tokens" for name in known
            )
        if len(known) < len(pool.llms):
            assumed = min(COMPLETION_TOKENS, self.max_tokens or COMPLETION_TOKENS)
            yield f"{'other replies' if known else 'replies'} of {assumed} tokens, which is a guess"
        yield (
            f"a token for every {BYTES_PER_TOKEN} bytes of a prompt; every agent speaks, whatever its gate, and asks "
            "as often as its operator may; of a policy the first wave alone"
        )
        if self.path is not None:
            yield f"calls that {self.path} holds already cost nothing" + (
                "; recorded are those of agents that hear nobody, and more may be" if self.recording is not None else ""
            )
        timed = [m.name for m in pool.llms if self.seconds.get(m.name)]
        if timed:
            yield "minutes by what calls took: " + ", ".join(
                f"{name} {self.seconds[name]:.1f} s, {self.in_flight[name]} in flight" for name in timed
            )
        if self.in_flight and len(timed) < len(pool.llms):
            others = [m.name for m in pool.llms if m.name not in timed]
            yield f"how long {', '.join(others[:5])}{' and others' * (len(others) > 5)} take is not known yet" + (
                ", and not in the minutes" if timed else "; once some of their calls are recorded (llm.record), it is"
            )


def _in_flight(config: DictConfig, pool: AgentPool) -> dict[str, int]:
    """Return how many calls of each LLM are asked at a time; nothing where none is asked live."""
    found: dict[str, int] = {}
    for node in live_clients(config.llm):
        own = {str(terms["base_url"]).rstrip("/"): terms for terms in node.get("endpoints") or ()}
        for llm in pool.llms:
            url = (llm.base_url or str(node.get("base_url", BASE_URL))).rstrip("/")
            told = own.get(url, {}).get("max_concurrent") or node.get("max_concurrent")
            found[llm.name] = int(told or terms_of(url)["max_concurrent"])
    return found


def _drawn(
    designer: Designer, problems: ProblemEncoder, tasks: Sequence[Task], *, usd_weight: float, first: bool
) -> list[tuple[Play, Task]]:
    """Return designs as the first step of a training draws them, or as the first validation holds them best."""
    if not first:
        return list(zip(greedy(designer, problems, tasks, usd_weight=usd_weight), tasks, strict=True))
    generator = torch.Generator().manual_seed(0)  # of its own, and in a copy: looking ahead changes nothing
    with torch.no_grad():
        draft = copy.deepcopy(designer).train()(problems(tasks, usd_weight=usd_weight), generator=generator)
    return list(zip(draft.designs, tasks, strict=True))


def _first_jobs(
    designer: Searched, problems: ProblemEncoder, tasks: Sequence[Task], *, usd_weight: float
) -> Sequence[Job]:
    generator = torch.Generator().manual_seed(0)
    search = copy.deepcopy(designer).search(tasks, problems=problems, usd_weight=usd_weight, generator=generator)
    jobs = next(search, ())
    search.close()
    return jobs


def _spread(values: Sequence[Any]) -> list[Any]:
    step = max(1, -(-len(values) // NUM_SAMPLES))
    return list(values[::step])


def _mean_cost(sample: Sequence[tuple[Play, Task]], *, pool: AgentPool, lengths: _Lengths) -> Spending:
    costs = sum((_cost_of(opening(play, task), task, pool=pool, lengths=lengths) for play, task in sample), Spending())
    return costs * (1 / len(sample))


def _cost_of(design: Design, task: Task, *, pool: AgentPool, lengths: _Lengths) -> Spending:
    """Return about what one execution costs in which every agent speaks in every round, and asks as often as it may."""
    completion = [lengths(agent.llm) for agent in design.agents]
    calls, prompt_tokens, completion_tokens, usd, recorded, seconds = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    plan = Plan(design, pool=pool, recorded=True)
    for r in range(1, design.num_rounds + 1):
        heard = [(*spatial, *temporal) for spatial, temporal in design.heard(r)]
        for i, agent in enumerate(design.agents):
            texts = [task.question]  # of ways of working that were recorded elsewhere no more is known
            if agent.operator in OPERATORS:
                named = [(design.agents[j].role, "") for j in heard[i]]
                said = prompt(agent, task, pool=pool, heard=named, previous="" if r > 1 else None)
                texts = [m.content for m in said]
            sent = sum(len(text.encode()) for text in texts) / BYTES_PER_TOKEN
            sent += sum(completion[j] for j in heard[i]) + (completion[i] if r > 1 else 0)
            price = pool.llm(agent.llm)
            alone = agent.operator in OPERATORS and not heard[i] and r == 1
            held = alone and lengths.holds(plan.request(i, task, seed=0, heard=(), previous=None))
            takes = lengths.seconds.get(agent.llm, 0.0) / lengths.in_flight.get(agent.llm, 1)
            for again in range(MOST_CALLS.get(agent.operator, 1)):
                known = held and not again
                recorded += known
                seconds += 0.0 if known else takes
                prompted = sent + again * completion[i]  # each goes on with what was said
                calls += 1.0
                prompt_tokens += prompted
                completion_tokens += completion[i]
                usd += (prompted * price.usd_per_1M_input + completion[i] * price.usd_per_1M_output) / 1e6
    return Spending(
        runs=1.0,
        calls=calls,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        usd=usd,
        recorded=recorded,
        seconds=seconds,
    )


def epochs_left(folder: Path, config: DictConfig, *, num_train: int) -> int:
    """Return how many epochs a training will last, less those that its run folder holds; 1 where it has no end.

    Args:
        config: Has `trainer`, `data` and `resume`.
    """
    last, steps = folder / checkpoint.LAST, config.trainer.get("max_steps") or -1
    done = int(checkpoint.read(last, "epoch")) + 1 if config.resume and last.is_file() else 0
    ends = [end for end in (config.trainer.get("max_epochs"),) if end is not None and end >= 0]
    ends += [-(-steps * config.data.batch_size // num_train)] if steps > 0 else []
    return max(0, min(ends, default=done + 1) - done)
