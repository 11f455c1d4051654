import asyncio
import random

import pytest
import torch

from gdesign.design.joint.vocabulary import SHAPES, Vocabulary, compose
from gdesign.errors import ConfigError
from gdesign.execute.reward import account
from gdesign.execute.run import run
from gdesign.types import Request, Usage
from tests import worlds


@pytest.mark.parametrize("reuse", [False, True])
def test_every_design_is_there_once_and_is_found_again(reuse):
    vocabulary = Vocabulary(worlds.encoder(4).space, shapes=list(SHAPES), reuse=reuse)
    designs = {}
    for shape, teams in enumerate(vocabulary.teams):
        for team in teams.tolist():
            design = vocabulary.design(shape, team)
            assert vocabulary.find(design) == (shape, tuple(team))
            assert design not in designs
            designs[design] = None
    assert len(designs) == sum(map(len, vocabulary.teams))


def test_a_design_of_another_shape_or_of_copies_is_not_found():
    space = worlds.encoder(4).space
    singles = Vocabulary(space, shapes=["single"], reuse=False)
    pairs = Vocabulary(space, shapes=["pair"], reuse=True)
    (copies,) = [pairs.design(0, [0, 0])]
    assert singles.find(copies) is None
    assert Vocabulary(space, shapes=["pair"], reuse=False).find(copies) is None


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if not shape.talks])
def test_outcomes_composed_from_single_replies_are_those_of_the_executor(name):
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

    vocabulary = Vocabulary(encoder.space, shapes=["single", name] if name != "single" else ["single"], reuse=False)
    alone = [[outcome(vocabulary.design(0, [c]), task) for c in range(4)] for task in tasks]
    ids = torch.tensor([[-1 if answer is None else int(answer) for answer, _ in row] for row in alone])
    scores = torch.tensor([[o.score for _, o in row] for row in alone])
    usd = torch.tensor([[o.usd for _, o in row] for row in alone])
    teams = vocabulary.teams[-1]
    got = compose(SHAPES[name], ids[:, teams], scores[:, teams], usd[:, teams])
    for column, team in enumerate(teams.tolist()):
        design = vocabulary.design(len(vocabulary.shapes) - 1, team)
        for row, task in enumerate(tasks):
            _, want = outcome(design, task)
            assert got[0][row, column] == want.score
            assert got[1][row, column] == pytest.approx(want.usd, rel=1e-5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [(["ring"], "shape 'ring' is unknown"), ([], "at least one"), (["cascade_twice"], "the smallest")],
)
def test_impossible_shapes_are_refused(shapes, message):
    with pytest.raises(ConfigError, match=message):
        Vocabulary(worlds.encoder(3).space, shapes=shapes, reuse=False)


@pytest.mark.parametrize("reuse", [True, False])
def test_designs_are_counted_without_listing_them(reuse):
    vocabulary = Vocabulary(worlds.encoder(5).space, shapes=list(SHAPES), reuse=reuse)
    assert vocabulary.num_designs == sum(map(len, vocabulary.teams))
