"""Policies of the field beside the fixed teams that they grow out of, in the simulated world.

    python benchmarks/policies.py

runs each on the test questions of every seed's world, twice each, and writes benchmarks/results/policies.md. Nothing is
learned. Utility is score - 0.03 * USD per 1,000 questions, the price of docs/results.md.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from runner import ROOT, command, plus_minus

from gdesign.agents import teams
from gdesign.agents.policies.adaptive_self_consistency import adaptive_self_consistency
from gdesign.agents.policies.agreement_cascade import agreement_cascade
from gdesign.agents.policies.debate_when_needed import debate_when_needed
from gdesign.agents.pool import builtin
from gdesign.execute.arena import LocalArena
from gdesign.execute.reward import Reward
from gdesign.learn.evaluate import summarise
from gdesign.llm.simulated import SimulatedClient
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import Agent, Job, Play

SMALL, MATHS, CODE, LARGE = (
    Agent(role=role, llm=llm)
    for role, llm in (
        ("assistant", "small"),
        ("mathematician", "math-specialist"),
        ("programmer", "code-specialist"),
        ("reviewer", "large"),
    )
)
PLAYS: dict[str, Play] = {
    "single, large": teams.single([LARGE]),
    "cascade, two then large": teams.cascade([SMALL, MATHS, LARGE]),
    "agreement_cascade of four, quorum 2": agreement_cascade([SMALL, MATHS, CODE, LARGE], quorum=2),
    "agreement_cascade of four, quorum 3": agreement_cascade([SMALL, MATHS, CODE, LARGE], quorum=3),
    "vote of five samples, large": teams.vote([LARGE] * 5),
    "adaptive_self_consistency, large": adaptive_self_consistency([LARGE]),
    "debate, maths and large": teams.debate([MATHS, LARGE]),
    "debate_when_needed, maths and large": debate_when_needed([MATHS, LARGE]),
}


def row(name: str, play: Play, seeds: Sequence[int]) -> str:
    """Return what one of them is worth, as a row of a table."""
    pool, reward, found = builtin("simulated"), Reward(usd_weight=0.03), []
    for seed in seeds:
        benchmark = Synthetic(seed=seed)
        jobs = [Job(play, task, sample) for task in benchmark.load("test") for sample in (0, 1)]
        with LocalArena(pool=pool, llm=SimulatedClient(pool=pool), benchmark=benchmark) as arena:
            found.append(summarise(arena.run(jobs, phase="test"), reward=reward))
    figures = {key: [summary[key] for summary in found] for key in found[0]}
    cells = [plus_minus(figures["score"]), f"{sum(figures['usd']) / len(found):.2f}", plus_minus(figures["utility"])]
    cells += [f"{sum(figures[key]) / len(found):.2f}" for key in ("calls", "critical_path")]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many worlds (5)")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/policies.md")
    options = parser.parse_args()
    lines = [
        "# Policies of the field, simulated",
        "",
        f"`{command()}`: {options.seeds} worlds, 450 test questions of each, run twice; mean ± standard deviation over "
        "worlds. Nothing is learned. Utility at lambda 0.03.",
        "",
        "| | score | USD per 1,000 questions | utility | calls | in a row |",
        "|---|---|---|---|---|---|",
    ]
    for name, play in PLAYS.items():
        lines.append(row(name, play, range(options.seeds)))
        print(lines[-1], flush=True)
    options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
