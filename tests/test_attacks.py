"""The robustness experiment: one agent of a team is attacked, and nothing that a designer reads tells."""

import json
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

from gdesign.agents.prompt import ATTACKS
from gdesign.runs.checkpoint import assemble
from tests.commands import Commands

ROOT = Path(__file__).parents[1]
TINY = (
    "experiment=robustness",
    f"pool.path={ROOT}/benchmarks/six_agents.yaml",
    "+task.num_train=9",
    "+task.num_validation=9",
    "+task.num_test=45",
    "trainer.max_epochs=1",
    "trainer.enable_progress_bar=false",
    "threads=1",
)


def composed(*overrides, config="train"):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "gdesign/configs"), version_base="1.3"):
        return compose(config, list(overrides))


@pytest.fixture
def command(monkeypatch, capsys):
    return Commands(monkeypatch, capsys)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(
    ("experiment", "role", "num_agents"), [("robustness", "adviser", 6), ("robustness_mmlu", "Knowledgeable Expert", 6)]
)
def test_one_of_six_agents_is_attacked(experiment, role, num_agents, attack, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = composed(f"experiment={experiment}", "designer=complete", f"+pool.attacks={{{role}: {attack}}}")
    pool = instantiate(config.pool)
    assert {r.name: r.attack for r in pool.roles if r.attack} == {role: attack}
    config.text = composed("text=hash").text
    problems, designer = assemble(config)
    assert len(problems.space.agents) == num_agents
    assert [a.role for a in designer.design.agents].count(role) == 1


def test_the_simulated_experiment_runs_live_too():
    config = composed("experiment=robustness", "llm=openai", "llm.base_url=http://127.0.0.1:9000/v1", "llm.record=null")
    assert config.llm.base_url == "http://127.0.0.1:9000/v1"
    assert config.learner.num_samples == 1  # llm=simulated would have set another


def test_no_designer_reads_an_attack(monkeypatch):
    monkeypatch.chdir(ROOT)
    graphs = []
    for attacks in ("{}", "{adviser: liar}"):
        config = composed("experiment=robustness", f"+pool.attacks={attacks}")
        problems, _ = assemble(config)
        (task,) = instantiate(config.task, num_train=1, num_validation=0, num_test=0).load("train")
        graphs.append(problems([task]))
    before, after = graphs
    assert before.space[0].agents == after.space[0].agents
    tensors = [key for key in before.keys() if isinstance(before[key], torch.Tensor)]
    assert {"x", "edge_index"} <= set(tensors)
    assert all(torch.equal(before[key], after[key]) for key in tensors)


def test_an_attack_lowers_the_score_of_a_chain_before_and_after_training(command, tmp_path):
    def score(folder):
        return json.loads((folder / "eval.json").read_text())["score"]

    for name, attacks in (("before", "{}"), ("liar", "{adviser: liar}")):
        assert command("train", *TINY, "designer=chain", f"+pool.attacks={attacks}", f"out={tmp_path}/{name}")[0] == 0
    assert score(tmp_path / "liar") < score(tmp_path / "before") - 0.05
    turned = command("eval", f"checkpoint={tmp_path}/before", "+pool.attacks={adviser: liar}", f"out={tmp_path}/turned")
    assert turned[0] == 0
    assert score(tmp_path / "turned") == score(tmp_path / "liar")


def test_an_attack_on_nobody_is_refused_in_words(command, tmp_path):
    status, _, err = command("train", *TINY, "designer=chain", "+pool.attacks={judge: liar}", f"out={tmp_path}/run")
    assert status != 0
    assert "has no role 'judge'" in err
    status, _, err = command("train", *TINY, "designer=chain", "+pool.attacks={clerk: thief}", f"out={tmp_path}/run")
    assert status != 0
    assert "expected one of liar, injector, babbler" in err
