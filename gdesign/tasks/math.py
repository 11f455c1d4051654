"""MATH (Hendrycks et al. 2021): competition problems whose answer is a formula."""

import re

from gdesign.files import read_jsonl
from gdesign.tasks.answers.formulas import equivalent, formula
from gdesign.tasks.base import Published
from gdesign.tasks.data import find
from gdesign.tasks.table import recorded_tasks
from gdesign.types import Task

# What a question asks for in which the order counts, so that `1, 2` without brackets is a pair.
_ORDERED = re.compile(r"\bordered\b|\bcoordinates\b|\bthe point\b|in the form \$?\(", re.IGNORECASE)


class _MATH(Published):
    domain = "mathematics"

    def read(self, task: Task, text: str) -> str | None:
        """Return the formula that a text answers."""
        return formula(text, ordered=_ORDERED.search(task.question) is not None)

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for an equivalent formula, else 0."""
        return float(equivalent(task.answer, answer))


class MATHL5(_MATH):
    """The 721 questions of the hardest level whose answer is a whole number, as ZeroEval chose them."""

    name = "math-l5"

    def _tasks(self) -> list[Task]:
        return recorded_tasks("zeroeval", self.name, domain=self.domain)


class MATH500(_MATH):
    r"""The 500 questions of MATH that Lightman et al. (2023) held out, with answers in LaTeX, split by their text.

    The field tests on all 500 where nothing is trained: that is `split=all`. MATH's own training
    questions are not used; so a quarter of the 500 is the lock-box, which those that MATH-L5 shares (74
    questions, with recorded answers) are on the same side of in both. Zero-shot; a reply is right if
    its formula and the reference are equal (`equivalent`).
    """

    name = "math500"
    instead = "math_l5"

    def _tasks(self) -> list[Task]:
        needs = ("unique_id", "problem", "answer")
        return [
            self._task(values["unique_id"], values["problem"], values["answer"])
            for _, values in read_jsonl(find("bench/math500.jsonl"), needs=needs)
        ]
