"""A little world to train in: the first agent is always right, the others never are."""

import lightning as L
import torch

from gdesign.execute.arena import LocalArena
from gdesign.learn.data import TaskData
from gdesign.learn.estimators import Reinforce
from gdesign.learn.module import DesignModule
from tests import worlds


class Tiny:
    """A benchmark whose answers are read after `Answer: `."""

    name = "tiny"

    def load(self, split):
        return worlds.tasks(8)

    def extract(self, task, text):
        return text.removeprefix("Answer: ") or None

    def grade(self, task, answer):
        return float(answer == task.answer)


def right_first(request):
    right = request.origin.task_id.removeprefix("q")
    return f"Answer: {right if request.llm == 'llm-0' else 'wrong'}"


def make_arena(*, llm=None, **settings):
    llm = worlds.Scripted(right_first) if llm is None else llm
    return LocalArena(pool=worlds.pool(), llm=llm, benchmark=Tiny(), **settings)


def make_module(designer, problems, arena, **settings):
    settings = {"estimator": Reinforce(), "optimizer": torch.optim.Adam, "num_designs": 3, "lr": 0.05, **settings}
    return DesignModule(designer=designer, problems=problems, arena=arena, **settings)


def make_data(num=8, *, shuffle_questions=False, tasks=None):
    tasks = worlds.tasks(num) if tasks is None else tasks
    return TaskData(train=tasks, validation=tasks[:2], batch_size=2, shuffle_questions=shuffle_questions, seed=3)


def make_trainer(max_epochs=2, *, log_every=2):
    def make(**arguments):
        return L.Trainer(
            accelerator="cpu",
            max_epochs=max_epochs,
            log_every_n_steps=log_every,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            **arguments,
        )

    return make
