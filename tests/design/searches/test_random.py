import random
from collections import Counter

import pytest
import torch

from gdesign.agents import teams
from gdesign.design.searches.enumerate import small_designs
from gdesign.design.searches.random import RandomSearch
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError
from gdesign.types import Design, Task
from tests import laws, worlds
from tests.design.searching import Worth, finish


def made(space: Space) -> RandomSearch:
    search = RandomSearch(space=space, num_runs=100)
    finish(search, planted(teams.single(space.agents[:1])), tasks=worlds.tasks(6))
    return search


def planted(best: Design, *, noise: float = 0.0) -> Worth:
    """The best design is right nine times of ten, all others are right half of the time, or without noise never."""

    def worth(design: Design, task: Task, seed: int) -> float:
        p = 0.5 + 0.4 * (design == best) if noise else float(design == best)
        return float(random.Random(f"{design}{task.id}{seed}").random() < p)

    return worth


RANDOM_SEARCH = laws.Method(
    name="random_search",
    make=made,
    designs=lambda space: small_designs(space.pool),
    query_dependent=False,
    learned=False,
)


@pytest.mark.parametrize("law", laws.applying_to(RANDOM_SEARCH), ids=lambda law: law.__name__)
def test_random_search_keeps_the_law(law):
    law(RANDOM_SEARCH)


def test_a_planted_best_design_is_found_through_noise():
    space = worlds.encoder(3).space
    best = small_designs(space.pool)[40]
    search = RandomSearch(space=space, num_runs=6000, num_samples=100)
    finish(search, planted(best, noise=1.0), tasks=worlds.tasks(30))
    assert search.design == best


@pytest.mark.parametrize("num_runs", [16, 17, 300, 1001])
def test_the_number_of_runs_is_exact(num_runs):
    space = worlds.encoder(3).space
    search = RandomSearch(space=space, num_runs=num_runs, num_samples=1000)
    asked = finish(search, planted(small_designs(space.pool)[7]), tasks=worlds.tasks(6))
    assert len(asked) == num_runs
    assert len(set(asked)) == num_runs  # nothing is run twice


def test_every_drawn_design_gets_its_first_runs_and_the_better_ones_get_more():
    space = worlds.encoder(3).space
    search = RandomSearch(space=space, num_runs=1000, num_samples=1000)
    best = small_designs(space.pool)[7]
    asked = finish(search, planted(best), tasks=worlds.tasks(6))
    runs = Counter(design for design, _, _ in asked)
    assert min(runs.values()) >= 8
    if best in runs:
        assert runs[best] == max(runs.values())


def test_all_designs_of_a_round_see_the_same_questions():
    space = worlds.encoder(3).space
    asked = finish(RandomSearch(space=space, num_runs=400), planted(teams.single(space.agents[:1])), tasks=TASKS)
    seen: dict[Design, set[str]] = {}
    for design, task, _ in asked:
        seen.setdefault(design, set()).add(task.id)
    least = min(seen.values(), key=len)
    assert all(least <= other for other in seen.values())


TASKS = worlds.tasks(200)


def test_a_search_ends_early_where_everything_was_seen():
    space = worlds.encoder(1).space
    search = RandomSearch(space=space, num_runs=100)
    assert len(finish(search, planted(teams.single(space.agents)), tasks=worlds.tasks(6))) == 6


def test_without_messages_nobody_hears_anyone():
    search = RandomSearch(space=worlds.encoder(4).space, num_runs=300, messages=False)
    assert all(not d.spatial for d in search.family)
    assert set(search.family) == {d for d in small_designs(worlds.pool(4)) if not d.spatial}


def test_the_price_of_cost_changes_the_choice():
    space = worlds.encoder(2).space
    more = planted(teams.chain(space.agents))
    for usd_weight, num in ((0.0, 2), (5.0, 1)):
        search = RandomSearch(space=space, num_runs=500, num_samples=100)
        finish(search, more, tasks=worlds.tasks(6), usd=0.001, usd_weight=usd_weight)
        assert len(search.design.agents) == num


def test_weights_count():
    space = worlds.encoder(2).space
    tasks = [Task(id=str(i), question="?", answer="", benchmark="b", weight=w) for i, w in enumerate([1.0, 3.0])]
    favourites = {"0": teams.single(space.agents[:1]), "1": teams.single(space.agents[1:])}
    search = RandomSearch(space=space, num_runs=500)
    finish(search, lambda design, task, seed: float(design == favourites[task.id]), tasks=tasks)
    assert search.design == favourites["1"]


def test_a_checkpoint_brings_the_design_back_and_a_seed_repeats_itself(tmp_path):
    space = worlds.encoder(3).space
    searches = [RandomSearch(space=space, num_runs=300) for _ in range(2)]
    worth = planted(small_designs(space.pool)[30], noise=1.0)
    asked = [finish(s, worth, tasks=TASKS, seed=5) for s in searches]
    assert asked[0] == asked[1]
    assert finish(RandomSearch(space=space, num_runs=300), worth, tasks=TASKS, seed=6) != asked[0]
    torch.save(searches[0].state_dict(), tmp_path / "c.ckpt")
    other = RandomSearch(space=space, num_runs=300)
    other.load_state_dict(torch.load(tmp_path / "c.ckpt", weights_only=True))
    assert other.design == searches[1].design


def test_a_search_that_saw_no_question_says_so():
    encoder = worlds.encoder(3)
    with pytest.raises(ConfigError, match="train it first"):
        RandomSearch(space=encoder.space, num_runs=300)(encoder(worlds.tasks(1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_runs": 0}, "num_runs must be 1 or more"),
        ({"num_runs": 15}, "too few to run two designs"),
        ({"max_agents": 0}, "max_agents must be 1 or more"),
    ],
)
def test_impossible_searches_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        RandomSearch(space=worlds.encoder(3).space, **{"num_runs": 300, **options})
