"""MATH (Hendrycks et al. 2021): competition problems whose answer is a formula."""

from gdesign.errors import ConfigError
from gdesign.tasks.answers.formula import equivalent, latex
from gdesign.tasks.base import Split, select
from gdesign.tasks.data import data_dir, find, read_jsonl
from gdesign.tasks.table import load_questions, tasks_of
from gdesign.types import Task


class MATHL5:
    """The 721 questions of the hardest level whose answer is a whole number, as ZeroEval chose them.

    Args:
        recorded: Whether recorded strings are compared as they are, rather than as formulas.
        split_seed: Draws another assignment of the questions outside the lock-box.
        limit: Loads the first tasks of a split only.
    """

    def __init__(self, *, recorded: bool = False, split_seed: int = 0, limit: int | None = None) -> None:
        self.name = "math-l5"
        self.recorded = recorded
        self.split_seed = split_seed
        self.limit = limit

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split."""
        questions = load_questions(data_dir() / "routing/zeroeval", "math-l5")
        tasks = tasks_of(questions, benchmark=self.name, domain="mathematics")
        return select(tasks, split, seed=self.split_seed, limit=self.limit)

    def extract(self, task: Task, text: str) -> str | None:
        """Return the formula that a text answers; the text itself if it was recorded, None if that is empty."""
        return (text or None) if self.recorded else latex(text)

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for an equivalent formula, else 0."""
        return _grade(task, answer)


class MATH500:
    r"""The 500 questions of MATH that Lightman et al. (2023) held out, with answers in LaTeX, split by their text.

    The field tests on all 500 where nothing is trained: that is `split=all`. MATH's own training
    questions are not used; so a quarter of the 500 is the lock-box, which those that MATH-L5 shares (74
    questions, with recorded answers) are on the same side of in both. Zero-shot; a reply is right if
    math-verify holds its formula and the reference for equal.

    Args:
        recorded: Nobody recorded answers to it; True is an error.
        split_seed: Draws another assignment of the questions outside the lock-box.
        limit: Loads the first tasks of a split only.

    Raises:
        ConfigError: `recorded` is True.
    """

    def __init__(self, *, recorded: bool = False, split_seed: int = 0, limit: int | None = None) -> None:
        if recorded:
            raise ConfigError("there are no recorded answers to math500; choose task=math_l5, or another llm")
        self.name = "math500"
        self.split_seed = split_seed
        self.limit = limit

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split."""
        needs = ("unique_id", "problem", "answer")
        tasks = [
            Task(
                id=f"{self.name}/{values['unique_id']}",
                question=values["problem"],
                answer=values["answer"],
                benchmark=self.name,
                domain="mathematics",
            )
            for _, values in read_jsonl(find("bench/math500.jsonl"), needs=needs)
        ]
        return select(tasks, split, seed=self.split_seed, limit=self.limit)

    def extract(self, task: Task, text: str) -> str | None:
        """Return the formula that a text answers."""
        return latex(text)

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for an equivalent formula, else 0."""
        return _grade(task, answer)


def _grade(task: Task, answer: str) -> float:
    gold = latex(rf"\boxed{{{task.answer}}}")
    assert gold is not None
    return float(equivalent(gold, answer))
