from dataclasses import replace

import pytest
import torch

from gdesign.agents.teams import chain, single, vote
from gdesign.design.choose import greedy
from gdesign.design.deployed import Measured
from gdesign.design.learned.gdesigner import GDesigner
from gdesign.errors import ConfigError
from gdesign.runs import checkpoint
from gdesign.runs.standing import Rival, Standing, deployed, read_standing, refuse_other, write_standing
from tests import worlds


def rival(kind, design, utility, *, difference=0.0):
    worth = Measured(design=design, score=utility, usd=0.0)
    return Rival(kind=kind, worth=worth, difference=difference, interval=(difference - 0.1, difference + 0.1))


def standing(utility, *, space=None):
    """A learned designer of some utility, two single agents of .4 and .6, and a team of .5."""
    agents = (space or worlds.encoder().space).agents
    found = [
        rival("single", single([agents[0]]), 0.4, difference=utility - 0.4),
        rival("single", single([agents[1]]), 0.6, difference=utility - 0.6),
        rival("seen", vote(agents), 0.5, difference=utility - 0.5),
    ]
    return Standing(
        usd_weight=0.1,
        n=60,
        score=utility,
        usd=0.0,
        utility=utility,
        in_sample=False,
        rivals=tuple(found),
        took={"runs": 7, "calls": 8, "usd": 0.5, "paid_usd": 0.0},
    )


@pytest.fixture
def saved(tmp_path):
    """A checkpoint of an untrained designer, and that designer with its problems."""
    problems = worlds.encoder()
    designer = GDesigner(space=problems.space)
    checkpoint.save(designer, tmp_path / "best.ckpt")
    return tmp_path / "best.ckpt", designer, problems


def test_a_checkpoint_carries_how_its_designer_stands(saved):
    path, designer, _ = saved
    assert read_standing(path) is None
    write_standing(standing(0.3), path)
    assert read_standing(path) == standing(0.3)
    before = {name: value.clone() for name, value in designer.state_dict().items()}
    checkpoint.restore(designer, path)  # as a training does that starts from it
    assert all(torch.equal(before[name], value) for name, value in designer.state_dict().items())


def test_a_designer_that_lost_is_deployed_only_if_that_is_asked_for(saved):
    path, designer, problems = saved
    write_standing(standing(0.3, space=problems.space), path)
    better, warning = deployed(designer, path, deploy="better")
    assert greedy(better, problems, worlds.tasks(2)) == [single([problems.space.agents[1]])] * 2
    assert "0.3000 worse (0.2000 to 0.4000) in utility than the best single agent (role-1/llm-1/answer)" in warning
    assert warning.endswith("at lambda 0.1, where that is deployed")
    learned, warning = deployed(designer, path, deploy="learned")
    assert learned.learned is designer
    assert "deployed all the same" in warning


def test_a_designer_that_is_no_worse_is_deployed_and_nobody_is_warned(saved):
    path, designer, problems = saved
    write_standing(standing(0.6, space=problems.space), path)
    left, warning = deployed(designer, path, deploy="better")
    assert (left.learned, warning) == (designer, None)


def test_a_team_stands_in_where_it_was_worth_most(saved):
    path, designer, problems = saved
    found = standing(0.3, space=problems.space)
    team = rival("seen", chain(problems.space.agents), 0.9, difference=-0.6)
    write_standing(replace(found, rivals=(*found.rivals, team)), path)
    better, warning = deployed(designer, path, deploy="better")
    assert greedy(better, problems, worlds.tasks(1)) == [chain(problems.space.agents)]
    assert "the best design seen in training (role-0/llm-0/answer, role-1" in warning


def test_rivals_of_agents_that_a_pool_lacks_are_left_out():
    left = standing(0.3).within(worlds.pool(1))
    assert [r.worth.design.agents[0].llm for r in left.rivals] == ["llm-0"]
    assert standing(0.3).within(replace(worlds.pool(1), llms=worlds.pool(4).llms[3:], candidates=())) is None


def test_another_deployment_is_refused():
    with pytest.raises(ConfigError, match="deploy is 'best'; expected better"):
        refuse_other("best")
