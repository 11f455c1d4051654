"""What a config lets be spent, about what it will cost, and what a training did cost."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from omegaconf import DictConfig

from gdesign.agents.prompt import prompt
from gdesign.design.base import Designer, Searched
from gdesign.design.choose import greedy
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import ConfigError
from gdesign.execute.limits import Limits
from gdesign.execute.operators import MOST_CALLS
from gdesign.llm.cost import Allowance
from gdesign.llm.options import BASE_URL
from gdesign.llm.recording import Recording
from gdesign.runs import checkpoint
from gdesign.runs.config import live_clients
from gdesign.runs.log import read_runs
from gdesign.types import AgentPool, Design, Job, Task

LIMITS = ("question", "agent", "longest_reply")
"""What `limits` of a config may hold."""
AMOUNTS = ("usd", "tokens", "calls")
COMPARISON = "fit:comparison"
"""The phase of runs that are made to compare a learned designer with others."""
FINALISTS, SEEN = 4, 2
"""How many single agents, and how many designs seen in training, answer the validation questions for that."""
MOST_QUESTIONS = 400
"""How many validation questions they answer."""
MOST_RUNS = 3000
SHARE = 0.1
"""How many runs, as a share of those of the training, pick the finalists among many agents, unless each needs one."""
NUM_SAMPLES = 32
"""Designs that an estimate looks at."""
NUM_RECORDED = 10_000
"""Recorded calls that an estimate looks at."""
BYTES_PER_TOKEN = 4
"""Of English, about; what an estimate assumes of prompts."""
COMPLETION_TOKENS = 300
"""What an estimate assumes of a reply where no recording says better."""
NOTHING_SPENT: Mapping[str, int | float] = {"runs": 0, "calls": 0, "usd": 0.0, "paid_usd": 0.0, "seconds": 0.0}
"""What training cost where there was none."""


def limits_of(config: DictConfig) -> Limits | None:
    """Return the limits on a question and on an agent that a config names; None if it names none.

    Args:
        config: May have `limits`; `llm.max_tokens` is the longest reply unless `limits.longest_reply` says another.

    Raises:
        ConfigError: An entry is unknown or of another kind.
    """
    found = _entries(config.get("limits"), "limits", kind="entry", known=LIMITS)
    allowances = {}
    for name in ("question", "agent"):
        example = f", such as limits.{name}.usd=0.01"
        given = _entries(found.get(name), f"limits.{name}", kind="limit", known=AMOUNTS, example=example)
        if amounts := {key: value for key, value in given.items() if value is not None}:
            allowances[name] = Allowance(**amounts)
    if not isinstance(found.get("longest_reply"), int | None):
        raise ConfigError(f"limits.longest_reply is {found.get('longest_reply')!r}; expected a whole number")
    if not allowances:
        return None
    longest = found.get("longest_reply")
    return Limits(**allowances, longest_reply=config.llm.get("max_tokens") if longest is None else longest)


def _entries(node: Any, name: str, *, kind: str, known: Sequence[str], example: str = "") -> Mapping[Any, Any]:
    found = node or {}
    if not isinstance(found, Mapping):
        raise ConfigError(f"{name} is {found!r}; expected a mapping with any of {', '.join(known)}{example}")
    if unknown := [key for key in found if key not in known]:
        raise ConfigError(f"{name} has the {kind} {unknown[0]!r}; expected any of {', '.join(known)}")
    return found


def endpoints(llm: DictConfig, pool: AgentPool) -> list[str]:
    """Return the URLs that a config's client would ask; none if its answers are recorded or simulated."""
    urls: dict[str, None] = {}
    for node in live_clients(llm):
        urls |= dict.fromkeys(m.base_url or str(node.get("base_url", BASE_URL)) for m in pool.llms)
    return list(urls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What some runs may cost.

    Attributes:
        runs: Number of executions of a design.
        usd: At the pool's prices.
    """

    runs: float = 0.0
    calls: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    usd: float = 0.0

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
        lines = [f"{'about':12} {'runs':>10} {'calls':>10} {'prompt tokens':>14} {'completion tokens':>18} {'USD':>12}"]
        lines += [
            f"{name:12} {c.runs:>10,.0f} {c.calls:>10,.0f} {c.prompt_tokens:>14,.0f} {c.completion_tokens:>18,.0f} "
            f"{c.usd:>12,.4f}"
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
) -> Estimate:
    """Return about what a training will cost, with the evaluation that follows.

    Args:
        config: Has `learner` and `reward`; says of the client what is recorded and how long replies are, and how often
            a test is run.
        num_epochs: How many epochs are still to come.
    """
    trains = any(p.requires_grad for p in designer.parameters())
    lengths, pool = _Lengths.of(config), problems.space.pool
    notes = list(lengths.notes(pool))
    asked: list[tuple[Design, Task]] = []
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
    if asked and not trains:
        sample = _spread(asked)
    else:
        sample = _drawn(designer, problems, _spread(train), usd_weight=usd_weight)
        notes.append(f"by {len(sample)} designs as the designer draws them now; training changes which it draws")
    mean = _mean_cost(sample, pool=pool, lengths=lengths)
    if trains:
        learner = config.learner
        drawn = 0 if learner.get("teacher") else learner.num_designs
        parts["training"] = mean * (num_epochs * len(train) * drawn)
        parts["validation"] = mean * (num_epochs * len(validation) * learner.num_validation_samples)
    parts["test"] = mean * (len(test) * config.num_test_samples)
    return Estimate(parts=parts, notes=tuple(notes))


def estimate_evaluation(
    designer: Designer, problems: ProblemEncoder, tasks: Sequence[Task], *, config: DictConfig
) -> Estimate:
    """Return about what an evaluation will cost."""
    some = _spread(tasks)
    designs = greedy(designer, problems, some, usd_weight=config.reward.usd_weight)
    lengths = _Lengths.of(config)
    pool = problems.space.pool
    mean = _mean_cost(list(zip(designs, some, strict=True)), pool=pool, lengths=lengths)
    notes = (*lengths.notes(pool), f"by the designs of {len(some)} of the {len(tasks)} questions")
    return Estimate(parts={config.split: mean * (len(tasks) * config.num_test_samples)}, notes=notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lengths:
    """How long replies are: as recorded, and else as assumed."""

    recorded: Mapping[str, float]
    max_tokens: int | None
    path: Path | None

    @classmethod
    def of(cls, config: DictConfig) -> "_Lengths":
        path = Path(config.llm.record) if config.llm.get("record") else None
        found: dict[str, list[int]] = {}
        if path is not None and path.is_file():
            recording = Recording(path)
            for call in islice(recording, NUM_RECORDED):
                found.setdefault(call.request.llm, []).append(call.reply.usage.completion_tokens)
            recording.close()
        means = {llm: fmean(tokens) for llm, tokens in found.items()}
        return cls(recorded=means, max_tokens=config.llm.get("max_tokens"), path=path)

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
            "as often as its operator may"
        )
        if self.path is not None:
            yield f"calls that {self.path} holds already cost nothing"


def _drawn(
    designer: Designer, problems: ProblemEncoder, tasks: Sequence[Task], *, usd_weight: float
) -> list[tuple[Design, Task]]:
    generator = torch.Generator().manual_seed(0)  # of its own: looking ahead changes nothing
    training = designer.training
    designer.eval()
    with torch.no_grad():
        draft = designer(problems(tasks, usd_weight=usd_weight), generator=generator)
    designer.train(training)
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


def _mean_cost(sample: Sequence[tuple[Design, Task]], *, pool: AgentPool, lengths: _Lengths) -> Spending:
    costs = sum((_cost_of(design, task, pool=pool, lengths=lengths) for design, task in sample), Spending())
    return costs * (1 / len(sample))


def _cost_of(design: Design, task: Task, *, pool: AgentPool, lengths: _Lengths) -> Spending:
    """Return about what one execution costs in which every agent speaks in every round, and asks as often as it may."""
    completion = [lengths(agent.llm) for agent in design.agents]
    calls, prompt_tokens, completion_tokens, usd = 0.0, 0.0, 0.0, 0.0
    for r in range(1, design.num_rounds + 1):
        heard = [(*spatial, *temporal) for spatial, temporal in design.heard(r)]
        for i, agent in enumerate(design.agents):
            messages = prompt(
                agent,
                task,
                pool=pool,
                heard=[(design.agents[j].role, "") for j in heard[i]],
                previous="" if r > 1 else None,
            )
            sent = sum(len(m.content.encode()) for m in messages) / BYTES_PER_TOKEN
            sent += sum(completion[j] for j in heard[i]) + (completion[i] if r > 1 else 0)
            price = pool.llm(agent.llm)
            for again in range(MOST_CALLS.get(agent.operator, 1)):
                prompted = sent + again * completion[i]  # each goes on with what was said
                calls += 1.0
                prompt_tokens += prompted
                completion_tokens += completion[i]
                usd += (prompted * price.usd_per_1M_input + completion[i] * price.usd_per_1M_output) / 1e6
    return Spending(runs=1.0, calls=calls, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, usd=usd)


def num_epochs(folder: Path) -> int:
    """Return how many epochs of training a run folder holds."""
    last = folder / checkpoint.LAST
    return int(checkpoint.read(last, "epoch")) + 1 if last.is_file() else 0


def comparison_runs(*, training: int, candidates: int, validation: int) -> int:
    """Return the most runs that comparing a learned designer may take, where nothing is known beforehand.

    Args:
        training: How many runs the training made.
        candidates: How many agents there are.
        validation: How many runs each finalist takes.
    """
    singles = min(FINALISTS, candidates)
    least = (singles + SEEN) * validation + (2 * candidates if candidates > FINALISTS else 0)
    return max(least, min(MOST_RUNS, round(SHARE * training)) if candidates > FINALISTS else 0)


def spent(folder: Path) -> dict[str, int | float]:
    """Return what training cost, as docs/metrics.md says of `training`; faults only where there were some."""
    total: dict[str, int | float] = dict(NOTHING_SPENT)
    if (folder / "runs.jsonl").is_file():
        rows = [r for r in read_runs(folder / "runs.jsonl") if r["phase"].startswith("fit:") and r["phase"] != COMPARISON]
        total |= bill(rows)
    written = [folder / name for name in (checkpoint.LAST, checkpoint.BEST) if (folder / name).is_file()]
    if written:
        total["seconds"] = checkpoint.read(written[0], "seconds")
    return total


def bill(rows: Iterable[Mapping[str, Any]]) -> dict[str, int | float]:
    """Return runs, calls, usd and paid_usd of some lines of a runs file, and faults where there were some."""
    rows = list(rows)
    # earlier versions did not write what was paid; what is live was
    paid = (row.get("paid_usd", row["usd"] if row["label"] == "live" else 0.0) for row in rows)
    calls, usd = sum(row["calls"] for row in rows), sum((row["usd"] for row in rows), 0.0)
    faults = sum(row.get("faults", 0) for row in rows)
    total = {"runs": len(rows), "calls": calls, "usd": usd, "paid_usd": sum(paid, 0.0)}
    return total | ({"faults": faults} if faults else {})
