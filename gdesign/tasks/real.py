"""600 questions of eight kinds, written for gdesign, with answers of small models (`real_answers/README.md`)."""

from importlib.resources import files
from pathlib import Path

from gdesign.tasks.base import Published, agrees, read
from gdesign.tasks.table import load_questions, load_table, tasks_of
from gdesign.types import Task

DIRECTORY = Path(str(files("gdesign.tasks"))) / "real_answers"
"""Where the questions and the answers lie."""


class Real(Published):
    """Sums, stories, strings, dates, tables, logic, sentiment and capitals; the domain is the kind.

    Answers are whole numbers or words. Splits are made by the questions' text. Where answers are recorded, the
    questions are those that every agent answered.
    """

    name = "real"

    def _tasks(self) -> list[Task]:
        questions = load_questions(DIRECTORY, self.name)
        if self.recorded:
            table = load_table(DIRECTORY, self.name)
            questions = table.answered_by(sorted({way.model for way in table.columns}))
        return tasks_of(questions, benchmark=self.name)

    def read(self, task: Task, text: str) -> str | None:
        """Return the number or the words that a text answers."""
        return read(text, _grader(task), ())

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for an answer that says what the reference does, else 0."""
        return float(agrees(task.answer, answer, _grader(task), ()))


def _grader(task: Task) -> str:
    return "number" if task.answer.lstrip("-").isdigit() else "exact"
