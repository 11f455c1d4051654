from gdesign.report.text import describe
from gdesign.types import Agent, Decision, Design, Edge
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


def test_an_edge_of_some_rounds_names_them():
    agents = (Agent(role="x", llm="a"), Agent(role="y", llm="b"))
    design = Design(agents=agents, temporal=(Edge(1, 0, (3,)), Edge(0, 1)), num_rounds=3, decision=DEBATE.decision)
    assert "hears of the round before 2 (round 3)" in describe(design)
