"""The protocols of the simulated world name methods that can be made."""

import importlib
from pathlib import Path

import pytest
from hydra.utils import instantiate

from gdesign.errors import ConfigError
from gdesign.report.folders import read_evaluation
from gdesign.runs.checkpoint import assemble
from tests.report.folders import write

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def test_every_method_of_the_comparison_can_be_made(script):
    runner = script("runner")
    for method in script("methods").every_method(1):
        config = runner.compose(method.under("demo"))
        try:
            _, designer = assemble(config)
        except ConfigError as error:
            pytest.fail(f"{method.name}: {error}")
        assert designer is not None


def test_the_names_of_run_folders_differ(script):
    methods = script("methods").every_method(1)
    assert len({script("methods").folder(Path(), m, 0) for m in methods}) == len(methods)


def test_two_of_the_six_agents_can_be_turned_into_adversaries(script):
    robustness = script("robustness")
    config = script("runner").compose(("experiment=demo", *robustness.POOL, robustness.world(2), "designer=complete"))
    pool = instantiate(config.pool)
    assert len(pool.candidates) == 6
    assert set(config.llm.world.adversaries) < {c.role for c in pool.candidates}
    assert instantiate(config.llm) is not None


def test_the_second_world_can_be_made(script):
    config = script("runner").compose(("experiment=second_world", "designer=single"))
    assert instantiate(config.llm) is not None


def test_routing_protocols_pair_each_method_with_the_best_single_llm(script, tmp_path):
    pytest.importorskip("scipy", reason="the extra report is not installed")
    routing = script("routing")
    for seed in (0, 1):
        write(tmp_path / f"knn-{seed}", designer="knn", seed=seed, scores=[1, 1, 0, 1])
        write(tmp_path / f"single-{seed}", seed=seed, scores=[1, 0, 0, 0])
    found = {
        name: [read_evaluation(tmp_path / f"{folder}-{seed}") for seed in (0, 1)]
        for name, folder in (("knn", "knn"), (routing.SINGLE, "single"))
    }
    (better,) = routing.gains(found).values()
    assert (better.difference, better.seeds) == (0.5, (0, 1))
