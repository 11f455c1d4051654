import pytest
import torch

from gdesign.design import fixed
from gdesign.design.joint import Joint
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError
from gdesign.types import Design
from tests import laws, worlds


def every_kind(space: Space) -> list[Design]:
    teams = [*laws.singles(space)]
    if len(space.slots) >= 3:
        teams += [*laws.cascades(space), *laws.votes(space)]
    return teams


JOINT = laws.Method(name="joint", make=lambda space: Joint(space=space, hidden_dim=16), designs=every_kind)


@pytest.mark.parametrize("law", laws.applying_to(JOINT), ids=lambda law: law.__name__)
def test_joint_keeps_the_law(law):
    law(JOINT)


def seeded(space: Space, **options: object) -> Joint:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Joint(space=space, **options)


@pytest.mark.parametrize(("kind", "count"), [("single", 4), ("vote", 6), ("cascade", 12)])
def test_one_kind_alone_is_a_distribution_over_it(kind, count):
    encoder = worlds.encoder(4)
    joint = seeded(encoder.space, kinds=[kind], num_voters=2)
    designs = [*laws.singles(encoder.space), *laws.votes(encoder.space, num_voters=2), *laws.cascades(encoder.space)]
    problem = encoder(worlds.tasks(1) * len(designs))
    p = joint.log_prob(problem, designs).exp()
    assert (p > 0).sum() == count
    torch.testing.assert_close(p.sum(), torch.tensor(1.0))


def test_votes_of_four_sum_to_one():
    encoder = worlds.encoder(6)
    joint = seeded(encoder.space, kinds=["vote"], num_voters=4)
    designs = laws.votes(encoder.space, num_voters=4)
    p = joint.log_prob(encoder(worlds.tasks(1) * len(designs)), designs).exp()
    assert (p > 0).sum() == 15
    torch.testing.assert_close(p.sum(), torch.tensor(1.0))


def test_the_third_agent_depends_on_the_pair():
    encoder = worlds.encoder(4)
    joint, a = seeded(encoder.space, kinds=["cascade"]), encoder.space.agents
    teams = [fixed.cascade([a[i], a[j], a[k]]) for i, j, k in ((0, 1, 2), (0, 1, 3), (2, 3, 0), (2, 3, 1))]
    p = joint.log_prob(encoder(worlds.tasks(1) * 4), teams)
    wanted = torch.tensor([1.0, -1.0, 0.0, 0.0])
    optimizer = torch.optim.Adam(joint.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        (-(joint.log_prob(encoder(worlds.tasks(1) * 4), teams)) @ wanted).backward()
        optimizer.step()
    p = joint.log_prob(encoder(worlds.tasks(1) * 4), teams)
    assert p[0] - p[1] > 3


def test_slots_of_one_candidate_are_encoded_differently():
    encoder = worlds.encoder(2, slots=[0, 0, 1])
    h = seeded(encoder.space).encoder(encoder(worlds.tasks(1)))
    assert not torch.allclose(h[0], h[1], atol=1e-3)


def test_a_trained_designer_can_be_used_on_another_pool():
    small, large = worlds.encoder(3), worlds.encoder(5)
    joint = seeded(small.space)
    draft = joint(large(worlds.tasks(8)), generator=torch.Generator().manual_seed(0))
    assert {a.llm for d in draft.designs for a in d.agents} - {m.name for m in small.space.pool.llms}
    assert torch.isfinite(draft.log_prob).all()


def test_the_entropy_of_single_agents_is_exact():
    encoder = worlds.encoder(4)
    joint = seeded(encoder.space, kinds=["single"])
    problem = encoder(worlds.tasks(1))
    log_p = torch.cat([joint.log_prob(problem, [d]) for d in laws.singles(encoder.space)])
    torch.testing.assert_close(joint(problem).entropy[0], -(log_p.exp() * log_p).sum())


def test_a_design_of_another_kind_cannot_be_drawn():
    encoder = worlds.encoder(3)
    joint, agents = seeded(encoder.space), encoder.space.agents
    for design in (
        fixed.chain(agents),
        fixed.debate(agents, num_rounds=2),
        fixed.vote(agents[:2]),
        fixed.vote(agents[::-1]),
    ):
        assert joint.log_prob(encoder(worlds.tasks(1)), [design]) == -torch.inf


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["single", "debate"]}, "kind 'debate' is unknown"),
        ({"kinds": []}, "at least one"),
        ({"kinds": ["vote"], "num_voters": 1}, "num_voters must be 2 or more"),
        ({"kinds": ["vote"], "num_voters": 4}, "smallest takes 4"),
    ],
)
def test_impossible_kinds_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Joint(space=worlds.encoder(3).space, **options)
