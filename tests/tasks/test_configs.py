from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from gdesign.tasks.mix import Mix

ROOT = Path(__file__).parents[2]
TINY = {"train": str(ROOT / "data/tiny/train.jsonl"), "test": str(ROOT / "data/tiny/test.jsonl")}


@pytest.mark.parametrize("name", ["gsm8k", "math_l5", "math500", "crux", "mmlu_pro", "jsonl", "mix"])
def test_a_task_config_makes_its_benchmark(name):
    config = OmegaConf.load(ROOT / "configs/task" / f"{name}.yaml")
    values = TINY if name == "jsonl" else {}
    benchmark = instantiate(config, **values, split_seed=1, limit=2)
    parts = benchmark.parts.values() if isinstance(benchmark, Mix) else [benchmark]
    assert all(part.limit == 2 for part in parts)


def test_recorded_reaches_every_part_of_the_mix():
    mix = instantiate(OmegaConf.load(ROOT / "configs/task/mix.yaml"), recorded=True)
    assert [(name, part.recorded) for name, part in mix.parts.items()] == [
        ("gsm", True),
        ("math-l5", True),
        ("crux", True),
    ]
