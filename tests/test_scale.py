"""The ninth law: with default settings every learned method draws, runs and learns on pools of any size.

At equal runs its greedy design is worth no less than the best single agent.
"""

import json
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from benchmarks.pools import pool
from gdesign.cli.talk import quiet
from gdesign.execute.arena import LocalArena
from gdesign.execute.reward import Reward
from gdesign.learn.data import TaskData
from gdesign.learn.fit import fit
from gdesign.runs.checkpoint import assemble
from tests.commands import Commands
from tests.learn.parts import make_trainer

ROOT = Path(__file__).parents[1]

METHODS = (
    "joint", "critic", "gdesigner", "supernet", "cascade_router", "autoregressive", "relaxed", "prune", "swarm",
    "diffusion",
)  # fmt: skip


@pytest.fixture
def command(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return Commands(monkeypatch)


def questions(train, validation, test):
    return (f"++task.num_train={train}", f"++task.num_validation={validation}", f"++task.num_test={test}")


@pytest.mark.parametrize("num_llms", [1, pytest.param(5, marks=pytest.mark.slow), 25], ids=["4", "20", "100"])
@pytest.mark.parametrize("designer", METHODS)
def test_by_default_it_draws_runs_and_learns(designer, num_llms, tmp_path):
    quiet()
    with initialize_config_dir(str(ROOT / "gdesign/configs"), version_base="1.3"):
        config = compose("train", [f"designer={designer}", *pool(tmp_path / "pool.yaml", num_llms)])
    problems, made = assemble(config)
    benchmark = instantiate(config.task, num_train=8, num_validation=2, num_test=2)
    tasks = {split: benchmark.load(split) for split in ("train", "validation")}
    before = [parameter.detach().clone() for parameter in made.parameters()]
    with LocalArena(pool=problems.space.pool, llm=instantiate(config.llm), benchmark=benchmark) as arena:
        module = instantiate(config.learner, _partial_=True, num_designs=2)(
            designer=made, problems=problems, arena=arena, reward=Reward(**config.reward)
        )
        trainer = make_trainer(max_epochs=1)
        data = TaskData(**tasks, batch_size=4, shuffle_questions=False, seed=0)
        fit(module, data, folder=tmp_path, make_trainer=trainer, patience=None, resume=False)
    changed = [not torch.equal(a, b) for a, b in zip(before, made.parameters(), strict=True)]
    assert any(changed)
    assert all(parameter.isfinite().all() for parameter in made.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("designer", METHODS)
def test_it_ends_no_worse_than_the_best_single_agent_of_twenty(designer, command, tmp_path):
    shared = (
        *pool(tmp_path / "pool.yaml", 5),
        *questions(300, 90, 180),
        "reward.usd_weight=0.05",
        "num_test_samples=2",
        "deploy=learned",
    )
    silent = "trainer.enable_progress_bar=false"
    for name in (designer, "search"):
        families = ("designer.families=[singles]",) if name == "search" else ()
        options = (silent, *families, f"out={name}")
        assert command("train", f"designer={name}", *shared, *options)[0] == 0
    learned, single = (
        json.loads((tmp_path / name / "eval.json").read_text())["utility"] for name in (designer, "search")
    )
    assert learned >= single - 0.01
