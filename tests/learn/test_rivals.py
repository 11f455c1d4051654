import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from gdesign.agents.policies.agreement_cascade import agreement_cascade
from gdesign.agents.teams import chain, single
from gdesign.design.base import Expected
from gdesign.design.choose import held
from gdesign.design.fixed import Fixed
from gdesign.design.searches.exhaustive import Search
from gdesign.encode.problem import ProblemEncoder
from gdesign.encode.text import HashEncoder
from gdesign.execute.arena import LocalArena
from gdesign.execute.reward import Reward
from gdesign.learn.data import TaskData, items
from gdesign.learn.evaluate import evaluate_into
from gdesign.learn.fit import fit
from gdesign.learn.rivals import compare
from gdesign.runs import checkpoint
from gdesign.runs.log import RunsFile, read_runs
from gdesign.runs.money import COMPARISON, comparison_runs, spent
from gdesign.runs.standing import read_standing
from gdesign.types import LLM, Role
from tests import worlds
from tests.learn.parts import Tiny, make_arena, make_data, make_module, make_trainer, right_first

pytestmark = pytest.mark.filterwarnings(
    "ignore:The '.*dataloader' does not have many workers",
    "ignore:Checkpoint directory .* exists and is not empty",
    "ignore:You have overridden `transfer_batch_to_device`",
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated",
)


class Stubborn(Fixed):
    """Has a parameter to learn, and draws a chain of all agents whatever it is."""

    def __init__(self, space, topology=chain, **chosen):
        super().__init__(space=space, topology=topology, **chosen)
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, problem, *, num_designs=1, generator=None, greedy=False):
        draft = super().forward(problem, num_designs=num_designs, generator=generator, greedy=greedy)
        draft.log_prob = draft.log_prob + 0 * self.weight
        return draft


def trained(folder, *, make=Stubborn, problems=None, arena=None, reward=Reward(usd_weight=0.1), data=None):
    """Train, compare and return the module and what was found."""
    problems = worlds.encoder() if problems is None else problems
    with RunsFile(folder / "runs.jsonl") as log, (arena or make_arena)(log=log) as runs:
        module = make_module(make(space=problems.space), problems, runs, reward=reward)
        data = make_data() if data is None else data
        fit(module, data, folder=folder, make_trainer=make_trainer(1), resume=True)
        return module, compare(module, data, folder=folder, seed=0)


def test_a_designer_whose_team_is_always_wrong_is_worse_than_the_agent_that_is_always_right(tmp_path):
    _, standing = trained(tmp_path)
    best = standing.best(0.1, "single")
    assert [a.llm for a in best.worth.design.agents] == ["llm-0"]
    assert best.worth.score == 1.0
    assert best.difference == pytest.approx(standing.utility - best.worth.utility(0.1))
    assert standing.lost_to == best
    assert read_standing(tmp_path / checkpoint.BEST) == standing


def test_a_designer_that_holds_the_best_agent_best_does_not_lose_to_it(tmp_path):
    _, standing = trained(tmp_path, make=lambda space: Stubborn(space, topology=single, num_agents=1))
    assert standing.lost_to is None
    assert standing.best(0.1, "single").difference == 0


def test_a_policy_is_compared_by_its_own_runs_and_evaluated_as_a_design_is(tmp_path):
    make = partial(Stubborn, topology=agreement_cascade, slots=[1, 2])
    module, standing = trained(tmp_path, make=make)
    assert standing.score == 0.0
    assert standing.best(0.1, "single").worth.score == 1.0
    rows = [row for row in read_runs(tmp_path / "runs.jsonl") if row["phase"] == "fit:validation"]
    assert all(len(row["design"]["agents"]) == 2 for row in rows)
    with make_arena() as runs:
        summary = evaluate_into(
            tmp_path, module.designer, items(worlds.tasks(4)), problems=module.problems, arena=runs, split="test",
            num_samples=1, reward=Reward(), training={},
        )  # fmt: skip
    assert (summary["num_distinct_designs"], summary["calls"], summary["critical_path"]) == (1, 2, 2)


class Expecting(Stubborn):
    """Expects its team to be right nine times in ten, for 1 USD; it is never right."""

    def forward(self, problem, *, num_designs=1, generator=None, greedy=False):
        draft = super().forward(problem, num_designs=num_designs, generator=generator, greedy=greedy)
        draft.expected = Expected(torch.full_like(draft.log_prob, 0.9), torch.ones_like(draft.log_prob))
        return draft


def test_what_a_designer_expects_is_told_as_it_was_borne_out_on_validation(tmp_path):
    tasks = worlds.tasks(70)
    data = TaskData(train=tasks[:8], validation=tasks, batch_size=2, shuffle_questions=False, seed=3)
    module, standing = trained(tmp_path, make=Expecting, data=data)
    assert standing.calibration.n == 70
    told = standing.deployed(module.designer, deploy="learned")
    (best,) = held(told, module.problems, [worlds.tasks(71)[70]], usd_weight=0.1)
    assert best.score == pytest.approx(0.0, abs=0.02)
    assert best.usd == pytest.approx(standing.usd)
    assert read_standing(tmp_path / checkpoint.BEST) == standing
    rows = [row for row in read_runs(tmp_path / "runs.jsonl") if row["phase"] == COMPARISON]
    assert len([row for row in rows if len(row["design"]["agents"]) > 1]) == 0  # its one team was run on all of them


def test_few_validation_questions_tell_nothing_of_what_is_expected(tmp_path):
    module, standing = trained(tmp_path, make=Expecting)
    assert "2 validation questions are too few to tell" in standing.calibration.why
    told = standing.deployed(module.designer, deploy="learned")
    assert held(told, module.problems, worlds.tasks(1), usd_weight=0.1)[0].score is None


def test_what_is_not_changed_by_training_is_compared_with_nothing(tmp_path):
    _, standing = trained(tmp_path, make=lambda space: Fixed(space=space, topology=chain))
    assert standing is None
    assert not (tmp_path / "runs.jsonl").exists()


def test_a_search_that_asked_every_agent_is_compared_by_those_runs_alone(tmp_path):
    _, standing = trained(tmp_path, make=lambda space: Search(space=space, families=("singles",)))
    assert standing.in_sample
    assert standing.took["runs"] == 0
    assert len(standing.rivals) == 3


def test_a_team_that_was_run_often_is_among_what_was_seen(tmp_path):
    module, standing = trained(tmp_path)
    assert standing.best(0.1, "seen").worth.design == module.designer.design
    assert standing.best(0.1, "seen").difference == 0


def test_what_the_comparison_ran_is_no_cost_of_the_training_and_draws_nothing_of_its_randomness(tmp_path):
    module, standing = trained(tmp_path)
    rows = list(read_runs(tmp_path / "runs.jsonl"))
    extra = [row for row in rows if row["phase"] == COMPARISON]
    assert standing.took["runs"] == len(extra) == 3 * 2  # each agent on each validation question
    assert spent(tmp_path)["runs"] == len(rows) - len(extra)
    with make_arena() as arena:
        alone = make_module(Stubborn(worlds.encoder().space), worlds.encoder(), arena, reward=Reward(usd_weight=0.1))
        fit(alone, make_data(), folder=tmp_path / "alone", make_trainer=make_trainer(1))
    assert torch.equal(module.generator.get_state(), alone.generator.get_state())


def test_the_same_training_again_asks_nothing_again_and_finds_the_same(tmp_path):
    _, first = trained(tmp_path)
    num = sum(1 for _ in read_runs(tmp_path / "runs.jsonl"))
    _, second = trained(tmp_path)
    assert first == second
    assert sum(1 for _ in read_runs(tmp_path / "runs.jsonl")) == num


def many(num_llms=12, num_roles=5):
    """A pool of so many agents, of which those with one LLM are right more often, and how they are asked."""
    llms = tuple(LLM(name=f"llm-{i}", usd_per_1M_input=0.1, usd_per_1M_output=0.4) for i in range(num_llms))
    roles = tuple(Role(name=f"role-{i}", profile=f"You are expert {i}.") for i in range(num_roles))
    pool = replace(worlds.pool(1), roles=roles, llms=llms, candidates=(), anchor=())
    problems = ProblemEncoder(pool=pool, encoder=HashEncoder(dim=32), slots=None, anchor="none")

    def answer(request):
        number = int(request.origin.task_id.removeprefix("q"))
        llm, role = int(request.llm.removeprefix("llm-")), int(request.origin.role.removeprefix("role-"))
        right = (7 * number + 3 * role + llm) % 10 < (9 if llm == 7 else 4)
        return f"Answer: {number if right else 'wrong'}"

    def arena(log):
        return LocalArena(pool=pool, llm=worlds.Scripted(answer), benchmark=Tiny(), log=log)

    return problems, arena


def test_among_many_agents_a_good_one_is_found_in_few_runs(tmp_path):
    problems, arena = many()
    data = make_data(tasks=worlds.tasks(40))
    _, standing = trained(
        tmp_path,
        make=lambda space: Stubborn(space, num_agents=3),
        problems=problems,
        arena=arena,
        reward=Reward(),
        data=data,
    )
    assert {r.worth.design.agents[0].llm for r in standing.rivals if r.kind == "single"} == {"llm-7"}
    before = spent(tmp_path)["runs"]
    assert standing.took["runs"] <= comparison_runs(training=before, candidates=60, validation=2)


def evaluated(folder, *, deploy, usd_weight=0.1):
    module, standing = trained(folder)
    with RunsFile(folder / "runs.jsonl") as log, make_arena(llm=worlds.Scripted(right_first), log=log) as arena:
        evaluate_into(
            folder,
            module.designer,
            items(worlds.tasks(6)),
            problems=module.problems,
            arena=arena,
            split="test",
            num_samples=1,
            reward=Reward(usd_weight=usd_weight),
            training=spent(folder),
            standing=standing,
            deploy=deploy,
        )
    return json.loads((folder / "eval.json").read_text())


def test_an_evaluation_says_what_the_learned_designer_is_worth_beside_the_best_agent(tmp_path):
    better, learned = (evaluated(tmp_path / deploy, deploy=deploy) for deploy in ("better", "learned"))
    assert (better["score"], learned["score"]) == (1.0, 0.0)
    assert (better["comparison"]["deployed"], learned["comparison"]["deployed"]) == ("single", "learned")
    for found in (better, learned):
        beside = found["comparison"]["evaluated"]
        assert (beside["learned"]["score"], beside["single"]["score"]) == (0.0, 1.0)
        assert beside["single"]["difference"] == pytest.approx(learned["utility"] - better["utility"])
        low, high = beside["single"]["interval"]
        assert low <= beside["single"]["difference"] <= high < 0
    assert sum(1 for _ in read_runs(tmp_path / "learned/runs.jsonl", phase="test")) == 6


def test_an_evaluation_says_what_was_expected_where_that_is_told(tmp_path):
    assert "expected" not in evaluated(tmp_path / "learned", deploy="learned")
    found = evaluated(tmp_path / "better", deploy="better")
    assert found["expected"] == {"score": found["score"], "usd": pytest.approx(found["usd"])}
