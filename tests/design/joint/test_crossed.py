"""Agents that share something do alike."""

import pytest
import torch

from gdesign.design.joint.crossed import Crossed
from gdesign.types import Agent

ROLES, LLMS = ("mathematician", "historian"), ("small", "large", "larger")
AGENTS = [Agent(role=role, llm=llm, operator="answer") for role in ROLES for llm in LLMS]


def of_two_kinds(num: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features of questions of two kinds, and who is right: the role of the kind, whichever LLM."""
    kind = torch.arange(num) % 2
    x = torch.nn.functional.one_hot(kind, 2).float()
    role = torch.tensor([ROLES.index(agent.role) for agent in AGENTS])
    return x, (kind[:, None] == role).float()


def test_an_agent_hardly_asked_is_judged_by_those_of_its_role():
    x, scores = of_two_kinds()
    seen = torch.ones_like(scores, dtype=torch.bool)
    seen[4:, 2] = seen[4:, 5] = False
    expected = Crossed(AGENTS, x).mean(scores * seen, seen)
    unasked = ~seen
    assert ((expected > 0.5) == (scores > 0.5))[unasked].all()


def test_what_was_not_seen_does_not_count():
    x, scores = of_two_kinds()
    seen = torch.rand(scores.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    other = torch.where(seen, scores, 1 - scores)
    assert torch.equal(Crossed(AGENTS, x).mean(scores, seen), Crossed(AGENTS, x).mean(other, seen))


def test_it_is_the_mean_of_the_gaussian_process():
    from gdesign.design.joint.crossed import GROUPS, HARDNESS, NOISE

    x, scores = of_two_kinds(6)
    seen = torch.rand(scores.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    centred = (x - x.mean(0)).double()
    like = centred @ centred.T / (centred @ centred.T).diagonal().mean()
    cells = [(i, a) for i in range(6) for a in range(6)]
    k = torch.tensor(
        [
            [
                sum((m + t * float(like[i, j])) * (key(AGENTS[a]) == key(AGENTS[b])) for key, m, t in GROUPS)
                + HARDNESS * (i == j)
                for j, b in cells
            ]
            for i, a in cells
        ],
        dtype=torch.float64,
    )
    known = seen.flatten()
    y = scores.flatten()[known].double()
    noise = NOISE * torch.eye(int(known.sum()), dtype=torch.float64)
    mean = y.mean() + k[:, known] @ torch.linalg.solve(k[known][:, known] + noise, y - y.mean())
    assert Crossed(AGENTS, x).mean(scores, seen).flatten().tolist() == pytest.approx(
        mean.clamp(0, 1).tolist(), abs=1e-3
    )


def test_draws_vary_about_the_mean_less_where_more_was_seen():
    x, scores = of_two_kinds(20)
    seen = torch.zeros_like(scores, dtype=torch.bool)
    seen[:, :3] = seen[:2, 3:] = True
    process = Crossed(AGENTS, x)
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([process.drawn(scores, seen, generator) for _ in range(200)])
    # the mean is kept within [0, 1], draws are not
    torch.testing.assert_close(draws.mean(0).clamp(0, 1), process.mean(scores, seen), atol=0.05, rtol=0)
    spread = draws.std(0)
    assert spread[:, :3].mean() < spread[5:, 3:].mean()
