"""Do all reference programs pass in the sandbox, does a mutation of each fail, and what does the sandbox add?

GDESIGN_DATA=<data folder> python benchmarks/sandbox.py
"""

import argparse
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import mean, median, quantiles

from runner import begin

from gdesign.sandbox import STATEMENTS, Sandbox
from gdesign.tasks.base import Benchmark
from gdesign.tasks.humaneval import HumanEval
from gdesign.tasks.mbpp import MBPP
from gdesign.types import Task

MUTATION = """

import functools as _functools

def _wrong(act):
    @_functools.wraps(act)
    def wrapped(*arguments, **names):
        value = act(*arguments, **names)
        if type(value) is bool:
            return not value
        if isinstance(value, (int, float, complex)):
            return value + 1
        if isinstance(value, str):
            return value + "x"
        if isinstance(value, (list, tuple)):
            return value + type(value)([None])
        return "wrong" if value is None else None
    return wrapped

NAME = _wrong(NAME)
"""


def mutated(program: str, question: str) -> str:
    """Return a program whose function returns almost the right thing: the opposite, one more, one item more.

    It is the last function that the question names.
    """
    functions = re.findall(r"^def\s+(\w+)", program, re.MULTILINE)
    asked = [name for name in functions if re.search(rf"\b{name}\b", question)]
    return program + MUTATION.replace("NAME", asked[-1])


def survey(benchmark: Benchmark, tasks: list[Task]) -> tuple[list[str], list[str]]:
    """Return the tasks whose reference fails, and those whose mutation passes."""

    def one(task: Task) -> tuple[float, float]:
        answer = benchmark.extract(task, f"So:\n```python\n{task.answer}\n```\nAnswer: see above")
        assert answer is not None
        return benchmark.grade(task, answer), benchmark.grade(task, mutated(answer, task.question))

    with ThreadPoolExecutor(2) as threads:
        grades = list(threads.map(one, tasks))
    return (
        [t.id for t, (right, _) in zip(tasks, grades, strict=True) if right != 1],
        [t.id for t, (_, wrong) in zip(tasks, grades, strict=True) if wrong != 0],
    )


def bare(program: str) -> float:
    """Return the seconds that a program takes without a sandbox, start of Python included."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-S", "-s", "-P", "-B", "-c", program], check=True, capture_output=True)
    return time.perf_counter() - began


def added(sandbox: Sandbox, program: str, repeats: int) -> list[float]:
    """Return how many milliseconds the sandbox adds to a program, sorted; with and without take turns."""
    pairs = [(sandbox.run(program).seconds, bare(program)) for _ in range(repeats)]
    return sorted(1000 * (inside - outside) for inside, outside in pairs)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--isolation", default="auto")
    options = parser.parse_args()
    sandbox = Sandbox(isolation=options.isolation)
    print(f"in force: {STATEMENTS[sandbox.isolation]}\n")
    print("| added to a program | mean ms | median ms | 95 % below ms | most ms |\n|---|---:|---:|---:|---:|")
    for name, program in (("`pass`", "pass"), ("`import re, json, random`", "import re, json, random")):
        ms = added(sandbox, program, options.repeats)
        print(f"| {name} | {mean(ms):.1f} | {median(ms):.1f} | {quantiles(ms, n=20)[-1]:.1f} | {ms[-1]:.1f} |")
    print("\n| benchmark | references | pass | mutations | fail | seconds |\n|---|---:|---:|---:|---:|---:|")
    for benchmark in (HumanEval(sandbox=sandbox), MBPP(sandbox=sandbox)):
        tasks = benchmark.load("all")
        began = time.perf_counter()
        failed, passed = survey(benchmark, tasks)
        n = len(tasks)
        seconds = time.perf_counter() - began
        print(f"| {benchmark.name} | {n} | {n - len(failed)} | {n} | {n - len(passed)} | {seconds:.0f} |")
        if failed or passed:
            print(f"\nreferences that fail: {failed}; mutations that pass: {passed}\n")


if __name__ == "__main__":
    begin(main)
