"""MMLU-Pro (Wang et al. 2024): knowledge questions with up to ten options."""

from dataclasses import dataclass

from gdesign.tasks.base import Published
from gdesign.tasks.data import data_dir
from gdesign.tasks.table import load_questions, load_table, tasks_of
from gdesign.types import Task


@dataclass(frozen=True, kw_only=True, eq=False)
class MMLUPro(Published):
    """The 11,984 questions of MMLU-Pro to which answers are recorded; the domain is the category.

    Args:
        recorded: Whether recorded letters are compared as they are.
        answered: Leaves out each question that some LLM did not answer, of those LLMs that answered at
            least this share of them: 1 none, 0.99 the 30 questions that keep 2 of 28 LLMs from being complete.
    """

    name = "mmlu_pro"
    grader = "choice"

    answered: float = 1.0

    def _tasks(self) -> list[Task]:
        folder = data_dir() / "routing/mmlu_pro"
        questions = load_questions(folder)
        if self.answered < 1:
            table = load_table(folder)
            questions = table.answered_by(table.complete_models(answered=self.answered))
        return tasks_of(questions, benchmark=self.name)
