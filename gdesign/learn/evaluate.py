"""Greedy designs on held-out tasks, and what they are worth: the numbers of `eval.json`.

Shape letters: Q questions, R resamples.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
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
from gdesign.design.choose import greedy
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import ConfigError
from gdesign.execute.arena import Result, rollout
from gdesign.execute.limits import Limits
from gdesign.execute.reward import utility
from gdesign.learn.data import Item
from gdesign.llm.base import LLMClient
from gdesign.runs.log import RunsFile
from gdesign.sandbox import Sandbox
from gdesign.tasks.base import Benchmark
from gdesign.types import Outcome, Run

NUM_RESAMPLES = 2000


def evaluate(
    designer: Designer,
    items: Sequence[Item],
    *,
    problems: ProblemEncoder,
    llm: LLMClient,
    benchmark: Benchmark,
    loop: asyncio.Runner,
    usd_weight: float = 0.0,
    num_samples: int = 1,
    batch_size: int = 64,
    runs: RunsFile | None = None,
    phase: str = "test",
    progress: Callable[[int], object] | None = None,
    limits: Limits | None = None,
    tools: Sandbox | None = None,
) -> list[Result]:
    """Run the greedy design of each task.

    Args:
        designer: Draws the designs.
        items: The tasks, and what the designer reads of them.
        problems: Encodes tasks.
        llm: Answers the agents.
        benchmark: Reads and grades answers.
        loop: Runs the agents.
        usd_weight: lambda, which designers read.
        num_samples: How often each task is run, with seeds 0, 1, ...
        batch_size: Tasks run at once.
        runs: Gets a line, with all words, for every execution; None for nowhere.
        phase: What the lines name.
        progress: Is told after each batch how many tasks it held.
        limits: How much one run may take, and each agent in it; None for no limit.
        tools: Where agents run the programs that they write; None for nowhere.

    Returns:
        Runs and outcomes, by task, then seed.
    """
    record: Callable[[Run, Outcome], None] | None = None
    if runs is not None:

        def record(run: Run, outcome: Outcome) -> None:
            runs.append(run, outcome, phase=phase, words=True)

    results: list[Result] = []
    for start in range(0, len(items), batch_size):
        batch = items[start : start + batch_size]
        designs = greedy(designer, problems, [item.seen for item in batch], usd_weight=usd_weight)
        jobs = [(d, item.task, s) for d, item in zip(designs, batch, strict=True) for s in range(num_samples)]
        pool = problems.space.pool
        results += loop.run(
            rollout(jobs, pool=pool, llm=llm, benchmark=benchmark, record=record, limits=limits, tools=tools)
        )
        if progress is not None:
            progress(len(batch))
    return results


def summarise(
    results: Sequence[Result],
    *,
    usd_weight: float = 0.0,
    token_weight: float = 0.0,
    second_weight: float = 0.0,
    seconds: float = 0.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the numbers of `eval.json`.

    Means are over questions, each by its task's weight; runs of one question are averaged first.

    Args:
        results: Runs and outcomes, by task.
        usd_weight: lambda, for USD per 1,000 questions.
        token_weight: lambda for tokens per question.
        second_weight: lambda for seconds of latency per question.
        seconds: How long it took.
        seed: Draws the resamples of the intervals.

    Returns:
        score: Mean score, in [0, 1].
        usd: USD per 1,000 questions.
        prompt_tokens, completion_tokens, calls, critical_path: Means a question.
        utility: score - usd_weight * usd - token_weight * tokens - second_weight * seconds.
        paid_usd: What of `usd` was asked live, so paid now; the rest came from a recording.
        n: Number of questions.
        label: The weakest label of the runs.
        seconds: Wall-clock time of the evaluation.
        unreadable: Number of runs whose decided answer could not be parsed.
        failures: Number of calls that failed.
        faults: Number of faults that were survived by asking again.
        counted: Number of turns whose tokens were counted here, because the endpoint did not say.
        latency: mean over questions, p50 and p95 over runs, in seconds; None where nobody measured.
        interval: 95 % of the score, by a bootstrap over questions.
        utility_interval: The same of the utility.
        domains: score, usd, utility and n by domain.
        num_distinct_designs: How many different designs were run.
    """
    assert results, "nothing was run"
    worth = partial(utility, usd_weight=usd_weight, token_weight=token_weight, second_weight=second_weight)
    weight, table = _by_question(results, worth)
    means = weighted_mean(table, weight)
    names = ["score", "usd", "utility", "prompt_tokens", "completion_tokens", "calls", "critical_path"]
    names += ["paid_usd", "latency"]
    summary: dict[str, Any] = dict(zip(names, means.tolist(), strict=True))
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
        "domains": {domain: _domain([x for x in results if x[0].task.domain == domain], worth) for domain in domains}
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
    llm: LLMClient,
    benchmark: Benchmark,
    loop: asyncio.Runner,
    runs: RunsFile,
    split: str,
    num_samples: int,
    usd_weight: float,
    token_weight: float,
    training: Mapping[str, int | float],
    second_weight: float = 0.0,
    limits: Limits | None = None,
    tools: Sandbox | None = None,
) -> dict[str, Any]:
    """Evaluate, and write `eval.json` with what training cost.

    Args:
        folder: Gets `eval.json`.
        designer: See `evaluate`, as for those not named here.
        items: The tasks.
        problems: Encodes them.
        llm: Answers the agents.
        benchmark: Reads and grades.
        loop: Runs the agents.
        runs: Gets the runs, under the split as phase.
        split: Where the tasks are from.
        num_samples: How often each is run.
        usd_weight: lambda, for USD per 1,000 questions.
        token_weight: lambda for tokens per question.
        training: What training took, as `gdesign.learn.fit.spent` says.
        second_weight: lambda for seconds of latency per question.
        limits: How much one run may take, and each agent in it; None for no limit.
        tools: Where agents run the programs that they write; None for nowhere.

    Raises:
        ConfigError: There are no tasks.
    """
    if not items:
        raise ConfigError(f"there are no tasks in the split {split}; choose another, or check the task's settings")
    began = perf_counter()
    with tqdm(total=len(items), desc=split, unit="task", leave=False, disable=None) as bar:
        results = evaluate(
            designer,
            items,
            problems=problems,
            llm=llm,
            benchmark=benchmark,
            loop=loop,
            usd_weight=usd_weight,
            num_samples=num_samples,
            runs=runs,
            phase=split,
            progress=bar.update,
            limits=limits,
            tools=tools,
        )
    summary = summarise(
        results,
        usd_weight=usd_weight,
        token_weight=token_weight,
        second_weight=second_weight,
        seconds=perf_counter() - began,
    )
    summary |= {
        "split": split,
        "num_samples": num_samples,
        "usd_weight": usd_weight,
        "token_weight": token_weight,
        "second_weight": second_weight,
        "training": dict(training),
    }
    if tools is not None:
        summary["sandbox"] = tools.isolation
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "eval.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _domain(results: Sequence[Result], worth: Callable[[Outcome], float]) -> dict[str, float]:
    weight, table = _by_question(results, worth)
    score, usd, mean_worth = weighted_mean(table[:, :3], weight).tolist()
    return {"score": score, "usd": usd, "utility": mean_worth, "n": len(table)}


def _by_question(
    results: Sequence[Result], worth: Callable[[Outcome], float]
) -> tuple[Float[Tensor, " Q"], Float[Tensor, "Q 9"]]:
    weights, rows = [], []
    for _, group in groupby(results, key=lambda x: (x[0].task.benchmark, x[0].task.id)):
        same = list(group)
        weights.append(same[0][0].task.weight)
        columns = zip(
            *(
                (
                    o.score,
                    1000 * o.usd,
                    worth(o),
                    o.prompt_tokens,
                    o.completion_tokens,
                    o.calls,
                    o.critical_path,
                    1000 * o.paid_usd,
                    o.seconds,
                )
                for _, o in same
            ),
            strict=True,
        )
        rows.append([sum(c) / len(same) for c in columns])
    return torch.tensor(weights, dtype=torch.float64), torch.tensor(rows, dtype=torch.float64)


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
