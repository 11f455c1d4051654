import asyncio
import random
from time import perf_counter

import pytest
import torch

from gdesign.agents import teams
from gdesign.design.joint.vocabulary import SHAPES, compose
from gdesign.design.searches.exhaustive import Search
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError
from gdesign.execute.reward import Reward, account
from gdesign.execute.run import run
from gdesign.types import Outcome, Request, Run, Task, Usage
from tests import laws, worlds

FAMILIES = ("singles", "votes", "cascades")


def fitted(space: Space, **options: object) -> Search:
    search = Search(space=space, families=FAMILIES[: 1 if len(space.slots) < 3 else 3], **options)
    n = len(space.slots)
    search.fit(answers=[["a"] * n], scores=torch.ones(1, n), usd=torch.arange(n, 0.0, -1.0)[None], usd_weight=1.0)
    return search


def every_family(space: Space):
    return [*laws.singles(space), *([*laws.cascades(space), *laws.votes(space)] if len(space.slots) >= 3 else [])]


SEARCH = laws.Method(
    name="search", make=lambda space: fitted(_once(space)), designs=every_family, query_dependent=False, learned=False
)


def _once(space: Space) -> Space:
    """Return the space with each candidate in one slot, which is what search asks for."""
    return Space(pool=space.pool, slots=tuple(dict.fromkeys(space.slots)), text_dim=space.text_dim)


@pytest.mark.parametrize("law", laws.applying_to(SEARCH), ids=lambda law: law.__name__)
def test_search_keeps_the_law(law):
    law(SEARCH)


# --------------------------------------------------------------------------- against the executor

REPLIES = ("A", "B", "C", "", "?")
"""Two of them are no plain answers: the empty string, which is one here, and one that nobody can read."""


def extract(task: Task, text: str) -> str | None:
    return None if text == "?" else text


def grade(task: Task, answer: str) -> float:
    return float(answer == task.answer)


def reply(request: Request) -> str:
    assert request.origin is not None
    return random.Random(f"{request.origin.task_id} {request.llm}").choice(REPLIES)


def usage(request: Request) -> Usage:
    rng = random.Random(f"usage {request.origin.task_id} {request.llm}")
    return Usage(prompt_tokens=rng.randrange(1, 1000), completion_tokens=rng.randrange(1, 1000))


def recorded_score(request: Request) -> float | None:
    """A recording's own verdict; it may differ between agents with the same answer."""
    assert request.origin is not None
    return random.Random(f"score {request.origin.task_id} {request.llm}").choice([None, 0.0, 1.0])


async def executed(design, tasks, pool) -> list[tuple[Run, Outcome]]:
    llm = worlds.Scripted(reply, usage=usage, score=recorded_score)
    runs = [await run(design, task, pool=pool, llm=llm, extract=extract) for task in tasks]
    return [(r, account(r, grade=grade, pool=pool)) for r in runs]


def replies_alone(search: Search, tasks):
    rows = [asyncio.run(executed(probe, tasks, search.space.pool)) for probe in search.probes]
    return {
        "answers": [[row[t][0].answer for row in rows] for t in range(len(tasks))],
        "scores": torch.tensor([[row[t][1].score for row in rows] for t in range(len(tasks))], dtype=torch.float64),
        "usd": torch.tensor([[row[t][1].usd for row in rows] for t in range(len(tasks))], dtype=torch.float64),
    }


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_voters", [3, 4])
def test_composed_outcomes_are_those_of_the_executor(family, num_voters):
    space = worlds.encoder(5).space
    tasks = [Task(id=f"t{i}", question="?", answer=REPLIES[i % 4], benchmark="b") for i in range(40)]
    search = Search(space=space, families=[family], num_voters=num_voters)
    alone = replies_alone(search, tasks)
    found = search.fit(**alone, usd_weight=2.0, num_best=1000)
    assert len(found) == {"singles": 5, "votes": 10 if num_voters == 3 else 5, "cascades": 30}[family]
    assert len({f.design for f in found}) == len(found)
    assert [f.utility for f in found] == sorted((f.utility for f in found), reverse=True)
    for f in found[:: max(1, len(found) // 6)]:
        outcomes = [o for _, o in asyncio.run(executed(f.design, tasks, space.pool))]
        assert f.score == pytest.approx(sum(o.score for o in outcomes) / 40)
        assert f.usd == pytest.approx(sum(o.usd for o in outcomes) / 40)
        assert f.utility == pytest.approx(sum(Reward(usd_weight=2.0).utility(o) for o in outcomes) / 40)


def test_order_of_names_and_of_slots_may_differ():
    encoder = worlds.encoder(4, slots=[3, 1, 0, 2])
    tasks = [Task(id=f"t{i}", question="?", answer="A", benchmark="b") for i in range(40)]
    search = Search(space=encoder.space, families=["cascades", "votes"])
    for f in search.fit(**replies_alone(search, tasks), num_best=1000):
        outcomes = [o for _, o in asyncio.run(executed(f.design, tasks, encoder.space.pool))]
        assert f.score == pytest.approx(sum(o.score for o in outcomes) / 40)


# --------------------------------------------------------------------------- what is found


def test_the_best_cascade_is_found():
    space = worlds.encoder(4).space
    search = Search(space=space, families=["cascades"])
    # 1 and 2 disagree exactly where both may be wrong, and there 3 is right
    answers = [["x", "a", "a", "z"], ["x", "a", "b", "c"], ["x", "b", "a", "c"], ["x", "a", "a", "z"]]
    right = ["a", "c", "c", "a"]
    scores = torch.tensor([[float(a == r) for a in row] for row, r in zip(answers, right, strict=True)])
    found = search.fit(answers=answers, scores=scores, usd=torch.full((4, 4), 0.001))
    assert search.design == found[0].design == teams.cascade([space.agents[i] for i in (1, 2, 3)])
    assert (found[0].score, found[0].usd) == (pytest.approx(1.0), pytest.approx(0.0025))


def test_the_price_of_cost_changes_the_choice():
    space = worlds.encoder(2).space
    search = Search(space=space, families=["singles"])
    replies = {"answers": [["a", "b"]], "scores": torch.tensor([[0.8, 1.0]]), "usd": torch.tensor([[0.001, 0.002]])}
    search.fit(**replies)
    assert search.design.agents == space.agents[1:]
    search.fit(**replies, usd_weight=0.5)
    assert search.design.agents == space.agents[:1]


def test_weights_count():
    space = worlds.encoder(2).space
    search = Search(space=space, families=["singles"])
    answers, scores = [["a", "b"], ["a", "b"]], torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    search.fit(answers=answers, scores=scores, usd=torch.zeros(2, 2), weight=torch.tensor([1.0, 3.0]))
    assert search.design.agents == space.agents[1:]


def test_a_checkpoint_brings_the_design_back(tmp_path):
    space = worlds.encoder(4).space
    search = fitted(space)
    torch.save(search.state_dict(), tmp_path / "c.ckpt")
    other = Search(space=space, families=FAMILIES)
    other.load_state_dict(torch.load(tmp_path / "c.ckpt", weights_only=True))
    assert other.design == search.design


def test_a_search_that_saw_no_question_says_so():
    encoder = worlds.encoder(3)
    with pytest.raises(ConfigError, match="train it first"):
        Search(space=encoder.space, families=FAMILIES)(encoder(worlds.tasks(1)))


@pytest.mark.parametrize(
    ("options", "slots", "message"),
    [
        ({"families": ["chains"]}, [0, 1, 2], "family 'chains' is unknown"),
        ({"families": ["votes"], "num_voters": 1}, [0, 1, 2], "num_voters must be 2 or more"),
        ({"families": ["cascades"]}, [0, 1], "no design of cascades can be made of 2 agents"),
        ({"families": ["singles"]}, [0, 0], "holds a candidate twice"),
    ],
)
def test_impossible_searches_are_refused(options, slots, message):
    with pytest.raises(ConfigError, match=message):
        Search(space=worlds.encoder(3, slots=slots).space, **options)


def test_all_cascades_of_26_agents_on_800_questions_take_seconds():
    search = Search(space=worlds.encoder(26).space, families=["cascades"])
    generator = torch.Generator().manual_seed(0)
    answers = [[str(a) for a in row] for row in torch.randint(0, 4, (800, 26), generator=generator).tolist()]
    scores, usd = (torch.rand(800, 26, generator=generator) for _ in range(2))
    began = perf_counter()
    assert len(search.fit(answers=answers, scores=scores, usd=usd, num_best=10_000)) == 26 * 25 * 24 // 2
    assert perf_counter() - began < 20


def test_chunks_do_not_show():
    teams = torch.combinations(torch.arange(4), 3)
    ids = torch.randint(-1, 2, (5, 4), generator=torch.Generator().manual_seed(0))
    scores, usd = torch.rand(5, 4, generator=torch.Generator().manual_seed(1)), torch.ones(5, 4)
    whole, _ = compose(SHAPES["vote"].skeleton, ids[:, teams], scores[:, teams], usd[:, teams])
    parts = [compose(SHAPES["vote"].skeleton, ids[:, t[None]], scores[:, t[None]], usd[:, t[None]])[0] for t in teams]
    assert torch.equal(whole, torch.cat(parts, dim=1))
