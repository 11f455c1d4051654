"""Who hears whom when, and what each is asked: what every executor of a design has in common."""

from collections import Counter
from collections.abc import Iterable, Sequence

from gdesign.agents.prompt import OPERATORS, prompt, refuse_unprompted
from gdesign.tasks.answers.thoughts import without_thoughts
from gdesign.types import Agent, AgentPool, Design, Gate, Message, Origin, Reply, Request, Task, Turn, sample_index


class Plan:
    """The turns of a design, each named by its agent and its round (counted from 1).

    Args:
        recorded: Whether turns are answered from recordings, which need no prompt.
        compares: Whether all answers are compared with each other, whatever the design says of it.

    Raises:
        PoolError: The design names a role, LLM or operator that the pool lacks.
        UnsupportedRequestError: No prompt tells how an agent works, and it is to be told.
    """

    def __init__(self, design: Design, *, pool: AgentPool, recorded: bool = False, compares: bool = False) -> None:
        for agent in design.agents:
            pool.check(agent)
            if not recorded:
                refuse_unprompted(agent.operator)
        self._agents = design.agents
        self._pool = pool
        self._copies = _copies(design.agents)
        self._heard = [design.heard(r) for r in range(1, design.num_rounds + 1)]
        self._watched = {j for agent in design.agents if agent.gate is not None for j in agent.gate.watch}
        self._votes = compares or design.decision.kind in ("vote", "weighted_vote")

    def heard(self, i: int, r: int) -> list[tuple[int, int]]:
        """Return the turns that agent `i` hears in round `r`, in the order in which it is told."""
        spatial, temporal = self._heard[r - 1][i]
        heard = [(j, r) for j in spatial]
        if temporal:
            heard += [(j, r - 1) for j in temporal]
            heard.sort()
        return heard

    def request(self, i: int, task: Task, *, seed: int, heard: Sequence[Turn], previous: Reply | None) -> Request:
        """Return what agent `i` is asked; what it is told of replies, its own included, is without thoughts.

        Args:
            heard: The turns it hears; those without a reply are left out.
        """
        agent = self._agents[i]
        spoken = [(t, t.reply) for t in heard if t.reply is not None]
        return Request(
            llm=agent.llm,
            messages=prompt(
                agent,
                task,
                pool=self._pool,
                heard=[(self._agents[t.agent].role, without_thoughts(reply.text)) for t, reply in spoken],
                previous=None if previous is None else without_thoughts(previous.text),
            )
            if agent.operator in OPERATORS
            else (Message("system", f"Works by: {agent.operator}."), Message("user", task.question)),
            sample=sample_index(seed=seed, copy=self._copies[i]),
            origin=Origin(
                task_id=task.id,
                role=agent.role,
                operator=agent.operator,
                heard=tuple([reply for _, reply in spoken]),
                previous=previous,
                compared=self._votes or i in self._watched,
            ),
        )


def stays_silent(gate: Gate, answers: Iterable[str | None]) -> bool:
    """Return whether so many of the watched answers agree that the agent need not speak; None agrees with nothing."""
    counts = Counter([answer for answer in answers if answer is not None])
    return bool(counts) and max(counts.values()) >= gate.quorum


def _copies(agents: tuple[Agent, ...]) -> list[int]:
    seen: Counter[tuple[str, str, str]] = Counter()
    copies = []
    for agent in agents:
        key = (agent.role, agent.llm, agent.operator)
        copies.append(seen[key])
        seen[key] += 1
    return copies
