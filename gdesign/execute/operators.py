"""How an agent works: most ask once; some run what was written, criticise it, and ask again.

`program`: program of thought (Chen et al., arXiv 2211.12588), run in a sandbox. `test`: the program is tried on the
tests that the question shows, or on some that the agent writes, and repaired (as CodeT and Self-Debugging do: arXiv
2207.10397, 2304.05128). `self_refine`: Madaan et al., arXiv 2303.17651. `reflect`: Reflexion, Shinn et al., arXiv
2303.11366. Prompts (gdesign/agents/prompts.yaml) are our own.
"""

import ast
import asyncio
import builtins
import itertools
import re
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from gdesign.agents.prompt import fitted, quoted, words_of
from gdesign.errors import LLMError, UnsupportedRequestError
from gdesign.sandbox import Result, Sandbox
from gdesign.tasks.answers.marked import after_cue, failure, stated
from gdesign.tasks.answers.programs import parsed, program, uses, without_programs
from gdesign.tasks.answers.thoughts import without_thoughts
from gdesign.tasks.base import Benchmark, RunsPrograms
from gdesign.types import AgentPool, Label, Message, Reply, Request, Task, Usage

Ask = Callable[[Request], Awaitable[Reply]]

NEED_SANDBOX = ("program", "test", "reflect")
"""The operators that run code."""

NUM_REPAIRS = 2
"""How often `test` and `reflect` try again."""

MOST_CALLS = {"program": 2, "test": 2 + NUM_REPAIRS, "self_refine": 3, "reflect": 1 + 2 * NUM_REPAIRS}
"""The most calls of one turn, by operator; 1 for any other."""


def tools_of(benchmark: Benchmark, pool: AgentPool) -> Sandbox | None:
    """Return where programs run that agents write: where the benchmark grades, else a sandbox with its defaults.

    None where neither the benchmark nor an operator of the pool runs any.

    Raises:
        ConfigError: There is no way to keep programs from the network and from files here.
    """
    sandbox = benchmark.sandbox if isinstance(benchmark, RunsPrograms) else None
    if sandbox is None and any(candidate.operator in NEED_SANDBOX for candidate in pool.candidates):
        sandbox = Sandbox()
    if sandbox is not None:
        _ = sandbox.isolation  # refused now, not after calls were paid for
    return sandbox


async def work(
    request: Request, *, operator: str, task: Task, pool: AgentPool, ask: Ask, tools: Sandbox | None
) -> Reply:
    """Let an agent take its turn and return its last words, with what all its calls cost.

    Where a call after the first one fails, what was said before stands.

    Args:
        task: The question; its reference answer is not looked at.
        pool: Knows the words of prompts, and the LLM's context.
        tools: Where programs run; None for nowhere.

    Raises:
        LLMError: The first call failed.
        UnsupportedRequestError: The operator runs programs and there is nowhere to run them.
        ConfigError: There is no way to keep programs from the network and from files here.
    """
    if operator not in MOST_CALLS:
        return await ask(request)
    if operator == "self_refine":
        return await _refined(_Talk(request, ask, pool))
    if tools is None:
        raise UnsupportedRequestError(
            f"the operator {operator} runs what a model wrote, and nobody said where: hand in tools=Sandbox()"
        )
    act = {"program": _computed, "test": _tested, "reflect": _reflected}[operator]
    return await act(_Talk(request, ask, pool), task, tools)


class _Talk:
    def __init__(self, request: Request, ask: Ask, pool: AgentPool) -> None:
        self._first = request
        self._ask = ask
        self._context = pool.llm(request.llm).context
        self.turns: Mapping[str, str] = words_of(pool)["turns"]
        self._replies: list[Reply] = []
        self._faults: tuple[str, ...] = ()
        self.said = ""

    async def begin(self, *notes: str) -> str:
        *messages, question = self._first.messages
        text = "\n".join((question.content, *notes))
        return await self._put(replace(self._first, messages=(*messages, Message(question.role, text))))

    async def go_on(self, words: str) -> str:
        messages = (*self._last.messages, Message("assistant", self.said), Message("user", words))
        return await self._put(replace(self._first, messages=fitted(messages, context=self._context)))

    async def _put(self, request: Request) -> str:
        reply = await self._ask(request)
        self._last = request
        self._replies.append(reply)
        self.said = without_thoughts(reply.text) or reply.text  # no model takes an empty message for its own
        return self.said

    def fail(self, error: LLMError) -> None:
        if not self._replies:
            raise error
        self._faults += (*error.faults, "failed")

    def end(self, text: str) -> Reply:
        replies = self._replies
        live = [r for r in replies if r.label is Label.LIVE]
        return replace(
            replies[-1],
            text=text,
            usage=_together(replies),
            live=_together(live) if 0 < len(live) < len(replies) else None,
            label=max(r.label for r in replies),
            score=None,
            num_calls=sum(r.num_calls for r in replies),
            seconds=sum(r.seconds for r in replies),
            faults=tuple(f for r in replies for f in r.faults) + self._faults,
        )


def _together(replies: Sequence[Reply]) -> Usage:
    return Usage(
        prompt_tokens=sum(r.usage.prompt_tokens for r in replies),
        completion_tokens=sum(r.usage.completion_tokens for r in replies),
        cached_tokens=sum(r.usage.cached_tokens for r in replies),
        counted=any(r.usage.counted for r in replies),
    )


# --------------------------------------------------------------------------- programs


async def _computed(talk: _Talk, task: Task, tools: Sandbox) -> Reply:
    text = ""
    try:
        await talk.begin()
        for last in (False, True):
            text = talk.said
            written = program(text)
            if written is None:
                return talk.end(text)
            done = await _run(written, tools, notebook=True)
            printed = _same_each_time(done.stdout).strip()
            if done.ok and printed:
                answer = printed.splitlines()[-1].strip()
                return talk.end(f"{text}\n\nThe program prints:\n{quoted(printed)}\n\nAnswer: {answer}")
            why = "nothing printed" if done.ok else done.why
            wrong = _last_lines(done.stderr) or done.detail or "It prints nothing."
            text = _failed(text, why, wrong)
            if not last:
                await talk.go_on(talk.turns["program_failed"].format(why=why, wrong=quoted(wrong)))
    except LLMError as error:
        talk.fail(error)
    return talk.end(text)


def _failed(text: str, why: str, wrong: str) -> str:
    """Return what an agent says whose program failed: quoted, for no number of a program that failed is an answer."""
    beside = without_programs(text)
    guess = stated(beside) or after_cue(beside)
    words = f"{quoted(text)}\n\n{failure(why)}\n{quoted(wrong)}"
    return f"{words}\n\nAnswer: {guess}" if guess else words


async def _run(source: str, tools: Sandbox, *, notebook: bool = False) -> Result:
    stop = threading.Event()
    try:
        return await asyncio.to_thread(tools.run, source, stop=stop, notebook=notebook)
    finally:
        stop.set()  # a thread cannot be cancelled, and at its end the event loop waits for it


def _last_lines(text: str, num_lines: int = 12) -> str:
    return "\n".join(_same_each_time(text).strip().splitlines()[-num_lines:])


def _same_each_time(text: str) -> str:
    """Leave addresses out: an agent would be asked something else on each run, and no recording could answer."""
    return re.sub(r" at 0x[0-9a-f]*", " at 0x...", text)


# --------------------------------------------------------------------------- tests


async def _tested(talk: _Talk, task: Task, tools: Sandbox) -> Reply:
    text, report = "", ""
    try:
        text = await talk.begin()
        tests = shown_tests(task.question)
        written = program(text, _names(tests))
        if written is not None and not tests:
            tests = shown_tests(await talk.go_on(talk.turns["own_tests"]))
        for left in reversed(range(NUM_REPAIRS + 1)):
            if written is None or not tests:
                break
            report = await _trial(written, tests, tools)
            if not report or not left:
                break
            text = await talk.go_on(talk.turns["repair"].format(report=quoted(report)))
            written, report = program(text, _names(tests)), ""
    except LLMError as error:
        talk.fail(error)
    return talk.end(f"{text}\n\nTests say of this program:\n{quoted(report)}" if report else text)


def shown_tests(text: str) -> list[str]:
    """Return the tests in a text: lines `assert ...` and examples after `>>>`, each as a statement."""
    tests = []
    lines = [line.strip() for line in text.splitlines()]
    for line, after in itertools.pairwise([*lines, ""]):
        if line.startswith("assert "):
            tests.append(line)
        elif line.startswith(">>> ") and after and not after.startswith((">>>", '"""', "'''", "Traceback")):
            tests.append(f"assert {line[4:].split('  #')[0]} == {after}")
    return [test for test in dict.fromkeys(tests) if _parses(test)]


def _names(tests: Sequence[str]) -> set[str]:
    """Return the names that tests use: what a program has to define."""
    return uses("\n".join(tests)) - set(vars(builtins))


def _parses(test: str) -> bool:
    if len(test) > _LONGEST_TEST:
        return False
    try:
        return isinstance(parsed(test).body[0], ast.Assert)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


_LONGEST_TEST = 2_000

# The program is no script here, so that what it does as one (reading input, ending) is left out.
_TRIAL = """
import ast, linecache, sys, traceback
written, tests = {written!r}, {tests!r}
solution = sys.modules["solution"] = type(sys)("solution")
names = vars(solution)
linecache.cache["program.py"] = (len(written), None, written.splitlines(keepends=True), "program.py")
try:
    exec(compile(written, "program.py", "exec", dont_inherit=True), names)
except SystemExit as error:
    sys.__stderr__.write("It ends before it can be tried: " + repr(error))
    sys.exit(1)
except BaseException as error:
    sys.__stderr__.write("".join(traceback.format_exception(type(error), error, error.__traceback__.tb_next)))
    sys.exit(1)
for test in tests:
    try:
        exec(test, names)
    except BaseException as error:
        words = "fails: " + test + chr(10) + "  " + type(error).__name__ + " " + str(error)[:300]
        tree = ast.parse(test).body[0].test
        if isinstance(error, AssertionError) and isinstance(tree, ast.Compare):
            try:
                words += chr(10) + "  the left side is " + repr(eval(ast.unparse(tree.left), names))[:300]
            except BaseException:
                pass
        print(words, file=sys.__stdout__)
"""


async def _trial(written: str, tests: Sequence[str], tools: Sandbox) -> str:
    """Return what tests say against a program; empty if nothing."""
    done = await _run(_TRIAL.format(written=written, tests=list(tests)), tools)
    if done.ok:
        return _same_each_time(done.stdout).strip() if "fails: " in done.stdout else ""
    return _last_lines(done.stderr) or f"It ends with {done.why}: {done.detail}"


# --------------------------------------------------------------------------- second thoughts

SATISFIED = "no fault found"


async def _refined(talk: _Talk) -> Reply:
    text = ""
    try:
        text = await talk.begin()
        if SATISFIED not in (await talk.go_on(talk.turns["criticise"])).lower():
            text = await talk.go_on(talk.turns["improve"])
    except LLMError as error:
        talk.fail(error)
    return talk.end(text)


async def _reflected(talk: _Talk, task: Task, tools: Sandbox) -> Reply:
    text = ""
    tests = shown_tests(task.question)
    lessons: list[str] = []
    try:
        text = await talk.begin()
        for _ in range(NUM_REPAIRS):
            written = program(text, _names(tests)) if tests else None
            if written is None:
                lesson = await talk.go_on(talk.turns["criticise"])
                if SATISFIED in lesson.lower():
                    break
            else:
                report = await _trial(written, tests, tools)
                if not report:
                    break
                lesson = await talk.go_on(talk.turns["reflect"].format(report=quoted(report)))
            lessons.append(lesson)
            told = (line for lesson in lessons for line in ("", quoted(lesson)))
            text = await talk.begin("", talk.turns["lesson"], *told)
    except LLMError as error:
        talk.fail(error)
    return talk.end(text)
