"""Joint choice of kind and agents: one agent, a vote, or two agents and a third that is asked if they disagree.

A GNN reads the slots, the question and the price of cost; one head draws the kind of design, one
head a kind draws its agents. Every design of these kinds has an exact probability.

Shape letters: B problems in a batch, N slots, V nodes (slots and task nodes), D text features, H
hidden features, P = N N pairs, Q kinds, K agents of a kind, C ways in which slots can give the same design.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.nn import SimpleConv

from gdesign.design import fixed
from gdesign.design.base import Designer, Draft
from gdesign.design.edges import NEVER
from gdesign.encode.problem import NUM_FEATURES, Space, dense
from gdesign.errors import ConfigError
from gdesign.types import Agent, Design


class Joint(Designer):
    """Draw a kind of design, then its agents, given the question and the price of cost.

    No parameter belongs to a slot, so a trained designer can be used on other agents and on any
    number of them. The entropy of a draft is exact for the kind, the single agent and the pair that
    speaks first; the third agent and the voters after the first count with their entropy given the
    agents drawn before them.

    Args:
        space: The agents on offer.
        kinds: What may be drawn: `single`, `vote`, `cascade`. A problem with too few slots for a kind
            never draws it.
        num_voters: Size of a vote.
        hidden_dim: H.
        num_layers: Message passing steps.

    Raises:
        ConfigError: An unknown kind, or no kind that the agents on offer are enough for.
    """

    def __init__(
        self,
        *,
        space: Space,
        kinds: Sequence[str] = ("single", "vote", "cascade"),
        num_voters: int = 3,
        hidden_dim: int = 64,
        num_layers: int = 2,
    ) -> None:
        super().__init__(space=space)
        if not kinds or len(set(kinds)) < len(kinds):
            raise ConfigError(f"kinds must name each kind once, and at least one; got {list(kinds)}")
        if num_voters < 2:
            raise ConfigError(f"num_voters must be 2 or more; got {num_voters}")
        self.encoder = Encoder(text_dim=space.text_dim, hidden_dim=hidden_dim, num_layers=num_layers)
        self.kind = nn.Linear(hidden_dim, len(kinds))
        self.heads = nn.ModuleList(_head(kind, hidden_dim, num_voters) for kind in kinds)
        self._sizes = [head.size for head in self._heads]
        self._check_size(len(space.slots))

    def forward(self, problem: Batch, *, generator: torch.Generator | None = None, greedy: bool = False) -> Draft:
        """Draw one design a problem; greedily, the likeliest kind and then its likeliest agents."""
        rows = self._read(problem)
        kind_log_prob, teams = self._distribution(rows)
        kind = _pick(kind_log_prob.detach(), generator, greedy)
        picks = [team.sample(generator=generator, greedy=greedy) for team in teams]
        kind_p = kind_log_prob.exp()
        of_kind = torch.stack([team.entropy(p) for team, p in zip(teams, picks, strict=True)], dim=1)
        entropy = (kind_p * (of_kind - kind_log_prob)).sum(1)
        picks = [
            _in_slot_order(p, rows.identity) if head.in_slot_order else p
            for head, p in zip(self._heads, picks, strict=True)
        ]
        wanted = [rows.candidate.gather(1, p) for p in picks]
        log_prob = self._log_prob(rows, kind_log_prob, teams, kind, wanted)

        def designs() -> list[Design]:
            chosen = [rows.identity.gather(1, p).tolist() for p in picks]
            return [
                self._heads[q].design([space.agents[s] for s in chosen[q][b]])
                for b, (q, space) in enumerate(zip(kind.tolist(), problem.space, strict=True))
            ]

        return Draft(designs=designs, log_prob=log_prob, entropy=entropy, penalty=torch.zeros_like(log_prob))

    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " B"]:
        """Return the log-probability of one given design a problem; -inf where it cannot be drawn."""
        rows = self._read(problem)
        kind_log_prob, teams = self._distribution(rows)
        kinds = [0] * len(designs)
        wanted = [[[-2] * size for _ in designs] for size in self._sizes]  # -2: held by no slot
        for b, (design, space) in enumerate(zip(designs, problem.space, strict=True)):
            agents = [Agent(role=a.role, llm=a.llm, operator=a.operator) for a in design.agents]
            for q, head in enumerate(self._heads):
                if len(agents) == head.size and head.design(agents) == design:
                    kinds[b] = q
                    wanted[q][b] = [space.agents.index(a) if a in space.agents else -2 for a in agents]
        device = problem.x.device
        return self._log_prob(
            rows,
            kind_log_prob,
            teams,
            torch.tensor(kinds, device=device),
            [torch.tensor(w, device=device) for w in wanted],
        )

    @property
    def _heads(self) -> list["Head"]:
        return list(self.heads)  # type: ignore[arg-type]

    def _check_size(self, num_slots: int) -> None:
        if num_slots < min(self._sizes):
            raise ConfigError(
                f"no kind of design can be made of {num_slots} agents; the smallest takes {min(self._sizes)}"
            )

    def _read(self, problem: Batch) -> "Rows":
        encoded = dense(problem, self.encoder(problem))
        slots, mask, identity = encoded.slots, encoded.mask, encoded.slot
        num = mask.sum(1)
        self._check_size(int(num.min()))
        if (missing := max(self._sizes) - mask.shape[1]) > 0:  # no draw picks the slots added here
            slots = nn.functional.pad(slots, (0, 0, 0, missing))
            mask, identity = (nn.functional.pad(t, (0, missing)) for t in (mask, identity))
        candidate = _candidates(problem.space, identity).masked_fill(~mask, -1)
        return Rows(slots=slots, task=encoded.task, mask=mask, num=num, identity=identity, candidate=candidate)

    def _distribution(self, rows: "Rows") -> tuple[Float[Tensor, "B Q"], list["Team"]]:
        too_few = rows.num[:, None] < torch.tensor(self._sizes, device=rows.num.device)
        kind_log_prob = self.kind(rows.task).masked_fill(too_few, NEVER).log_softmax(-1)
        return kind_log_prob, [head(rows.slots, rows.mask) for head in self._heads]

    def _log_prob(
        self,
        rows: "Rows",
        kind_log_prob: Float[Tensor, "B Q"],
        teams: Sequence["Team"],
        kind: Int[Tensor, " B"],
        wanted: Sequence[Int[Tensor, "B _"]],
    ) -> Float[Tensor, " B"]:
        """Return the log-probability of the design of this kind whose agents are the wanted candidates."""
        of_kind = []
        for head, team, want in zip(self._heads, teams, wanted, strict=True):
            picks, valid = _ways(rows, want, head)
            log_prob = team.log_prob(picks).masked_fill(~valid, NEVER).logsumexp(-1)
            of_kind.append(log_prob.masked_fill(~valid.any(-1), -torch.inf))
        total = kind_log_prob + torch.stack(of_kind, dim=1)
        return total.gather(1, kind[:, None])[:, 0]


# --------------------------------------------------------------------------- what the heads read


class Encoder(nn.Module):
    """Each node's own features and the question, then messages along anchor edges and the task node's ties.

    Own features and messages are added up (residual), so two slots with the same neighbours can differ.

    Args:
        text_dim: D.
        hidden_dim: H.
        num_layers: Message passing steps.
    """

    def __init__(self, *, text_dim: int, hidden_dim: int, num_layers: int) -> None:
        super().__init__()
        self.scale = text_dim**0.5  # texts are unit vectors; layers start best with features of variance 1
        self.own = nn.Linear(text_dim, hidden_dim)
        self.question = nn.Linear(text_dim, hidden_dim)
        self.numeric = nn.Linear(NUM_FEATURES, hidden_dim, bias=False)
        self.mix = nn.Linear(hidden_dim, hidden_dim)
        self.neighbours = SimpleConv(aggr="mean")
        self.layers = nn.ModuleList(nn.Linear(2 * hidden_dim, hidden_dim) for _ in range(num_layers))

    def forward(self, problem: Batch) -> Float[Tensor, "V H"]:
        """Return the encoding of every node."""
        question = self.question(problem.x[problem.slot < 0] * self.scale)[problem.batch]
        own = self.own(problem.x * self.scale)
        h: Tensor = self.mix(torch.relu(own + question + own * question + self.numeric(problem.features)))
        for layer in self.layers:
            h = h + torch.relu(layer(torch.cat([h, self.neighbours(h, problem.edge_index)], dim=-1)))
        return h


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A batch of encoded problems as padded rows.

    Attributes:
        slots: Encodings of the slots.
        task: Encodings of the task nodes.
        mask: Which slots are there.
        num: How many.
        identity: The slots' indices in their space.
        candidate: The lowest index in the space that holds the same candidate; -1 where padded.
    """

    slots: Float[Tensor, "B N H"]
    task: Float[Tensor, "B H"]
    mask: Bool[Tensor, "B N"]
    num: Int[Tensor, " B"]
    identity: Int[Tensor, "B N"]
    candidate: Int[Tensor, "B N"]


def _candidates(spaces: Sequence[Space], identity: Int[Tensor, "B N"]) -> Int[Tensor, "B N"]:
    if not any(any(space.instances) for space in {id(s): s for s in spaces}.values()):
        return identity
    first = [[space.agents.index(a) for a in space.agents] for space in spaces]
    rows = [[f[i] for i in row] for f, row in zip(first, identity.tolist(), strict=True)]
    return torch.tensor(rows, device=identity.device)


def _ways(rows: Rows, want: Int[Tensor, "B K"], head: "Head") -> tuple[Int[Tensor, "B C K"], Bool[Tensor, "B C"]]:
    """Return the picks of slots that give a design with these candidates, and which of them are real.

    Slots of the same candidate stand for each other; each set of slots counts once.
    """
    held = (rows.candidate[:, None, :] == want[:, :, None]) & rows.mask[:, None, :]
    most = max(1, int(held.sum(-1).max()))
    slots = held.byte().argsort(dim=-1, descending=True, stable=True)[..., :most]
    there = held.gather(-1, slots)
    k = want.shape[1]
    which = torch.tensor(list(itertools.product(range(most), repeat=k)), device=want.device)
    agent = torch.arange(k, device=want.device)
    picks, valid = slots[:, agent, which], there[:, agent, which].all(-1)
    identity = rows.identity.gather(1, picks.flatten(1)).view_as(picks)
    for i, j in itertools.combinations(range(k), 2):
        a, b = identity[..., i], identity[..., j]
        if j >= head.num_unordered:
            valid = valid & (a != b)
        elif head.in_slot_order:
            valid = valid & (a < b)
        else:  # the other way round is another pick only where both are copies of one candidate
            valid = valid & ((a < b) | (want[:, i] != want[:, j])[:, None])
    return picks, valid


def _in_slot_order(picks: Int[Tensor, "B K"], identity: Int[Tensor, "B N"]) -> Int[Tensor, "B K"]:
    return picks.gather(1, identity.gather(1, picks).argsort(1))


def _keys(log_prob: Float[Tensor, "*B M"], generator: torch.Generator | None, greedy: bool) -> Float[Tensor, "*B M"]:
    """Return keys whose order, largest first, is a draw without replacement (the Gumbel trick)."""
    if greedy:
        return log_prob
    return log_prob - torch.empty_like(log_prob).exponential_(generator=generator).log()


def _pick(log_prob: Float[Tensor, "*B M"], generator: torch.Generator | None, greedy: bool) -> Int[Tensor, " *B"]:
    return _keys(log_prob, generator, greedy).argmax(-1)


def _entropy(log_prob: Float[Tensor, "*B M"]) -> Float[Tensor, " *B"]:
    return -(log_prob.exp() * log_prob).sum(-1)


# --------------------------------------------------------------------------- one head a kind


class Team(ABC):
    """The distribution over the slots of one kind of design."""

    @abstractmethod
    def sample(self, *, generator: torch.Generator | None, greedy: bool) -> Int[Tensor, "B K"]:
        """Draw slots; greedily, the likeliest."""

    @abstractmethod
    def log_prob(self, picks: Int[Tensor, "B C K"]) -> Float[Tensor, "B C"]:
        """Return the log-probability of slots, whatever the order of those that form a set."""

    @abstractmethod
    def entropy(self, picks: Int[Tensor, "B K"]) -> Float[Tensor, " B"]:
        """Return the entropy of each choice given the drawn ones before it."""


class Head(nn.Module, ABC):
    """Encodings of slots in, a distribution over teams out.

    Attributes:
        size: K.
        num_unordered: The first so many agents are a set.
        in_slot_order: Whether a design lists that set as the slots stand (ties of a vote go to the
            first); if not, a design has one canonical order anyway.
    """

    size: int
    num_unordered: int
    in_slot_order: bool

    @abstractmethod
    def forward(self, slots: Float[Tensor, "B N H"], mask: Bool[Tensor, "B N"]) -> Team:
        """Return the distribution."""

    @abstractmethod
    def design(self, agents: Sequence[Agent]) -> Design:
        """Return the design of chosen agents."""


class VoteHead(Head):
    """A set of slots, drawn one after the other without replacement (Plackett-Luce); of one slot, a single agent."""

    in_slot_order = True

    def __init__(self, *, hidden_dim: int, size: int) -> None:
        super().__init__()
        self.size = self.num_unordered = size
        self.score = _scorer(hidden_dim)

    def forward(self, slots: Float[Tensor, "B N H"], mask: Bool[Tensor, "B N"]) -> "Subset":
        """Return the distribution."""
        return Subset(self.score(slots)[..., 0].masked_fill(~mask, NEVER), size=self.size)

    def design(self, agents: Sequence[Agent]) -> Design:
        """Return the vote."""
        return fixed.single(agents) if self.size == 1 else fixed.vote(agents)


class Subset(Team):
    """Slots drawn without replacement by their logits, as a set."""

    def __init__(self, logits: Float[Tensor, "B N"], *, size: int) -> None:
        self.logits = logits
        self.size = size

    def sample(self, *, generator: torch.Generator | None, greedy: bool) -> Int[Tensor, "B K"]:
        """Draw slots, in the order of the draw."""
        return _keys(self.logits.detach(), generator, greedy).topk(self.size, dim=-1).indices

    def log_prob(self, picks: Int[Tensor, "B C K"]) -> Float[Tensor, "B C"]:
        """Return the log-probability of sets: the sum over all orders, by the sets that they pass through."""
        k = self.size
        chosen = nn.functional.one_hot(picks, self.logits.shape[-1])
        member = torch.tensor([[m >> i & 1 for i in range(k)] for m in range(2**k - 1)], device=picks.device)
        gone = (member[:, :, None] * chosen[..., None, :, :]).any(-2)
        left = self.logits[:, None, None].masked_fill(gone, NEVER).logsumexp(-1)
        logit = self.logits.gather(1, picks.flatten(1)).view_as(picks)
        reached = [torch.zeros_like(left[..., 0])]
        for m in range(1, 2**k):
            before = [(i, m ^ 1 << i) for i in range(k) if m >> i & 1]
            steps = [reached[s] + logit[..., i] - left[..., s] for i, s in before]
            reached.append(steps[0] if len(steps) == 1 else torch.stack(steps, dim=-1).logsumexp(-1))
        return reached[-1]

    def entropy(self, picks: Int[Tensor, "B K"]) -> Float[Tensor, " B"]:
        """Return the sum of the entropies of the picks in the order drawn; an upper bound of the set's."""
        chosen = nn.functional.one_hot(picks, self.logits.shape[-1])
        gone = (chosen.cumsum(1) - chosen).bool()
        return _entropy(self.logits[:, None].masked_fill(gone, NEVER).log_softmax(-1)).sum(1)


class CascadeHead(Head):
    """Two slots that speak, then a third, chosen given those two, that is asked if they disagree."""

    size = 3
    num_unordered = 2
    in_slot_order = False

    def __init__(self, *, hidden_dim: int) -> None:
        super().__init__()
        self.first = _scorer(hidden_dim)
        self.fit = nn.Linear(hidden_dim, 2 * hidden_dim)
        self.third = _scorer(hidden_dim)
        self.asked = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.pair = nn.Sequential(nn.Linear(hidden_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, hidden_dim))

    def forward(self, slots: Float[Tensor, "B N H"], mask: Bool[Tensor, "B N"]) -> "PairThenThird":
        """Return the distribution."""
        num, n, dim = slots.shape
        score = self.first(slots)
        left, right = self.fit(slots).chunk(2, dim=-1)
        fit = left @ right.mT / dim**0.5
        upper = (mask[:, :, None] & mask[:, None, :]).triu(1)
        pair = (score + score.mT + fit + fit.mT).masked_fill(~upper, NEVER)
        return PairThenThird(
            pair=pair.view(num, n * n).log_softmax(-1),
            third=self.third(slots)[..., 0].masked_fill(~mask, NEVER),
            asked=self.asked(slots) / dim**0.5,
            slots=slots,
            context=self.pair,
        )

    def design(self, agents: Sequence[Agent]) -> Design:
        """Return the cascade."""
        return fixed.cascade(agents)


class PairThenThird(Team):
    """An unordered pair from one table, then a third slot among the rest."""

    def __init__(
        self,
        *,
        pair: Float[Tensor, "B P"],
        third: Float[Tensor, "B N"],
        asked: Float[Tensor, "B N H"],
        slots: Float[Tensor, "B N H"],
        context: nn.Module,
    ) -> None:
        self.pair = pair
        self.third = third
        self.asked = asked
        self.slots = slots
        self.context = context

    def sample(self, *, generator: torch.Generator | None, greedy: bool) -> Int[Tensor, "B K"]:
        """Draw the pair, then the third."""
        with torch.no_grad():
            n = self.third.shape[1]
            index = _pick(self.pair, generator, greedy)
            pair = torch.stack([index // n, index % n], dim=1)
            third = _pick(self._given(pair[:, None])[:, 0], generator, greedy)
            return torch.cat([pair, third[:, None]], dim=1)

    def log_prob(self, picks: Int[Tensor, "B C K"]) -> Float[Tensor, "B C"]:
        """Return the log-probability of pairs and thirds."""
        first, third = picks[..., :2], picks[..., 2:]
        index = first.amin(-1) * self.third.shape[1] + first.amax(-1)
        return self.pair.gather(1, index) + self._given(first).gather(-1, third)[..., 0]

    def entropy(self, picks: Int[Tensor, "B K"]) -> Float[Tensor, " B"]:
        """Return the entropy of the pair, and that of the third given the drawn pair."""
        return _entropy(self.pair) + _entropy(self._given(picks[:, None, :2])[:, 0])

    def _given(self, pair: Int[Tensor, "B C 2"]) -> Float[Tensor, "B C N"]:
        row = torch.arange(len(pair), device=pair.device)[:, None, None]
        context = self.context(self.slots[row, pair].sum(-2))
        logits = self.third[:, None] + context @ self.asked.mT
        taken = nn.functional.one_hot(pair, self.third.shape[1]).any(-2)
        log_prob: Tensor = logits.masked_fill(taken, NEVER).log_softmax(-1)
        return log_prob


def _head(kind: str, hidden_dim: int, num_voters: int) -> Head:
    match kind:
        case "single":
            return VoteHead(hidden_dim=hidden_dim, size=1)
        case "vote":
            return VoteHead(hidden_dim=hidden_dim, size=num_voters)
        case "cascade":
            return CascadeHead(hidden_dim=hidden_dim)
        case _:
            raise ConfigError(f"kind {kind!r} is unknown; expected some of single, vote, cascade")


def _scorer(hidden_dim: int) -> nn.Sequential:
    # no last bias: the same number added to every logit changes no probability
    return nn.Sequential(nn.Linear(hidden_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, 1, bias=False))
