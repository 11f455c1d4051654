from collections.abc import Iterator

import pytest
import torch

from gdesign.design.learned.supernet import Supernet
from gdesign.design.learned.supernet_operators import OPERATORS, Step, Work, build
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.encode.text import HashEncoder
from gdesign.errors import ConfigError
from gdesign.types import LLM, Agent, AgentPool, Decision, Design, Edge, Role
from tests import laws, worlds


def works(space: Space, *, num_layers: int) -> Iterator[Work]:
    """Yield what every path builds."""

    def grow(work: Work, left: int) -> Iterator[Work]:
        if work.solutions:
            yield work
        for operator in OPERATORS.values() if left else ():
            if len(work.solutions) >= operator.needs and operator is not OPERATORS["exit"]:
                chosen = [(a,) for a in dict.fromkeys(space.agents) if a.operator in operator.agents]
                for agents in chosen if operator.agents else [()]:
                    yield from grow(operator.act(work, agents), left - 1)

    return grow(Work(), num_layers)


def every_design(space: Space, *, num_layers: int = 2) -> list[Design]:
    return list(dict.fromkeys(work.design() for work in works(space, num_layers=num_layers)))


SUPERNET = laws.Method(
    name="supernet",
    make=lambda space: Supernet(space=space, num_layers=2, gnn=worlds.gnn(16)),
    designs=every_design,
)


@pytest.mark.parametrize("law", laws.applying_to(SUPERNET), ids=lambda law: law.__name__)
def test_supernet_keeps_the_law(law):
    law(SUPERNET)


def mixed(num_roles: int = 1, *, slots: list[int] | None = None, operators=("answer", "cot", "refine")):
    pool = AgentPool(
        name="mixed",
        roles=tuple(Role(name=f"r{i}", profile=f"You are expert {i}.") for i in range(num_roles)),
        llms=(LLM(name="m", usd_per_1M_input=1.0, usd_per_1M_output=2.0),),
        operators=operators,
    )
    return ProblemEncoder(pool=pool, encoder=HashEncoder(dim=32), slots=slots)


def seeded(space: Space, **options: object) -> Supernet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Supernet(space=space, **{"gnn": worlds.gnn(16), **options}).eval()


def probabilities(supernet: Supernet, encoder: ProblemEncoder, designs: list[Design]) -> torch.Tensor:
    with torch.no_grad():
        return supernet.log_prob(encoder(worlds.tasks(1) * len(designs)), designs).exp()


@pytest.mark.parametrize(("num_roles", "num_layers", "slots"), [(1, 3, None), (2, 2, None), (1, 3, [0, 2, 0, 1, 1])])
def test_with_agents_for_every_operator_probabilities_sum_to_one(num_roles, num_layers, slots):
    encoder = mixed(num_roles, slots=slots)
    designs = every_design(encoder.space, num_layers=num_layers)
    p = probabilities(seeded(encoder.space, num_layers=num_layers), encoder, designs)
    assert (p > 0).all()
    torch.testing.assert_close(p.sum(), torch.tensor(1.0), atol=1e-4, rtol=0)


def test_agents_that_run_programs_join_where_they_are_on_offer():
    encoder = mixed(operators=("answer", "program", "test"))
    designs = every_design(encoder.space, num_layers=2)
    p = probabilities(seeded(encoder.space, num_layers=2), encoder, designs)
    assert (p > 0).all()
    torch.testing.assert_close(p.sum(), torch.tensor(1.0), atol=1e-4, rtol=0)
    answering, writing, testing = encoder.space.agents
    assert {Design(agents=(writing,)), Design(agents=(answering, testing), spatial=(Edge(0, 1),))} <= set(designs)
    few = mixed(operators=("answer",)).space
    assert len(seeded(encoder.space).operator.weight) == len(seeded(few).operator.weight) + 2 * 16


def test_without_reuse_each_agent_is_chosen_once_and_probabilities_sum_to_one():
    encoder = worlds.encoder(3)
    supernet = seeded(encoder.space, operators=["answer"], reuse=False)
    designs = [*laws.singles(encoder.space), *(d for k in (2, 3) for d in laws.votes(encoder.space, num_voters=k))]
    p = probabilities(supernet, encoder, designs)
    assert (p > 0).all()
    torch.testing.assert_close(p.sum(), torch.tensor(1.0), atol=1e-4, rtol=0)
    twice = build([Step("answer", encoder.space.agents[0])] * 2).design()
    assert probabilities(supernet, encoder, [twice]).item() == 0


def test_who_refines_has_heard_a_solution():
    encoder = mixed(2)
    problem = encoder(worlds.tasks(6) * 5)
    designs = seeded(encoder.space)(problem, generator=torch.Generator().manual_seed(0)).designs
    heard = [
        sum(e.dst == i for e in d.spatial) for d in designs for i, a in enumerate(d.agents) if a.operator == "refine"
    ]
    assert heard
    assert min(heard) >= 1  # more where it then debated


def test_other_designs_and_other_agents_have_no_probability():
    encoder = worlds.encoder(3)
    supernet = seeded(encoder.space)
    a, b, c = encoder.space.agents
    chain = Design(agents=(a, b), spatial=(Edge(0, 1),))
    others = [
        Design(agents=(Agent(role="a", llm="m", operator="answer"),)),
        Design(agents=(a, b), spatial=(Edge(0, 1),), num_rounds=2),
        Design(agents=(a, b), temporal=(Edge(0, 1),), num_rounds=2, decision=Decision(kind="vote")),
        Design(agents=(a, b, c), spatial=(Edge(0, 1), Edge(1, 2), Edge(0, 2))),
    ]
    p = probabilities(supernet, encoder, [chain, *others])
    assert p[0] > 0
    assert p[1:].tolist() == [0.0] * 4
    assert probabilities(supernet, encoder, others[:1]).tolist() == [0.0]


def test_trained_for_short_designs_it_exits_after_the_first_layer():
    encoder = worlds.encoder(2)
    supernet = seeded(encoder.space).train()
    optimizer = torch.optim.Adam(supernet.parameters(), lr=0.01)
    problem = encoder(worlds.tasks(2))
    single = [Design(agents=(encoder.space.agents[0],)), Design(agents=(encoder.space.agents[1],))]
    for _ in range(60):
        optimizer.zero_grad()
        (-supernet.log_prob(problem, single).mean()).backward()
        optimizer.step()
    assert supernet(problem, greedy=True).designs == single


@pytest.mark.parametrize("num_agents", [1, 30])
def test_a_supernet_serves_other_agents(num_agents):
    supernet = seeded(worlds.encoder(3).space)
    encoder = mixed(num_agents)
    draft = supernet(encoder(worlds.tasks(4)), generator=torch.Generator().manual_seed(0))
    assert draft.log_prob.isfinite().all()


def test_untrained_an_operator_is_as_likely_with_many_agents_as_with_one():
    def exits(num_roles: int) -> float:
        encoder = mixed(num_roles, operators=("answer",))
        supernet = seeded(encoder.space, operators=["answer"], num_layers=2)
        torch.nn.init.zeros_(supernet.score.weight)
        singles = [Design(agents=(agent,)) for agent in encoder.space.agents]
        return probabilities(supernet, encoder, singles).sum().item()

    assert exits(1) == pytest.approx(0.5, abs=1e-4)
    assert exits(20) == pytest.approx(0.5, abs=1e-4)


# --------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operators": ["answer", "vote"]}, "'vote' is unknown"),
        ({"operators": ["answer", "answer"]}, "each operator once"),
        ({"operators": ["ensemble", "debate"]}, "no agent on offer can begin"),
        ({"operators": ["cot"]}, "no agent on offer can begin"),
        ({"num_layers": 0}, "num_layers must be 1 or more"),
    ],
)
def test_settings_that_allow_no_design_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Supernet(space=worlds.encoder(2).space, **options)


def test_a_problem_whose_agents_cannot_begin_is_refused():
    encoder = mixed()
    refiner = worlds.with_slots(encoder(worlds.tasks(1)).to_data_list()[0], [2])
    with pytest.raises(ConfigError, match="no agent on offer can begin"):
        seeded(encoder.space)(worlds.batch([refiner]))
