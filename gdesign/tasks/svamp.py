"""SVAMP (Patel et al. 2021): word problems of one step, worded so that shallow cues mislead."""

from gdesign.errors import DataError
from gdesign.files import read_json_list
from gdesign.tasks.answers.numbers import number
from gdesign.tasks.base import Published
from gdesign.tasks.data import find
from gdesign.types import Task


class SVAMP(Published):
    """The 1,000 questions of SVAMP, split by their text, a quarter into the lock-box.

    Upstream keeps all of them for the test, and so does the field where nothing is trained: that is
    `split=all`. Zero-shot; body and question are joined as by Kojima et al. (2022), with a full stop
    where the body has none. A reply is right if its number is the answer.

    Question chal-680 has an answer that its own equation does not give; it stays as upstream has it.
    """

    name = "svamp"
    domain = "mathematics"
    instead = "gsm8k"
    grader = "number"

    def _tasks(self) -> list[Task]:
        path = find("bench/svamp.json")
        tasks = []
        for index, values in read_json_list(path, needs=("ID", "Body", "Question", "Answer")):
            body = values["Body"].strip()
            answer = number(str(values["Answer"])) if isinstance(values["Answer"], int | float) else None
            if answer is None:
                raise DataError(f"{path}[{index}]: the answer {values['Answer']!r} is no number")
            question = f"{body}{'' if body.endswith('.') else '.'} {values['Question'].strip()}"
            tasks.append(self._task(values["ID"], question, answer))
        return tasks
