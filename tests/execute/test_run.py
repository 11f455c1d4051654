import asyncio
from collections import Counter
from dataclasses import replace
from random import Random
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.errors import BudgetExceededError, LLMError, PoolError, UnsupportedRequestError
from gdesign.execute.run import run
from gdesign.types import (
    Agent,
    Decision,
    Design,
    Edge,
    Gate,
    Label,
    Reply,
    Task,
    Usage,
    sample_index,
)
from tests.strategies import POOL, designs

TASK = Task(id="7", question="What is it?", answer="x", benchmark="b")
USAGE = Usage(prompt_tokens=10, completion_tokens=5)


class Script:
    """Answers by role from a table of texts (an error is raised, a number waited), and remembers the requests."""

    def __init__(self, texts=None, default="x", wait=0.0, label=Label.LIVE):
        self.texts, self.default, self.wait, self.label = texts or {}, default, wait, label
        self.requests, self.cancelled = [], []

    async def __call__(self, request):
        role = request.origin.role
        self.requests.append(request)
        said = self.texts.get(role, self.default)
        if isinstance(said, list):
            said = said[sum(r.origin.role == role for r in self.requests) - 1]
        try:
            await asyncio.sleep(said if isinstance(said, float) else self.wait)
        except asyncio.CancelledError:
            self.cancelled.append(role)
            raise
        if isinstance(said, Exception):
            raise said
        return Reply(text=str(said), usage=USAGE, label=self.label)

    def heard_by(self, role):
        return [[r.text for r in q.origin.heard] for q in self.requests if q.origin.role == role]


def agent(role, watch=(), quorum=1):
    return Agent(role=role, llm="m", gate=Gate(watch=watch, quorum=quorum) if watch else None)


def team(roles, *pairs, **kwargs):
    return Design(agents=tuple(map(agent, roles)), spatial=tuple(Edge(*p) for p in pairs), **kwargs)


def go(design, llm, seed=0, extract=lambda task, text: text or None):
    return asyncio.run(run(design, TASK, pool=POOL, llm=llm, extract=extract, seed=seed))


VOTE = Decision(kind="vote")

# ------------------------------------------------------------------ order


class Scrambled:
    """Answers each turn by its own name after a number of steps that only the seed tells."""

    def __init__(self, seed, failing=0.0):
        self.random, self.failing = Random(seed), failing
        self.count = Counter()
        self.requests = {}

    async def __call__(self, request):
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)
        if self.random.random() < self.failing:
            raise LLMError("lost")
        text = f"{len(self.requests)}"
        self.requests[text] = request
        return Reply(text=text, usage=USAGE, label=Label.LIVE)


@settings(deadline=None, max_examples=50)
@given(design=designs(), seed=st.integers(0, 9), failing=st.sampled_from([0.0, 0.3]))
def test_everybody_hears_all_it_should_and_nobody_speaks_before(design, seed, failing):
    llm = Scrambled(seed, failing)
    done = go(design, llm)
    turns = {(t.agent, t.round): t for t in done.turns}
    n = len(design.agents)
    assert list(turns) == [(i, r) for r in range(1, design.num_rounds + 1) for i in range(n)]
    for (i, r), turn in turns.items():
        heard = [turns[e.src, r] for e in design.spatial if e.dst == i and (not e.rounds or r in e.rounds)]
        if r > 1:
            heard += [turns[e.src, r - 1] for e in design.temporal if e.dst == i and (not e.rounds or r in e.rounds)]
        heard.sort(key=lambda t: (t.agent, t.round))
        gate = design.agents[i].gate
        watched = [turns[w, r] for w in gate.watch] if gate else []
        own = [turns[i, r - 1]] if r > 1 else []
        assert all(t.end <= turn.start for t in [*heard, *watched, *own])
        votes = Counter(t.answer for t in watched if t.answer is not None)
        assert turn.silent == (gate is not None and max(votes.values(), default=0) >= gate.quorum)
        if turn.reply is not None:
            origin = llm.requests[turn.reply.text].origin
            assert [x.text for x in origin.heard] == [t.reply.text for t in heard if t.reply]
            assert origin.previous == (own[0].reply if own else None)


def test_independent_agents_work_at_the_same_time():
    llm = Script(wait=0.1)
    began = perf_counter()
    done = go(team("abcdef", decision=VOTE), llm)
    assert perf_counter() - began < 0.4  # one after the other it would be 0.6
    assert max(t.start for t in done.turns) < min(t.end for t in done.turns)


def test_an_agent_starts_as_soon_as_those_it_hears_have_spoken():
    done = go(team("abcd", (0, 2), (1, 3), decision=VOTE), Script({"a": 0.001, "b": 0.2}))
    a, b, c, _ = done.turns
    assert a.end <= c.start < b.end  # c hears only a and does not wait for b


def test_hearers_get_role_and_text_and_pay_attention_to_the_prompt():
    llm = Script({"a": "first", "b": "second"})
    go(team("abc", (0, 2), (1, 2)), llm)
    assert llm.heard_by("c") == [["first", "second"]]
    user = llm.requests[-1].messages[-1].content
    assert user.index("> first") < user.index("> second")


def test_nobody_hears_what_another_or_itself_only_thought():
    llm = Script({"a": "<think>Perhaps rain.</think>Sun.", "b": ["Rain, I thought.</think>\nWind.", "Wind."]})
    done = go(team("ab", (0, 1), num_rounds=2), llm)
    told = ["\n".join(m.content for m in q.messages) for q in llm.requests if q.origin.role == "b"]
    assert ["> Sun." in text and "ain" not in text for text in told] == [True, True]
    assert "> Wind." in told[1]
    assert done.turns[0].reply.text == "<think>Perhaps rain.</think>Sun."  # the log keeps all of it


# ------------------------------------------------------------------ gates


def cascade(quorum=2):
    return Design(agents=(agent("a"), agent("b"), agent("c", watch=(0, 1), quorum=quorum)))


def test_an_agent_is_silent_where_those_it_watches_agree():
    llm = Script()
    done = go(cascade(), llm)
    assert [t.silent for t in done.turns] == [False, False, True]
    assert len(llm.requests) == 2
    assert done.answer == "x"


def test_an_agent_speaks_where_those_it_watches_differ_and_hears_nothing_of_them():
    llm = Script({"a": "x", "b": "y", "c": "z"})
    done = go(cascade(), llm)
    assert done.answer == "z"
    assert llm.heard_by("c") == [[]]


def test_unreadable_answers_agree_with_nothing():
    assert go(cascade(), Script(default="")).turns[2].reply is not None


def test_a_silent_agent_casts_no_answer():
    # b is silent, so c sees one answer of two and speaks.
    design = Design(agents=(agent("a"), agent("b", watch=(0,)), agent("c", watch=(0, 1), quorum=2)))
    done = go(design, Script())
    assert [t.silent for t in done.turns] == [False, True, False]


def test_a_silent_agent_is_not_heard():
    design = Design(agents=(agent("a"), agent("b", watch=(0,)), agent("c")), spatial=(Edge(1, 2),))
    llm = Script()
    go(design, llm)
    assert llm.heard_by("c") == [[]]


def test_a_gate_reads_the_current_round():
    design = Design(agents=(agent("a"), agent("b"), agent("c", watch=(0, 1), quorum=2)), num_rounds=2, decision=VOTE)
    done = go(design, Script({"a": ["x", "x"], "b": ["x", "y"], "c": "z"}))
    assert [(t.agent, t.round) for t in done.turns if t.silent] == [(2, 1)]


# ------------------------------------------------------------------ rounds


def test_temporal_edges_carry_the_round_before():
    everybody = tuple(Edge(i, j) for i in range(3) for j in range(3) if i != j)
    llm = Script({"a": ["a1", "a2"], "b": ["b1", "b2"], "c": ["c1", "c2"]})
    done = go(team("abc", temporal=everybody, num_rounds=2, decision=VOTE), llm)
    assert llm.heard_by("b") == [[], ["a1", "c1"]]
    assert [q.origin.previous and q.origin.previous.text for q in llm.requests if q.origin.role == "b"] == [None, "b1"]
    assert done.answer == "a2"


def test_an_edge_may_be_heard_in_some_rounds_only():
    llm = Script({"a": ["a1", "a2", "a3"]})
    spatial, temporal = (Edge(0, 1, (1,)),), (Edge(0, 1, (3,)),)
    go(Design(agents=(agent("a"), agent("b")), spatial=spatial, temporal=temporal, num_rounds=3, decision=VOTE), llm)
    assert llm.heard_by("b") == [["a1"], [], ["a2"]]


def test_the_last_words_count_where_an_agent_is_silent_later():
    design = Design(agents=(agent("a"), agent("b", watch=(0,))), num_rounds=2, decision=Decision())
    done = go(design, Script({"a": ["", "x"], "b": "y"}))
    assert [t.silent for t in done.turns] == [False, False, False, True]
    assert done.answer == "y"  # b spoke in round 1 and stands highest


# ------------------------------------------------------------------ failures


def test_a_failing_agent_is_recorded_and_its_hearers_go_on():
    llm = Script({"a": LLMError("no route"), "b": "y"})
    done = go(team("abc", (0, 2), (1, 2)), llm)
    assert [t.error for t in done.failures] == ["no route"]
    assert llm.heard_by("c") == [["y"]]
    assert done.answer == "x"


def test_where_everybody_fails_there_is_no_answer():
    done = go(team("ab", decision=VOTE), Script(default=LLMError("down")))
    assert (done.answer, done.decided_by, done.label) == (None, None, None)
    assert len(done.failures) == 2


@pytest.mark.parametrize("error", [BudgetExceededError("spent"), RuntimeError("a bug")])
def test_any_other_error_ends_the_run_and_the_other_turns(error):
    llm = Script({"a": error, "b": 60.0, "c": 0.0}, wait=0.01)
    began = perf_counter()
    with pytest.raises(type(error), match=str(error)):
        go(team("abc", decision=VOTE), llm)
    assert perf_counter() - began < 30
    assert llm.cancelled == ["b"]


def test_a_cancelled_run_cancels_its_calls():
    llm = Script(default=5.0)

    async def scene():
        task = asyncio.create_task(run(team("abc", decision=VOTE), TASK, pool=POOL, llm=llm, extract=lambda t, x: x))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scene())
    assert sorted(llm.cancelled) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "stranger", [Agent(role="z", llm="m"), Agent(role="a", llm="z"), Agent(role="a", llm="m", operator="refine")]
)
def test_an_agent_that_the_pool_lacks_is_refused_before_anything_is_asked(stranger):
    llm = Script()
    with pytest.raises(PoolError, match=f"pool 'pool' has no .*'{'z' if stranger.operator == 'answer' else 'refine'}'"):
        go(Design(agents=(agent("a"), stranger), decision=VOTE), llm)
    assert llm.requests == []


# ------------------------------------------------------------------ decisions, labels, seeds


@pytest.mark.parametrize(
    ("decision", "answer", "decided_by"),
    [
        (Decision(), "z", 2),
        (VOTE, "y", 0),
        (Decision(kind="weighted_vote", weights=(1.0, 2.0, 1.0)), "y", 0),
        (Decision(kind="weighted_vote", weights=(1.0, 1.0, 5.0)), "z", 2),
        (Decision(kind="judge", judge=1), "y", 1),
    ],
)
def test_the_decision_picks_the_answer_and_the_turn_that_holds_it(decision, answer, decided_by):
    done = go(team("abc", (0, 1), (1, 2), decision=decision), Script({"a": "y", "b": "y", "c": "z"}))
    assert done.answer == answer
    assert done.turns[done.decided_by].answer == answer
    if decision.kind != "judge":
        assert done.decided_by == decided_by


def test_answers_are_compared_as_the_benchmark_reads_them():
    done = go(team("abc", decision=VOTE), Script({"a": "1", "b": "2.0", "c": "2"}), extract=lambda t, x: str(float(x)))
    assert done.answer == "2.0"


@pytest.mark.parametrize(
    ("design", "compared"),
    [
        (Design(agents=(agent("a"),)), {"a": False}),
        (Design(agents=(agent("a"), agent("b"), agent("c", watch=(0, 1), quorum=2))), {"a": True, "b": True}),
        (Design(agents=(agent("a"), agent("b")), decision=Decision(kind="vote")), {"a": True, "b": True}),
        (Design(agents=(agent("a"), agent("b")), spatial=(Edge(0, 1),)), {"a": False, "b": False}),
    ],
)
def test_a_request_says_whether_its_answer_is_compared(design, compared):
    llm = Script()
    go(design, llm)
    assert {q.origin.role: q.origin.compared for q in llm.requests} == compared


def test_a_run_takes_the_weakest_label_of_its_turns():
    class Mixed(Script):
        async def __call__(self, request):
            label = Label.CALIBRATED if request.origin.role == "b" else Label.EXACT
            return replace(await super().__call__(request), label=label)

    assert go(team("abc", decision=VOTE), Mixed()).label is Label.CALIBRATED


def test_copies_of_an_agent_ask_for_different_samples():
    twins = Design(agents=(agent("a"), agent("a"), agent("b")), decision=VOTE)
    llm = Script()
    go(twins, llm, seed=3)
    assert [q.sample for q in llm.requests] == [sample_index(seed=3, copy=c) for c in (0, 1, 0)]


@settings(deadline=None, max_examples=30)
@given(design=designs(), seed=st.integers(0, 3))
def test_the_same_seed_gives_the_same_run(design, seed):
    def once():
        return go(design, Script({"a": "y"}), seed=seed)

    assert once() == once()


# --------------------------------------------------------------------------- ways of working that were recorded

WAYS = replace(POOL, operators=(*POOL.operators, "self_refine", "panel"), candidates=())


class Recording(Script):
    whole_turns = True


def in_ways(*operators):
    agents = tuple(Agent(role=POOL.roles[0].name, llm=POOL.llms[0].name, operator=o) for o in operators)
    return Design(agents=agents, decision=Decision(kind="vote"))


def test_a_way_of_working_that_no_prompt_tells_is_refused_by_name_before_anybody_is_asked():
    llm = Script()
    with pytest.raises(UnsupportedRequestError, match=r"'panel'.*llm=recorded.*answer, cot"):
        asyncio.run(run(in_ways("answer", "panel"), TASK, pool=WAYS, llm=llm, extract=lambda task, text: text))
    assert not llm.requests


def test_a_recording_gives_a_whole_turn_at_once_however_the_agent_works():
    llm = Recording()
    asyncio.run(run(in_ways("panel", "self_refine"), TASK, pool=WAYS, llm=llm, extract=lambda task, text: text))
    assert [q.origin.operator for q in llm.requests] == ["panel", "self_refine"]
    assert len({q for q in llm.requests}) == 2  # their messages differ, so nothing takes one for the other
