"""The planner against exhaustive search over everything that agents could answer."""

from collections import defaultdict
from itertools import combinations, product

import pytest
import torch

from gdesign.design.joint import planner, policy
from gdesign.design.joint.response import LOG_WEIGHT, Response, Z, log_prior

RIGHT, SILENT = "right", None


def model(num_agents: int, *, seed: int = 0) -> Response:
    """Return a model with drawn parameters, of one kind of question."""
    g = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g)

    return Response(
        ability=draw(1, num_agents),
        slope=draw(1, num_agents).mul(0.3).exp(),
        trap=draw(1, num_agents),
        agree=draw(1, 3).mul(0.5),
        unreadable=draw(1, num_agents) - 1,
        cost=torch.stack([draw(1, num_agents), 0.3 * draw(1, num_agents)], dim=-1),
        centre=torch.zeros(1, 2),
        components=torch.zeros(1, 2, 1),
        ease=torch.zeros(1, 1),
        length=torch.zeros(1, 1),
        blank=torch.zeros(1, dtype=torch.bool),
    )


def prior(*means: float) -> torch.Tensor:
    """Return the nodes of questions of some ease."""
    return log_prior(torch.tensor(means)).exp()


def everything(found: Response, nodes: torch.Tensor) -> list[tuple[float, tuple[str | None, ...], tuple[float, ...]]]:
    """Return probability, answers and expected costs of everything that agents could answer.

    Wrong agents sit down one after the other, as in the restaurant.
    """
    p, v = found.logit()[0].sigmoid(), found.unreadable[0].sigmoid()
    alpha, usd = found.log_concentration()[0].exp(), found.usd()[0]
    worlds = []
    for rights in product([True, False], repeat=len(p)):
        for seats in product([SILENT, *map(str, range(len(p)))], repeat=sum(not r for r in rights)):
            chance, table, seat, answers = nodes.clone(), defaultdict(int), iter(seats), []
            for m, right in enumerate(rights):
                if right:
                    chance, answer = chance * p[m], RIGHT
                else:
                    answer = next(seat)
                    chance = chance * (1 - p[m])
                    if answer is SILENT:
                        chance = chance * v[m]
                    elif table[answer]:
                        chance = chance * (1 - v[m]) * table[answer] / (sum(table.values()) + alpha)
                    elif answer == str(sum(n > 0 for n in table.values())):  # the next free one
                        chance = chance * (1 - v[m]) * alpha / (sum(table.values()) + alpha)
                    else:
                        chance = chance * 0
                    if answer is not SILENT:
                        table[answer] += 1
                answers.append(answer)
            if chance.sum() > 0:
                worlds.append((float(chance.sum()), tuple(answers), tuple(float(chance @ c) for c in usd)))
    return worlds


def seen(answers: tuple[str | None, ...], asked: frozenset[int]) -> policy.State:
    """Return who of those asked gave equal answers."""
    names: dict[str, int] = {}
    return policy.canonical(
        [
            policy.NOT_ASKED
            if m not in asked
            else policy.UNREADABLE
            if a is SILENT
            else names.setdefault(a, len(names) + 1)
            for m, a in enumerate(answers)
        ]
    )


def search(worlds, price: float, sets, waves: int, asked: frozenset[int] = frozenset()) -> float:
    """Return the value of the best policy, by going through all of what may follow."""
    num = len(worlds[0][1])
    best = max(
        (sum(p for p, a, _ in worlds if a[m] == RIGHT) for m in asked if worlds[0][1][m] is not SILENT), default=0.0
    )
    if not waves:
        return best
    for some in sets(num, asked):
        groups = defaultdict(list)
        for world in worlds:
            groups[seen(world[1], asked | set(some))].append(world)
        paid = price * sum(c[m] for _, _, c in worlds for m in some)
        value = sum(search(g, price, sets, waves - 1, asked | set(some)) for g in groups.values()) - paid
        best = max(best, value)
    return best


def one(num: int, asked: frozenset[int]) -> list[tuple[int, ...]]:
    """Return every agent that was not asked."""
    return [(m,) for m in range(num) if m not in asked]


def several(num: int, asked: frozenset[int]) -> list[tuple[int, ...]]:
    """Return every set of agents that were not asked."""
    rest = [m for m in range(num) if m not in asked]
    return [some for k in range(1, len(rest) + 1) for some in combinations(rest, k)]


@pytest.mark.parametrize("seed", range(3))
def test_probabilities_of_states_are_those_of_everything_that_could_be_answered(seed: int) -> None:
    found, nodes = model(3, seed=seed), prior(0.4)
    known = planner.table(found, 0, [0, 1, 2], max_calls=3)
    expected = torch.zeros(known.joint.shape[:2])
    for chance, answers, _ in everything(found, nodes[0]):
        for num in range(4):
            for asked in map(frozenset, combinations(range(3), num)):
                state = seen(answers, asked)
                right = next((state[m] for m in asked if answers[m] == RIGHT), 0)
                expected[known.states.index[state], right] += chance
    assert torch.allclose((known.joint @ nodes[0].double()).float(), expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("price", [0.01, 0.1])
def test_one_at_a_time_is_worth_what_exhaustive_search_finds(seed: int, price: float) -> None:
    found, nodes = model(3, seed=seed), prior(0.0, 0.7)
    plan = planner.solve(planner.table(found, 0, [0, 1, 2], max_calls=3), nodes, torch.ones(2), price)
    for b in range(2):
        best = search(everything(found, nodes[b]), price, one, 3)
        assert float(plan.worth[0, b]) == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("max_waves", [1, 2])
def test_waves_are_worth_what_exhaustive_search_finds(seed: int, max_waves: int) -> None:
    found, nodes = model(3, seed=seed), prior(0.3)
    known = planner.table(found, 0, [0, 1, 2], max_calls=3)
    plan = planner.solve_waves(known, nodes, torch.ones(1), 0.05, max_waves=max_waves)
    best = search(everything(found, nodes[0]), 0.05, several, max_waves)
    assert float(plan.worth[0, 0]) == pytest.approx(best, abs=1e-5)
    assert not plan.action[-1].any()


def test_waves_of_one_agent_are_the_plan_of_one_at_a_time() -> None:
    found, nodes = model(4, seed=1), prior(0.0)
    known = planner.table(found, 0, range(4), max_calls=4)
    one_by_one = planner.solve(known, nodes, torch.ones(1), 0.02)
    waves = planner.solve_waves(known, nodes, torch.ones(1), 0.02, max_waves=4, max_wave=1)
    assert torch.allclose(waves.worth, one_by_one.worth, atol=1e-6)


def test_the_pool_is_who_is_worth_most_together() -> None:
    found, nodes = model(6, seed=2), prior(0.0)

    def value(pool: tuple[int, ...]) -> float:
        return float(planner.solve(planner.table(found, 0, pool, max_calls=3), nodes, torch.ones(1), 0.02).worth[0])

    chosen = planner.choose(found, 0, nodes, torch.ones(1), 0.02, size=3)
    assert value(tuple(chosen)) >= max(map(value, combinations(range(6), 3))) - 1e-3


def test_following_a_plan_on_known_answers_comes_to_its_value() -> None:
    found, nodes = model(3, seed=5), prior(0.0)
    known = planner.table(found, 0, range(3), max_calls=3)
    worlds = everything(found, nodes[0])
    names: dict[str, int] = {}
    block = torch.tensor([[-1 if a is SILENT else names.setdefault(a, len(names)) for a in w] for _, w, _ in worlds])
    right = torch.tensor([[a == RIGHT for a in w] for _, w, _ in worlds]).float()
    chance = torch.tensor([p for p, _, _ in worlds])
    usd = torch.tensor([c for _, _, c in worlds])  # times the chance already
    many, dearer = nodes.expand(len(worlds), -1), torch.ones(len(worlds))
    for plan in (
        planner.solve(known, many, dearer, 0.1),
        planner.solve_waves(known, many, dearer, 0.1, max_waves=2),
    ):
        done = planner.follow(known.states, plan, block)
        won = torch.where(done.taken >= 0, right[torch.arange(len(right)), done.taken], 0.0)
        value = (chance * won).sum() - 0.1 * (usd * done.asked).sum()
        assert float(value) == pytest.approx(float(plan.worth[0, 0]), abs=1e-5)


def test_nodes_are_a_normal_distribution() -> None:
    w = log_prior(torch.tensor([0.5])).exp()[0]
    assert float(w @ Z) == pytest.approx(0.5, abs=1e-2)
    assert float(w @ (Z - 0.5) ** 2) == pytest.approx(1.0, abs=2e-2)
    assert float(LOG_WEIGHT[:4].exp().sum()) == pytest.approx(1.0)


@pytest.mark.parametrize(("num_agents", "max_calls"), [(1, 1), (3, 2), (3, 5), (5, 4), (6, 6)])
def test_states_are_counted_without_listing_them(num_agents, max_calls):
    assert planner.num_states(num_agents, max_calls) == len(planner.states(num_agents, max_calls).label)
