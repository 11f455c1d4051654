"""AQuA (Ling et al. 2017): algebraic word problems with five options."""

from gdesign.errors import DataError
from gdesign.files import read_jsonl
from gdesign.tasks.base import PublishedWithSplit
from gdesign.tasks.data import find
from gdesign.types import Task


class AQuA(PublishedWithSplit):
    """AQuA with its own split: the 254 questions of dev to train, a fifth of them to validate, and 254 to test.

    The field tests on all 254 test questions. Upstream's large training file is not used. Nothing is
    recorded, so there is no lock-box. Zero-shot; a reply is right if it chooses the right letter.

    Eight questions have the same text under two letters; only the letter that upstream names is right.
    """

    name = "aqua"
    domain = "mathematics"
    instead = "mmlu_pro"
    grader = "choice"

    def _parts(self) -> dict[str, list[Task]]:
        return {"train": self._read("dev"), "test": self._read("test")}

    def _read(self, part: str) -> list[Task]:
        path = find(f"bench/aqua_{part}.jsonl")
        tasks = []
        for line, values in read_jsonl(path, needs=("question", "options", "correct")):
            letters = [option[:2] for option in values["options"]]
            if letters != ["A)", "B)", "C)", "D)", "E)"][: len(letters)] or values["correct"] + ")" not in letters:
                raise DataError(
                    f"{path}:{line}: expected options 'A)...', 'B)...' up to E and the letter of one in correct; "
                    f"got {values['options']!r} and {values['correct']!r}"
                )
            options = [option[2:].strip() for option in values["options"]]
            tasks.append(self._task(f"{part}/{line - 1}", values["question"].strip(), values["correct"], options))
        return tasks
