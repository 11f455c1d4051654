"""MaAS: layer by layer an operator is drawn given the question and what was drawn before, until one says to stop.

Zhang et al., "Multi-agent Architecture Search via Agentic Supernet", ICML 2025, arXiv 2502.04180. The supernet is
the product over layers of the distributions over operators; a design is one path through it. Departures are named
on docs/methods/supernet.md.

Shape letters: B problems in a batch, N slots, W = N + 1 nodes of a row (the slots, then the task node), K operators
(early exit is the last), A = K W pairs of an operator and the node that carries it out, L layers, G paths, H hidden
features.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch_geometric.data import Batch

from gdesign.design.base import Designer, Draft, refuse_below_one
from gdesign.design.draws import NEVER, RNG, categorical, categorical_entropy, or_impossible, summed
from gdesign.design.learned.supernet_operators import OPERATORS, RUN_CODE, USUAL, Operator, Step, build, paths
from gdesign.design.places import affordable
from gdesign.design.slot_graphs import each, slot_agents
from gdesign.encode.graph import GNN, GraphEncoder
from gdesign.encode.problem import Rows, Space, dense
from gdesign.errors import ConfigError
from gdesign.types import Agent, Design


class Supernet(Designer):
    """Draw an operator and its agent in each layer, until the layers or the operators say to stop.

    No parameter belongs to a slot, so a trained designer can be used on other agents and on any number of them. Slots
    that hold the same candidate count once, since an agent can be chosen in several layers. The entropy of a draft is
    the mean over layers, each given what was drawn before.

    Args:
        operators: What may be drawn besides `exit`; those that no agent on offer can carry out never are. None for
            answer, cot, self_consistency, self_refine, debate and ensemble, and for program and test where agents on
            offer work so.
        num_layers: L, the most operators of a design (4 in the paper).
        reuse: Whether an agent may be chosen in several layers. Recorded answers hold one answer an LLM: there,
            set it to false and operators to [answer].
        gnn: Makes the graph encoder, which gives H (32 in the released code).

    Raises:
        ConfigError: An unknown operator, or none that the agents on offer can begin with.
    """

    _needs: Int[Tensor, " K"]
    _keeps: Int[Tensor, " K"]
    _adds: Int[Tensor, " K"]
    _able: Bool[Tensor, "K _"]

    def __init__(
        self,
        *,
        space: Space,
        operators: Sequence[str] | None = None,
        num_layers: int = 4,
        reuse: bool = True,
        gnn: GNN = GraphEncoder,
    ) -> None:
        super().__init__(space=space)
        if operators is None:
            works = {agent.operator for agent in space.agents}
            operators = (*USUAL, *(name for name in RUN_CODE if works.intersection(OPERATORS[name].agents)))
        _check(operators)
        refuse_below_one(num_layers=num_layers)
        self.num_layers = num_layers
        self.reuse = reuse
        self._names = (*operators, "exit")
        kinds = [OPERATORS[name] for name in self._names]
        if not any(k.needs == 0 and a.operator in k.agents for k in kinds for a in space.agents):
            raise ConfigError(_nothing_to_begin_with(operators))
        self.encoder = gnn(text_dim=space.text_dim)
        hidden_dim = self.encoder.hidden_dim
        self.operator = nn.Linear(hidden_dim, len(self._names) * hidden_dim)
        self.so_far = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.score = nn.Linear(hidden_dim, 1, bias=False)  # a shift of all scores changes nothing, so no bias
        self.remember = nn.GRUCell(hidden_dim, hidden_dim)
        self.register_buffer("_needs", torch.tensor([k.needs for k in kinds]), persistent=False)
        self.register_buffer("_keeps", torch.tensor([int(k.keeps) for k in kinds]), persistent=False)
        self.register_buffer("_adds", torch.tensor([k.adds for k in kinds]), persistent=False)
        self.register_buffer("_able", torch.tensor([_able(k) for k in kinds]), persistent=False)

    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Draw designs for each problem; greedily, the likeliest operator and agent in each layer."""
        rows = self._read(problem)[each(problem.num_graphs, num_designs, problem.x.device)]
        drawn = self._walk(rows, generator=generator, greedy=greedy)
        designs = [
            build(self._steps(at, path, self._width(rows))).design()
            for at, path in zip(slot_agents(problem, num_designs), drawn.path.tolist(), strict=True)
        ]
        standing = [at for at in _standing(problem) for _ in range(num_designs)]
        log_prob = self._log_prob(rows, standing, designs)
        return Draft(designs=lambda: designs, log_prob=log_prob, entropy=drawn.entropy)

    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " B"]:
        """Return the log-probability of one given design a problem; -inf where it cannot be drawn."""
        return self._log_prob(self._read(problem), _standing(problem), designs)

    def _width(self, rows: "Encoded") -> int:
        return rows.pairs.shape[1] // len(self._names)

    def _read(self, problem: Batch) -> "Encoded":
        encoded = dense(problem, self.encoder(problem))
        nodes = torch.cat([encoded.slots, encoded.task[:, None]], dim=1)
        num, width, dim = nodes.shape
        pairs = self.operator(nodes).view(num, width, len(self._names), dim).transpose(1, 2)
        works = _works(_standing(problem), width).to(nodes.device)
        offered = self._able[:, works].transpose(0, 1)
        if not bool((offered & (self._needs == 0)[:, None]).flatten(1).any(1).all()):
            raise ConfigError(_nothing_to_begin_with(self._names[:-1]))
        # Untrained, an operator is as likely where many agents can carry it out as where few can.
        dear = torch.cat([affordable(encoded.burden, encoded.mask), encoded.burden.new_zeros(num, 1)], dim=1)
        level = dear[:, None] - dear[:, None].masked_fill(~offered, NEVER).logsumexp(-1, keepdim=True)
        return Encoded(pairs=pairs.flatten(1, 2), level=level.flatten(1), offered=offered.flatten(1), task=encoded.task)

    def _walk(
        self,
        rows: "Encoded",
        *,
        given: Int[Tensor, "G L"] | None = None,
        generator: RNG = None,
        greedy: bool = False,
    ) -> "Walk":
        num, width, device = len(rows.task), self._width(rows), rows.task.device
        row = torch.arange(num, device=device)
        kind = torch.arange(len(self._names), device=device).repeat_interleave(width)
        node = torch.arange(width, device=device).repeat(len(self._names))
        exits = kind == len(self._names) - 1
        state = rows.task
        solutions = torch.zeros_like(row)
        offered = rows.offered
        ended = torch.zeros_like(row, dtype=torch.bool)
        possible = ~ended
        log_prob = entropy = rows.task.new_zeros(num)
        path = []
        for layer in range(self.num_layers):
            scores = rows.level + self.score(torch.relu(rows.pairs + self.so_far(state)[:, None]))[..., 0]
            allowed = offered & (solutions[:, None] >= self._needs[kind]) & (exits | ~ended[:, None])
            here = scores.masked_fill(~allowed, NEVER).log_softmax(-1)
            chosen = categorical(here.detach(), generator, greedy) if given is None else given[:, layer]
            path.append(chosen)
            log_prob = log_prob + here[row, chosen]
            possible = possible & allowed[row, chosen]
            before = rows.level.masked_fill(~allowed, NEVER).log_softmax(-1).masked_fill(~allowed, NEVER)
            entropy = entropy + categorical_entropy(here, before)
            solutions = self._keeps[kind[chosen]] * solutions + self._adds[kind[chosen]]
            ended = ended | exits[chosen]
            if not self.reuse:
                offered = offered & ((node != node[chosen][:, None]) | (node == width - 1))
            state = self.remember(rows.pairs[row, chosen], state)
        return Walk(
            path=torch.stack(path, dim=1), log_prob=log_prob, possible=possible, entropy=entropy / self.num_layers
        )

    def _log_prob(
        self, rows: "Encoded", standing: Sequence[Mapping[Agent, int]], designs: Sequence[Design]
    ) -> Float[Tensor, " B"]:
        given: list[list[int]] = []
        owner: list[int] = []
        for b, (design, at) in enumerate(zip(designs, standing, strict=True)):
            for steps in paths(design, operators=self._names[:-1], num_layers=self.num_layers):
                if all(step.agent is None or step.agent in at for step in steps):
                    given.append(self._path(at, steps, self._width(rows)))
                    owner.append(b)
        of = torch.tensor(owner, dtype=torch.long, device=rows.task.device)
        walk = self._walk(
            rows[of], given=torch.tensor(given, dtype=torch.long, device=of.device).view(len(given), self.num_layers)
        )
        return or_impossible(summed(walk.log_prob.masked_fill(~walk.possible, NEVER), of, len(designs)))

    def _path(self, at: Mapping[Agent, int], steps: Sequence[Step], width: int) -> list[int]:
        task = width - 1
        pairs = [self._names.index(name) * width + (task if agent is None else at[agent]) for name, agent in steps]
        return pairs + [len(self._names) * width - 1] * (self.num_layers - len(steps))

    def _steps(self, agents: Sequence[Agent], path: Sequence[int], width: int) -> Iterator[Step]:
        for kind, node in (divmod(pair, width) for pair in path):
            yield Step(self._names[kind], agents[node] if node < width - 1 else None)


@dataclass(frozen=True, kw_only=True)
class Encoded(Rows):
    """A batch of encoded problems as padded rows.

    Attributes:
        pairs: Encodings of each operator with each node; that of operator k and node w is number k W + w.
        level: What is added to a pair's score.
        offered: Which pairs may be drawn at some time.
        task: Encodings of the task nodes.
    """

    pairs: Float[Tensor, "B A H"]
    level: Float[Tensor, "B A"]
    offered: Bool[Tensor, "B A"]
    task: Float[Tensor, "B H"]


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What came of going through the layers.

    Attributes:
        path: The pair of an operator and a node in each layer.
        log_prob: Of the path, where it is possible.
        possible: Whether it can be drawn.
        entropy: The mean over layers of the entropy of each choice given those before, beside what is likely at first.
    """

    path: Int[Tensor, "G L"]
    log_prob: Float[Tensor, " G"]
    possible: Bool[Tensor, " G"]
    entropy: Float[Tensor, " G"]


_WORKS = ("", "task", *dict.fromkeys(work for operator in OPERATORS.values() for work in operator.agents))
"""What a node can be: nobody, the task (which carries out what takes no agent), or an agent that works so."""


def _able(operator: Operator) -> list[bool]:
    return [work in (operator.agents or ("task",)) for work in _WORKS]


def _standing(problem: Batch) -> list[dict[Agent, int]]:
    """Return the node of each agent on offer: of slots that hold the same candidate, the first of the space."""
    slots, ptr = problem.slot.tolist(), problem.ptr.tolist()
    found = []
    for space, (a, b) in zip(problem.space, itertools.pairwise(ptr), strict=True):
        row = [s for s in slots[a:b] if s >= 0]
        found.append({space.agents[s]: node for s, node in sorted(zip(row, itertools.count()), reverse=True)})
    return found


def _works(standing: Sequence[Mapping[Agent, int]], width: int) -> Int[Tensor, "B W"]:
    number = {work: i for i, work in enumerate(_WORKS)}
    works = [[0] * (width - 1) + [number["task"]] for _ in standing]
    for row, at in zip(works, standing, strict=True):
        for agent, node in at.items():
            row[node] = number.get(agent.operator, 0)
    return torch.tensor(works)


def _check(operators: Sequence[str]) -> None:
    for name in operators:
        if name not in OPERATORS or name == "exit":
            known = ", ".join(name for name in OPERATORS if name != "exit")
            raise ConfigError(f"operator {name!r} is unknown; expected some of {known}")
    if len(set(operators)) < len(operators):
        raise ConfigError(f"operators must name each operator once; got {list(operators)}")


def _nothing_to_begin_with(operators: Sequence[str]) -> str:
    return (
        f"no agent on offer can begin a design by one of the operators {', '.join(operators)}: offer agents that work "
        "by answer, cot or program, and an operator of answer, cot, self_consistency, program that they carry out"
    )
