import asyncio
import subprocess
import sys

import pytest
from hypothesis import given, settings
from langgraph.checkpoint.memory import InMemorySaver

from gdesign.errors import BudgetExceededError, LLMError, PoolError, UnsupportedRequestError
from gdesign.execute.plan import Plan
from gdesign.execute.run import run
from gdesign.export.langgraph import state_graph
from gdesign.export.steps import steps
from gdesign.llm.openai import OpenAIClient
from gdesign.serve.simulate import Simulation
from gdesign.types import Agent, AgentPool, Decision, Design, Label, Reply, Role, Task, Usage
from tests import strategies
from tests.export.worlds import BENCHMARK, DESIGNS, POOL, Recording, tasks
from tests.serve.serving import serving

VOTE = Decision(kind="vote")


async def both(design, task, *, pool=POOL, seed=0, llm=None, extract=BENCHMARK.extract):
    """Return what our executor and LangGraph did with a question: a run, a state, and the calls of each."""
    ours, theirs = Recording(llm), Recording(llm)
    done = await run(design, task, pool=pool, llm=ours, extract=extract, seed=seed)
    graph = state_graph(design, pool=pool, llm=theirs, extract=extract).compile()
    state = await graph.ainvoke({"task": task, "seed": seed})
    return done, state, ours.requests, theirs.requests


def assert_agree(done, state, ours, theirs):
    assert theirs == ours
    assert state["answer"] == done.answer
    assert state["decided_by"] == (None if done.decided_by is None else done.turns[done.decided_by].agent)
    said = {(t.agent, t.round): (t.reply, t.answer, t.error) for t in state["turns"]}
    assert said == {(t.agent, t.round): (t.reply, t.answer, t.error) for t in done.turns if not t.silent}


@pytest.mark.parametrize("name", DESIGNS)
def test_it_gives_the_answers_and_makes_the_calls_of_our_executor(name):
    num_calls = set()
    for task in tasks(50):
        done, state, ours, theirs = asyncio.run(both(DESIGNS[name], task))
        assert_agree(done, state, ours, theirs)
        num_calls.add(theirs.total())
    assert (len(num_calls) > 1) == any(a.gate is not None for a in DESIGNS[name].agents), "gates open and shut"


@pytest.mark.parametrize("num", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_it_does_so_over_a_socket_too(num):
    async def all_of_them(url):
        llm = OpenAIClient(base_url=url)
        for design in DESIGNS.values():
            for task in tasks(num):
                assert_agree(*await both(design, task, llm=llm))

    app = Simulation(pool=POOL)
    with serving(app) as url:
        asyncio.run(all_of_them(url))
    assert app.stats()["answered"] == app.stats()["requests"] > 0


def test_another_seed_gives_the_same_other_answers():
    for seed in (1, 7):
        assert_agree(*asyncio.run(both(DESIGNS["debate"], tasks(1)[0], seed=seed)))


class Odd:
    """Gives answers that often agree, by a hash of what it is asked; now and then it fails or cannot be read."""

    async def __call__(self, request):
        number = sum(map(ord, request.llm + request.messages[0].content + request.messages[1].content))
        if number % 7 == 0:
            raise LLMError("no answer today")
        text = f"Answer: {number % 2}" if number % 5 else "hm"
        usage = Usage(prompt_tokens=1, completion_tokens=1)
        return Reply(text=text, usage=usage, label=Label.SIMULATED)


@settings(max_examples=60, deadline=None)
@given(strategies.designs())
def test_any_design_runs_alike_whatever_fails_or_cannot_be_read(design):
    task = Task(id="q", question="Which?", answer="1", benchmark="b")
    assert_agree(*asyncio.run(both(design, task, pool=strategies.POOL, llm=Odd())))


def test_agents_that_wait_for_nobody_run_at_the_same_time():
    together = asyncio.Barrier(4)

    class Meeting:
        async def __call__(self, request):
            async with asyncio.timeout(5):
                await together.wait()
            return Reply(text="Answer: 1", usage=Usage(prompt_tokens=1, completion_tokens=1), label=Label.LIVE)

    graph = state_graph(DESIGNS["vote"], pool=POOL, llm=Meeting(), extract=BENCHMARK.extract).compile()
    assert asyncio.run(graph.ainvoke({"task": tasks(1)[0]}))["answer"] == "1"


def test_a_spent_budget_ends_the_run():
    class Spent:
        async def __call__(self, request):
            raise BudgetExceededError("spent")

    graph = state_graph(DESIGNS["vote"], pool=POOL, llm=Spent(), extract=BENCHMARK.extract).compile()
    with pytest.raises(BudgetExceededError):
        asyncio.run(graph.ainvoke({"task": tasks(1)[0]}))


def names(design, pool):
    return [step.name for step in steps(design, Plan(design, pool=pool))]


def test_a_graph_shows_its_turns_and_gates():
    assert names(DESIGNS["cascade"], POOL) == ["agent_1_assistant", "agent_2_assistant", "agent_3_reviewer"]
    drawn = state_graph(DESIGNS["cascade"], pool=POOL, llm=Odd(), extract=BENCHMARK.extract).compile().get_graph()
    conditional = {(edge.source, edge.target) for edge in drawn.edges if edge.conditional}
    assert conditional == {
        ("agent_3_reviewer_gate", "agent_3_reviewer"),
        ("agent_3_reviewer_gate", "agent_3_reviewer_end"),
    }
    assert "agent_3_reviewer" in drawn.draw_mermaid()


def test_names_that_langgraph_keeps_for_itself_do_no_harm():
    roles = (Role(name="__start__:a|b", profile="x"), Role(name="é", profile="y"))
    pool = AgentPool(name="p", roles=roles, llms=strategies.POOL.llms)
    design = Design(agents=(Agent(role=roles[0].name, llm="m"), Agent(role="é", llm="n")), decision=VOTE)
    assert names(design, pool) == ["agent_1_start_a_b", "agent_2"]


def test_it_can_stop_and_go_on_with_a_checkpointer():
    design = DESIGNS["debate"]
    graph = state_graph(design, pool=POOL, llm=Recording(), extract=BENCHMARK.extract)
    config = {"configurable": {"thread_id": "1"}}
    compiled = graph.compile(checkpointer=InMemorySaver(), interrupt_before=["agent_1_assistant_round_2"])
    (task,) = tasks(1)
    asyncio.run(compiled.ainvoke({"task": task}, config))
    state = asyncio.run(compiled.ainvoke(None, config))
    done = asyncio.run(run(design, task, pool=POOL, llm=Recording(), extract=BENCHMARK.extract))
    assert state["answer"] == done.answer


@pytest.mark.parametrize("name", DESIGNS)
def test_each_question_of_a_thread_begins_anew(name):
    design, ours, theirs = DESIGNS[name], Recording(), Recording()
    graph = state_graph(design, pool=POOL, llm=theirs, extract=BENCHMARK.extract).compile(checkpointer=InMemorySaver())

    async def ask_all():
        for task in tasks(6):
            done = await run(design, task, pool=POOL, llm=ours, extract=BENCHMARK.extract)
            state = await graph.ainvoke({"task": task, "seed": 0}, {"configurable": {"thread_id": "1"}})
            assert_agree(done, state, ours.requests, theirs.requests)

    asyncio.run(ask_all())


def test_agents_work_by_operators_of_several_calls_too():
    pool = AgentPool(name="p", roles=strategies.POOL.roles, llms=strategies.POOL.llms, operators=("self_refine",))
    design = Design(agents=(Agent(role="a", llm="m", operator="self_refine"),))
    task = Task(id="q", question="Which one?", answer="1", benchmark="b")
    done, state, ours, theirs = asyncio.run(both(design, task, pool=pool, llm=Odd()))
    assert theirs.total() > 1
    assert_agree(done, state, ours, theirs)


def test_agents_that_write_programs_need_a_place_to_run_them():
    pool = AgentPool(name="p", roles=strategies.POOL.roles, llms=strategies.POOL.llms, operators=("program",))
    design = Design(agents=(Agent(role="a", llm="m", operator="program"),))
    with pytest.raises(UnsupportedRequestError, match=r"tools=Sandbox\(\)"):
        state_graph(design, pool=pool, llm=Odd(), extract=BENCHMARK.extract)


def test_an_agent_that_the_pool_lacks_is_named():
    with pytest.raises(PoolError, match="no role 'a'"):
        state_graph(Design(agents=(Agent(role="a", llm="m"),)), pool=POOL, llm=Odd(), extract=BENCHMARK.extract)


def test_the_other_exports_load_neither_langgraph_nor_a_machine_learning_stack():
    code = (
        "import sys, gdesign.export.dot, gdesign.export.graphml, gdesign.export.mermaid, gdesign.export.schema; "
        "print(*sorted({'torch', 'lightning', 'hydra', 'langgraph', 'openai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
