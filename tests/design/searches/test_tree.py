import random
from collections import Counter

import pytest
import torch

from gdesign.agents import teams
from gdesign.design.searches.enumerate import small_designs
from gdesign.design.searches.tree import TreeSearch, moves
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError
from gdesign.types import Design, Task
from tests import laws, worlds
from tests.design.searching import finish

TASKS = worlds.tasks(200)


def made(space: Space) -> TreeSearch:
    search = TreeSearch(space=space, num_runs=100)
    best = teams.single(space.agents[:1])
    finish(search, lambda design, task, seed: float(design == best), tasks=worlds.tasks(6))
    return search


TREE_SEARCH = laws.Method(
    name="tree_search",
    make=made,
    designs=lambda space: small_designs(space.pool),
    query_dependent=False,
    learned=False,
)


@pytest.mark.parametrize("law", laws.applying_to(TREE_SEARCH), ids=lambda law: law.__name__)
def test_tree_search_keeps_the_law(law):
    law(TREE_SEARCH)


def uphill(design: Design, task: Task, seed: int) -> float:
    """Right more often with role-0, still more with a second agent after it, most with a third that both tell."""
    names = [a.llm[-1] for a in design.agents]
    told = {(names[e.src], names[e.dst]) for e in design.spatial}
    p = 0.2 + 0.2 * ("0" in names) + 0.2 * (("0", "1") in told) + 0.3 * (("1", "2") in told and names[-1] == "2")
    return float(random.Random(f"{design}{task.id}{seed}").random() < p)


def test_a_search_climbs_through_noise_to_a_large_design():
    search = TreeSearch(space=worlds.encoder(5).space, num_runs=3000, num_samples=100)
    finish(search, uphill, tasks=TASKS)
    heard = {(search.design.agents[e.src].llm, search.design.agents[e.dst].llm) for e in search.design.spatial}
    assert {("llm-0", "llm-1"), ("llm-1", "llm-2")} <= heard
    assert search.design.agents[-1].llm == "llm-2"


@pytest.mark.parametrize("num_parallel", [1, 7])
@pytest.mark.parametrize("num_runs", [1, 50, 501])
def test_the_number_of_runs_is_exact_and_nothing_is_run_twice(num_runs, num_parallel):
    search = TreeSearch(space=worlds.encoder(3).space, num_runs=num_runs, num_parallel=num_parallel)
    asked = finish(search, uphill, tasks=TASKS)
    assert len(asked) == len(set(asked)) == num_runs


def test_runs_gather_where_utility_is():
    asked = finish(TreeSearch(space=worlds.encoder(6).space, num_runs=1000), uphill, tasks=TASKS)
    with_best = Counter(any(a.llm == "llm-0" for a in design.agents) for design, _, _ in asked)
    assert with_best[True] > 3 * with_best[False]


def test_all_designs_see_the_questions_in_one_order():
    asked = finish(TreeSearch(space=worlds.encoder(3).space, num_runs=500), uphill, tasks=TASKS)
    seen: dict[Design, list[str]] = {}
    for design, task, _ in asked:
        seen.setdefault(design, []).append(task.id)
    longest = max(seen.values(), key=len)
    assert all(ids == longest[: len(ids)] for ids in seen.values())


def test_a_search_ends_early_where_everything_was_seen():
    space = worlds.encoder(2).space
    search = TreeSearch(space=space, num_runs=10_000)
    asked = finish(search, uphill, tasks=worlds.tasks(6))
    assert len(asked) == 6 * len({d for d, _, _ in asked})
    assert {d for d, _, _ in asked} == everything(space)


def everything(space: Space, *, max_agents: int = 3) -> set[Design]:
    found: set[Design] = set()
    todo: list[Design | None] = [None]
    while todo:
        for design in moves(todo.pop(), space.agents, max_agents=max_agents):
            if design not in found:
                found.add(design)
                todo.append(design)
    return found


@pytest.mark.parametrize("num", [1, 2, 3])
def test_moves_reach_every_small_design(num):
    space = worlds.encoder(num).space
    assert set(small_designs(space.pool)) <= everything(space)


def test_no_design_has_an_agent_twice_or_too_many():
    for design in everything(worlds.encoder(4).space, max_agents=2):
        assert len({a.llm for a in design.agents}) == len(design.agents) <= 2


def test_the_price_of_cost_changes_the_choice():
    space = worlds.encoder(2).space
    for usd_weight, num in ((0.0, 2), (5.0, 1)):
        search = TreeSearch(space=space, num_runs=500, num_samples=100)
        finish(
            search,
            lambda design, task, seed: float(design == teams.chain(space.agents)),
            tasks=worlds.tasks(6),
            usd=0.001,
            usd_weight=usd_weight,
        )
        assert len(search.design.agents) == num


def test_a_checkpoint_brings_the_design_back_and_a_seed_repeats_itself(tmp_path):
    space = worlds.encoder(4).space
    searches = [TreeSearch(space=space, num_runs=300) for _ in range(2)]
    asked = [finish(s, uphill, tasks=TASKS, seed=5) for s in searches]
    assert asked[0] == asked[1]
    assert finish(TreeSearch(space=space, num_runs=300), uphill, tasks=TASKS, seed=6) != asked[0]
    torch.save(searches[0].state_dict(), tmp_path / "c.ckpt")
    other = TreeSearch(space=space, num_runs=300)
    other.load_state_dict(torch.load(tmp_path / "c.ckpt", weights_only=True))
    assert other.design == searches[1].design


def test_a_search_that_saw_no_question_says_so():
    encoder = worlds.encoder(3)
    with pytest.raises(ConfigError, match="train it first"):
        TreeSearch(space=encoder.space, num_runs=300)(encoder(worlds.tasks(1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_runs": 0}, "num_runs must be 1 or more"),
        ({"num_parallel": 0}, "num_parallel must be 1 or more"),
        ({"exploration": -1.0}, "exploration must be 0 or more"),
    ],
)
def test_impossible_searches_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        TreeSearch(space=worlds.encoder(3).space, **{"num_runs": 300, **options})
