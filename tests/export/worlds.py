"""Designs, questions and a client for tests of exports that run."""

from collections import Counter

from gdesign.agents.pool import builtin
from gdesign.llm.simulated.client import SimulatedClient
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import Agent, Decision, Design, Edge, Gate

POOL = builtin("simulated")
BENCHMARK = Synthetic()
ASSISTANT = Agent(role="assistant", llm="small")
MATHEMATICIAN = Agent(role="mathematician", llm="math-specialist")
PROGRAMMER = Agent(role="programmer", llm="code-specialist")
REVIEWER = Agent(role="reviewer", llm="large")
ALL = (ASSISTANT, MATHEMATICIAN, PROGRAMMER, REVIEWER)
EVERYBODY = tuple((i, j) for i in range(3) for j in range(3) if i != j)


def cascade():
    gate = Gate(watch=(0, 1), quorum=2)
    return Design(agents=(ASSISTANT, ASSISTANT, Agent(role="reviewer", llm="large", gate=gate)))


def debate():
    return Design(
        agents=ALL[:3],
        temporal=tuple(Edge(i, j) for i, j in EVERYBODY),
        num_rounds=3,
        decision=Decision(kind="vote"),
    )


def complete():
    return Design(agents=ALL, spatial=tuple(Edge(i, j) for i in range(4) for j in range(i + 1, 4)))


def vote():
    weights = (1.0, 1.5, 1.5, 2.0)
    return Design(agents=ALL, decision=Decision(kind="weighted_vote", weights=weights))


def star():
    """The judge hears the others in round 1, and they hear it in round 2; it speaks no more where two of them agree."""
    gate = Gate(watch=(0, 1), quorum=2)
    judge = Agent(role="reviewer", llm="large", gate=gate)
    return Design(
        agents=(ASSISTANT, MATHEMATICIAN, judge, PROGRAMMER),
        spatial=(Edge(0, 2), Edge(1, 2)),
        temporal=(Edge(2, 0), Edge(2, 1), Edge(2, 3), Edge(3, 2, (2,))),
        num_rounds=2,
        decision=Decision(kind="judge", judge=2),
    )


DESIGNS = {"cascade": cascade(), "debate": debate(), "complete": complete(), "vote": vote(), "star": star()}


class Recording:
    """Answers as another client does, and counts the requests that come, unless it is told to fail."""

    def __init__(self, llm=None):
        self._llm = SimulatedClient(pool=POOL) if llm is None else llm
        self.requests = Counter()

    async def __call__(self, request):
        self.requests[request] += 1
        return await self._llm(request)


def tasks(num):
    """Return so many questions of all kinds: the synthetic test goes through domains and difficulties in turn."""
    return BENCHMARK.load("test")[:num]
