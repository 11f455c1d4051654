import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from threading import Barrier
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver

from gdesign.agents.pool import attacked
from gdesign.agents.prompt import PROMPTS, prompt, read_prompts
from gdesign.errors import ConfigError, PoolError
from gdesign.execute.run import run
from gdesign.export.langgraph import state_graph
from gdesign.export.python import to_python
from gdesign.llm.seeds import sample_of, seed_of
from gdesign.llm.simulated.client import SimulatedClient
from gdesign.serve.simulate import Simulation
from gdesign.types import LLM, Agent, AgentPool, Decision, Design, Message, Request, Role, Task
from tests import strategies
from tests.export.worlds import ASSISTANT, BENCHMARK, DESIGNS, POOL, REVIEWER, Recording, tasks
from tests.llm.chat_server import SERVER_ERROR, chat_server
from tests.serve.serving import serving

VOTE = Decision(kind="vote")


def loaded(text):
    module = ModuleType("team")
    exec(compile(text, "team.py", "exec"), module.__dict__)
    return module


def request_of(body):
    messages = tuple(Message(m["role"], m["content"]) for m in body["messages"])
    sample = sample_of(body["seed"])
    return Request(llm=body["model"], messages=messages, temperature=body["temperature"], sample=sample)


def simulated(body):
    return asyncio.run(SimulatedClient(pool=POOL)(request_of(body))).text


def assert_agree(name, questions, monkeypatch):
    """Ask the questions one after the other on one thread, and compare each with our executor."""
    team = loaded(to_python(DESIGNS[name], pool=POOL))
    graph = team.build().compile(checkpointer=InMemorySaver())
    bodies = []

    def answer(body):
        bodies.append(body)
        return simulated(body)

    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with chat_server(answer) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        for task in questions:
            bodies.clear()
            ours = Recording()
            done = asyncio.run(run(DESIGNS[name], task, pool=POOL, llm=ours, extract=BENCHMARK.extract))
            state = graph.invoke({"question": task.question}, {"configurable": {"thread_id": "1"}})
            assert Counter(map(request_of, bodies)) == ours.requests
            assert state["answer"] == done.answer
            assert len(state["turns"]) == sum(not turn.silent for turn in done.turns)
        team.client(None, None).close()


@pytest.mark.parametrize("name", DESIGNS)
def test_the_file_makes_our_executors_calls_and_gives_its_answers(name, monkeypatch):
    assert_agree(name, tasks(4), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_it_does_so_for_fifty_questions(name, monkeypatch):
    assert_agree(name, tasks(50), monkeypatch)


def test_it_runs_by_itself_against_the_simulated_server(tmp_path):
    path = tmp_path / "team.py"
    path.write_text(to_python(DESIGNS["star"], pool=POOL), encoding="utf-8")
    task = tasks(3)[2]
    done = asyncio.run(run(DESIGNS["star"], task, pool=POOL, llm=Recording(), extract=BENCHMARK.extract))
    app = Simulation(pool=POOL)
    with serving(app) as url:
        told = subprocess.run(
            [sys.executable, "-W", "error", path, task.question],
            env={"PATH": os.environ["PATH"], "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    assert told.stdout == f"{done.answer}\n"
    assert app.stats()["answered"] == sum(turn.reply is not None for turn in done.turns)
    assert "[agent 1, round 2]" in told.stderr


def started(tmp_path, url, *arguments, stdin=""):
    path = tmp_path / "team.py"
    path.write_text(to_python(DESIGNS["star"], pool=POOL), encoding="utf-8")
    env = {"PATH": os.environ["PATH"], "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}
    command = [sys.executable, path, *arguments]
    return subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, check=False)


def test_its_status_tells_whether_there_is_an_answer_and_it_asks_for_the_question(tmp_path):
    question = tasks(1)[0].question
    with serving(Simulation(pool=POOL)) as url:
        given, asked = started(tmp_path, url, question), started(tmp_path, url, stdin=f"{question}\n")
        none = started(tmp_path, url)
        refused = started(tmp_path, url, "Who is there?")
    assert (given.returncode, asked.returncode) == (0, 0)
    assert given.stdout == asked.stdout != ""
    assert (none.returncode, none.stdout) == (2, "")
    assert "usage: python team.py" in none.stderr
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "no agent got an answer from its endpoint" in refused.stderr


@pytest.mark.parametrize("place", ["system", "user"])
def test_a_team_for_programs_asks_for_programs_and_reads_them(place):
    pool = replace(POOL, prompts={**PROMPTS, "place": place})
    team = loaded(to_python(DESIGNS["complete"], pool=pool, wants_programs=True))
    for question in ("Write add(a, b).", "Complete it:\n```python\ndef add(a, b):\n```"):
        task = Task(id="q", question=question, answer="", benchmark="b", wants_program=True)
        chat = prompt(DESIGNS["complete"].agents[1], task, pool=pool, heard=[("assistant", "5")])
        told = team.messages(1, {"question": question}, [{"agent": 0, "text": "5"}], None)
        assert told == [{"role": m.role, "content": m.content} for m in chat]
        assert "Answer:" not in told[0]["content"] + told[1]["content"]
    assert team.read_answer("So:\n```python\nx = 1\n```\nBetter:\n```python\nx = 2\n```\n") == "x = 2"
    assert team.read_answer("Answer: 3") is None


def test_the_context_of_an_llm_cuts_what_its_agents_hear_as_ours_does():
    pool = replace(POOL, llms=tuple(replace(m, context=800) for m in POOL.llms))
    team = loaded(to_python(DESIGNS["complete"], pool=pool))
    heard = [("assistant", "word\n" * 900), ("assistant", "short"), ("assistant", "é" * 3000)]
    task = tasks(1)[0]
    chat = prompt(DESIGNS["complete"].agents[1], task, pool=pool, heard=heard, previous="mine " * 700)
    turns = [{"agent": 0, "text": text} for _, text in heard]
    told = team.messages(1, {"question": task.question}, turns, "mine " * 700)
    assert told == [{"role": m.role, "content": m.content} for m in chat]
    assert len(told[1]["content"]) < 3000


def test_it_names_gdesign_in_words_alone():
    team = to_python(DESIGNS["cascade"], pool=POOL)
    assert "import gdesign" not in team
    assert "from gdesign" not in team
    assert "@@" not in team


@settings(max_examples=15, deadline=None)
@given(strategies.designs())
def test_any_design_gets_the_graph_that_runs_here(design):
    def shape(graph):
        drawn = graph.get_graph()
        return set(drawn.nodes), {(edge.source, edge.target, edge.conditional) for edge in drawn.edges}

    here = state_graph(design, pool=strategies.POOL, llm=Recording(), extract=BENCHMARK.extract).compile()
    assert shape(loaded(to_python(design, pool=strategies.POOL)).graph) == shape(here)


@settings(max_examples=25, deadline=None)
@given(st.text(min_size=1), st.text(), st.text())
def test_whatever_a_profile_and_others_say_the_chat_is_ours(profile, heard, question):
    roles = (Role(name="a", profile=f"@@GRAPH@@ {profile}"), Role(name='b"\n', profile="You."))
    pool = AgentPool(name="p", roles=roles, llms=(LLM(name="m'\"", usd_per_1M_input=1, usd_per_1M_output=1),))
    design = Design(
        agents=tuple(Agent(role=role.name, llm="m'\"") for role in roles), decision=DESIGNS["debate"].decision
    )
    team = loaded(to_python(design, pool=pool))
    task = Task(id="q", question=question, answer="", benchmark="b", options=("x", "y"))
    state = {"question": question, "options": ["x", "y"]}
    turn = {"agent": 1, "text": heard}
    chat = prompt(design.agents[0], task, pool=pool, heard=[('b"\n', heard)], previous=heard)
    assert team.messages(0, state, [turn], heard) == [{"role": m.role, "content": m.content} for m in chat]
    assert team.AGENTS[0]["model"] == "m'\""


def test_nobody_hears_what_was_only_thought():
    team = loaded(to_python(DESIGNS["complete"], pool=POOL))
    said = "<think>Rain.</think>Sun."
    told = team.messages(1, {"question": "?"}, [{"agent": 0, "text": said}], said)
    assert told[1]["content"].count("> Sun.") == 2
    assert "Rain" not in told[1]["content"]


def test_a_long_message_is_cut_as_ours_is():
    team = loaded(to_python(DESIGNS["complete"], pool=POOL))
    words = "word\n" * 10_000
    task = tasks(1)[0]
    chat = prompt(DESIGNS["complete"].agents[1], task, pool=POOL, heard=[("assistant", words)])
    told = team.messages(1, {"question": task.question}, [{"agent": 0, "text": words}], None)
    assert told[1]["content"] == chat[1].content


def test_the_words_of_a_users_own_prompts_are_exported_too(tmp_path):
    words = tmp_path / "words.yaml"
    own = "place: user\ntitles: {question: 'Asked:', heard: 'Said:'}\nforms: {words: 'End with `Answer: X`.'}"
    words.write_text(own)
    pool = replace(POOL, prompts=read_prompts(words))
    team = loaded(to_python(DESIGNS["complete"], pool=pool))
    task = tasks(1)[0]
    chat = prompt(DESIGNS["complete"].agents[1], task, pool=pool, heard=[("assistant", "5")], previous="6")
    told = team.messages(1, {"question": task.question}, [{"agent": 0, "text": "5"}], "6")
    assert told == [{"role": m.role, "content": m.content} for m in chat]
    assert told[1]["content"].endswith("> 6\n\nEnd with `Answer: X`.")


def test_copies_of_an_agent_are_asked_for_different_answers():
    team = loaded(to_python(DESIGNS["cascade"], pool=POOL))
    assert [agent["seed"] for agent in team.AGENTS] == [0, seed_of(1 << 31), 0]


def test_an_llm_keeps_its_endpoint_and_no_key_goes_to_it_that_is_not_its_own(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("MY_KEY", "mine")
    places = ({"base_url": "http://one/v1"}, {"base_url": "http://two/v1", "api_key_env": "MY_KEY"})
    llms = tuple(
        LLM(name=name, usd_per_1M_input=1, usd_per_1M_output=1, **place)
        for name, place in zip("mn", places, strict=True)
    )
    pool = AgentPool(name="p", roles=(Role(name="a", profile="x"),), llms=llms)
    team = loaded(to_python(Design(agents=(Agent(role="a", llm="m"), Agent(role="a", llm="n"))), pool=pool))
    (agent,) = team.AGENTS
    assert agent["endpoint"] == ("http://two/v1", "MY_KEY")
    assert team.client("http://one/v1", None).api_key == "none"
    assert team.client("http://two/v1", "MY_KEY").api_key == "mine"
    monkeypatch.delenv("MY_KEY")
    team.client.cache_clear()
    (turn,) = team.graph.invoke({"question": "?"})["turns"]
    assert turn["error"] == "the environment variable MY_KEY holds no key"


def test_a_call_that_fails_is_told_and_the_others_go_on(monkeypatch):
    team = loaded(to_python(DESIGNS["complete"], pool=POOL))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with chat_server(lambda body: SERVER_ERROR if body["model"] == "small" else simulated(body)) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        state = team.graph.invoke({"question": tasks(1)[0].question})
        team.client(None, None).close()
    failed, *others = sorted(state["turns"], key=lambda turn: turn["error"] is None)
    assert "out of order" in failed["error"]
    assert all(turn["text"] for turn in others)
    assert state["answer"] is not None


def test_agents_that_wait_for_nobody_are_asked_at_the_same_time(monkeypatch):
    agents = tuple(Agent(role="assistant", llm="small") for _ in range(12))
    team = loaded(to_python(Design(agents=agents, decision=VOTE), pool=POOL))
    together = Barrier(12)

    def answer(body):
        together.wait(timeout=10)
        return "Answer: 1"

    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with chat_server(answer) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert team.graph.invoke({"question": "?"})["answer"] == "1"
        team.client(None, None).close()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So it is.\nAnswer: 42", "42"),
        ("Answer: 1\nNo.\n**Answer:** `Lima`.", "lima"),
        ("Answer: $1,250.50", "1250.5"),
        ("Answer: 7.0", "7"),
        ("Answer:\n\n  (B)", "(b)"),
        ("> Answer: 3\nI do not know.", None),
        ("<think>Answer: 3</think>Answer: 4", "4"),
        ("<think>\nAnswer: 3", None),
        ("no idea", None),
        ("Answer is below.\n- **Answer: 5**", "5"),
    ],
)
def test_answers_are_read(text, answer):
    assert loaded(to_python(DESIGNS["vote"], pool=POOL)).read_answer(text) == answer


@pytest.mark.parametrize("line", ["- ", "", "answer" + " " * 50])
def test_reading_a_reply_that_repeats_itself_takes_no_time(line):
    read_answer = loaded(to_python(DESIGNS["vote"], pool=POOL)).read_answer
    text = f"{line}\n" * 20_000
    started = time.process_time()
    assert read_answer(text) is None
    assert time.process_time() - started < 1


def test_agents_that_work_in_several_calls_are_refused():
    pool = AgentPool(name="p", roles=POOL.roles, llms=POOL.llms, operators=("program",))
    design = Design(agents=(Agent(role="reviewer", llm="large", operator="program"),))
    with pytest.raises(ConfigError, match=r"agent 1 works by program.*state_graph"):
        to_python(design, pool=pool)


def test_agents_that_were_turned_are_refused():
    with pytest.raises(ConfigError, match="agent 2 was turned against its team; export the role 'reviewer' as it was"):
        to_python(Design(agents=(ASSISTANT, REVIEWER), decision=VOTE), pool=attacked(POOL, {"reviewer": "liar"}))


def test_an_agent_that_the_pool_lacks_is_named():
    with pytest.raises(PoolError, match="no role 'a'"):
        to_python(Design(agents=(Agent(role="a", llm="m"),)), pool=POOL)
