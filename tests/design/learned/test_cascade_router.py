from collections import Counter
from itertools import permutations

import pytest
import torch

from gdesign.agents import teams
from gdesign.design.learned.cascade_router import MODES, CascadeRouter
from gdesign.encode.problem import ProblemEncoder
from gdesign.encode.text import HashEncoder
from gdesign.errors import ConfigError
from gdesign.types import LLM, AgentPool, Design, Role
from tests import laws, worlds

SIX = ("single", "vote", "chain", "complete", "debate", "reflection")


def every_mode(space, modes=SIX, max_agents=4):
    found = {}
    for m in (MODES[name] for name in modes):
        for n in range(m.fewest, min(m.most or max_agents, max_agents, len(space.slots)) + 1):
            found |= {m.make(team): None for team in permutations(space.agents, n)}
    return list(found)


ROUTER = laws.Method(
    name="cascade_router", make=lambda space: CascadeRouter(space=space, gnn=worlds.gnn(16)), designs=every_mode
)


@pytest.mark.parametrize("law", laws.applying_to(ROUTER), ids=lambda law: law.__name__)
def test_cascade_router_keeps_the_law(law):
    law(ROUTER)


def seeded(space, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CascadeRouter(space=space, **options).eval()


def masses(designer, encoder, designs):
    with torch.no_grad():
        return designer.log_prob(encoder(worlds.tasks(1) * len(designs)), designs).exp()


@pytest.mark.parametrize("slots", [None, [0, 1, 0, 2]])
def test_the_probabilities_of_every_mode_there_is_sum_to_one(slots):
    encoder = worlds.encoder(4, slots=slots)
    modes = (*SIX, "star", "cascade")
    every = every_mode(encoder.space, modes)
    torch.testing.assert_close(
        masses(seeded(encoder.space, modes=modes), encoder, every).sum(), torch.tensor(1.0), atol=1e-4, rtol=0
    )


def test_draws_come_as_often_as_their_probability_says():
    encoder = worlds.encoder(3)
    modes = ("single", "chain", "star", "complete")
    designer = seeded(encoder.space, modes=modes)
    problem = encoder(worlds.tasks(1) * 3000)
    drawn = Counter(designer(problem, generator=torch.Generator().manual_seed(0)).designs)
    every = every_mode(encoder.space, modes)
    for design, expected in zip(every, (3000 * masses(designer, encoder, every)).tolist(), strict=True):
        assert abs(drawn[design] - expected) < 4.5 * expected**0.5 + 1


def test_modes_that_coincide_for_two_agents_are_added_up():
    encoder = worlds.encoder(2)
    pair = teams.chain(encoder.space.agents)
    designer = seeded(encoder.space, modes=("chain", "star", "complete"))
    torch.testing.assert_close(
        masses(designer, encoder, [pair, teams.chain(encoder.space.agents[::-1])]).sum(), torch.tensor(1.0)
    )


def trained(designer, encoder, worth, *, steps=40, lr=0.02):
    """Train on exact expectations of what every design is worth."""
    every = every_mode(encoder.space)
    value = torch.tensor([worth(d) for d in every])
    optimizer = torch.optim.Adam(designer.parameters(), lr=lr)
    problem = encoder(worlds.tasks(1) * len(every))
    for _ in range(steps):
        optimizer.zero_grad()
        (-(designer.log_prob(problem, every).exp() @ value)).backward()
        optimizer.step()
    return every, masses(designer, encoder, every)


@pytest.mark.parametrize("wanted", [1, 3])
def test_a_reward_for_a_number_of_agents_is_learned(wanted):
    encoder = worlds.encoder(3)
    every, p = trained(seeded(encoder.space, gnn=worlds.gnn(16)), encoder, lambda d: float(len(d.agents) == wanted))
    assert p[[len(d.agents) == wanted for d in every]].sum() > 0.98


def test_a_constant_reward_leaves_the_number_of_agents_alone():
    encoder = worlds.encoder(3)
    before = masses(seeded(encoder.space, gnn=worlds.gnn(16)), encoder, every_mode(encoder.space))
    _, after = trained(seeded(encoder.space, gnn=worlds.gnn(16)), encoder, lambda d: 0.5, steps=1, lr=1e-4)
    torch.testing.assert_close(after, before, atol=1e-3, rtol=0)


def roles_and_llms():
    pool = AgentPool(
        name="p",
        roles=tuple(Role(name=r, profile=f"You are a {r}.") for r in ("mathematician", "programmer", "historian")),
        llms=tuple(LLM(name=m, usd_per_1M_input=1.0, usd_per_1M_output=2.0) for m in ("alpha", "beta", "gamma")),
        operators=("answer", "cot"),
    )
    return ProblemEncoder(pool=pool, encoder=HashEncoder(dim=32))


def test_the_llm_of_an_agent_depends_on_its_role():
    encoder = roles_and_llms()
    designer = seeded(encoder.space, modes=("single",), gnn=worlds.gnn(16))
    every = every_mode(encoder.space, ("single",))
    pairs = {("mathematician", "alpha"), ("programmer", "beta"), ("historian", "gamma")}
    wanted = torch.tensor([(d.agents[0].role, d.agents[0].llm) in pairs for d in every])
    optimizer = torch.optim.Adam(designer.parameters(), lr=0.01)
    problem = encoder(worlds.tasks(1) * len(every))
    for _ in range(100):
        optimizer.zero_grad()
        (-designer.log_prob(problem, every)[wanted].mean()).backward()  # every role is wanted, with an LLM of its own
        optimizer.step()
    p = masses(designer, encoder, every)
    assert p[wanted].sum() > 0.9
    assert p[wanted].min() > 0.1


def test_modes_become_certain():
    encoder = worlds.encoder(3)
    every, p = trained(seeded(encoder.space, gnn=worlds.gnn(16)), encoder, lambda d: float(d.temporal != ()), steps=60)
    assert p[[d.temporal != () for d in every]].sum() > 0.95


def test_latents_are_drawn_in_training_and_are_means_in_evaluation():
    encoder = worlds.encoder(3)
    designer = seeded(encoder.space)
    problem = encoder(worlds.tasks(2))
    designs = designer(problem, greedy=True).designs
    evaluated = designer(problem, greedy=True).log_prob
    torch.testing.assert_close(evaluated, designer.log_prob(problem, designs))
    designer.train()
    entropies = [designer(problem, generator=torch.Generator().manual_seed(s)).entropy for s in (0, 1)]
    assert not torch.equal(*entropies)
    torch.testing.assert_close(designer.log_prob(problem, designs), evaluated)
    assert (designer(problem).penalty > 0).all()


def test_the_mean_entropy_is_that_of_the_designs_where_each_has_one_origin():
    encoder = worlds.encoder(3)
    modes = ("single", "vote", "chain")
    designer = seeded(encoder.space, modes=modes)
    p = masses(designer, encoder, every_mode(encoder.space, modes))
    mean = designer(encoder(worlds.tasks(1) * 3000), generator=torch.Generator().manual_seed(0)).entropy.mean()
    decisions = 2 + 4  # mode, number, and four agents at most
    torch.testing.assert_close(decisions * mean.detach(), -(p * p.log()).sum(), atol=0.02, rtol=0)


def test_a_trained_designer_can_be_used_on_another_pool():
    small, large = worlds.encoder(3), roles_and_llms()
    draft = seeded(small.space)(large(worlds.tasks(8)), generator=torch.Generator().manual_seed(0))
    assert {a.role for d in draft.designs for a in d.agents} <= {"mathematician", "programmer", "historian"}
    assert torch.isfinite(draft.log_prob).all()


def test_a_reflection_lets_each_agent_speak_twice_without_hearing_others():
    agents = worlds.encoder(2).space.agents
    design = MODES["reflection"].make(agents)
    assert (design.num_rounds, design.spatial, design.temporal) == (2, (), ())
    assert isinstance(design, Design)


def test_a_design_of_no_mode_cannot_be_drawn():
    encoder = worlds.encoder(3)
    designer, agents = seeded(encoder.space), encoder.space.agents
    for design in (teams.star(agents), teams.cascade(agents), teams.debate(agents, num_rounds=3)):
        assert designer.log_prob(encoder(worlds.tasks(1)), [design]) == -torch.inf


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modes": ["single", "quarrel"]}, "mode 'quarrel' is unknown"),
        ({"modes": []}, "at least one"),
        ({"modes": ["cascade"], "max_agents": 2}, "the smallest takes 3"),
        ({"max_agents": 7}, "max_agents must lie in 1..6"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        CascadeRouter(space=worlds.encoder(3).space, **options)
