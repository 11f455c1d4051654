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
from gdesign.errors import LLMError
from gdesign.execute.plan import Plan
from gdesign.llm.recording import Recording
from gdesign.runs.estimate import epochs_left, estimate_evaluation, estimate_training, time_calls
from gdesign.types import Label, Message, Reply, Request, Usage
from tests import worlds
from tests.runs.parts import config_of


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
    assert runs == {"training": 2 * 8 * 3, "validation": 2 * 2, "test": 5, "comparison": (3 + 2) * 2, "rival": 5}
    assert estimate.total.runs == sum(runs.values())
    assert estimate.total.usd > 0


def test_who_imitates_runs_nothing_in_training():
    teacher = {"_target_": "gdesign.learn.teachers.best_runs"}
    estimate = of_training(GDesigner, learner={"num_designs": 3, "num_validation_samples": 2, "teacher": teacher})
    assert estimate.parts["training"].runs == 0
    assert estimate.parts["validation"].runs == 8


def test_a_search_is_estimated_by_what_it_asks_for_and_is_not_begun():
    estimate = of_training(lambda space: Search(space=space, families=("singles",)), test=worlds.tasks(5))
    runs = {name: part.runs for name, part in estimate.parts.items()}
    assert runs == {"search": 10 * 3, "test": 5, "comparison": (3 + 2) * 2, "rival": 5}
    assert "30 runs that the designer asks for" in str(estimate)


def test_the_calls_of_a_design_are_counted_and_priced():
    one, three = of_evaluation(single).parts["test"], of_evaluation(chain, num_agents=3).parts["test"]
    assert (one.calls, three.calls) == (4, 12)
    assert one.completion_tokens == 4 * 300
    # the second and the third hear one reply each, of 300 tokens
    assert three.prompt_tokens > 3 * one.prompt_tokens + 4 * 2 * 300
    assert one.usd == pytest.approx((one.prompt_tokens * 0.1 + one.completion_tokens * 0.4) / 1e6)


def test_ways_of_working_that_were_recorded_elsewhere_are_counted_by_their_question():
    pool = worlds.pool(1)
    (candidate,) = pool.candidates
    recorded = candidate._replace(operator="multi-persona")
    pool = replace(pool, operators=("multi-persona",), candidates=(recorded,))
    problems = ProblemEncoder(pool=pool, encoder=HashEncoder(dim=32), slots=None, anchor="pool")
    designer = Fixed(space=problems.space, topology=single, num_agents=1)
    estimate = estimate_evaluation(designer, problems, worlds.tasks(4), config=config_of())
    assert estimate.total.calls == 4
    assert estimate.total.prompt_tokens > 0


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


def test_minutes_are_told_by_what_recorded_calls_took_and_recorded_calls_are_counted(tmp_path):
    problems, task = worlds.encoder(), worlds.tasks(4)[0]
    alone = single([problems.space.agents[0]])
    asked = Plan(alone, pool=problems.space.pool).request(0, task, seed=0, heard=(), previous=None)
    recording = Recording(tmp_path / "calls.sqlite", create=True)
    for request, seconds in ((asked, 20.0), (replace(asked, sample=7), 40.0)):
        usage = Usage(prompt_tokens=1, completion_tokens=5)
        recording.put(request, Reply(text="", usage=usage, label=Label.LIVE, seconds=seconds))
    recording.close()
    live = {"_target_": "gdesign.llm.live.endpoint", "record": str(tmp_path / "calls.sqlite")}
    estimate = of_evaluation(single, llm=live | {"base_url": "http://127.0.0.1:9/v1"})
    part = estimate.parts["test"]
    assert (part.calls, part.recorded, part.seconds) == (4, 1, 3 * 30.0 / 4)
    assert "recorded    minutes" in str(estimate)
    assert "llm-0 30.0 s, 4 in flight" in str(estimate)
    assert "how long llm-1, llm-2 take is not known yet, and not in the minutes" in str(estimate)
    elsewhere = of_evaluation(single, llm=live | {"base_url": "https://example.org/v1", "max_concurrent": 2})
    assert elsewhere.parts["test"].seconds == 3 * 30.0 / 2


def test_where_nothing_is_known_of_seconds_no_minutes_are_told():
    text = str(of_evaluation(single))
    assert "minutes" not in text
    assert "how long llm-0, llm-1, llm-2 take is not known yet; once some" in text


class Timed:
    """Takes longer to answer each time; of the last LLM there is no answer."""

    def __init__(self):
        self.asked = []

    async def __call__(self, request):
        if request.llm == "llm-2":
            raise LLMError("down")
        self.asked.append((request.llm, request.origin.task_id))
        usage = Usage(prompt_tokens=1, completion_tokens=1)
        return Reply(text="", usage=usage, label=Label.LIVE, seconds=float(len(self.asked)))


def test_a_model_on_this_machine_is_asked_two_questions_to_know_its_seconds(tmp_path):
    pool, llm = worlds.pool(), Timed()
    record = str(tmp_path / "calls.sqlite")
    here = config_of(llm={"base_url": "http://127.0.0.1:9/v1", "record": record})
    timed = time_calls(llm, worlds.tasks(4), pool=pool, config=here)
    assert llm.asked == [(f"llm-{i}", f"q{k}") for i in range(2) for k in range(2)]
    assert timed == {"llm-0": 2.0, "llm-1": 4.0}
    others = ({"record": record}, {"base_url": "http://127.0.0.1:9/v1"})  # calls cost money, or would be lost
    assert [time_calls(llm, worlds.tasks(4), pool=pool, config=config_of(llm=x)) for x in others] == [{}, {}]
    assert len(llm.asked) == 4
    problems = worlds.encoder()
    designer = Fixed(space=problems.space, topology=single, num_agents=1)
    estimate = estimate_evaluation(designer, problems, worlds.tasks(4), config=here, timed=timed)
    assert estimate.total.seconds == 4 * 2.0
    assert "llm-0 2.0 s, 1 in flight" in str(estimate)


def test_many_questions_are_estimated_by_some():
    assert of_evaluation(single, num_tasks=200).parts["test"].runs == 200


class Crowd(Fixed):
    """Draws all three agents while it trains, and holds one of them best."""

    def __init__(self, space):
        super().__init__(space=space, topology=chain)
        self.weight = torch.nn.Parameter(torch.zeros(()))

    @property
    def design(self):
        return self._design if self.training else single([self.space.agents[0]])


def test_training_is_estimated_by_what_its_first_step_draws_and_validation_by_what_is_held_best():
    parts = of_training(Crowd, test=worlds.tasks(5)).parts
    calls = {name: part.calls / part.runs for name, part in parts.items()}
    assert calls["training"] == 3
    assert calls["validation"] == calls["test"] == calls["rival"] == 1


def test_a_design_that_is_compared_with_an_evaluated_one_is_estimated_too():
    problems = worlds.encoder()
    designer = Fixed(space=problems.space, topology=chain)
    rival = single([problems.space.agents[0]])
    parts = estimate_evaluation(designer, problems, worlds.tasks(4), config=config_of(), rival=rival).parts
    assert (parts["test"].calls, parts["rival"].calls) == (12, 4)


@pytest.mark.parametrize(
    ("trainer", "epochs"),
    [
        ({"max_epochs": 7}, 7),
        ({"max_epochs": -1, "max_steps": 10}, 3),
        ({"max_epochs": 2, "max_steps": 100}, 2),
        ({}, 1),
    ],
)
def test_steps_bound_epochs_and_a_training_without_an_end_is_estimated_by_one(trainer, epochs, tmp_path):
    config = OmegaConf.create({"trainer": trainer, "data": {"batch_size": 8}, "resume": True})
    assert epochs_left(tmp_path, config, num_train=32) == epochs
