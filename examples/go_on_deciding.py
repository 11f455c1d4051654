"""A policy by hand: a design that goes on deciding while it runs. Two cheap agents, and more only where they differ.

python examples/go_on_deciding.py
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from gdesign.agents.pool import builtin
from gdesign.execute.adaptive import play
from gdesign.llm.simulated import SimulatedClient
from gdesign.report.text import describe, describe_move
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import Agent, Decision, Move, Stop, Task, Turn, Wave

CHEAP = (Agent(role="assistant", llm="small"), Agent(role="mathematician", llm="math-specialist"))
DEAR = Agent(role="reviewer", llm="large")


@dataclass(frozen=True)
class AskADearerOne:
    """Asks two cheap agents; where they differ a dear one hears both and decides."""

    def next(self, task: Task, asked: Sequence[Agent], turns: Sequence[Turn]) -> Move:
        """Return who speaks next, or how it ends."""
        if not asked:
            return Wave(agents=CHEAP, reason="two cheap agents first")
        if len(asked) > len(CHEAP):
            return Stop(decision=Decision(kind="judge", judge=2), reason="the dear one has heard both")
        if turns[0].answer is not None and turns[0].answer == turns[1].answer:
            return Stop(reason="both agree")
        return Wave(agents=(DEAR,), hears=((0, 1),), reason="they differ")


def main() -> None:
    """Let it answer two questions and print what it decides on the way."""
    pool, benchmark = builtin("simulated"), Synthetic()
    llm = SimulatedClient(pool=pool)
    for task in [task for task in benchmark.load("test") if task.domain == "mathematics"][:2]:
        moves: list[Move] = []
        done = asyncio.run(
            play(AskADearerOne(), task, pool=pool, llm=llm, extract=benchmark.extract, on_move=moves.append)
        )
        print(task.question)
        for i, move in enumerate(moves):
            print(f"  {describe_move(move, wave=i + 1, first=2 * i)}")
        print(f"  it answers {done.answer}, right is {task.answer} ({done.label}); it came to {describe(done.design)}")


if __name__ == "__main__":
    main()
