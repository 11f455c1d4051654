"""One LLM in seven ways of working on 13 sets of questions (Suzgun and Kalai 2024, arXiv 2401.12954)."""

import re

from gdesign.tasks.answers.choices import choice
from gdesign.tasks.answers.numbers import number
from gdesign.tasks.answers.texts import exact
from gdesign.tasks.base import Published
from gdesign.tasks.data import data_dir
from gdesign.tasks.table import load_questions, tasks_of
from gdesign.types import Task

LETTERS = re.compile(r"^\(([A-Z])\) ", re.MULTILINE)
"""The options of geometric shapes, which stand in the question."""


class Ways(Published):
    """250 questions each of MGSM in ten languages, word sorting, geometric shapes and multi-step arithmetic.

    The domain is the set. MGSM is the same 250 problems in each language, so a problem is a group, which no split
    parts; the other questions are groups of their own. Splits are made by the groups' names.
    """

    name = "ways"

    def _tasks(self) -> list[Task]:
        return tasks_of(load_questions(data_dir() / "ways", "ways"), benchmark=self.name)

    def read(self, task: Task, text: str) -> str | None:
        """Return the number, the letter or the sorted words that a text answers, by the set that the task is of."""
        match task.domain:
            case "geometric-shapes":
                return choice(text, len(LETTERS.findall(task.question)))
            case "word-sorting":
                words = exact(text)
                return None if words is None else " ".join(re.split(r"[\s,;]+", words))
        return number(text)

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for an answer that reads as the reference does, else 0."""
        return float(answer == self.read(task, task.answer))
