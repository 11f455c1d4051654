import pytest
import torch

from gdesign.agents.pool import builtin
from gdesign.agents.teams import single, vote
from gdesign.design.searches.self_consistency import SelfConsistency
from gdesign.encode.problem import Space
from gdesign.errors import ConfigError
from gdesign.execute.arena import LocalArena
from gdesign.llm.simulated import SimulatedClient
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import Agent, Decision, Job
from tests import laws, worlds


def found(space: Space, *, num_samples: int = 3, best: int = 1) -> SelfConsistency:
    designer = SelfConsistency(space=space, num_samples=num_samples)
    n = len(space.slots)
    scores = torch.tensor([[float(i == best) for i in range(n)]])
    designer.fit(answers=[["a"] * n], scores=scores, usd=torch.ones(1, n))
    return designer


def test_copies_of_the_agent_that_is_best_alone_vote():
    designer = found(worlds.encoder().space)
    assert [a.llm for a in designer.design.agents] == ["llm-1"] * 3
    assert designer.design.decision == Decision(kind="vote")
    assert designer.design.spatial == ()


def test_one_sample_is_the_agent_alone():
    space = worlds.encoder().space
    assert found(space, num_samples=1).design == single([space.agents[1]])
    with pytest.raises(ConfigError, match="num_samples must be 1 or more"):
        SelfConsistency(space=space, num_samples=0)


def test_what_was_found_is_in_the_checkpoint():
    space = worlds.encoder().space
    again = SelfConsistency(space=space, num_samples=3)
    again.load_state_dict(found(space).state_dict())
    assert again.design == found(space).design


def copies(space: Space):
    return [vote([agent] * 3) for agent in dict.fromkeys(space.agents)]


SELF_CONSISTENCY = laws.Method(
    name="search",  # it is one, and what is exempt there is exempt here
    make=lambda space: found(
        Space(pool=space.pool, slots=tuple(dict.fromkeys(space.slots)), text_dim=space.text_dim), best=0
    ),
    designs=copies,
    query_dependent=False,
    learned=False,
)


@pytest.mark.parametrize("law", laws.applying_to(SELF_CONSISTENCY), ids=lambda law: law.__name__)
def test_self_consistency_keeps_the_law(law):
    law(SELF_CONSISTENCY)


def test_copies_give_answers_of_their_own_where_answers_are_drawn():
    benchmark, pool = Synthetic(num_train=40), builtin("simulated")
    agent = Agent(role="assistant", llm="small")
    with LocalArena(pool=pool, llm=SimulatedClient(pool=pool), benchmark=benchmark) as arena:
        done = arena.run([Job(vote([agent] * 3), task, 0) for task in benchmark.load("train")], phase="test")
    assert any(len({turn.answer for turn in run.turns}) > 1 for run, _ in done)
