"""How agents answer: a difficulty and a trap of each question, right answers that agree, wrong ones that may.

A latent-variable model of who gives which answer. A question of kind k has a difficulty z and a trap u, both normal.
Agent m is right with probability

    p = sigmoid(b_m + b_km + c_k + exp(a_m + a_k) z + (d_m + d_k) u),

two-parameter item response (Birnbaum, 1968) with a second dimension. (z is ease: the higher, the more are right.)
Right answers are equal. Wrong ones that can be read fall into blocks of equal answers as in a Chinese restaurant
process (Aldous, 1985) whose log concentration is e_k + f_k z + g_k u: where it is low, agreeing proves little. A wrong
answer is unreadable with probability v_km, and agrees with nothing then. Text moves the mean of z. A call of agent m
costs exp(h_km + l_km z + t_k), where t_k comes from text.

All is fitted by the composite likelihood (Varin, Reid and Firth, 2011) of random subsets of a few agents, which
equal answers they gave and which of these are right; what is fitted to all agents at once would take their errors for
more independent than those of the few that are ever asked. The right answer itself is not looked at: only which
answers are equal, and which of these were right on questions of the past.

Shape letters: T past questions, B new ones, C agents, K kinds, D text features, R components of text, Q nodes, N agents
in a subset.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

SUBSET = 6
"""N: agents in a subset at most."""
MAX_CONCENTRATION = 4.0
"""Of the log concentration, both ways."""
LEAST_SHARE = 0.1
"""What the least useful agent counts in drawing subsets, beside the most useful."""
WIDTH = 0.1
"""How much less an agent is worth, in utility, where it counts 1/e in drawing subsets."""
PRICES = (0.0, 0.03, 0.1, 0.3, 1.0)
"""Prices of cost that usefulness is seen at, for the mean cost of an agent."""


def _nodes() -> tuple[Float[Tensor, " Q"], Float[Tensor, " Q"], Float[Tensor, " Q"]]:
    """Return z, u and log weight of u of each node: an even grid in z, four Gauss-Hermite nodes in u."""
    z = torch.linspace(-4, 4, 11)
    root = math.sqrt(6)
    u = torch.tensor([s * math.sqrt(3 + t * root) for s, t in ((-1, 1), (-1, -1), (1, -1), (1, 1))])
    log_w = torch.log(torch.tensor([1 / (4 * (3 + t * root)) for t in (1, -1, -1, 1)]))
    return z.repeat_interleave(4), u.repeat(11), log_w.repeat(11)


Z, U, LOG_WEIGHT = _nodes()


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What agents answered alone to questions of the past.

    Attributes:
        block: Equal for equal answers to one question; -1 for an unreadable one.
        right: Whether it was right.
        usd: For 1,000 questions.
        seen: Who was asked what.
        kind: Of the questions, 0..K-1.
        x: Text features.
        weight: Of the questions.
    """

    block: Int[Tensor, "T C"]
    right: Bool[Tensor, "T C"]
    usd: Float[Tensor, "T C"]
    seen: Bool[Tensor, "T C"]
    kind: Int[Tensor, " T"]
    x: Float[Tensor, "T D"]
    weight: Float[Tensor, " T"]


@dataclass(frozen=True, kw_only=True)
class Response:
    """A fitted model.

    Attributes:
        ability: b_m + b_km + c_k.
        slope: exp(a_m + a_k).
        trap: d_m + d_k.
        agree: e_k, f_k and g_k.
        unreadable: Logit of v_km.
        cost: h_km and l_km.
        centre: Mean text features of a kind.
        components: From centred text features to principal components, each of variance 1.
        ease: What the components add to the mean of z.
        length: What they add to log cost.
        blank: Whether unreadable answers count as one answer of their own, since they are right often enough there.
    """

    ability: Float[Tensor, "K C"]
    slope: Float[Tensor, "K C"]
    trap: Float[Tensor, "K C"]
    agree: Float[Tensor, "K 3"]
    unreadable: Float[Tensor, "K C"]
    cost: Float[Tensor, "K C 2"]
    centre: Float[Tensor, "K D"]
    components: Float[Tensor, "K D R"]
    ease: Float[Tensor, "K R"]
    length: Float[Tensor, "K R"]
    blank: Bool[Tensor, " K"]

    def text(self, x: Float[Tensor, "B D"], kind: Int[Tensor, " B"]) -> Float[Tensor, "B R"]:
        """Return the components of texts, to so many digits that a batch's size does not matter."""
        apart = (x - self.centre[kind]).double()
        found = apart.new_zeros(len(x), self.ease.shape[1])
        for k in set(kind.tolist()):
            found[kind == k] = apart[kind == k] @ self.components[k].double()
        return found

    def prior(self, x: Float[Tensor, "B D"], kind: Int[Tensor, " B"]) -> Float[Tensor, "B Q"]:
        """Return the probability of each node before anybody was asked."""
        return log_prior((self.text(x, kind) * self.ease[kind]).sum(1)).exp()

    def dearer(self, x: Float[Tensor, "B D"], kind: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Return how often as much as usual calls cost on each question, difficulty aside."""
        return (self.text(x, kind) * self.length[kind]).sum(1).exp()

    def logit(self) -> Float[Tensor, "K C Q"]:
        """Return the logit of being right, at each node."""
        return _logit(self.ability, self.slope, self.trap)

    def log_concentration(self) -> Float[Tensor, "K Q"]:
        """Return the log concentration of wrong answers, at each node."""
        return _log_concentration(self.agree)

    def usd(self) -> Float[Tensor, "K C Q"]:
        """Return what a call is expected to cost at each node, for 1,000 questions."""
        return (self.cost[..., :1] + self.cost[..., 1:] * Z).exp()

    def state(self) -> dict[str, Tensor]:
        """Return the tensors, which a checkpoint may hold."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> "Response":
        """Return the model that `state` was made of."""
        return cls(**state)


def log_prior(mean: Float[Tensor, " B"]) -> Float[Tensor, "B Q"]:
    """Return the log-probability of each node where z has this mean."""
    return (LOG_WEIGHT - 0.5 * (Z - mean[:, None]) ** 2).log_softmax(1)


def _logit(
    ability: Float[Tensor, "K C"], slope: Float[Tensor, "K C"], trap: Float[Tensor, "K C"]
) -> Float[Tensor, "K C Q"]:
    return ability[..., None] + slope[..., None] * Z + trap[..., None] * U


def _log_concentration(agree: Float[Tensor, "K 3"]) -> Float[Tensor, "K Q"]:
    raw = agree[:, :1] + agree[:, 1:2] * Z + agree[:, 2:] * U
    return raw.clamp(-MAX_CONCENTRATION, MAX_CONCENTRATION)


class Counts(NamedTuple):
    """What the likelihood needs to know of who gave which answers.

    Attributes:
        right: 1 where an agent was asked and is right.
        wrong: 1 where it was asked and is wrong.
        silent: 1 where that could not be read.
        blocks: Number of blocks of equal wrong answers.
        seated: Number of wrong answers that can be read.
        orders: Log of how many orders of sitting down give these blocks.
        kind: Of the questions.
    """

    right: Float[Tensor, "T C"]
    wrong: Float[Tensor, "T C"]
    silent: Float[Tensor, "T C"]
    blocks: Float[Tensor, " T"]
    seated: Int[Tensor, " T"]
    orders: Float[Tensor, " T"]
    kind: Int[Tensor, " T"]

    @classmethod
    def of(
        cls,
        block: Int[Tensor, "T C"],
        right: Bool[Tensor, "T C"],
        some: Int[Tensor, "T N"],
        asked: Bool[Tensor, "T N"],
        kind: Int[Tensor, " T"],
    ) -> "Counts":
        """Count the answers of some agents, of those that were asked among them."""
        own, good = block.gather(1, some), right.gather(1, some)
        wrong = asked & ~good
        seated = wrong & (own >= 0)
        same = (own[:, :, None] == own[:, None]) & seated[:, :, None] & seated[:, None]
        before = torch.tril(same, diagonal=-1).sum(2)
        fresh = seated & (before == 0)

        def spread(values: Bool[Tensor, "T N"]) -> Float[Tensor, "T C"]:
            return torch.zeros(block.shape).scatter_(1, some, values.float())

        return cls(
            right=spread(asked & good),
            wrong=spread(wrong),
            silent=spread(wrong & (own < 0)),
            blocks=fresh.sum(1).float(),
            seated=seated.sum(1),
            orders=before.clamp_min(1).log().sum(1),
            kind=kind,
        )


def log_joint(
    counts: Counts,
    logit: Float[Tensor, "K C Q"],
    unreadable: Float[Tensor, "K C"],
    log_concentration: Float[Tensor, "K Q"],
) -> Float[Tensor, "T Q"]:
    """Return the log-probability of who gave equal answers and who was right, at each node."""
    most = int(counts.seated.max()) + 1
    found = []
    rows = [(counts.kind == k).nonzero()[:, 0] for k in range(len(logit))]
    for k, own in enumerate(rows):
        right, wrong, silent, blocks, seated, orders, _ = (part[own] for part in counts)
        among = torch.logaddexp(log_concentration[k], torch.arange(most)[:, None].log()).cumsum(0)
        among = torch.cat([torch.zeros_like(among[:1]), among])
        form = silent @ logsigmoid(unreadable[k]) + (wrong - silent) @ logsigmoid(-unreadable[k])
        each = right @ logsigmoid(logit[k]) + wrong @ logsigmoid(-logit[k])
        found.append(each + (form + orders)[:, None] + blocks[:, None] * log_concentration[k] - among[seated])
    return torch.cat(found)[torch.cat(rows).argsort()]


@torch.enable_grad()
def fit(
    answered: Answered,
    *,
    generator: torch.Generator,
    num_steps: int = 400,
    lr: float = 0.03,
    ridge: float = 1.0,
    text_ridge: float = 10.0,
    num_components: int = 16,
) -> Response:
    """Fit the model.

    Args:
        generator: Draws the subsets of agents.
        num_steps: Steps of Adam.
        lr: Its first step size, which falls to 0 by a half cosine.
        ridge: Penalty on every deviation; the inverse variance of its prior.
        text_ridge: Penalty on what text adds to the mean of z, in multiples of ridge.
        num_components: R at most.
    """
    kind, num_kinds = answered.kind, int(answered.kind.max()) + 1
    num_agents = answered.block.shape[1]
    blank = _blank(answered, num_kinds)
    block = torch.where((answered.block < 0) & blank[kind][:, None], 1 << 14, answered.block.long())
    centre, components = _components(answered.x, kind, num_kinds, num_components)
    text = torch.einsum("td,tdr->tr", answered.x - centre[kind], components[kind])
    usefulness = _usefulness(answered)
    weight = answered.weight / answered.weight.mean()

    def leaf(*shape: int) -> Tensor:
        return torch.zeros(*shape, requires_grad=True)

    level = {"c": leaf(num_kinds, 1), "e": leaf(num_kinds, 3), "v": leaf(num_kinds, 1)}
    near = {
        "b": leaf(1, num_agents),
        "bk": leaf(num_kinds, num_agents),
        "a": leaf(1, num_agents),
        "ak": leaf(num_kinds, 1),
        "d": leaf(1, num_agents),
        "dk": leaf(num_kinds, 1),
        "vk": leaf(num_kinds, num_agents),
    }
    shift = leaf(num_kinds, components.shape[2])
    with torch.no_grad():
        level["v"] -= 2.0
    leaves = [*level.values(), *near.values(), shift]
    adam = torch.optim.Adam(leaves, lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, num_steps)
    size = min(SUBSET, num_agents)
    log_use = torch.where(answered.seen, usefulness.log(), -torch.inf)
    for _ in range(num_steps):
        noise = -torch.empty(block.shape).exponential_(generator=generator).log()
        some = (log_use + noise).topk(size, dim=1).indices
        counts = Counts.of(block, answered.right, some, answered.seen.gather(1, some), kind)
        joint = log_joint(
            counts,
            _logit(near["b"] + near["bk"] + level["c"], (near["a"] + near["ak"]).exp(), near["d"] + near["dk"]),
            level["v"] + near["vk"],
            _log_concentration(level["e"]),
        )
        loss = -(log_prior((text * shift[kind]).sum(1)) + joint).logsumexp(1)
        penalty = sum((part**2).sum() for part in near.values()) + text_ridge * (shift**2).sum()
        penalty = penalty + 0.1 * (level["e"] ** 2).sum() + 0.1 * (level["v"] + 2).square().sum()
        adam.zero_grad()
        ((loss * weight).sum() + 0.5 * ridge * penalty).div(len(block)).backward()  # type: ignore[no-untyped-call]
        adam.step()
        schedule.step()
    with torch.no_grad():
        found = Response(
            ability=near["b"] + near["bk"] + level["c"],
            slope=(near["a"] + near["ak"]).exp(),
            trap=near["d"] + near["dk"],
            agree=level["e"].detach().clone(),
            unreadable=level["v"] + near["vk"],
            cost=torch.zeros(num_kinds, num_agents, 2),
            centre=centre,
            components=components,
            ease=shift.detach().clone(),
            length=torch.zeros_like(shift),
            blank=blank,
        )
    return _with_cost(found, answered, block, text, ridge=ridge)


def _blank(answered: Answered, num_kinds: int, *, share: float = 0.02) -> Bool[Tensor, " K"]:
    """Return in which kinds unreadable answers are right often enough to be an answer of their own."""
    found = torch.zeros(num_kinds, dtype=torch.bool)
    silent = answered.seen & (answered.block < 0)
    for k in range(num_kinds):
        some = silent[answered.kind == k]
        found[k] = bool((answered.right[answered.kind == k] & some).sum() > share * some.sum())
    return found


def _components(
    x: Float[Tensor, "T D"], kind: Int[Tensor, " T"], num_kinds: int, num: int
) -> tuple[Float[Tensor, "K D"], Float[Tensor, "K D R"]]:
    """Return the mean text of each kind, and the map to its first principal components, scaled to variance 1."""
    num = min(num, x.shape[1])
    centre = torch.zeros(num_kinds, x.shape[1])
    found = torch.zeros(num_kinds, x.shape[1], num)
    for k in range(num_kinds):
        own = x[kind == k]
        centre[k] = own.mean(0)
        _, singular, directions = torch.linalg.svd(own - centre[k], full_matrices=False)
        spread = singular[:num] / math.sqrt(len(own))
        kept = spread > 1e-4
        found[k, :, : len(spread)] = directions[:num].mT * torch.where(kept, 1 / spread.clamp_min(1e-4), 0.0)
    return centre, found


def _usefulness(answered: Answered) -> Float[Tensor, " C"]:
    """Return how often agents are drawn into subsets: the more, the closer each comes to the best at some price."""
    seen = answered.seen * answered.weight[:, None]
    count = seen.sum(0).clamp_min(1e-9)
    score = (answered.right * seen).sum(0) / count
    usd = (answered.usd * seen).sum(0) / count
    worth = score - torch.tensor(PRICES)[:, None] * usd / usd.median().clamp_min(1e-12)
    gap = (worth.amax(1, keepdim=True) - worth).amin(0)
    return LEAST_SHARE + (1 - LEAST_SHARE) * (-gap / WIDTH).exp()


@torch.no_grad()
def known(
    model: Response, answered: Answered, block: Int[Tensor, "T C"], text: Float[Tensor, "T R"]
) -> Float[Tensor, "T Q"]:
    """Return the probability of each node given all that was answered, and what was right of it."""
    kind = answered.kind
    every = torch.arange(block.shape[1]).expand(block.shape)
    counts = Counts.of(block, answered.right, every, answered.seen, kind)
    joint = log_joint(counts, model.logit(), model.unreadable, model.log_concentration())
    return (log_prior((text * model.ease[kind]).sum(1)) + joint).softmax(1)


@torch.enable_grad()
def _with_cost(
    model: Response,
    answered: Answered,
    block: Int[Tensor, "T C"],
    text: Float[Tensor, "T R"],
    *,
    ridge: float,
    num_steps: int = 100,
) -> Response:
    """Return the model with what calls cost: Poisson regression on the nodes of past questions."""
    nodes, kind = known(model, answered, block, text), answered.kind
    seen = answered.seen.float()
    mean = (answered.usd * seen).sum(0) / seen.sum(0).clamp_min(1) + 1e-9
    share = answered.usd / mean
    level = torch.zeros(*model.ability.shape, requires_grad=True)
    slope = torch.zeros(*model.ability.shape, requires_grad=True)
    length = torch.zeros(*model.length.shape, requires_grad=True)
    adam = torch.optim.Adam([level, slope, length], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, num_steps)
    ease = nodes @ Z
    rows = [(kind == k).nonzero()[:, 0] for k in range(len(level))]
    place = torch.cat(rows).argsort()
    for _ in range(num_steps):
        longer = (text * length[kind]).sum(1, keepdim=True)
        at_node = (level[..., None] + slope[..., None] * Z).exp()
        expected = torch.cat([nodes[own] @ at_node[k].mT for k, own in enumerate(rows)])[place]
        log = level[kind] + slope[kind] * ease[:, None] + longer
        loss = ((expected * longer.exp() - share * log) * seen).sum()
        penalty = slope.square().sum() + 10 * length.square().sum() + 0.1 * level.square().sum()
        adam.zero_grad()
        (loss + 0.5 * ridge * penalty).div(seen.sum()).backward()  # type: ignore[no-untyped-call]
        adam.step()
        schedule.step()
    cost = torch.stack([level.detach() + mean.log(), slope.detach()], dim=-1)
    parts = model.state() | {"cost": cost, "length": length.detach().clone()}
    return Response(**parts)
