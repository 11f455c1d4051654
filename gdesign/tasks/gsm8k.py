"""GSM8K (Cobbe et al. 2021): grade-school word problems whose answer is a number."""

from gdesign.tasks.answers import number
from gdesign.tasks.base import Split, select
from gdesign.tasks.data import data_dir, find, read_jsonl
from gdesign.tasks.table import load_questions, tasks_of
from gdesign.types import Task


class GSM8K:
    """The 1,319 test questions of GSM8K, split by their text.

    Args:
        recorded: Whether recorded strings are compared as they are, rather than as numbers. The
            questions are the same; they are then read from the outcome table.
        split_seed: Draws another assignment of the questions outside the lock-box.
        limit: Loads the first tasks of a split only.
    """

    def __init__(self, *, recorded: bool = False, split_seed: int = 0, limit: int | None = None) -> None:
        self.name = "gsm"
        self.recorded = recorded
        self.split_seed = split_seed
        self.limit = limit

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split."""
        if self.recorded:
            tasks = tasks_of(
                load_questions(data_dir() / "routing/zeroeval", "gsm"), benchmark=self.name, domain="mathematics"
            )
        else:
            tasks = [
                Task(
                    id=f"{self.name}/gsm8k-main-test-#{line - 1}",
                    question=values["question"],
                    answer=values["answer"].rsplit("####", 1)[-1].strip().replace(",", ""),
                    benchmark=self.name,
                    domain="mathematics",
                )
                for line, values in read_jsonl(find("bench/gsm8k_test.jsonl"), needs=("question", "answer"))
            ]
        return select(tasks, split, seed=self.split_seed, limit=self.limit)

    def extract(self, task: Task, text: str) -> str | None:
        """Return the number that a text answers; the text itself if it was recorded, None if that is empty."""
        return (text or None) if self.recorded else number(text)

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for the right number, else 0."""
        return float(number(answer) == number(task.answer))
