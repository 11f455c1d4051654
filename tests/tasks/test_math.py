import asyncio
import re
from dataclasses import replace

import pytest

from gdesign.agents.pool import load
from gdesign.errors import DataError
from gdesign.execute.run import run
from gdesign.tasks.math import MATH500, MATHL5
from gdesign.types import Agent, Decision, Design, Gate, Label, Reply, Task, Usage

TASK = Task(id="math500/x", question="Solve it.", answer="(2,5)", benchmark="math500", domain="mathematics")
BENCHMARK = MATH500()


class Saying:
    """An LLM client that gives these replies, one after the other."""

    def __init__(self, *texts):
        self.left = list(texts)

    async def __call__(self, request):
        usage = Usage(prompt_tokens=1, completion_tokens=1)
        return Reply(text=self.left.pop(0), usage=usage, label=Label.LIVE, finish_reason="stop")


def team(n, **last):
    agents = [
        Agent(role="solver", llm=("small", "large")[i % 2] + "-model", operator=("answer", "cot")[i // 2])
        for i in range(n)
    ]
    return (*agents[:-1], replace(agents[-1], **last))


def played(design, *texts):
    pool = load("examples/team.yaml")
    return asyncio.run(run(design, TASK, pool=pool, llm=Saying(*texts), extract=BENCHMARK.extract))


def test_a_vote_counts_equal_formulas_as_one_answer():
    design = Design(agents=team(4), decision=Decision(kind="vote"))
    done = played(design, "Answer: 9", "Answer: $(2,5)$", "Answer: 9 or 9.5", r"So \boxed{\left(2,\ 5\right)}")
    assert BENCHMARK.grade(TASK, done.answer) == 1


def test_a_gate_stays_shut_where_two_formulas_are_equal():
    design = Design(agents=team(3, gate=Gate(watch=(0, 1), quorum=2)))
    assert len([t for t in played(design, "Answer: 3√2", r"Answer: $\sqrt{18}$").turns if t.reply is not None]) == 2


def test_a_list_is_an_ordered_pair_where_the_question_asks_for_one():
    asked = replace(TASK, question="Enter the ordered pair $(m,b).$", answer="(8,3)")
    assert BENCHMARK.grade(asked, BENCHMARK.extract(asked, "Answer: 8, 3")) == 1
    assert BENCHMARK.grade(asked, BENCHMARK.extract(asked, "Answer: 3, 8")) == 0


def mutated(reference):
    """Yield references with a digit changed or a sign turned; not the digits behind a unit."""
    for at in re.finditer(r"[0-9]", re.sub(r"mbox.*", "", reference)):
        yield f"{reference[: at.start()]}{(int(at[0]) + 1) % 10}{reference[at.end() :]}"
    for at in re.finditer(r"[+-]", reference):
        yield f"{reference[: at.start()]}{'-' if at[0] == '+' else '+'}{reference[at.end() :]}"


@pytest.mark.parametrize("benchmark", [MATH500(), MATHL5()], ids=lambda b: b.name)
def test_a_reference_reads_as_itself_and_no_mutation_of_it_does(benchmark):
    try:
        tasks = {t.answer: t for t in benchmark.load("all")}
    except DataError:
        pytest.skip("the questions are not there")
    for reference, task in tasks.items():
        answer = benchmark.extract(task, f"Answer: ${reference}$")
        assert benchmark.grade(task, answer) == 1
        assert benchmark.extract(task, f"Answer: {answer}") == answer
        for mutation in mutated(reference):
            assert benchmark.grade(task, benchmark.extract(task, f"Answer: ${mutation}$")) == 0, (reference, mutation)
