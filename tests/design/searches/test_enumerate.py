import pytest

from gdesign.agents.pool import builtin
from gdesign.design.searches.enumerate import cascades, small_designs
from gdesign.types import Agent, AgentPool, Candidate, Decision, Design, Edge, Gate

POOL = builtin("simulated")
FIRST, SECOND, THIRD, _ = (Agent(role=c.role, llm=c.llm, operator=c.operator) for c in POOL.candidates)


def pool_of(n):
    return AgentPool(
        name="p", roles=POOL.roles, llms=POOL.llms, candidates=tuple(Candidate(*c) for c in POOL.candidates[:n])
    )


def test_a_pool_of_one_has_one_design():
    assert small_designs(pool_of(1)) == [Design(agents=(FIRST,))]


def test_a_pair_has_its_singles_chains_and_votes():
    both = (FIRST, SECOND)
    vote = Decision(kind="vote")
    forth, back = (Edge(0, 1),), (Edge(1, 0),)
    expected = {Design(agents=(FIRST,)), Design(agents=(SECOND,)), Design(agents=both, decision=vote)}
    expected |= {Design(agents=both, spatial=e) for e in (forth, back)}
    expected |= {Design(agents=both, spatial=e, decision=vote) for e in (forth, back)}
    assert set(small_designs(pool_of(2))) == expected


def test_each_design_is_there_once_and_the_order_is_fixed():
    designs = small_designs(POOL)
    assert len(set(designs)) == len(designs)
    assert designs == small_designs(POOL)


@pytest.mark.parametrize("hears", [(), (Edge(0, 2), Edge(1, 2))])
def test_cascades_are_there(hears):
    last = Agent(role=THIRD.role, llm=THIRD.llm, gate=Gate(watch=(0, 1), quorum=2))
    assert Design(agents=(FIRST, SECOND, last), spatial=hears) in small_designs(POOL)


def test_no_design_is_larger_than_asked_for():
    assert max(len(d.agents) for d in small_designs(POOL, 2)) == 2
    assert max(len(d.agents) for d in small_designs(POOL)) == 3


def test_copies_come_only_when_asked_for():
    twice = Design(agents=(FIRST, FIRST), decision=Decision(kind="vote"))
    assert twice not in small_designs(pool_of(2))
    assert twice in small_designs(pool_of(2), copies=True)
    assert set(small_designs(POOL)) < set(small_designs(POOL, copies=True))


@pytest.mark.parametrize("quorum", [2, 3])
def test_larger_cascades_have_every_quorum(quorum):
    last = Agent(role=SECOND.role, llm=SECOND.llm, gate=Gate(watch=(0, 1, 2), quorum=quorum))
    wanted = Design(agents=(FIRST, FIRST, FIRST, last))
    assert wanted in cascades(POOL, 4, copies=True)
    assert wanted not in cascades(POOL, 4)


def test_cascades_of_three_are_among_the_small_designs():
    assert set(cascades(POOL, 3)) <= set(small_designs(POOL))
