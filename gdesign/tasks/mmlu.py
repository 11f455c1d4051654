"""MMLU (Hendrycks et al. 2021): knowledge questions with four options in 57 subjects."""

import csv
import io
import zipfile

from gdesign.errors import DataError
from gdesign.tasks.base import PublishedWithSplit, draws
from gdesign.tasks.data import find
from gdesign.types import Task

_FOLDERS = {"train": "dev", "validation": "val", "test": "test"}
_LETTERS = ("A", "B", "C", "D")


class MMLU(PublishedWithSplit):
    """MMLU with its own split: dev (285) to train, val (1,531) to validate, test (14,042); the domain is the subject.

    Questions of dev and val whose wording stands in the test too are left out (`Which of the following is
    true?` among them), which leaves 279 and 1,493. The field tests on all 14,042. Questions come in an
    order that their text and `split_seed` draw, so the first `limit` of them are a sample of all subjects.
    G-Designer and AgentPrune train on 40 draws from dev and test on 153 of val.

    Zero-shot; a reply is right if it chooses the right letter. No answers are recorded in a table, so
    there is no lock-box. 6,483 wordings of MMLU-Pro also occur here, and the RouteLLM answers are to these
    test questions: never train on one of them and test on another.
    """

    name = "mmlu"
    instead = "mmlu_pro"
    grader = "choice"

    def _parts(self) -> dict[str, list[Task]]:
        return {
            name: sorted(self._read(folder), key=lambda t: (draws(t.question, seed=self.split_seed), t.id))
            for name, folder in _FOLDERS.items()
        }

    def _read(self, folder: str) -> list[Task]:
        """Return the questions of `data/<folder>/<subject>_<folder>.csv`, subject by subject."""
        path = find("bench/mmlu.zip")
        tasks = []
        try:
            with zipfile.ZipFile(path) as archive:
                prefix, suffix = f"data/{folder}/", f"_{folder}.csv"
                for name in sorted(archive.namelist()):
                    if not (name.startswith(prefix) and name.endswith(suffix)):
                        continue
                    subject = name.removeprefix(prefix).removesuffix(suffix)
                    rows = csv.reader(io.StringIO(archive.read(name).decode("utf-8"), newline=""))
                    for index, row in enumerate(rows):
                        if len(row) != 6 or row[5] not in _LETTERS:
                            raise DataError(
                                f"{path}, {name}, row {index + 1}: expected a question, four options and a letter "
                                f"A to D; got {len(row)} values, the last {row[-1] if row else ''!r}"
                            )
                        question, *options, answer = (cell.strip() for cell in row)
                        key = f"{folder}/{subject}/{index}"
                        tasks.append(self._task(key, question, answer, options, domain=subject.replace("_", " ")))
        except zipfile.BadZipFile as error:
            raise DataError(f"{path} is no whole zip file ({error}); fetch it again") from error
        if not tasks:
            raise DataError(f"{path} holds no data/{folder}/<subject>_{folder}.csv; fetch it again")
        return tasks
