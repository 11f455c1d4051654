"""MBPP (Austin et al. 2021): short Python programs for a sentence and three tests, graded by running the tests."""

from dataclasses import dataclass
from functools import cached_property

from gdesign.errors import ConfigError
from gdesign.sandbox import Sandbox
from gdesign.tasks.base import SPLITS, Split, check_split, first
from gdesign.tasks.data import find, read_jsonl
from gdesign.tasks.programs import ASK, Grader, Problem, imports, names_under_test, program
from gdesign.types import Task

_IDS: dict[Split, range] = {
    "test": range(11, 511),
    "validation": range(511, 601),
    "train": range(601, 975),
    "all": range(1, 975),
}
"""Upstream's splits by task id; 1 to 10 are its few-shot examples, which only `all` holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    number: int
    text: str
    shown: str
    solution: str
    problem: Problem


class MBPP:
    """MBPP with its own split: 374 problems to train, 90 to validate and 500 to test; nothing is in a lock-box.

    Zero-shot, one program an answer (pass@1). As in the paper the question shows the three tests that
    the program is graded by; where tests have a set-up (367 and 927, which use classes that the program
    defines), it is shown and runs after the program. Upstream's challenge tests are not used.

    Args:
        sandbox: Where programs run; one with its defaults unless given.
        recorded: Nobody recorded answers to it; True is an error.
        split_seed: Without effect, since the split is upstream's.
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
            raise ConfigError("there are no recorded answers to mbpp; choose task=crux, or another llm")
        self.name = "mbpp"
        self.sandbox = Sandbox() if sandbox is None else sandbox
        self.split_seed = split_seed
        self.limit = limit
        self._grade = Grader(sandbox=self.sandbox)

    @cached_property
    def _items(self) -> dict[str, _Item]:
        path = find("bench/mbpp.jsonl")
        items = {}
        for line, values in read_jsonl(path, needs=("task_id", "text", "code", "test_setup_code", "test_list")):
            solution, setup = (values[key].replace("\r\n", "\n") for key in ("code", "test_setup_code"))
            tests = "\n".join(part.strip() for part in (setup, *values["test_list"]) if part.strip()).replace(
                "\r\n", "\n"
            )
            items[f"{self.name}/{values['task_id']}"] = _Item(
                number=values["task_id"],
                text=values["text"].strip(),
                shown=tests,
                solution=solution,
                problem=Problem(
                    tests=f"{imports(solution)}\n{tests}",
                    names=names_under_test(solution, tests, where=f"{path}:{line}"),
                ),
            )
        return items

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split.

        Raises:
            ConfigError: There is no such split; upstream's has no lock-box.
        """
        check_split(split)
        if split not in _IDS:
            raise ConfigError(
                f"mbpp has its own split and no lock-box; choose split={', '.join(s for s in SPLITS if s in _IDS)}"
            )
        tasks = [
            Task(
                id=key,
                question=f"{item.text} {ASK} Your code should pass these tests:\n\n{item.shown}",
                answer=item.solution,
                benchmark=self.name,
                domain="code",
            )
            for key, item in self._items.items()
            if item.number in _IDS[split]
        ]
        return first(tasks, self.limit)

    def extract(self, task: Task, text: str) -> str | None:
        """Return the program in a reply."""
        item = self._items.get(task.id)
        return program(text, () if item is None else item.problem.names)

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for a program that passes all tests, else 0.

        Raises:
            ConfigError: There is no way to keep programs from the network and from files here.
        """
        return self._grade(self._items[task.id].problem, answer)
