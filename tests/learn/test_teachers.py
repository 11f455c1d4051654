import json

import pytest

from gdesign.agents.teams import chain, single
from gdesign.errors import DataError
from gdesign.execute.reward import Reward
from gdesign.export.schema import design_to_json
from gdesign.learn.teachers import best_runs
from tests import worlds

AGENTS = worlds.encoder().space.agents
FIRST, BOTH = single(AGENTS[:1]), chain(AGENTS[:2])


def write(folder, *rows):
    lines = []
    for task, design, score, usd, latency in rows:
        row = {"phase": "fit:search", "benchmark": "tiny", "task": task, "design": design_to_json(design)}
        row |= {"score": score, "usd": usd, "prompt_tokens": 10, "completion_tokens": 5}
        lines.append(json.dumps(row | ({"latency": latency} if latency else {})) + "\n")
    (folder / "runs.jsonl").write_text("".join(lines))
    return folder


def taught(folder, task="q0", **weights):
    (design,) = best_runs(folder, reward=Reward(**weights))([t for t in worlds.tasks(6) if t.id == task])
    return design


def test_the_design_with_the_best_mean_utility_of_its_runs_is_taught(tmp_path):
    one = ("q0", FIRST, 1.0, 0.001, 0.0)
    write(tmp_path, one, ("q0", FIRST, 0.0, 0.001, 0.0), ("q0", BOTH, 0.8, 0.002, 0.0), ("q1", FIRST, 0.1, 0.0, 0.0))
    assert taught(tmp_path) == BOTH
    assert taught(tmp_path / "runs.jsonl") == BOTH
    assert taught(tmp_path, "q1") == FIRST


def test_what_a_run_cost_is_weighed_by_the_reward(tmp_path):
    write(tmp_path, ("q0", FIRST, 0.7, 0.001, 0.0), ("q0", BOTH, 0.8, 0.002, 3.0))
    assert taught(tmp_path) == BOTH
    assert taught(tmp_path, usd_weight=0.2) == FIRST
    assert taught(tmp_path, second_weight=0.1) == FIRST


def test_a_task_without_a_recorded_design_cannot_be_imitated(tmp_path):
    write(tmp_path, ("q0", FIRST, 1.0, 0.0, 0.0))
    with pytest.raises(DataError, match="no run of the task 'q5'"):
        taught(tmp_path, "q5")
