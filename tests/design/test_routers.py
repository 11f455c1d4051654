import math

import pytest
import torch

from gdesign.agents import teams
from gdesign.design.routers.base import Router, Table, contrast, features
from gdesign.design.routers.kernel import Kernel, most_likely
from gdesign.design.routers.knn import NearestNeighbors
from gdesign.design.routers.mf import MatrixFactorization
from gdesign.design.routers.ridge import Ridge, fit_ridge
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.encode.text import HashEncoder, Joined, LengthEncoder, SurfaceEncoder, WordEncoder
from gdesign.errors import ConfigError
from gdesign.types import Label, Outcome, Task
from tests import laws, worlds

KINDS = {
    "knn": NearestNeighbors,
    "ridge": Ridge,
    "tfidf": lambda *, space: Ridge(space=space, idf=True),
    "mf": lambda *, space: MatrixFactorization(space=space, max_steps=40),
    "kernel": Kernel,
}
ROUTERS = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


def fitted(make, space: Space) -> Router:
    """Return a router that has seen 30 questions with any scores."""
    router, generator = make(space=space), torch.Generator().manual_seed(0)
    shape = (30, len(space.slots))
    table = Table(
        x=torch.nn.functional.normalize(torch.randn(30, space.text_dim, generator=generator), dim=1),
        scores=torch.rand(shape, generator=generator),
        usd=0.001 * torch.rand(shape, generator=generator),
        weight=torch.ones(30),
    )
    router.fit(table, generator=generator)
    return router


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize(
    "law",
    laws.applying_to(laws.Method(name="router", make=Ridge, designs=laws.singles, learned=False)),
    ids=lambda law: law.__name__,
)
def test_a_router_keeps_the_law(make, law):
    law(laws.Method(name="router", make=lambda space: fitted(make, space), designs=laws.singles, learned=False))


# --------------------------------------------------------------------------- a world in which routing pays

CITIES = [f"Which city lies at the river number {i} of the country?" for i in range(40)]
SUMS = [f"Add {i} and {i + 3}, then multiply by {i + 7}." for i in range(40)]


def subjects(questions) -> list[Task]:
    return [Task(id=f"q{i}", question=q, answer="", benchmark="tiny") for i, q in enumerate(questions)]


def outcome(design, task: Task, *, dear: float = 0.004) -> Outcome:
    """Agent 0 is right where one adds, agent 1 where one names cities, agent 2 everywhere, at a price."""
    slot = int(design.agents[0].llm.removeprefix("llm-"))
    score = [float(task.question in SUMS), float(task.question in CITIES), 1.0][slot]
    usd = (0.001, 0.001, dear)[slot]
    return Outcome(
        score=score,
        usd=usd,
        prompt_tokens=1,
        completion_tokens=1,
        calls=1,
        critical_path=1,
        unreadable=False,
        failures=0,
        label=Label.SIMULATED,
    )


def searched(make, encoder: ProblemEncoder, questions, *, usd_weight: float = 0.0) -> Router:
    router = make(space=encoder.space)
    steps = router.search(
        subjects(questions), problems=encoder, usd_weight=usd_weight, generator=torch.Generator().manual_seed(0)
    )
    jobs = next(steps)
    with pytest.raises(StopIteration):
        steps.send([(None, outcome(design, task)) for design, task, _ in jobs])
    return router.eval()


def routed(router: Router, encoder: ProblemEncoder, questions, *, usd_weight: float) -> list[str]:
    designs = router(encoder(subjects(questions), usd_weight=usd_weight), greedy=True).designs
    assert all(d == teams.single(d.agents) for d in designs)
    return [d.agents[0].llm for d in designs]


def world() -> ProblemEncoder:
    return ProblemEncoder(pool=worlds.pool(3), encoder=HashEncoder(dim=128))


@ROUTERS
def test_a_question_goes_to_the_agent_that_was_right_on_questions_like_it(make):
    router = searched(make, world(), CITIES[:30] + SUMS[:30])
    assert routed(router, world(), SUMS[30:] + CITIES[30:], usd_weight=0.1) == ["llm-0"] * 10 + ["llm-1"] * 10


@ROUTERS
def test_one_fit_serves_every_price_of_cost(make):
    encoder = world()
    router = searched(make, encoder, CITIES[:30] + SUMS[:30], usd_weight=0.1)
    at = {w: routed(router, encoder, CITIES[30:31], usd_weight=w) for w in (0.1, 100.0)}
    assert at[0.1] == ["llm-1"]
    problem = encoder(subjects(CITIES[30:]))
    score, usd = router.predict(problem.x[problem.slot < 0])
    assert score.shape == usd.shape == (10, 3)
    assert (usd[:, 2] > usd[:, :2].max(1).values).all()
    assert at[100.0] != ["llm-2"]


@ROUTERS
def test_a_checkpoint_brings_the_router_back(make, tmp_path):
    encoder = world()
    router = searched(make, encoder, CITIES[:30] + SUMS[:30])
    torch.save(router.state_dict(), tmp_path / "c.ckpt")
    other = make(space=encoder.space)
    other.load_state_dict(torch.load(tmp_path / "c.ckpt", weights_only=True))
    x = features(encoder, subjects(SUMS))
    for a, b in zip(router.predict(x), other.predict(x), strict=True):
        assert torch.equal(a, b)


@ROUTERS
def test_a_router_that_saw_no_question_says_so(make):
    encoder = worlds.encoder(3)
    with pytest.raises(ConfigError, match="train it first"):
        make(space=encoder.space)(encoder(worlds.tasks(1)))


@ROUTERS
def test_one_question_is_enough_to_fit(make):
    router = searched(make, world(), SUMS[:1])
    assert routed(router, world(), SUMS[1:2], usd_weight=0.001) == ["llm-0"]


# --------------------------------------------------------------------------- the parts


@pytest.mark.parametrize("shape", [(12, 30), (30, 12)])
def test_leave_one_out_in_closed_form_chooses_what_leaving_out_chooses(shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    y = x[:, :1] + torch.randn(shape[0], 1, generator=generator, dtype=torch.float64)
    strengths, ones = (0.001, 0.03, 0.3, 3.0), torch.ones(shape[0])
    centred = (x - x.mean(0)) / math.sqrt(shape[0])
    largest = float(torch.linalg.eigvalsh(centred.T @ centred)[-1])

    def errors(strength: float) -> float:
        total = 0.0
        for i in range(shape[0]):
            rest = torch.arange(shape[0]) != i
            xs, ys = x[rest], y[rest]
            # the strength belongs to the scatter of all rows
            scatter = (xs - xs.mean(0)).T @ (xs - xs.mean(0)) + strength * largest * shape[0] * torch.eye(shape[1])
            slope = torch.linalg.solve(scatter, (xs - xs.mean(0)).T @ (ys - ys.mean(0)))
            total += float((y[i] - ys.mean(0) - (x[i] - xs.mean(0)) @ slope).square())
        return total

    best = min(strengths, key=errors)
    slope, intercept = fit_ridge(x.float(), y.float(), judged=y.float(), weight=ones, strengths=strengths)
    alone, _ = fit_ridge(x.float(), y.float(), judged=y.float(), weight=ones, strengths=[best])
    torch.testing.assert_close(slope, alone)
    torch.testing.assert_close(intercept, (y.mean(0) - x.mean(0) @ slope.double()).float())


def test_a_weight_of_two_is_the_question_asked_twice():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(10, 3, generator=generator), torch.randn(10, 2, generator=generator)
    weight = torch.tensor([2.0] + [1.0] * 9)
    once = fit_ridge(x, y, judged=y, weight=weight, strengths=[0.1])
    xs, ys = torch.cat([x, x[:1]]), torch.cat([y, y[:1]])
    twice = fit_ridge(xs, ys, judged=ys, weight=torch.ones(11), strengths=[0.1])
    for a, b in zip(once, twice, strict=True):
        torch.testing.assert_close(a, b)


def test_the_contrast_leaves_out_what_all_agents_share():
    scores = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(contrast(scores), contrast(scores + torch.arange(5.0)[:, None]))


def test_the_likelihood_prefers_the_view_that_the_targets_follow():
    generator = torch.Generator().manual_seed(0)
    views = torch.randn(2, 150, 1, generator=generator)
    y = torch.sin(2 * views[0]) + 0.3 * torch.randn(150, 1, generator=generator)
    log = most_likely((views - views.mT).square(), y, torch.ones(150))
    assert log[0, 0] > log[0, 1] + 1


def test_a_kernel_reads_several_views():
    encoder = ProblemEncoder(
        pool=worlds.pool(3), encoder=Joined(encoders=[HashEncoder(dim=32), WordEncoder(dim=64), SurfaceEncoder()])
    )
    blocks = [{"kind": "meaning", "dim": 32}, {"kind": "words", "dim": 64}, {"kind": "numbers", "dim": 14}]
    router = searched(lambda space: Kernel(space=space, blocks=blocks), encoder, CITIES[:30] + SUMS[:30])
    assert routed(router, encoder, SUMS[30:] + CITIES[30:], usd_weight=0.1) == ["llm-0"] * 10 + ["llm-1"] * 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda space: Ridge(space=space, text_dim=7), "reads 7 features"),
        (lambda space: Kernel(space=space, blocks=[{"kind": "meaning", "dim": 7}]), "blocks hold 7 features"),
        (lambda space: Kernel(space=space, blocks=[{"kind": "smell", "dim": 32}]), "'smell' is unknown"),
    ],
)
def test_an_encoder_that_does_not_suit_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make(worlds.encoder(3).space)


def test_the_length_control_reads_the_length_alone():
    encoder = ProblemEncoder(pool=worlds.pool(3), encoder=LengthEncoder())
    router = searched(Ridge, encoder, CITIES[:30] + SUMS[:30])
    length = len(CITIES[0])
    assert routed(router, encoder, [CITIES[0], "x" * length], usd_weight=0.1) == ["llm-1"] * 2


def test_routers_learn_from_real_runs():
    from gdesign.execute.arena import LocalArena

    encoder = world()
    tasks = subjects(CITIES[:4])

    class Cities:
        name = "tiny"

        def extract(self, task, text):
            return text

        def grade(self, task, answer):
            return float(answer == "right")

    llm = worlds.Scripted(lambda request: "right" if request.llm == "llm-1" else "wrong")
    router = NearestNeighbors(space=encoder.space)
    steps = router.search(tasks, problems=encoder, usd_weight=0.0, generator=torch.Generator().manual_seed(0))
    jobs = next(steps)
    with LocalArena(pool=encoder.space.pool, llm=llm, benchmark=Cities()) as arena:
        results = arena.run(jobs, phase="fit:search")
    with pytest.raises(StopIteration):
        steps.send(results)
    assert routed(router, encoder, CITIES[10:12], usd_weight=0.0) == ["llm-1"] * 2
