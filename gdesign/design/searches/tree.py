"""Monte Carlo tree search over designs: from one agent on, a move at a time, towards what does well.

The idea is that of Ye et al., "Multi-Agent Sampling: Scaling Inference Compute for Data Synthesis with Tree
Search-Based Agentic Collaboration" (TOA), arXiv 2412.17061: choosing who works on whose words is a sequence of
decisions, searched by UCT (Kocsis and Szepesvari 2006). Departures are named on docs/methods/tree_search.md.

Shape letters: M moves, the most that a design can be away from the empty one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

import torch
from jaxtyping import Int
from torch import Tensor
from tqdm import tqdm

from gdesign.design.base import Trials, refuse_below_one
from gdesign.design.searches.base import Kept, Questions
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.errors import ConfigError
from gdesign.types import Agent, Decision, Design, Edge, Gate, Job, Task


class TreeSearch(Kept):
    """Keep the best design of a tree that grows where runs are worth most.

    A node is a design, its children are the designs one move away: one more agent, one more edge, a vote instead of
    the last word, a gate (`moves`). A simulation goes down from the root by UCT; at a node it runs the node's own
    design on its next question, or goes on to a child, or adds a child and runs that. Every node on the way hears the
    utility. A node has at most `widening * sqrt(visits)` children, in random order (progressive widening, Coulom
    2007): noise would else be spread over the whole next level.

    Args:
        space: The agents on offer; a candidate in several slots counts once.
        num_runs: How many runs the search takes: exactly, unless all designs have seen everything before.
        exploration: c in UCT's mean + c sqrt(ln(visits of the parent) / visits).
        num_parallel: How many runs are asked for at once; until it is back, a run counts as worth 0.
        num_samples: How many distinct answers an identical request may get: each question is run with the seeds
            below it.

    Raises:
        ConfigError: A number below 1 (`exploration`: below 0).
    """

    name = "tree_search"
    path: Int[Tensor, " M"]
    num_runs: int

    def __init__(
        self,
        *,
        space: Space,
        num_runs: int,
        max_agents: int = 3,
        exploration: float = 0.3,
        widening: float = 1.0,
        num_parallel: int = 8,
        num_samples: int = 1,
    ) -> None:
        super().__init__(space=space)
        refuse_below_one(
            num_runs=num_runs,
            max_agents=max_agents,
            widening=widening,
            num_parallel=num_parallel,
            num_samples=num_samples,
        )
        if exploration < 0:
            raise ConfigError(f"exploration must be 0 or more; got {exploration}")
        self.num_runs = num_runs
        self.max_agents = max_agents
        self.exploration = exploration
        self.widening = widening
        self.num_parallel = num_parallel
        self.num_samples = num_samples
        self._candidates = tuple(dict.fromkeys(space.agents))
        most = max_agents + max_agents * (max_agents - 1) // 2 + 1  # agents, edges, and the vote or the gate
        self.register_buffer("path", torch.full((most,), -1))

    def _found(self) -> Design | None:
        design: Design | None = None
        for move in self.path.tolist():
            if move >= 0:
                design = self._moves(design)[move]
        return design

    def search(
        self, tasks: Sequence[Task], *, problems: ProblemEncoder, usd_weight: float, generator: torch.Generator
    ) -> Trials:
        """Simulate until the runs are spent, then keep the design with the highest lower confidence bound."""
        questions = Questions(tasks, num_samples=self.num_samples, generator=generator)
        root = _Node(path=(), design=None, parent=None)
        tried: dict[Design, _Node] = {}
        left = self.num_runs
        with tqdm(total=self.num_runs, unit="run", desc="tree search", disable=None) as progress:
            while left > 0:
                chosen: list[tuple[_Node, int]] = []
                while len(chosen) < min(self.num_parallel, left):
                    node = self._select(root, tried, len(questions), generator)
                    if node is None:
                        break
                    chosen.append((node, node.own.visits))
                    node.begin(questions[node.own.visits][0].weight)
                if not chosen:
                    break
                results = yield [Job(node.run, *questions[k]) for node, k in chosen]
                for (node, k), (_, outcome) in zip(chosen, results, strict=True):
                    node.end(questions[k][0].weight * (outcome.score - usd_weight * 1000 * outcome.usd))
                left -= len(chosen)
                progress.update(len(chosen))
        spent = math.log(self.num_runs - left)
        best = max(tried.values(), key=lambda node: node.own.bound(-self.exploration, spent))
        self.path.copy_(torch.tensor(best.path + (-1,) * (len(self.path) - len(best.path))))

    def _select(
        self, root: "_Node", tried: dict[Design, "_Node"], num_questions: int, generator: torch.Generator
    ) -> "_Node | None":
        node = root
        while True:
            if node.untried is None:
                designs = self._moves(node.design)
                node.untried = [(m, designs[m]) for m in torch.randperm(len(designs), generator=generator).tolist()]
            may_widen = len(node.children) < max(1.0, self.widening * math.sqrt(node.all.visits))
            child = self._expand(node, tried) if may_widen else None
            if child is not None:
                return child
            arms = [(c.all, c) for c in node.children if not c.closed]
            if node.design is not None and node.own.visits < num_questions:
                arms.append((node.own, node))
            if not arms:
                child = self._expand(node, tried)
                if child is not None:
                    return child
                node.closed = True
                if node.parent is None:
                    return None
                node = node.parent
                continue
            spent = math.log(max(1, node.all.visits))
            best = max(arms, key=lambda arm: arm[0].bound(self.exploration, spent))[1]
            if best is node:
                return node
            node = best

    def _expand(self, node: "_Node", tried: dict[Design, "_Node"]) -> "_Node | None":
        while node.untried:
            move, design = node.untried.pop()
            if design not in tried:
                child = _Node(path=(*node.path, move), design=design, parent=node)
                node.children.append(child)
                tried[design] = child
                return child
        return None

    def _moves(self, design: Design | None) -> list[Design]:
        return list(moves(design, self._candidates, max_agents=self.max_agents))


@dataclass(slots=True, eq=False)
class _Arm:
    visits: int = 0
    weight: float = 0.0
    total: float = 0.0

    def bound(self, width: float, log_visits: float) -> float:
        """Return UCT's bound of the mean utility, the lower one for a negative width."""
        return self.total / self.weight + width * math.sqrt(log_visits / self.visits)


@dataclass(slots=True, eq=False, kw_only=True)
class _Node:
    """A design, its own runs, and those of all below it and its own."""

    path: tuple[int, ...]
    design: Design | None
    parent: "_Node | None"
    own: _Arm = field(default_factory=_Arm)
    all: _Arm = field(default_factory=_Arm)
    children: list["_Node"] = field(default_factory=list)
    untried: list[tuple[int, Design]] | None = None
    closed: bool = False

    @property
    def run(self) -> Design:
        assert self.design is not None
        return self.design

    def begin(self, weight: float) -> None:
        for arm in self._arms():
            arm.visits += 1
            arm.weight += weight

    def end(self, worth: float) -> None:
        for arm in self._arms():
            arm.total += worth

    def _arms(self) -> Iterator[_Arm]:
        yield self.own
        node: _Node | None = self
        while node is not None:
            yield node.all
            node = node.parent


def moves(design: Design | None, candidates: Sequence[Agent], *, max_agents: int) -> Iterator[Design]:
    """Yield the designs one move away, each larger than the one before, in a fixed order.

    From nothing: each candidate alone. Otherwise, unless a gate ends the design: one more candidate (it hears the
    last agent and decides, is heard by one agent, votes, or watches a vote's agents, hearing them or not, and
    decides if they disagree); one more edge; a vote instead of the last word; for a last agent that hears all
    others, a gate by which it speaks only if they disagree. All designs of `small_designs` can be reached.

    Args:
        candidates: Ungated agents; none joins a design twice.
    """
    if design is None:
        yield from (Design(agents=(agent,)) for agent in candidates)
        return
    agents, spatial, n = design.agents, design.spatial, len(design.agents)
    if agents[-1].gate is not None:
        return
    vote = Decision(kind="vote")
    votes = design.decision == vote
    everybody = tuple(range(n))
    for new in candidates if n < max_agents else ():
        if new in agents:
            continue
        if not votes:
            yield Design(agents=(*agents, new), spatial=(*spatial, Edge(n - 1, n)))
            yield from (Design(agents=(*agents, new), spatial=(*spatial, Edge(n, i))) for i in everybody)
        if votes or n == 1:
            yield Design(agents=(*agents, new), spatial=spatial, decision=vote)
        if votes:
            team = (*agents, _gated(new, everybody))
            yield Design(agents=team, spatial=spatial)
            yield Design(agents=team, spatial=(*spatial, *(Edge(i, n) for i in everybody)))
    for i, j in permutations(everybody, 2):
        if not _reaches(spatial, j, i) and all((e.src, e.dst) != (i, j) for e in spatial):
            yield Design(agents=agents, spatial=(*spatial, Edge(i, j)), decision=design.decision)
    if n > 1 and not votes:
        yield Design(agents=agents, spatial=spatial, decision=vote)
        if n > 2 and sum(e.dst == n - 1 for e in spatial) == n - 1:
            yield Design(agents=(*agents[:-1], _gated(agents[-1], everybody[:-1])), spatial=spatial)


def _gated(agent: Agent, watch: Sequence[int]) -> Agent:
    return replace(agent, gate=Gate(watch=tuple(watch), quorum=len(watch)))


def _reaches(spatial: Sequence[Edge], src: int, dst: int) -> bool:
    return src == dst or any(e.src == src and _reaches(spatial, e.dst, dst) for e in spatial)
