"""MBPP (Austin et al. 2021): short Python programs for a sentence and three tests, graded by running the tests."""

from collections.abc import Iterator

from gdesign.errors import ConfigError
from gdesign.files import read_jsonl
from gdesign.tasks.base import SPLITS, Split, check_split, first
from gdesign.tasks.data import find
from gdesign.tasks.programs import ASK, Programs, Suite, imports, names_under_test
from gdesign.types import Task

_IDS: dict[Split, range] = {
    "test": range(11, 511),
    "validation": range(511, 601),
    "train": range(601, 975),
    "all": range(1, 975),
}
"""Upstream's splits by task id; 1 to 10 are its few-shot examples, which only `all` holds."""


class MBPP(Programs):
    """MBPP with its own split: 374 problems to train, 90 to validate and 500 to test; nothing is in a lock-box.

    Zero-shot, one program an answer (pass@1). As in the paper the question shows the three tests that
    the program is graded by; where tests have a set-up (367 and 927, which use classes that the program
    defines), it is shown and runs after the program. Upstream's challenge tests are not used.
    `split_seed` has no effect, since the split is upstream's.
    """

    name = "mbpp"

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
        return first([t for t in self._tasks() if int(t.id.split("/")[1]) in _IDS[split]], self.limit)

    def _problems(self) -> Iterator[tuple[Task, Suite]]:
        path = find("bench/mbpp.jsonl")
        for line, values in read_jsonl(path, needs=("task_id", "text", "code", "test_setup_code", "test_list")):
            solution, setup = (values[key].replace("\r\n", "\n") for key in ("code", "test_setup_code"))
            tests = "\n".join(part.strip() for part in (setup, *values["test_list"]) if part.strip())
            tests = tests.replace("\r\n", "\n")
            question = f"{values['text'].strip()} {ASK} Your code should pass these tests:\n\n{tests}"
            names = names_under_test(solution, tests, where=f"{path}:{line}")
            yield (
                self._task(values["task_id"], question, solution),
                Suite(tests=f"{imports(solution)}\n{tests}", names=names),
            )
