"""Training over a real socket, while requests fail: train.py, the openai SDK and `gdesign simulate`, whole."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

import pytest

from gdesign.runs.log import read_runs
from tests.commands import Commands
from tests.serve.command import simulating

ROOT = Path(__file__).parents[2]
SMALL = (
    "designer=gdesigner",
    "task=synthetic",
    "pool=simulated",
    "+task.num_train=8",
    "+task.num_validation=6",
    "+task.num_test=9",
    "learner.num_designs=4",
    "learner.num_samples=1000000",
    "trainer.max_epochs=1",
    "trainer.enable_progress_bar=false",
)
# many tries, since a machine under load adds timeouts of its own
LIVE = (
    "llm=openai",
    "llm.record=null",
    "+llm.timeout=0.3",
    "+llm.backoff=0.01",
    "+llm.max_wait=0.5",
    "+llm.max_retries=50",
    "yes=true",
)
FAULTS = ("--faults", "0.2", "--retry-after", "0.01")
SAME = ("phase", "task", "seed", "design", "answer", "score", "usd", "prompt_tokens", "completion_tokens", "turns")


def stats_of(url):
    with urlopen(url.removesuffix("/v1") + "/stats") as response:
        return json.loads(response.read())


def results(folder):
    """Return the scores of a run folder, and its runs without what depends on time and place."""
    summary = json.loads((folder / "eval.json").read_text())
    runs = Counter(json.dumps([row[name] for name in SAME]) for row in read_runs(folder / "runs.jsonl"))
    return summary["score"], summary["utility"], runs


def survived(folder):
    return sum(row.get("faults", 0) for row in read_runs(folder / "runs.jsonl"))


def test_training_while_requests_fail_gives_the_bits_of_training_in_the_same_process(tmp_path, monkeypatch, capsys):
    command = Commands(monkeypatch, capsys)
    assert command("train", *SMALL, f"out={tmp_path}/here")[0] == 0
    with simulating(*FAULTS) as (url, _):
        status, out, err = command("train", *SMALL, *LIVE, f"llm.base_url={url}", f"out={tmp_path}/there")
        assert status == 0, err
        stats = stats_of(url)
    assert "live" in out
    assert results(tmp_path / "there") == results(tmp_path / "here")
    failed = sum(stats["faults"].values())
    assert failed > 5
    # a machine under load may take longer for an answer than the timeout, which is a fault of its own
    assert survived(tmp_path / "there") >= failed
    assert stats["requests"] == stats["answered"] + failed


@pytest.mark.slow
def test_the_commands_that_a_user_types_give_the_same_scores_with_faults_and_without(tmp_path):
    def train(folder, *options):
        done = subprocess.run(
            [sys.executable, str(ROOT / "train.py"), *SMALL, *options, f"out={folder}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return results(folder)

    here = train(tmp_path / "here")
    for name, options in (("plain", ()), ("faults", FAULTS)):
        with simulating("--latency", "5", *options) as (url, _):
            assert train(tmp_path / name, *LIVE, f"llm.base_url={url}") == here
    assert survived(tmp_path / "faults") > 0
