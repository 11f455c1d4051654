import asyncio
import random
from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest
import torch

from gdesign.agents import teams
from gdesign.design.joint.places import ungated
from gdesign.design.joint.vocabulary import SHAPES, Vocabulary, compose
from gdesign.errors import ConfigError, DesignError
from gdesign.execute.reward import account
from gdesign.execute.run import run
from gdesign.types import Decision, Design, Gate, Request, Usage
from tests import worlds


@pytest.mark.parametrize("reuse", [False, True])
def test_few_designs_are_all_there_and_counted_without_listing_them(reuse):
    vocabulary = Vocabulary(worlds.encoder(4).space, shapes=list(SHAPES), reuse=reuse)
    designs = vocabulary.designs(10_000, 10)
    assert len(designs) == vocabulary.num_designs
    if not reuse:
        assert all(len(set(design.agents)) == len(design.agents) for design in designs)


def test_of_many_designs_every_agent_alone_is_there_and_some_of_each_shape():
    vocabulary = Vocabulary(worlds.encoder(40).space, shapes=["single", "vote", "asking"], reuse=True)
    designs = vocabulary.designs(1_000, 300)
    assert designs == vocabulary.designs(1_000, 300)
    assert Counter(designs.values()).keys() == {0, 1, 2}
    assert Counter(designs.values())[0] == 40
    assert 90 <= Counter(designs.values())[1] <= 100


def weighted(agents):
    decision = Decision(kind="weighted_vote", weights=(1.0, 0.0, 2.5, 1.0))
    return Design(agents=tuple(agents), decision=decision)


def judged_while_two_agree(agents):
    first, second, third, last = agents
    gate = Gate(watch=(0, 1, 2), quorum=2)
    return Design(agents=(first, second, third, replace(last, gate=gate)), decision=Decision(kind="judge", judge=3))


def majority_with_fallback(agents):
    return teams.cascade(agents, quorum=2)


@pytest.mark.parametrize(
    "make",
    [
        *(shape.make for shape in SHAPES.values() if not shape.talks),
        weighted,
        judged_while_two_agree,
        majority_with_fallback,
        teams.vote,
    ],
)
def test_outcomes_composed_from_single_replies_are_those_of_the_executor(make):
    encoder = worlds.encoder(4)
    pool, tasks = encoder.space.pool, worlds.tasks(12)

    def reply(request: Request) -> str:
        return random.Random(f"{request.origin.task_id} {request.llm}").choice(["0", "1", "?"])

    def usage(request: Request) -> Usage:
        tokens = random.Random(f"usage {request.origin.task_id} {request.llm}").randrange(1, 1000)
        return Usage(prompt_tokens=tokens, completion_tokens=tokens)

    def outcome(design, task):
        done = asyncio.run(
            run(
                design,
                task,
                pool=pool,
                llm=worlds.Scripted(reply, usage=usage),
                extract=lambda task, text: None if text == "?" else text,
            )
        )
        return done.answer, account(done, grade=lambda task, answer: float(answer == "1"), pool=pool)

    agents = encoder.space.agents

    def designs(agents):
        for size in (1, 2, 3, 4):
            for team in permutations(agents, size):
                try:
                    yield make(team)
                except (ConfigError, DesignError, ValueError):  # the shape is of another size
                    break

    alone = [[outcome(teams.single([agent]), task) for agent in agents] for task in tasks]
    ids = torch.tensor([[-1 if answer is None else int(answer) for answer, _ in row] for row in alone])
    scores = torch.tensor([[o.score for _, o in row] for row in alone])
    usd = torch.tensor([[o.usd for _, o in row] for row in alone])
    for design in designs(agents):
        team = torch.tensor([[agents.index(ungated(agent)) for agent in design.agents]])
        score, cost = compose(design, ids[:, team], scores[:, team], usd[:, team])
        for row, task in enumerate(tasks):
            _, want = outcome(design, task)
            assert score[row, 0] == want.score
            assert cost[row, 0] == pytest.approx(want.usd, rel=1e-5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [(["ring"], "shape 'ring' is unknown"), ([], "at least one"), (["cascade_twice"], "the smallest")],
)
def test_impossible_shapes_are_refused(shapes, message):
    with pytest.raises(ConfigError, match=message):
        Vocabulary(worlds.encoder(3).space, shapes=shapes, reuse=False)
