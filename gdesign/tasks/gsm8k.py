"""GSM8K (Cobbe et al. 2021): grade-school word problems whose answer is a number."""

from dataclasses import dataclass

from gdesign.files import read_jsonl
from gdesign.tasks.base import Published, PublishedWithSplit, Split
from gdesign.tasks.data import find
from gdesign.tasks.table import recorded_tasks
from gdesign.types import Task


@dataclass(frozen=True, kw_only=True, eq=False)
class GSM8K(PublishedWithSplit):
    """GSM8K with its own split: 7,473 questions for training, a fifth of them for validation, and 1,319 test questions.

    Answers are recorded to the test questions alone. So with recorded answers, and in a mix with others
    that have them, the test questions are split by their text, a quarter into the lock-box; the
    training questions are then not used.

    Zero-shot; a reply is right if its number is that after `####`.

    Args:
        recorded: Whether recorded strings are compared as they are, rather than as numbers. The
            questions are the same; they are then read from the outcome table, and split by their text.
        by_text: Whether the test questions are split by their text although nothing is recorded.
        split_seed: Draws another validation part; by text, another assignment of the questions outside
            the lock-box.
    """

    name = "gsm"
    domain = "mathematics"
    grader = "number"

    by_text: bool = False

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split; upstream's has no lock-box (ConfigError)."""
        if self.recorded or self.by_text:
            return Published.load(self, split)
        return super().load(split)

    def _parts(self) -> dict[str, list[Task]]:
        return {"test": self._read("test"), "train": self._read("train")}

    def _tasks(self) -> list[Task]:
        return recorded_tasks("zeroeval", self.name, domain=self.domain) if self.recorded else self._read("test")

    def _read(self, part: str) -> list[Task]:
        tasks = []
        for line, values in read_jsonl(find(f"bench/gsm8k_{part}.jsonl"), needs=("question", "answer")):
            answer = values["answer"].rsplit("####", 1)[-1].strip().replace(",", "")
            tasks.append(self._task(f"gsm8k-main-{part}-#{line - 1}", values["question"], answer))
        return tasks
