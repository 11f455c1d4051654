"""The turns of a design as the nodes of a workflow: rounds unrolled, and what each node waits for."""

import re
from dataclasses import dataclass

from gdesign.execute.plan import Plan
from gdesign.types import Design, Edge

BEGIN = "begin"
"""The node before all turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One turn.

    Attributes:
        agent: Index of the agent.
        round: Counted from 1.
        name: Of the node in which the agent speaks: its number from 1, its role, the round.
        entry: Of the node where the turn begins; another one than `name` where a gate stands before it.
        end: Of the node after which the turn is over, whether the agent spoke or not.
        hears: The turns it hears, each an agent and a round.
        waits: The ends of the turns that it hears, watches or goes on from; `BEGIN` where there are none.
    """

    agent: int
    round: int
    name: str
    entry: str
    end: str
    hears: tuple[tuple[int, int], ...]
    waits: tuple[str, ...]


def steps(design: Design, plan: Plan) -> list[Step]:
    """Return the turns of a design, by round and agent."""
    done: dict[tuple[int, int], Step] = {}
    for r in range(1, design.num_rounds + 1):
        for i, agent in enumerate(design.agents):
            words = ["agent", str(i + 1), *re.findall(r"[A-Za-z0-9]+", agent.role)]
            name = "_".join([*words, *(["round", str(r)] if design.num_rounds > 1 else [])])
            hears = plan.heard(i, r)
            waits = [*hears, *([(i, r - 1)] if r > 1 else [])]
            if agent.gate is not None:
                waits += [(j, r) for j in agent.gate.watch]
            done[i, r] = Step(
                agent=i,
                round=r,
                name=name,
                entry=name if agent.gate is None else f"{name}_gate",
                end=name if agent.gate is None else f"{name}_end",
                hears=tuple(hears),
                waits=tuple(dict.fromkeys(done[turn].end for turn in waits)) or (BEGIN,),
            )
    return list(done.values())


def in_rounds(edge: Edge) -> tuple[str, ...]:
    """Return the words for the rounds that an edge names, if it names any."""
    return (f"round {' '.join(map(str, edge.rounds))}",) if edge.rounds else ()
