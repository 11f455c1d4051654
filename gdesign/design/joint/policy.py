"""What was planned for one question, as a table of what to do in each state: no torch, no model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gdesign.types import Agent, Branch, Decision, Move, Stop, Task, Turn, Wave
from gdesign.types.wave import VOTE

NOT_ASKED, UNREADABLE = -1, 0
"""What a state says of an agent beside its block, counted from 1."""
State = tuple[int, ...]


def canonical(labels: Sequence[int]) -> State:
    """Return the state with its blocks numbered by their first agents."""
    seen: dict[int, int] = {}
    return tuple(x if x <= UNREADABLE else seen.setdefault(x, len(seen) + 1) for x in labels)


def form(answer: str) -> str:
    """Return what an answer looks like: every number becomes 9, every word a."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", answer))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to do in a state.

    Attributes:
        ask: Who is asked next, all at once, by number; empty to stop.
        take: Whose answer is taken where the policy stops here; None where nobody gave a readable one.
        sure: Probability of each block that its answer is right, block 1 first.
        reach: Probability of coming here.
        gain: Utility that asking is expected to bring beyond stopping.
        usd: What this wave is expected to cost, for 1,000 questions.
    """

    ask: tuple[int, ...]
    take: int | None
    sure: tuple[float, ...]
    reach: float
    gain: float
    usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A policy for one question, whose agents hear nobody: what to do after so many waves in a state of its agents.

    Answers are compared by equality alone.

    Attributes:
        agents: Whom it may ask.
        steps: By number of waves and state; everything that may come is there.
        malformed: Forms of answers that count as unreadable.
        blank: Whether unreadable answers are one answer of their own; calls that failed never are.
    """

    agents: tuple[Agent, ...]
    steps: Mapping[tuple[int, State], Step] = field(hash=False)
    malformed: frozenset[str] = frozenset()
    blank: bool = False

    def next(self, task: Task, asked: Sequence[Agent], turns: Sequence[Turn]) -> Move:
        """Return who speaks next, or whose answer is taken."""
        where, order = self.at(turns)
        if where not in self.steps:
            return Stop(reason="not all of a wave were asked, so nothing is planned from here on")
        return self._move(self.steps[where], where[1], order)

    def tree(self, depth: int) -> Branch:
        """Return what is done first and what may follow, over so many moves at most."""
        return self._branch((0, (NOT_ASKED,) * len(self.agents)), (), depth, when="", above=1.0)

    def expected(self) -> tuple[float, float]:
        """Return the score that is expected, and the USD for 1,000 questions."""
        score = sum(s.reach * max(s.sure, default=0.0) for s in self.steps.values() if not s.ask)
        return score, sum(s.reach * s.usd for s in self.steps.values())

    def at(self, turns: Sequence[Turn]) -> tuple[tuple[int, State], tuple[int, ...]]:
        """Return where the policy is after these turns, and whose they are.

        Args:
            turns: In the order in which agents were asked.
        """
        given: dict[int, Turn] = {}
        waves, state = 0, (NOT_ASKED,) * len(self.agents)
        left = list(turns)
        while left:
            ask = self.steps[waves, state].ask
            given.update(zip(ask, left, strict=False))
            left = left[len(ask) :]
            names: dict[str | None, int] = {}
            labels = [NOT_ASKED] * len(self.agents)
            for m in sorted(given):
                answer = given[m].answer
                labels[m] = names.setdefault(answer, len(names) + 1) if self._counts(given[m]) else UNREADABLE
            waves, state = waves + 1, canonical(labels)
        return (waves, state), tuple(given)

    def _counts(self, turn: Turn) -> bool:
        if turn.answer is None:
            return self.blank and turn.reply is not None  # a call that failed said nothing
        return form(turn.answer) not in self.malformed

    def _move(self, step: Step, state: State, order: Sequence[int]) -> Move:
        decision = VOTE if step.take is None else Decision(kind="judge", judge=order.index(step.take))
        held = ", ".join(
            f"{' = '.join(self._name(m) for m in order if state[m] == block)} {chance:.2f}"
            for block, chance in enumerate(step.sure, start=1)
        )
        likely = f"likely right: {held}" if held else "nobody gave an answer that can be read" if order else ""
        if not step.ask:
            return Stop(decision=decision, reason=likely, probability=max(step.sure, default=0.0))
        going = f"asking on is worth {step.gain:+.3f} beyond stopping, for {step.usd:.3g} USD per 1,000 questions"
        return Wave(
            agents=tuple(self.agents[m] for m in step.ask),
            reason="; ".join(part for part in (likely, going) if part),
            otherwise=decision,
        )

    def _branch(
        self, where: tuple[int, State], order: tuple[int, ...], depth: int, *, when: str, above: float
    ) -> Branch:
        step = self.steps[where]
        found = []
        if depth > 1 and step.ask:
            later = (*order, *step.ask)
            for waves, state in self.steps:
                if waves == where[0] + 1 and self._follows(where[1], state, step.ask):
                    found.append(
                        self._branch(
                            (waves, state), later, depth - 1, when=self._answers(state, later), above=step.reach
                        )
                    )
        return Branch(
            move=self._move(step, where[1], order),
            when=when,
            probability=min(1.0, step.reach / above) if above > 0 else 0.0,
            branches=tuple(sorted(found, key=lambda b: -b.probability)),
        )

    def _follows(self, before: State, after: State, ask: Sequence[int]) -> bool:
        """Return whether a state may come of another by asking."""
        asked = {m for m, x in enumerate(before) if x != NOT_ASKED} | set(ask)
        if asked != {m for m, x in enumerate(after) if x != NOT_ASKED}:
            return False
        return before == canonical([NOT_ASKED if m in ask else x for m, x in enumerate(after)])

    def _answers(self, state: State, order: Sequence[int]) -> str:
        """Return who gave equal answers, in words."""
        blocks = [[m for m in order if state[m] == b] for b in range(1, max(state) + 1)]
        parts = [" = ".join(self._name(m) for m in block) for block in blocks]
        parts += [f"{self._name(m)} unreadable" for m in order if state[m] == UNREADABLE]
        return ", ".join(parts)

    def _name(self, m: int) -> str:
        """Return what tells an agent from the others."""
        agent, names = self.agents[m], []
        for what in ("role", "llm", "operator"):
            if len({getattr(a, what) for a in self.agents}) > 1:
                names.append(getattr(agent, what))
        return "/".join(names) or agent.llm
