"""The best that a long search finds in a simulated world whose designs nobody can list: a bound for its tables.

    python benchmarks/bound.py --write benchmarks/results/bound_wide.md

Evolution over designs of up to eight agents, for each class of questions (domain and difficulty, which the text tells):
the best designs so far are changed at random, children run a race (successive halving) on questions of their own, and
what wins is measured on questions that the search has not seen. It makes many more runs than any method gets.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import fmean
from time import perf_counter

from hydra.utils import instantiate
from optimum import Optimum, measure
from runner import command, compose
from tqdm import tqdm
from world import by_class, in_words

from gdesign.agents import teams
from gdesign.errors import DesignError
from gdesign.execute.arena import LocalArena
from gdesign.execute.reward import Reward
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import Agent, AgentPool, Decision, Design, Edge, Gate, Job, Task

RACE = (40, 160, 640)
"""Draws in the rounds of a race; after each a quarter goes on."""
NUM_PARENTS = 16
FINAL_DRAWS = 2560
LARGEST = 8


class Search:
    """Evolution for one class of questions.

    Args:
        tasks: The questions to choose on; a draw is one of them and a seed, the same for all designs.
    """

    def __init__(
        self, tasks: Sequence[Task], *, pool: AgentPool, arena: LocalArena, reward: Reward, rng: Random
    ) -> None:
        self.tasks, self.pool, self.arena, self.reward, self.rng = tasks, pool, arena, reward, rng
        self.agents = [Agent(role=c.role, llm=c.llm, operator=c.operator) for c in pool.candidates]
        self.utilities: dict[Design, list[float]] = {}
        self.num_runs = 0

    def run(self, *, num_generations: int, num_children: int) -> Design:
        """Return the best design that was found."""
        self._race([teams.single([agent]) for agent in self.agents])
        for _ in range(num_generations):
            parents = self._best(NUM_PARENTS, draws=RACE[1])
            self._race(list(dict.fromkeys(self._child(parents) for _ in range(num_children))))
        finalists = self._best(10, draws=RACE[-1])
        self._extend(finalists, FINAL_DRAWS)
        return self._best(1, draws=FINAL_DRAWS)[0]

    def best_single(self) -> Design:
        """Return the best agent alone, of those that ran most often."""
        alone = [d for d in self.utilities if len(d.agents) == 1]
        return max(alone, key=lambda d: (len(self.utilities[d]), fmean(self.utilities[d])))

    def _race(self, designs: Sequence[Design]) -> None:
        for draws in RACE:
            self._extend(designs, draws)
            designs = sorted(designs, key=lambda d: -fmean(self.utilities[d]))[: max(4, len(designs) // 4)]

    def _extend(self, designs: Sequence[Design], draws: int) -> None:
        jobs = [
            Job(d, self.tasks[i % len(self.tasks)], i // len(self.tasks))
            for d in designs
            for i in range(len(self.utilities.setdefault(d, [])), draws)
        ]
        self.num_runs += len(jobs)
        for job, (_, outcome) in zip(jobs, self.arena.run(jobs, phase="bound"), strict=True):
            self.utilities[job.design].append(self.reward.utility(outcome))

    def _best(self, num: int, *, draws: int) -> list[Design]:
        tried = [d for d, found in self.utilities.items() if len(found) >= draws]
        return sorted(tried, key=lambda d: -fmean(self.utilities[d]))[:num]

    def _child(self, parents: Sequence[Design]) -> Design:
        while True:
            design = self.rng.choice(parents)
            for _ in range(self.rng.choice((1, 1, 2, 3))):
                try:
                    design = self.rng.choice(CHANGES)(design, self._agent(design), self.rng)
                except DesignError:  # a circle, or a gate that watches too few: another change
                    continue
            if len(design.agents) <= LARGEST and design not in self.utilities:
                return design

    def _agent(self, design: Design) -> Agent:
        """Return some agent: one that is there, one like it, or any."""
        there = replace(self.rng.choice(design.agents), gate=None)
        match self.rng.randrange(4):
            case 0:
                return there
            case 1:
                return replace(there, role=self.rng.choice(self.pool.roles).name)
            case 2:
                return replace(there, llm=self.rng.choice(self.pool.llms).name)
        return self.rng.choice(self.agents)


def _exchanged(design: Design, agent: Agent, rng: Random) -> Design:
    i = rng.randrange(len(design.agents))
    agents = list(design.agents)
    agents[i] = replace(agent, gate=agents[i].gate)
    return replace(design, agents=tuple(agents))


def _with_voter(design: Design, agent: Agent, rng: Random) -> Design:
    return replace(design, agents=(*design.agents, agent), decision=Decision(kind="vote"))


def _with_listener(design: Design, agent: Agent, rng: Random) -> Design:
    n = len(design.agents)
    heard = range(n) if rng.random() < 0.5 else rng.sample(range(n), 1)
    edges = (*design.spatial, *(Edge(i, n) for i in heard))
    return replace(design, agents=(*design.agents, agent), spatial=edges, decision=Decision())


def _with_speaker(design: Design, agent: Agent, rng: Random) -> Design:
    n = len(design.agents)
    edges = (*design.spatial, Edge(n, rng.randrange(n)))
    return replace(design, agents=(*design.agents, agent), spatial=edges)


def _with_asked(design: Design, agent: Agent, rng: Random) -> Design:
    n = len(design.agents)
    gate = Gate(watch=tuple(range(n)), quorum=rng.randint(2, max(2, n)))
    edges = tuple(Edge(i, n) for i in range(n)) if rng.random() < 0.5 else ()
    agents = (*design.agents, replace(agent, gate=gate))
    return replace(design, agents=agents, spatial=(*design.spatial, *edges), decision=Decision())


def _without_one(design: Design, agent: Agent, rng: Random) -> Design:
    if len(design.agents) == 1:
        return design
    gone = rng.randrange(len(design.agents))
    new = {old: i for i, old in enumerate(j for j in range(len(design.agents)) if j != gone)}

    def kept(agent: Agent) -> Agent:
        if agent.gate is None:
            return agent
        watch = tuple(new[w] for w in agent.gate.watch if w in new)
        quorum = min(agent.gate.quorum, len(watch))
        return replace(agent, gate=Gate(watch=watch, quorum=quorum) if quorum > 1 else None)

    return Design(
        agents=tuple(kept(a) for i, a in enumerate(design.agents) if i in new),
        spatial=tuple(Edge(new[e.src], new[e.dst]) for e in design.spatial if e.src in new and e.dst in new),
        decision=Decision(kind=design.decision.kind),
    )


def _with_edge_turned(design: Design, agent: Agent, rng: Random) -> Design:
    n = len(design.agents)
    if n == 1:
        return design
    edge = Edge(*sorted(rng.sample(range(n), 2)))
    edges = set(design.spatial) ^ {edge}
    return replace(design, spatial=tuple(sorted(edges)))


def _decided_otherwise(design: Design, agent: Agent, rng: Random) -> Design:
    return replace(design, decision=Decision(kind="last" if design.decision.kind == "vote" else "vote"))


def _in_another_round(design: Design, agent: Agent, rng: Random) -> Design:
    n = len(design.agents)
    if n == 1 or design.num_rounds > 1:
        return replace(design, num_rounds=1, temporal=())
    temporal = tuple(Edge(i, j) for i in range(n) for j in range(n) if i != j)
    return replace(design, num_rounds=2, temporal=temporal)


CHANGES = (
    _exchanged, _exchanged, _with_voter, _with_listener, _with_speaker, _with_asked, _without_one, _with_edge_turned,
    _decided_otherwise, _in_another_round,
)  # fmt: skip


def row(name: str, best: Optimum, single: Optimum, fixed: Optimum, num_runs: int) -> str:
    """Return a row of the table."""
    found = f"{best.utility:.3f} ± {best.standard_error:.3f}"
    return f"| {name} | {in_words(best.design)} | {found} | {single.utility:.3f} | {fixed.utility:.3f} | {num_runs:,} |"


PAGE = """# What a long search finds: `experiment={experiment}`

`{command}`

All answers are simulated; utility = score - {usd_weight:g} x USD per 1,000 questions. For each class of questions the
best design that evolution found, chosen on one set of questions and measured on another (1,200 draws); beside it, on
the same questions, the best single agent for all of them ({alone}) and the best design for all of them ({fixed}). A
question's class can be told from its text, so a method could know as much; that nothing better exists is not shown.

| class | best design | utility | best single | best fixed | runs |
|---|---|---|---|---|---|
{table}
"""


def main() -> None:
    """Search, measure, print the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--experiment", default="wide_world", help="the world (wide_world)")
    parser.add_argument("--generations", type=int, default=12, help="of designs (12)")
    parser.add_argument("--children", type=int, default=120, help="of each generation (120)")
    parser.add_argument("--seed", type=int, default=0, help="of the search (0)")
    parser.add_argument("--write", type=Path, help="write the page to this file too")
    args = parser.parse_args()
    began = perf_counter()
    config = compose((f"experiment={args.experiment}",))
    pool = instantiate(config.pool)
    questions = Synthetic(num_train=9000, num_validation=0, num_test=5400, seed=1_000_001)
    arena = LocalArena(pool=pool, llm=instantiate(config.llm), benchmark=questions)
    reward = Reward(**config.reward)
    choose, score = by_class(questions.load("train")), by_class(questions.load("test"))

    def searched(tasks: Sequence[Task]) -> tuple[Search, Design]:
        search = Search(tasks, pool=pool, arena=arena, reward=reward, rng=Random(args.seed))
        return search, search.run(num_generations=args.generations, num_children=args.children)

    whole, fixed = searched([task for group in zip(*choose.values(), strict=True) for task in group])
    alone = whole.best_single()
    rows, found = [], []
    for key, tasks in tqdm(choose.items(), desc="classes", disable=None):
        search, best = searched(tasks)
        three = [measure(d, tasks=score[key], arena=arena, reward=reward, num_draws=1200) for d in (best, alone, fixed)]
        rows.append(row(" ".join(key), *three, search.num_runs))
        found.append([one.utility for one in three])
    means = " | ".join(f"**{fmean(column):.3f}**" for column in zip(*found, strict=True))
    page = PAGE.format(
        experiment=args.experiment,
        command=command(),
        usd_weight=reward.usd_weight,
        alone=in_words(alone),
        fixed=in_words(fixed),
        table="\n".join([*rows, f"| **all** | per class | {means} | |"]),
    )
    if args.write:
        args.write.write_text(page)
    print(page)
    print(f"{perf_counter() - began:.0f} seconds")


if __name__ == "__main__":
    main()
