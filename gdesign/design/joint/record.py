"""What agents replied alone to questions of the past, as a checkpoint keeps it.

Shape letters: T past questions, B some of them, C agents, D text features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gdesign.errors import ConfigError
from gdesign.types import Agent, Decision, Design, Edge, Gate


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
            added=torch.zeros(0, dtype=torch.bool),
            weight=weight,
            answers=((),) * len(x),
        )

    def rows(self, tasks: Sequence[str]) -> Int[Tensor, " B"]:
        """Return which question of the record each task is; -1 for none."""
        row = {name: i for i, name in enumerate(self.tasks)}
        return torch.tensor([row.get(name, -1) for name in tasks])

    def joined(
        self,
        agents: Sequence[Agent],
        *,
        rows: Int[Tensor, " B"],
        answers: Sequence[Sequence[str | None]],
        scores: Float[Tensor, "B C"],
        usd: Float[Tensor, "B C"],
    ) -> "Record":
        """Return the record with further agents, who were asked some of its questions."""
        num = len(agents)
        ids, texts = numbered(answers, [self.answers[r] for r in rows.tolist()])
        known = list(self.answers)
        for r, text in zip(rows.tolist(), texts, strict=True):
            known[r] = text

        def widened(old: Tensor, new: Tensor) -> Tensor:
            more = torch.zeros(len(old), num, dtype=old.dtype)
            more[rows] = new.to(old.dtype)
            return torch.cat([old, more], dim=1)

        return replace(
            self,
            agents=(*self.agents, *agents),
            ids=widened(self.ids, ids),
            scores=widened(self.scores, scores),
            usd=widened(self.usd, usd),
            seen=widened(self.seen, torch.ones_like(ids, dtype=torch.bool)),
            added=torch.cat([self.added, torch.full((num,), bool(self.agents))]),
            answers=tuple(known),
        )

    def of_agents(self, agents: Sequence[Agent]) -> dict[str, Any]:
        """Return what is known of these agents, in their order, as `gdesign.design.joint.profiles.Profiles` takes it.

        Raises:
            ConfigError: Nothing is known of one of them.
        """
        if new := [a for a in agents if a not in self.agents]:
            raise ConfigError(
                f"nothing is known of the agent {new[0].role}/{new[0].llm}/{new[0].operator}; let it answer some "
                "training questions first: train.py designer=joint start=<run folder> trainer.max_epochs=0"
            )
        columns = [self.agents.index(a) for a in agents]
        by_agent = {name: getattr(self, name)[:, columns] for name in ("ids", "scores", "usd", "seen")}
        return by_agent | {"x": self.x, "added": self.added[columns], "weight": self.weight}

    def state(self) -> dict[str, Any]:
        """Return tensors, lists and strings, which a checkpoint may hold."""
        return {
            "agents": [[a.role, a.llm, a.operator] for a in self.agents],
            "tasks": list(self.tasks),
            "answers": [list(row) for row in self.answers],
            **{name: getattr(self, name) for name in ("x", "ids", "scores", "usd", "seen", "added", "weight")},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Record":
        """Return the record that `state` was made of."""
        return cls(
            agents=tuple(Agent(role=r, llm=m, operator=o) for r, m, o in state["agents"]),
            tasks=tuple(state["tasks"]),
            answers=tuple(tuple(row) for row in state["answers"]),
            **{name: state[name] for name in ("x", "ids", "scores", "usd", "seen", "added", "weight")},
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
