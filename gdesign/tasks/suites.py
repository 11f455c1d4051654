"""The tests of own questions: run as whoever wrote them meant, or refused; none that would pass for any program."""

import ast
import doctest
import sys
import textwrap
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import NoReturn

from gdesign.errors import DataError
from gdesign.sandbox import Sandbox
from gdesign.tasks.answers.programs import is_program, parsed
from gdesign.tasks.programs import Suite, defined_by, imports, names_under_test

_TEXT = (files("gdesign.tasks") / "harness.py").read_text(encoding="utf-8")
_HARNESS = (
    "import sys as _sys; _harness = _sys.modules['pytest'] = type(_sys)('pytest'); "
    f"exec(compile({_TEXT!r}, 'harness.py', 'exec', dont_inherit=True), vars(_harness))\n"
)
_MAINS = ("unittest.main", "pytest.main", "doctest.testmod")
_UNKNOWN_MARKS = ("skip", "skipif", "xfail", "usefixtures", "asyncio", "anyio", "importorskip", "fixture")
_SET_UP = ("setup", "setup_method", "setup_class", "teardown", "teardown_method", "teardown_class", "__init__")


def suite_of(reference: str, tests: str, *, where: str) -> Suite:
    """Return the tests of a question as they are run.

    Lines `assert ...` are run as they stand. Functions and classes as pytest knows them, cases of unittest, functions
    that hold an assert and that nothing calls, and examples behind `>>>` are run too; a bare comparison, or
    `all(...)`, is asserted, and so is each part of an asserted tuple. What stands under `if __name__ == "__main__"` is
    run.

    Args:
        reference: A program that is right.
        tests: What was written.
        where: What an error names.

    Raises:
        DataError: One of them is no Python, the tests use nothing of the program, or something that is not run:
            fixtures, setup methods, skipped and async tests.
    """
    tests = textwrap.dedent(tests.replace("\r\n", "\n"))
    if ">>> " in tests and not is_program(tests):
        source, read = _examples(tests, where)
    else:
        source = read = _Meant(tests, reference, where).source()
    names = names_under_test(reference, read, where=where)
    harness = _HARNESS if "pytest" in source or "_harness" in source else ""
    return Suite(tests=f"{harness}{imports(reference)}\n{source}", names=names)


def _examples(tests: str, where: str) -> tuple[str, str]:
    """Return what runs the examples, and their sources."""
    try:
        examples = doctest.DocTestParser().get_examples(tests)
    except ValueError as error:
        raise DataError(f"{where}: the tests cannot be read as examples ({error})") from error
    if optional := [e for e in examples if e.options]:
        raise DataError(f"{where}: the tests have options of doctest, which are not read: {optional[0].source.strip()}")
    lines = [f"_harness.example({e.source!r}, {e.want!r}, {e.exc_msg!r}, globals())" for e in examples]
    return "\n".join(lines), "".join(e.source for e in examples)


class _Meant(ast.NodeTransformer):
    """Tests as they were meant."""

    def __init__(self, tests: str, reference: str, where: str) -> None:
        self._tests, self._where = tests, where
        try:
            self._tree = parsed(tests)
            self._own = defined_by(parsed(reference))
        except (SyntaxError, ValueError):
            self._tree, self._own = ast.Module([], []), []  # `names_under_test` says so

    def source(self) -> str:
        before = ast.dump(self._tree)
        body = list(_opened(self._tree.body))
        self._modules = {
            a.asname or a.name for n in body if isinstance(n, ast.Import) for a in n.names if self._is_program(a)
        }
        self._tree.body = [now for node in body for now in self._renamed(node)]
        runs = [line for node in self._tree.body for line in self._runs(node)]
        self.visit(self._tree)
        unchanged = ast.dump(self._tree) == before
        whole = self._tests if unchanged else ast.unparse(ast.fix_missing_locations(self._tree))
        return "\n".join((whole, *runs))

    def _is_program(self, alias: ast.alias) -> bool:
        """Return whether a module is the program itself: no known one, of which only what that defines is used."""
        name = alias.asname or alias.name
        if "." in name or alias.name.partition(".")[0] in {*sys.stdlib_module_names, "pytest"}:
            return False
        used = [n for n in ast.walk(self._tree) if isinstance(n, ast.Attribute)]
        attributes = {n.attr for n in used if isinstance(n.value, ast.Name) and n.value.id == name}
        return bool(attributes) and attributes <= {*self._own}

    def _renamed(self, node: ast.stmt) -> list[ast.stmt]:
        """Return a statement, or, of one that imports the program itself under other names, what gives these."""
        match node:
            case ast.Import(names=names) if any(map(self._is_program, names)):
                others = [alias for alias in names if not self._is_program(alias)]
                return [ast.Import(names=others)] if others else []
            case ast.ImportFrom(names=names) if self._is_left_out(node):
                aliases = [(a.asname, a.name) for a in names if a.asname and a.asname != a.name]
                return [ast.Assign([ast.Name(now, ast.Store())], ast.Name(name, ast.Load())) for now, name in aliases]
        return [] if self._is_left_out(node) else [node]

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        self.generic_visit(node)
        match node.value:
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                return ast.Assert(test=node.value)
            case ast.Call(func=ast.Name(id="all" | "any" | "isinstance" | "issubclass" | "callable")):
                return ast.Assert(test=node.value)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Write `solution.f` as `f`, where a module is imported that can only be the program."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in self._modules and node.attr in self._own:
            return ast.Name(id=node.attr, ctx=node.ctx)
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        if not isinstance(node.test, ast.Tuple):
            return node
        tests = [e for e in node.test.elts if not isinstance(e, ast.JoinedStr | ast.Constant)]
        return [ast.Assert(test=test, msg=node.msg) for test in tests] or node

    def _is_left_out(self, node: ast.stmt) -> bool:
        """Return whether a statement imports the program itself, or runs the tests, which is done anyway."""
        match node:
            case ast.ImportFrom(module=module, names=names, level=level):
                theirs = (module or "").partition(".")[0] in {*sys.stdlib_module_names, "pytest"} and not level
                return not theirs and all(alias.name == "*" or alias.name in self._own for alias in names)
            case ast.Expr(value=ast.Call() as call) | ast.Raise(exc=ast.Call() as call):
                calls = [ast.unparse(n.func) for n in ast.walk(call) if isinstance(n, ast.Call)]
                if "doctest.testmod" in calls:
                    self._refuse("doctest.testmod()", "write the examples as the text of tests, from `>>> ` on")
                return any(name in _MAINS or (name == "main" and "main" in self._imported()) for name in calls)
        return False

    def _imported(self) -> set[str]:
        found = [
            n for n in ast.walk(self._tree) if isinstance(n, ast.ImportFrom) and n.module in ("unittest", "pytest")
        ]
        return {alias.name for node in found for alias in node.names}

    def _refuse(self, what: str, instead: str) -> NoReturn:
        raise DataError(f"{self._where}: the tests hold {what}, which is not run; {instead}")

    # what is run

    def _runs(self, node: ast.stmt) -> Iterator[str]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                called = any(isinstance(n, ast.Name) and n.id == node.name for n in self._outside(node))
                if (node.name.startswith("test") or _asserts(node)) and not called:
                    self._check(node, node.name)
                    yield f"_harness.run({node.name})" if node.decorator_list else f"{node.name}()"
                elif any("fixture" in ast.unparse(d) for d in node.decorator_list):
                    self._check(node, node.name, skip=len(node.args.args))
            case ast.ClassDef() if tests := self._tests_of(node, set()):
                is_case = self._is_case(node, set())
                if is_case or node.name.startswith("Test"):
                    for test in tests:
                        self._check(test, f"{node.name}.{test.name}", skip=1, marked=not is_case)
                    others = [n.name for n in node.body if isinstance(n, ast.FunctionDef) and n.name in _SET_UP]
                    if others and not is_case:
                        self._refuse(f"{node.name}.{others[0]}", "make what it makes in each test")
                    yield f"_harness.run({node.name})"

    def _outside(self, node: ast.stmt) -> Iterator[ast.AST]:
        return (n for other in self._tree.body if other is not node for n in ast.walk(other))

    def _check(
        self, test: ast.FunctionDef | ast.AsyncFunctionDef, name: str, *, skip: int = 0, marked: bool = True
    ) -> None:
        """Refuse a test that cannot be run."""
        if isinstance(test, ast.AsyncFunctionDef):
            self._refuse(
                f"the async test {name}", "a program cannot be awaited from outside; let it define a plain function"
            )
        given: set[str] = set()
        for mark in test.decorator_list if marked else ():
            words = ast.unparse(mark)
            name_of_mark = words.partition("(")[0].rpartition(".")[2]
            if name_of_mark in _UNKNOWN_MARKS or "indirect" in words:
                self._refuse(f"{name} with the decorator @{words}", "leave it out, and make what it makes in the test")
            if isinstance(mark, ast.Call) and name_of_mark == "parametrize":
                named_so = [*mark.args[:1], *(k.value for k in mark.keywords if k.arg == "argnames")]
                parts = [n.value for said in named_so for n in ast.walk(said) if isinstance(n, ast.Constant)]
                given |= {word.strip() for part in parts for word in str(part).split(",")}
        spec = test.args
        positional = [*spec.posonlyargs, *spec.args]
        positional = positional[: len(positional) - len(spec.defaults)][skip:]
        named = [a for a, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if default is None]
        if lacks := [a.arg for a in (*positional, *named) if a.arg not in given]:
            self._refuse(
                f"{name}({', '.join(lacks)}), which nothing calls",
                "call it with what it takes, such as `check(f)`, or name the values by pytest.mark.parametrize "
                "(there are no fixtures)",
            )

    def _tests_of(self, node: ast.ClassDef, seen: set[str]) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Return the tests of a class, with those of its bases."""
        found = [
            n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name.startswith("test")
        ]
        return found + [test for base in self._bases(node, seen) for test in self._tests_of(base, seen)]

    def _is_case(self, node: ast.ClassDef, seen: set[str]) -> bool:
        bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
        if "IsolatedAsyncioTestCase" in bases:
            self._refuse(f"the async tests of {node.name}", "no program can be awaited: ask for plain functions")
        return "TestCase" in bases or any(self._is_case(base, seen) for base in self._bases(node, seen))

    def _bases(self, node: ast.ClassDef, seen: set[str]) -> list[ast.ClassDef]:
        seen.add(node.name)
        names = {base.id for base in node.bases if isinstance(base, ast.Name)} - seen
        return [n for n in self._tree.body if isinstance(n, ast.ClassDef) and n.name in names]


def _opened(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements; of those that ask whether this is the main program, what they hold."""
    for node in body:
        if isinstance(node, ast.If) and {"__name__", "'__main__'"} <= {ast.unparse(n) for n in ast.walk(node.test)}:
            yield from _opened(node.body)
        else:
            yield node


def _asserts(node: ast.stmt) -> bool:
    return any(isinstance(n, ast.Assert) for n in ast.walk(node))


# --------------------------------------------------------------------------- whether tests say something

_STAND_INS = """

class _Anything:
    def __init__(self, make):
        self._make = make
    def __call__(self, *arguments, **names):
        return self._make()
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._make()

class _Failure(Exception):
    pass

def _fails(*arguments, **names):
    raise _Failure("it always fails")

_new = _Anything(lambda: _Anything(_new._make))
_same = _Anything(lambda: _same)
"""

_NONSENSE = {
    "_new": "return meaningless objects",
    "_same": "return a meaningless object",
    "_fails": "always raise",
}
_PROBE = """
def _passes(**given):
    try:
        exec(_code, {"__name__": "tests", **given})
    except (Exception, SystemExit):
        return False
    return True

_code = compile(_tests, "tests.py", "exec", dont_inherit=True)
assert _passes(**{name: globals()[name] for name in _names}), "right"
for _thing in _nonsense:
    assert not _passes(**dict.fromkeys(_names, globals()[_thing])), _thing
"""


def fault(reference: str, suite: Suite, sandbox: Sandbox) -> str:
    """Return what is wrong with a reference and its tests; empty if the reference passes and nonsense does not.

    Nonsense are programs whose functions and classes return objects that mean nothing, or always raise.
    """
    probe = f"_tests, _names, _nonsense = {suite.tests!r}, {suite.names!r}, {list(_NONSENSE)}\n{_PROBE}"
    done = sandbox.check(reference + _STAND_INS, tests=probe, names=[*suite.names, *_NONSENSE])
    if done.ok:
        return ""
    alone = sandbox.check(reference, tests=suite.tests, names=suite.names)
    if not alone.ok:
        return f"fails its tests: {alone.detail or alone.why}"
    passed = done.detail.partition("\n")[0].removeprefix("AssertionError: ")
    if passed not in _NONSENSE:  # it takes the tests too long, which is no way to pass
        return ""
    return (
        f"passes its tests, but so does a program whose functions {_NONSENSE[passed]}: compare what comes back, as in "
        "'assert f(1) == 2', at the outermost level or in functions named test_..."
    )
