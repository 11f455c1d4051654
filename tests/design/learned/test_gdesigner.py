import itertools

import pytest
import torch

from gdesign.design.learned.gdesigner import GDesigner, lower_singular_values
from gdesign.encode.problem import ProblemEncoder, Space, dense
from gdesign.encode.text import HashEncoder
from gdesign.types import LLM, AgentPool, Role, Task
from tests import laws

GDESIGNER = laws.Method(
    name="gdesigner", make=lambda space: GDesigner(space=space), designs=laws.dags, soft=True, lr=0.002
)


@pytest.mark.parametrize("law", laws.applying_to(GDESIGNER), ids=lambda law: law.__name__)
def test_gdesigner_keeps_the_law(law):
    law(GDESIGNER)


def problems(num_agents=4, slots=None, anchor="pool"):
    roles = tuple(Role(name=f"r{i}", profile=f"You are expert {i}.") for i in range(num_agents))
    pool = AgentPool(
        name="p",
        roles=roles,
        llms=(LLM(name="m", usd_per_1M_input=1.0, usd_per_1M_output=2.0),),
        anchor=tuple((a.name, b.name) for a, b in itertools.pairwise(roles)),
    )
    return ProblemEncoder(pool=pool, encoder=HashEncoder(dim=32), slots=slots, anchor=anchor)


def tasks(num):
    return [Task(id=str(i), question=f"question number {i} of many", answer="", benchmark="b") for i in range(num)]


def designer(encoder, **settings):
    torch.manual_seed(0)
    return GDesigner(space=encoder.space, **settings)


def objective(w, sketch, anchor, zeta, a):
    return (
        0.5 * (sketch - w).square().sum()
        + zeta * torch.linalg.matrix_norm(w, "nuc")
        + 0.5 * a * (anchor - w).square().sum()
    )


def test_the_gradient_of_lowered_singular_values_is_exact_at_repeated_ones_too():
    matrices = torch.stack([torch.randn(4, 4, dtype=torch.double), 2 * torch.eye(4, dtype=torch.double)])
    matrices = torch.cat([matrices, torch.zeros(1, 4, 4, dtype=torch.double)])
    matrices.requires_grad_()
    assert torch.autograd.gradcheck(lambda m: lower_singular_values(m, 0.3), (matrices,))


def test_the_refinement_minimises_its_objective():
    encoder = problems()
    method = designer(encoder, zeta=0.5, anchor_weight=0.7, anchor_logit=2.0)
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(1, 4, dtype=torch.bool)
    off_diagonal = 1 - torch.eye(4)
    sketch = 3 * torch.randn(1, 4, 4, generator=generator) * off_diagonal
    anchor = torch.diag_embed(torch.ones(1, 3), offset=1)
    refined, _ = method.refine(sketch, anchor, mask)
    target = 2.0 * (2 * anchor - 1) * off_diagonal
    best = objective(refined[0], sketch[0], target[0], 0.5, 0.7)
    for _ in range(200):
        other = refined[0] + 0.05 * torch.randn(4, 4, generator=generator)
        assert objective(other, sketch[0], target[0], 0.5, 0.7) >= best - 1e-5


def test_a_low_rank_refinement_has_low_rank():
    encoder = problems()
    method = designer(encoder, rank=2)
    problem = encoder(tasks(1))
    rows = dense(problem, method.mu(method.encoder(problem)))
    refined, _ = method.refine(method.sketch(rows.slots, rows.task), rows.anchor, rows.mask)
    assert torch.linalg.matrix_rank(refined[0], rtol=1e-4) <= 2


def test_a_heavier_anchor_makes_its_edges_likelier():
    encoder = problems()
    problem = encoder(tasks(1))
    light, heavy = (designer(encoder, anchor_weight=a).eval().distribution(problem) for a in (0.0, 5.0))
    anchor = dense(problem, problem.x).anchor[0] > 0
    assert (heavy.edge_logits[0][anchor] > light.edge_logits[0][anchor]).all()


def test_a_lower_temperature_makes_edges_more_certain():
    encoder = problems()
    problem = encoder(tasks(1))
    warm, cold = (designer(encoder, tau=t).eval().distribution(problem) for t in (1.0, 0.01))
    off_diagonal = ~torch.eye(4, dtype=torch.bool)
    certain = (cold.edge_logits.sigmoid() - 0.5).abs() >= (warm.edge_logits.sigmoid() - 0.5).abs()
    assert certain[0][off_diagonal].all()


def test_latents_are_drawn_in_training_and_are_means_in_evaluation():
    encoder = problems()
    problem = encoder(tasks(2))
    method = designer(encoder)
    first, second = (
        method.distribution(problem, generator=torch.Generator().manual_seed(s)).edge_logits for s in (0, 1)
    )
    assert not torch.equal(first, second)
    method.eval()
    assert torch.equal(method.distribution(problem).edge_logits, method.distribution(problem).edge_logits)


def test_the_same_designer_serves_any_number_of_agents():
    method = designer(problems(4)).eval()
    for n in (1, 2, 9, 30):
        encoder = problems(n)
        drafts = method(encoder(tasks(3)), generator=torch.Generator().manual_seed(0))
        assert len(drafts.designs) == 3
        assert drafts.log_prob.isfinite().all()


def test_rounds_are_those_asked_for():
    encoder = problems()
    drafts = designer(encoder, num_rounds=3)(encoder(tasks(5)), generator=torch.Generator().manual_seed(0))
    assert {d.num_rounds for d in drafts.designs} == {3}


@pytest.mark.parametrize("num_agents", [2, 4])
def test_a_design_of_another_pool_cannot_be_drawn(num_agents):
    encoder = problems(num_agents)
    other = problems(6, slots=[4, 5])
    design = designer(other).eval()(other(tasks(1))).designs
    assert designer(encoder).eval().log_prob(encoder(tasks(1)), design).item() == -torch.inf


def test_the_space_names_the_agents():
    encoder = problems(3)
    assert isinstance(encoder.space, Space)
    assert [a.role for a in encoder.space.agents] == ["r0", "r1", "r2"]


def test_in_training_a_design_is_scored_at_the_mean_latents_and_draws_nothing():
    encoder = problems()
    method = designer(encoder)
    problem = encoder(tasks(2))
    drawn = method.eval()(problem, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    assert torch.equal(method.train().log_prob(problem, drawn.designs), method.log_prob(problem, drawn.designs))
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(method.log_prob(problem, drawn.designs), drawn.log_prob)
