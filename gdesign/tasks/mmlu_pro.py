"""MMLU-Pro (Wang et al. 2024): knowledge questions with up to ten options."""

from gdesign.tasks.answers import choice
from gdesign.tasks.base import Split, select
from gdesign.tasks.data import data_dir
from gdesign.tasks.table import load_questions, tasks_of
from gdesign.types import Task


class MMLUPro:
    """The 11,984 questions of MMLU-Pro to which answers are recorded; the domain is the category.

    Args:
        recorded: Whether recorded letters are compared as they are.
        split_seed: Draws another assignment of the questions outside the lock-box.
        limit: Loads the first tasks of a split only.
    """

    def __init__(self, *, recorded: bool = False, split_seed: int = 0, limit: int | None = None) -> None:
        self.name = "mmlu_pro"
        self.recorded = recorded
        self.split_seed = split_seed
        self.limit = limit

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split."""
        tasks = tasks_of(load_questions(data_dir() / "routing/mmlu_pro"), benchmark=self.name)
        return select(tasks, split, seed=self.split_seed, limit=self.limit)

    def extract(self, task: Task, text: str) -> str | None:
        """Return the letter that a text chooses; the text itself if it was recorded, None if that is empty."""
        return (text or None) if self.recorded else choice(text, len(task.options), task.options)

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for the right letter, else 0."""
        return float(answer == task.answer)
