"""HumanEval (Chen et al. 2021): Python functions to be completed, graded by running tests."""

import textwrap
from dataclasses import dataclass
from functools import cached_property

from gdesign.errors import ConfigError
from gdesign.sandbox import Sandbox
from gdesign.tasks.base import Split, select
from gdesign.tasks.data import find, read_jsonl
from gdesign.tasks.programs import ASK, Grader, Problem, defines, program
from gdesign.types import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    prompt: str
    name: str
    solution: str
    problem: Problem


class HumanEval:
    """The 164 problems of HumanEval, split by their text, a quarter into the lock-box.

    Upstream keeps all of them for the test, and so does the field where nothing is trained: that is
    `split=all`. Zero-shot, one program an answer (pass@1). A program may repeat what the question
    begins with or leave it out; a body alone completes the question. Tests that draw numbers draw the
    same ones each time.

    Args:
        sandbox: Where programs run; one with its defaults unless given.
        recorded: Nobody recorded answers to it; True is an error.
        split_seed: Draws another assignment of the questions outside the lock-box.
        limit: Loads the first tasks of a split only.

    Raises:
        ConfigError: `recorded` is True.
    """

    def __init__(
        self,
        *,
        sandbox: Sandbox | None = None,
        recorded: bool = False,
        split_seed: int = 0,
        limit: int | None = None,
    ) -> None:
        if recorded:
            raise ConfigError("there are no recorded answers to humaneval; choose task=crux, or another llm")
        self.name = "humaneval"
        self.sandbox = Sandbox() if sandbox is None else sandbox
        self.split_seed = split_seed
        self.limit = limit
        self._grade = Grader(sandbox=self.sandbox)

    @cached_property
    def _items(self) -> dict[str, _Item]:
        needs = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
        return {
            f"{self.name}/{values['task_id'].rsplit('/', 1)[-1]}": _Item(
                prompt=values["prompt"],
                name=values["entry_point"],
                solution=values["prompt"] + values["canonical_solution"],
                problem=Problem(
                    tests=f"import random\nrandom.seed(0)\n{values['test']}\ncheck({values['entry_point']})\n",
                    names=(values["entry_point"],),
                    before=values["prompt"],
                ),
            )
            for _, values in read_jsonl(find("bench/HumanEval.jsonl"), needs=needs)
        }

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split."""
        tasks = [
            Task(
                id=key,
                question=f"Complete this Python function. {ASK}\n\n{item.prompt.strip()}",
                answer=item.solution,
                benchmark=self.name,
                domain="code",
            )
            for key, item in self._items.items()
        ]
        return select(tasks, split, seed=self.split_seed, limit=self.limit)

    def extract(self, task: Task, text: str) -> str | None:
        """Return the program in a reply."""
        item = self._items.get(task.id)
        return program(text, () if item is None else (item.name,))

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for a program that passes all tests, else 0.

        Raises:
            ConfigError: There is no way to keep programs from the network and from files here.
        """
        item = self._items[task.id]
        whole = answer if defines(answer, item.name) else item.prompt + textwrap.indent(answer, "    ")
        return self._grade(item.problem, whole)
