"""MasRouter: how to work together, how many agents, which roles, and an LLM for each, one after the other.

Yue et al., "MasRouter: Learning to Route LLMs for Multi-Agent Systems", ACL 2025, arXiv 2502.11133: a cascade of
controllers, of which the first is variational. Departures are named on docs/methods/cascade_router.md.

Shape letters: B problems in a batch, N slots, V nodes (slots and task nodes), H hidden features, Q modes,
C = max_agents, G ways to come to a design, K agents of the largest team.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch_geometric.data import Batch

from gdesign.agents import teams
from gdesign.design.base import Designer, Draft
from gdesign.design.draws import (
    MAX_LOG_SIGMA,
    NEVER,
    RNG,
    categorical,
    categorical_entropy,
    divergence,
    normal,
    or_impossible,
    summed,
)
from gdesign.design.places import affordable
from gdesign.design.slot_graphs import distinct, each, slot_agents
from gdesign.encode.graph import GNN, GraphEncoder
from gdesign.encode.problem import Rows, Space, dense
from gdesign.errors import ConfigError
from gdesign.types import Agent, Design

MAX_AGENTS = 6
"""The orders of a team's agents are enumerated once, and the paper's teams are no larger."""

NUM_TURNS = 2
"""How often agents speak in a debate or a reflection, as in the released code's debate."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A way to work together.

    Attributes:
        make: The design of some agents; their order may matter.
        fewest: How many agents it takes at least.
        most: How many at most; None for any number.
    """

    make: Callable[[Sequence[Agent]], Design]
    fewest: int = 2
    most: int | None = None


MODES = {
    "single": Mode(make=teams.single, fewest=1, most=1),
    "vote": Mode(make=teams.vote),
    "chain": Mode(make=teams.chain),
    "star": Mode(make=teams.star),
    "complete": Mode(make=teams.complete),
    "debate": Mode(make=partial(teams.debate, num_rounds=NUM_TURNS)),
    "reflection": Mode(make=partial(teams.reflection, num_rounds=NUM_TURNS), fewest=1),
    "cascade": Mode(make=teams.cascade, fewest=3),
}
"""Ways to work together, by the names that configurations give."""


class CascadeRouter(Designer):
    """Draw a mode, a number of agents, and one agent after the other: its role, then its LLM and operator.

    Its parameters do not depend on which agents there are or how many. No slot is used twice in a
    team; a candidate is where it fills several slots.

    Args:
        modes: What may be drawn, names of `MODES`.
        kl_weight: Weight of the latents' divergence from a standard normal in the penalty.

    Raises:
        ConfigError: `max_agents` is not in 1..6, a mode is unknown or named twice, or the agents on offer
            are enough for no mode.
    """

    def __init__(
        self,
        *,
        space: Space,
        modes: Sequence[str] = ("single", "vote", "chain", "complete", "debate", "reflection"),
        max_agents: int = 4,
        gnn: GNN = GraphEncoder,
        kl_weight: float = 0.001,
    ) -> None:
        super().__init__(space=space)
        if not 1 <= max_agents <= MAX_AGENTS:
            raise ConfigError(f"max_agents must lie in 1..{MAX_AGENTS}; got {max_agents}")
        if not modes or len(set(modes)) < len(modes):
            raise ConfigError(f"modes must name each mode once, and at least one; got {list(modes)}")
        self.kl_weight = kl_weight
        if unknown := [name for name in modes if name not in MODES]:
            raise ConfigError(f"mode {unknown[0]!r} is unknown; expected some of {', '.join(MODES)}")
        self._modes = [MODES[name] for name in modes]
        sizes = range(1, max_agents + 1)
        self._fits = torch.tensor([[m.fewest <= n <= (m.most or n) for n in sizes] for m in self._modes])
        self._check_size(len(space.slots))
        self._ways = Ways(self._modes, self._fits)
        self.encoder = gnn(text_dim=space.text_dim)
        hidden_dim = self.encoder.hidden_dim
        self.mu = nn.Linear(hidden_dim, hidden_dim)
        self.log_sigma = nn.Linear(hidden_dim, hidden_dim)
        nn.init.constant_(self.log_sigma.bias, -2.0)
        self.mode = nn.Linear(hidden_dim, len(modes))
        self.count = nn.Linear(hidden_dim, max_agents)
        self.of_mode = nn.Embedding(len(modes), hidden_dim)
        self.of_count = nn.Embedding(max_agents, hidden_dim)
        self.begin = nn.Linear(hidden_dim, hidden_dim)
        self.remember = nn.GRUCell(hidden_dim, hidden_dim)
        self.wanted_role = nn.Linear(hidden_dim, hidden_dim)
        self.offered_role = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.wanted_llm = nn.Linear(hidden_dim, hidden_dim)
        self.wanted_by_role = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.offered_llm = nn.Linear(hidden_dim, hidden_dim, bias=False)

    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Draw designs for each problem; in training mode the latents are drawn too.

        Greedily, the likeliest mode, then the likeliest number, then the likeliest agent each time. The
        entropy is exact for mode and number; that of the agents is along the drawn order and beside what is likely
        before anything is learned. It is that of a decision; its mean over draws, times the most decisions, is the
        entropy of all choices, an upper bound of the design's.
        """
        rows, penalty = self._read(problem, num_designs=num_designs, generator=generator)
        mode_log_prob, count_log_prob = self._kinds(rows)
        agents = slot_agents(problem, num_designs)
        with torch.no_grad():
            kind = categorical(mode_log_prob, generator, greedy)
            counts = count_log_prob[torch.arange(len(kind), device=kind.device), kind]
            count = categorical(counts, generator, greedy) + 1
        picks, _, of_picks = self._team(rows, kind, count, generator=generator, greedy=greedy)
        teams = [row[:n] for row, n in zip(picks.tolist(), count.tolist(), strict=True)]

        def designs() -> list[Design]:
            return [
                self._modes[q].make([at_slot[i] for i in team])
                for q, team, at_slot in zip(kind.tolist(), teams, agents, strict=True)
            ]

        if distinct(agents):
            ways = [self._ways.same_as(q, team) for q, team in zip(kind.tolist(), teams, strict=True)]
        else:
            ways = [self._ways.of(d, at_slot) for d, at_slot in zip(designs(), agents, strict=True)]
        mode_p = mode_log_prob.exp()
        of_kinds = (mode_p * (categorical_entropy(count_log_prob) - mode_log_prob)).sum(1)
        return Draft(
            designs=designs,
            log_prob=self._log_prob(rows, mode_log_prob, count_log_prob, ways),
            entropy=(of_kinds + of_picks) / (2 + self._fits.shape[1]),
            penalty=penalty,
        )

    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " B"]:
        """Return the log-probability of one given design a problem, given the mean latents; -inf where impossible.

        In training mode it differs from the log-probability of a draft, whose latents are drawn.
        """
        rows, _ = self._read(problem, mean=True)
        ways = [self._ways.of(d, at_slot) for d, at_slot in zip(designs, slot_agents(problem), strict=True)]
        return self._log_prob(rows, *self._kinds(rows), ways)

    def _check_size(self, num_slots: int) -> None:
        if not self._fits[:, :num_slots].any():
            fewest = min(m.fewest for m in self._modes)
            raise ConfigError(
                f"no mode can be made of {num_slots} agents and at most {self._fits.shape[1]}; the smallest takes "
                f"{fewest}"
            )

    def _read(
        self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, mean: bool = False
    ) -> tuple["Encoded", Float[Tensor, " B"]]:
        encoded = dense(problem, self.encoder(problem))[each(problem.num_graphs, num_designs, problem.x.device)]
        self._check_size(int(encoded.mask.sum(1).min()))
        mu, log_sigma = self.mu(encoded.task), self.log_sigma(encoded.task).clamp(max=MAX_LOG_SIGMA)
        latent = mu
        if self.training and not mean:
            latent = normal(mu, log_sigma, generator)
        roles = _roles([space for space in problem.space for _ in range(num_designs)], encoded.slot)
        same = ((roles[:, :, None] == roles[:, None, :]) & encoded.mask[:, None, :]).to(mu)
        role = same @ encoded.slots / same.sum(-1, keepdim=True).clamp_min(1)
        llm = self.offered_llm(encoded.slots)
        rows = Encoded(
            latent=torch.tanh(latent),
            slots=encoded.slots,
            role=self.offered_role(role),
            llm=llm,
            fit=(self.wanted_by_role(role) * llm).sum(-1),
            dear=affordable(encoded.burden, encoded.mask),
            mask=encoded.mask,
        )
        return rows, self.kl_weight * divergence(mu, log_sigma)

    def _kinds(self, rows: "Encoded") -> tuple[Float[Tensor, "B Q"], Float[Tensor, "B Q C"]]:
        fits = self._fits.to(rows.mask.device)
        sizes = torch.arange(1, fits.shape[1] + 1, device=rows.mask.device)
        fits = fits & (sizes <= rows.mask.sum(1)[:, None, None])
        mode_log_prob = self.mode(rows.latent).masked_fill(~fits.any(-1), NEVER).log_softmax(-1)
        hidden = torch.relu(self.begin(rows.latent)[:, None] + self.of_mode.weight)
        return mode_log_prob, self.count(hidden).masked_fill(~fits, NEVER).log_softmax(-1)

    def _agent(self, rows: "Encoded", team: Float[Tensor, "B H"], free: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """Return the log-probability of each slot to be the next agent.

        Its role is drawn first, with the sum of what its candidates hold; then the LLM and the operator
        among the candidates of that role.
        """
        role = rows.role @ self.wanted_role(team)[..., None]
        llm = rows.llm @ self.wanted_llm(team)[..., None]
        logits = ((role + llm)[..., 0] + rows.fit) / team.shape[-1] ** 0.5 + rows.dear
        log_prob: Tensor = logits.masked_fill(~free, NEVER).log_softmax(-1)
        return log_prob

    def _team(
        self,
        rows: "Encoded",
        kind: Int[Tensor, " G"],
        count: Int[Tensor, " G"],
        given: Int[Tensor, "G K"] | None = None,
        *,
        generator: RNG = None,
        greedy: bool = False,
    ) -> tuple[Int[Tensor, "G K"], Float[Tensor, " G"], Float[Tensor, " G"]]:
        """Return picks, drawn unless given, with log-probability and entropy of those that count."""
        team = torch.tanh(self.begin(rows.latent) + self.of_mode(kind) + self.of_count(count - 1))
        row = torch.arange(len(kind), device=kind.device)
        free = rows.mask
        picks, log_probs, entropies = [], [], []
        for k in range(int(count.max())):
            log_prob = self._agent(rows, team, free)
            pick = categorical(log_prob.detach(), generator, greedy) if given is None else given[:, k]
            picks.append(pick)
            log_probs.append(log_prob[row, pick].masked_fill(k >= count, 0.0))
            before = rows.dear.masked_fill(~free, NEVER).log_softmax(-1).masked_fill(~free, NEVER)
            entropies.append(categorical_entropy(log_prob, before).masked_fill(k >= count, 0.0))
            team = self.remember(rows.slots[row, pick], team)
            free = free & ~one_hot(pick, free.shape[1]).bool()
        return torch.stack(picks, dim=1), torch.stack(log_probs, dim=1).sum(1), torch.stack(entropies, dim=1).sum(1)

    def _log_prob(
        self,
        rows: "Encoded",
        mode_log_prob: Float[Tensor, "B Q"],
        count_log_prob: Float[Tensor, "B Q C"],
        ways: Sequence[Sequence["Way"]],
    ) -> Float[Tensor, " B"]:
        device = rows.mask.device
        flat = [(b, q, slots) for b, row in enumerate(ways) for q, slots in row]
        if not flat:
            return mode_log_prob.new_full((len(ways),), -torch.inf)
        longest = max(len(slots) for *_, slots in flat)
        owner, kind, count = torch.tensor([(b, q, len(s)) for b, q, s in flat], device=device).T
        picks = torch.tensor([[*s, *[0] * (longest - len(s))] for *_, s in flat], device=device)
        _, of_picks, _ = self._team(rows[owner], kind, count, picks)
        of_kind = mode_log_prob[owner, kind] + count_log_prob[owner, kind, count - 1]
        return or_impossible(summed(of_kind + of_picks, owner, len(ways)))


@dataclass(frozen=True, kw_only=True)
class Encoded(Rows):
    """A batch of encoded problems as padded rows.

    Attributes:
        latent: What is known of the question.
        role: What is offered with the role of each slot: the mean of all slots with that role.
        llm: What is offered with its LLM and operator.
        fit: How well these suit the role.
        dear: The logits of slots by their price alone.
    """

    latent: Float[Tensor, "B H"]
    slots: Float[Tensor, "B N H"]
    role: Float[Tensor, "B N H"]
    llm: Float[Tensor, "B N H"]
    fit: Float[Tensor, "B N"]
    dear: Float[Tensor, "B N"]
    mask: Bool[Tensor, "B N"]


def _roles(spaces: Sequence[Space], identity: Int[Tensor, "B N"]) -> Int[Tensor, "B N"]:
    numbers = {}
    for space in {id(s): s for s in spaces}.values():
        names = [slot.role for slot in space.slots]
        numbers[id(space)] = [names.index(name) for name in names]
    rows = [[numbers[id(s)][i] for i in row] for s, row in zip(spaces, identity.tolist(), strict=True)]
    return torch.tensor(rows, device=identity.device)


Way = tuple[int, tuple[int, ...]]
"""A mode and its agents in the order drawn, by slot."""


class Ways:
    """All draws that give the same design: modes coincide for few agents, and in some the order is free."""

    def __init__(self, modes: Sequence[Mode], fits: Bool[Tensor, "Q C"]) -> None:
        self._modes = modes
        self._orders: dict[Design, list[Way]] = {}  # by design of agents that all differ
        sizes = [(q, size + 1) for q, size in fits.nonzero().tolist()]
        for q, n in sizes:
            agents = _distinct(n)
            for order in itertools.permutations(range(n)):
                self._orders.setdefault(modes[q].make([agents[i] for i in order]), []).append((q, order))
        self._same = {(q, n): self._orders[modes[q].make(_distinct(n))] for q, n in sizes}

    def same_as(self, kind: int, slots: Sequence[int]) -> list[Way]:
        """Return the ways to the design of a mode and slots that all hold other candidates."""
        return [(q, tuple(slots[i] for i in order)) for q, order in self._same[kind, len(slots)]]

    def of(self, design: Design, agents: Sequence[Agent]) -> list[Way]:
        """Return the ways to a design over these slots; none where it cannot be drawn."""
        stand_ins = zip(_distinct(len(design.agents)), design.agents, strict=True)
        renamed = Design(
            agents=tuple(Agent(role=new.role, llm=new.llm, gate=agent.gate) for new, agent in stand_ins),
            spatial=design.spatial,
            temporal=design.temporal,
            num_rounds=design.num_rounds,
            decision=design.decision,
        )
        plain = [Agent(role=a.role, llm=a.llm, operator=a.operator) for a in design.agents]
        found: dict[Way, None] = {}
        for q, order in self._orders.get(renamed, []):
            team = [plain[i] for i in order]
            if self._modes[q].make(team) == design:
                places = [[slot for slot, agent in enumerate(agents) if agent == wanted] for wanted in team]
                found |= {(q, slots): None for slots in itertools.product(*places) if len(set(slots)) == len(slots)}
        return list(found)


def _distinct(num: int) -> list[Agent]:
    return [Agent(role=str(i), llm="") for i in range(num)]
