"""MultiArith (Roy and Roth 2015): word problems of two or more steps."""

from gdesign.errors import DataError
from gdesign.files import read_json_list
from gdesign.tasks.answers.numbers import number
from gdesign.tasks.base import Published
from gdesign.tasks.data import find
from gdesign.types import Task


class MultiArith(Published):
    """The 600 questions of MultiArith, split by their text, a quarter into the lock-box.

    Upstream has no split, and the field tests on all of them where nothing is trained: that is
    `split=all`. Zero-shot; a reply is right if its number is the answer. Twenty questions stand there
    twice, with the same answer; split by text, both are always on the same side.
    """

    name = "multiarith"
    domain = "mathematics"
    instead = "gsm8k"
    grader = "number"

    def _tasks(self) -> list[Task]:
        path = find("bench/multiarith.json")
        tasks = []
        for index, values in read_json_list(path, needs=("iIndex", "sQuestion", "lSolutions")):
            solutions = values["lSolutions"]
            answer = number(str(solutions[0])) if len(solutions) == 1 else None
            if answer is None:
                raise DataError(f"{path}[{index}]: expected one number in lSolutions, got {solutions!r}")
            tasks.append(self._task(values["iIndex"], values["sQuestion"].strip(), answer))
        return tasks
