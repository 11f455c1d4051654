import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.agents import teams
from gdesign.errors import ConfigError, DesignError, LLMError
from gdesign.execute.adaptive import play
from gdesign.execute.arena import LocalArena
from gdesign.execute.limits import Limits
from gdesign.execute.reward import account
from gdesign.execute.run import run
from gdesign.llm.cost import Allowance
from gdesign.types import Agent, Decision, Design, Gate, Job, Label, Policy, Reply, Stop, Task, Usage, Wave
from tests import worlds
from tests.learn.parts import Tiny, right_first
from tests.strategies import CASCADE, POOL, designs

TASK = Task(id="7", question="What is it?", answer="x", benchmark="b")
A, B, C = (Agent(role=role, llm="m") for role in "abc")


class Says:
    """Answers by role and by what is heard; some calls fail."""

    def __init__(self, texts=None, failing=0.0, score=None):
        self.texts, self.failing, self.score = texts or {}, failing, score
        self.requests = []

    async def __call__(self, request):
        self.requests.append(request)
        origin = request.origin
        luck = Random(repr((origin.role, request.llm, origin.operator, request.sample, [r.text for r in origin.heard])))
        for _ in range(luck.randrange(3)):
            await asyncio.sleep(0)
        if luck.random() < self.failing:
            raise LLMError("lost")
        text = self.texts.get(origin.role) or luck.choice(["x", "y", "z", ""])
        usage = Usage(prompt_tokens=10 + len(origin.heard), completion_tokens=luck.randrange(1, 30))
        return Reply(text=text, usage=usage, label=Label.SIMULATED, score=self.score, seconds=1.0)


def answer(_, text):
    return text or None


def go(what, llm, limits=None, **told):
    return asyncio.run(play(what, TASK, pool=POOL, llm=llm, extract=answer, limits=limits, **told))


def again(design, llm, limits=None):
    return asyncio.run(run(design, TASK, pool=POOL, llm=llm, extract=answer, limits=limits))


def outcome(done):
    return account(done, grade=lambda task, text: float(text == task.answer), pool=POOL)


@dataclass(frozen=True)
class Script:
    """Makes these moves, whatever is said, and remembers what it was told."""

    moves: tuple
    told: tuple = ()

    def next(self, task, asked, turns):
        return self.moves[sum(len(m.agents) <= len(asked) for m in self._until(len(asked)))]

    def _until(self, num):
        waves, total = [], 0
        for move in self.moves:
            if isinstance(move, Wave) and total + len(move.agents) <= num:
                total += len(move.agents)
                waves.append(move)
        return waves


@dataclass(frozen=True)
class Whims:
    """Asks whom it likes, hearing whom it likes, and ends as it likes: by its seed and by what was said."""

    seed: int

    def next(self, task, asked, turns):
        luck = Random(repr((self.seed, [t.answer for t in turns], [t.error for t in turns])))
        n = len(asked)
        if n and luck.random() < 0.25 * n:
            kind = luck.choice(["last", "vote", "weighted_vote", "judge"])
            weights = (1.0, *(luck.choice([0.0, 1.0, 2.0]) for _ in asked[1:]))
            return Stop(
                decision=Decision(
                    kind=kind,
                    weights=weights if kind == "weighted_vote" else (),
                    judge=luck.randrange(n) if kind == "judge" else None,
                )
            )
        size = luck.randint(1, 3)
        agents = tuple(Agent(role=luck.choice("ab"), llm=luck.choice("mn")) for _ in range(size))
        hears = tuple(tuple(j for j in range(n) if luck.random() < 0.4) for _ in range(size))
        return Wave(agents=agents, hears=hears, reason="a whim")


LIMITS = st.sampled_from(
    [
        None,
        Limits(question=Allowance(calls=4)),
        Limits(question=Allowance(usd=0.002), longest_reply=40),
        Limits(max_waves=2, max_agents=4),
    ]
)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), failing=st.sampled_from([0.0, 0.3]), limits=LIMITS)
def test_what_a_policy_came_to_run_again_says_and_costs_the_same(seed, failing, limits):
    first, second = Says(failing=failing), Says(failing=failing)
    done = go(Whims(seed), first, limits)
    repeated = again(done.design, second, limits)
    assert repeated == done
    assert outcome(repeated) == outcome(done)
    key = [(q, q.origin.heard) for q in first.requests]
    assert Counter(map(repr, key)) == Counter(map(repr, [(q, q.origin.heard) for q in second.requests]))
    assert outcome(repeated).seconds == outcome(done).seconds == len([w for w in done.design.waves() if spoke(done, w)])
    if len(done.design.agents) > 1:
        assert all(q.origin.compared for q in (*first.requests, *second.requests))


def spoke(done, wave):
    return any(done.turns[i].reply for i in wave)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6))
def test_everybody_who_was_asked_stays_in_the_design_in_the_order_of_asking(seed):
    waves = []
    done = go(Whims(seed), Says(failing=0.2), on_move=waves.append)
    assert isinstance(waves.pop(), Stop)
    assert [worlds.ungated(a) for a in done.design.agents] == [a for w in waves for a in w.agents]
    numbers = iter(range(len(done.turns)))
    assert done.design.waves() == [[next(numbers) for _ in w.agents] for w in waves]
    heard = [h for w in waves for h in w.hears or ((),) * len(w.agents)]
    assert [tuple(h.spatial) for h in done.design.heard(1)] == heard


@settings(deadline=None, max_examples=30)
@given(design=designs(), failing=st.sampled_from([0.0, 0.3]))
def test_a_whole_design_may_be_a_policys_one_move_and_gives_its_run(design, failing):
    moves = []
    done = go(Script((design,)), Says(failing=failing), on_move=moves.append)
    assert done == again(design, Says(failing=failing))
    assert moves == [design]
    assert go(design, Says(failing=failing)) == done


def test_a_fixed_vote_is_a_policy_of_one_wave():
    vote = teams.vote([A, B, A])
    first, second = Says(), Says()
    assert go(Script((Wave(agents=vote.agents), Stop())), first) == again(vote, second)
    assert first.requests == second.requests


def test_a_policy_is_told_texts_and_answers_but_neither_scores_nor_the_right_answer():
    told = []

    @dataclass(frozen=True)
    class Nosy:
        def next(self, task, asked, turns):
            told.append((task, asked, turns))
            return Stop() if turns else Wave(agents=(A, B))

    done = go(Nosy(), Says({"a": "x", "b": "y"}, score=1.0))
    (task, asked, turns) = told[-1]
    assert task == replace(TASK, answer="")
    assert asked == (A, B)
    assert [(t.agent, t.answer, t.reply.text, t.reply.score) for t in turns] == [
        (0, "x", "x", None),
        (1, "y", "y", None),
    ]
    assert done.turns[0].reply.score == 1.0


def test_who_was_asked_later_waits_for_all_that_were_asked_before_in_the_critical_path_too():
    done = go(Script((Wave(agents=(A, B)), Wave(agents=(C,), hears=((1,),)), Wave(agents=(A,)), Stop())), Says())
    gates = [a.gate for a in done.design.agents]
    assert gates == [None, None, Gate(watch=(0,), quorum=2), Gate(watch=(2,), quorum=2)]
    assert done.design.waves() == [[0, 1], [2], [3]]
    assert (outcome(done).critical_path, outcome(done).seconds) == (3, 3.0)


def test_waves_of_designs_that_are_fixed():
    assert CASCADE.waves() == [[0, 1], [2]]
    assert teams.chain([A, B, C]).waves() == [[0], [1], [2]]
    assert teams.vote([A, B]).waves() == [[0, 1]]


def test_a_gate_that_only_waits_never_silences():
    agents = (A, B, replace(C, gate=Gate(watch=(0, 1), quorum=3)))
    done = go(Design(agents=agents), Says({"a": "x", "b": "x", "c": "y"}))
    assert done.answer == "y"
    assert Design(agents=agents).agents == done.design.agents
    with pytest.raises(DesignError, match=r"quorum 4.*3 to wait only"):
        Design(agents=(A, B, replace(C, gate=Gate(watch=(0, 1), quorum=4))))


@pytest.mark.parametrize(
    ("decision", "answer", "weights"),
    [
        (Decision(kind="judge", judge=1), "y", (1.0, 3.0, 1.0)),
        (Decision(), "x", (3.0, 1.0, 1.0)),  # the last says what the first said, and the first stands for both
        (Decision(kind="weighted_vote", weights=(0.0, 1.0, 0.0)), "y", (1.0, 3.0, 1.0)),
        (Decision(kind="vote"), "x", ()),
    ],
)
def test_whose_answer_was_taken_outweighs_the_others_who_all_stay(decision, answer, weights):
    policy = Script((Wave(agents=(A, B, C)), Stop(decision=decision, reason="enough", probability=0.7)))
    done = go(policy, Says({"a": "x", "b": "y", "c": "x"}))
    assert (done.answer, done.probability) == (answer, 0.7)
    assert len(done.design.agents) == 3
    assert done.design.decision.weights == weights


def test_a_failing_agent_is_seen_and_the_others_go_on():
    done = go(Script((Wave(agents=(A, B)), Wave(agents=(C,), hears=((0, 1),)), Stop())), Says(failing=1.0))
    assert (done.answer, done.decided_by, len(done.failures)) == (None, None, 3)


# --------------------------------------------------------------------------- limits

MANY = Script((Wave(agents=(A, B)), Wave(agents=(C, A), otherwise=Decision(kind="judge", judge=1)), Stop()))


@pytest.mark.parametrize("limits", [Limits(max_waves=1), Limits(max_agents=3), Limits(max_agents=2)])
def test_where_the_limits_leave_no_room_for_a_wave_its_otherwise_is_the_end(limits):
    moves = []
    done = go(MANY, Says({"a": "x", "b": "y"}), limits, on_move=moves.append)
    assert len(done.turns) == 2
    assert done.answer == "y"
    assert "limit of" in moves[-1].reason


def test_a_first_wave_beyond_the_limit_is_cut():
    assert len(go(Script((Wave(agents=(A, B, C)), Stop())), Says(), Limits(max_agents=2)).turns) == 2


def test_limits_below_one_are_refused():
    with pytest.raises(ConfigError, match=r"max_waves is 0; expected 1 or more"):
        Limits(max_waves=0)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), usd=st.sampled_from([0.0005, 0.001, 0.003]), calls=st.integers(1, 5))
def test_a_budget_is_never_overrun_whatever_a_policy_wants(seed, usd, calls):
    done = outcome(go(Whims(seed), Says(), Limits(question=Allowance(usd=usd, calls=calls), longest_reply=30)))
    assert done.usd <= usd
    assert done.calls <= calls


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        ((Stop(),), "stopped before anybody was asked"),
        ((Wave(agents=(A,), hears=((0,),)),), r"agent 0 of a policy hears \(0,\)"),
        ((Wave(agents=(A,)), Wave(agents=(B,), hears=((1,),))), r"hears \(1,\).*in 0\.\.0"),
        ((Wave(agents=(A,)), CASCADE), "a design can only come first"),
        ((Wave(agents=(A, B)), Stop(decision=Decision(kind="judge", judge=2))), "judge names agent 2"),
    ],
)
def test_moves_that_cannot_be_made_are_refused_and_named(moves, message):
    with pytest.raises(DesignError, match=message):
        go(Script(moves), Says())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Wave(agents=()), "at least one agent"),
        (lambda: Wave(agents=(replace(A, gate=Gate(watch=(0,), quorum=1)),)), "has a gate"),
        (lambda: Wave(agents=(A, B), hears=((0,),)), "2 agents, 1 entries"),
    ],
)
def test_waves_that_nobody_could_ask_are_refused(make, message):
    with pytest.raises(DesignError, match=message):
        make()


# --------------------------------------------------------------------------- arenas


@dataclass(frozen=True)
class Pair:
    first: Agent
    second: Agent

    def next(self, task, asked, turns):
        if not asked:
            return Wave(agents=(self.first,))
        return Stop(probability=0.5) if len(asked) > 1 else Wave(agents=(self.second,))


def test_an_arena_runs_equal_policies_once_and_designs_beside_them():
    a, b, _ = worlds.encoder().space.agents
    (task,) = worlds.tasks(1)
    llm = worlds.Scripted(right_first)
    with LocalArena(pool=worlds.pool(), llm=llm, benchmark=Tiny()) as arena:
        jobs = [Job(Pair(a, b), task, 0), Job(Pair(a, b), task, 0), Job(teams.single([a]), task, 0)]
        results = arena.run(jobs, phase="test")
    assert len(llm.requests) == 3
    assert results[0] == results[1]
    assert isinstance(Pair(a, b), Policy)
    assert not isinstance(CASCADE, Policy)
    assert results[0][0].design.waves() == [[0], [1]]
