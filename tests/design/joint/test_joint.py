from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations_with_replacement, product

import pytest
import torch

from gdesign.agents import teams
from gdesign.design.joint.critic import Critic
from gdesign.design.joint.evidence import Evidence
from gdesign.design.joint.joint import Joint
from gdesign.encode.problem import ProblemEncoder, Space
from gdesign.encode.text import HashEncoder, SurfaceEncoder
from gdesign.errors import ConfigError
from gdesign.types import Decision, Design, Edge, Outcome, Run, Task
from tests import laws, worlds

SHAPES = ("single", "pair", "vote", "cascade", "asking", "debate")


def every_design(space: Space) -> list[Design]:
    agents = list(dict.fromkeys(space.agents))
    found = [teams.single([a]) for a in agents]
    found += [teams.chain(team) for team in product(agents, repeat=2)]
    found += [teams.debate(team) for team in combinations_with_replacement(agents, 2)]
    for team in combinations_with_replacement(agents, 3):
        found.append(teams.vote(team))
    for make in (teams.cascade, teams.asking):
        found += [make(team) for team in product(agents, repeat=3)]
    return list(dict.fromkeys(found))


JOINT = laws.Method(
    name="joint",
    make=lambda space: Joint(space=space, shapes=SHAPES, gnn=worlds.gnn(16), temperature=1.0),
    designs=every_design,
    lr=0.01,
)
CRITIC = replace(
    JOINT,
    name="critic",
    make=lambda space: Critic(space=space, shapes=SHAPES, gnn=worlds.gnn(16), temperature=1.0),
)


@pytest.mark.parametrize("law", laws.applying_to(JOINT), ids=lambda law: law.__name__)
def test_joint_keeps_the_law(law):
    law(JOINT)


@pytest.mark.parametrize("law", laws.applying_to(CRITIC), ids=lambda law: law.__name__)
def test_critic_keeps_the_law(law):
    law(CRITIC)


# --------------------------------------------------------------------------- evidence


def asked(joint: Evidence, encoder: ProblemEncoder, tasks: list[Task], *, right: Callable[[int, str], bool]) -> None:
    """Let agents answer alone: rightly where `right` says so of the task's number and the LLM."""
    steps = joint.search(tasks, problems=encoder, usd_weight=0.0, generator=torch.Generator().manual_seed(0))
    jobs = next(steps, None)
    while jobs is not None:
        try:
            jobs = steps.send(replied(jobs, tasks, right))
        except StopIteration:
            jobs = None


def replied(jobs, tasks: list[Task], right: Callable[[int, str], bool]) -> list[tuple[Run, Outcome]]:
    number = {task.id: i for i, task in enumerate(tasks)}
    results = []
    for design, task, seed in jobs:
        good = right(number[task.id], design.agents[0].llm)
        answer = "right" if good else f"wrong {design.agents[0].llm}"
        run = Run(design=design, task=task, seed=seed, turns=(), answer=answer, decided_by=None, label=None)
        outcome = Outcome(
            score=float(good),
            usd=0.001,
            prompt_tokens=1,
            completion_tokens=1,
            calls=1,
            critical_path=1,
            unreadable=False,
            failures=0,
            label=None,
        )
        results.append((run, outcome))
    return results


@pytest.mark.parametrize(("failing", "seen"), [(range(0, 8), [12, 20, 20]), (range(0, 20), [20, 20, 20])])
def test_calls_that_failed_tell_nothing_of_an_agent_but_where_all_did(failing, seen):
    encoder = worlds.encoder(3)
    evidence, tasks = only(encoder, num_probes=None), worlds.tasks(20)
    steps = evidence.search(tasks, problems=encoder, usd_weight=0.0, generator=torch.Generator().manual_seed(0))
    jobs = next(steps)
    results = [
        (replace(run, answer=None), replace(outcome, score=0.0, failures=1))
        if tasks.index(run.task) in failing and run.design.agents[0].llm == "llm-0"
        else (run, outcome)
        for run, outcome in replied(jobs, tasks, lambda i, llm: True)
    ]
    with pytest.raises(StopIteration):
        steps.send(results)
    assert evidence.get_extra_state()["record"]["seen"].sum(0).tolist() == seen


def only(encoder: ProblemEncoder, **options: object) -> Evidence:
    return Evidence(space=encoder.space, shapes=["single", "cascade"], **options)


def with_critic(encoder: ProblemEncoder) -> Joint:
    return Joint(space=encoder.space, shapes=["single", "cascade"], num_probes=None, gnn=worlds.gnn(16))


def test_evidence_alone_finds_the_agent_that_is_right():
    encoder, tasks = worlds.encoder(4), worlds.tasks(30)
    joint = only(encoder)
    asked(joint, encoder, tasks, right=lambda i, llm: llm == "llm-2")
    designs = joint(encoder(worlds.tasks(36)[30:], usd_weight=1.0), greedy=True).designs
    assert {d.agents[-1].llm for d in designs} == {"llm-2"}
    assert {len(d.agents) for d in designs} == {1}


def test_evidence_is_part_of_the_state():
    encoder, tasks = worlds.encoder(4), worlds.tasks(30)
    joint, other = only(encoder), only(encoder)
    asked(joint, encoder, tasks, right=lambda i, llm: i % 3 == 0 or llm == "llm-1")
    other.load_state_dict(joint.state_dict())
    problem = encoder(worlds.tasks(34)[30:], usd_weight=0.3)
    first, second = joint(problem, greedy=True), other(problem, greedy=True)
    assert first.designs == second.designs
    assert torch.equal(first.log_prob, second.log_prob)


def test_an_agent_added_later_is_used_after_a_few_questions():
    tasks = worlds.tasks(30)
    small, large = worlds.encoder(3), worlds.encoder(4)
    joint = only(small)
    asked(joint, small, tasks, right=lambda i, llm: i % 3 == 2)
    grown = only(large)
    grown.load_state_dict(joint.state_dict())
    with pytest.raises(ConfigError, match="nothing is known of the agent role-3/llm-3"):
        grown(large(tasks[:1]), greedy=True)
    grown.num_probes = 10
    asked(grown, large, tasks, right=lambda i, llm: llm == "llm-3")
    designs = grown(large(worlds.tasks(32)[30:], usd_weight=0.01), greedy=True).designs
    assert {d.agents[-1].llm for d in designs} == {"llm-3"}


def test_the_critic_does_not_look_who_an_agent_is_that_was_added_later():
    tasks = worlds.tasks(30)
    small, large = worlds.encoder(3), worlds.encoder(4)
    joint, grown = with_critic(small), with_critic(large)
    asked(joint, small, tasks, right=lambda i, llm: i % 3 == 2)
    grown.load_state_dict(joint.state_dict())
    asked(grown, large, tasks, right=lambda i, llm: llm == "llm-3")
    grown.eval()
    problem = large(worlds.tasks(32)[30:], usd_weight=0.01)
    disguised = problem.clone()
    added, known = problem.slot == 3, problem.slot == 2
    disguised.x[added] = problem.x[known]
    disguised.features[added] = problem.features[known]
    expected = grown.expect(problem, [teams.single([large.space.agents[3]])] * 2)
    again = grown.expect(disguised, [teams.single([large.space.agents[3]])] * 2)
    assert all(torch.equal(a, b) for a, b in zip(expected, again, strict=True))


def test_new_agents_are_compared_on_questions_of_the_record_only():
    small, large = worlds.encoder(3), worlds.encoder(4)
    joint, grown = only(small), only(large)
    asked(joint, small, worlds.tasks(20), right=lambda i, llm: True)
    grown.load_state_dict(joint.state_dict())
    with pytest.raises(ConfigError, match="none of these 2 questions is one that the agents known so far were asked"):
        asked(grown, large, worlds.tasks(42)[40:], right=lambda i, llm: True)


@pytest.mark.parametrize(("features", "num_probes"), [(SurfaceEncoder(), None), (HashEncoder(), 1)])
def test_evidence_is_finite_for_any_features_and_one_question(features, num_probes):
    encoder, tasks = ProblemEncoder(pool=worlds.pool(4), encoder=features), worlds.tasks(30)
    joint = only(encoder)
    joint.num_probes = num_probes
    asked(joint, encoder, tasks, right=lambda i, llm: llm == "llm-2")
    assert joint(encoder(tasks, usd_weight=0.1), greedy=True).log_prob.isfinite().all()


def test_the_price_of_cost_chooses_between_a_cheap_and_a_dear_agent():
    encoder = worlds.encoder(4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        joint = Joint(space=encoder.space)
    cheap, dear = (joint(encoder(worlds.tasks(1), usd_weight=price), greedy=True).designs[0] for price in (100.0, 0.0))
    usd = [joint.expect(encoder(worlds.tasks(1)), [design])[1] for design in (cheap, dear)]
    assert usd[0] < usd[1]


def test_a_share_of_the_draws_in_training_takes_any_shape_however_dear():
    encoder = worlds.encoder(4)
    joint = Joint(space=encoder.space, shapes=SHAPES, explored=0.3)
    problem = encoder(worlds.tasks(1) * 30, usd_weight=1000.0)

    def share_of_debates():
        designs = joint(problem, num_designs=100, generator=torch.Generator().manual_seed(0)).designs
        return sum(design.num_rounds == 2 for design in designs) / len(designs)

    assert share_of_debates() == pytest.approx(0.3 / len(SHAPES), abs=0.01)
    joint.eval()
    assert share_of_debates() == 0


@pytest.mark.parametrize("explored", [0.0, 0.1])
def test_in_training_the_probabilities_of_all_designs_add_up_to_one(explored):
    encoder = worlds.encoder(3)
    joint = Joint(space=encoder.space, shapes=SHAPES, explored=explored)
    designs = every_design(encoder.space)
    assert joint.training
    log_prob = joint.log_prob(encoder(worlds.tasks(1) * len(designs), usd_weight=0.3), designs)
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_greedily_the_design_worth_most_is_taken_in_training_too():
    encoder = worlds.encoder(6)
    joint = Joint(space=encoder.space, shapes=["single", "complete"], temperature=100.0, explored=0.9)
    problem = encoder(worlds.tasks(8), usd_weight=0.0)
    in_training = joint(problem, greedy=True).designs
    assert in_training == joint.eval()(problem, greedy=True).designs
    assert any(len(design.agents) > 1 for design in in_training)


def test_a_shape_for_which_there_are_too_few_agents_is_left_out():
    encoder = worlds.encoder(3)
    joint = Joint(space=encoder.space, shapes=["single", "cascade", "cascade_twice"], reuse=False)
    designs = joint(encoder(worlds.tasks(50)), generator=torch.Generator().manual_seed(0)).designs
    assert {len(design.agents) for design in designs} <= {1, 3}


@pytest.mark.parametrize("explored", [-0.1, 1.0])
def test_a_share_of_draws_that_is_none_is_refused(explored):
    with pytest.raises(ConfigError, match="share of the draws"):
        Joint(space=worlds.encoder(3).space, explored=explored)


def test_neither_critic_nor_evidence_is_refused():
    encoder = worlds.encoder(3)
    with pytest.raises(ConfigError, match="nothing but evidence"):
        Evidence(space=encoder.space)(encoder(worlds.tasks(1)))


def test_several_draws_for_one_task_are_looked_at_as_one():
    encoder = worlds.encoder(4)
    joint = Joint(space=encoder.space)
    tasks = [task for task in worlds.tasks(3) for _ in range(4)]
    together = joint(encoder(tasks, usd_weight=0.1), greedy=True)
    for i in (0, 5, 11):
        alone = joint(encoder([tasks[i]], usd_weight=0.1), greedy=True)
        assert alone.designs == [together.designs[i]]
        torch.testing.assert_close(alone.log_prob[0], together.log_prob[i])


# --------------------------------------------------------------------------- large pools


SMALL_CRITIC = partial(Critic, gnn=worlds.gnn(8))


def large(make: Callable[..., Evidence | Critic] = SMALL_CRITIC) -> tuple[ProblemEncoder, Evidence | Critic]:
    """Return a designer over more agents than can be listed."""
    encoder = worlds.encoder(20)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return encoder, make(space=encoder.space)


def test_a_catalogue_that_cannot_hold_all_grows_by_what_is_held_best():
    encoder, critic = large()
    problem = encoder(worlds.tasks(4), usd_weight=0.01)
    before = critic(problem, greedy=True).value
    size = len(critic.catalogue(encoder.space).designs)
    for step in range(1, 9):
        critic(problem, generator=torch.Generator().manual_seed(step))
        critic.step_taken(step)
    assert len(critic.catalogue(encoder.space).designs) > size
    assert (critic(problem, greedy=True).value >= before).all()
    assert critic(problem, greedy=True).value.sum() > before.sum()


def test_what_was_proposed_is_part_of_the_state():
    encoder, critic = large()
    problem = encoder(worlds.tasks(4), usd_weight=0.01)
    assert critic.propose(problem, num_asked=4)
    other = large()[1]
    other.load_state_dict(critic.state_dict())
    first, second = critic.eval()(problem, greedy=True), other.eval()(problem, greedy=True)
    assert first.designs == second.designs
    assert torch.equal(first.log_prob, second.log_prob)


def test_gradients_reach_the_drawn_designs_of_a_large_catalogue():
    encoder, critic = large()
    draft = critic(encoder(worlds.tasks(4), usd_weight=0.01), num_designs=2)
    torch.testing.assert_close(draft.value, draft.expected.score - 0.01 * draft.expected.usd)
    draft.value.sum().backward()
    assert all(parameter.grad is not None for parameter in critic.parameters())


def test_what_is_expected_of_a_design_does_not_depend_on_those_beside_it():
    encoder, critic = large()
    problem = encoder(worlds.tasks(2), usd_weight=0.01)
    agents = encoder.space.agents
    any_team = Design(
        agents=tuple(agents[:6]), spatial=(Edge(0, 3), Edge(1, 3), Edge(3, 5)), decision=Decision(kind="vote")
    )
    alone = critic.expect(problem, [any_team] * 2)
    beside = critic.expect(problem, [any_team, teams.debate(agents[:8]), any_team], of=torch.tensor([0, 0, 1]))
    torch.testing.assert_close(beside.score[[0, 2]], alone.score)


def test_all_agents_are_asked_a_few_questions_and_the_better_ones_more():
    encoder, joint = large(partial(Evidence, max_probes=200))
    asked(joint, encoder, worlds.tasks(40), right=lambda i, llm: llm in ("llm-2", "llm-3") or (i + len(llm)) % 5 == 0)
    seen = joint.get_extra_state()["record"]["seen"].sum(0)
    assert seen.min() >= 1
    assert set(seen.topk(2).indices.tolist()) == {2, 3}
    assert seen.sum() < 300
    designs = joint.eval()(encoder(worlds.tasks(44)[40:], usd_weight=0.05), greedy=True).designs
    assert {design.agents[0].llm for design in designs} <= {"llm-2", "llm-3"}


def test_specialists_are_found_among_many_though_each_is_poor_at_most_questions():
    encoder, joint = large(partial(Evidence, max_probes=300))
    tasks = worlds.tasks(60)
    domains = sorted({task.domain for task in tasks})
    expert = {domain: f"llm-{i + 2}" for i, domain in enumerate(domains)}
    asked(joint, encoder, tasks, right=lambda i, llm: expert[tasks[i].domain] == llm or (i + len(llm)) % 4 == 0)
    record = joint.get_extra_state()["record"]
    seen = record["seen"].sum(0)
    asked_of = {llm: 0 for llm in expert.values()}
    for (_, llm, _), num in zip(record["agents"], seen.tolist(), strict=True):
        if llm in asked_of:
            asked_of[llm] += num
    assert min(asked_of.values()) > seen.sum() / len(encoder.space.pool.llms)
