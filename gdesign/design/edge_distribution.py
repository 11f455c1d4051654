"""Acyclic communication graphs as a distribution: an order, an edge between each ordered pair, one decider.

The order is drawn backwards by Plackett-Luce (Luce 1959; GPTSwarm, arXiv 2402.16823, learns an order likewise): the
first pick speaks last and decides. Then each agent hears each agent picked after it with that pair's own probability,
so no draw can hold a circle and no pair is ever searched for one. Agents without a path to the decider are left out of
the design; all draws that give the same design are summed, so probabilities are those of designs. Where there are many
slots, some are called for each draw, in their order, and edges are drawn among these (`gdesign.design.places`).

With a temporal part, each slot may also hear each other slot's words of the round before, and a slot
listens to anybody in a later round only with a probability of its own; in the first round all listen.
After the last round in which somebody is heard, no further round is held.

Shape letters: B problems in a batch, N slots, L rounds after the first, G slot graphs, M = 2^N sets of slots.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid
from torch_geometric.data import Batch

from gdesign.design.base import Designer, Draft
from gdesign.design.draws import (
    ALWAYS,
    NEVER,
    RNG,
    bernoulli,
    bernoulli_entropy,
    categorical_entropy,
    gumbel,
    or_impossible,
    summed,
)
from gdesign.design.places import MAX_EXACT, Called, Places
from gdesign.design.slot_graphs import (
    Later,
    SlotGraphs,
    distinct,
    each,
    from_designs,
    last_rounds,
    pairs_of,
    reaches,
    slot_agents,
    to_designs,
)
from gdesign.encode.problem import Rows, Space
from gdesign.errors import ConfigError
from gdesign.types import Agent, Design


@dataclass(frozen=True, kw_only=True)
class EdgeDistribution(Rows):
    """Independent edges along an order drawn by Plackett-Luce.

    Attributes:
        order_logits: A higher one is picked earlier, and so speaks later.
        edge_logits: [i, j] is for slot j hearing slot i, should j be picked before i.
        temporal_logits: [i, j] is for slot j hearing what slot i said in the round before; None for no temporal edges.
        listen_logits: [j, l] is for slot j listening to those it can hear in round l + 2; given with `temporal_logits`.
        penalty: The method's own regulariser; None for none.
        order_prior: The part of `order_logits` that is not learned; None for nothing.
        edge_prior: The same for hearing each slot; None for nothing.
        temporal_prior: The same in the round after; None for nothing.
        called: The slots that these are, in the order in which they were picked; None for all slots, not picked yet.
    """

    order_logits: Float[Tensor, "B N"]
    edge_logits: Float[Tensor, "B N N"]
    mask: Bool[Tensor, "B N"]
    temporal_logits: Float[Tensor, "B N N"] | None = None
    listen_logits: Float[Tensor, "B N L"] | None = None
    penalty: Float[Tensor, " B"] | None = None
    order_prior: Float[Tensor, "B N"] | None = None
    edge_prior: Float[Tensor, "B N"] | None = None
    temporal_prior: Float[Tensor, "B N"] | None = None
    called: Called | None = None

    def __post_init__(self) -> None:
        assert (self.temporal_logits is None) == (self.listen_logits is None)
        assert self.mask.shape[1] <= MAX_EXACT
        object.__setattr__(self, "order_logits", self.order_logits.masked_fill(~self.mask, NEVER))

    @classmethod
    def among(
        cls,
        places: Places,
        *,
        edge_logits: Float[Tensor, "B N N"],
        temporal_logits: Float[Tensor, "B N N"] | None = None,
        listen_logits: Float[Tensor, "B N L"] | None = None,
        penalty: Float[Tensor, " B"] | None = None,
    ) -> "EdgeDistribution":
        """Return the distribution of what was learned, in logits between places, beside what is likely before."""
        heard = places.temporal_prior[:, :, None]
        return cls(
            order_logits=places.order_logits,
            edge_logits=edge_logits + places.edge_prior[:, :, None],
            mask=places.mask,
            temporal_logits=None if temporal_logits is None else temporal_logits + heard,
            listen_logits=listen_logits,
            penalty=penalty,
            order_prior=places.order_prior,
            edge_prior=places.edge_prior,
            temporal_prior=None if temporal_logits is None else places.temporal_prior,
            called=places.called,
        )

    @cached_property
    def _pairs(self) -> Bool[Tensor, "B N N"]:
        return pairs_of(self.mask)

    def sample(self, *, generator: RNG = None, greedy: bool = False) -> SlotGraphs:
        """Draw one graph a problem; greedily, the likeliest order and every edge above one half."""
        with torch.no_grad():
            order = self._order(generator, greedy)
            rank = torch.empty_like(order).scatter_(
                1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
            )
            earlier = rank[:, :, None] > rank[:, None, :]  # slot i is picked after slot j, so it may be heard by it
            adjacency = bernoulli(self.edge_logits, generator, greedy) & earlier & self._pairs
            later = None
            if self.temporal_logits is None or self.listen_logits is None:
                keep = reaches(adjacency, order[:, 0])
            else:
                temporal = bernoulli(self.temporal_logits, generator, greedy) & self._pairs
                listens = bernoulli(self.listen_logits, generator, greedy)
                last = last_rounds(adjacency, temporal, listens, order[:, 0])
                keep = last > 0
                heard = temporal & keep[:, :, None] & (keep & listens.any(-1))[:, None, :]
                later = Later(temporal=heard, listens=listens, last=last)
            adjacency = adjacency & keep[:, :, None] & keep[:, None, :]
            return SlotGraphs(adjacency=adjacency, keep=keep, decider=order[:, 0], order=order, later=later)

    def _order(self, generator: RNG, greedy: bool) -> Int[Tensor, "B N"]:
        if self.called is not None:
            return torch.arange(self.mask.shape[1], device=self.mask.device).expand(self.mask.shape)
        keys = self.order_logits
        if not greedy:
            keys = keys + gumbel(keys, generator)
        return keys.masked_fill(~self.mask, -torch.inf).argsort(dim=-1, descending=True, stable=True)

    def log_prob(self, graphs: SlotGraphs) -> Float[Tensor, " B"]:
        """Return the log-probability that a draw gives these graphs, whatever else it held.

        The sum over orders runs over sets of slots already picked, 2^N of them. Where slots were called it is the joint
        log-probability of the graph and of these, in their order.
        """
        pair = self._pair_log_prob(graphs)
        if self.called is None:
            first = self._sum_over_orders(graphs, pair)
        else:
            first = self.called.log_prob + pair.tril(-1).sum((1, 2))
        return first + self._later_log_prob(graphs)

    def order_log_prob(self, order: Int[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Return the Plackett-Luce log-probability of an order of picks."""
        picked = self.order_logits.gather(1, order)
        left = picked.flip(1).logcumsumexp(1).flip(1)
        return ((picked - left) * self.mask.gather(1, order)).sum(1)

    def entropy(self, order: Int[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Return the entropy of a pick, of an edge along a drawn order, or of whatever else is decided, on average.

        Each beside its prior: an edge as unlikely as it was before anything was learned has as much as an even one.
        """
        there = self.mask.gather(1, order)
        n = self.mask.sum(1).to(self.edge_logits)
        if self.called is None:
            left = torch.ones_like(self._pairs[0]).triu()[None] & there[:, None, :]
            prior = torch.zeros_like(self.order_logits) if self.order_prior is None else self.order_prior
            log_p, before = (
                x.gather(1, order)[:, None].masked_fill(~left, NEVER).log_softmax(-1).masked_fill(~left, NEVER)
                for x in (self.order_logits, prior)
            )
            total, num = (categorical_entropy(log_p, before) * there).sum(1), n - 1
        else:
            total, num = self.called.entropy, self.called.num_picks
        edges = bernoulli_entropy(self.edge_logits, _from(self.edge_prior, self.edge_logits))
        edges = edges.masked_fill(~self._pairs, 0.0)
        total, num = total + _along(edges, order).sum((1, 2)), num + n * (n - 1) / 2
        if self.temporal_logits is not None and self.listen_logits is not None:
            later = bernoulli_entropy(self.temporal_logits, _from(self.temporal_prior, self.temporal_logits))
            later = later.masked_fill(~self._pairs, 0.0)
            listen = bernoulli_entropy(self.listen_logits).sum(-1) * self.mask
            open_ones = (self.listen_logits.abs() < ALWAYS).sum(-1) * self.mask
            total, num = total + later.sum((1, 2)) + listen.sum(1), num + n * (n - 1) + open_ones.sum(1)
        return total / num.clamp_min(1)

    def edge_probability(self) -> Float[Tensor, "B N N"]:
        """Return the probability that slot j hears slot i, over orders and edges."""
        if self.called is None:
            after = torch.sigmoid(self.order_logits[:, None, :] - self.order_logits[:, :, None])
        else:
            after = torch.ones_like(self.edge_logits).tril(-1)
        return (after * torch.sigmoid(self.edge_logits)).masked_fill(~self._pairs, 0.0)

    def temporal_probability(self) -> Float[Tensor, "B N N"]:
        """Return the probability that slot j could hear what slot i said in the round before."""
        assert self.temporal_logits is not None
        return torch.sigmoid(self.temporal_logits).masked_fill(~self._pairs, 0.0)

    def _pair_log_prob(self, graphs: SlotGraphs) -> Float[Tensor, "B N N"]:
        """Return [v, u]: what v adds where it is picked after u, so that u could hear v.

        Between kept slots the edge is there or not; a slot that was left out has no edge into a kept
        one; everything else is free and so adds nothing.
        """
        there = logsigmoid(self.edge_logits)
        absent = logsigmoid(-self.edge_logits)
        into_kept = graphs.keep[:, None, :] & self._pairs
        return torch.where(graphs.adjacency, there, absent).masked_fill(~into_kept, 0.0)

    def _later_log_prob(self, graphs: SlotGraphs) -> Float[Tensor, " B"] | float:
        """Return what temporal edges and listening add; they do not depend on the order.

        Spatial edges are heard in the first round, so each one between kept slots shows in the design, and
        with it the rounds in which its hearer listens; so does a temporal edge. Where a kept slot has
        neither, its rounds are unknown, and it has nobody to hear or never listens. A temporal edge from
        a slot that was left out could be there only if its hearer listens in no round that matters.
        """
        if self.temporal_logits is None or self.listen_logits is None:
            return 0.0
        assert graphs.later is not None
        later, keep = graphs.later, graphs.keep
        yes, no = logsigmoid(self.listen_logits), logsigmoid(-self.listen_logits)
        there, absent = logsigmoid(self.temporal_logits), logsigmoid(-self.temporal_logits)
        edges = torch.where(later.temporal, there, absent).masked_fill(~(keep[:, :, None] & self._pairs), 0.0).sum(1)
        left_out = absent.masked_fill(keep[:, :, None] | ~self._pairs, 0.0).sum(1)
        rounds = torch.arange(2, later.listens.shape[-1] + 2, device=keep.device)
        matters = rounds <= later.last[:, :, None]

        listens_at_all, in_time = later.listens.any(-1), (later.listens & matters).any(-1)
        known = torch.where(later.listens, yes, no).sum(-1) + edges * listens_at_all + left_out * in_time
        never = no.sum(-1)
        before = no.cumsum(-1) - no
        first = before + yes + edges[..., None] + left_out[..., None] * matters  # the first round that it listens in
        unknown = torch.cat([never[..., None], first], dim=-1).logsumexp(-1)
        shows = (graphs.adjacency | later.temporal).any(1)
        out = torch.where(shows, known, unknown).masked_fill(~keep, 0.0).sum(1)
        return or_impossible(out)

    def _sum_over_orders(self, graphs: SlotGraphs, pair: Float[Tensor, "B N N"]) -> Float[Tensor, " B"]:
        n = self.mask.shape[1]
        sets, place, levels = _subsets(n)
        member = sets.to(pair)  # M N
        left = (self.order_logits[:, None, :] + member * NEVER).logsumexp(-1)  # B M
        # [B, N, M]: slot v is picked when a set of slots has been
        step = self.order_logits[:, :, None] - left[:, None, :] + pair @ member.T
        too_early = graphs.adjacency.to(pair) @ (1 - member).T > 0  # a slot that hears v is not picked yet
        too_early[:, :, 0] |= torch.arange(n, device=pair.device) != graphs.decider[:, None]
        step = step.masked_fill(too_early | ~self.mask[:, :, None], NEVER)
        totals = [step.new_zeros(len(step), 1)]
        for slot, before, position in levels:
            totals.append((step[:, slot, before] + totals[-1][:, position]).logsumexp(-1))
        everybody = place.to(self.mask.device)[(self.mask * 2 ** torch.arange(n, device=self.mask.device)).sum(1)]
        out = torch.cat(totals, dim=1).gather(1, everybody[:, None])[:, 0]
        return or_impossible(out)


class EdgeDesigner(Designer):
    """Draws designs from edges along an order; the entropy of a draft is that of the order and all edges.

    Args:
        space: The agents to connect.
        num_rounds: How often each agent gets the floor; at most so often where there are temporal edges.
    """

    def __init__(self, *, space: Space, num_rounds: int) -> None:
        super().__init__(space=space)
        self.num_rounds = num_rounds

    @abstractmethod
    def distribution(
        self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, mean: bool = False, greedy: bool = False
    ) -> EdgeDistribution:
        """Return the distribution over graphs of each design, or of each problem where nothing is drawn before them.

        Args:
            problem: A batch of T problems.
            num_designs: K.
            generator: Draws noise (latents, the start of a diffusion) in training mode, and who is called; None for
                torch's own.
            mean: Take the noise's mean, as in evaluation mode, instead of drawing it.
            greedy: Call the likeliest instead of drawing who is called.
        """

    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Draw designs for each problem; greedily, by the likeliest order and every edge above one half."""
        edges = self.distribution(problem, num_designs=num_designs, generator=generator, greedy=greedy)
        if len(edges.mask) < num_designs * problem.num_graphs:
            edges = edges[each(problem.num_graphs, num_designs, edges.mask.device)]
        return self.draft(problem, edges, edges.sample(generator=generator, greedy=greedy))

    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " T"]:
        """Return the log-probability of one given design a problem, given the noise's mean; -inf where impossible.

        In training mode it differs from the log-probability of a draft whose method draws noise.

        Raises:
            ConfigError: There are more than `MAX_EXACT` slots.
        """
        if (num := int(problem.batch.bincount().max()) - 1) > MAX_EXACT:
            raise ConfigError(
                f"the probability of a given design is summed over orders of at most {MAX_EXACT} slots; this problem "
                f"has {num}: use fewer slots, or learn from the designer's own draws"
            )
        edges = self.distribution(problem, mean=True)
        return design_log_prob(edges, slot_agents(problem), designs, num_rounds=self.num_rounds)

    def draft(self, problem: Batch, edges: EdgeDistribution, graphs: SlotGraphs) -> Draft:
        """Return the draft of graphs that were drawn from these edges, one a design."""
        assert graphs.order is not None
        agents = slot_agents(problem, len(graphs.decider) // problem.num_graphs)
        if edges.called is not None:  # a place that nobody takes is never kept, whoever stands there
            rows = zip(agents, edges.called.slots.tolist(), strict=True)
            agents = [[at[i] if i < len(at) else at[0] for i in slots] for at, slots in rows]

        def designs() -> list[Design]:
            return to_designs(graphs, agents, num_rounds=self.num_rounds)

        if edges.called is not None or distinct(agents):
            log_prob = edges.log_prob(graphs)
        else:  # several slots hold one candidate, so several graphs may give the design
            log_prob = design_log_prob(edges, agents, designs(), num_rounds=self.num_rounds)
        return Draft(
            designs=designs,
            log_prob=log_prob,
            entropy=edges.entropy(graphs.order),
            penalty=edges.penalty,
            soft=edges.edge_probability() if edges.called is None else None,
        )


def design_log_prob(
    edges: EdgeDistribution, agents: Sequence[Sequence[Agent]], designs: Sequence[Design], *, num_rounds: int
) -> Float[Tensor, " B"]:
    """Return the log-probability of one design a distribution: all slot graphs that give it, summed."""
    graphs, owner = from_designs(
        designs, agents, mask=edges.mask, num_rounds=num_rounds, temporal=edges.temporal_logits is not None
    )
    return summed(edges[owner].log_prob(graphs), owner, len(designs))


def _from(prior: Float[Tensor, "B N"] | None, to: Float[Tensor, "B N N"]) -> Float[Tensor, "B N N"] | None:
    return None if prior is None else prior[:, :, None].expand_as(to)


def _along(pair: Float[Tensor, "B N N"], order: Int[Tensor, "B N"]) -> Float[Tensor, "B N N"]:
    """Return [k, l] of the pair (k-th pick, l-th pick) where k was picked after l, else 0."""
    n = order.shape[1]
    rows = pair.gather(1, order[:, :, None].expand(-1, -1, n))
    return rows.gather(2, order[:, None, :].expand(-1, n, -1)).tril(-1)


@lru_cache
def _subsets(n: int) -> tuple[Tensor, Tensor, tuple[tuple[Tensor, Tensor, Tensor], ...]]:
    """Return all sets of n slots by size, the place of each bit mask among them, and how sets grow.

    For each size k = 1..n: which slot was added (S_k k), the place of the smaller set among all
    sets (S_k k), and its place among the sets of size k - 1 (S_k k).
    """
    masks = sorted(range(2**n), key=lambda m: (m.bit_count(), m))
    index = {m: i for i, m in enumerate(masks)}
    levels = []
    for k in range(1, n + 1):
        level = [m for m in masks if m.bit_count() == k]
        smaller = next(i for i, m in enumerate(masks) if m.bit_count() == k - 1)
        slots = [[i for i in range(n) if m >> i & 1] for m in level]
        before = torch.tensor([[index[m ^ 1 << i] for i in row] for m, row in zip(level, slots, strict=True)])
        levels.append((torch.tensor(slots), before, before - smaller))
    member = torch.tensor([[bool(m >> i & 1) for i in range(n)] for m in masks])
    return member, torch.tensor([index[m] for m in range(2**n)]), tuple(levels)
