import asyncio
import gzip
import json
import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gdesign.agents.policies.agreement_cascade import agreement_cascade
from gdesign.agents.pool import SOLVER
from gdesign.errors import ConfigError, MissingDataError, PoolError, UnsupportedRequestError
from gdesign.execute.adaptive import play
from gdesign.execute.reward import account
from gdesign.execute.run import run
from gdesign.llm.recorded import TRANSITIONS, RecordedClient, recorded_pool
from gdesign.types import Agent, Decision, Design, Edge, Gate, Label, Message, Origin, Request, Task, Usage

MODELS = ("small", "middle", "large", "o1-like")
NUM_QUESTIONS = 12


def right(q: int, m: int) -> bool:
    """Whether model m answers question q rightly: every pattern of three models occurs, o1-like is always right."""
    return m == 3 or bool(q >> m & 1)


def answer(q: int, m: int) -> str:
    if q == 8:
        return ""  # nobody answers question 8
    return "yes" if right(q, m) else f"no{(q + m) % 2}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Iterator[str]:
    """A data folder with a small table `quiz`, one without prompt tokens, and prices."""
    root = tmp_path_factory.mktemp("data")
    (root / "routing/zeroeval").mkdir(parents=True)
    for name in ("quiz", "silent"):
        with gzip.open(root / f"routing/zeroeval/{name}.questions.jsonl.gz", "wt") as file:
            for q in range(NUM_QUESTIONS):
                entry = {"qid": str(q), "question": f"Question {q}?", "answer": "yes", "prompt_tokens": 100 + q}
                if name == "silent":
                    del entry["prompt_tokens"]
                file.write(json.dumps(entry) + "\n")
        with gzip.open(root / f"routing/zeroeval/{name}.results.csv.gz", "wt") as file:
            file.write("qid,model,correct,answer,output_tokens_cl100k\n")
            for q in range(NUM_QUESTIONS):
                for m, model in enumerate(MODELS):
                    file.write(f"{q},{model},{int(right(q, m))},{answer(q, m)},{10 * (m + 1)}\n")
            file.write("0,partial,1,yes,5\n")
    (root / "routing/prices.csv").write_text(
        "model,usd_per_1M_input,usd_per_1M_output\nlarge,10,30\nmiddle,1,3\nsmall,.1,.3\npartial,1,1\no1-like,1,1\n"
    )
    (root / "scored").mkdir()
    (root / "scored/quiz.jsonl").write_text('{"question": "a?", "scores": {"small": 1, "middle": 0, "large": 0.5}}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDESIGN_DATA", str(root))
        yield str(root)


@pytest.fixture(scope="module")
def client(folder):
    return RecordedClient(sets=["quiz"])


@pytest.fixture(scope="module")
def pool(folder):
    return recorded_pool(sets=["quiz"])


def request(q=0, llm="small", role=SOLVER.name, operator="answer", heard=(), previous=None, **kwargs):
    origin = Origin(task_id=f"quiz/{q}", role=role, operator=operator, heard=tuple(heard), previous=previous)
    return Request(llm=llm, messages=(Message("user", "q"),), origin=origin, **kwargs)


def ask(client, *args, **kwargs):
    return asyncio.run(client(request(*args, **kwargs)))


def task(q):
    return Task(id=f"quiz/{q}", question=f"Question {q}?", answer="yes", benchmark="quiz")


def solver(llm, gate=None):
    return Agent(role=SOLVER.name, llm=llm, gate=gate)


def outcome(design, q, client, pool, seed=0):
    done = asyncio.run(run(design, task(q), pool=pool, llm=client, extract=lambda task, text: text or None, seed=seed))
    return account(done, grade=lambda task, answer: pytest.fail("recorded answers score by their recording"), pool=pool)


# ------------------------------------------------------------------ scores alone


@pytest.fixture(scope="module")
def scores(folder):
    return RecordedClient(sets=["quiz"], directory="scored", scores_only=True, cost="ignore")


def test_where_only_scores_are_known_one_agent_gets_its_score(scores, pool):
    got = outcome(Design(agents=(solver("large"),)), 1, scores, pool)
    assert (got.score, got.usd, got.label, got.unreadable) == (0.5, 0, Label.EXACT, False)


@pytest.mark.parametrize(
    "design",
    [
        Design(agents=(solver("small"), solver("middle")), decision=Decision(kind="vote")),
        Design(agents=(solver("small"), solver("middle"), solver("large", Gate(watch=(0, 1), quorum=2)))),
        Design(agents=(solver("small"), solver("middle")), spatial=(Edge(0, 1),)),
    ],
)
def test_where_only_scores_are_known_nobody_can_be_compared_or_heard(scores, pool, design):
    with pytest.raises(UnsupportedRequestError, match="designs of one agent"):
        outcome(design, 1, scores, pool)


def test_where_only_scores_are_known_a_policy_is_refused_for_it_reads_answers(scores, pool):
    policy = agreement_cascade([solver("small"), solver("large")])
    with pytest.raises(UnsupportedRequestError, match="nobody knows who agrees with whom"):
        asyncio.run(play(policy, task(1), pool=pool, llm=scores, extract=lambda task, text: text or None))


@pytest.mark.parametrize("q", range(NUM_QUESTIONS))
def test_a_policy_whose_agents_hear_nobody_is_exact_and_so_is_what_it_came_to(client, pool, q):
    policy = agreement_cascade([solver("small"), solver("middle"), solver("large")])
    done = asyncio.run(play(policy, task(q), pool=pool, llm=client, extract=lambda task, text: text or None))
    weighed = account(done, grade=lambda task, answer: pytest.fail("scores are recorded"), pool=pool)
    assert weighed == outcome(done.design, q, client, pool)
    assert weighed.label is Label.EXACT
    agree = q != 8 and answer(q, 0) == answer(q, 1)
    assert weighed.calls == (2 if agree else 3)
    assert weighed.score == float(right(q, 0) if agree or q == 8 else done.answer == "yes")


def test_scores_alone_have_no_cost(folder):
    with pytest.raises(UnsupportedRequestError, match="costs are unknown"):
        ask(RecordedClient(sets=["quiz"], directory="scored", scores_only=True), q=1)


# ------------------------------------------------------------------ exact


def test_who_hears_nobody_gives_the_recorded_answer(client):
    reply = ask(client, q=1, llm="small")
    assert (reply.text, reply.score, reply.label) == ("yes", 1.0, Label.EXACT)
    assert reply.usage == Usage(prompt_tokens=101, completion_tokens=10)


def test_a_recorded_empty_answer_scores_by_its_recording(client):
    assert (ask(client, q=8, llm="small").text, ask(client, q=8, llm="small").score) == ("", 0.0)
    with pytest.raises(UnsupportedRequestError, match="hidden"):
        ask(client, q=8, llm="o1-like")


def test_a_vote_over_llms_is_exact(client, pool):
    vote = Design(agents=tuple(solver(m) for m in MODELS[:3]), decision=Decision(kind="vote"))
    got = outcome(vote, 3, client, pool)  # small and middle are right
    assert (got.score, got.label, got.calls) == (1.0, Label.EXACT, 3)
    assert got.prompt_tokens == 3 * 103


def test_a_gated_cascade_is_exact_and_silence_costs_nothing(client, pool):
    cascade = Design(agents=(solver("small"), solver("middle"), solver("large", Gate(watch=(0, 1), quorum=2))))
    agree, differ = outcome(cascade, 3, client, pool), outcome(cascade, 6, client, pool)
    assert (agree.calls, agree.score, agree.label) == (2, 1.0, Label.EXACT)
    assert (differ.calls, differ.score, differ.label) == (3, 1.0, Label.EXACT)
    assert agree.usd == pytest.approx((103 * 0.1 + 10 * 0.3 + 103 * 1 + 20 * 3) / 1e6)


def test_recorded_empty_answers_agree_with_nothing(client, pool):
    cascade = Design(agents=(solver("small"), solver("middle"), solver("large", Gate(watch=(0, 1), quorum=2))))
    assert outcome(cascade, 8, client, pool).calls == 3


# ------------------------------------------------------------------ ways of working, and several answers


@pytest.fixture(scope="module")
def worked(folder) -> str:
    """A table in which one LLM works in three ways: thrice, once at a price in USD, and by some calls."""
    root = Path(folder) / "worked"
    root.mkdir()
    (root / "quiz.questions.jsonl").write_text(
        "".join(f'{{"qid": {q}, "question": "{q}?", "answer": "yes", "prompt_tokens": 100}}\n' for q in range(2))
    )
    rows = ["qid,model,operator,sample,correct,answer,prompt_tokens,output_tokens_cl100k,calls,usd"]
    for q in range(2):
        rows += [f"{q},large,cot,{k},{int(k > q)},{'yes' if k > q else 'no'},,{10 + k},," for k in range(3)]
        rows.append(f"{q},large,self_refine,0,1,yes,900,70,3,")
        rows.append(f"{q},large,panel,0,0,no,,1,5,0.25")
    rows.append("0,large,hurried,0,1,yes,,1,,")  # not to every question
    (root / "quiz.results.csv").write_text("\n".join(rows))
    return "worked"


@pytest.fixture(scope="module")
def ways(worked):
    return RecordedClient(sets=["quiz"], directory=worked)


@pytest.fixture(scope="module")
def ways_pool(worked):
    return recorded_pool(sets=["quiz"], directory=worked)


def worker(operator, gate=None):
    return Agent(role=SOLVER.name, llm="large", operator=operator, gate=gate)


def test_the_pool_offers_the_ways_of_working_that_answered_everything(ways_pool):
    assert [(c.llm, c.operator) for c in ways_pool.candidates] == [
        ("large", "cot"),
        ("large", "self_refine"),
        ("large", "panel"),
    ]


def test_prices_may_stand_beside_the_pool(worked):
    prices = {"large": {"usd_per_1M_input": 60, "usd_per_1M_output": 120}}
    assert recorded_pool(sets=["quiz"], directory=worked, prices=prices).llm("large").usd_per_1M_output == 120
    with pytest.raises(PoolError, match="usd_per_1M_input and usd_per_1M_output"):
        recorded_pool(sets=["quiz"], directory=worked, prices={"large": {"input": 1}})


def test_an_agent_answers_as_it_was_recorded_to_work(ways, ways_pool):
    got = outcome(Design(agents=(worker("self_refine"),)), 0, ways, ways_pool)
    assert (got.score, got.prompt_tokens, got.completion_tokens, got.calls) == (1, 900, 70, 3)
    assert got.usd == pytest.approx((900 * 10 + 70 * 30) / 1e6)
    got = outcome(Design(agents=(worker("panel"),)), 0, ways, ways_pool)
    assert (got.usd, got.prompt_tokens, got.calls, got.label) == (0.25, 100, 5, Label.EXACT)


def test_who_stands_in_a_design_several_times_gives_so_many_answers(ways, ways_pool):
    vote = Design(agents=(worker("cot"),) * 3, decision=Decision(kind="vote"))
    assert [outcome(vote, q, ways, ways_pool).score for q in (0, 1)] == [1, 0]
    assert outcome(vote, 0, ways, ways_pool).completion_tokens == 10 + 11 + 12
    cascade = Design(agents=(worker("cot"), worker("cot"), worker("self_refine", Gate(watch=(0, 1), quorum=2))))
    assert [outcome(cascade, q, ways, ways_pool).calls for q in (0, 1)] == [2 + 3, 2]


def test_another_seed_begins_with_another_answer(ways, ways_pool):
    one = Design(agents=(worker("cot"),))
    assert [outcome(one, 0, ways, ways_pool, seed=s).completion_tokens for s in range(3)] == [10, 11, 12]


def test_more_answers_than_there_are_recorded_are_refused(ways, ways_pool):
    four = Design(agents=(worker("cot"),) * 4, decision=Decision(kind="vote"))
    with pytest.raises(UnsupportedRequestError, match=r"recorded 3 times.*3 times at most"):
        outcome(four, 0, ways, ways_pool)
    with pytest.raises(UnsupportedRequestError, match="seeds below 3"):
        outcome(Design(agents=(worker("cot"),)), 0, ways, ways_pool, seed=3)
    twice = Design(agents=(worker("panel"), worker("panel")), decision=Decision(kind="vote"))
    with pytest.raises(UnsupportedRequestError, match="recorded once"):
        outcome(twice, 0, ways, ways_pool)


def test_what_hearing_adds_to_a_price_in_usd_nobody_knows(ways, ways_pool):
    hearing = Design(agents=(worker("cot"), worker("panel")), spatial=(Edge(0, 1),))
    with pytest.raises(UnsupportedRequestError, match="usd"):
        outcome(hearing, 0, ways, ways_pool)


def test_an_agent_may_hear_another_way_of_working(ways, ways_pool):
    got = outcome(Design(agents=(worker("cot"), worker("self_refine")), spatial=(Edge(0, 1),)), 0, ways, ways_pool)
    assert (got.label, got.prompt_tokens) == (Label.CALIBRATED, 100 + 900 + 10 + 20)


# ------------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"role": "critic"}, "roles.*'critic'.*pool=recorded"),
        ({"operator": "cot"}, "operator.*'cot'"),
        ({"llm": "other"}, "no model 'other'"),
        ({"q": 99}, "no question '99'"),
        ({"q": 1, "llm": "partial"}, "did not answer"),
        ({"sample": 1 << 31}, "recorded once"),
        ({"sample": 1}, "seed 0"),
        ({"temperature": 0.7}, "temperature"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"llm": "o1-like"}, "hidden"),
    ],
)
def test_what_the_tables_cannot_tell_is_refused(client, kwargs, message):
    with pytest.raises(UnsupportedRequestError, match=message):
        ask(client, **kwargs)


def test_another_set_and_a_request_from_nowhere_are_refused(client):
    origin = Origin(task_id="gsm/1", role=SOLVER.name, operator="answer")
    with pytest.raises(UnsupportedRequestError, match=r"'gsm/1'.*quiz"):
        asyncio.run(client(Request(llm="small", messages=(), origin=origin)))
    with pytest.raises(UnsupportedRequestError, match="origin"):
        asyncio.run(client(Request(llm="small", messages=())))


def test_a_second_copy_of_an_llm_is_refused_through_the_executor(client, pool):
    twice = Design(agents=(solver("small"), solver("small")), decision=Decision(kind="vote"))
    with pytest.raises(UnsupportedRequestError, match="each LLM appear once"):
        outcome(twice, 0, client, pool)
    with pytest.raises(UnsupportedRequestError, match="seed 0"):
        outcome(Design(agents=(solver("small"),)), 0, client, pool, seed=1)


def test_unknown_prompt_tokens_are_refused_unless_cost_is_ignored(folder):
    origin = Origin(task_id="silent/1", role=SOLVER.name, operator="answer")
    asked = Request(llm="small", messages=(), origin=origin)
    with pytest.raises(UnsupportedRequestError, match="cost=ignore"):
        asyncio.run(RecordedClient(sets=["silent"])(asked))
    assert asyncio.run(RecordedClient(sets=["silent"], cost="ignore")(asked)).usage.prompt_tokens == 0


def test_hidden_reasoning_is_answered_where_cost_is_ignored(folder):
    assert ask(RecordedClient(sets=["quiz"], cost="ignore"), llm="o1-like").score == 1.0


@pytest.mark.parametrize("values", [{"transition": "hopeful"}, {"cost": "low"}])
def test_an_unknown_choice_is_refused(folder, values):
    with pytest.raises(ConfigError, match="expected"):
        RecordedClient(sets=["quiz"], **values)


def test_a_table_that_is_not_there_is_refused_at_once(folder):
    with pytest.raises(MissingDataError, match="nowhere"):
        RecordedClient(sets=["nowhere"])


def test_a_table_may_be_a_folder(folder, pool):
    (Path(folder) / "own/quiz").mkdir(parents=True)
    for kind in ("questions.jsonl.gz", "results.csv.gz"):
        shutil.copy(Path(folder) / f"routing/zeroeval/quiz.{kind}", Path(folder) / f"own/quiz/{kind}")
    assert ask(RecordedClient(sets=["quiz"], directory="own"), q=1).text == "yes"
    assert recorded_pool(sets=["quiz"], directory="own") == pool


# ------------------------------------------------------------------ calibrated


def test_who_hears_others_is_calibrated_and_pays_for_what_it_hears(client):
    heard = [ask(client, 5, "small"), ask(client, 5, "middle")]
    reply = ask(client, 5, "large", heard=heard)
    assert reply.label is Label.CALIBRATED
    assert reply.usage == Usage(prompt_tokens=105 + (10 + 20) + (20 + 20), completion_tokens=30)
    assert reply == ask(client, 5, "large", heard=heard)


def test_where_all_agree_the_answer_is_kept(client):
    heard = [ask(client, 7, "small"), ask(client, 7, "middle")]
    reply = ask(client, 7, "large", heard=heard)
    assert (reply.text, reply.score) == ("yes", 1.0)


def test_its_own_earlier_answer_counts_as_in_sight(client):
    previous = ask(client, 5, "small")
    reply = ask(client, 5, "small", previous=previous)
    assert (reply.text, reply.label) == (previous.text, Label.CALIBRATED)
    assert reply.usage.prompt_tokens == 105 + 10 + 20


def test_hearing_who_heard_is_refused(client, pool):
    chain = Design(agents=tuple(solver(m) for m in MODELS[:3]), spatial=(Edge(0, 1), Edge(1, 2)))
    with pytest.raises(UnsupportedRequestError, match="one message edge"):
        outcome(chain, 0, client, pool)


def test_a_debate_of_two_rounds_is_answered_and_one_of_three_refused(client, pool):
    agents = tuple(solver(m) for m in MODELS[:3])
    everybody = tuple(Edge(i, j) for i in range(3) for j in range(3) if i != j)

    def debate(num_rounds):
        return Design(agents=agents, temporal=everybody, num_rounds=num_rounds, decision=Decision(kind="vote"))

    got = outcome(debate(2), 6, client, pool)
    assert (got.label, got.calls) == (Label.CALIBRATED, 6)
    with pytest.raises(UnsupportedRequestError):
        outcome(debate(3), 6, client, pool)


def test_the_order_of_what_is_heard_draws_nothing_new(client):
    for q in range(NUM_QUESTIONS):
        a, b = ask(client, q, "small"), ask(client, q, "middle")
        assert ask(client, q, "large", heard=[a, b]) == ask(client, q, "large", heard=[b, a])


def test_a_third_answer_is_a_wrong_one_that_was_recorded_and_not_said(folder):
    texts = set()
    for transition in TRANSITIONS:
        client = RecordedClient(sets=["quiz"], transition=transition)
        for q in range(NUM_QUESTIONS):
            for listener, speaker in combinations(MODELS[:3], 2):
                own, heard = ask(client, q, listener), ask(client, q, speaker)
                reply = ask(client, q, listener, heard=[heard])
                if reply.text not in (own.text, heard.text):
                    assert reply.score == 0
                    assert reply.text in ("", "no0", "no1")
                    texts.add(reply.text)
    assert texts  # it happens


MESSAGE_DESIGNS = st.builds(
    lambda order, watched, decision, rounds, pairs: _design(order, watched, decision, rounds, pairs),
    st.permutations(MODELS[:3]),
    st.booleans(),
    st.sampled_from(["last", "vote"]),
    st.integers(1, 2),
    st.lists(st.sampled_from([(i, j) for i in range(3) for j in range(3) if i != j]), unique=True),
)


def _design(order, watched, decision, rounds, pairs):
    if rounds == 1:  # one hop: the first two speak alone
        gate = Gate(watch=(0, 1), quorum=2) if watched else None
        spatial = tuple(Edge(i, 2) for i, j in pairs if j == 2)
        agents = (solver(order[0]), solver(order[1]), solver(order[2], gate))
        return Design(agents=agents, spatial=spatial, decision=Decision(kind=decision))
    temporal = tuple(Edge(*pair) for pair in pairs)
    return Design(agents=tuple(map(solver, order)), temporal=temporal, num_rounds=2, decision=Decision(kind=decision))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(design=MESSAGE_DESIGNS, transition=st.sampled_from(sorted(TRANSITIONS)))
def test_no_design_scores_above_the_union_of_its_agents_answers(folder, pool, design, transition):
    client = RecordedClient(sets=["quiz"], transition=transition)
    for q in range(NUM_QUESTIONS):
        union = max(float(right(q, MODELS.index(a.llm))) for a in design.agents)
        assert outcome(design, q, client, pool).score <= union


# ------------------------------------------------------------------ the pool


def test_the_pool_has_who_answered_everything_and_has_a_price(pool):
    assert [m.name for m in pool.llms] == ["large", "middle", "small"]
    assert pool.roles == (SOLVER,)


def test_hidden_reasoning_joins_only_where_it_is_asked_for(folder):
    assert "o1-like" in {m.name for m in recorded_pool(sets=["quiz"], include_hidden_reasoning=True).llms}


def test_a_missing_price_list_is_named_with_its_origin(tmp_path, monkeypatch):
    monkeypatch.setenv("GDESIGN_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match=r"routing/prices\.csv is not there: .*sha256"):
        recorded_pool()


def test_a_pool_of_nobody_is_refused(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("p") / "none.csv"
    empty.write_text("model,usd_per_1M_input,usd_per_1M_output\n")
    with pytest.raises(PoolError, match=r"none\.csv"):
        recorded_pool(sets=["quiz"], prices=str(empty))
