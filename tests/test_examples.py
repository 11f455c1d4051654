"""Every example runs, and prints what it promises."""

import runpy
from pathlib import Path

import pytest

SMALL = {"train_a_designer": {"num_train": 12, "num_test": 9, "num_epochs": 1}}
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_runs(path, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path))["main"](**SMALL.get(path.stem, {}))
    assert "simulated" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_says_how_to_run_it(path):
    assert f"python examples/{path.name}" in path.read_text()
