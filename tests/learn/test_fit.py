import asyncio
import json
import os
import random
import signal
import tempfile
from functools import partial
from pathlib import Path

import pytest
import torch

from gdesign.agents.teams import chain
from gdesign.design.fixed import Fixed
from gdesign.design.joint.evidence import Evidence
from gdesign.design.joint.joint import Joint
from gdesign.design.learned.gdesigner import GDesigner
from gdesign.design.learned.swarm import Swarm
from gdesign.design.routers.kernel import Kernel
from gdesign.design.routers.knn import NearestNeighbors
from gdesign.design.routers.ridge import Ridge
from gdesign.design.searches.exhaustive import Search
from gdesign.design.searches.random import RandomSearch
from gdesign.design.searches.tree import TreeSearch
from gdesign.errors import BudgetExceededError, ConfigError
from gdesign.execute.reward import Reward
from gdesign.learn.data import items
from gdesign.learn.estimators import critic, imitation
from gdesign.learn.evaluate import evaluate_into
from gdesign.learn.fit import fit, learns
from gdesign.learn.replay import ReplayBuffer
from gdesign.learn.teachers import best_runs
from gdesign.llm.wrappers import Budget
from gdesign.report.tally import read_tally
from gdesign.runs import checkpoint
from gdesign.runs.log import RunsFile, read_runs
from gdesign.runs.metrics import read_metrics
from gdesign.runs.money import spent
from gdesign.types import Label, Reply, Usage
from tests import worlds
from tests.learn.parts import make_arena, make_data, make_module, make_trainer, right_first

pytestmark = pytest.mark.filterwarnings(
    "ignore:The '.*dataloader' does not have many workers",
    "ignore:Checkpoint directory .* exists and is not empty",
    "ignore:You have overridden `transfer_batch_to_device`",
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated",
)


def train(folder, *, make=GDesigner, max_epochs=2, data=None, resume=True, log_every=2, llm=None, **settings):
    problems = worlds.encoder()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        designer = make(space=problems.space)
    with RunsFile(folder / "runs.jsonl") as log, make_arena(llm=llm, log=log) as arena:
        module = make_module(designer, problems, arena, **settings)
        data = make_data() if data is None else data
        fit(module, data, folder=folder, make_trainer=make_trainer(max_epochs, log_every=log_every), resume=resume)
    return module


def search(space):
    return Search(space=space, families=("singles", "votes", "cascades"))


def last(folder):
    return torch.load(folder / checkpoint.LAST, weights_only=True)


def test_two_epochs_and_two_more_are_four_epochs_bit_for_bit(tmp_path):
    # 4 steps an epoch, a row every 3: the stop falls between two rows
    settings = {"num_samples": 100, "entropy_weight": 0.1, "log_every": 3}
    train(tmp_path / "straight", max_epochs=4, **settings)
    train(tmp_path / "stopped", max_epochs=2, **settings)
    train(tmp_path / "stopped", max_epochs=4, **settings)
    straight, resumed = last(tmp_path / "straight"), last(tmp_path / "stopped")
    assert straight["global_step"] == resumed["global_step"] == 16
    assert torch.equal(straight["generator"], resumed["generator"])
    assert straight["state_dict"].keys() == resumed["state_dict"].keys()
    for name, value in straight["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][name]), name
    rows = [
        [
            {k: v for k, v in row.items() if k not in ("seconds", "took", "begins")}
            for row in read_runs(tmp_path / name / "runs.jsonl")
        ]
        for name in ("straight", "stopped")
    ]
    assert rows[0] == rows[1]
    assert read_metrics(tmp_path / "straight/metrics.csv") == read_metrics(tmp_path / "stopped/metrics.csv")


@pytest.mark.parametrize("name", [checkpoint.LAST, "metrics.csv"])
def test_a_kill_while_a_file_is_written_again_leaves_the_old_one(tmp_path, monkeypatch, name):
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to put temporary files on")
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    settings = {"num_samples": 100, "log_every": 1}
    train(tmp_path, max_epochs=1, **settings)
    before = (tmp_path / name).read_bytes()
    os.link(tmp_path / name, tmp_path / "old")  # what is replaced lives on under its other name; else it changes
    train(tmp_path, max_epochs=3, **settings)
    assert (tmp_path / name).read_bytes() != before
    assert (tmp_path / "old").read_bytes() == before
    assert {p.name for p in (tmp_path / "checkpoint").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_each_validation_says_how_many_runs_were_executed_by_then(tmp_path):
    train(tmp_path, max_epochs=2, num_designs=3)
    rows = [float(row["runs"]) for row in read_metrics(tmp_path / "metrics.csv") if row["val/utility"]]
    assert len(rows) == 2
    assert rows[0] < rows[1] == spent(tmp_path)["runs"]


@pytest.mark.parametrize("make", [Swarm, GDesigner])
def test_a_designer_learns_to_ask_who_is_right(tmp_path, make):
    module = train(tmp_path, make=make, max_epochs=12)
    rows = [float(row["val/utility"]) for row in read_metrics(tmp_path / "metrics.csv") if row["val/utility"]]
    assert max(rows) == 1.0
    assert learns(module.designer)


def test_the_same_seed_gives_the_same_parameters(tmp_path):
    one, two = train(tmp_path / "one"), train(tmp_path / "two")
    for a, b in zip(one.designer.parameters(), two.designer.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_module_is_left_with_the_best_checkpoint(tmp_path):
    module = train(tmp_path)
    best = torch.load(tmp_path / checkpoint.BEST, weights_only=True)["state_dict"]
    for name, value in module.designer.state_dict().items():
        assert torch.equal(value, best[checkpoint.PREFIX + name])


def test_a_checkpoint_holds_little_beside_the_parameters_and_their_optimizer(tmp_path):
    module = train(tmp_path)
    num_bytes = 4 * sum(p.numel() for p in module.designer.parameters())
    assert (tmp_path / checkpoint.LAST).stat().st_size < 3 * num_bytes + 40_000


def test_every_execution_is_written_down_and_counted(tmp_path):
    train(tmp_path, max_epochs=2)
    rows = list(read_runs(tmp_path / "runs.jsonl"))
    assert 2 * 8 <= sum(row["phase"] == "fit:train" for row in rows) <= 2 * 8 * 3  # a design drawn twice is run once
    assert sum(row["phase"] == "fit:validation" for row in rows) == 2 * 2
    cost = spent(tmp_path)
    assert cost["runs"] == len(rows)
    assert cost["usd"] == pytest.approx(sum(row["usd"] for row in rows))
    assert cost["seconds"] > 0


def test_what_was_paid_for_training_is_told_also_of_runs_of_earlier_versions(tmp_path):
    row = {"phase": "fit:train", "calls": 1, "usd": 0.5}
    rows = [
        {**row, "label": "live"},  # as earlier versions wrote it
        {**row, "label": "live", "paid_usd": 0.5, "faults": 2},
        {**row, "label": "replayed", "paid_usd": 0.25},
        {**row, "label": "simulated"},
        {**row, "label": "live", "phase": "test"},
    ]
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert spent(tmp_path) == {"runs": 4, "calls": 4, "usd": 2.0, "paid_usd": 1.25, "faults": 2, "seconds": 0.0}


class Swift:
    """All but the last agent are right; the first takes its time."""

    async def __call__(self, request):
        number = int(request.llm.removeprefix("llm-"))
        right = request.origin.task_id.removeprefix("q") if number < 2 else "wrong"
        usage = Usage(prompt_tokens=10, completion_tokens=5)
        return Reply(text=f"Answer: {right}", usage=usage, label=Label.LIVE, seconds=0.1 if number else 5.0)


METHODS = {
    "search": search,
    "random_search": lambda space: RandomSearch(space=space, num_runs=200, max_agents=1),
    "tree_search": lambda space: TreeSearch(space=space, num_runs=100, max_agents=1),
    "knn": lambda space: NearestNeighbors(space=space),
    "ridge": lambda space: Ridge(space=space),
    "kernel": lambda space: Kernel(space=space),
    "evidence": lambda space: Evidence(space=space),
    "joint": lambda space: Joint(space=space, gnn=worlds.gnn(8)),
}


@pytest.mark.parametrize("name", METHODS)
def test_seconds_have_a_price_for_designers_that_know_score_and_usd_alone(tmp_path, name):
    settings = {"estimator": critic} if name == "joint" else {}
    reward = Reward(usd_weight=0.01, second_weight=0.1)
    module = train(tmp_path, make=METHODS[name], llm=Swift(), reward=reward, **settings)
    problem = module.problems(worlds.tasks(4), usd_weight=0.01)
    best = module.designer.eval()(problem, greedy=True).designs
    assert {agent.llm for design in best for agent in design.agents} == {"llm-1"}
    paid = {row["usd"] for row in read_runs(tmp_path / "runs.jsonl") if len(row["design"]["agents"]) == 1}
    assert paid == {3e-6, 3e-5, 3e-4}  # what is written down are USD


def test_seconds_cannot_be_told_in_usd_that_have_no_weight(tmp_path):
    with pytest.raises(ConfigError, match=r"give USD a weight too"):
        train(tmp_path, make=search, reward=Reward(second_weight=0.1))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_evaluation_on_questions_of_training_is_no_cost_of_training(tmp_path, split):
    module = train(tmp_path, max_epochs=1)
    before = spent(tmp_path)
    with RunsFile(tmp_path / "runs.jsonl") as log, make_arena(log=log) as arena:
        evaluate_into(
            tmp_path,
            module.designer,
            items(worlds.tasks(2)),
            problems=module.problems,
            arena=arena,
            split=split,
            num_samples=1,
            reward=Reward(),
            training=before,
        )
    assert spent(tmp_path) == before
    assert sum(1 for _ in read_runs(tmp_path / "runs.jsonl", phase=split)) == 2


def test_a_fixed_design_is_not_trained(tmp_path):
    module = train(tmp_path, make=lambda space: Fixed(space=space, topology=chain))
    assert not learns(module.designer)
    assert not (tmp_path / "runs.jsonl").exists()
    assert (tmp_path / checkpoint.BEST).is_file()


def test_a_search_looks_at_every_training_question_once(tmp_path):
    problems = worlds.encoder()
    module = train(tmp_path, make=search)
    assert [a.llm for a in module.designer.design.agents] == ["llm-0"]
    assert sum(1 for _ in read_runs(tmp_path / "runs.jsonl")) == 8 * 3
    again = search(problems.space)
    checkpoint.restore(again, tmp_path / checkpoint.BEST)
    assert again.design == module.designer.design


def test_a_spent_budget_ends_training_and_keeps_what_was_done(tmp_path):
    llm = Budget(llm=worlds.Scripted(right_first), pool=worlds.pool(), calls=40)
    with pytest.raises(BudgetExceededError, match="budget of 40 calls"):
        train(tmp_path, llm=llm)
    assert sum(row["calls"] for row in read_runs(tmp_path / "runs.jsonl")) > 20


def test_ctrl_c_keeps_what_was_done_and_the_same_training_goes_on(tmp_path):
    asked = []

    def interrupted(request):
        asked.append(request)
        if len(asked) == 50:  # in the second epoch
            signal.raise_signal(signal.SIGINT)
        return right_first(request)

    before_tests = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, llm=worlds.Scripted(interrupted), max_epochs=4)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before_tests)
    before = list(read_runs(tmp_path / "runs.jsonl"))
    assert before
    assert last(tmp_path)["global_step"] > 0
    train(tmp_path, max_epochs=4)
    after = list(read_runs(tmp_path / "runs.jsonl"))
    assert after[: len(before)] == before
    assert last(tmp_path)["global_step"] == 16
    assert [int(row["step"]) for row in read_metrics(tmp_path / "metrics.csv") if row["val/utility"]] == [3, 7, 11, 15]


class Slow:
    """Answers after a moment what is asked for the first time, and at once what was recorded; may end a training."""

    def __init__(self, stop=None):
        self.recorded = set()
        self.stop = stop
        self.asked = 0

    async def __call__(self, request):
        known = request in self.recorded
        if not known:
            self.asked += 1
            await asyncio.sleep(0.02 + 0.01 * (self.asked % 4))
            if len(self.recorded) == self.stop:
                self.stop = None
                raise BudgetExceededError("enough")
            self.recorded.add(request)
        label = Label.REPLAYED if known else Label.LIVE
        return Reply(text=right_first(request), usage=Usage(prompt_tokens=10, completion_tokens=5), label=label)


@pytest.mark.parametrize(
    ("make", "stop"),
    [(search, 13), (GDesigner, 7), (lambda space: Joint(space=space, num_probes=20, gnn=worlds.gnn(8)), 9)],
)
def test_what_training_cost_is_the_same_however_often_it_was_stopped_and_said_again(tmp_path, make, stop):
    settings = {"make": make, "max_epochs": 3}
    if make not in (search, GDesigner):
        settings["estimator"] = critic
    train(tmp_path / "straight", llm=Slow(), **settings)
    straight = spent(tmp_path / "straight")
    llm = Slow(stop=stop)
    with pytest.raises(BudgetExceededError):
        train(tmp_path / "stopped", llm=llm, **settings)
    assert llm.recorded
    train(tmp_path / "stopped", llm=llm, **settings)
    stopped = spent(tmp_path / "stopped")
    train(tmp_path / "stopped", llm=llm, **settings)
    again = spent(tmp_path / "stopped")
    tally = read_tally(tmp_path / "stopped", split=None)
    runs, usd = (sum(sums[name] for sums in tally.phases.values()) for name in ("runs", "usd"))
    assert (runs, usd) == (straight["runs"], pytest.approx(straight["usd"]))
    for cost in (stopped, again):
        for name in ("runs", "calls", "usd"):
            assert cost[name] == pytest.approx(straight[name]), name
        assert 0 < cost["paid_usd"] <= straight["paid_usd"] * (1 + 1e-9)  # of runs that were broken off nothing is told
        assert straight["seconds"] > 0.05
        assert 0.3 < cost["seconds"] / straight["seconds"] < 3  # loosely: tests run beside each other


def test_the_best_recorded_design_of_each_task_is_imitated(tmp_path):
    train(tmp_path / "searched", make=search)
    teacher = best_runs(tmp_path / "searched", reward=Reward())
    module = train(
        tmp_path / "taught", make=Swarm, max_epochs=8, estimator=imitation, teacher=teacher, num_designs=1, lr=0.5
    )
    problem = module.problems(worlds.tasks(1))
    assert [a.llm for a in module.designer(problem, greedy=True).designs[0].agents] == ["llm-0"]


def test_early_stopping_and_checkpoints_look_at_utility_not_score(tmp_path):
    module = train(tmp_path, reward=Reward(usd_weight=1.0))
    row = [r for r in read_metrics(tmp_path / "metrics.csv") if r["val/utility"]][-1]
    assert float(row["val/utility"]) == pytest.approx(float(row["val/score"]) - float(row["val/usd"]), abs=1e-6)
    assert module.reward.usd_weight == 1.0


def test_a_critic_that_was_stopped_recalls_its_runs_and_goes_on_bit_for_bit(tmp_path):
    settings = {
        "make": lambda space: Joint(space=space, shapes=["single", "pair"], num_probes=3, gnn=worlds.gnn(8)),
        "estimator": partial(critic, between=0.2),
        "num_samples": 100,
        "usd_weight_range": (0.01, 1.0),
    }
    for name, epochs in (("straight", 4), ("stopped", 2), ("stopped", 4)):
        train(tmp_path / name, max_epochs=epochs, replay=ReplayBuffer(num_tasks=3), **settings)
    straight, resumed = (last(tmp_path / name)["state_dict"] for name in ("straight", "stopped"))
    tensors = [name for name in straight if not name.endswith("_extra_state")]
    assert tensors
    for name in tensors:
        assert torch.equal(straight[name], resumed[name]), name


class Late:
    """A live endpoint: which call ends first is luck."""

    def __init__(self, seed):
        self._delay = random.Random(seed).random

    async def __call__(self, request):
        await asyncio.sleep(0.01 * self._delay())
        return Reply(text=right_first(request), usage=Usage(prompt_tokens=10, completion_tokens=5), label=Label.LIVE)


def test_which_call_ends_first_does_not_matter_to_a_critic_that_goes_over_earlier_runs(tmp_path):
    settings = {
        "make": lambda space: Joint(space=space, shapes=["single", "pair"], num_probes=3, gnn=worlds.gnn(8)),
        "estimator": partial(critic, between=0.2),
        "num_samples": 100,
    }
    for name, epochs, seed in (("straight", 2, 0), ("again", 2, 1), ("stopped", 1, 2), ("stopped", 2, 3)):
        train(tmp_path / name, max_epochs=epochs, llm=Late(seed), replay=ReplayBuffer(num_tasks=3), **settings)
    straight, *others = (read_metrics(tmp_path / name / "metrics.csv") for name in ("straight", "again", "stopped"))
    assert others == [straight, straight]


def test_the_same_command_again_keeps_the_best_critic(tmp_path):
    settings = {
        "make": lambda space: Joint(space=space, shapes=["single", "pair"], num_probes=3, gnn=worlds.gnn(8)),
        "estimator": critic,
    }
    first, second = (train(tmp_path, max_epochs=2, **settings).designer for _ in range(2))
    problem = worlds.encoder()(worlds.tasks(2))
    assert torch.equal(first(problem, greedy=True).log_prob, second(problem, greedy=True).log_prob)


def test_the_learning_rate_falls_to_its_share(tmp_path):
    train(tmp_path, max_epochs=2, final_lr=0.1)
    state = torch.load(tmp_path / checkpoint.LAST, weights_only=True)["optimizer_states"][0]
    assert state["param_groups"][0]["lr"] == pytest.approx(0.005)
