import asyncio
from functools import partial

import pytest
import torch

from gdesign.agents.teams import single
from gdesign.design.learned.gdesigner import GDesigner
from gdesign.errors import ConfigError
from gdesign.execute.reward import Reward
from gdesign.learn.estimators import imitation, leave_one_out
from gdesign.learn.replay import ReplayBuffer
from gdesign.runs.log import RunsFile, read_runs
from tests import worlds
from tests.learn.parts import make_arena, make_data, make_module, make_trainer, right_first

pytestmark = pytest.mark.filterwarnings(
    "ignore:The '.*dataloader' does not have many workers",
    "ignore:You have overridden `transfer_batch_to_device`",
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated",
)


def _begun():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GDesigner(space=worlds.encoder().space)


@pytest.fixture
def fitted(tmp_path):
    """Trains a gdesigner for one epoch of one step and returns the module with the gradients of that step."""

    def fit(*, num_samples=1, global_seed=0, llm=None, **settings):
        problems, designer = worlds.encoder(), _begun()
        torch.manual_seed(global_seed)
        with RunsFile(tmp_path / "runs.jsonl") as log, make_arena(log=log, llm=llm) as arena:
            module = make_module(designer, problems, arena, num_samples=num_samples, **settings)
            trainer = make_trainer(1)(logger=False, enable_checkpointing=False, limit_val_batches=0)
            trainer.fit(module, make_data(2))
        return module

    return fit


def test_one_step_gives_every_parameter_a_gradient_the_latents_noise_too(fitted):
    module = fitted(num_designs=8, estimator=leave_one_out, penalty_weight=0.0)
    for name, parameter in module.designer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert any("log_sigma" in name for name, _ in module.designer.named_parameters())


def test_the_designs_of_one_task_share_the_seed_of_their_runs(fitted, tmp_path):
    fitted(num_designs=8, num_samples=1_000_000)
    seeds = {}
    for row in read_runs(tmp_path / "runs.jsonl"):
        seeds.setdefault(row["task"], set()).add(row["seed"])
    assert [len(found) for found in seeds.values()] == [1, 1]
    assert seeds["q0"] != seeds["q1"]


def test_designs_are_weighed_by_the_reward_of_the_module(fitted):
    seen = []

    def keep(rollouts):
        seen.append(rollouts.utility)
        return -rollouts.log_prob.mean()

    for reward in (Reward(), Reward(token_weight=1.0)):
        fitted(estimator=keep, reward=reward)
    free, priced = seen
    assert (priced < free - 14).all()  # each call takes 15 tokens


def test_weight_decay_takes_its_share_of_the_parameters_at_each_step(fitted):
    lr, weight_decay = 0.01, 20.0
    plain, decayed = (
        fitted(lr=lr, optimizer=partial(torch.optim.AdamW, weight_decay=w)).designer for w in (0.0, weight_decay)
    )
    begun = _begun().state_dict()
    for (name, a), b in zip(plain.named_parameters(), decayed.parameters(), strict=True):
        torch.testing.assert_close(b, a - lr * weight_decay * begun[name])


def test_runs_of_training_have_a_phase_and_a_step(fitted, tmp_path):
    fitted()
    assert {(row["phase"], row["step"]) for row in read_runs(tmp_path / "runs.jsonl")} == {("fit:train", 0)}


def test_imitation_does_not_depend_on_torchs_own_generator(fitted):
    agents = worlds.encoder().space.agents
    settings = {"num_designs": 1, "estimator": imitation, "teacher": lambda tasks: [single(agents[:1]) for _ in tasks]}
    one, two = (fitted(global_seed=seed, **settings).designer for seed in (1, 2))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_setting_that_the_optimizer_refuses_is_the_users_to_mend(fitted):
    with pytest.raises(ConfigError, match=r"learner\.optimizer: Invalid weight_decay value: -1"):
        fitted(optimizer=partial(torch.optim.AdamW, weight_decay=-1.0))


def test_any_optimizer_of_torch_will_do(fitted):
    designer = fitted(lr=0.1, optimizer=torch.optim.SGD).designer
    begun = _begun().state_dict()
    for name, parameter in designer.named_parameters():
        torch.testing.assert_close(parameter, begun[name] - 0.1 * parameter.grad)


def test_which_run_ends_first_does_not_matter_to_what_a_critic_goes_over_again(fitted):
    class Late:
        """Answers one role later than all others."""

        def __init__(self, role):
            self.role = role

        async def __call__(self, request):
            await asyncio.sleep(0.02 * (request.origin.role == self.role))
            return await worlds.Scripted(right_first)(request)

    drawn = []
    for role in ("role-0", "role-2"):
        module = fitted(llm=Late(role), num_designs=8, replay=ReplayBuffer(num_tasks=4))
        drawn.append(module.replay.draw(torch.Generator().manual_seed(0)))
    first, second = ([(key, [done._replace(seconds=0) for done in runs]) for key, runs in found] for found in drawn)
    assert first == second
