"""LLMRouter (ulab-uiuc, 2025): questions of 14 tasks, and what 9 LLMs scored on each; no answers, no tokens."""

from dataclasses import dataclass

from gdesign.errors import ConfigError
from gdesign.files import read_jsonl
from gdesign.tasks.base import VALIDATION, Published, Split, check_split, draws, first, normalised, split_of
from gdesign.tasks.data import find
from gdesign.types import Task

INSTRUCTION = normalised(r"After careful thought, put you final answer in \boxed{...}.")
"""What one task appends to questions that stand without it in another."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LLMRouter(Published):
    """The questions of LLMRouter's two files; the domain is the task that a question comes from.

    Its test file holds 500 questions of 10 tasks. Of these, 119 stand in its training file too and 9 more
    do but for an instruction that one task appends; they are left out, and so 372 questions of 8 tasks
    are left for the test. No training question lies in the lock-box. A training question without
    a task, on which every LLM scored 0, is left out.

    Args:
        recorded: Must be true: scores are recorded, and the rules that they were given by are not here.
        halves: Whether the training file alone is split, into halves outside the lock-box as other
            benchmarks are, which all 14 tasks have questions in.
        split_seed: Draws the validation questions, and the halves.

    Raises:
        ConfigError: Live answers were to be graded.
    """

    name = "llmrouter"

    halves: bool = False

    def __post_init__(self) -> None:
        if not self.recorded:
            raise ConfigError("LLMRouter has recorded scores and no graders; use llm=recorded (experiment=llmrouter)")

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split."""
        check_split(split)
        if self.halves:
            return super().load(split)
        train = self._tasks()
        seen = {_stem(t.question) for t in train}
        test = [t for t in self._read("test") if _stem(t.question) not in seen]
        sides: dict[str, list[Task]] = {"train": [], "validation": [], "test": test, "lockbox": []}
        for task in train:
            if split_of(task.question) == "lockbox":
                sides["lockbox"].append(task)
            else:
                _, v = draws(task.question, seed=self.split_seed)
                sides["validation" if v < VALIDATION else "train"].append(task)
        return first([t for s, tasks in sides.items() if split in (s, "all") for t in tasks], self.limit)

    def extract(self, task: Task, text: str) -> str | None:
        """Return the text, which stands for an unknown answer."""
        return text

    def read(self, task: Task, text: str) -> str | None:
        """Refuse, as `grade` does."""
        raise AssertionError(task.id)

    def grade(self, task: Task, answer: str) -> float:
        """Refuse: every recorded answer comes with its score."""
        raise AssertionError(task.id)

    def _tasks(self) -> list[Task]:
        return self._read("train")

    def _read(self, name: str) -> list[Task]:
        path = find(f"routing/llmrouter/{name}.jsonl")
        return [
            Task(
                id=f"{name}/{line}",
                question=values["question"],
                answer=values["ground_truth"] or "",
                benchmark=self.name,
                domain=values["task"],
            )
            for line, values in read_jsonl(path, needs=("task", "question", "ground_truth", "scores"))
            if values["task"] is not None
        ]


def _stem(question: str) -> str:
    return normalised(question).removesuffix(INSTRUCTION).strip()
