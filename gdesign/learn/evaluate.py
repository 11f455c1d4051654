"""Greedy designs on held-out tasks, and what they are worth: the numbers of `eval.json`.

Shape letters: Q questions, R resamples.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from gdesign.design.base import Designer
from gdesign.design.choose import greedy, held
from gdesign.design.deployed import Deployed
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import ConfigError
from gdesign.execute.arena import Arena, Result, refuse_unanswered
from gdesign.execute.reward import Reward
from gdesign.export.schema import design_to_json
from gdesign.learn.data import Item
from gdesign.runs.comparison import Kind
from gdesign.runs.standing import Standing
from gdesign.types import Design, Job, Outcome

NUM_RESAMPLES = 2000


def evaluate(
    designer: Designer,
    items: Sequence[Item],
    *,
    problems: ProblemEncoder,
    arena: Arena,
    usd_weight: float = 0.0,
    num_samples: int = 1,
    batch_size: int = 64,
    phase: str = "test",
) -> list[Result]:
    """Run the greedy design of each task; return runs and outcomes by task, then seed.

    Args:
        items: The tasks, and what the designer reads of them.
        usd_weight: lambda, which designers read.
        num_samples: How often each task is run, with seeds 0, 1, ...
    """
    results: list[Result] = []
    with tqdm(total=len(items), desc=phase, unit="task", leave=False, disable=None) as bar:
        for start in range(0, len(items), batch_size):
            batch = items[start : start + batch_size]
            designs = greedy(designer, problems, [item.seen for item in batch], usd_weight=usd_weight)
            jobs = [Job(d, item.task, s) for d, item in zip(designs, batch, strict=True) for s in range(num_samples)]
            results += arena.run(jobs, phase=phase)
            bar.update(len(batch))
    return results


def summarise(
    results: Sequence[Result],
    *,
    reward: Reward = Reward(),
    seconds: float = 0.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the numbers of `eval.json`; docs/metrics.md says what each is.

    Means are over questions, each by its task's weight; runs of one question are averaged first.

    Args:
        seed: Draws the resamples of the intervals.
    """
    assert results, "nothing was run"
    weight, table = _by_question(results, reward)
    names = _row(results[0][1], reward)
    summary: dict[str, Any] = dict(zip(names, weighted_mean(table, weight).tolist(), strict=True))
    latencies = torch.tensor([o.seconds for _, o in results], dtype=torch.float64)
    p50, p95 = torch.quantile(latencies, torch.tensor([0.5, 0.95], dtype=torch.float64)).tolist()
    measured = {"mean": summary["latency"], "p50": p50, "p95": p95}
    labels = [o.label for _, o in results if o.label is not None]
    resampled = bootstrap(table[:, [0, 2]], weight, seed=seed)
    domains = sorted({r.task.domain for r, _ in results})
    return summary | {
        "n": len(table),
        "label": str(max(labels)) if labels else None,
        "seconds": round(seconds, 3),
        "unreadable": sum(o.unreadable for _, o in results),
        "failures": sum(o.failures for _, o in results),
        "faults": sum(o.faults for _, o in results),
        "counted": sum(o.counted for _, o in results),
        "latency": measured if latencies.any() else None,
        "interval": resampled[:, 0].tolist(),
        "utility_interval": resampled[:, 1].tolist(),
        "domains": {domain: _domain([x for x in results if x[0].task.domain == domain], reward) for domain in domains}
        if len(domains) > 1
        else {},
        "num_distinct_designs": len({r.design for r, _ in results}),
    }


def evaluate_into(
    folder: Path,
    designer: Designer,
    items: Sequence[Item],
    *,
    problems: ProblemEncoder,
    arena: Arena,
    split: str,
    num_samples: int,
    reward: Reward,
    training: Mapping[str, int | float],
    standing: Standing | None = None,
    deploy: str = "learned",
) -> dict[str, Any]:
    """Evaluate, and write `eval.json` with what training cost.

    Args:
        arena: Runs the designs, under the split as phase.
        training: What training took, as `gdesign.runs.money.spent` says.
        standing: How the designer did on validation; then the best single agent is run too, and the designer itself
            where something else is deployed.
        deploy: `better` deploys measured designs in the place of a designer that lost to one; `learned` does not.

    Raises:
        ConfigError: There are no tasks, or no call was answered.
    """
    if not items:
        raise ConfigError(f"there are no tasks in the split {split}; choose another, or check the task's settings")
    began = perf_counter()
    standing = None if standing is None else standing.within(problems.space.pool)
    deployed = designer if standing is None else standing.deployed(designer, deploy=deploy)
    run = partial(
        evaluate, items=items, problems=problems, arena=arena, usd_weight=reward.usd_weight, num_samples=num_samples
    )
    results = run(deployed, phase=split)
    refuse_unanswered(results)
    summary = summarise(results, reward=reward, seconds=perf_counter() - began)
    summary |= {"split": split, "num_samples": num_samples, **asdict(reward), "training": dict(training)}
    if standing is not None and (expected := _expected(deployed, items, problems=problems, reward=reward)):
        summary["expected"] = expected
    if answered_by := _answered_by(results):
        summary["answered_by"] = answered_by
    if standing is not None:
        measured = deployed.stands_in(reward.usd_weight) if isinstance(deployed, Deployed) else None
        instead = [] if measured is None else results
        learned = results if measured is None else run(designer, phase=f"{split}:learned")
        beside = _beside(learned, standing, instead, arena=arena, reward=reward, phase=f"{split}:rival")
        kinds = {rival.worth.design: rival.kind for rival in standing.rivals}
        summary["comparison"] = {
            "usd_weight": standing.usd_weight,
            "deployed": "learned" if measured is None else kinds[measured.design],
            "validation": standing.told(),
            "evaluated": beside,
            "took": dict(standing.took),
        }
    if arena.isolation is not None:
        summary["sandbox"] = arena.isolation
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "eval.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _expected(
    told: Designer, items: Sequence[Item], *, problems: ProblemEncoder, reward: Reward, batch_size: int = 64
) -> dict[str, float]:
    """Return the mean score and USD that are told of the designs; nothing where none are."""
    seen = [item.seen for item in items]
    parts = [seen[start : start + batch_size] for start in range(0, len(seen), batch_size)]
    found = [best for part in parts for best in held(told, problems, part, usd_weight=reward.usd_weight)]
    rows = [(item.task.weight, best.score, best.usd) for item, best in zip(items, found, strict=True)]
    if any(score is None for _, score, _ in rows):
        return {}
    weight, score, usd = torch.tensor(rows, dtype=torch.float64).T
    return {"score": float(weight @ score / weight.sum()), "usd": float(weight @ usd / weight.sum())}


def _answered_by(results: Sequence[Result]) -> dict[str, list[str]]:
    """Return which other models answered, by the LLM that was asked."""
    found: dict[str, set[str]] = {}
    for run, _ in results:
        for turn in run.turns:
            if turn.reply is not None and turn.reply.model:
                found.setdefault(run.design.agents[turn.agent].llm, set()).add(turn.reply.model)
    return {llm: sorted(models) for llm, models in sorted(found.items())}


def _beside(
    learned: Sequence[Result],
    standing: Standing,
    instead: Sequence[Result],
    *,
    arena: Arena,
    reward: Reward,
    phase: str,
) -> dict[str, Any]:
    """Return what the learned designer was worth beside the best single agent and what answers instead of it."""
    weight, own = _by_question(learned, reward)
    score, usd, utility = weighted_mean(own[:, :3], weight).tolist()
    told: dict[str, Any] = {"n": len(own), "learned": {"score": score, "usd": usd, "utility": utility}}
    single = standing.best(reward.usd_weight, "single")
    assert single is not None
    runs: dict[Design, Sequence[Result]] = {instead[0][0].design: instead} if instead else {}
    if single.worth.design not in runs:
        jobs = [Job(single.worth.design, run.task, run.seed) for run, _ in learned]
        runs[single.worth.design] = arena.run(jobs, phase=phase)
    for design, results in runs.items():
        kind: Kind = "single" if design == single.worth.design else "seen"
        _, table = _by_question(results, reward)
        score, usd, utility = weighted_mean(table[:, :3], weight).tolist()
        apart = (own[:, 2] - table[:, 2])[:, None]
        told[kind] = {
            "design": design_to_json(design, brief=True),
            "score": score,
            "usd": usd,
            "utility": utility,
            "difference": float(weighted_mean(apart, weight)),
            "interval": bootstrap(apart, weight, seed=0)[:, 0].tolist(),
        }
    return told


def _domain(results: Sequence[Result], reward: Reward) -> dict[str, float]:
    weight, table = _by_question(results, reward)
    score, usd, utility = weighted_mean(table[:, :3], weight).tolist()
    return {"score": score, "usd": usd, "utility": utility, "n": len(table)}


def _by_question(results: Sequence[Result], reward: Reward) -> tuple[Float[Tensor, " Q"], Float[Tensor, "Q 9"]]:
    weights, rows = [], []
    for _, group in groupby(results, key=lambda x: (x[0].task.benchmark, x[0].task.id)):
        same = list(group)
        weights.append(same[0][0].task.weight)
        columns = zip(*(_row(outcome, reward).values() for _, outcome in same), strict=True)
        rows.append([sum(column) / len(same) for column in columns])
    return torch.tensor(weights, dtype=torch.float64), torch.tensor(rows, dtype=torch.float64)


def _row(o: Outcome, reward: Reward) -> dict[str, int | float]:
    """Return what is averaged over questions; USD are per 1,000 of them."""
    return {
        "score": o.score,
        "usd": 1000 * o.usd,
        "utility": reward.utility(o),
        "prompt_tokens": o.prompt_tokens,
        "completion_tokens": o.completion_tokens,
        "calls": o.calls,
        "critical_path": o.critical_path,
        "paid_usd": 1000 * o.paid_usd,
        "latency": o.seconds,
    }


def weighted_mean(table: Float[Tensor, "Q C"], weight: Float[Tensor, " Q"]) -> Float[Tensor, " C"]:
    """Return the mean of each column over questions, each by its weight."""
    return weight @ table / weight.sum()


def bootstrap(table: Float[Tensor, "Q C"], weight: Float[Tensor, " Q"], *, seed: int) -> Float[Tensor, "2 C"]:
    """Return the 2.5 % and 97.5 % quantiles of the weighted means of resampled questions."""
    q = len(table)
    generator = torch.Generator().manual_seed(seed)
    means = []
    for _ in range(NUM_RESAMPLES):
        drawn = torch.randint(q, (q,), generator=generator)
        means.append(weighted_mean(table[drawn], weight[drawn]))
    return torch.quantile(torch.stack(means), torch.tensor([0.025, 0.975], dtype=torch.float64), dim=0)
