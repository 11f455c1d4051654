"""CRUXEval (Gu et al. 2024), output prediction: what does this Python function return?"""

from gdesign.tasks.answers.literal import literal, string
from gdesign.tasks.answers.marked import stated
from gdesign.tasks.base import Split, select
from gdesign.tasks.data import data_dir
from gdesign.tasks.table import load_questions, tasks_of
from gdesign.types import Task


class CRUXO:
    """The 800 questions of CRUXEval-O.

    The data hold reference strings without their quotes, so `9` and `'9'` are both right where
    either is.

    Args:
        recorded: Whether recorded strings are compared as they are, rather than as Python literals.
        split_seed: Draws another assignment of the questions outside the lock-box.
        limit: Loads the first tasks of a split only.
    """

    def __init__(self, *, recorded: bool = False, split_seed: int = 0, limit: int | None = None) -> None:
        self.name = "crux"
        self.recorded = recorded
        self.split_seed = split_seed
        self.limit = limit

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split."""
        questions = load_questions(data_dir() / "routing/zeroeval", "crux")
        tasks = tasks_of(questions, benchmark=self.name, domain="code")
        return select(tasks, split, seed=self.split_seed, limit=self.limit)

    def extract(self, task: Task, text: str) -> str | None:
        """Return the literal that a text answers; the text itself if it was recorded, None if that is empty.

        A stated answer that is no literal is taken for a string whose quotes were left out.
        """
        if self.recorded:
            return text or None
        found = literal(text)
        if found is None:
            words = stated(text)
            found = string(words.strip("`")) if words else None
        return found

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for the right literal, else 0."""
        if answer[:1] in ("'", '"'):
            return float(answer[1:-1] == task.answer)
        # A reference with space around it is a string, whatever it holds.
        return float(task.answer == task.answer.strip() and answer == literal(task.answer))
