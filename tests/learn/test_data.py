from dataclasses import replace

import pytest

from gdesign.errors import ConfigError
from gdesign.learn.data import EpochShuffle, TaskData, items
from tests import worlds
from tests.learn.parts import make_data


def test_an_epoch_visits_every_task_once_in_an_order_of_its_own():
    sampler = EpochShuffle(range(20), seed=1)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert sorted(orders[0]) == list(range(20))
    assert orders[0] == orders[2] != orders[1]


def test_seeds_of_neighbouring_runs_do_not_share_orders():
    def order(seed, epoch):
        sampler = EpochShuffle(range(20), seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 1) != order(1, 0)


def test_weights_are_one_on_average():
    tasks = [replace(t, weight=float(i + 1)) for i, t in enumerate(worlds.tasks(4))]
    data = make_data(tasks=tasks)
    assert [item.task.weight for item in data.train] == pytest.approx([0.4, 0.8, 1.2, 1.6])


def test_the_control_shows_the_designer_questions_of_other_tasks():
    tasks = worlds.tasks(12)
    shuffled = items(tasks, shuffle_questions=True, seed=0)
    assert [item.task for item in shuffled] == tasks
    assert [item.seen.id for item in shuffled] == [t.id for t in tasks]
    assert [item.seen.question for item in shuffled] != [t.question for t in tasks]
    assert sorted(item.seen.question for item in shuffled) == sorted(t.question for t in tasks)
    assert shuffled == items(tasks, shuffle_questions=True, seed=0)


def test_batches_are_lists_of_tasks():
    (first, *_) = make_data().train_dataloader()
    assert [type(item.task).__name__ for item in first] == ["Task", "Task"]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_empty_split_is_named(split):
    tasks = {"train": worlds.tasks(2), "validation": worlds.tasks(2), split: []}
    with pytest.raises(ConfigError, match=f"no {'training' if split == 'train' else split} tasks"):
        TaskData(**tasks, batch_size=2, shuffle_questions=False, seed=0)
