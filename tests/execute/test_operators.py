import asyncio
from dataclasses import replace
from time import monotonic

import pytest

from gdesign.agents.prompt import OPERATORS, SEVERAL_CALLS, quoted
from gdesign.errors import LLMError, UnsupportedRequestError
from gdesign.execute.limits import Limits
from gdesign.execute.operators import MOST_CALLS, shown_tests, tools_of
from gdesign.execute.reward import account
from gdesign.execute.run import run
from gdesign.llm.cost import Allowance
from gdesign.llm.simulated.client import SimulatedClient
from gdesign.sandbox import Sandbox
from gdesign.tasks.answers import program
from gdesign.tasks.answers.numbers import number
from gdesign.tasks.base import read
from gdesign.tasks.mbpp import MBPP
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import LLM, Agent, AgentPool, Design, Label, Reply, Role, Task, Usage

POOL = AgentPool(
    name="p",
    roles=(Role(name="r", profile="You solve."),),
    llms=(LLM(name="small", usd_per_1M_input=1.0, usd_per_1M_output=1.0),),
    operators=tuple(OPERATORS),
)
SUM = Task(id="1", question="What is 2 + 3?", answer="5", benchmark="b")
DOUBLE = Task(id="2", question="Double it.\n>>> double(2)\n4\n>>> double(0)\n0", answer="", benchmark="b")
WRONG = "```python\ndef double(x):\n    return x + 2\n```"
RIGHT = "```python\ndef double(x):\n    return 2 * x\n```"


class Script:
    """Says one thing after the other and keeps what it was asked; an exception is raised."""

    def __init__(self, *says):
        self.says = list(says)
        self.asked = []

    async def __call__(self, request):
        self.asked.append(request)
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        return Reply(
            text=said,
            usage=Usage(prompt_tokens=10, completion_tokens=1),
            label=Label.LIVE,
            seconds=0.5,
            faults=("429",),
        )


class AsIf:
    """Says what another says, with one label after the other."""

    def __init__(self, llm, *labels):
        self.llm = llm
        self.labels = list(labels)

    async def __call__(self, request):
        return replace(await self.llm(request), label=self.labels.pop(0))


@pytest.fixture(scope="module")
def tools():
    return Sandbox(cpu_seconds=2, wall_seconds=10.0)


def turn_of(operator, task, *says, tools, read=lambda task, text: number(text), limits=None):
    llm = Script(*says)
    design = Design(agents=(Agent(role="r", llm="small", operator=operator),))
    done = asyncio.run(run(design, task, pool=POOL, llm=llm, extract=read, tools=tools, limits=limits))
    assert not llm.says
    return done.turns[0], [request.messages for request in llm.asked]


def test_what_a_program_prints_is_the_answer(tools):
    turn, asked = turn_of("program", SUM, "```python\nprint('7 is', 7)\nprint(2 + 3)\n```\nAnswer: 6", tools=tools)
    assert turn.answer == "5"
    assert turn.reply.text.endswith("The program prints:\n> 7 is 7\n> 5\n\nAnswer: 5")
    assert len(asked) == 1
    assert OPERATORS["program"] in asked[0][0].content


def test_a_program_that_fails_is_shown_its_error_once(tools):
    turn, asked = turn_of("program", SUM, "```python\nprint(1 / 0)\n```", "```python\nprint(5)\n```", tools=tools)
    assert turn.answer == "5"
    assert [m.role for m in asked[1]] == ["system", "user", "assistant", "user"]
    assert "> ZeroDivisionError: division by zero" in asked[1][3].content
    turn, asked = turn_of("program", SUM, "```python\n1 / 0\n```", "```python\npass\n```\nAnswer: 4", tools=tools)
    assert turn.answer == "4"  # its own guess, since the program prints nothing
    assert "> It prints nothing." in turn.reply.text
    assert len(asked) == 2


def test_a_program_that_ends_with_an_expression_prints_its_value(tools):
    for source in ("x = 2\nx + 3", "2 + 3", "def f(x):\n    return x + 3\n\nf(2)", "import math\nmath.sqrt(25)"):
        assert turn_of("program", SUM, f"```python\n{source}\n```", tools=tools)[0].answer == "5"


@pytest.mark.parametrize(
    "source",
    [
        "x = 17\nprint(x / 0)",
        "x = 17 +",
        "x = 17",
        "# Question\nWhat is 17 + 4?\nprint(17 + 4)",
        "print(17)\nraise SystemExit(1)",
        "# Answer: 17\nimport sys\nsys.exit(3)",
    ],
)
@pytest.mark.parametrize("reader", ["number", "exact"])
@pytest.mark.parametrize("dress", ["```python\n{}\n```\nThat is all.", "I compute it.\n```python\n{}"])
def test_no_number_of_a_program_that_failed_is_its_answer(source, reader, dress, tools):
    says = [dress.format(source)] * 2
    turn, asked = turn_of("program", SUM, *says, tools=tools, read=lambda task, text: read(text, reader, ()))
    assert turn.answer is None  # so that two who fail do not agree
    assert "does not work" in turn.reply.text
    assert len(asked) == 2


def test_what_is_said_beside_a_program_that_failed_stands(tools):
    for guess in ("Answer: 5", "**Answer:** 5", "So the answer is 5."):
        says = [f"```python\nprint(17 / 0)  # Answer: 9\n```\n{guess}"] * 2
        assert turn_of("program", SUM, *says, tools=tools)[0].answer == "5"


def test_an_agent_that_writes_no_program_is_taken_at_its_word(tools):
    assert turn_of("program", SUM, "Answer: 5", tools=tools)[0].answer == "5"


def test_a_turn_takes_what_all_its_calls_take(tools):
    turn, _ = turn_of("program", SUM, "```python\n1 / 0\n```", "```python\nprint(5)\n```", tools=tools)
    assert turn.reply.usage == Usage(prompt_tokens=20, completion_tokens=2)
    assert (turn.reply.num_calls, turn.reply.seconds, turn.reply.faults) == (2, 1.0, ("429", "429"))
    assert turn.reply.label is Label.LIVE


def test_a_turn_says_what_of_it_was_asked_live():
    half = AsIf(Script("a", "b", "c"), Label.REPLAYED, Label.LIVE, Label.REPLAYED)
    design = Design(agents=(Agent(role="r", llm="small", operator="self_refine"),))
    done = asyncio.run(run(design, SUM, pool=POOL, llm=half, extract=lambda task, text: text))
    outcome = account(done, grade=lambda task, text: 0.0, pool=POOL)
    assert (outcome.label, outcome.usd, outcome.paid_usd) == (Label.REPLAYED, 33e-6, 11e-6)


def test_a_program_is_repaired_until_it_passes_the_tests_in_the_question(tools):
    turn, asked = turn_of("test", DOUBLE, WRONG, RIGHT, tools=tools, read=lambda task, text: program(text))
    assert turn.answer == "def double(x):\n    return 2 * x"
    said = asked[1][3].content
    assert "> fails: assert double(0) == 0" in said
    assert "> " + "  the left side is 2" in said
    assert "double(2)" not in said
    turn, asked = turn_of("test", DOUBLE, RIGHT, tools=tools)
    assert turn.reply.text == RIGHT


def test_repairs_come_to_an_end_and_the_failed_tests_are_told(tools):
    turn, _ = turn_of("test", DOUBLE, WRONG, WRONG, WRONG, tools=tools, read=lambda task, text: program(text))
    assert turn.answer == "def double(x):\n    return x + 2"
    assert "Tests say of this program:\n> fails: assert double(0) == 0" in turn.reply.text


@pytest.mark.parametrize("isolation", ["", "none"])
@pytest.mark.parametrize(
    ("operator", "written"),
    [
        ("test", "def double(x):\n    return (y for y in range(x))"),
        ("test", "import os\ndef double(x):\n    raise Exception(os.getcwd())"),
        ("test", "import os\nraise Exception(os.getcwd(), object())"),
        ("program", "import os\nraise Exception(os.getcwd(), object())"),
        ("program", "import os\nprint(os.getcwd(), object())"),
    ],
)
def test_what_is_asked_is_the_same_on_every_run_of_a_program(operator, written, isolation, monkeypatch):
    monkeypatch.setenv("GDESIGN_SANDBOX", isolation)
    says = [f"```python\n{written}\n```"] * (1 if "print" in written else MOST_CALLS[operator] - (operator == "test"))
    first, again = (turn_of(operator, DOUBLE, *says, tools=Sandbox(wall_seconds=10.0)) for _ in range(2))
    assert first[1] == again[1]
    assert first[0].reply.text == again[0].reply.text


def test_a_program_that_ends_before_its_tests_does_not_pass_them(tools):
    ends = "```python\ndef double(x):\n    return 0\n\nimport sys\nsys.exit(0)\n```"
    _, asked = turn_of("test", DOUBLE, ends, RIGHT, tools=tools)
    assert "> It ends before it can be tried: SystemExit(0)" in asked[1][3].content
    main = WRONG.replace("\n```", "\n\nif __name__ == '__main__':\n    raise SystemExit\n```")
    _, asked = turn_of("test", DOUBLE, main, RIGHT, tools=tools)
    assert "> fails: assert double(0) == 0" in asked[1][3].content


def test_a_program_that_cannot_be_tried_is_shown_where(tools):
    wrong = "```python\nfrom __future__ import annotations\n\ndef f():\n    return 1 / 0\n\nf()\n```"
    _, asked = turn_of("test", DOUBLE, wrong, RIGHT, tools=tools)
    said = asked[1][3].content
    assert "> " + '  File "program.py", line 4, in f\n>     return 1 / 0' in said
    assert "> ZeroDivisionError: division by zero" in said
    assert "exec" not in said


@pytest.mark.parametrize("operator", ["program", "test"])
def test_nobody_waits_for_the_program_of_a_run_that_is_broken_off(operator):
    async def broken_off():
        llm = Script("```python\nimport time\ntime.sleep(8)\n```")
        design = Design(agents=(Agent(role="r", llm="small", operator=operator),))
        tools = Sandbox(wall_seconds=9.0)
        await asyncio.wait_for(run(design, DOUBLE, pool=POOL, llm=llm, extract=number, tools=tools), 0.5)

    began = monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(broken_off())  # which waits for its threads
    assert monotonic() - began < 5.0


def test_where_the_question_shows_no_tests_the_agent_writes_some(tools):
    task = Task(id="3", question="Double it.", answer="", benchmark="b")
    own = "```python\nassert double(3) == 6\n```"
    turn, asked = turn_of("test", task, WRONG, own, RIGHT, tools=tools, read=lambda task, text: program(text))
    assert turn.answer == "def double(x):\n    return 2 * x"
    assert "> fails: assert double(3) == 6" in asked[2][-1].content


def test_an_answer_is_criticised_and_improved(tools):
    turn, asked = turn_of("self_refine", SUM, "Answer: 6", "It is one too much.", "Answer: 5", tools=None)
    assert turn.answer == "5"
    assert [len(messages) for messages in asked] == [2, 4, 6]
    turn, asked = turn_of("self_refine", SUM, "Answer: 5", "No fault found.", tools=None)
    assert (turn.answer, len(asked)) == ("5", 2)


def test_what_was_only_thought_is_no_part_of_the_talk():
    says = ("<think>Is it 4?</think>Answer: 4", "<think>No fault found? It is 5.</think>Add again.", "Answer: 5")
    turn, asked = turn_of("self_refine", SUM, *says, tools=None)
    assert turn.answer == "5"
    assert [m.content for m in asked[-1] if m.role == "assistant"] == ["Answer: 4", "Add again."]


def test_after_a_failure_an_agent_begins_anew_with_what_it_learned(tools):
    turn, asked = turn_of(
        "reflect", DOUBLE, WRONG, "I added.\nAnswer: 9", RIGHT, tools=tools, read=lambda task, text: program(text)
    )
    assert turn.answer == "def double(x):\n    return 2 * x"
    assert [len(messages) for messages in asked] == [2, 4, 2]
    assert asked[2][1].content.startswith(asked[0][1].content)
    assert asked[2][1].content.endswith("What you learned from an earlier try:\n\n> I added.\n> Answer: 9")
    turn, asked = turn_of("reflect", SUM, "Answer: 6", "No fault found.", tools=tools)
    assert (turn.answer, len(asked)) == ("6", 2)


@pytest.mark.parametrize("operator", SEVERAL_CALLS)
def test_where_a_later_call_fails_what_was_said_before_stands(operator, tools):
    turn, _ = turn_of(operator, DOUBLE, WRONG, LLMError("down", faults=("timeout",)), tools=tools)
    assert (quoted(WRONG) if operator == "program" else WRONG) in turn.reply.text
    assert turn.reply.faults == ("429", "timeout", "failed")
    turn, _ = turn_of(operator, DOUBLE, LLMError("down"), tools=tools)
    assert (turn.reply, turn.error) == (None, "down")


@pytest.mark.parametrize("operator", SEVERAL_CALLS)
def test_no_turn_makes_more_calls_than_is_said(operator, tools):
    says = [WRONG] * MOST_CALLS[operator]
    if operator == "test":
        says[1] = "```python\nassert double(0) == 0\n```"
    task = Task(id="3", question="Double it.", answer="", benchmark="b") if operator == "test" else DOUBLE
    _, asked = turn_of(operator, task, *says, tools=tools)
    assert len(asked) == MOST_CALLS[operator]


def test_a_limit_on_calls_holds_for_each_call_of_a_turn(tools):
    limits = Limits(agent=Allowance(calls=2))
    turn, asked = turn_of("self_refine", SUM, "Answer: 6", "One too much.", tools=tools, limits=limits)
    assert (turn.answer, len(asked)) == ("6", 2)


@pytest.mark.parametrize("operator", ["program", "test", "reflect"])
def test_without_a_sandbox_programs_are_refused(operator):
    with pytest.raises(UnsupportedRequestError, match="hand in tools="):
        turn_of(operator, SUM, tools=None)


@pytest.mark.parametrize("operator", SEVERAL_CALLS)
def test_simulated_agents_refuse_what_they_cannot_do(operator, tools):
    design = Design(agents=(Agent(role="r", llm="small", operator=operator),))
    with pytest.raises(UnsupportedRequestError, match=f"none works by {operator}; offer answer, cot, refine"):
        asyncio.run(run(design, SUM, pool=POOL, llm=SimulatedClient(pool=POOL), extract=lambda *_: None, tools=tools))


def test_tests_are_read_from_a_question():
    text = "Write f.\n  >>> f('a')  # why\n  'b'\n>>> f(1)\n>>> f(2)\n3\n>>> f(4)\n\"\"\"\nassert f(5) == 6, 'so'\n"
    text += "assert it, he said"
    assert shown_tests(text) == ["assert f('a') == 'b'", "assert f(2) == 3", "assert f(5) == 6, 'so'"]


def test_a_sandbox_is_there_where_programs_run():
    code = MBPP()
    assert tools_of(code, POOL) is code.sandbox
    plain = AgentPool(name="p", roles=POOL.roles, llms=POOL.llms)
    assert tools_of(Synthetic(), plain) is None
    assert isinstance(tools_of(Synthetic(), POOL), Sandbox)
