import json

import yaml

from gdesign.execute.runs import design_to_json
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
    row |= {"prompt_tokens": 10, "completion_tokens": 1}
    lines = [
        json.dumps({**row, "task": str(i), "question": f"Question {i}?", "score": s}) for i, s in enumerate(scores)
    ]
    (folder / "runs.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_a_page_says_where_answers_come_from_what_training_took_and_what_was_run(tmp_path):
    text = page.write_page(write(tmp_path / "a")).read_text()
    assert "| cascade | gsm8k | test | exact | 0 | 2 | 0.5000 |" in text
    assert "Training took 7 runs, 9 calls, 0.5000 USD and 1.2 seconds." in text
    assert "2 of 2 questions:" in text
    assert "> Question 0?" in text
    assert "3. solver (c): speaks only while fewer than 2 of 1, 2 agree" in text


def test_a_run_without_an_evaluation_is_told_how_to_get_one(tmp_path):
    assert f"python eval.py checkpoint={tmp_path}" in page.write_page(tmp_path).read_text()


def test_an_overview_names_incomplete_runs_and_compares_those_on_the_same_questions(tmp_path):
    write(tmp_path / "a", scores=(1.0, 1.0), utility=0.9)
    write(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/config.yaml").write_text("seed: 0\n")
    text = page.write_overview([tmp_path], tmp_path / "out").read_text()
    assert f"Not evaluated: `{tmp_path / 'c'}`" in text
    assert "| a | b | gsm8k, test, exact | +0.5000 |" in text


def test_calibrated_runs_are_not_compared(tmp_path):
    for name in "ab":
        write(tmp_path / name, label="calibrated")
    text = page.write_overview([tmp_path], tmp_path / "out").read_text()
    assert "support no claim" in text
    assert "run against run" not in text
