import torch

from gdesign.design.joint.profiles import Profiles
from gdesign.design.joint.vocabulary import SHAPES
from gdesign.types import Agent

AGENTS = tuple(Agent(role="assistant", llm=f"llm-{i}", operator="answer") for i in range(3))


def two_kinds(num: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features of questions of two kinds, and which kind each is of."""
    generator = torch.Generator().manual_seed(0)
    kind = torch.arange(num) % 2
    x = torch.nn.functional.one_hot(kind, 8).float() + 0.05 * torch.randn(num, 8, generator=generator)
    return torch.nn.functional.normalize(x, dim=1), kind


def evidence(x: torch.Tensor, kind: torch.Tensor) -> Profiles:
    """Agent 0 is right on questions of kind 0, agent 1 on those of kind 1."""
    scores = torch.stack([kind == 0, kind == 1], dim=1).float()
    return Profiles(
        agents=AGENTS[:2],
        x=x,
        ids=(scores - 1).to(torch.int16) * torch.tensor([1, 2], dtype=torch.int16),
        scores=scores,
        usd=torch.ones_like(scores),
        seen=torch.ones_like(scores, dtype=torch.bool),
        weight=torch.ones(len(x)),
    )


def test_attention_is_on_questions_of_the_same_kind():
    x, kind = two_kinds()
    attention = evidence(x[:40], kind[:40])(x[40:])
    same = kind[40:, None] == kind[None, :40]
    assert torch.allclose(attention.sum(1), torch.ones(20))
    assert ((attention * same).sum(1) > 0.9).all()


def test_a_questions_own_record_does_not_count():
    x, kind = two_kinds()
    attention = evidence(x, kind)(x)
    assert (attention.diagonal() == 0).all()


def test_the_right_agent_is_expected_to_be_right():
    x, kind = two_kinds()
    known = evidence(x[:40], kind[:40])
    scores, usd = known.alone(known(x[40:]))
    assert (scores.argmax(1) == kind[40:]).all()
    assert torch.allclose(usd, torch.ones(20, 2))


def test_text_alone_tells_who_is_right():
    x, kind = two_kinds()
    told = evidence(x[:40], kind[:40]).told(x[40:])
    assert (told.argmax(1) == kind[40:]).all()


def test_attention_does_not_tell_what_only_a_questions_own_record_says():
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(60, 64, generator=generator), dim=1)
    scores = (torch.rand(60, 2, generator=generator) < 0.5).float()
    known = Profiles(
        agents=AGENTS[:2],
        x=x,
        ids=scores.to(torch.int16) - 1,
        scores=scores,
        usd=torch.ones_like(scores),
        seen=torch.ones_like(scores, dtype=torch.bool),
        weight=torch.ones(60),
    )
    expected = known.alone(known(x))[0]
    told = torch.corrcoef(torch.stack([expected.flatten(), scores.flatten()]))[0, 1]
    assert told < 0.1


def test_text_alone_does_not_tell_what_only_a_questions_own_record_says():
    x, kind = two_kinds()
    strange = kind.clone()
    strange[0] = 1 - kind[0]
    assert evidence(x, strange).told(x[:1]).argmax(1) == kind[0]


def partly_asked(num_asked: int) -> tuple[Profiles, torch.Tensor]:
    """Return evidence whose agent 2, asked the first questions only, replies as agent 0 does; and the kinds."""
    x, kind = two_kinds()
    scores = torch.stack([kind == 0, kind == 1, kind == 0], dim=1).float()
    seen = torch.ones_like(scores, dtype=torch.bool)
    seen[num_asked:, 2] = False
    ids = torch.stack([1 - kind, 2 * kind, 1 - kind], dim=1).to(torch.int16)  # right: 1 and 2; wrong: 0 and 0
    known = Profiles(
        agents=AGENTS,
        x=x,
        ids=ids * seen,
        scores=scores * seen,
        usd=torch.tensor([1.0, 2.0, 3.0]).expand(60, 3) * seen,
        seen=seen,
        added=torch.tensor([False, False, True]),
        weight=torch.ones(60),
    )
    return known, kind


def test_an_agent_is_expected_to_be_right_elsewhere_with_those_with_whom_it_was_right():
    known, kind = partly_asked(30)
    score, usd = known.outcomes(SHAPES["single"].skeleton, torch.tensor([[2]]))
    assert (score[:30, 0] == (kind[:30] == 0)).all()
    assert (score[30:, 0][kind[30:] == 0] > 0.7).all()
    assert (score[30:, 0][kind[30:] == 1] < 0.3).all()
    assert torch.allclose(usd, torch.full((60, 1), 3.0), rtol=1e-3)


def test_an_agent_is_expected_to_agree_with_those_who_are_right_when_it_is():
    known, kind = partly_asked(30)
    _, usd = known.outcomes(SHAPES["cascade"].skeleton, torch.tensor([[0, 2, 1]]))
    assert (usd[30:][kind[30:] == 0] < 1 + 3 + 2 * 0.3).all()  # the third agent mostly stays silent


def test_an_agent_in_two_places_replies_alike_where_it_was_asked_but_once():
    known, _ = partly_asked(30)
    vote = SHAPES["vote"].skeleton
    (alone, _), (voted, usd) = (
        known.outcomes(SHAPES["single"].skeleton, torch.tensor([[2]])),
        known.outcomes(vote, torch.tensor([[2, 2, 2]])),
    )
    assert torch.equal(alone, voted)
    assert torch.allclose(usd, torch.full((60, 1), 9.0), rtol=1e-3)


def test_copies_of_an_agent_that_wavers_are_worth_more_when_they_vote():
    generator = torch.Generator().manual_seed(0)
    first, second = ((torch.rand(300, 2, generator=generator) < 0.7).float() for _ in range(2))
    known = Profiles(
        agents=AGENTS[:2],
        x=torch.ones(300, 1),
        ids=first.to(torch.int16) - 1,
        scores=first,
        usd=torch.ones_like(first),
        seen=first >= 0,
        again=second,
        weight=torch.ones(300),
    )
    alone, voted = (
        known.outcomes(SHAPES[name].skeleton, torch.tensor([[0] * SHAPES[name].size])).score.mean()
        for name in ("single", "vote")
    )
    assert voted > alone + 0.04


def test_an_agent_that_was_always_right_is_expected_to_be():
    x, _ = two_kinds()
    right = torch.ones(60, 2)
    seen = right > 0
    seen[10:, 1] = False
    known = Profiles(
        agents=AGENTS[:2],
        x=x,
        ids=right.to(torch.int16),
        scores=right * seen,
        usd=right * seen,
        seen=seen,
        added=torch.tensor([False, True]),
        weight=torch.ones(60),
    )
    assert known.outcomes(SHAPES["single"].skeleton, torch.tensor([[1]])).score.mean() > 0.95
