"""The response model finds what was planted."""

from dataclasses import replace

import pytest
import torch

from gdesign.design.joint import planner, policy, response
from gdesign.design.joint.response import Answered, Response

ABILITY = torch.tensor([1.5, 0.5, 0.0, -0.5, -1.5])


def planted(*, num: int = 600, seed: int = 0, concentration: float = 1.0, ease: float = 0.8) -> Answered:
    """Draw answers of five agents to questions whose first text feature tells how easy they are."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(num, 3, generator=g)
    z = ease * x[:, 0] + torch.randn(num, generator=g)
    right = torch.rand(num, 5, generator=g) < (ABILITY + 1.2 * z[:, None]).sigmoid()
    block = torch.zeros(num, 5, dtype=torch.long)
    for i in range(num):
        seated: list[int] = []
        for m in range(5):
            if right[i, m]:
                continue
            if torch.rand((), generator=g) < 0.1:
                block[i, m] = -1
                continue
            weights = torch.tensor([float(seated.count(s)) for s in sorted(set(seated))] + [concentration])
            seat = int(torch.multinomial(weights, 1, generator=g))
            seated.append(seat)
            block[i, m] = 1 + seat
    usd = torch.exp(torch.linspace(-1, 1, 5) - 0.3 * z[:, None]) * torch.rand(num, 5, generator=g).mul(0.4).add(0.8)
    return Answered(
        block=block,
        right=right,
        usd=usd,
        seen=torch.ones(num, 5, dtype=torch.bool),
        kind=torch.zeros(num, dtype=torch.long),
        x=x,
        weight=torch.ones(num),
    )


def fitted(answered: Answered, **settings: float) -> Response:
    """Return a model fitted in few steps."""
    return response.fit(answered, generator=torch.Generator().manual_seed(0), num_steps=120, lr=0.15, **settings)


@pytest.fixture(scope="module")
def found() -> Response:
    return fitted(planted())


def test_abilities_ease_and_concentration_are_found(found: Response) -> None:
    assert torch.allclose(found.ability[0], ABILITY, atol=0.4)
    assert float((found.components[0] @ found.ease[0])[0]) == pytest.approx(0.8, abs=0.25)
    assert found.log_concentration()[0].mean().exp() == pytest.approx(1.0, abs=0.7)
    assert float(found.unreadable.sigmoid().mean()) == pytest.approx(0.1, abs=0.04)


def test_costs_rise_with_difficulty(found: Response) -> None:
    assert torch.allclose(found.cost[0, :, 0], torch.linspace(-1, 1, 5), atol=0.25)
    assert (found.cost[0, :, 1] < -0.1).all()


def test_the_posterior_is_as_often_right_as_it_says(found: Response) -> None:
    new = planted(seed=1, num=400)
    known = planner.table(found, 0, range(5), max_calls=5)
    joint = planner.solve(known, found.prior(new.x, new.kind), torch.ones(400), 0.0).sure
    says, was = torch.zeros(400), torch.zeros(400)
    for i in range(400):
        state = policy.canonical([policy.UNREADABLE if b < 0 else b + 1 for b in new.block[i].tolist()])
        chances = joint[known.states.index[state], :, i]
        best = int(chances[1:].argmax()) + 1
        says[i] = chances[best] / chances.sum()
        was[i] = float(best in state and bool(new.right[i, state.index(best)]))
    assert float(says.mean()) == pytest.approx(float(was.mean()), abs=0.05)
    sure, unsure = says > says.median(), says <= says.median()
    assert float(was[sure].mean()) == pytest.approx(float(says[sure].mean()), abs=0.06)
    assert float(was[unsure].mean()) == pytest.approx(float(says[unsure].mean()), abs=0.1)


def test_agreement_on_a_wrong_answer_is_expected_where_it_happens() -> None:
    alike, apart = (fitted(planted(concentration=c, num=250)) for c in (0.1, 10.0))

    def pair(found: Response) -> float:
        known = planner.table(found, 0, [3, 4], max_calls=2)
        joint = known.joint[known.states.index[1, 1]] @ found.prior(torch.zeros(1, 3), torch.zeros(1).long())[0]
        return float(joint[1] / joint.sum())

    assert pair(alike) < pair(apart) - 0.1


def test_answers_shuffled_between_questions_prove_nothing() -> None:
    answered = planted()
    order = [torch.randperm(600, generator=torch.Generator().manual_seed(m)) for m in range(5)]

    def mixed(values: torch.Tensor) -> torch.Tensor:
        return torch.stack([values[rows, m] for m, rows in enumerate(order)], dim=1)

    block = mixed(answered.block) + 100 * torch.arange(5)  # wrong answers to different questions are different
    right = mixed(answered.right)
    found = fitted(replace(answered, block=torch.where(right, 0, block.clamp_min(1)), right=right))
    assert found.ease.abs().max() < 0.3
    known = planner.table(found, 0, range(5), max_calls=2)
    joint = known.joint @ found.prior(torch.zeros(1, 3), torch.zeros(1).long())[0]
    alone = joint[known.states.index[-1, 1, -1, -1, -1], 1] / joint[known.states.index[-1, 1, -1, -1, -1]].sum()
    assert float(alone) == pytest.approx(float(right[:, 1].float().mean()), abs=0.08)


def test_the_same_generator_gives_the_same_model() -> None:
    answered = planted(num=60)
    first, second = fitted(answered), fitted(answered)
    assert all(torch.equal(a, second.state()[name]) for name, a in first.state().items())


def test_blank_is_an_answer_only_where_it_is_right() -> None:
    answered = planted(num=60)
    assert not fitted(answered).blank.any()
    blank = replace(answered, right=answered.right | (answered.block < 0))
    assert fitted(blank).blank.all()
