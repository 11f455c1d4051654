from dataclasses import dataclass
from functools import partial

import pytest

from gdesign.errors import ConfigError
from gdesign.tasks.base import Split, select
from gdesign.tasks.mix import Mix
from gdesign.types import Task


@dataclass
class Sums:
    recorded: bool
    split_seed: int
    limit: int | None
    name: str = "sums"

    def load(self, split: Split) -> list[Task]:
        tasks = [
            Task(id=f"{i}", question=f"What is {i} + 1?", answer=str(i + 1), benchmark=self.name) for i in range(80)
        ]
        return select(tasks, split, seed=self.split_seed)


def test_a_final_mix_trains_on_the_test_questions_and_tests_on_none():
    mix, final = (Mix(benchmarks=[Sums], final=final) for final in (False, True))
    ids = {split: {t.id for t in mix.load(split)} for split in ("train", "validation", "test", "lockbox")}
    assert {t.id for t in final.load("train")} == ids["train"] | ids["test"]
    assert final.load("test") == []
    assert {t.id for t in final.load("lockbox")} == ids["lockbox"]


def test_a_part_is_left_out_by_its_name():
    parts = [Sums, partial(Sums, name="others")]
    mix = Mix(benchmarks=parts, without=["sums"])
    assert {t.benchmark for t in mix.load("train")} == {"others"}
    assert {t.weight for t in mix.load("train")} == {1.0}
    with pytest.raises(ConfigError, match="without names nothing; the mix has sums, others"):
        Mix(benchmarks=parts, without=["nothing"])
