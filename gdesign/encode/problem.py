"""A task and the agents on offer as one graph: what every designer reads.

Shape letters: B problems in a batch, N slots of a problem, D text features, F numeric features,
E edges, V = N + 1 nodes (the slots, then the virtual task node).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.utils import to_dense_batch

from gdesign.agents.topologies import TOPOLOGIES, edges
from gdesign.encode.adapters import Adaptable
from gdesign.encode.text import TextEncoder
from gdesign.errors import ConfigError
from gdesign.types import Agent, AgentPool, Candidate, Task

NUM_FEATURES = 6
"""F: log price of input, of output, instance of the candidate, is a task node, lambda is zero, log lambda."""

LEAST_PRICE = 0.01
"""Added to prices, in USD for a million tokens, before their logarithm is taken."""

USUAL_TOKENS = (300, 200)
"""Prompt and completion tokens that a call is taken to need where no reply of the agent is known."""

MAX_USD_WEIGHT = 1e38
"""The highest lambda; tensors hold little more."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """The agents a designer may place, and the width of their text features.

    Attributes:
        slots: The candidates, one a slot; a candidate may fill several.
        text_dim: D.
    """

    pool: AgentPool
    slots: tuple[Candidate, ...]
    text_dim: int

    def __post_init__(self) -> None:
        if not self.slots:
            raise ConfigError("a problem needs at least one slot; got none")
        for slot in self.slots:
            self.pool.check(slot)

    @cached_property
    def agents(self) -> tuple[Agent, ...]:
        """The ungated agent of each slot."""
        return tuple(Agent(role=s.role, llm=s.llm, operator=s.operator) for s in self.slots)

    @cached_property
    def instances(self) -> tuple[int, ...]:
        """For each slot, how many slots before it hold the same candidate."""
        return tuple(self.slots[:i].count(s) for i, s in enumerate(self.slots))


class Problem(Data):  # type: ignore[misc]
    """One task, the agents on offer, and the price of cost; a batch of problems is a PyG batch.

    The nodes are the slots in order, then the virtual task node, which is tied to every slot both
    ways. Nothing in it holds the right answer.

    Attributes:
        x: Float[V, D], text features: role, LLM and operator of a slot; the question of the task node.
        features: Float[V, F], see `NUM_FEATURES`.
        edge_index: Int[2, E], anchor edges (from heard to hearer) and the task node's ties.
        slot: Int[V], the slot's identity in the space; -1 for the task node.
        usd_weight: Float[1], lambda.
        task: The task, for the learner; a designer reads its tensors only.
        space: Where the slots come from.
    """

    x: Float[Tensor, "V D"]
    features: Float[Tensor, "V F"]
    edge_index: Int[Tensor, "2 E"]
    slot: Int[Tensor, " V"]
    usd_weight: Float[Tensor, " 1"]
    task: Task
    space: Space


class ProblemEncoder:
    """Turn tasks into problems; the texts of the pool are encoded once.

    Args:
        slots: Which candidates stand in the slots, by index; None for each candidate once.
        anchor: `pool` takes the pool's role-to-role edges, `complete` all pairs both ways, `none` only the task
            node's ties; else one of `gdesign.agents.topologies.TOPOLOGIES` over the slots in their order (`chain` is
            the anchor of G-Designer's paper).
        anchor_reverse: Turn the anchor's edges round: a star or tree becomes convergent.
        anchor_seed: Draws the edges of `random` and `small_world`.
    """

    def __init__(
        self,
        *,
        pool: AgentPool,
        encoder: TextEncoder,
        slots: Sequence[int] | None = None,
        anchor: str = "pool",
        anchor_reverse: bool = False,
        anchor_seed: int = 0,
    ) -> None:
        if slots is not None and (wrong := [i for i in slots if not 0 <= i < len(pool.candidates)]):
            raise ConfigError(
                f"slot names candidate {wrong[0]}; pool {pool.name!r} has candidates 0..{len(pool.candidates) - 1}"
            )
        chosen = pool.candidates if slots is None else tuple(pool.candidates[i] for i in slots)
        self.space = Space(pool=pool, slots=chosen, text_dim=encoder.dim)
        self._encoder = encoder
        n = len(chosen)
        texts = [profile_text(pool, slot) for slot in chosen]
        self._x = encoder.frozen(texts) if isinstance(encoder, Adaptable) else encoder(texts)
        llms = [pool.llm(slot.llm) for slot in chosen]
        features = torch.zeros(n + 1, NUM_FEATURES)
        features[:n, 0] = torch.tensor([math.log10(m.usd_per_1M_input + LEAST_PRICE) for m in llms])
        features[:n, 1] = torch.tensor([math.log10(m.usd_per_1M_output + LEAST_PRICE) for m in llms])
        features[:n, 2] = torch.tensor([float(i) for i in self.space.instances])
        features[n, 3] = 1.0
        self._features = features
        pairs = anchor_pairs(self.space, anchor, reverse=anchor_reverse, seed=anchor_seed)
        pairs += [(i, n) for i in range(n)] + [(n, i) for i in range(n)]
        self._edge_index = torch.tensor(pairs, dtype=torch.long).T.contiguous()
        self._slot = torch.tensor([*range(n), -1])

    def __call__(self, tasks: Sequence[Task], *, usd_weight: float | Sequence[float] = 0.0) -> Batch:
        """Return the problems of some tasks as one PyG batch.

        Args:
            usd_weight: lambda, one for all or one a task.

        Raises:
            ConfigError: lambda is below 0, or beyond `MAX_USD_WEIGHT`.
        """
        weights = [float(usd_weight)] * len(tasks) if isinstance(usd_weight, int | float) else list(usd_weight)
        assert len(weights) == len(tasks)
        if odd := [weight for weight in weights if not 0 <= weight <= MAX_USD_WEIGHT]:
            raise ConfigError(f"usd_weight is {odd[0]:g}; expected 0 or more, up to {MAX_USD_WEIGHT:g}")
        b, v = len(tasks), len(self._slot)
        x = torch.cat([self._x.expand(b, -1, -1), self._encoder([t.question for t in tasks])[:, None]], dim=1)
        features = self._features.repeat(b, 1, 1)
        features[:, :, 4] = torch.tensor([float(w == 0) for w in weights])[:, None]
        features[:, :, 5] = torch.tensor([math.log10(w + 1e-4) for w in weights])[:, None]
        first = torch.arange(0, (b + 1) * v, v)
        # All problems are alike in shape, so they are laid out at once; this equals Batch.from_data_list, which
        # takes a problem at a time and more time than drawing the designs.
        batch = Batch(
            _base_cls=Problem,
            x=x.flatten(0, 1),
            features=features.flatten(0, 1),
            edge_index=(self._edge_index[:, None] + first[:-1, None]).flatten(1),
            slot=self._slot.repeat(b),
            usd_weight=torch.tensor(weights),
            task=list(tasks),
            space=[self.space] * b,
            batch=torch.arange(b).repeat_interleave(v),
            ptr=first,
        )
        graphs = torch.arange(b + 1)
        still = torch.zeros(b, dtype=torch.long)
        batch._num_graphs = b
        batch._slice_dict = {
            "x": first,
            "features": first,
            "edge_index": graphs * self._edge_index.shape[1],
            "slot": first,
            **dict.fromkeys(("usd_weight", "task", "space"), graphs),
        }
        batch._inc_dict = dict.fromkeys(batch._slice_dict, still) | {"edge_index": first[:-1]}
        return batch


def profile_text(pool: AgentPool, slot: Candidate) -> str:
    """Return what encoders read of a candidate: its role, its LLM and how it works."""
    role, llm = pool.role(slot.role), pool.llm(slot.llm)
    return f"{role.name}: {role.profile} Language model: {llm.name}. {llm.profile} Works by: {slot.operator}."


def anchor_pairs(space: Space, anchor: str, *, reverse: bool = False, seed: int = 0) -> list[tuple[int, int]]:
    """Return the anchor edges between slots, from heard to hearer; see `ProblemEncoder`."""
    n = len(space.slots)
    match anchor:
        case "pool":
            wanted = set(space.pool.anchor)
            roles = [s.role for s in space.slots]
            pairs = [(i, j) for i in range(n) for j in range(n) if i != j and (roles[i], roles[j]) in wanted]
        case "complete":
            pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
        case "none":
            pairs = []
        case _ if anchor in TOPOLOGIES:
            pairs = edges(anchor, n, seed=seed)
        case _:
            raise ConfigError(
                f"anchor {anchor!r} is unknown; expected pool, complete, none or a shape: {', '.join(TOPOLOGIES)}"
            )
    return [(j, i) for i, j in pairs] if reverse else pairs


P = TypeVar("P", bound="Rows")


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Tensors with a row a problem, or None; one index takes some of the rows, in that order."""

    def __getitem__(self: P, rows: Int[Tensor, " G"] | Bool[Tensor, " B"]) -> P:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(**{name: None if value is None else value[rows] for name, value in values.items()})


@dataclass(frozen=True, kw_only=True)
class Dense(Rows):
    """A batch of problems as padded rows, for decoders.

    Attributes:
        slot: The slots' identities; 0 where padded.
        anchor: 1 where an anchor edge leads from slot i to slot j.
        burden: What a call of each slot usually takes from the utility: lambda times the USD of 1,000 usual calls.
    """

    slots: Float[Tensor, "B N D"]
    task: Float[Tensor, "B D"]
    mask: Bool[Tensor, "B N"]
    slot: Int[Tensor, "B N"]
    anchor: Float[Tensor, "B N N"]
    burden: Float[Tensor, "B N"]


def dense(problem: Batch, h: Float[Tensor, "V D"]) -> Dense:
    """Split node encodings of a batch into padded slots and task nodes."""
    is_slot = problem.slot >= 0
    num = problem.num_graphs
    graph = problem.batch[is_slot]
    slots, mask = to_dense_batch(h[is_slot], graph, batch_size=num)
    identity, _ = to_dense_batch(problem.slot[is_slot], graph, batch_size=num)
    n = slots.shape[1]
    src, dst = problem.edge_index
    between = is_slot[src] & is_slot[dst]
    src, dst = src[between], dst[between]
    first = problem.ptr[problem.batch[src]]
    anchor = torch.zeros(num, n, n, device=h.device)
    anchor[problem.batch[src], src - first, dst - first] = 1.0
    prices = (10 ** problem.features[is_slot, :2] - LEAST_PRICE).clamp_min(0)
    usual = prices @ prices.new_tensor(USUAL_TOKENS) / 1000
    usd, _ = to_dense_batch(usual, graph, batch_size=num)
    return Dense(
        slots=slots,
        task=h[~is_slot],
        mask=mask,
        slot=identity,
        anchor=anchor,
        burden=problem.usd_weight[:, None] * usd,
    )
