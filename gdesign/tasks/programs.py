"""Questions whose answer is a Python program: read from a reply, graded by running tests."""

import ast
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from gdesign.errors import DataError
from gdesign.sandbox import Sandbox
from gdesign.tasks.answers.programs import parsed, program, uses
from gdesign.tasks.base import Published
from gdesign.types import Task

ASK = "Write the whole program in one ```python block."
"""How questions ask for a program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What a program is held to.

    Attributes:
        tests: Source of the tests.
        names: What they use of the program.
        before: Source that is executed before program and tests.
    """

    tests: str
    names: tuple[str, ...]
    before: str = ""


def grader(sandbox: Sandbox) -> Callable[[Suite, str], float]:
    """Return what runs a program against its tests, the same one once: 1 if it passes all, else 0."""

    @lru_cache(maxsize=65536)
    def grade(suite: Suite, source: str) -> float:
        return float(sandbox.check(source, tests=suite.tests, names=suite.names, before=suite.before).ok)

    return grade


@dataclass(frozen=True, kw_only=True, eq=False)
class Programs(Published):
    """What published benchmarks share whose answers are programs.

    Args:
        sandbox: Where programs run; one with its defaults unless given.
        **others: As in `Published`; nobody recorded answers to them.
    """

    domain = "code"
    instead = "crux"
    wants_programs = True

    sandbox: Sandbox | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sandbox is None:
            object.__setattr__(self, "sandbox", Sandbox())

    def _task(self, key: object, question: str, answer: str, options: Sequence[str] = (), domain: str = "") -> Task:
        return replace(super()._task(key, question, answer, options, domain), wants_program=True)

    @cached_property
    def _run(self) -> Callable[[Suite, str], float]:
        assert self.sandbox is not None
        return grader(self.sandbox)

    @abstractmethod
    def _problems(self) -> Iterator[tuple[Task, Suite]]: ...

    @cached_property
    def _read(self) -> list[tuple[Task, Suite]]:
        return list(self._problems())

    @cached_property
    def _suites(self) -> dict[str, Suite]:
        return {task.id: suite for task, suite in self._read}

    def _tasks(self) -> list[Task]:
        return [task for task, _ in self._read]

    def read(self, task: Task, text: str) -> str | None:
        """Return the program in a reply."""
        suite = self._suites.get(task.id)
        return program(text, () if suite is None else suite.names)

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for a program that passes all tests, else 0."""
        return self._run(self._suites[task.id], answer)


def names_under_test(reference: str, tests: str, *, where: str) -> tuple[str, ...]:
    """Return the names that a reference program defines and its tests use, in the order of the program.

    A name that the tests define too is theirs; `where` is what an error names.

    Raises:
        DataError: One of them is no Python, or the tests use nothing of the program.
    """
    trees = {}
    for what, source in (("reference", reference), ("tests", tests)):
        try:
            trees[what] = parsed(source)
        except (SyntaxError, ValueError) as error:
            raise DataError(f"{where}: the {what} cannot be read as Python ({error})") from error
    used = uses(tests)
    names = tuple(name for name in defined_by(trees["reference"]) if name in used)
    if not names:
        raise DataError(
            f"{where}: the tests use nothing that the reference alone defines; they would pass for any program. Call "
            f"what it defines ({', '.join(defined_by(trees['reference'])) or 'nothing so far'})"
        )
    return names


def defined_by(program: ast.Module) -> list[str]:
    """Return the names that a program defines at its outermost level, in its order."""
    return list(dict.fromkeys(_defined(program.body)))


def _defined(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Assign():
                yield from (target.id for target in node.targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def imports(source: str) -> str:
    """Return the imports at the outermost level of a program that can be trusted."""
    body = parsed(source).body
    return "\n".join(ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom))
