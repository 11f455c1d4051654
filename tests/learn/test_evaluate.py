import json
from dataclasses import replace

import pytest

from gdesign.agents.teams import chain, single
from gdesign.design.fixed import Fixed
from gdesign.execute.limits import Limits
from gdesign.execute.reward import Reward
from gdesign.learn.data import items
from gdesign.learn.evaluate import evaluate, evaluate_into, summarise
from gdesign.llm.cost import Allowance
from gdesign.runs.log import RunsFile, read_runs
from gdesign.types import Label, Reply, Usage
from tests import worlds
from tests.learn.parts import make_arena, right_first


def results(topology=single, num=6, tasks=None, num_samples=1, phase="test", **settings):
    problems = worlds.encoder()
    designer = Fixed(space=problems.space, topology=topology, num_agents=1 if topology is single else 3)
    with make_arena(**settings) as arena:
        return evaluate(
            designer,
            items(worlds.tasks(num) if tasks is None else tasks),
            problems=problems,
            arena=arena,
            num_samples=num_samples,
            batch_size=4,
            phase=phase,
        )


def test_a_design_that_is_always_right_scores_one_and_costs_what_its_calls_cost():
    summary = summarise(results(), reward=Reward(usd_weight=0.5))
    usd = 1000 * (10 * 0.1 + 5 * 0.4) / 1e6
    assert summary["score"] == 1.0
    assert summary["usd"] == pytest.approx(usd)
    assert summary["utility"] == pytest.approx(1 - 0.5 * usd)
    assert (summary["n"], summary["calls"], summary["label"]) == (6, 1.0, "simulated")
    assert summary["interval"] == [1.0, 1.0]
    assert json.loads(json.dumps(summary)) == summary


def test_means_take_each_question_by_its_weight():
    first, second = worlds.tasks(2)
    tasks = [replace(first, weight=3.0), replace(second, answer="another")]
    summary = summarise(results(tasks=tasks))
    assert summary["score"] == pytest.approx(0.75)


def test_runs_of_one_question_are_averaged_before_questions_are():
    summary = summarise(results(num_samples=3))
    assert summary["n"] == 6


def test_the_interval_is_over_questions_and_the_same_each_time():
    tasks = [replace(t, answer="another") if i % 2 else t for i, t in enumerate(worlds.tasks(6))]
    one, two = summarise(results(tasks=tasks)), summarise(results(tasks=tasks))
    low, high = one["interval"]
    assert 0.0 <= low < 0.5 < high <= 1.0
    assert one["interval"] == two["interval"]


def test_domains_are_told_apart():
    tasks = [replace(t, domain="code" if i < 2 else "mathematics") for i, t in enumerate(worlds.tasks(6))]
    summary = summarise(results(tasks=tasks))
    assert {name: d["n"] for name, d in summary["domains"].items()} == {"code": 2, "mathematics": 4}


def test_what_was_said_is_written_down(tmp_path):
    with RunsFile(tmp_path / "runs.jsonl") as runs:
        results(chain, num=2, log=runs, phase="validation")
    rows = list(read_runs(tmp_path / "runs.jsonl", phase="validation"))
    assert [row["task"] for row in rows] == ["q0", "q1"]
    assert rows[0]["turns"][0][3] == "Answer: 0"
    assert rows[0]["question"] == worlds.tasks(1)[0].question


class Live:
    """Answers live, but for what a recording holds; the first agent is right, and each waits as long as it is told."""

    def __init__(self, *, recorded=(), seconds=lambda request: 0.0):
        self.recorded, self.seconds = recorded, seconds

    async def __call__(self, request):
        label = Label.REPLAYED if request.origin.task_id in self.recorded else Label.LIVE
        usage = Usage(prompt_tokens=10, completion_tokens=5, counted=request.origin.task_id == "q1")
        faults = ("429",) if request.origin.task_id == "q0" else ()
        seconds = self.seconds(request)
        return Reply(text=right_first(request), usage=usage, label=label, seconds=seconds, faults=faults)


def test_what_was_paid_is_told_beside_what_was_in_a_recording(tmp_path):
    with RunsFile(tmp_path / "runs.jsonl") as runs:
        found = results(num=4, llm=Live(recorded=("q2", "q3")), log=runs)
    summary = summarise(found)
    assert summary["paid_usd"] == pytest.approx(summary["usd"] / 2)
    assert (summary["faults"], summary["counted"], summary["latency"]) == (1, 1, None)
    rows = {row["task"]: row for row in read_runs(tmp_path / "runs.jsonl")}
    assert rows["q0"]["paid_usd"] == rows["q0"]["usd"]
    assert rows["q0"]["faults"] == 1
    assert not {"paid_usd", "faults", "counted", "latency"} & rows["q3"].keys()


def test_latency_is_that_of_the_chain_and_may_have_a_price():
    found = results(chain, num=20, llm=Live(seconds=lambda request: 0.5 + (request.origin.task_id == "q7")))
    summary = summarise(found, reward=Reward(second_weight=0.1))
    assert summary["latency"] == {"mean": pytest.approx(1.5 + 3 / 20), "p50": 1.5, "p95": pytest.approx(1.65)}
    assert summary["utility"] == pytest.approx(summary["score"] - 0.1 * summary["latency"]["mean"])


def test_limits_hold_in_an_evaluation():
    summary = summarise(results(chain, num=2, limits=Limits(question=Allowance(calls=2))))
    assert (summary["calls"], summary["failures"]) == (2.0, 2)


def test_eval_json_says_what_training_cost(tmp_path):
    problems = worlds.encoder()
    training = {"runs": 3, "calls": 4, "usd": 0.5, "seconds": 1.0}
    with RunsFile(tmp_path / "runs.jsonl") as runs, make_arena(log=runs) as arena:
        evaluate_into(
            tmp_path,
            Fixed(space=problems.space, topology=single, num_agents=1),
            items(worlds.tasks(2)),
            problems=problems,
            arena=arena,
            split="test",
            num_samples=1,
            reward=Reward(usd_weight=0.1),
            training=training,
        )
    written = json.loads((tmp_path / "eval.json").read_text())
    assert written["training"] == training
    assert (written["num_samples"], written["usd_weight"], written["second_weight"]) == (1, 0.1, 0.0)
    keys = {"score", "usd", "prompt_tokens", "completion_tokens", "calls", "utility", "n", "label", "seconds"}
    assert keys | {"unreadable", "interval", "failures", "split"} <= written.keys()
