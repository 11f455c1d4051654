"""Whom to ask next, and when to stop: exact, by dynamic programming over who gave equal answers.

A state is who of a small pool was asked and which of their answers are equal; which answers these are does not matter.
All states are solved backwards for the response model of `gdesign.design.joint.response`. Stopping takes the answer
that is most likely right. Going on asks the agents with the largest expected value less lambda times expected cost.
The price enters here alone, so one fit serves every price.

Everything is linear in the probability of the nodes (difficulty and trap) before anybody was asked, which is all that
a question's text changes: probabilities of states are a table once and for all, questions are columns that it is
multiplied with.

Shape letters: S states, M agents of the pool, J ways to be right (none, block 1, 2, ...), Q nodes, B questions, O
outcomes of asking (unreadable, as block 1, 2, ..., or new), G goals (a state, and who will have been asked), W layers
of a plan.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from gdesign.design.joint.policy import NOT_ASKED, UNREADABLE, State, canonical
from gdesign.design.joint.response import Response

ENOUGH = 1e-5
"""Utility that a further agent must bring to be in the pool."""
EVEN = 1e-9
"""Utility below which two ways to go on are worth the same; the one with fewer or earlier agents is taken."""


@dataclass(frozen=True, kw_only=True)
class States:
    """All states of a pool in which no more than some agents were asked, fewer asked first.

    Attributes:
        label: What each state says of each agent; blocks in the order of their first agents.
        child: The state after an agent gave an answer; S where there is none.
        level: How many were asked.
        index: Number of a state.
    """

    label: Int[Tensor, "S M"]
    child: Int[Tensor, "S M O"]
    level: Int[Tensor, " S"]
    index: dict[State, int]


@lru_cache(maxsize=32)
def num_states(num_agents: int, max_calls: int) -> int:
    """Return how many states `states` has, without listing them.

    Of k agents that were asked some may be unreadable, and the others fall into blocks: as many ways as partitions of
    k + 1.
    """
    bell = [1]
    for k in range(max_calls + 1):
        bell.append(sum(math.comb(k, j) * bell[j] for j in range(k + 1)))
    return sum(math.comb(num_agents, k) * bell[k + 1] for k in range(min(num_agents, max_calls) + 1))


def states(num_agents: int, max_calls: int) -> States:
    """Return all states of a pool."""
    max_calls = min(max_calls, num_agents)
    root: State = (NOT_ASKED,) * num_agents
    index, layer, edges = {root: 0}, [root], []
    for _ in range(max_calls):
        following: list[State] = []
        for state in layer:
            for agent in range(num_agents):
                if state[agent] != NOT_ASKED:
                    continue
                for outcome in range(max(state) + 2 if max(state) > 0 else 2):
                    after = canonical((*state[:agent], outcome, *state[agent + 1 :]))
                    if after not in index:
                        index[after] = len(index)
                        following.append(after)
                    edges.append((index[state], agent, outcome, index[after]))
        layer = following
    label = torch.tensor(list(index), dtype=torch.long)
    child = torch.full((len(index), num_agents, max_calls + 1), len(index))
    if edges:
        s, m, o, after_ = torch.tensor(edges).T
        child[s, m, o] = after_
    return States(label=label, child=child, level=(label != NOT_ASKED).sum(1), index=index)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Probabilities of all states of a pool, for one kind of question.

    Attributes:
        joint: Of a state and what is right in it, given the node.
        usd: Probability of a state times what asking each agent costs in it, given the node.
    """

    states: States
    joint: Float[Tensor, "S J Q"]
    usd: Float[Tensor, "S M Q"]


def table(model: Response, kind: int, pool: Sequence[int], *, max_calls: int) -> Table:
    """Return the probabilities of all states of a pool.

    Args:
        pool: Columns of the model's agents.
    """
    all_states = states(len(pool), max_calls)
    columns = list(pool)
    logit = model.logit()[kind, columns].double()  # so that a batch's size changes no more than the last digits
    log_alpha = model.log_concentration()[kind].double()
    unreadable = model.unreadable[kind, columns].double()
    label = all_states.label
    num_blocks = all_states.child.shape[2] - 1
    asked = (label != NOT_ASKED).double()
    readable = (label > UNREADABLE).double()
    silent = (label == UNREADABLE).double()
    base = asked @ logsigmoid(-logit) + (readable @ logsigmoid(-unreadable) + silent @ logsigmoid(unreadable))[:, None]
    member = torch.stack([(label == j).double() for j in range(1, num_blocks + 1)], dim=1)  # S, blocks, M
    gain = (
        torch.einsum("sjm,mq->sjq", member, logit)
        - torch.einsum("sjm,m->sj", member, logsigmoid(-unreadable))[..., None]
    )
    size = member.sum(2)
    count = size.sum(1)
    blocks = (size > 0).sum(1)
    among = log_alpha.new_zeros(len(pool) + 1, len(log_alpha))  # log of alpha (alpha + 1) ... (alpha + n - 1)
    for n in range(1, len(pool) + 1):
        among[n] = among[n - 1] + torch.logaddexp(log_alpha, torch.tensor(float(n - 1), dtype=log_alpha.dtype).log())
    orders = torch.lgamma(size.clamp_min(1))

    def seating(num: Int[Tensor, " S"], of: Int[Tensor, " S"], order: Float[Tensor, " S"]) -> Float[Tensor, "S Q"]:
        return of[:, None] * log_alpha + order[:, None] - among[num]

    every = orders.sum(1)
    ways = [base + seating(count.long(), blocks, every)]
    for j in range(num_blocks):
        way = base + gain[:, j] + seating((count - size[:, j]).long(), blocks - 1, every - orders[:, j])
        ways.append(torch.where((size[:, j] > 0)[:, None], way, -torch.inf))
    joint = torch.stack(ways, dim=1).exp()
    usd = joint.sum(1)[:, None] * model.usd()[kind, columns].double()
    return Table(states=all_states, joint=joint, usd=usd * (1 - asked)[..., None])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do in every state, for each question.

    Attributes:
        worth: Probability of a state times what going on from there is worth, no wave spent yet; row 0 is the value of
            the question.
        action: Who is asked next, bit m for agent m of the pool, 0 to stop; after w waves layer w counts, or the last.
        sure: Probability of a state and of what is right in it, none or block 1, 2, ...
        usd: What asking each agent is expected to cost in a state, times the probability of the state.
    """

    worth: Float[Tensor, "S B"]
    action: Int[Tensor, "W S B"]
    sure: Float[Tensor, "S J B"]
    usd: Float[Tensor, "S M B"]


def solve(known: Table, prior: Float[Tensor, "B Q"], dearer: Float[Tensor, " B"], price: float) -> Plan:
    """Return the best policy of one agent at a time.

    Args:
        dearer: How often as much as usual calls cost on each question.
        price: lambda.
    """
    sure, usd, stop = _of_questions(known, prior, dearer)
    level, child = known.states.level, known.states.child
    worth = torch.cat([stop, torch.zeros_like(stop[:1])])  # the last row stands for what cannot happen
    action = torch.zeros(stop.shape, dtype=torch.long)
    free = known.states.label == NOT_ASKED
    bounds = torch.searchsorted(level, torch.arange(int(level[-1]) + 2)).tolist()
    for k in range(len(bounds) - 3, -1, -1):
        here = slice(bounds[k], bounds[k + 1])
        go = worth[child[here]].sum(2) - price * usd[here]
        value, agent = torch.where(free[here][..., None], _even(go), -torch.inf).max(1)
        better = (value > stop[here] + EVEN) | (k == 0)  # somebody is asked, whatever it costs
        worth[here] = torch.where(better, value, stop[here])
        action[here] = torch.where(better, 1 << agent, 0)
    return Plan(worth=worth[:-1], action=action[None], sure=sure, usd=usd)


def solve_waves(
    known: Table,
    prior: Float[Tensor, "B Q"],
    dearer: Float[Tensor, " B"],
    price: float,
    *,
    max_waves: int,
    max_wave: int = 8,
) -> Plan:
    """Return the best policy that asks several agents at once, a few times at most.

    Args:
        dearer: As of `solve`.
        price: As of `solve`.
        max_waves: Number of waves at most.
        max_wave: Number of agents in a wave at most.
    """
    sure, usd, stop = _of_questions(known, prior, dearer)
    aims = goals(known.usd.shape[1], int(known.states.level[-1]), max_wave)
    paid = stop.new_zeros(len(aims.state), stop.shape[1])
    for m in range(known.usd.shape[1]):
        paid += usd[aims.state, m] * ((aims.added >> m) & 1)[:, None]
    own = aims.state[:, None].expand(-1, stop.shape[1])
    asks = (aims.added > 0)[:, None]
    worth, actions = stop, [torch.zeros(stop.shape, dtype=torch.long)]
    for _ in range(max_waves):
        value = stop.new_zeros(len(aims.state) + 1, stop.shape[1])  # the last row stands for what cannot happen
        value[: aims.bounds[1]] = worth[aims.state[: aims.bounds[1]]]
        for first, last in zip(aims.bounds[1:], aims.bounds[2:], strict=False):
            value[first:last] = value[aims.child[first:last]].sum(1)
        go = torch.where(asks, _even(value[:-1] - price * paid), -torch.inf)
        best = torch.full_like(stop, -torch.inf).scatter_reduce(0, own, go, "amax")
        number = torch.arange(len(go))[:, None].where(go == best[aims.state], len(go))
        chosen = torch.full(stop.shape, len(go)).scatter_reduce(0, own, number, "amin")
        better = best > stop + EVEN
        better[0] = True  # somebody is asked, whatever it costs
        worth = torch.where(better, best, stop)
        actions.insert(0, torch.where(better, torch.cat([aims.added, torch.zeros(1, dtype=torch.long)])[chosen], 0))
    return Plan(worth=worth, action=torch.stack(actions), sure=sure, usd=usd)


def _even(values: Tensor) -> Tensor:
    """Return values on a grid, so that what is worth the same is a tie however it was computed."""
    return (values / EVEN).round() * EVEN


def _of_questions(
    known: Table, prior: Float[Tensor, "B Q"], dearer: Float[Tensor, " B"]
) -> tuple[Float[Tensor, "S J B"], Float[Tensor, "S M B"], Float[Tensor, "S B"]]:
    """Return `Plan.sure`, `Plan.usd`, and what stopping is worth."""
    num_states, num_ways, num_nodes = known.joint.shape
    nodes = prior.double().mT
    sure = (known.joint.view(-1, num_nodes) @ nodes).view(num_states, num_ways, -1)
    usd = (known.usd.view(-1, num_nodes) @ nodes).view(num_states, -1, len(prior)) * dearer
    return sure, usd, sure[:, 1:].amax(1)


class Followed(NamedTuple):
    """What a plan does on answers that are known.

    Attributes:
        state: Where it stops.
        asked: Who was asked.
        waves: How often somebody was.
        taken: The agent whose answer is taken; -1 for none.
    """

    state: Int[Tensor, " B"]
    asked: Bool[Tensor, "B M"]
    waves: Int[Tensor, " B"]
    taken: Int[Tensor, " B"]


def follow(known: States, plan: Plan, block: Int[Tensor, "B M"]) -> Followed:
    """Return what a plan does where the answers of all agents are known.

    Args:
        block: Equal for equal answers of a row; -1 for unreadable ones.
    """
    rows = torch.arange(len(block))
    state, waves = torch.zeros(len(block), dtype=torch.long), torch.zeros(len(block), dtype=torch.long)
    while True:
        action = plan.action[waves.clamp_max(len(plan.action) - 1), state, rows]
        if not action.any():
            break
        waves += action > 0
        for m in range(block.shape[1]):
            label = known.label[state]
            same = (label > UNREADABLE) & (block == block[:, m : m + 1])
            outcome = torch.where(same.any(1), label.where(same, 0).amax(1), label.clamp_min(0).amax(1) + 1)
            outcome = torch.where(block[:, m] < 0, UNREADABLE, outcome)
            asked = (action >> m) & 1 == 1
            state = torch.where(asked, known.child[state, m, outcome.clamp_max(known.child.shape[2] - 1)], state)
    label = known.label[state]
    best = plan.sure[state, 1:, rows].argmax(1) + 1
    takes = label == best[:, None]
    return Followed(
        state=state,
        asked=label != NOT_ASKED,
        waves=waves,
        taken=torch.where(takes.any(1), takes.int().argmax(1), -1),
    )


@dataclass(frozen=True, kw_only=True)
class Goals:
    """All pairs of a state and of who will have been asked after it; those with fewer still to be asked first.

    Attributes:
        state: Of each pair.
        added: Who is to be asked, as bits.
        child: The pair after the first of them gave an answer; G where there is none.
        bounds: Where the pairs with 0, 1, ... agents to be asked begin, and the end.
    """

    state: Int[Tensor, " G"]
    added: Int[Tensor, " G"]
    child: Int[Tensor, "G O"]
    bounds: tuple[int, ...]


@lru_cache(maxsize=32)
def goals(num_agents: int, max_calls: int, max_wave: int) -> Goals:
    """Return all goals of a pool."""
    space = states(num_agents, max_calls)
    free = [[m for m, x in enumerate(state) if x == NOT_ASKED] for state in space.index]
    level, child = space.level.tolist(), space.child.tolist()
    index: dict[tuple[int, int], int] = {}
    rows: list[list[int]] = []
    bounds = [0]
    num_outcomes = space.child.shape[2]
    for num in range(min(max_wave, max_calls) + 1):
        for s in range(len(free)):
            if level[s] + num > max_calls:
                continue
            for some in combinations(free[s], num):
                index[s, sum(1 << m for m in some)] = len(index)
                if num:
                    rest = sum(1 << m for m in some[1:])
                    rows.append([index.get((after, rest), -1) for after in child[s][some[0]]])
                else:
                    rows.append([-1] * num_outcomes)
        bounds.append(len(index))
    state, added = torch.tensor(list(index)).T
    after_ = torch.tensor(rows)
    return Goals(state=state, added=added, child=torch.where(after_ < 0, len(index), after_), bounds=tuple(bounds))


def choose(
    model: Response,
    kind: int,
    prior: Float[Tensor, "B Q"],
    dearer: Float[Tensor, " B"],
    price: float,
    *,
    size: int = 8,
    depth: int = 3,
    candidates: Sequence[int] | None = None,
    num_passes: int = 2,
) -> list[int]:
    """Return the pool that is worth most at a price, found by adding agents and exchanging them.

    Args:
        prior: Of some questions that stand for all.
        dearer: Of these, as of `solve`.
        price: lambda.
        size: How many agents the pool has at most.
        depth: How many are asked at most while pools are compared.
        candidates: Who may be in it; all agents unless given.
    """
    everyone = list(range(model.ability.shape[1])) if candidates is None else list(candidates)

    def value(pool: Sequence[int]) -> float:
        known = table(model, kind, pool, max_calls=depth)
        return float(solve(known, prior, dearer, price).worth[0].mean())

    pool: list[int] = []
    best = 0.0
    while len(pool) < min(size, len(everyone)):
        found = max(((value([*pool, m]), m) for m in everyone if m not in pool), key=lambda pair: pair[0])
        if pool and found[0] <= best + ENOUGH:
            break
        best = found[0]
        pool.append(found[1])
    for _ in range(num_passes):
        before = list(pool)
        for old in before:
            rest = [m for m in pool if m != old]
            others = [(value([*rest, m]), m) for m in everyone if m not in pool]
            worth, m = max(others, default=(best, old))
            if worth > best + ENOUGH:
                best, pool = worth, [*rest, m]
        if pool == before:
            break
    return sorted(pool)
