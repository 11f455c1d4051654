"""What tests can use in the sandbox beside the standard library: a part of pytest, and what runs tests as pytest does.

This file is sent there as text and stands for pytest. It imports nothing that takes long.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any


class Raises:
    """A block that has to raise."""

    def __init__(self, kinds: Any, match: str | None) -> None:
        self.kinds, self.match = kinds, match
        self.value: BaseException | None = None

    def __enter__(self) -> Raises:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None:
            raise AssertionError(f"nothing was raised, expected {self.kinds}")
        if not isinstance(error, self.kinds):
            return False
        if self.match is not None:
            import re

            if not re.search(self.match, str(error)):
                raise AssertionError(f"{error!r} says nothing of {self.match!r}")
        self.value = error
        return True


def raises(
    kinds: Any,
    function: Callable[..., object] | None = None,
    *arguments: object,
    match: str | None = None,
    **names: object,
) -> Raises:
    """Expect an exception of a block, or of a function."""
    block = Raises(kinds, match)
    if function is not None:
        with block:
            function(*arguments, **names)
    return block


class approx:
    """A number, or numbers in a list, tuple or dict, that something may be close to."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, expected: Any, rel: float | None = None, abs: float | None = None) -> None:
        self.expected, self.rel, self.abs = expected, rel, abs

    def __eq__(self, actual: Any) -> bool:
        """Return whether it is close enough."""
        expected = self.expected
        if isinstance(expected, dict):
            return isinstance(actual, dict) and actual.keys() == expected.keys() and self._all(actual, expected)
        if isinstance(expected, list | tuple):
            alike = isinstance(actual, list | tuple) and len(actual) == len(expected)
            return alike and self._all(dict(enumerate(actual)), dict(enumerate(expected)))
        if isinstance(expected, bool) or not isinstance(expected, int | float | complex):
            return bool(actual == expected)
        if isinstance(actual, bool) or not isinstance(actual, int | float | complex):
            return bool(actual == expected)
        relative = 0.0 if self.rel is None and self.abs is not None else (self.rel or 1e-6) * abs_(expected)
        least = 1e-12 if self.abs is None else self.abs
        return actual == expected or abs_(actual - expected) <= max(relative, least) < float("inf")

    def _all(self, actual: dict[Any, Any], expected: dict[Any, Any]) -> bool:
        return all(approx(expected[key], self.rel, self.abs) == actual[key] for key in expected)

    def __repr__(self) -> str:
        return f"approx({self.expected!r})"


abs_ = abs


class Values(tuple):  # type: ignore[type-arg]
    """The values of one case."""


def param(*values: object, **named: object) -> Values:
    """Return the values of one case."""
    return Values(values)


class Mark:
    """Marks of tests, of which only parametrize does something."""

    def parametrize(
        self, argnames: str | Sequence[str], argvalues: Iterable[Any], ids: object = None
    ) -> Callable[[Any], Any]:
        """Run a test once for each case."""
        keys = [name.strip() for name in argnames.split(",")] if isinstance(argnames, str) else list(argnames)
        several = [v if len(keys) > 1 or isinstance(v, Values) else (v,) for v in argvalues]
        cases = [dict(zip(keys, case, strict=True)) for case in several]

        def marked(test: Any) -> Any:
            test.cases = [{**outer, **inner} for outer in getattr(test, "cases", [{}]) for inner in cases]
            return test

        return marked

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **names: (
            arguments[0] if len(arguments) == 1 and callable(arguments[0]) else lambda x: x
        )


mark = Mark()


def fail(reason: str = "", pytrace: bool = True) -> None:
    """Fail."""
    raise AssertionError(reason)


def run(test: Any) -> None:
    """Run a test function with each of its cases, all tests of a class, or a case of unittest.

    Raises:
        AssertionError: A test failed, or there was none to run.
    """
    if not isinstance(test, type):
        tests = [test]
    elif hasattr(test, "assertEqual"):
        return _run_case(test)
    else:
        tests = [getattr(test(), name) for name in dir(test) if name.startswith("test")]
    done = 0
    for function in tests:
        for case in getattr(function, "cases", [{}]):
            function(**case)
            done += 1
    if not done:
        raise AssertionError(f"{test.__name__} has no case to run")
    return None


def _run_case(kind: Any) -> None:
    import unittest

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(kind).run(result)
    wrong = [text for _, text in (*result.failures, *result.errors)]
    if wrong or result.unexpectedSuccesses:
        raise AssertionError(wrong[0].strip().splitlines()[-1] if wrong else "a test passed that should fail")
    if result.testsRun == len(result.skipped):
        raise AssertionError(f"{kind.__name__} has no test to run")


def example(source: str, want: str, error: str | None, space: dict[str, Any]) -> None:
    """Run what stands behind a prompt, and compare what it shows.

    Raises:
        AssertionError: It shows something else.
    """
    import io
    import sys

    shown, before = io.StringIO(), sys.stdout
    sys.stdout = shown
    try:
        exec(compile(source, "tests.py", "single", dont_inherit=True), space)
        got = shown.getvalue()
    except Exception as raised:
        if error is None:
            raise
        got, want = f"{type(raised).__name__}: {raised}\n", error
    finally:
        sys.stdout = before
    if got != want:
        raise AssertionError(f"{source.strip()} shows {got.strip()[:200]!r}, expected {want.strip()[:200]!r}")
