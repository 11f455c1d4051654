"""A design by hand with a gate: a dear agent is asked only where two cheap ones disagree.

python examples/ask_a_dearer_agent_last.py
"""

import asyncio

from gdesign.agents.pool import builtin
from gdesign.execute.reward import account
from gdesign.execute.run import run
from gdesign.llm.simulated import SimulatedClient
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import Agent, Design, Gate, Outcome

CHEAP = (Agent(role="assistant", llm="small"), Agent(role="mathematician", llm="math-specialist"))
DEAR = Agent(role="reviewer", llm="large")
DESIGNS = {
    "the dear one alone": Design(agents=(DEAR,)),
    # The third agent watches the first two: it reads whether they agree, not what they say.
    "the dear one last": Design(
        agents=(*CHEAP, Agent(role=DEAR.role, llm=DEAR.llm, gate=Gate(watch=(0, 1), quorum=2)))
    ),
}


async def outcomes(design: Design, num_tasks: int = 100) -> list[Outcome]:
    """Run the design on test questions in mathematics."""
    pool, benchmark = builtin("simulated"), Synthetic()
    llm = SimulatedClient(pool=pool)
    tasks = [t for t in benchmark.load("test") if t.domain == "mathematics"][:num_tasks]
    runs = await asyncio.gather(*(run(design, t, pool=pool, llm=llm, extract=benchmark.extract) for t in tasks))
    return [account(r, grade=benchmark.grade, pool=pool) for r in runs]


def main() -> None:
    """Compare both on the same questions."""
    for name, design in DESIGNS.items():
        found = asyncio.run(outcomes(design))
        score = sum(o.score for o in found) / len(found)
        usd = 1000 * sum(o.usd for o in found) / len(found)
        calls = sum(o.calls for o in found) / len(found)
        print(f"{name}: score {score:.2f}, {usd:.2f} USD per 1,000 questions, {calls:.2f} calls a question (simulated)")


if __name__ == "__main__":
    main()
