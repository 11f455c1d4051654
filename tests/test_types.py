import pickle
from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.errors import DesignError, PoolError
from gdesign.types import (
    LLM,
    Agent,
    AgentPool,
    Candidate,
    Decision,
    Design,
    Edge,
    Gate,
    Label,
    Message,
    Origin,
    Request,
    Role,
    sample_index,
)
from tests.strategies import design_args, designs

few = settings(max_examples=40, deadline=None)


def agent(name="a", watch=(), quorum=1):
    return Agent(role=name, llm="m", gate=Gate(watch=watch, quorum=quorum) if watch else None)


def design(n, *pairs, **kwargs):
    return Design(agents=tuple(agent(c) for c in "abcdef"[:n]), spatial=tuple(Edge(i, j) for i, j in pairs), **kwargs)


def roles(d):
    return "".join(a.role for a in d.agents)


def arguments(d):
    return {f.name: getattr(d, f.name) for f in fields(d)}


def permuted(args, order):
    """Return the same arguments with agent i at place order[i]."""
    agents = [None] * len(order)
    for i, a in enumerate(args["agents"]):
        gate = a.gate and Gate(watch=tuple(order[w] for w in a.gate.watch), quorum=a.gate.quorum)
        agents[order[i]] = Agent(role=a.role, llm=a.llm, operator=a.operator, gate=gate)
    decision = args["decision"]
    judge = None if decision.judge is None else order[decision.judge]
    return {
        **args,
        "agents": tuple(agents),
        "spatial": tuple(Edge(order[s], order[d], r) for s, d, r in args["spatial"]),
        "temporal": tuple(Edge(order[s], order[d], r) for s, d, r in args["temporal"]),
        "decision": Decision(kind=decision.kind, judge=judge),
    }


# ------------------------------------------------------------------ canonical form


@few
@given(designs())
def test_the_canonical_form_of_a_canonical_form_is_itself(d):
    assert Design(**arguments(d)) == d


def test_an_agent_left_out_leaves_no_trace_in_the_order():
    d = Design(
        agents=(agent("z"), agent("a"), agent("m")),
        spatial=(Edge(0, 1, (3,)),),  # a speaks in round 3, when nobody hears it any more
        temporal=(Edge(1, 2, (2,)),),
        num_rounds=3,
        decision=Decision(kind="judge", judge=2),
    )
    assert roles(d) == "am"
    assert Design(**arguments(d)) == d


@few
@given(designs())
def test_what_is_heard_or_watched_within_a_round_stands_before(d):
    assert all(e.src < e.dst for e in d.spatial)
    assert all(w < i for i, a in enumerate(d.agents) if a.gate for w in a.gate.watch)


@few
@given(designs())
def test_edges_and_watches_are_sorted(d):
    assert d.spatial == tuple(sorted(d.spatial))
    assert d.temporal == tuple(sorted(d.temporal))
    assert all(a.gate.watch == tuple(sorted(set(a.gate.watch))) for a in d.agents if a.gate)


@few
@given(designs())
def test_equal_designs_have_equal_hashes_and_survive_pickling(d):
    copy = pickle.loads(pickle.dumps(d))
    assert copy == d
    assert hash(copy) == hash(d)


@few
@given(design_args(distinct=True, kinds=("last", "judge")), st.data())
def test_the_order_in_which_agents_are_given_does_not_matter_where_no_vote_is_taken(args, data):
    order = data.draw(st.permutations(range(len(args["agents"]))))
    assert Design(**permuted(args, order)) == Design(**args)


def test_the_order_of_edges_does_not_matter():
    assert design(3, (0, 2), (1, 2), (0, 1)) == design(3, (0, 1), (1, 2), (0, 2))


def test_the_order_of_agents_is_kept_where_ties_of_a_vote_go_by_it():
    d = Design(agents=(agent("b"), agent("a")), decision=Decision(kind="vote"))
    assert roles(d) == "ba"


def test_naming_all_rounds_is_naming_none():
    two = {"num_rounds": 2, "decision": Decision(kind="vote")}
    agents = (agent("a"), agent("b"))
    every = Design(agents=agents, spatial=(Edge(0, 1, (2, 1)),), temporal=(Edge(1, 0, (2,)),), **two)
    assert every == Design(agents=agents, spatial=(Edge(0, 1),), temporal=(Edge(1, 0),), **two)
    assert Design(agents=agents, spatial=(Edge(0, 1, (2,)),), **two) != Design(
        agents=agents, spatial=(Edge(0, 1),), **two
    )


def test_plain_tuples_serve_as_edges():
    assert Design(agents=(agent("a"), agent("b")), spatial=((0, 1),)) == design(2, (0, 1))


def test_a_design_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        design(1).num_rounds = 2


# ------------------------------------------------------------------ agents without a path to the decision


@few
@given(designs())
def test_every_agent_that_is_left_has_a_path_to_the_decision(d):
    """Over the unrolled rounds: drop the turns nobody needs; every agent must keep a turn."""
    last = range(len(d.agents))
    match d.decision.kind:
        case "judge":
            deciders = {d.decision.judge}
        case "weighted_vote":
            deciders = {i for i in last if d.decision.weights[i]}
        case "vote":
            deciders = set(last)
        case "last":
            ungated = [i for i in last if d.agents[i].gate is None]
            deciders = set(range(max(ungated), len(d.agents)))
    needed = {(i, d.num_rounds) for i in deciders}
    for r in range(d.num_rounds, 0, -1):
        for dst in reversed(last):
            if (dst, r) in needed:
                gate = d.agents[dst].gate
                needed |= {(e.src, r) for e in d.spatial if e.dst == dst and (not e.rounds or r in e.rounds)}
                needed |= {(w, r) for w in gate.watch} if gate else set()
                if r > 1:
                    needed.add((dst, r - 1))
                    needed |= {(e.src, r - 1) for e in d.temporal if e.dst == dst and (not e.rounds or r in e.rounds)}
    assert {i for i, _ in needed} == set(last)


def test_an_agent_that_nobody_hears_is_left_out():
    assert roles(design(3, (0, 2))) == "ac"
    assert design(3, (0, 2)).spatial == (Edge(0, 1),)


def test_an_agent_that_is_only_watched_stays():
    d = Design(agents=(agent("a"), agent("b"), agent("c", watch=(0, 1), quorum=2)))
    assert roles(d) == "abc"


def test_where_the_last_agent_may_stay_silent_the_one_before_it_may_decide():
    d = Design(agents=(agent("a"), agent("b"), agent("c", watch=(0,))))
    assert roles(d) == "abc"  # b decides whenever c is silent


def test_watches_of_agents_that_move_follow_them():
    d = Design(agents=(agent("z", watch=(2,)), agent("y"), agent("a")), spatial=(Edge(1, 0),))
    assert roles(d) == "ayz"
    assert d.agents[2].gate.watch == (0,)


def test_everybody_has_a_say_in_a_vote():
    assert roles(design(3, decision=Decision(kind="vote"))) == "abc"


def test_an_agent_without_weight_is_left_out_with_its_weight():
    d = design(3, decision=Decision(kind="weighted_vote", weights=(1.0, 0.0, 2.0)))
    assert roles(d) == "ac"
    assert d.decision.weights == (1.0, 2.0)


def test_who_only_the_judge_does_not_hear_is_left_out():
    d = design(4, (0, 1), (1, 2), decision=Decision(kind="judge", judge=1))
    assert roles(d) == "ab"
    assert d.decision == Decision()  # the judge is the last


def test_an_agent_heard_only_from_the_round_before_stays():
    d = design(2, temporal=(Edge(0, 1),), num_rounds=2)
    assert roles(d) == "ab"


def test_temporal_edges_mean_nothing_in_one_round():
    assert roles(design(2, temporal=(Edge(0, 1),))) == "b"
    assert design(2, (0, 1), temporal=(Edge(1, 0),)).temporal == ()


def test_the_only_agent_decides_whatever_the_kind():
    assert design(1, decision=Decision(kind="vote")) == design(1)


# ------------------------------------------------------------------ what no executor could run


@pytest.mark.parametrize(
    ("pairs", "circle"),
    [
        ([(0, 1), (1, 0)], "0 -> 1 -> 0|1 -> 0 -> 1"),
        ([(0, 1), (1, 2), (2, 0), (2, 3)], "0 -> 1 -> 2 -> 0|1 -> 2 -> 0 -> 1|2 -> 0 -> 1 -> 2"),
    ],
)
def test_a_circle_is_named(pairs, circle):
    with pytest.raises(DesignError, match=circle):
        design(4, *pairs)


def test_a_circle_through_a_watch_is_named():
    with pytest.raises(DesignError, match=r"0 -> 1 -> 0|1 -> 0 -> 1"):
        Design(agents=(agent("a", watch=(1,)), agent("b")), spatial=(Edge(0, 1),))


def test_temporal_edges_may_form_circles():
    d = design(2, temporal=(Edge(0, 1), Edge(1, 0)), num_rounds=2, decision=Decision(kind="vote"))
    assert len(d.temporal) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Design(agents=()), "at least one agent"),
        (lambda: design(1, num_rounds=0), "num_rounds"),
        (lambda: design(2, (0, 2)), "0 -> 2"),
        (lambda: design(2, (-1, 1)), "-1 -> 1"),
        (lambda: design(2, (1, 1)), "does not hear itself"),
        (lambda: design(2, (0, 1), (0, 1)), "twice"),
        (lambda: Design(agents=(agent(), agent()), spatial=(Edge(0, 1, (2,)),)), "rounds"),
        (lambda: design(2, (0, 1), temporal=(Edge(0, 1, (1,)),), num_rounds=2), "rounds"),
        (lambda: design(1, decision=Decision(kind="first")), "first"),
        (lambda: design(2, decision=Decision(kind="weighted_vote", weights=(1.0,))), "2 agents, 1 weights"),
        (lambda: design(2, decision=Decision(kind="weighted_vote", weights=(0.0, 0.0))), "not zero"),
        (lambda: design(2, decision=Decision(kind="weighted_vote", weights=(1.0, float("nan")))), "finite"),
        (lambda: design(2, decision=Decision(kind="weighted_vote", weights=(1.0, float("inf")))), "finite"),
        (lambda: design(2, decision=Decision(kind="vote", weights=(1.0, 1.0))), "only weighted_vote"),
        (lambda: design(2, decision=Decision(kind="judge")), "judge"),
        (lambda: design(2, decision=Decision(kind="judge", judge=2)), "judge"),
        (lambda: design(2, decision=Decision(judge=1)), "judge"),
        (lambda: Design(agents=(agent(), Agent(role="b", llm="m", gate=Gate(watch=(), quorum=1)))), "watches nobody"),
        (lambda: Design(agents=(agent(), agent("b", watch=(1,)))), "watches"),
        (lambda: Design(agents=(agent(), agent("b", watch=(7,)))), "7"),
        (lambda: Design(agents=(agent(), agent("b", watch=(0,), quorum=3))), "quorum 3"),
        (lambda: Design(agents=(agent(), agent("b", watch=(0,), quorum=0))), "quorum 0"),
    ],
)
def test_what_no_executor_could_run_is_refused_and_named(make, message):
    with pytest.raises(DesignError, match=message):
        make()


# ------------------------------------------------------------------ pools, labels, requests


def test_a_pool_offers_every_combination_unless_told_otherwise():
    pool = AgentPool(
        name="p",
        roles=(Role(name="r", profile=""), Role(name="s", profile="")),
        llms=(LLM(name="m", usd_per_1M_input=0, usd_per_1M_output=0),),
        operators=("answer", "cot"),
    )
    assert len(pool.candidates) == 4
    assert pool.candidates[1] == Candidate("r", "m", "cot")


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf"), None, "1"])
def test_an_unknown_price_is_refused(price):
    with pytest.raises(PoolError, match=r"'m'.*usd_per_1M_input"):
        AgentPool(
            name="p",
            roles=(Role(name="r", profile=""),),
            llms=(LLM(name="m", usd_per_1M_input=price, usd_per_1M_output=0),),
        )


def test_usd_are_counted_by_the_million_tokens():
    llm = LLM(name="m", usd_per_1M_input=2.5, usd_per_1M_output=10)
    assert llm.usd(prompt_tokens=1000, completion_tokens=100) == pytest.approx(0.0035)


def test_the_weakest_label_is_the_greatest():
    assert max(Label) is Label.SIMULATED
    assert [str(x) for x in sorted(Label)] == ["live", "replayed", "exact", "calibrated", "simulated"]


def test_a_request_is_its_own_key_and_leaves_its_origin_out():
    messages = (Message("user", "q"),)
    here = Request(llm="m", messages=messages, origin=Origin(task_id="1", role="r", operator="answer"))
    assert here == Request(llm="m", messages=messages)
    assert hash(here) == hash(Request(llm="m", messages=messages))
    assert here != Request(llm="m", messages=messages, sample=1)


def test_sample_indices_never_collide():
    assert sample_index(seed=0, copy=0) == 0
    assert len({sample_index(seed=s, copy=c) for s in (0, 1, 2, 2**31 - 1) for c in range(4)}) == 16


def test_an_edge_with_an_empty_list_of_rounds_is_in_all_rounds():
    agents = (Agent(role="a", llm="m"), Agent(role="b", llm="m"))
    listed, plain = (Design(agents=agents, spatial=(edge,)) for edge in ((0, 1, []), (0, 1)))
    assert listed == plain
    assert hash(listed) == hash(plain)
