import random

from gdesign.llm.seeds import sample_of, seed_of
from gdesign.types import sample_index, seed_and_copy


def test_every_sample_has_a_seed_of_31_bits():
    samples = [sample_index(seed=seed, copy=copy) for seed in (0, 1, 2**20 - 1, 2**20, 2**31 - 1) for copy in range(5)]
    assert all(0 <= seed_of(sample) < 2**31 for sample in samples)
    assert len({seed_of(sample) for sample in samples}) == len(samples)


def test_the_sample_of_any_training_is_read_back_from_its_seed():
    draw = random.Random(0)
    for _ in range(1000):
        sample = sample_index(seed=draw.randrange(1_000_000), copy=draw.randrange(2000))
        assert sample_of(seed_of(sample)) == sample


def test_the_first_answer_has_seed_0():
    assert seed_of(0) == 0
    assert sample_of(0) == 0


def test_different_seeds_are_different_samples():
    draw = random.Random(1)
    seeds = {draw.randrange(2**31) for _ in range(1000)}
    assert len({sample_of(seed) for seed in seeds}) == len(seeds)


def test_seed_and_copy_are_found_again():
    pairs = [(seed, copy) for seed in (0, 1, 7, 2**31 - 1) for copy in (0, 1, 5)]
    assert [seed_and_copy(sample_index(seed=seed, copy=copy)) for seed, copy in pairs] == pairs
