"""Run a design that goes on deciding while it runs: a policy, asked wave by wave, unrolls to a design.

What a policy came to is a `Design` of one round: the agents in the order in which they were asked, a spatial edge for
each that was heard, and the decision. Who was asked in a later wave waits for all of the wave before: for those that it
does not hear by a gate that never silences. So the critical path, the latency and the waves are those of the run, and
the design run again asks the same requests in the same order and gives the same answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from gdesign.errors import DesignError
from gdesign.execute.limits import Limits
from gdesign.execute.run import Floor, OnTurn, run
from gdesign.llm.base import LLMClient
from gdesign.sandbox import Sandbox
from gdesign.types import (
    Agent,
    AgentPool,
    Decision,
    Design,
    Edge,
    Extract,
    Gate,
    Move,
    Play,
    Policy,
    Run,
    Stop,
    Task,
    Turn,
    Wave,
)
from gdesign.types.wave import VOTE

MAX_AGENTS = 1000
"""A policy that would ask more never stops."""

OnMove = Callable[[Move], None]
"""Is told each move of a policy as soon as it is decided: a wave before anybody in it speaks."""


async def play(
    play: Play,
    task: Task,
    *,
    pool: AgentPool,
    llm: LLMClient,
    extract: Extract,
    seed: int = 0,
    limits: Limits | None = None,
    tools: Sandbox | None = None,
    on_turn: OnTurn | None = None,
    on_move: OnMove | None = None,
) -> Run:
    """Let a design's agents, or those that a policy asks, work on the task.

    A policy is asked in this thread, so it should not take long. It is told neither the right answer nor any score.

    Args:
        play: The design or the policy.
        limits: How much may be taken. Where they leave no room for a wave, its `otherwise` is how the run ends; of a
            first wave that is too large only the first agents are asked. No policy asks more than `MAX_AGENTS`.
        on_move: Is told each move of a policy; None for nobody. A design has none.

    Raises:
        DesignError: A wave hears agents that were not asked yet, a decision names such, or a policy returns a whole
            design after agents were asked or stops before.
        PoolError: As `run` has it, and whatever else it raises.
    """
    if isinstance(play, Design):
        return await run(
            play, task, pool=pool, llm=llm, extract=extract, seed=seed, limits=limits, tools=tools, on_turn=on_turn
        )
    floor = Floor(
        task,
        pool=pool,
        llm=llm,
        extract=extract,
        seed=seed,
        limits=limits,
        tools=tools,
        on_turn=on_turn,
        compares=True,
    )
    seen, asked = replace(task, answer=""), Asked()
    move = _next(play, seen, asked, (), limits)
    if on_move is not None:
        on_move(move)
    if isinstance(move, Design):
        return await run(
            move, task, pool=pool, llm=llm, extract=extract, seed=seed, limits=limits, tools=tools, on_turn=on_turn
        )
    while isinstance(move, Wave):
        first = len(asked.agents)
        asked.add(move)
        await floor.give(asked.design(), [(i, 1) for i in range(first, len(asked.agents))])
        move = _next(play, seen, asked, floor.turns, limits)
        if on_move is not None:
            on_move(move)
    assert isinstance(move, Stop)
    return floor.end(_settled(move.decision, asked, floor), probability=move.probability)


def opening(play: Play, task: Task) -> Design:
    """Return a design, or the first wave of a policy as a design by itself: what is certain to be asked."""
    if isinstance(play, Design):
        return play
    asked = Asked()
    move = _next(play, replace(task, answer=""), asked, (), None)
    if isinstance(move, Design):
        return move
    assert isinstance(move, Wave)
    asked.add(move)
    return asked.design()


class Asked:
    """Who was asked so far by a policy, and whom each heard and waited for.

    Attributes:
        agents: In the order in which they were asked.
        num_waves: How many waves there were.
    """

    def __init__(self) -> None:
        self.agents: list[Agent] = []
        self.num_waves = 0
        self._spatial: list[Edge] = []
        self._gated: list[Agent] = []
        self._last: range = range(0)

    def add(self, wave: Wave) -> None:
        """Take down a wave.

        Raises:
            DesignError: Somebody hears an agent that was not asked before.
        """
        n = len(self.agents)
        for i, agent in enumerate(wave.agents, start=n):
            heard = wave.hears[i - n] if wave.hears else ()
            if any(not 0 <= j < n for j in heard):
                raise DesignError(f"agent {i} of a policy hears {heard}; expected agents asked before, in 0..{n - 1}")
            self._spatial += [Edge(j, i) for j in heard]
            waits = tuple(j for j in self._last if j not in heard)
            gate = Gate(watch=waits, quorum=len(waits) + 1) if waits else None
            self._gated.append(replace(agent, gate=gate))
        self.agents += wave.agents
        self._last = range(n, len(self.agents))
        self.num_waves += 1

    def design(self, decision: Decision = VOTE) -> Design:
        """Return what it comes to: all agents, whom each hears and waits for, and a decision."""
        return Design(agents=tuple(self._gated), spatial=tuple(self._spatial), decision=decision)


def _next(policy: Policy, task: Task, asked: Asked, turns: Sequence[Turn], limits: Limits | None) -> Move:
    """Return what a policy does next, within the limits."""
    move = policy.next(task, tuple(asked.agents), tuple(map(_unscored, turns)))
    n = len(asked.agents)
    if isinstance(move, Design) and n:
        raise DesignError(
            f"a policy returned a whole design after {n} agents were asked; expected a wave or a stop: a design can "
            "only come first"
        )
    if isinstance(move, Stop) and not n:
        raise DesignError("a policy stopped before anybody was asked; expected a wave, or a whole design")
    if not isinstance(move, Wave):
        return move
    most_waves, most_agents = (None, None) if limits is None else (limits.max_waves, limits.max_agents)
    if most_waves is not None and asked.num_waves >= most_waves:
        return Stop(decision=move.otherwise, reason=f"the limit of {most_waves} waves is reached")
    room = (MAX_AGENTS if most_agents is None else most_agents) - n
    if len(move.agents) <= room:
        return move
    if n:
        return Stop(decision=move.otherwise, reason=f"the limit of {n + room} agents leaves no room for more")
    return replace(move, agents=move.agents[:room], hears=move.hears[:room])


def _unscored(turn: Turn) -> Turn:
    if turn.reply is None or turn.reply.score is None:
        return turn
    return replace(turn, reply=replace(turn.reply, score=None))


def _settled(decision: Decision, asked: Asked, floor: Floor) -> Design:
    """Return the design of all who were asked, with the decision as it was taken.

    Who gave the answer that was taken, the first where several did, outweighs all others together. The others keep a
    say, which counts where that answer is unreadable, so that a design leaves out nobody who was paid for.
    """
    n = len(asked.agents)
    if decision.kind != "vote":
        Design(agents=tuple(asked.agents), decision=decision)  # refuses a decision that names nobody
        decided = floor.decided(decision, num_agents=n)
        weights = [1.0] * n
        if decided is not None:
            same = [turn.agent for turn in floor.turns if turn.answer is not None and turn.answer == decided.answer]
            weights[min(same, default=decided.agent)] = float(n)
        decision = Decision(kind="weighted_vote", weights=tuple(weights))
    return asked.design(decision)
