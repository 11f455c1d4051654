import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gdesign.errors import ConfigError
from gdesign.runs.folder import (
    as_typed,
    default_folder,
    evaluation_folder,
    open_folder,
    refuse_seen,
    versions,
    with_overrides,
    write_command,
    write_splits,
)
from gdesign.types import Task

SAVED = OmegaConf.create(
    {"task": {"_target_": "a.Mix", "recorded": True}, "llm": {"_target_": "a.Recorded"}, "names": {"task": "mix"}}
)
NOW = OmegaConf.create(
    {"task": {"_target_": "a.GSM8K"}, "llm": {"_target_": "a.Live"}, "names": {"task": "gsm8k", "llm": "live"}}
)


def test_another_task_is_read_as_recorded_where_the_answers_are():
    merged = with_overrides(SAVED, NOW, ["task=gsm8k"])
    assert merged.task == {"_target_": "a.GSM8K", "recorded": True}
    assert merged.names.task == "gsm8k"
    assert "recorded" not in NOW.task


def test_another_task_is_read_as_the_command_line_says():
    live = OmegaConf.merge(NOW, {"task": {"recorded": False}})
    assert with_overrides(SAVED, live, ["task=gsm8k", "++task.recorded=false"]).task.recorded is False
    assert "recorded" not in with_overrides(SAVED, NOW, ["task=gsm8k", "llm=live"]).task


@pytest.mark.parametrize("override", ["~task", "nothing=1", "task._target_.part=1"])
def test_an_override_that_cannot_be_applied_is_named(override):
    with pytest.raises(ConfigError, match="cannot be applied to the config of a run folder"):
        with_overrides(SAVED, NOW, [override])


def test_the_folder_of_a_sweep_names_what_is_swept():
    names = {"designer": "swarm", "task": "gsm8k"}
    assert default_folder(names, 3) == Path("runs/swarm-gsm8k-3")
    swept = ["designer=swarm", "seed=3", "+learner.lr=0.1", "threads=2", "encoder=a/b"]
    assert default_folder(names, 3, swept=swept) == Path("runs/swarm-gsm8k-lr=0.1-encoder=a_b-3")


def test_an_evaluation_of_something_else_gets_a_folder_within():
    assert evaluation_folder(Path("runs/a"), ["checkpoint=runs/a", "split=test", "trust=true"]) == Path("runs/a")
    assert evaluation_folder(Path("runs/a"), ["split=lockbox", "reward.usd_weight=1"]) == Path(
        "runs/a/lockbox-usd_weight=1"
    )


def run_config(**llm):
    return OmegaConf.create({"seed": 0, "threads": 1, "llm": {"_target_": "a.Live", **llm}, "names": {}})


def test_a_folder_may_be_opened_again_with_what_changes_no_answer(tmp_path):
    open_folder(tmp_path / "run", run_config())
    open_folder(tmp_path / "run", run_config(budget={"usd": 5}, record="a.sqlite", max_concurrent=3))
    assert OmegaConf.load(tmp_path / "run/config.yaml").llm.budget.usd == 5


def test_a_folder_is_not_opened_again_with_what_changes_answers(tmp_path):
    open_folder(tmp_path / "run", run_config())
    with pytest.raises(ConfigError, match=r"llm\.temperature=None, not 1"):
        open_folder(tmp_path / "run", run_config(temperature=1))


def test_a_folder_from_before_a_setting_stood_in_the_config_may_be_opened_again(tmp_path):
    problem = {"problem": {"anchor": "tree"}}
    open_folder(tmp_path / "run", OmegaConf.merge(run_config(), problem))
    now = {"anchor": "tree", "anchor_reverse": False, "anchor_seed": 0}
    open_folder(tmp_path / "run", OmegaConf.merge(run_config(), {"problem": now}))
    with pytest.raises(ConfigError, match=r"problem\.anchor_reverse=False, not True"):
        open_folder(tmp_path / "run", OmegaConf.merge(run_config(), {"problem": now | {"anchor_reverse": True}}))


def test_a_folder_of_an_earlier_version_may_be_opened_again(tmp_path):
    open_folder(tmp_path / "run", OmegaConf.merge(run_config(), {"reward": {"usd_weight": 0.1}}))
    now = {"usd_weight": 0.1, "second_weight": 0.0}
    open_folder(tmp_path / "run", OmegaConf.merge(run_config(), {"reward": now, "yes": True, "limits": None}))
    with pytest.raises(ConfigError, match=r"reward\.second_weight=0\.0, not 0\.5"):
        open_folder(tmp_path / "run", OmegaConf.merge(run_config(), {"reward": now | {"second_weight": 0.5}}))


def test_questions_of_training_are_no_test(tmp_path):
    tasks = [Task(id=str(i), question="?", answer="1", benchmark="b") for i in range(4)]
    write_splits(tmp_path, {"train": tasks[:2], "validation": tasks[2:3], "test": tasks[3:]})
    refuse_seen(tmp_path, tasks[3:], split="test")
    refuse_seen(tmp_path, tasks, split="train")
    with pytest.raises(ConfigError, match="3 of the 4 questions of split=test are no test"):
        refuse_seen(tmp_path, tasks, split="test")


def test_a_folder_remembers_every_command_that_worked_in_it_and_with_what(tmp_path):
    write_command(tmp_path, "python train.py seed=1")
    write_command(tmp_path, "python eval.py checkpoint=a")
    rows = [json.loads(line) for line in (tmp_path / "commands.jsonl").read_text().splitlines()]
    assert [row["command"] for row in rows] == ["python train.py seed=1", "python eval.py checkpoint=a"]
    assert rows[0]["versions"] == versions()
    assert {"gdesign", "python", "torch"} <= versions().keys()


def test_a_command_goes_on_a_line_of_its_own_after_one_that_a_kill_cut_short(tmp_path):
    write_command(tmp_path, "python train.py seed=1")
    with (tmp_path / "commands.jsonl").open("a") as file:
        file.write('{"time": "20')
    write_command(tmp_path, "python train.py seed=1 resume=true")
    lines = (tmp_path / "commands.jsonl").read_text().splitlines()
    assert [json.loads(line)["command"] for line in lines] == [
        "python train.py seed=1",
        "python train.py seed=1 resume=true",
    ]


def test_a_command_can_be_typed_again(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", "seed=1", "pool.path=my team.yaml"])
    assert as_typed("train", swept=[], out="runs/a") == "python train.py seed=1 'pool.path=my team.yaml'"


def test_one_run_of_a_sweep_can_be_typed_alone():
    assert as_typed("train", swept=["seed=1"], out="runs/a-1") == "gdesign train seed=1 out=runs/a-1"
