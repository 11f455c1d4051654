"""What there is to gain in the simulated world: the best design per class of questions, and the best fixed one.

    python benchmarks/world.py [--pool simulated] [--usd-weight 0.03] [--max-agents 3]

Designs are chosen on one set of questions and scored on another; see optimum.py.
"""

import argparse
from collections import defaultdict
from statistics import fmean
from time import perf_counter

from optimum import measure, optimum

from gdesign.agents.pool import builtin
from gdesign.design.searches.enumerate import small_designs
from gdesign.execute.arena import LocalArena
from gdesign.execute.reward import Reward
from gdesign.llm.simulated.client import SimulatedClient
from gdesign.tasks.synthetic import Synthetic, observable
from gdesign.types import Agent, Design, Task


def in_words(design: Design) -> str:
    """Return agents, edges and decision in one short line."""
    several = len({a.operator for a in design.agents} | {"answer"}) > 1
    agents = [f"{_gate(a)}{a.llm}" + (f"/{a.role}/{a.operator}" if several else "") for a in design.agents]
    edges = " ".join(f"{e.src}>{e.dst}" for e in design.spatial)
    return "; ".join(x for x in (", ".join(agents), edges, design.decision.kind if len(agents) > 1 else "") if x)


def _gate(agent: Agent) -> str:
    if agent.gate is None:
        return ""
    return "?" if agent.gate.quorum == len(agent.gate.watch) else f"?{agent.gate.quorum} "


def by_class(tasks: list[Task]) -> dict[tuple[str, str], list[Task]]:
    """Return the tasks by observable class, in the order of the classes' names."""
    found = defaultdict(list)
    for task in tasks:
        found[observable(task)].append(task)
    return dict(sorted(found.items()))


def main(pool_name: str, usd_weight: float, max_agents: int) -> None:
    """Print the table."""
    began = perf_counter()
    pool = builtin(pool_name)
    designs = small_designs(pool, max_agents)
    benchmark = Synthetic(num_train=7200, num_validation=0, num_test=2700, seed=1)
    choose, score = benchmark.load("train"), benchmark.load("test")
    world = {
        "arena": LocalArena(pool=pool, llm=SimulatedClient(pool=pool), benchmark=benchmark),
        "reward": Reward(usd_weight=usd_weight),
    }
    best = optimum(designs, choose=by_class(choose), score=by_class(score), score_draws=300, **world)
    whole = optimum(
        designs,
        choose={"all": choose},
        score={"all": score},
        first_draws=180,
        final_draws=2700,
        score_draws=2700,
        **world,
    )
    fixed = whole["all"]
    print(f"{len(designs)} designs of pool {pool_name}, utility = score - {usd_weight} x USD per 1,000 questions\n")
    print("| class | best design | utility | best fixed | difference |\n|---|---|---|---|---|")
    gains = []
    for key, tasks in by_class(score).items():
        there = measure(fixed.design, tasks=tasks, num_draws=300, **world)
        gains.append(best[key].utility - there.utility)
        found = best[key]
        print(
            f"| {' '.join(key)} | {in_words(found.design)} | {found.utility:.3f} ± {found.standard_error:.3f} "
            f"| {there.utility:.3f} | {gains[-1]:+.3f} |"
        )
    mean = fmean(b.utility for b in best.values())
    print(f"| all | per class | {mean:.3f} | {fixed.utility:.3f} ± {fixed.standard_error:.3f} | {fmean(gains):+.3f} |")
    print(f"\nbest fixed: {in_words(fixed.design)}\n{perf_counter() - began:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", default="simulated")
    parser.add_argument("--usd-weight", type=float, default=0.03)
    parser.add_argument("--max-agents", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.pool, arguments.usd_weight, arguments.max_agents)
