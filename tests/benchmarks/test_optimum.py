from statistics import fmean

import pytest

from benchmarks.optimum import measure, optimum
from gdesign.errors import ConfigError
from gdesign.execute.arena import LocalArena
from gdesign.execute.reward import Reward
from gdesign.types import LLM, Agent, AgentPool, Design, Label, Reply, Role, Task, Usage

LLMS = ("cheap", "dear", "bad")
PRICES = {"cheap": 1.0, "dear": 100.0, "bad": 0.0}
POOL = AgentPool(
    name="p",
    roles=(Role(name="solver", profile="Solve."),),
    llms=tuple(LLM(name=n, usd_per_1M_input=0, usd_per_1M_output=PRICES[n]) for n in LLMS),
)
DESIGNS = [Design(agents=(Agent(role="solver", llm=n),)) for n in LLMS]


class Exact:
    name = "exact"

    def extract(self, task, text):
        return text

    def grade(self, task, answer):
        return float(answer == task.answer)


class Oracle:
    """`dear` knows all, `cheap` knows easy questions, `bad` knows nothing."""

    async def __call__(self, request):
        knows = request.llm == "dear" or (request.llm == "cheap" and "easy" in request.messages[1].content)
        return Reply(
            text="yes" if knows else "no",
            usage=Usage(prompt_tokens=1, completion_tokens=1000),
            label=Label.SIMULATED,
        )


def questions(kind, side, n=5):
    return [
        Task(id=f"{kind}{side}{i}", question=f"{kind} {side} {i}", answer="yes", benchmark="exact") for i in range(n)
    ]


SIDES = {side: {kind: questions(kind, side) for kind in ("easy", "hard")} for side in ("choose", "score")}
REWARD = Reward(usd_weight=0.001)


@pytest.fixture
def arena():
    with LocalArena(pool=POOL, llm=Oracle(), benchmark=Exact()) as arena:
        yield arena


@pytest.fixture
def find(arena):
    def find(**changed):
        draws = {"first_draws": 2, "final_draws": 8, "score_draws": 7}
        return optimum(DESIGNS, **(SIDES | changed), arena=arena, reward=REWARD, **draws)

    return find


def test_each_class_gets_the_design_that_is_best_for_it(find):
    found = find()
    assert {k: o.design.agents[0].llm for k, o in found.items()} == {"easy": "cheap", "hard": "dear"}
    assert found["easy"].utility == pytest.approx(1 - 0.001 * 1)
    assert found["hard"].utility == pytest.approx(1 - 0.001 * 100)
    assert found["hard"].num_draws == 7
    assert found["hard"].standard_error == pytest.approx(0)


def test_a_design_is_scored_on_tasks_that_it_was_not_chosen_on(find):
    misleading = {"easy": questions("easy", "choose"), "hard": questions("easy", "c")}
    found = find(choose=misleading)
    assert found["hard"].design.agents[0].llm == "cheap"
    assert found["hard"].utility == pytest.approx(-0.001)


def test_a_task_on_both_sides_is_refused(find):
    with pytest.raises(ConfigError, match="both to choose on and to score on"):
        find(score=SIDES["choose"])


def test_a_class_without_tasks_is_refused(find):
    with pytest.raises(ConfigError, match="'hard' needs tasks"):
        find(score={"easy": questions("easy", "score")})


def test_one_design_is_measured_with_its_standard_error(arena):
    tasks = questions("easy", "a", 2) + questions("hard", "a", 2)
    found = measure(DESIGNS[0], tasks=tasks, arena=arena, reward=REWARD, num_draws=8)
    assert found.utility == pytest.approx(fmean([1, 1, 0, 0]) - 0.001)
    assert found.standard_error == pytest.approx((8 / 7 * 0.25 / 8) ** 0.5)
