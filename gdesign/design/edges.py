"""Acyclic communication graphs as a distribution: an order, an edge between each ordered pair, one decider.

The order is drawn backwards by Plackett-Luce (Luce 1959; GPTSwarm, arXiv 2402.16823, learns an order
likewise): the first pick speaks last and decides. Then each agent hears each agent picked after it
with that pair's own probability, so no draw can hold a circle and no pair is ever searched for one.
Agents without a path to the decider are left out of the design; all draws that give the same design
are summed, so probabilities are those of designs.

Shape letters: B problems in a batch, N slots, G slot graphs that give the same design, M = 2^N sets of slots.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.design.base import Draft
from gdesign.errors import ConfigError
from gdesign.types import Agent, Design, Edge

MAX_EXACT = 12
"""Up to this many slots the orders are summed exactly (2^N sets); beyond, a draw carries its own order."""

NEVER = -1e9
"""Stands for log 0 inside sums, where an infinity would turn gradients into NaN."""


@dataclass(frozen=True, kw_only=True)
class SlotGraphs:
    """One graph over the slots a problem.

    Attributes:
        adjacency: [i, j] where slot j hears slot i; only between kept slots.
        keep: Slots with a path to the decider.
        decider: The slot that decides.
        order: The slots in the order they were picked, the decider first; None for a given design.
    """

    adjacency: Bool[Tensor, "B N N"]
    keep: Bool[Tensor, "B N"]
    decider: Int[Tensor, " B"]
    order: Int[Tensor, "B N"] | None = None


class EdgeDistribution:
    """Independent edges along an order drawn by Plackett-Luce.

    Args:
        order_logits: A higher one is picked earlier, and so speaks later.
        edge_logits: [i, j] is for slot j hearing slot i, should j be picked before i.
        mask: Which slots are there.
    """

    def __init__(
        self,
        *,
        order_logits: Float[Tensor, "B N"],
        edge_logits: Float[Tensor, "B N N"],
        mask: Bool[Tensor, "B N"],
    ) -> None:
        self.order_logits = order_logits.masked_fill(~mask, NEVER)
        self.edge_logits = edge_logits
        self.mask = mask
        n = mask.shape[1]
        off_diagonal = ~torch.eye(n, dtype=torch.bool, device=mask.device)
        self._pairs = mask[:, :, None] & mask[:, None, :] & off_diagonal

    def sample(self, *, generator: torch.Generator | None = None, greedy: bool = False) -> SlotGraphs:
        """Draw one graph a problem; greedily, the likeliest order and every edge above one half."""
        with torch.no_grad():
            keys = self.order_logits
            if not greedy:
                keys = keys + _gumbel(keys, generator)
            order = keys.masked_fill(~self.mask, -torch.inf).argsort(dim=-1, descending=True, stable=True)
            rank = torch.empty_like(order).scatter_(
                1, order, torch.arange(order.shape[1], device=order.device).expand_as(order)
            )
            earlier = rank[:, :, None] > rank[:, None, :]  # slot i is picked after slot j, so it may be heard by it
            p = torch.sigmoid(self.edge_logits)
            if greedy:
                drawn = p > 0.5
            else:
                drawn = torch.rand(p.shape, generator=generator, device=p.device, dtype=p.dtype) < p
            adjacency = drawn & earlier & self._pairs
            keep = reaches(adjacency, order[:, 0])
            adjacency = adjacency & keep[:, :, None] & keep[:, None, :]
            return SlotGraphs(adjacency=adjacency, keep=keep, decider=order[:, 0], order=order)

    def log_prob(self, graphs: SlotGraphs) -> Float[Tensor, " B"]:
        """Return the log-probability that a draw gives these graphs, whatever else it held.

        The sum over orders runs over sets of slots already picked, 2^N of them. Above `MAX_EXACT`
        slots it is the joint log-probability of the graph and the order it was drawn with.

        Raises:
            ConfigError: More than `MAX_EXACT` slots, and the graphs come without an order.
        """
        pair = self._pair_log_prob(graphs)
        n = self.mask.shape[1]
        if n <= MAX_EXACT:
            return self._sum_over_orders(graphs, pair)
        if graphs.order is None:
            raise ConfigError(
                f"the probability of a given design is summed over orders of at most {MAX_EXACT} slots; this problem "
                f"has {n}: use fewer slots, or learn from the designer's own draws"
            )
        return self.order_log_prob(graphs.order) + _along(pair, graphs.order).sum((1, 2))

    def order_log_prob(self, order: Int[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Return the Plackett-Luce log-probability of an order of picks."""
        picked = self.order_logits.gather(1, order)
        left = picked.flip(1).logcumsumexp(1).flip(1)
        return ((picked - left) * self.mask.gather(1, order)).sum(1)

    def entropy(self, order: Int[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """Return the entropy of every pick and every edge along a drawn order.

        Its mean over orders is the entropy of the draw (order and all edges, before agents without
        a path are left out), an upper bound of the design's.
        """
        picked = self.order_logits.gather(1, order)
        there = self.mask.gather(1, order)
        n = order.shape[1]
        left = torch.ones(n, n, dtype=torch.bool, device=order.device).triu()[None] & there[:, None, :]
        log_p = picked[:, None, :].expand(-1, n, -1).masked_fill(~left, NEVER).log_softmax(-1)
        picks = (-(log_p.exp() * log_p).masked_fill(~left, 0.0).sum(-1) * there).sum(1)
        bernoulli = _bernoulli_entropy(self.edge_logits).masked_fill(~self._pairs, 0.0)
        return picks + _along(bernoulli, order).sum((1, 2))

    def edge_probability(self) -> Float[Tensor, "B N N"]:
        """Return the probability that slot j hears slot i, over orders and edges."""
        after = torch.sigmoid(self.order_logits[:, None, :] - self.order_logits[:, :, None])
        return (after * torch.sigmoid(self.edge_logits)).masked_fill(~self._pairs, 0.0)

    def __getitem__(self, rows: Int[Tensor, " G"]) -> "EdgeDistribution":
        """Return the distributions of some problems, in that order."""
        return EdgeDistribution(
            order_logits=self.order_logits[rows], edge_logits=self.edge_logits[rows], mask=self.mask[rows]
        )

    def _pair_log_prob(self, graphs: SlotGraphs) -> Float[Tensor, "B N N"]:
        """Return [v, u]: what v adds where it is picked after u, so that u could hear v.

        Between kept slots the edge is there or not; a slot that was left out has no edge into a kept
        one; everything else is free and so adds nothing.
        """
        there = torch.nn.functional.logsigmoid(self.edge_logits)
        absent = torch.nn.functional.logsigmoid(-self.edge_logits)
        into_kept = graphs.keep[:, None, :] & self._pairs
        return torch.where(graphs.adjacency, there, absent).masked_fill(~into_kept, 0.0)

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
        return torch.where(out < NEVER / 2, torch.full_like(out, -torch.inf), out)


def reaches(adjacency: Bool[Tensor, "B N N"], decider: Int[Tensor, " B"]) -> Bool[Tensor, "B N"]:
    """Return which slots have a path to the decider, itself included."""
    n = adjacency.shape[1]
    closure = (adjacency | torch.eye(n, dtype=torch.bool, device=adjacency.device)).float()
    for _ in range(max(1, (n - 1).bit_length())):
        closure = (closure @ closure).clamp_(max=1.0)
    return closure.gather(2, decider[:, None, None].expand(-1, n, 1))[..., 0] > 0


def draw(
    edges: EdgeDistribution,
    problem: Batch,
    *,
    num_rounds: int,
    generator: torch.Generator | None = None,
    greedy: bool = False,
    penalty: Float[Tensor, " B"] | None = None,
) -> Draft:
    """Draw a design a problem; its entropy is that of the order and all edges (`EdgeDistribution.entropy`)."""
    graphs = edges.sample(generator=generator, greedy=greedy)
    assert graphs.order is not None
    agents = slot_agents(problem)

    def designs() -> list[Design]:
        return to_designs(graphs, agents, num_rounds=num_rounds)

    if all(len(set(row)) == len(row) for row in agents) or graphs.keep.shape[1] > MAX_EXACT:
        log_prob = edges.log_prob(graphs)
    else:  # several slots hold one candidate, so several graphs may give the design
        log_prob = design_log_prob(edges, problem, designs(), num_rounds=num_rounds)
    return Draft(
        designs=designs,
        log_prob=log_prob,
        entropy=edges.entropy(graphs.order),
        penalty=torch.zeros_like(log_prob) if penalty is None else penalty,
        soft=edges.edge_probability(),
    )


def design_log_prob(
    edges: EdgeDistribution, problem: Batch, designs: Sequence[Design], *, num_rounds: int
) -> Float[Tensor, " B"]:
    """Return the log-probability of one design a problem: all slot graphs that give it, summed."""
    graphs, owner = from_designs(designs, slot_agents(problem), like=edges.mask, num_rounds=num_rounds)
    log_prob = edges[owner].log_prob(graphs)
    nothing = log_prob.new_full((1,), -torch.inf)
    return torch.stack([torch.cat([nothing, log_prob[owner == b]]).logsumexp(0) for b in range(len(designs))])


def to_designs(graphs: SlotGraphs, agents: Sequence[Sequence[Agent]], *, num_rounds: int) -> list[Design]:
    """Build the designs of slot graphs over these agents; the decider has the last word."""
    place = graphs.keep.cumsum(1) - 1  # of a kept slot among the kept ones
    b, i, j = graphs.adjacency.nonzero(as_tuple=True)
    # Columns of numbers: building a list or an Edge for each of them here would take as long as all the rest.
    edges: Iterator[Any] = zip(place[b, i].tolist(), place[b, j].tolist(), itertools.repeat(()), strict=False)
    return [
        Design(
            agents=tuple(itertools.compress(at_slot, keep)),
            spatial=tuple(itertools.islice(edges, num_edges)),
            num_rounds=num_rounds,
        )
        for at_slot, keep, num_edges in zip(
            agents, graphs.keep.tolist(), graphs.adjacency.sum((1, 2)).tolist(), strict=True
        )
    ]


def from_designs(
    designs: Sequence[Design], agents: Sequence[Sequence[Agent]], *, like: Bool[Tensor, "B N"], num_rounds: int
) -> tuple[SlotGraphs, Int[Tensor, " G"]]:
    """Return every slot graph that gives one of the designs, and which design each belongs to.

    Several slots of one candidate can give the same design; a design outside the family (gates,
    temporal edges, other decisions or rounds, agents on no slot) has no slot graph.
    """
    kept: list[list[int]] = []
    pairs: list[tuple[int, int, int]] = []
    decider: list[int] = []
    owner: list[int] = []
    for b, (design, at_slot) in enumerate(zip(designs, agents, strict=True)):
        plain = design.num_rounds == num_rounds and design.decision.kind == "last" and not design.temporal
        if not plain or any(e.rounds for e in design.spatial):
            continue
        distinct = len(set(at_slot)) == len(at_slot)
        places = [[k for k, other in enumerate(at_slot) if other == agent] for agent in design.agents]
        seen = set()
        for placed in itertools.product(*places):
            edges = frozenset((placed[e.src], placed[e.dst]) for e in design.spatial)
            graph = (frozenset(placed), edges)
            if len(graph[0]) < len(placed) or graph in seen:
                continue
            if not distinct and _design(at_slot, sorted(placed), edges, num_rounds) != design:
                continue
            seen.add(graph)
            pairs += [(len(owner), i, j) for i, j in edges]
            kept.append(list(placed))
            decider.append(placed[-1])
            owner.append(b)
    n = like.shape[1]
    adjacency = like.new_zeros(len(owner), n, n)
    keep = like.new_zeros(len(owner), n)
    for g, slots in enumerate(kept):
        keep[g, slots] = True
    if pairs:
        adjacency[tuple(zip(*pairs, strict=True))] = True
    graphs = SlotGraphs(adjacency=adjacency, keep=keep, decider=torch.tensor(decider, dtype=torch.long).to(like.device))
    return graphs, torch.tensor(owner, dtype=torch.long, device=like.device)


def slot_agents(problem: Batch) -> list[list[Agent]]:
    """Return the agent at each slot of each problem, in node order."""
    slots, ptr = problem.slot.tolist(), problem.ptr.tolist()
    return [
        [space.agents[s] for s in slots[a:b] if s >= 0]
        for space, (a, b) in zip(problem.space, itertools.pairwise(ptr), strict=True)
    ]


def _design(agents: Sequence[Agent], kept: Sequence[int], edges: Iterable[tuple[int, int]], num_rounds: int) -> Design:
    new = {i: k for k, i in enumerate(kept)}
    return Design(
        agents=tuple(agents[i] for i in kept),
        spatial=tuple(Edge(new[i], new[j]) for i, j in edges),
        num_rounds=num_rounds,
    )


def _gumbel(like: Float[Tensor, "..."], generator: torch.Generator | None) -> Float[Tensor, "..."]:
    u = torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    tiny = torch.finfo(like.dtype).tiny
    return -(-(u.clamp_min(tiny)).log()).clamp_min(tiny).log()


def _along(pair: Float[Tensor, "B N N"], order: Int[Tensor, "B N"]) -> Float[Tensor, "B N N"]:
    """Return [k, l] of the pair (k-th pick, l-th pick) where k was picked after l, else 0."""
    n = order.shape[1]
    rows = pair.gather(1, order[:, :, None].expand(-1, -1, n))
    return rows.gather(2, order[:, None, :].expand(-1, n, -1)).tril(-1)


def _bernoulli_entropy(logits: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    p = torch.sigmoid(logits)
    return torch.nn.functional.softplus(logits) - p * logits


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
