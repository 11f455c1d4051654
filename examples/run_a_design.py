"""Run a fixed design on one generated question and print who said what. It needs no key and no data.

python examples/run_a_design.py
"""

import asyncio

from gdesign.agents.pool import builtin
from gdesign.execute.reward import Reward, account
from gdesign.execute.run import run
from gdesign.llm.simulated import SimulatedClient
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import Agent, Design, Edge


def main() -> None:
    """A cheap agent answers, two specialists hear it, and a reviewer hears all three and decides."""
    pool = builtin("simulated")
    benchmark = Synthetic()
    design = Design(
        agents=(
            Agent(role="assistant", llm="small"),
            Agent(role="mathematician", llm="math-specialist"),
            Agent(role="programmer", llm="code-specialist"),
            Agent(role="reviewer", llm="large"),
        ),
        spatial=(Edge(0, 1), Edge(0, 2), Edge(0, 3), Edge(1, 3), Edge(2, 3)),
    )
    task = benchmark.load("test")[0]
    done = asyncio.run(run(design, task, pool=pool, llm=SimulatedClient(pool=pool), extract=benchmark.extract))
    outcome = account(done, grade=benchmark.grade, pool=pool)

    print(task.question)
    for turn in done.turns:
        print(f"  {done.design.agents[turn.agent].role} answers {turn.answer}")
    print(f"the team answers {done.answer}, right is {task.answer} ({done.label})")
    print(f"{outcome.calls} calls, {outcome.critical_path} of them one after the other, {outcome.usd:.6f} USD")
    print(f"utility at lambda 0.03: {Reward(usd_weight=0.03).utility(outcome):.3f}")


if __name__ == "__main__":
    main()
