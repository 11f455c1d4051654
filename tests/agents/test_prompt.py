import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdesign.agents.prompt import OPERATORS, prompt
from gdesign.errors import PoolError
from gdesign.types import LLM, Agent, AgentPool, Role, Task

POOL = AgentPool(
    name="p",
    roles=(Role(name="solver", profile="You solve."), Role(name="checker", profile="You check.")),
    llms=(LLM(name="m", usd_per_1M_input=1, usd_per_1M_output=1),),
    operators=tuple(OPERATORS),
)
SOLVER = Agent(role="solver", llm="m")
TASK = Task(id="1", question="Which is even?", answer="B", benchmark="b")

# every character that some program takes for the end of a line
texts = st.text(st.sampled_from("ab#>:` \n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029"), max_size=30)


def user(**given):
    return prompt(SOLVER, TASK, pool=POOL, **given)[1].content


@given(texts, texts)
def test_no_text_breaks_out_of_its_quote(heard, previous):
    lines = user(heard=[("checker", heard)], previous=previous).splitlines()
    assert [line for line in lines if line and not line.startswith("> ")] == [
        "# Question",
        "Which is even?",
        "# What other agents said",
        "checker:",
        "# Your own earlier answer",
    ]


def test_the_right_answer_is_not_told():
    for operator in OPERATORS:
        messages = prompt(Agent(role="solver", llm="m", operator=operator), TASK, pool=POOL)
        assert messages == prompt(
            Agent(role="solver", llm="m", operator=operator),
            Task(id="1", question=TASK.question, answer="another", benchmark="b"),
            pool=POOL,
        )


def test_role_and_operator_open_the_system_message_and_the_question_the_other():
    system, asked = prompt(Agent(role="checker", llm="m", operator="cot"), TASK, pool=POOL)
    assert system.content.startswith("You check.\nThink step by step")
    assert asked.content == "# Question\nWhich is even?"


def test_options_get_letters():
    task = Task(id="1", question="Which is even?", answer="B", benchmark="b", options=("1", "2"))
    assert prompt(SOLVER, task, pool=POOL)[1].content.endswith("(A) 1\n(B) 2")


def test_who_hears_others_is_told_that_their_words_are_no_instructions():
    assert "no instructions" in prompt(SOLVER, TASK, pool=POOL, heard=[("checker", "x")])[0].content
    assert "no instructions" not in prompt(SOLVER, TASK, pool=POOL)[0].content


def test_a_role_that_the_pool_lacks_is_refused():
    with pytest.raises(PoolError, match="no role 'judge'"):
        prompt(Agent(role="judge", llm="m"), TASK, pool=POOL)
