from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from gdesign.errors import MissingDataError
from gdesign.tasks.data import FILES as FILES_KNOWN
from gdesign.tasks.mix import Mix

ROOT = Path(__file__).parents[2]
TINY = {"train": str(ROOT / "data/tiny/train.jsonl"), "test": str(ROOT / "data/tiny/test.jsonl")}


NAMES = ["gsm8k", "math_l5", "math500", "crux", "mmlu_pro", "mmlu", "svamp", "multiarith", "aqua", "jsonl", "mix"]
NAMES += ["humaneval", "mbpp", "ways"]


@pytest.mark.parametrize("name", NAMES)
def test_a_task_config_makes_its_benchmark(name):
    config = OmegaConf.load(ROOT / "gdesign/configs/task" / f"{name}.yaml")
    values = TINY if name == "jsonl" else {}
    benchmark = instantiate(config, **values, split_seed=1, limit=2)
    parts = benchmark.parts.values() if isinstance(benchmark, Mix) else [benchmark]
    assert all(part.limit == 2 for part in parts)


# what each benchmark reads first, without recorded answers
FILES = {
    "gsm8k": "bench/gsm8k_test.jsonl.gz",
    "math500": "bench/math500.jsonl.gz",
    "mmlu": "bench/mmlu.zip",
    "svamp": "bench/svamp.json.gz",
    "multiarith": "bench/multiarith.json.gz",
    "aqua": "bench/aqua_dev.jsonl.gz",
    "humaneval": "bench/HumanEval.jsonl.gz",
    "mbpp": "bench/mbpp.jsonl.gz",
    "math_l5": "routing/zeroeval/math-l5.questions.jsonl.gz",
    "crux": "routing/zeroeval/crux.questions.jsonl.gz",
    "mmlu_pro": "routing/mmlu_pro/questions.jsonl.gz",
    "llmrouter": "routing/llmrouter/train.jsonl.gz",
    "ways": "ways/ways.questions.jsonl.gz",
}


@pytest.mark.parametrize("name", FILES)
def test_without_its_data_a_benchmark_says_which_file_from_where_with_which_checksum(name, tmp_path, monkeypatch):
    monkeypatch.setenv("GDESIGN_DATA", str(tmp_path))
    config = OmegaConf.load(ROOT / "gdesign/configs/task" / f"{name}.yaml")
    benchmark = instantiate(config, recorded=name == "llmrouter")
    with pytest.raises(MissingDataError) as error:
        benchmark.load("test")
    file = next(f for f in FILES_KNOWN if f.path == FILES[name])
    fetch = f"gdesign data fetch {file.path}" if file.url else "it cannot be fetched"
    for words in (str(tmp_path / file.path), file.url or file.origin, file.sha256, fetch, "GDESIGN_DATA"):
        assert words in str(error.value)


def test_recorded_reaches_every_part_of_the_mix():
    mix = instantiate(OmegaConf.load(ROOT / "gdesign/configs/task/mix.yaml"), recorded=True)
    assert [(name, part.recorded) for name, part in mix.parts.items()] == [
        ("gsm", True),
        ("math-l5", True),
        ("crux", True),
    ]
