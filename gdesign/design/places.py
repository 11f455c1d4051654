"""What is likely before anything is learned: few agents, dear ones seldom; and who takes part where many are on offer.

Four candidates whose edges are there with probability one half give small teams, twenty give a team of all twenty. So
the probability of an edge falls with the number of candidates, and of many only four are called for each draw.

Shape letters: T problems in a batch, K designs drawn for each, B = T * K, N slots, P places of a draw.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gdesign.design.draws import NEVER, RNG, categorical_entropy, gumbel
from gdesign.design.slot_graphs import each
from gdesign.encode.problem import Dense, Rows

MAX_EXACT = 12
"""Up to this many slots the orders are summed exactly (2^N sets); beyond, a draw carries its own order."""
MAX_CALLED = 4
"""How many agents are called for a draw where there are more than `MAX_EXACT` slots; more make it harder to tell who
did it, for whoever was called and is not heard adds noise and nothing else."""
HEARD = 0.2
"""How likely it is at first that one who was called hears another: teams are small, so that it is plain who did it."""
WORTH = 0.2
"""A burden, in utility, beside which scores differ too little to pay for it, as long as nothing is known."""


def affordable(burden: Float[Tensor, "T N"], mask: Bool[Tensor, "T N"]) -> Float[Tensor, "T N"]:
    """Return the logits of agents by their price alone: 0 for the cheapest on offer, and for all where none is dearer.

    Odds fall with the square of the burden, so that what is dear beyond measure costs little on average, while no agent
    is out of reach of what is learned.
    """
    logits = -2 * torch.log1p(burden / WORTH)
    return (logits - logits.masked_fill(~mask, NEVER).amax(1, keepdim=True)).masked_fill(~mask, 0.0)


def few(num: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
    """Return the logit of an edge among so many agents that teams are as large as four agents' by chance, 1.5^3.

    Along an order each agent is drawn into the team by any edge to it, so that N agents make teams of (1 + p)^(N - 1).
    """
    p = 1.5 ** (3 / (num - 1).clamp_min(1)) - 1
    return torch.logit(p.clamp_max(0.5))


@dataclass(frozen=True, kw_only=True)
class Called(Rows):
    """Who was called for a draw, the one that decides first, then backwards.

    Attributes:
        slots: The slot at each place.
        log_prob: Of these, in this order.
        entropy: Of all these picks, beside their prior.
        num_picks: How many of them were a choice.
    """

    slots: Int[Tensor, "B P"]
    log_prob: Float[Tensor, " B"]
    entropy: Float[Tensor, " B"]
    num_picks: Float[Tensor, " B"]


@dataclass(frozen=True, kw_only=True)
class Places(Rows):
    """Those among whom edges are drawn: all slots, or, where they are more than `MAX_EXACT`, who was called.

    Attributes:
        order_logits: With their prior.
        order_prior: The part of them that is not learned.
        edge_prior: Logits of hearing each, before anything is learned.
        temporal_prior: The same of what it said in the round before; lower, for there are more of these edges.
        called: None for all slots.
    """

    order_logits: Float[Tensor, "B P"]
    mask: Bool[Tensor, "B P"]
    order_prior: Float[Tensor, "B P"]
    edge_prior: Float[Tensor, "B P"]
    temporal_prior: Float[Tensor, "B P"]
    called: Called | None = None

    def take(self, values: Float[Tensor, "R N *S"] | Int[Tensor, "R N *S"]) -> Tensor:
        """Return what belongs to the slot of each place, of values a problem or a design."""
        if self.called is None:
            return values
        slots = self.called.slots
        row = each(len(values), len(slots) // len(values), slots.device)
        return values[row[:, None], slots]


def places(
    rows: Dense, order_logits: Float[Tensor, "R N"], *, num_designs: int, generator: RNG = None, greedy: bool = False
) -> Places:
    """Return among whom edges are drawn; where there are many slots, call some for each design, by Plackett-Luce.

    Args:
        rows: One a problem or one a design.
        order_logits: What was learned of who is picked early.
        num_designs: How many to call for for each row.
    """
    mask, prior = rows.mask, affordable(rows.burden, rows.mask)
    logits = order_logits + prior
    all_called = mask.shape[1] <= MAX_EXACT
    edge = few((prior.exp() * mask).sum(1))[:, None] if all_called else torch.logit(prior.new_tensor(HEARD))
    temporal = torch.logit(2 * edge.sigmoid().square())
    if all_called:
        return Places(
            order_logits=logits,
            mask=mask,
            order_prior=prior,
            edge_prior=edge + prior,
            temporal_prior=temporal + prior,
        )
    row = each(len(mask), num_designs, mask.device)
    mask, prior, logits = mask[row], prior[row], logits[row].masked_fill(~mask[row], NEVER)
    keys = logits.detach() if greedy else logits.detach() + gumbel(logits, generator)
    order = keys.masked_fill(~mask, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    slots, rank = order[:, :MAX_CALLED], order.argsort(dim=-1)
    left = (rank[:, None] >= torch.arange(MAX_CALLED, device=rank.device)[:, None]) & mask[:, None]  # B P N
    there = mask.gather(1, slots)
    log_p = logits[:, None].masked_fill(~left, NEVER).log_softmax(-1)
    before = prior[:, None].masked_fill(~left, NEVER).log_softmax(-1)
    entropy = categorical_entropy(log_p.masked_fill(~left, NEVER), before)
    called = Called(
        slots=slots,
        log_prob=(log_p.gather(2, slots[..., None])[..., 0] * there).sum(1),
        entropy=(entropy * there).sum(1),
        num_picks=(left.sum(-1) > 1).sum(1).to(prior),
    )
    level = torch.zeros_like(there, dtype=prior.dtype)
    return Places(
        order_logits=logits.gather(1, slots),
        mask=there,
        order_prior=prior.gather(1, slots),
        edge_prior=level + edge,  # who is dear is called seldom already
        temporal_prior=level + temporal,
        called=called,
    )
