"""Agents are asked questions of the past, each alone: which questions, how many, and what came of it.

Shape letters: C agents.
"""

from collections.abc import Generator, Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from gdesign.agents import teams
from gdesign.design.joint.crossed import Crossed
from gdesign.design.joint.record import Record, Replied
from gdesign.design.routers.base import features
from gdesign.encode.problem import ProblemEncoder
from gdesign.errors import ConfigError
from gdesign.types import Agent, Job, Outcome, Run, Task

PRICES = (0.005, 0.02, 0.05, 0.1)
"""Prices of cost that agents are compared and designs are proposed at before anything is trained."""
BATCH = 100
"""Runs after which it is chosen anew who is asked what, where not all can be asked everything."""
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
    """Ask agents questions, those that may be best more of them; return the record with what they replied.

    A call that failed tells nothing of how an agent answers, so it is left out; but an agent whose calls all failed is
    taken to answer like that.

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
    if record is None:
        chosen = chosen.sort().values
        weight = torch.tensor([tasks[i].weight for i in chosen.tolist()])
        record = Record.empty(tasks=[names[i] for i in chosen.tolist()], x=x[chosen], weight=weight)
        rows[chosen] = torch.arange(len(chosen))
    record = record.joined(new)
    task = {row: tasks[i] for row, i in zip(rows[chosen].tolist(), chosen.tolist(), strict=True)}
    expected = Crossed(record.agents, record.x)
    failed: list[Replied] = []
    left = len(new) * len(task)
    if max_probes is not None:
        left = min(left, max(max_probes, len(new)))
    while left > 0:
        cells = next_asked(record, expected, new, list(task), left, generator)
        left -= len(cells)
        twice = [cell for cell in cells if again and cell[0] < -(-len(task) // REPEATED)]
        jobs = [Job(teams.single([agent]), task[row], 0) for row, agent in cells]
        jobs += [Job(teams.single([agent]), task[row], 1) for row, agent in twice]
        results = yield jobs
        heard: list[Replied] = []
        for (row, agent), (run, outcome) in zip([*cells, *twice], results, strict=True):
            replied = Replied(row, agent, run.answer, outcome.score, 1000 * outcome.usd)
            (failed if outcome.failures else heard).append(replied)
        record = record.told(heard)
    silent = {agent for agent, told in zip(record.agents, record.seen.any(0).tolist(), strict=True) if not told}
    return record.told(list({(r.row, r.agent): r for r in failed if r.agent in silent}.values()))


def most_runs(num_agents: int, *, num_probes: int | None, max_probes: int | None, again: bool) -> int | None:
    """Return how many runs `ask` makes at most; None where it asks for all of them at once."""
    if max_probes is None or (num_probes is not None and num_agents * num_probes <= max_probes):
        return None
    most = max(max_probes, num_agents)
    return most + again * -(-most // REPEATED)


def next_asked(
    record: Record,
    expected: Crossed,
    agents: Sequence[Agent],
    rows: Sequence[int],
    num: int,
    generator: torch.Generator,
) -> list[tuple[int, Agent]]:
    """Return which questions of the record to ask which agents next, by question.

    Everything, if that is what the budget is; else each agent something, and when that is done, for some questions the
    agent that is best alone in a draw of what may be expected, at a price of cost that is drawn, too. So what is asked
    next depends on what was said, and a specialist is found although it is poor at most questions.

    Args:
        expected: Of the agents and questions of the record.
        rows: The questions, by their places in the record.
        num: How many runs are left.
        generator: Draws.
    """
    columns = torch.tensor([record.agents.index(agent) for agent in agents])
    seen = record.seen[:, columns][rows]
    if int((~seen).sum()) <= num:
        return [(row, agents[c]) for row, unasked in zip(rows, ~seen, strict=True) for c in _places(unasked)]
    never = _places(~seen.any(0))
    if never:
        return sorted(((rows[i % len(rows)], agents[c]) for i, c in enumerate(never)), key=lambda cell: cell[0])
    likely = expected.drawn(record.scores, record.seen, generator)
    usd = (record.usd * record.seen).sum(0) / record.seen.sum(0).clamp_min(1)
    num_asked = min(num, len(rows), BATCH)
    order = torch.randperm(len(rows), generator=generator)[:num_asked].sort().values
    price = torch.tensor((0.0, *PRICES))[torch.randint(1 + len(PRICES), (num_asked, 1), generator=generator)]
    worth = (likely[torch.tensor(rows)[order]] - price * usd)[:, columns].masked_fill(seen[order], -torch.inf)
    best = worth.argmax(1).tolist()
    return [(rows[i], agents[c]) for i, c in zip(order.tolist(), best, strict=True) if not seen[i].all()]


def _places(where: Bool[Tensor, " C"]) -> list[int]:
    return [int(i) for i in where.nonzero()[:, 0]]
