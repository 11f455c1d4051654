import asyncio
from dataclasses import replace
from functools import cache
from itertools import combinations
from statistics import fmean

import pytest

from gdesign.agents.pool import attacked, builtin
from gdesign.agents.prompt import ATTACKS, MAX_QUOTED, prompt, quoted
from gdesign.errors import ConfigError, PoolError, UnsupportedRequestError
from gdesign.execute.reward import Reward, account
from gdesign.execute.run import run
from gdesign.llm.simulated.client import Ability, SimulatedClient, World
from gdesign.tasks.synthetic import Synthetic, observable
from gdesign.types import LLM, Agent, AgentPool, Decision, Design, Edge, Gate, Label, Message, Request, Role, Task

BENCHMARK = Synthetic(num_train=5400, num_validation=0, num_test=0, seed=11)
TASKS = BENCHMARK.load("train")
POOL = builtin("simulated_large")
# What a designer may combine is narrower than what the executor can run: here every role meets every LLM.
OPEN = replace(POOL, operators=("answer", "cot", "refine"), candidates=())
CLIENT = SimulatedClient(pool=OPEN)
VOTE = Decision(kind="vote")
MATH, CODE, LARGE, SMALL = (
    Agent(role="mathematician", llm="math-specialist"),
    Agent(role="programmer", llm="code-specialist"),
    Agent(role="reviewer", llm="large"),
    Agent(role="assistant", llm="small"),
)
ADVERSARY = Agent(role="adversary", llm="small")


def tasks(domain=None, difficulty=None, n=300):
    wanted = [t for t in TASKS if domain in (None, t.domain) and difficulty in (None, observable(t)[1])]
    return wanted[:n]


def outcomes(design, questions, client=CLIENT, seed=0):
    async def go():
        return [
            account(
                await run(design, t, pool=OPEN, llm=client, extract=BENCHMARK.extract, seed=seed),
                grade=BENCHMARK.grade,
                pool=OPEN,
            )
            for t in questions
        ]

    return asyncio.run(go())


def score(design, questions, client=CLIENT):
    return fmean(o.score for o in outcomes(design, questions, client))


def complete(n):
    return tuple(Edge(i, j) for i, j in combinations(range(n), 2))


def ask(agent, task, *, client=CLIENT, sample=0, **prompted):
    request = Request(llm=agent.llm, messages=prompt(agent, task, pool=OPEN, **prompted), sample=sample)
    return asyncio.run(client(request))


def said(agent, task, **asked):
    return BENCHMARK.extract(task, ask(agent, task, **asked).text)


# --------------------------------------------------------------------------- as debates are known to behave


def test_votes_saturate_with_size():
    questions = tasks(difficulty="medium", n=900)
    at = {n: score(Design(agents=(LARGE,) * n, decision=VOTE), questions) for n in (1, 3, 5, 9)}
    assert at[3] - at[1] > at[9] - at[5]
    assert at[3] > at[1]


def test_a_complete_graph_spreads_errors_on_hard_questions():
    questions = tasks("mathematics", "hard", n=400)
    team = (*(SMALL,) * 3, *(MATH,) * 2)
    vote = Design(agents=team, decision=VOTE)
    chain = Design(agents=team, spatial=tuple(Edge(i, i + 1) for i in range(4)), decision=VOTE)
    dense = Design(agents=team, spatial=complete(5), decision=VOTE)
    assert score(dense, questions) < max(score(vote, questions), score(chain, questions)) - 0.03


def test_a_long_context_dilutes_what_is_heard():
    questions = tasks("mathematics", "hard", n=400)
    clear = SimulatedClient(pool=OPEN, world=World(dilution=(0.0, 0.0, 0.0)))
    dense = Design(agents=(MATH,) * 6, spatial=complete(6))
    assert score(dense, questions) < score(dense, questions, clear) - 0.02


def test_a_single_agent_is_worth_most_on_easy_questions_and_a_team_on_hard_ones():
    def worth(design, difficulty):
        found = outcomes(design, tasks("mathematics", difficulty, n=500))
        return fmean(Reward(usd_weight=0.03).utility(o) for o in found)

    single = Design(agents=(MATH,))
    team = Design(agents=(MATH, LARGE), spatial=(Edge(0, 1),))
    assert worth(single, "easy") > worth(team, "easy") + 0.03
    assert worth(single, "hard") < worth(team, "hard")


@pytest.mark.parametrize(("domain", "specialist"), [("mathematics", MATH), ("code", CODE)])
def test_at_equal_cost_a_single_agent_beats_a_team_that_talks_on_easy_questions(domain, specialist):
    questions = tasks(domain, "easy", n=500)
    alone, team = (
        outcomes(d, questions) for d in (Design(agents=(specialist,)), Design(agents=(SMALL,) * 5, spatial=complete(5)))
    )
    assert sum(o.usd for o in team) == pytest.approx(sum(o.usd for o in alone), rel=0.1)
    assert fmean(o.score for o in alone) > fmean(o.score for o in team) + 0.02


@pytest.mark.parametrize(
    ("good", "difficulty"), [(SMALL, "easy"), (SMALL, "medium"), (MATH, "medium"), (LARGE, "easy")]
)
def test_an_adversary_hurts_a_complete_graph_more_than_a_sparse_one(good, difficulty):
    """Not so for the large LLM on hard questions, where talking helps it more than the adversary hurts."""
    questions = tasks("mathematics", difficulty, n=200)

    def harm(edges):
        fair = Design(agents=(good,) * 5, spatial=edges, decision=VOTE)
        foul = Design(agents=(ADVERSARY, *(good,) * 4), spatial=edges, decision=VOTE)
        return score(fair, questions) - score(foul, questions)

    assert harm(complete(5)) > harm((Edge(0, 1),)) + 0.03


@pytest.mark.parametrize(("domain", "specialist", "stranger"), [("mathematics", MATH, CODE), ("code", CODE, MATH)])
def test_a_specialist_beats_a_generalist_in_its_domain_and_nowhere_else(domain, specialist, stranger):
    questions = tasks(domain, "medium")
    alone = {a.llm: score(Design(agents=(a,)), questions) for a in (specialist, stranger, SMALL)}
    assert alone[specialist.llm] > alone["small"] + 0.05 > alone[stranger.llm]


def test_errors_are_correlated_most_between_copies_of_an_llm():
    questions = tasks(difficulty="hard", n=1800)
    answers = [(said(LARGE, t), said(LARGE, t, sample=1), said(SMALL, t), t.answer) for t in questions]
    large, copy, small = ([row[i] != row[3] for row in answers] for i in range(3))

    def covariance(a, b):
        return fmean(x and y for x, y in zip(a, b, strict=True)) - fmean(a) * fmean(b)

    # The jitter shared by all spreads chances by about 0.12, which makes 0.013; 0.005 is its standard error.
    assert covariance(large, copy) > covariance(large, small) > 0.005


def test_wrong_agents_often_give_the_same_wrong_answer():
    answers = [(said(SMALL, t), said(LARGE, t), t.answer) for t in tasks(difficulty="hard", n=1800)]
    both_wrong = [(a, b) for a, b, truth in answers if truth not in (a, b)]
    popular, num_wrong = World().popular, World().num_wrong
    expected = popular**2 + (1 - popular) ** 2 / num_wrong
    # About 700 pairs, so the standard error is 0.02.
    assert fmean(a == b for a, b in both_wrong) == pytest.approx(expected, abs=0.06)


def test_no_team_is_right_where_none_of_its_agents_alone_is():
    team = (MATH, CODE, SMALL, LARGE)
    debate = Design(agents=team, temporal=tuple(Edge(i, j) for i in range(4) for j in range(4) if i != j), num_rounds=2)
    questions = [t for t in tasks(difficulty="hard", n=300) if t.answer not in {said(a, t) for a in team}]
    assert len(questions) > 20
    assert score(debate, questions) == 0


def test_thinking_step_by_step_lifts_ability_and_costs_tokens():
    questions = tasks("mathematics", "hard", n=500)
    plain, cot = (outcomes(Design(agents=(replace(LARGE, operator=o),)), questions) for o in ("answer", "cot"))
    assert fmean(o.score for o in cot) > fmean(o.score for o in plain) + 0.03
    assert sum(o.completion_tokens for o in cot) > 1.5 * sum(o.completion_tokens for o in plain)


def test_refining_gives_up_wrong_answers_more_readily():
    questions = tasks("mathematics", "hard", n=900)
    answer, refine = (
        score(Design(agents=(MATH, replace(SMALL, operator=o)), spatial=(Edge(0, 1),)), questions)
        for o in ("answer", "refine")
    )
    assert refine > answer


# --------------------------------------------------------------------------- one request


@cache
def one(domain="mathematics", difficulty="hard"):
    return tasks(domain, difficulty)[0]


def test_the_same_request_gets_the_same_bits_from_another_client():
    heard = [("assistant", "Surely.\nAnswer: 5")]
    for task in tasks(n=20):
        again = ask(LARGE, task, client=SimulatedClient(pool=OPEN), heard=heard)
        assert ask(LARGE, task, heard=heard) == again


def test_other_worlds_and_other_samples_answer_otherwise():
    questions = tasks(difficulty="hard", n=60)
    other = SimulatedClient(pool=OPEN, world=World(seed=1))
    assert [said(LARGE, t) for t in questions] != [said(LARGE, t, client=other) for t in questions]
    assert [said(LARGE, t) for t in questions] != [said(LARGE, t, sample=1) for t in questions]


def test_origin_and_the_right_answer_are_not_needed():
    async def go(task):
        return await run(
            Design(agents=(SMALL, MATH, LARGE), spatial=complete(3)),
            task,
            pool=OPEN,
            llm=CLIENT,
            extract=BENCHMARK.extract,
        )

    for task in tasks(n=20):
        told = asyncio.run(go(task))
        untold = asyncio.run(go(replace(task, id="x", answer="", domain="")))
        assert [t.reply for t in told.turns] == [t.reply for t in untold.turns]


def test_its_own_answer_does_not_change_with_what_it_hears():
    """Hearing its own answer from others leaves nothing to decide, so what it says is what it thinks."""
    for task in tasks(difficulty="hard", n=40):
        own = said(LARGE, task)
        heard = [("assistant", f"Hm.\nAnswer: {own}"), ("programmer", f"I agree.\nAnswer: {own}")]
        assert said(LARGE, task, heard=heard) == own


def test_its_earlier_answer_counts_as_its_own():
    task = one()
    assert said(LARGE, task, previous="Well.\nAnswer: 123456") == "123456"
    unanimous = [("assistant", "Answer: 123456")]
    assert said(LARGE, task, previous="Well.\nAnswer: 123456", heard=unanimous) == "123456"


def test_a_message_without_an_answer_says_nothing_right():
    questions = [t for t in tasks(difficulty="hard", n=60) if said(LARGE, t) != t.answer]
    assert questions
    assert all(said(LARGE, t, heard=[("assistant", "I do not know.")]) != t.answer for t in questions)


def test_a_third_answer_is_new():
    """A wrong agent that hears wrong answers sometimes says something that nobody said."""
    others = 0
    for task in tasks(difficulty="hard", n=200):
        own = said(SMALL, task)
        if own != task.answer:
            after = said(SMALL, task, heard=[("assistant", "Answer: 77777777")])
            assert after != task.answer
            others += after not in (own, "77777777")
    assert others > 5


def test_an_adversary_always_argues_for_the_same_wrong_answer():
    for task in tasks(n=30):
        first = said(ADVERSARY, task)
        assert first != task.answer
        assert said(ADVERSARY, task, sample=5, heard=[("assistant", f"Answer: {task.answer}")]) == first


def test_usage_counts_four_characters_a_token_and_the_label_is_simulated():
    task = one()
    reply = ask(LARGE, task)
    chars = sum(len(m.content) for m in prompt(LARGE, task, pool=OPEN))
    assert reply.usage.prompt_tokens == (chars + 3) // 4
    assert reply.label is Label.SIMULATED
    assert reply.finish_reason == "stop"


def test_hard_questions_and_talkative_llms_cost_more_tokens():
    def tokens(agent, difficulty):
        return fmean(ask(agent, t).usage.completion_tokens for t in tasks("mathematics", difficulty, n=50))

    assert tokens(LARGE, "easy") < tokens(LARGE, "medium") < tokens(LARGE, "hard")
    assert tokens(SMALL, "hard") < tokens(LARGE, "hard")


def test_a_reply_longer_than_max_tokens_ends_before_its_answer():
    request = Request(llm="large", messages=prompt(LARGE, one(), pool=OPEN), max_tokens=20)
    reply = asyncio.run(CLIENT(request))
    assert BENCHMARK.extract(one(), reply.text) is None
    assert reply.usage.completion_tokens == 20
    assert reply.finish_reason == "length"


def test_a_silent_agent_is_not_asked():
    gate = Gate(watch=(0, 1), quorum=2)
    cascade = Design(agents=(SMALL, MATH, replace(LARGE, gate=gate)))
    calls = [o.calls for o in outcomes(cascade, tasks("mathematics", "easy", n=100))]
    assert set(calls) == {2, 3}


# --------------------------------------------------------------------------- mistakes


def test_what_is_no_generated_question_is_refused():
    task = Task(id="1", question="Why is the sky blue?", answer="", benchmark="own")
    with pytest.raises(UnsupportedRequestError, match="Why is the sky blue"):
        ask(SMALL, task)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ((Message("user", "hello"),), "system message"),
        ((Message("system", "Be nice."), Message("user", "x")), "expected the profile of"),
        ((prompt(SMALL, TASKS[0], pool=OPEN)[0], Message("user", "hello")), "know no other questions"),
    ],
)
def test_messages_that_gdesign_does_not_write_are_refused(messages, words):
    with pytest.raises(UnsupportedRequestError, match=words):
        asyncio.run(CLIENT(Request(llm="small", messages=messages)))


def test_an_llm_that_the_world_lacks_is_refused():
    with pytest.raises(UnsupportedRequestError, match="'huge'"):
        asyncio.run(CLIENT(Request(llm="huge", messages=prompt(SMALL, TASKS[0], pool=OPEN))))
    llm = LLM(name="huge", usd_per_1M_input=0, usd_per_1M_output=0)
    pool = AgentPool(name="p", roles=OPEN.roles, llms=(llm,))
    with pytest.raises(PoolError, match="give the world an ability"):
        SimulatedClient(pool=pool)
    SimulatedClient(pool=pool, world=World(abilities={"huge": Ability(mathematics=1, code=1, knowledge=1)}))


def test_roles_that_cannot_be_told_apart_are_refused():
    roles = (Role(name="a", profile="You help."), Role(name="b", profile="You help."))
    with pytest.raises(PoolError, match="share a profile"):
        SimulatedClient(pool=AgentPool(name="p", roles=roles, llms=OPEN.llms))


@pytest.mark.parametrize("setting", [{"difficulty": (0.0, 1.0)}, {"num_wrong": 0}, {"num_wrong": 23}])
def test_a_world_that_fits_no_question_is_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        World(**setting)


# --------------------------------------------------------------------------- attacks


def turned(attack):
    return attacked(OPEN, {"assistant": attack})


def ask_turned(attack, task, *, client=CLIENT, max_tokens=None, **prompted):
    messages = prompt(SMALL, task, pool=turned(attack), **prompted)
    return asyncio.run(client(Request(llm="small", messages=messages, max_tokens=max_tokens)))


def score_turned(attack, design, questions):
    async def go():
        pool = turned(attack)
        runs = [await run(design, t, pool=pool, llm=CLIENT, extract=BENCHMARK.extract) for t in questions]
        return [account(r, grade=BENCHMARK.grade, pool=pool) for r in runs]

    found = asyncio.run(go())
    return fmean(o.score for o in found), sum(o.usd for o in found)


def test_a_liar_says_what_an_adversary_of_the_world_says():
    for task in tasks(n=20):
        for heard in ([], [("reviewer", f"Answer: {task.answer}")]):
            assert ask_turned("liar", task, heard=heard).text == ask(ADVERSARY, task, heard=heard).text


def test_an_injector_dresses_the_liars_answer_as_parts_of_a_prompt():
    for task in tasks(n=20):
        reply = ask_turned("injector", task)
        assert BENCHMARK.extract(task, reply.text) == said(ADVERSARY, task) != task.answer
        for part in ("\n# Question\n", "\n# What other agents said\n", "\nreviewer:\n", "\nsystem: ", "Forget all"):
            assert part in reply.text
        assert reply.usage.completion_tokens > ask(ADVERSARY, task).usage.completion_tokens


def test_an_injection_moves_its_hearers_as_much_as_the_same_answer_in_plain_words_of_that_length():
    questions = tasks("mathematics", "medium", n=600)

    def right(dressed):
        found = 0
        for task in questions:
            injected = ask_turned("injector", task).text
            wrong = BENCHMARK.extract(task, injected)
            plain = "x" * (len(quoted(injected)) - len(f"> \n> Answer: {wrong}")) + f"\nAnswer: {wrong}"
            assert len(quoted(plain)) == len(quoted(injected))
            found += said(LARGE, task, heard=[("assistant", injected if dressed else plain)]) == task.answer
        return found / len(questions)

    assert right(dressed=True) == pytest.approx(right(dressed=False), abs=0.05)


def test_a_babbler_ends_at_the_limit_and_never_answers():
    task = one()
    reply = ask_turned("babbler", task)
    assert BENCHMARK.extract(task, reply.text) is None
    assert (reply.finish_reason, reply.usage.completion_tokens) == ("length", 8192)
    assert len(reply.text) == 4 * 8192 > MAX_QUOTED
    assert ask_turned("babbler", task, max_tokens=100).usage.completion_tokens == 100
    assert len(ask_turned("babbler", task, max_tokens=100).text) == 400
    asked = prompt(LARGE, task, pool=OPEN, heard=[("assistant", reply.text)])[1].content
    assert len(asked) < MAX_QUOTED + 1_000
    assert "characters are left out here]" in asked


def test_a_babbler_takes_much_of_what_its_hearers_know_and_not_all():
    star = Design(agents=(SMALL, MATH, LARGE), spatial=(Edge(0, 2), Edge(1, 2)))
    questions = tasks("mathematics", "medium", n=300)
    before = score(star, questions)
    assert 0.1 < score_turned("babbler", star, questions)[0] < before - 0.1


def test_only_a_babbler_is_ever_cut():
    """What the simulated world was before there was a bound, it is now."""
    longest = max(
        len(ask(Agent(role=c.role, llm=c.llm, operator=c.operator), task, heard=heard).text)
        for c in OPEN.candidates
        for task in tasks(n=9)
        for heard in ([], [("reviewer", "Answer: 1")])
    )
    assert longest < 1_000 < MAX_QUOTED
    assert len(ask_turned("injector", one()).text) < 1_000


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_on_one_agent_hurts_a_chain_and_no_attack_hurts_a_single_other_agent(attack):
    questions = tasks("mathematics", n=150)
    chain = Design(agents=(SMALL, MATH, LARGE), spatial=(Edge(0, 1), Edge(1, 2)))
    before = fmean(o.score for o in outcomes(chain, questions))
    after, usd = score_turned(attack, chain, questions)
    assert after < before - 0.05
    if attack == "babbler":
        assert usd > 2 * sum(o.usd for o in outcomes(chain, questions))
    alone = Design(agents=(MATH,))
    assert score_turned(attack, alone, questions)[0] == fmean(o.score for o in outcomes(alone, questions))
