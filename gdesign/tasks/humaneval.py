"""HumanEval (Chen et al. 2021): Python functions to be completed, graded by running tests."""

import textwrap
from collections.abc import Iterator

from gdesign.files import read_jsonl
from gdesign.tasks.answers.marked import without_thoughts
from gdesign.tasks.answers.programs import defines, is_program
from gdesign.tasks.data import find
from gdesign.tasks.programs import ASK, Programs, Suite
from gdesign.types import Task


class HumanEval(Programs):
    """The 164 problems of HumanEval, split by their text, a quarter into the lock-box.

    Upstream keeps all of them for the test, and so does the field where nothing is trained: that is
    `split=all`. Zero-shot, one program an answer (pass@1). A program may repeat what the question
    begins with or leave it out; a body alone completes the question. Tests that draw numbers draw the
    same ones each time.
    """

    name = "humaneval"

    def _problems(self) -> Iterator[tuple[Task, Suite]]:
        needs = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
        for _, values in read_jsonl(find("bench/HumanEval.jsonl"), needs=needs):
            prompt, name = values["prompt"], values["entry_point"]
            task = self._task(
                values["task_id"].rsplit("/", 1)[-1],
                f"Complete this Python function. {ASK}\n\n{prompt.strip()}",
                prompt + values["canonical_solution"],
            )
            tests = f"import random\nrandom.seed(0)\n{values['test']}\ncheck({name})\n"
            yield task, Suite(tests=tests, names=(name,), before=prompt)

    def read(self, task: Task, text: str) -> str | None:
        """Return the program in a reply; a reply that is nothing but an indented body is one."""
        found = super().read(task, text)
        said = without_thoughts(text).strip("\n")
        is_body = found is None and said[:1].isspace() and is_program(self._suites[task.id].before + said)
        return textwrap.dedent(said).rstrip() if is_body else found

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for a program that passes all tests, else 0; a body alone completes the question."""
        suite = self._suites[task.id]
        whole = answer if defines(answer, suite.names[0]) else suite.before + textwrap.indent(answer, "    ")
        return super().grade(task, whole)
