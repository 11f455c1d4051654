"""Agents are asked questions of the past, each alone: which questions, how many, and what came of it."""

import math
from collections.abc import Generator, Sequence

import torch

from gdesign.agents import teams
from gdesign.design.joint.record import Record, Replied
from gdesign.design.routers.base import features
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import ConfigError
from gdesign.types import Agent, Job, Outcome, Run, Task

PRICES = (0.005, 0.02, 0.05, 0.1)
"""Prices of cost that agents are compared and designs are proposed at before anything is trained."""
SURVIVE = 4
"""One agent in so many goes on to the next round of questions where not all can be asked everything."""
REPEATED = 10
"""One question in so many is asked again where copies may be drawn."""


def ask(
    record: Record | None,
    new: Sequence[Agent],
    tasks: Sequence[Task],
    *,
    problems: ProblemEncoder,
    generator: torch.Generator,
    num_probes: int | None,
    max_probes: int | None,
    again: bool,
) -> Generator[Sequence[Job], Sequence[tuple[Run, Outcome]], Record]:
    """Ask agents questions, the better ones more of them; return the record with what they replied.

    Args:
        record: What is known so far; the new agents are asked questions of it. None for nothing.
        new: Whom to ask, each alone.
        num_probes: How many questions an agent is asked at most; None for no limit.
        max_probes: How many runs there are in all; None for no limit.
        again: Whether some questions are asked twice, since copies may be drawn.

    Raises:
        ConfigError: None of the tasks is of the record.
    """
    x = features(problems, tasks)
    names = [f"{task.benchmark}:{task.id}" for task in tasks]
    rows = torch.arange(len(tasks)) if record is None else record.rows(names)
    fit = (rows >= 0).nonzero()[:, 0]
    if not len(fit):
        raise ConfigError(
            f"none of these {len(tasks)} questions is one that the agents known so far were asked, so nothing that "
            "the new ones reply could be compared; keep the task and seed of the run that start names"
        )
    chosen = fit[torch.randperm(len(fit), generator=generator)[:num_probes]]
    rounds = budget(len(new), len(chosen), max_probes)
    if record is None:
        chosen = chosen[: rounds[-1][1]].sort().values if len(rounds) == 1 else chosen[: rounds[-1][1]]
        weight = torch.tensor([tasks[i].weight for i in chosen.tolist()])
        record = Record.empty(tasks=[names[i] for i in chosen.tolist()], x=x[chosen], weight=weight)
        rows[chosen] = torch.arange(len(chosen))
    record, asked, last = record.joined(new), list(new), 0
    for num_agents, num in rounds:
        asked = best_of(record, asked, num_agents, problems=problems, tasks=tasks[:1])
        part = chosen[last:num].tolist()
        jobs = [Job(teams.single([agent]), tasks[i], 0) for i in part for agent in asked]
        twice = part[: -(-len(part) // REPEATED)] if again else []
        jobs += [Job(teams.single([agent]), tasks[i], 1) for i in twice for agent in asked]
        places = [int(rows[i]) for i in (*part, *twice) for _ in asked]
        results = yield jobs
        record = record.told(
            [
                Replied(place, run.design.agents[0], run.answer, outcome.score, 1000 * outcome.usd)
                for place, (run, outcome) in zip(places, results, strict=True)
            ]
        )
        last = num
    return record


def budget(num_agents: int, num_questions: int, max_runs: int | None) -> list[tuple[int, int]]:
    """Return rounds of questions: how many agents are asked, up to which question; all agents first, fewer then.

    Each round has as many runs as any other (successive halving, with a quarter for a half).
    """
    if max_runs is None or num_agents * num_questions <= max_runs:
        return [(num_agents, num_questions)]
    num_rounds = max(1, round(math.log(num_agents / 8, SURVIVE)) + 1)
    rounds, last = [], 0
    for r in range(num_rounds):
        left = max(1, num_agents // SURVIVE**r)
        last = min(num_questions, last + max(3, max_runs // num_rounds // left))
        rounds.append((left, last))
    return rounds


def best_of(
    record: Record, agents: Sequence[Agent], num: int, *, problems: ProblemEncoder, tasks: Sequence[Task]
) -> list[Agent]:
    """Return the agents that look best so far at one of several prices of cost, in the order given.

    An agent of which little was seen is judged by others with a like text, too.
    """
    if num >= len(agents):
        return list(agents)
    columns = [record.agents.index(agent) for agent in agents]
    seen = record.seen[:, columns].double()
    count = seen.sum(0).clamp_min(1)
    score, usd = ((part[:, columns].double() * seen).sum(0) / count for part in (record.scores, record.usd))
    problem = problems(tasks)
    x = problem.x[problem.slot >= 0][[problems.space.agents.index(agent) for agent in agents]].double()
    x = x - x.mean(0)
    like = x @ x.mT
    kernel = like / like.diagonal().mean().clamp_min(1e-9) + torch.eye(len(x), dtype=x.dtype)
    level = score.mean()
    smooth = kernel @ torch.linalg.solve(kernel + torch.diag(0.2 / 0.04 / count), score - level) + level
    prices = torch.tensor([0.0, *PRICES], dtype=torch.float64)[:, None]
    rank = (smooth - prices * usd).argsort(descending=True).argsort().amin(0)
    kept = rank.argsort(stable=True)[:num].sort().values
    return [agents[i] for i in kept.tolist()]
