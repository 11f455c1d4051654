"""What agents replied alone to questions of the past, as a checkpoint keeps it.

Shape letters: T past questions, B some of them, C agents, D text features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gdesign.errors import ConfigError
from gdesign.types import Agent, Decision, Design, Edge, Gate


class Replied(NamedTuple):
    """What an agent replied alone to a question of the record, and what it scored and cost for 1,000 questions."""

    row: int
    agent: Agent
    answer: str | None
    score: float
    usd: float


@dataclass(frozen=True, kw_only=True)
class Record:
    """What agents replied alone, as it is kept.

    Attributes:
        agents: Who was asked.
        tasks: What they were asked, `<benchmark>:<id>`.
        x: Text features of the questions.
        ids: Equal for equal answers to one question; -1 for an unreadable one.
        scores: Of each agent alone.
        usd: Of each agent alone, for 1,000 questions.
        seen: Who was asked what.
        again: Scores of agents that were asked a question again; NaN where they were not.
        added: Who came after the others.
        weight: Of the questions.
        answers: The answers themselves, by question, so that those of agents added later can be compared.
    """

    agents: tuple[Agent, ...]
    tasks: tuple[str, ...]
    x: Float[Tensor, "T D"]
    ids: Int[Tensor, "T C"]
    scores: Float[Tensor, "T C"]
    usd: Float[Tensor, "T C"]
    seen: Bool[Tensor, "T C"]
    again: Float[Tensor, "T C"]
    added: Bool[Tensor, " C"]
    weight: Float[Tensor, " T"]
    answers: tuple[tuple[str, ...], ...]

    @classmethod
    def empty(cls, *, tasks: Sequence[str], x: Float[Tensor, "T D"], weight: Float[Tensor, " T"]) -> "Record":
        """Return the record of questions that nobody was asked yet."""
        nobody = torch.zeros(len(x), 0)
        return cls(
            agents=(),
            tasks=tuple(tasks),
            x=x,
            ids=nobody.to(torch.int16),
            scores=nobody,
            usd=nobody,
            seen=nobody.bool(),
            again=nobody,
            added=torch.zeros(0, dtype=torch.bool),
            weight=weight,
            answers=((),) * len(x),
        )

    def without(self, tasks: Sequence[str]) -> "Record":
        """Return the record without some questions."""
        kept = [i for i, name in enumerate(self.tasks) if name not in set(tasks)]
        by_row = {n: getattr(self, n)[kept] for n in ("x", "ids", "scores", "usd", "seen", "again", "weight")}
        return replace(
            self, tasks=tuple(self.tasks[i] for i in kept), answers=tuple(self.answers[i] for i in kept), **by_row
        )

    def rows(self, tasks: Sequence[str]) -> Int[Tensor, " B"]:
        """Return which question of the record each task is; -1 for none."""
        row = {name: i for i, name in enumerate(self.tasks)}
        return torch.tensor([row.get(name, -1) for name in tasks])

    def joined(self, agents: Sequence[Agent]) -> "Record":
        """Return the record with further agents, who were asked nothing yet."""
        more = torch.zeros(len(self.x), len(agents))

        def widened(old: Tensor, new: Tensor) -> Tensor:
            return torch.cat([old, new.to(old.dtype)], dim=1)

        return replace(
            self,
            agents=(*self.agents, *agents),
            ids=widened(self.ids, more),
            scores=widened(self.scores, more),
            usd=widened(self.usd, more),
            seen=widened(self.seen, more),
            again=widened(self.again, torch.full_like(more, torch.nan)),
            added=torch.cat([self.added, torch.full((len(agents),), bool(self.agents))]),
        )

    def told(self, replies: Sequence[Replied]) -> "Record":
        """Return the record with what agents replied; a second reply to a question says how steady the agent is."""
        columns = {agent: c for c, agent in enumerate(self.agents)}
        answers = [dict.fromkeys(row) for row in self.answers]
        ids, scores, usd, seen, again = (t.clone() for t in (self.ids, self.scores, self.usd, self.seen, self.again))
        for row, agent, answer, score, cost in replies:
            cell = row, columns[agent]
            if seen[cell]:
                again[cell] = score
                continue
            if answer is not None:
                answers[row].setdefault(answer)
            ids[cell] = -1 if answer is None else list(answers[row]).index(answer)
            scores[cell], usd[cell], seen[cell] = score, cost, True
        known = tuple(map(tuple, answers))
        return replace(self, ids=ids, scores=scores, usd=usd, seen=seen, again=again, answers=known)

    def of_agents(self, agents: Sequence[Agent]) -> dict[str, Any]:
        """Return what is known of these agents, in their order, as `gdesign.design.joint.profiles.Profiles` takes it.

        Raises:
            ConfigError: Nothing is known of one of them.
        """
        if new := [a for a in agents if a not in self.agents]:
            raise ConfigError(
                f"nothing is known of the agent {new[0].role}/{new[0].llm}/{new[0].operator}; let it answer some "
                "training questions first: gdesign train designer=joint start=<run folder> trainer.max_epochs=0"
            )
        columns = [self.agents.index(a) for a in agents]
        by_agent = {name: getattr(self, name)[:, columns] for name in ("ids", "scores", "usd", "seen", "again")}
        return by_agent | {"agents": agents, "x": self.x, "added": self.added[columns], "weight": self.weight}

    def state(self) -> dict[str, Any]:
        """Return tensors, lists and strings, which a checkpoint may hold."""
        return {
            "agents": [[a.role, a.llm, a.operator] for a in self.agents],
            "tasks": list(self.tasks),
            "answers": [list(row) for row in self.answers],
            **{name: getattr(self, name) for name in ("x", "ids", "scores", "usd", "seen", "again", "added", "weight")},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Record":
        """Return the record that `state` was made of."""
        return cls(
            agents=tuple(Agent(role=r, llm=m, operator=o) for r, m, o in state["agents"]),
            tasks=tuple(state["tasks"]),
            answers=tuple(tuple(row) for row in state["answers"]),
            **{name: state[name] for name in ("x", "ids", "scores", "usd", "seen", "again", "added", "weight")},
        )


def numbered(
    answers: Sequence[Sequence[str | None]], known: Sequence[Sequence[str]]
) -> tuple[Int[Tensor, "T C"], tuple[tuple[str, ...], ...]]:
    """Return a number for each answer, equal for equal ones, and the answers by number."""
    rows, texts = [], []
    for row, before in zip(answers, known, strict=True):
        seen = {text: i for i, text in enumerate(before)}
        rows.append([-1 if a is None else seen.setdefault(a, len(seen)) for a in row])
        texts.append(tuple(seen))
    return torch.tensor(rows, dtype=torch.int16), tuple(texts)


def design_state(design: Design) -> list[Any]:
    """Return a design as lists, which a checkpoint may hold."""
    agents = [
        [a.role, a.llm, a.operator, [] if a.gate is None else [a.gate.quorum, *a.gate.watch]] for a in design.agents
    ]
    edges = [[[e.src, e.dst, *e.rounds] for e in some] for some in (design.spatial, design.temporal)]
    decision = design.decision
    return [agents, *edges, design.num_rounds, [decision.kind, list(decision.weights), decision.judge]]


def design_from_state(state: Sequence[Any]) -> Design:
    """Return the design that `design_state` was made of."""
    agents, spatial, temporal, num_rounds, (kind, weights, judge) = state
    return Design(
        agents=tuple(
            Agent(role=r, llm=m, operator=o, gate=Gate(watch=tuple(g[1:]), quorum=g[0]) if g else None)
            for r, m, o, g in agents
        ),
        spatial=tuple(Edge(e[0], e[1], tuple(e[2:])) for e in spatial),
        temporal=tuple(Edge(e[0], e[1], tuple(e[2:])) for e in temporal),
        num_rounds=num_rounds,
        decision=Decision(kind=kind, weights=tuple(weights), judge=judge),
    )
