"""adaptive learns whom to ask first, and what to do with the answers."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import pytest
import torch

from gdesign.design.choose import greedy
from gdesign.design.joint.adaptive import Adaptive
from gdesign.design.joint.policy import NOT_ASKED, UNREADABLE, Step, Steps, canonical, form
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.errors import ConfigError
from gdesign.types import Branch, Design, Job, Outcome, Reply, Run, Stop, Task, Turn, Usage, Wave
from tests import laws, worlds

Answers = Callable[[Task, int], tuple[str | None, float]]
"""What agent m of the pool answers to a task, and whether it is right."""
USD = (0.001, 0.001, 0.02)
"""What the agents cost, for 1,000 questions."""


def finish(designer: Adaptive, encoder: ProblemEncoder, tasks: list[Task], answers: Answers) -> list[Job]:
    """Let the designer search; return what it asked for."""
    steps = designer.search(tasks, problems=encoder, usd_weight=0.05, generator=torch.Generator().manual_seed(0))
    asked, jobs = [], next(steps, None)
    while jobs is not None:
        asked += jobs
        try:
            jobs = steps.send([result(encoder.space, job, answers) for job in jobs])
        except StopIteration:
            jobs = None
    return asked


def result(space: Space, job: Job, answers: Answers) -> tuple[Run, Outcome]:
    """Return what came of one agent alone."""
    assert isinstance(job.design, Design)
    m = space.agents.index(job.design.agents[0])
    answer, score = answers(job.task, m)
    run = Run(design=job.design, task=job.task, seed=0, turns=(), answer=answer, decided_by=None, label=None)
    tokens = {"prompt_tokens": 0, "completion_tokens": 0, "calls": 1, "critical_path": 1, "failures": 0}
    return run, Outcome(score=score, usd=USD[m % 3] / 1000, unreadable=answer is None, label=None, **tokens)


def questions(num: int) -> list[Task]:
    """Return questions whose text says nothing."""
    return [Task(id=f"q{i}", question=f"Question {i}?", answer=f"right {i}", benchmark="tiny") for i in range(num)]


def drawn(*rights: float, shared: float = 0.0) -> Answers:
    """Return agents that are right so often; so often a wrong one says what other wrong ones say."""

    def answers(task: Task, m: int) -> tuple[str | None, float]:
        g = torch.Generator().manual_seed(1000 * m + int(task.id[1:]))
        right, alike = (torch.rand(2, generator=g) < torch.tensor([rights[m], shared])).tolist()
        return (task.answer if right else "popular" if alike else f"wrong {m}"), float(right)

    return answers


FIVE = drawn(0.6, 0.7, 0.9, 0.6, 0.5)


@lru_cache
def fitted(space: Space, answers: Answers = FIVE, *, num: int = 24, **settings: int | None) -> Adaptive:
    """Return a designer over the first candidates of the tiny pool that has learned from some questions."""
    designer = Adaptive(space=space, num_steps=30, **settings)
    encoder = worlds.encoder(len(set(space.slots)), slots=[space.pool.candidates.index(s) for s in space.slots])
    finish(designer, encoder, questions(num), answers)
    return designer.eval()


def policies(space: Space) -> list[Steps]:
    """Return the policies for the laws' questions at their prices, and some more."""
    designer = fitted(space)
    encoder = worlds.encoder(len(set(space.slots)), slots=[space.pool.candidates.index(s) for s in space.slots])
    prices = [0.0, 0.3]
    found = designer(encoder([t for t in worlds.tasks(2) for _ in prices], usd_weight=prices * 2)).designs
    return list(dict.fromkeys(found))


ADAPTIVE = laws.Method(name="adaptive", make=fitted, designs=policies, learned=False)


@pytest.mark.parametrize("law", laws.applying_to(ADAPTIVE), ids=lambda law: law.__name__)
def test_adaptive_keeps_the_law(law: laws.Law) -> None:
    law(ADAPTIVE)


# --------------------------------------------------------------------------- what is learned


def play(policy: Steps, task: Task, answers: Answers, encoder: ProblemEncoder) -> tuple[list[int], Stop]:
    """Return whom a policy asks on a task, in order, and how it ends."""
    order: list[int] = []
    while True:
        said = turns(*(answers(task, m)[0] for m in order))
        move = policy.next(task, [encoder.space.agents[m] for m in order], said)
        if isinstance(move, Stop):
            return order, move
        assert isinstance(move, Wave)
        order += [encoder.space.agents.index(agent) for agent in move.agents]


def turns(*answers: str | None) -> list[Turn]:
    """Return what agents said, as a policy sees it."""
    reply = Reply(text="", usage=Usage(prompt_tokens=0, completion_tokens=0), label="simulated")
    return [Turn(agent=i, round=1, reply=reply, answer=a) for i, a in enumerate(answers)]


def best(designer: Adaptive, encoder: ProblemEncoder, task: Task, price: float) -> Steps:
    """Return the policy for a question at a price."""
    (policy,) = greedy(designer, encoder, [task], usd_weight=price)
    assert isinstance(policy, Steps)
    return policy


def test_the_planted_best_policy_is_learned() -> None:
    """Two cheap agents that never agree on a wrong answer; a dear one that is always right."""
    answers, encoder = drawn(0.6, 0.6, 1.0), worlds.encoder(3)
    designer = fitted(encoder.space, answers, num=80)
    for task in questions(100)[80:]:
        order, stop = play(best(designer, encoder, task, 10.0), task, answers, encoder)
        agree = answers(task, 0)[0] == answers(task, 1)[0]
        assert set(order[:2]) == {0, 1}
        assert order[2:] == ([] if agree else [2])
        assert stop.decision.judge is not None
        assert answers(task, order[stop.decision.judge])[0] == answers(task, 0 if agree else 2)[0]


def test_whom_to_ask_next_depends_on_what_the_first_answered() -> None:
    """The first agent stays silent where the second is the expert, and errs aloud where the third is."""

    def answers(task: Task, m: int) -> tuple[str | None, float]:
        odd = int(task.id[1:]) % 3 == 0
        if m == 0:
            return (None, 0.0) if odd else (task.answer, 1.0)
        right = m == 2 or not odd
        return (task.answer, 1.0) if right else (f"wrong {m}", 0.0)

    encoder = worlds.encoder(3)
    policy = best(fitted(encoder.space, answers, num=60), encoder, questions(1)[0], 15.0)
    assert policy.steps[policy.at([])[0]].ask == (0,)
    assert policy.steps[policy.at(turns("x"))[0]].ask == ()
    assert policy.steps[policy.at(turns(None))[0]].ask == (2,)


def test_a_low_price_asks_more() -> None:
    answers, encoder = drawn(0.6, 0.7, 0.8), worlds.encoder(3)
    designer = fitted(encoder.space, answers, num=60)
    task = questions(1)[0]
    dear, cheap = (designer.frontier(encoder([task]), [price]).expected for price in (100.0, 0.01))
    assert float(cheap.usd) > float(dear.usd)
    assert float(cheap.score) > float(dear.score)


def test_waves_are_few_where_they_are_limited() -> None:
    encoder = worlds.encoder(3)
    policy = best(fitted(encoder.space, max_waves=1), encoder, questions(1)[0], 0.01)
    assert {waves for waves, _ in policy.steps} == {0, 1}
    assert all(not step.ask for (waves, _), step in policy.steps.items() if waves)


def test_answers_shuffled_between_questions_bring_no_gain() -> None:
    """Each agent is as good as before, but nobody's answer tells of another's."""
    before, encoder = drawn(0.6, 0.6, 0.6), worlds.encoder(3)

    def answers(task: Task, m: int) -> tuple[str | None, float]:
        other = replace(task, id=f"q{(int(task.id[1:]) + 17 * m) % 100}")
        answer, score = before(replace(other, answer=f"right {other.id[1:]}"), m)
        return answer, score

    designer = fitted(encoder.space, answers, num=80)
    scores, alone = [], []
    for task in questions(100):
        order, stop = play(best(designer, encoder, task, 1.0), task, answers, encoder)
        assert stop.decision.judge is not None
        scores.append(answers(task, order[stop.decision.judge])[1])
        alone.append(answers(task, 0)[1])
    assert sum(scores) <= sum(alone) + 10


# --------------------------------------------------------------------------- what it reads


def test_answers_count_by_equality_alone() -> None:
    encoder = worlds.encoder(3)
    policy = best(fitted(encoder.space), encoder, questions(1)[0], 0.01)
    first = policy.next(questions(1)[0], [], [])
    assert isinstance(first, Wave)
    renamed = {"a": "x", "b": "y", None: None}
    for said in (["a"], ["a", "a"], ["a", "b"], [None, "a"]):
        place, order = policy.at(turns(*said))
        assert policy.at(turns(*(renamed[a] for a in said))) == (place, order)


def test_the_right_answer_is_not_looked_at() -> None:
    encoder = worlds.encoder(3)
    designer = fitted(encoder.space)
    task = questions(1)[0]
    other = replace(task, answer="another")
    assert best(designer, encoder, task, 0.1) == best(designer, encoder, other, 0.1)


def test_forms_that_are_never_right_count_as_unreadable() -> None:
    def answers(task: Task, m: int) -> tuple[str | None, float]:
        answer, score = drawn(0.5, 0.6, 0.7)(task, m)
        return (answer, score) if score else ("1.5", 0.0)

    encoder = worlds.encoder(3)
    policy = best(fitted(encoder.space, answers, num=60), encoder, questions(1)[0], 0.01)
    (_, state), _ = policy.at(turns("2.25"))
    assert UNREADABLE in state
    assert form("2.25") == form("17.5") != form("2")


def test_a_call_that_failed_agrees_with_nothing_even_where_no_answer_is_one() -> None:
    agents = worlds.encoder(3).space.agents[:2]
    asks = {"take": None, "reach": 1.0, "gain": 0.1, "usd": 0.0}
    ends = {"ask": (), "reach": 1.0, "gain": 0.0, "usd": 0.0}
    steps = {
        (0, (NOT_ASKED, NOT_ASKED)): Step(ask=(0, 1), sure=(), **asks),
        (1, (1, 1)): Step(take=0, sure=(0.9,), **ends),
        (1, (UNREADABLE, UNREADABLE)): Step(take=None, sure=(), **ends),
    }
    policy = Steps(agents=agents, steps=steps, blank=True)
    failed = [Turn(agent=i, round=1, error="no reply") for i in range(2)]
    assert policy.next(questions(1)[0], agents, turns(None, None)).probability == 0.9
    assert policy.next(questions(1)[0], agents, failed).probability == 0.0


def test_a_first_wave_that_limits_cut_short_ends_in_a_vote() -> None:
    policy = best(fitted(worlds.encoder(3).space, max_waves=2), worlds.encoder(3), questions(1)[0], 0.0)
    first = policy.next(questions(1)[0], (), ())
    assert isinstance(first, Wave)
    assert len(first.agents) > 1
    assert policy.next(questions(1)[0], first.agents[:1], turns("24")) == Stop(
        reason="not all of a wave were asked, so nothing is planned from here on"
    )


def test_canonical_states_number_blocks_by_their_first_agents() -> None:
    assert canonical([3, NOT_ASKED, 1, UNREADABLE, 3]) == (1, NOT_ASKED, 2, UNREADABLE, 1)


# --------------------------------------------------------------------------- what is shown and kept


def test_expected_score_and_cost_are_those_of_the_tree() -> None:
    encoder = worlds.encoder(3)
    designer = fitted(encoder.space)
    policy = best(designer, encoder, questions(1)[0], 0.1)
    tree = policy.tree(9)

    def leaves(branch: Branch, above: float = 1.0) -> float:
        here = above * branch.probability
        return here if not branch.branches else sum(leaves(b, here) for b in branch.branches)

    assert leaves(tree) == pytest.approx(1.0, abs=1e-3)
    score, usd = policy.expected()
    assert 0 < score <= 1
    assert usd > 0
    assert isinstance(tree.move, Wave)
    assert "USD per 1,000 questions" in tree.move.reason


def test_a_checkpoint_gives_the_same_policies() -> None:
    encoder = worlds.encoder(3)
    designer = fitted(encoder.space)
    again = Adaptive(space=encoder.space)
    again.load_state_dict(designer.state_dict())
    for task in questions(3):
        assert best(designer, encoder, task, 0.2) == best(again, encoder, task, 0.2)


def test_agents_may_be_added_later() -> None:
    small, large = worlds.encoder(2), worlds.encoder(3)
    designer = fitted(small.space)
    wider = Adaptive(space=large.space, num_steps=30)
    wider.load_state_dict(designer.state_dict())
    asked = finish(wider, large, questions(30), drawn(0.6, 0.7, 0.9))
    assert {job.design.agents[0] for job in asked} == {large.space.agents[2]}
    assert best(wider, large, questions(1)[0], 0.0).agents[-1] == large.space.agents[2]


def test_an_untrained_designer_says_what_to_do() -> None:
    encoder = worlds.encoder(3)
    with pytest.raises(ConfigError, match="train first"):
        Adaptive(space=encoder.space)(encoder(questions(1)))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"num_probes": 0}, "num_probes must be 1 or more; got 0"),
        ({"max_probes": -5}, "max_probes must be 1 or more; got -5"),
        ({"ridge": -1.0}, "ridge must be 0 or more; got -1.0"),
        ({"text_ridge": -0.5}, "text_ridge must be 0 or more; got -0.5"),
    ],
)
def test_numbers_that_nothing_can_be_fitted_with_are_refused(settings: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Adaptive(space=worlds.encoder(3).space, **settings)


def test_a_plan_that_no_memory_holds_is_refused() -> None:
    space = worlds.encoder(12).space
    with pytest.raises(ConfigError, match=r"a plan over 190,\d+ states is too large.*pool_size=12"):
        Adaptive(space=space, pool_size=12)
    Adaptive(space=worlds.encoder(3).space, pool_size=12)


def test_the_most_runs_are_told_where_not_everybody_can_be_asked_everything() -> None:
    space = worlds.encoder(3).space
    assert Adaptive(space=space, num_probes=10, max_probes=30).num_runs is None
    assert Adaptive(space=space, num_probes=10, max_probes=20).num_runs == 20
    assert Adaptive(space=space, max_probes=2).num_runs == 3
