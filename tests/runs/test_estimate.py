from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf

from gdesign.agents.teams import chain, single, vote
from gdesign.design.fixed import Fixed
from gdesign.design.learned.gdesigner import GDesigner
from gdesign.design.searches.exhaustive import Search
from gdesign.encode.problem import ProblemEncoder
from gdesign.encode.text import HashEncoder
from gdesign.errors import ConfigError
from gdesign.llm.recording import Recording
from gdesign.runs.estimate import estimate_evaluation, estimate_training
from gdesign.runs.money import endpoints, limits_of
from gdesign.types import Label, Message, Reply, Request, Usage
from tests import worlds


def config_of(*, llm=None, **others):
    llm = {"_target_": "gdesign.llm.live.endpoint", "base_url": "https://api.example.org/v1", **(llm or {})}
    reward = {"usd_weight": 0.0, "token_weight": 0.0}
    learner = {"num_designs": 3, "num_validation_samples": 1, "teacher": None}
    parts = {"llm": llm, "reward": reward, "learner": learner, "num_test_samples": 1, "split": "test"}
    return OmegaConf.create({**parts, **others})


def of_training(make, *, test=(), num_epochs=2, **settings):
    problems = worlds.encoder()
    designer = make(space=problems.space)
    tasks = worlds.tasks(8)
    before = torch.random.get_rng_state()
    estimate = estimate_training(
        designer,
        problems,
        train=tasks,
        validation=tasks[:2],
        test=list(test),
        config=config_of(**settings),
        num_epochs=num_epochs,
    )
    assert (torch.random.get_rng_state() == before).all()
    assert designer.training
    return estimate


def of_evaluation(topology, *, num_agents=1, llm=None, num_tasks=4):
    problems = worlds.encoder()
    designer = Fixed(space=problems.space, topology=topology, num_agents=num_agents)
    return estimate_evaluation(designer, problems, worlds.tasks(num_tasks), config=config_of(llm=llm))


def test_training_is_so_many_runs_as_epochs_tasks_and_designs():
    estimate = of_training(GDesigner, test=worlds.tasks(5))
    runs = {name: part.runs for name, part in estimate.parts.items()}
    assert runs == {"training": 2 * 8 * 3, "validation": 2 * 2, "test": 5}
    assert estimate.total.runs == sum(runs.values())
    assert estimate.total.usd > 0


def test_who_imitates_runs_nothing_in_training():
    teacher = {"_target_": "gdesign.learn.teachers.best_runs"}
    estimate = of_training(GDesigner, learner={"num_designs": 3, "num_validation_samples": 2, "teacher": teacher})
    assert estimate.parts["training"].runs == 0
    assert estimate.parts["validation"].runs == 8


def test_a_search_is_estimated_by_what_it_asks_for_and_is_not_begun():
    estimate = of_training(lambda space: Search(space=space, families=("singles",)), test=worlds.tasks(5))
    assert {name: part.runs for name, part in estimate.parts.items()} == {"search": 10 * 3, "test": 5}
    assert "30 runs that the designer asks for" in str(estimate)


def test_the_calls_of_a_design_are_counted_and_priced():
    one, three = of_evaluation(single).parts["test"], of_evaluation(chain, num_agents=3).parts["test"]
    assert (one.calls, three.calls) == (4, 12)
    assert one.completion_tokens == 4 * 300
    # the second and the third hear one reply each, of 300 tokens
    assert three.prompt_tokens > 3 * one.prompt_tokens + 4 * 2 * 300
    assert one.usd == pytest.approx((one.prompt_tokens * 0.1 + one.completion_tokens * 0.4) / 1e6)


def test_an_operator_that_may_ask_again_is_taken_to_do_so():
    pool = replace(worlds.pool(1), operators=("answer", "self_refine"), candidates=())
    problems = ProblemEncoder(pool=pool, encoder=HashEncoder(dim=32), slots=None, anchor="pool")
    designer = Fixed(space=problems.space, topology=vote, num_agents=2)
    part = estimate_evaluation(designer, problems, worlds.tasks(4), config=config_of()).parts["test"]
    assert part.calls == 4 * (1 + 3)


def test_the_longest_reply_bounds_the_guess():
    assert of_evaluation(single, llm={"max_tokens": 50}).parts["test"].completion_tokens == 4 * 50


def test_replies_are_taken_to_be_as_long_as_those_of_the_recording(tmp_path):
    recording = Recording(tmp_path / "calls.sqlite", create=True)
    for i, tokens in enumerate((100, 300)):
        recording.put(
            Request(llm="llm-0", messages=(Message("user", str(i)),)),
            Reply(text="", usage=Usage(prompt_tokens=1, completion_tokens=tokens), label=Label.LIVE),
        )
    recording.close()
    estimate = of_evaluation(single, llm={"record": str(tmp_path / "calls.sqlite")})
    assert estimate.parts["test"].completion_tokens == 4 * 200
    assert "llm-0 200 tokens" in str(estimate)
    assert "holds already cost nothing" in str(estimate)


def test_many_questions_are_estimated_by_some():
    assert of_evaluation(single, num_tasks=200).parts["test"].runs == 200


# ------------------------------------------------------------------ endpoints and limits


def test_only_live_clients_have_endpoints_however_deep():
    pool = worlds.pool()
    live = config_of().llm
    assert endpoints(live, pool) == ["https://api.example.org/v1"]
    nested = OmegaConf.create({"_target_": "gdesign.llm.wrappers.Sampling", "llm": live})
    assert endpoints(nested, pool) == ["https://api.example.org/v1"]
    for target in ("gdesign.llm.simulated.SimulatedClient", "gdesign.llm.replay.offline"):
        assert endpoints(OmegaConf.create({"_target_": target}), pool) == []


def test_limits_are_read_from_a_config():
    limits = {"question": {"usd": 0.01, "tokens": None}, "agent": {"calls": None}}
    found = limits_of(config_of(llm={"max_tokens": 100}, limits=limits))
    assert found.question.usd == 0.01
    assert found.agent is None
    assert found.longest_reply == 100
    limits["longest_reply"] = 50
    assert limits_of(config_of(llm={"max_tokens": 100}, limits=limits)).longest_reply == 50


@pytest.mark.parametrize("limits", [{}, None, {"question": {"usd": None}, "agent": {"usd": None}}])
def test_no_limits_are_none(limits):
    assert limits_of(config_of(limits=limits)) is None
    assert limits_of(config_of()) is None


@pytest.mark.parametrize("usd", [0, "much"])
def test_a_limit_that_is_none_is_refused(usd):
    with pytest.raises(ConfigError, match="the limit on usd is"):
        limits_of(config_of(limits={"question": {"usd": usd}}))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (5, "limits is 5; expected a mapping"),
        ({"question": 5}, r"limits\.question is 5; expected a mapping.*limits\.question\.usd=0\.01"),
        ({"agent": {"euros": 5}}, r"limits\.agent has the limit 'euros'; expected any of usd, tokens, calls"),
        ({"agents": {"usd": 5}}, "limits has the entry 'agents'; expected any of question, agent, longest_reply"),
        ({"agent": {"usd": 5}, "longest_reply": "abc"}, r"limits\.longest_reply is 'abc'; expected a whole number"),
    ],
)
def test_limits_of_another_kind_are_named_with_what_is_expected(limits, words):
    with pytest.raises(ConfigError, match=words):
        limits_of(config_of(limits=limits))
