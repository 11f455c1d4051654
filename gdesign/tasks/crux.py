"""CRUXEval (Gu et al. 2024), output prediction: what does this Python function return?"""

from gdesign.tasks.answers.literals import literal, unquoted
from gdesign.tasks.base import Published
from gdesign.tasks.table import recorded_tasks
from gdesign.types import Task


class CRUXO(Published):
    """The 800 questions of CRUXEval-O.

    The data hold reference strings without their quotes, so `9` and `'9'` are both right where
    either is.
    """

    name = "crux"
    domain = "code"

    def _tasks(self) -> list[Task]:
        return recorded_tasks("zeroeval", self.name, domain=self.domain)

    def read(self, task: Task, text: str) -> str | None:
        """Return the literal that a text answers.

        A stated answer that is no literal is taken for a string whose quotes were left out.
        """
        found = literal(text)
        return unquoted(text) if found is None else found

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for the right literal, else 0."""
        if answer[:1] in ("'", '"'):
            return float(answer[1:-1] == task.answer)
        # A reference with space around it is a string, whatever it holds.
        return float(task.answer == task.answer.strip() and answer == literal(task.answer))
