import json

import pytest
import yaml

from gdesign.errors import BudgetExceededError
from gdesign.export.schema import design_to_json
from gdesign.report import page
from gdesign.types import Agent, Design, Gate

CASCADE = Design(
    agents=(
        Agent(role="solver", llm="a"),
        Agent(role="solver", llm="b"),
        Agent(role="solver", llm="c", gate=Gate(watch=(0, 1), quorum=2)),
    )
)
SUMMARY = {
    "score": 0.5,
    "usd": 1.0,
    "utility": 0.4,
    "prompt_tokens": 100.0,
    "completion_tokens": 10.0,
    "calls": 2.5,
    "n": 2,
    "label": "exact",
    "split": "test",
    "num_samples": 1,
    "interval": [0.2, 0.8],
    "utility_interval": [0.1, 0.7],
    "usd_weight": 0.03,
    "token_weight": 0.0,
    "unreadable": 0,
    "failures": 0,
    "domains": {},
    "num_distinct_designs": 1,
    "training": {"runs": 7, "calls": 9, "usd": 0.5, "seconds": 1.25},
}


def write(folder, *, scores=(1.0, 0.0), **changed):
    folder.mkdir(parents=True)
    names = {"designer": "cascade", "task": "gsm8k", "pool": "recorded", "llm": "recorded"}
    (folder / "config.yaml").write_text(yaml.safe_dump({"names": names, "seed": 0, "llm": {"source": folder.name}}))
    (folder / "eval.json").write_text(json.dumps(SUMMARY | changed))
    row = {"phase": "test", "benchmark": "gsm8k", "seed": 0, "design": design_to_json(CASCADE), "usd": 0.001}
    row |= {"prompt_tokens": 10, "completion_tokens": 1, "calls": 1, "answer": "4", "unreadable": False, "failures": 0}
    row |= {"label": "exact", "turns": []}
    lines = [
        json.dumps({**row, "task": str(i), "question": f"Question {i}?", "score": s}) for i, s in enumerate(scores)
    ]
    (folder / "runs.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_a_page_says_where_answers_come_from_what_training_took_and_what_was_run(tmp_path):
    text = page.write_page(write(tmp_path / "a")).read_text()
    assert "| cascade | 0.4000 (0.1000 to 0.7000) | 0.5000 (0.2000 to 0.8000) | 1.0 | exact |" in text
    assert "Training took 7 runs, 9 calls, 0.50 USD and 1.2 seconds." in text
    assert "### 2 of 2 questions" in text
    assert "> Question 0?" in text
    assert "3. solver (c): speaks only while fewer than 2 of 1, 2 agree" in text


def beside(difference, utility):
    design = design_to_json(Design(agents=(Agent(role="solver", llm="b"),)), brief=True)
    interval = [difference - 0.1, difference + 0.1]
    worth = {"score": utility, "usd": 0.0, "utility": utility}
    return worth | {"design": design, "difference": difference, "interval": interval}


def test_a_page_says_how_the_learned_designer_stands_and_what_is_deployed(tmp_path):
    learned = {"score": 0.3, "usd": 0.0, "utility": 0.3}
    comparison = {
        "deployed": "single",
        "validation": {"n": 60, "in_sample": True, "learned": learned, "single": beside(-0.2, 0.5)},
        "evaluated": {"n": 2, "learned": learned, "single": beside(-0.1, 0.4)},
        "took": {"runs": 60, "calls": 61, "usd": 0.25, "paid_usd": 0.0},
    }
    folder = write(tmp_path / "a", comparison=comparison)
    (folder / "estimate.txt").write_text("about runs\ntraining 7\n")
    text = page.write_page(folder).read_text()
    assert (
        "The learned designer is 0.1000 worse (0.0000 to 0.2000) than the best single agent; the best single agent is "
        "deployed in its place."
    ) in text
    row = "| the best single agent | 1. solver (b); its answer stands | test | 2 | 0.4000 | 0 | 0.4000 |"
    assert f"{row} -0.1000 (-0.2000 to +0.0000) |" in text
    assert "The comparison took 60 runs, 61 calls and 0.25 USD more." in text
    assert "The designer learned from the validation questions too" in text
    assert "expected:\n\n```\nabout runs\ntraining 7\n" in text


def test_a_page_is_written_whatever_a_question_holds(tmp_path):
    folder = write(tmp_path / "a")
    lines = (folder / "runs.jsonl").read_text()
    (folder / "runs.jsonl").write_text(lines.replace("Question 0?", r"What is $\\sqrt x$, half \ud83d?"))
    assert r"> What is $\sqrt x$, half \ud83d?" in page.write_page(folder).read_text()


def test_a_spent_budget_leaves_a_page_of_what_there_is(tmp_path):
    folder = write(tmp_path / "a")
    row = {"phase": "fit:train", "calls": 3, "usd": 0.5, "label": "live", "score": 1.0, "faults": 2, "turns": []}
    row |= {"prompt_tokens": 9, "completion_tokens": 1, "unreadable": False, "failures": 0}
    row |= {"design": design_to_json(CASCADE), "benchmark": "gsm8k", "task": "0", "seed": 0, "answer": "4"}
    (folder / "runs.jsonl").write_text(
        json.dumps(row) + "\n" + json.dumps(row | {"phase": "test", "score": 0.0}) + "\n"
    )
    with pytest.raises(BudgetExceededError), page.reported(folder):
        raise BudgetExceededError("the budget of 1 usd is spent")
    text = (folder / "report.md").read_text()
    assert "Stopped: the budget of 1 usd is spent." in text
    assert "To go on: the same command again" in text
    assert "| fit:train | 1 | 1.0000 | 3 | 0.50 | 0.50 | 2 |" in text
    assert "| test | 1 | 0.0000 |" in text


def test_a_run_without_an_evaluation_is_told_how_to_get_one(tmp_path):
    assert f"gdesign eval checkpoint={tmp_path}" in page.write_page(tmp_path).read_text()


def overview(tmp_path, **settings):
    return page.write_overview([tmp_path / "runs"], tmp_path / "out", **settings).read_text()


def test_an_overview_names_incomplete_runs_and_compares_the_best_on_the_same_questions(tmp_path):
    write(tmp_path / "runs/a", scores=(1.0, 1.0), utility=0.9)
    write(tmp_path / "runs/b")
    (tmp_path / "runs/c").mkdir()
    (tmp_path / "runs/c/config.yaml").write_text("seed: 0\n")
    text = overview(tmp_path)
    assert f"| {tmp_path / 'runs/c'} | config.yaml cannot be read" in text
    assert "| cascade (source=a) | cascade (source=b) | utility | +0.5000 |" in text
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "report.md",
        "report.html",
        "score_cost.png",
        "runs_utility.png",
        "best_designs.png",
    }


def test_every_method_is_compared_with_the_baseline_by_utility_score_and_cost(tmp_path):
    for name in "abc":
        write(tmp_path / "runs" / name)
    text = overview(tmp_path, baseline=str(tmp_path / "runs/b"))
    assert "## Against cascade (source=b)" in text
    for name in "ac":
        for number in ("utility", "score", "usd"):
            assert f"| cascade (source={name}) | cascade (source=b) | {number} | +0.0000 |" in text
    assert "making 6 comparisons" in text


def test_what_cannot_be_compared_and_seeds_that_some_lack_are_named(tmp_path):
    write(tmp_path / "runs/a")
    write(tmp_path / "runs/b", scores=(1.0,))
    config = yaml.safe_load((tmp_path / "runs/b/config.yaml").read_text())
    (tmp_path / "runs/b/config.yaml").write_text(yaml.safe_dump(config | {"seed": 1}))
    text = overview(tmp_path)
    assert "- cascade (source=a) (gsm8k, test, exact, lambda 0.03): 1" in text
    assert "they share no seed, and not all of their questions" in text


def test_calibrated_runs_are_not_compared(tmp_path):
    for name in "ab":
        write(tmp_path / "runs" / name, label="calibrated")
    text = overview(tmp_path)
    assert "Calibrated rows support no claim" in text
    assert "first - second" not in text


def test_a_report_without_any_evaluation_names_the_runs(tmp_path):
    (tmp_path / "runs/a").mkdir(parents=True)
    (tmp_path / "runs/a/config.yaml").write_text("names: {}\nseed: 0\nresume: true\nsplit: test\n")
    text = overview(tmp_path)
    assert "No run was evaluated yet." in text
    assert "stopped before there was a checkpoint" in text
