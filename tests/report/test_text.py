import pytest

from gdesign.report.text import describe, describe_tree, money
from gdesign.types import Agent, Branch, Decision, Design, Edge, Gate, Stop, Wave
from tests.strategies import CASCADE, DEBATE


def test_a_design_is_told_in_words():
    assert describe(CASCADE).splitlines() == [
        "3 agents",
        "  1. solver (a)",
        "  2. solver (b, cot)",
        "  3. solver (c): speaks only while fewer than 2 of 1, 2 agree",
        "  the last to speak decides",
    ]
    assert "2 agents, 2 rounds" in describe(DEBATE)
    assert "  1. x (a): hears of the round before 2" in describe(DEBATE)


def test_how_the_answer_is_chosen_is_told():
    def last_line(kind, **settings):
        agents = (Agent(role="x", llm="a"), Agent(role="y", llm="b"))
        edges = {"spatial": (Edge(0, 1),), "temporal": (Edge(1, 0),), "num_rounds": 2}
        design = Design(agents=agents, **edges, decision=Decision(kind=kind, **settings))
        return describe(design).splitlines()[-1].strip()

    assert last_line("vote") == "the most frequent answer wins"
    assert last_line("weighted_vote", weights=(1.0, 2.5)) == "the answer with the largest weight wins (1, 2.5)"
    assert last_line("judge", judge=0) == "agent 1 decides"
    assert describe(Design(agents=(Agent(role="x", llm="a"),))).splitlines()[-1] == "  its answer stands"


def test_what_a_policy_may_do_is_told_as_a_tree():
    a, b = Agent(role="x", llm="a"), Agent(role="y", llm="b", operator="cot")
    stop = Branch(move=Stop(reason="both agree", probability=0.91), when="b says the same", probability=0.7)
    more = Branch(move=Wave(agents=(a, a), hears=((0, 1), ())), when="b differs", probability=0.3)
    tree = Branch(move=Wave(agents=(a, b), reason="cheapest first"), branches=(stop, more))
    assert describe_tree(tree).splitlines() == [
        "wave 1: 1. x (a); 2. y (b, cot): cheapest first",
        "  0.70 b says the same: stop (right with probability 0.91): both agree",
        "  0.30 b differs: wave 2: 3. x (a) hears 1, 2; 4. x (a)",
    ]


def test_an_agent_that_is_only_asked_later_waits():
    design = Design(agents=(Agent(role="x", llm="a"), Agent(role="y", llm="b", gate=Gate(watch=(0,), quorum=2))))
    assert "  2. y (b): waits for 1" in describe(design)


def test_an_edge_of_some_rounds_names_them():
    agents = (Agent(role="x", llm="a"), Agent(role="y", llm="b"))
    design = Design(agents=agents, temporal=(Edge(1, 0, (3,)), Edge(0, 1)), num_rounds=3, decision=DEBATE.decision)
    assert "hears of the round before 2 (round 3)" in describe(design)


AMOUNTS = {0: "0", 0.003253: "0.0033", 0.0999: "0.10", 1.6464: "1.6", 12.3: "12", 4711.0: "4,700", -0.5: "-0.50"}


@pytest.mark.parametrize(("usd", "said"), AMOUNTS.items())
def test_money_has_two_significant_digits(usd, said):
    assert money(usd) == said
