"""Whom to ask next, and when to stop: exact, by dynamic programming over who gave equal answers.

A state is who of a small pool was asked and which of their answers are equal; which answers these are does not matter.
All states are solved backwards for the response model of `gdesign.design.joint.response`. Stopping takes the answer
that is most likely right. Going on asks the agents with the largest expected value less lambda times expected cost.
The price enters here alone, so one fit serves every price.

Everything is linear in the probability of the nodes (difficulty and trap) before anybody was asked, which is all that
a question's text changes: probabilities of states are a table once and for all, questions are columns that it is
multiplied with.

Shape letters: S states, M agents of the pool, J ways to be right (none, block 1, 2, ...), Q nodes, B questions, O
outcomes of asking (unreadable, as block 1, 2, ..., or new), G goals (a state, and who will have been asked).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from gdesign.design.joint.response import Response

NOT_ASKED, UNREADABLE = -1, 0
"""What a state says of an agent beside its block, counted from 1."""
State = tuple[int, ...]


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


def canonical(labels: Sequence[int]) -> State:
    """Return the state with its blocks numbered by their first agents."""
    seen: dict[int, int] = {}
    return tuple(x if x <= UNREADABLE else seen.setdefault(x, len(seen) + 1) for x in labels)


@lru_cache(maxsize=32)
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
    logit = model.logit()[kind, columns]
    log_alpha = model.log_concentration()[kind]
    unreadable = model.unreadable[kind, columns]
    label = all_states.label
    num_blocks = all_states.child.shape[2] - 1
    asked = (label != NOT_ASKED).float()
    readable = (label > UNREADABLE).float()
    silent = (label == UNREADABLE).float()
    base = asked @ logsigmoid(-logit) + (readable @ logsigmoid(-unreadable) + silent @ logsigmoid(unreadable))[:, None]
    member = torch.stack([(label == j).float() for j in range(1, num_blocks + 1)], dim=1)  # S, blocks, M
    gain = torch.einsum("sjm,mq->sjq", member, logit) - torch.einsum("sjm,m->sj", member, logsigmoid(-unreadable))[
        ..., None
    ]
    size = member.sum(2)
    count = size.sum(1)
    blocks = (size > 0).sum(1)
    among = torch.zeros(len(pool) + 1, log_alpha.shape[0])  # log of alpha (alpha + 1) ... (alpha + n - 1)
    for n in range(1, len(pool) + 1):
        among[n] = among[n - 1] + torch.logaddexp(log_alpha, torch.tensor(float(n - 1)).log())
    orders = torch.lgamma(size.clamp_min(1))

    def seating(num: Int[Tensor, " S"], of: Int[Tensor, " S"], order: Float[Tensor, " S"]) -> Float[Tensor, "S Q"]:
        return of[:, None] * log_alpha + order[:, None] - among[num]

    every = orders.sum(1)
    ways = [base + seating(count.long(), blocks, every)]
    for j in range(num_blocks):
        way = base + gain[:, j] + seating((count - size[:, j]).long(), blocks - 1, every - orders[:, j])
        ways.append(torch.where((size[:, j] > 0)[:, None], way, -torch.inf))
    joint = torch.stack(ways, dim=1).exp()
    usd = joint.sum(1)[:, None] * model.usd()[kind, columns]
    return Table(states=all_states, joint=joint, usd=usd * (1 - asked)[..., None])


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do in every state, for each question.

    Attributes:
        worth: Probability of a state times what going on from there is worth; row 0 is the value of the question.
        action: The agent asked next, an index into the pool; -1 to stop.
        best: The block that stopping takes, from 1; 0 where nothing can be read.
        sure: Probability of a state times that of the best block.
        reach: Probability of a state were all its agents asked.
        spent: Expected cost from there on, times the probability of the state.
    """

    worth: Float[Tensor, "S B"]
    action: Int[Tensor, "S B"]
    best: Int[Tensor, "S B"]
    sure: Float[Tensor, "S B"]
    reach: Float[Tensor, "S B"]


def solve(
    known: Table, prior: Float[Tensor, "B Q"], price: Float[Tensor, " B"], *, allowed: Bool[Tensor, " M"] | None = None
) -> Plan:
    """Return the best policy of one agent at a time.

    Args:
        price: lambda, times how much dearer than usual the question is.
        allowed: Who of the pool may be asked; all unless given.
    """
    num_states, num_ways, num_nodes = known.joint.shape
    num_agents = known.usd.shape[1]
    joint = (known.joint.view(-1, num_nodes) @ prior.mT).view(num_states, num_ways, -1)
    usd = (known.usd.view(-1, num_nodes) @ prior.mT).view(num_states, num_agents, -1) * price
    reach = joint.sum(1)
    sure, best = joint[:, 1:].max(1)
    best = torch.where(sure > 0, best + 1, 0)
    worth = torch.cat([sure, torch.zeros_like(sure[:1])])  # the last row stands for what cannot happen
    action = torch.full_like(best, -1)
    level, child = known.states.level, known.states.child
    free = known.states.label == NOT_ASKED
    if allowed is not None:
        free = free & allowed
    bounds = torch.searchsorted(level, torch.arange(int(level[-1]) + 2)).tolist()
    for k in range(len(bounds) - 3, -1, -1):
        here = slice(bounds[k], bounds[k + 1])
        go = worth[child[here]].sum(2) - usd[here]
        go = torch.where(free[here][..., None], go, -torch.inf)
        value, agent = go.max(1)
        better = value > sure[here]
        worth[here] = torch.where(better, value, sure[here])
        action[here] = torch.where(better, agent, -1)
    return Plan(worth=worth[:-1], action=action, best=best, sure=sure, reach=reach)


def choose(
    model: Response,
    kind: int,
    prior: Float[Tensor, "B Q"],
    price: Float[Tensor, " B"],
    *,
    size: int = 8,
    depth: int = 3,
    candidates: Sequence[int] | None = None,
    num_passes: int = 2,
) -> list[int]:
    """Return the pool that is worth most at a price, found by adding agents and exchanging them.

    Args:
        prior: Of some questions that stand for all.
        price: Of these.
        size: How many agents the pool has at most.
        depth: How many are asked at most while pools are compared.
        candidates: Who may be in it; all agents unless given.
    """
    everyone = list(range(model.ability.shape[1])) if candidates is None else list(candidates)

    def value(pool: Sequence[int]) -> float:
        known = table(model, kind, pool, max_calls=depth)
        return float(solve(known, prior, price).worth[0].mean())

    pool: list[int] = []
    best = 0.0
    while len(pool) < min(size, len(everyone)):
        found = max(((value([*pool, m]), m) for m in everyone if m not in pool), key=lambda pair: pair[0])
        if pool and found[0] <= best + 1e-5:
            break
        best = found[0]
        pool.append(found[1])
    for _ in range(num_passes):
        changed = False
        for i in range(len(pool)):
            rest = pool[:i] + pool[i + 1 :]
            for m in everyone:
                if m not in pool and (other := value([*rest, m])) > best + 1e-5:
                    pool, best, changed = [*rest, m], other, True
                    rest = pool[:i] + pool[i + 1 :]
                    rest = [p for p in pool if p != m]
        if not changed:
            break
    return sorted(pool)
