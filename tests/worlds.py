"""Small pools, problems and clients that any test can use; and a key that tells designs apart by what they do."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random

import torch
from torch_geometric.data import Batch

from gdesign.encode.graph import GNN, GraphEncoder
from gdesign.encode.problem import Problem, ProblemEncoder, Space
from gdesign.encode.text import HashEncoder
from gdesign.execute.adaptive import play as execute
from gdesign.types import LLM, Agent, AgentPool, Candidate, Design, Label, Play, Reply, Request, Role, Run, Task, Usage

QUESTIONS = (
    "How many apples are left if four of nine are eaten?",
    "Prove that the square root of two is irrational.",
    "Which city is the capital of Peru?",
    "Write a function that reverses a list.",
    "What is the integral of x squared from zero to one?",
    "Who painted the ceiling of the Sistine Chapel?",
)


def tasks(num: int = 3) -> list[Task]:
    """Return some tasks, each with another question."""
    return [
        Task(
            id=f"q{i}",
            question=f"{QUESTIONS[i % len(QUESTIONS)]}{' Again?' * (i // len(QUESTIONS))}",
            answer=str(i),
            benchmark="tiny",
        )
        for i in range(num)
    ]


def pool(num: int = 3) -> AgentPool:
    """Return a pool of `num` candidates that differ in role and LLM; prices rise tenfold from one to the next."""
    roles = tuple(Role(name=f"role-{i}", profile=f"You are expert number {i}.") for i in range(num))
    llms = tuple(
        LLM(
            name=f"llm-{i}",
            usd_per_1M_input=0.1 * 10 ** min(i, 9),
            usd_per_1M_output=0.4 * 10 ** min(i, 9),
            profile=f"Size {i}.",
        )
        for i in range(num)
    )
    return AgentPool(
        name="tiny",
        roles=roles,
        llms=llms,
        anchor=tuple((roles[i].name, roles[i + 1].name) for i in range(num - 1)),
        candidates=tuple(Candidate(role=r.name, llm=m.name) for r, m in zip(roles, llms, strict=True)),
    )


def gnn(hidden_dim: int) -> GNN:
    """Return what makes a graph encoder of so many features."""
    return partial(GraphEncoder, hidden_dim=hidden_dim)


def encoder(num: int = 3, *, slots: Sequence[int] | None = None, anchor: str = "pool") -> ProblemEncoder:
    """Return an encoder of problems over a pool of `num` candidates."""
    return ProblemEncoder(pool=pool(num), encoder=HashEncoder(dim=32), slots=slots, anchor=anchor)


def with_slots(problem: Problem, order: Sequence[int]) -> Problem:
    """Return a problem whose slots are these of the given one, in this order; their identities go along."""
    old = [*order, problem.num_nodes - 1]
    new = torch.full((problem.num_nodes,), -1)
    new[old] = torch.arange(len(old))
    edges = new[problem.edge_index]
    return Problem(
        x=problem.x[old],
        features=problem.features[old],
        edge_index=edges[:, (edges >= 0).all(0)],
        slot=problem.slot[old],
        usd_weight=problem.usd_weight,
        task=problem.task,
        space=problem.space,
    )


def batch(problems: Sequence[Problem]) -> Batch:
    """Return problems as one batch."""
    return Batch.from_data_list(list(problems))


def key(design: Play) -> object:
    """Return what a design does, whatever the order in which it lists its agents; a policy is its own key.

    Exact where no two of its agents are the same candidate.
    """
    if not isinstance(design, Design):
        return design
    names = [(a.role, a.llm, a.operator) for a in design.agents]
    gates = [
        None if a.gate is None else (frozenset(names[w] for w in a.gate.watch), a.gate.quorum) for a in design.agents
    ]
    decision: object = design.decision.kind
    match design.decision.kind:
        case "last":  # the agents that may turn out to be the last to speak
            first = max(i for i, a in enumerate(design.agents) if a.gate is None)
            decision = ("last", tuple(sorted(names[first:])))
        case "judge":
            decision = ("judge", names[design.decision.judge or 0])
        case "weighted_vote":
            decision = ("weighted_vote", tuple(sorted(zip(names, design.decision.weights, strict=True))))
    return (
        frozenset(zip(names, gates, strict=True)),
        frozenset((names[e.src], names[e.dst], e.rounds) for e in design.spatial),
        frozenset((names[e.src], names[e.dst], e.rounds) for e in design.temporal),
        design.num_rounds,
        decision,
    )


class Scripted:
    """An LLM client that answers from a function of the request; it keeps what it was asked.

    Args:
        answer: The text of the reply.
        usage: Its tokens.
        score: What a recording would say of the reply; None for no recording.
    """

    def __init__(
        self,
        answer: Callable[[Request], str],
        *,
        usage: Callable[[Request], Usage] | None = None,
        score: Callable[[Request], float | None] | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self._answer = answer
        self._usage = usage
        self._score = score

    async def __call__(self, request: Request) -> Reply:
        """Answer one request."""
        self.requests.append(request)
        return Reply(
            text=self._answer(request),
            usage=Usage(prompt_tokens=10, completion_tokens=5) if self._usage is None else self._usage(request),
            label=Label.SIMULATED,
            score=None if self._score is None else self._score(request),
        )


def played(play: Play, space: Space, *, seed: int = 0) -> Run:
    """Return a run of a design or a policy whose agents say one of three things by chance."""
    luck = Random(seed)
    client = Scripted(lambda request: luck.choice("xyz"))
    (task,) = tasks(1)
    return asyncio.run(execute(play, task, pool=space.pool, llm=client, extract=lambda task, text: text))


def with_answer(task: Task, answer: str) -> Task:
    """Return the task with another right answer."""
    return replace(task, answer=answer)


def ungated(agent: Agent) -> Agent:
    """Return the agent without its gate."""
    return replace(agent, gate=None)
