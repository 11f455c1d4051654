import csv
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gdesign.cli.talk import refuse_mistyped
from gdesign.errors import ConfigError
from gdesign.llm.recording import Recording
from gdesign.runs.config import read_config
from gdesign.runs.lock import only_writer
from gdesign.runs.log import read_runs
from tests.commands import Commands
from tests.llm.chat_server import chat_server

ROOT = Path(__file__).parents[1]
SMALL = (
    "+task.num_train=9",
    "+task.num_validation=9",
    "+task.num_test=18",
    "learner.num_designs=4",
    "trainer.max_epochs=2",
    "trainer.log_every_n_steps=1",
    "trainer.enable_progress_bar=false",
)
FOLDER = {"config.yaml", "checkpoint", "metrics.csv", "runs.jsonl", "splits.json", "eval.json", "report.md"}
FOLDER |= {"report.html", "commands.jsonl", "estimate.txt"}


@pytest.fixture
def command(monkeypatch, capsys):
    return Commands(monkeypatch, capsys)


@pytest.fixture
def own_task(tmp_path):
    """A pool and two question files; the checker is right, the solver is not."""
    for name, num in (("a", 8), ("b", 4)):
        lines = [
            json.dumps(
                {"id": f"{name}{i}", "question": f"What is {i} plus {name}{i}?", "answer": f"{i}", "grader": "number"}
            )
            for i in range(num)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "p.yaml").write_text(
        "roles: [{name: solver, profile: You solve it.}, {name: checker, profile: You check it.}]\n"
        "llms: [{name: m, usd_per_1M_input: 1, usd_per_1M_output: 2}]\n"
    )
    return [
        "task=jsonl",
        f"task.train={tmp_path}/a.jsonl",
        f"task.test={tmp_path}/b.jsonl",
        "pool=file",
        f"pool.path={tmp_path}/p.yaml",
        f"out={tmp_path}/run",
        "trainer.max_epochs=1",
        "trainer.enable_progress_bar=false",
    ]


def test_a_run_folder_holds_all_that_was_promised_and_can_be_evaluated_again(command, tmp_path):
    folder = tmp_path / "run"
    status, out, _ = command("train", *SMALL, f"out={folder}")
    assert status == 0
    assert "simulated" in out
    assert {p.name for p in folder.iterdir()} >= FOLDER
    first = json.loads((folder / "eval.json").read_text())
    assert first["n"] == 18
    executions = [json.loads(line)["phase"] for line in (folder / "runs.jsonl").read_text().splitlines()]
    assert first["training"]["runs"] == executions.count("fit:train") + executions.count("fit:validation")
    assert executions.count("fit:validation") == 2 * 9
    assert 2 * 9 <= executions.count("fit:train")
    splits = json.loads((folder / "splits.json").read_text())
    assert not set(splits["train"]) & set(splits["test"])
    status, _, _ = command("eval", f"checkpoint={folder}")
    assert status == 0
    page = (folder / "report.html").read_text()
    assert f"python train.py {SMALL[0]}" in page
    assert f"<pre>python eval.py checkpoint={folder}</pre>" in page
    second = json.loads((folder / "eval.json").read_text())
    assert {k: v for k, v in first.items() if k != "seconds"} == {k: v for k, v in second.items() if k != "seconds"}


def test_the_same_command_goes_on_where_it_stopped(command, tmp_path):
    for _ in range(2):
        assert command("train", *SMALL, f"out={tmp_path}/run", "split=null")[0] == 0
    with (tmp_path / "run/metrics.csv").open() as file:
        assert sum(bool(row["val/utility"]) for row in csv.DictReader(file)) == 2


ONE_EPOCH = ("split=null", "trainer.max_epochs=1")


def test_one_epoch_and_then_another_are_two(command, tmp_path):
    same = ("learner.final_entropy_weight=null", "split=null")
    assert command("train", *SMALL, *same, f"out={tmp_path}/two")[0] == 0
    for num in (1, 2):
        _, _, err = command("train", *SMALL, *same, f"out={tmp_path}/parts", f"trainer.max_epochs={num}")
        assert "straight line" not in err
    two, parts = ((tmp_path / name / "metrics.csv").read_text() for name in ("two", "parts"))
    assert two == parts


def test_a_schedule_that_had_another_end_is_named(command, tmp_path):
    assert "straight line" not in command("train", *SMALL, *ONE_EPOCH, f"out={tmp_path}/run")[2]
    _, _, err = command("train", *SMALL, f"out={tmp_path}/run", "split=null")
    assert "learner.entropy_weight went in a straight line towards the end of max_epochs=1" in err
    assert "learner.lr" not in err
    assert "straight line" not in command("train", *SMALL, f"out={tmp_path}/run", "split=null")[2]


def test_fewer_epochs_than_are_behind_a_training_are_refused(command, tmp_path):
    assert command("train", *SMALL, "split=null", f"out={tmp_path}/run")[0] == 0
    status, _, err = command("train", *SMALL, *ONE_EPOCH, f"out={tmp_path}/run")
    assert status == 2
    assert "was trained for 2 epochs already, more than trainer.max_epochs=1" in err


def test_two_trainings_in_one_folder_are_refused(command, tmp_path):
    with only_writer(tmp_path / "run", command="a"):
        for name, arguments in (("train", SMALL), ("eval", ["designer=single"])):
            began = time.monotonic()
            status, _, err = command(name, *arguments, f"out={tmp_path}/run")
            assert status == 2
            assert f"is being written by process {os.getpid()}" in err
            assert time.monotonic() - began < 5
    assert not (tmp_path / "run").exists()


def test_a_training_without_an_evaluation_says_how_its_designer_stands_on_validation(command, tmp_path):
    _, out, _ = command("train", *SMALL, f"out={tmp_path}/run", "split=null")
    assert re.search(r"the learned designer is [\d.]+ (better|worse) .* than the best single agent on validation", out)
    report = (tmp_path / "run/report.md").read_text()
    assert re.search(r"The learned designer is [\d.]+ (better|worse) .* on validation", report)
    assert "## Where the money went" in report
    assert "before training began" in report.lower()


def test_a_folder_of_another_run_is_not_written_over(command, tmp_path):
    assert command("train", *SMALL, "designer=single", f"out={tmp_path}/run")[0] == 0
    status, _, err = command("train", *SMALL, "designer=single", "seed=1", f"out={tmp_path}/run")
    assert status == 2
    assert "holds a run with seed=0, not 1; name another folder" in err


def test_a_sweep_gives_each_run_a_folder(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, *_ = command("train", "-m", *SMALL, "designer=single,vote", "seed=0,1", "split=null")
    assert status == 0
    names = {p.name for p in (tmp_path / "runs").iterdir()}
    assert len(names) == 4
    assert all(name.startswith(("single-synthetic-", "vote-synthetic-")) for name in names)
    (folder,) = (tmp_path / "runs").glob("vote-synthetic-*-1")
    (line,) = (folder / "commands.jsonl").read_text().splitlines()
    assert "designer=vote seed=1" in json.loads(line)["command"]
    _, _, *arguments = shlex.split(json.loads(line)["command"])
    assert command("train", *arguments)[0] == 0
    assert len((folder / "commands.jsonl").read_text().splitlines()) == 2


def test_the_control_trains_on_questions_of_other_tasks(command, tmp_path):
    assert command("train", *SMALL, "data.shuffle_questions=true", f"out={tmp_path}/run")[0] == 0


def test_the_designs_of_another_run_are_imitated(command, tmp_path):
    assert command("train", *SMALL, "designer=search", f"out={tmp_path}/searched", "split=null")[0] == 0
    taught = (f"learner.teacher.path={tmp_path}/searched", f"out={tmp_path}/taught")
    assert command("train", *SMALL, "designer=swarm", "learner=imitation", *taught)[0] == 0
    assert not list(read_runs(tmp_path / "taught/runs.jsonl", phase="fit:train"))


def test_a_search_is_distilled_and_training_goes_on_from_there(command, tmp_path):
    searched, taught, last = (f"{tmp_path}/{name}" for name in ("searched", "taught", "last"))
    assert command("train", *SMALL, "designer=search", f"out={searched}")[0] == 0
    distil = ("learner=distillation", f"learner.teacher.path={searched}", "learner.lr=0.005", "trainer.max_epochs=8")
    assert command("train", *SMALL, "designer=critic", *distil, f"out={taught}")[0] == 0
    wanted, drawn = (
        {json.dumps(row["design"]) for row in read_runs(f"{folder}/runs.jsonl", phase="test")}
        for folder in (searched, taught)
    )
    assert wanted == drawn
    still = ("learner.lr=1e-9", "trainer.max_epochs=1")
    assert command("train", *SMALL, "designer=critic", *still, f"start={taught}", f"out={last}")[0] == 0
    assert {json.dumps(row["design"]) for row in read_runs(f"{last}/runs.jsonl", phase="test")} == wanted


def test_training_goes_over_a_real_socket(command, own_task, tmp_path):
    def answer(body):
        question = body["messages"][1]["content"].split("What is ")[1]
        return f"Answer: {question.split()[0] if 'check' in body['messages'][0]['content'] else 99}"

    with chat_server(answer) as url:
        status, out, _ = command("train", *own_task, "llm=openai", f"llm.base_url={url}", "llm.record=null")
    assert status == 0
    assert "live" in out
    rows = list(read_runs(tmp_path / "run/runs.jsonl", phase="fit:train"))
    assert {row["score"] for row in rows} == {0.0, 1.0}


def test_a_training_repeated_from_its_recording_asks_nobody_and_gives_the_same_numbers(command, own_task, tmp_path):
    record, seen = tmp_path / "calls.sqlite", []
    own_task = [argument for argument in own_task if not argument.startswith("out=")]
    with chat_server(lambda body: f"Answer: {len(body['messages'][1]['content']) % 4}", seen=seen) as url:
        live = ("llm=openai", f"llm.base_url={url}", f"llm.record={record}", "yes=true")
        assert command("train", *own_task, *live, f"out={tmp_path}/live")[0] == 0
    status, out, _ = command("train", *own_task, "llm=replay", f"llm.path={record}", f"out={tmp_path}/replayed")
    assert status == 0
    assert "replayed" in out
    asked = [json.dumps({k: v for k, v in body.items() if k not in ("headers", "peer")}) for body in seen]
    assert len(asked) == len(set(asked)) == len(Recording(record))
    first, second = (json.loads((tmp_path / name / "eval.json").read_text()) for name in ("live", "replayed"))
    took = [found["comparison"].pop("took") for found in (first, second)]
    assert took[0]["runs"] == took[1]["runs"]
    of_money_and_time = {"label", "seconds", "paid_usd", "training"}
    assert {k: v for k, v in first.items() if k not in of_money_and_time} == {
        k: v for k, v in second.items() if k not in of_money_and_time
    }
    assert first["paid_usd"] > second["paid_usd"] == second["training"]["paid_usd"] == 0
    metrics = [(tmp_path / name / "metrics.csv").read_text() for name in ("live", "replayed")]
    assert metrics[0] == metrics[1]


def test_a_spent_budget_ends_the_training_and_more_of_it_goes_on(command, own_task, tmp_path):
    with chat_server() as url:
        arguments = (
            "train",
            *own_task,
            "data.batch_size=1",
            "llm=openai",
            f"llm.base_url={url}",
            f"llm.record={tmp_path}/calls.sqlite",
            "+llm.max_tokens=50",
            "+llm.temperature=0.7",
        )
        status, _, err = command(*arguments, "+llm.budget.calls=20", "+llm.max_concurrent=1")
        assert status == 3
        assert "the budget of 20 calls is spent" in err
        assert "Everything so far is kept" in err
        before = list(read_runs(tmp_path / "run/runs.jsonl"))
        assert before
        assert command(*arguments, "+llm.budget.usd=1")[0] == 0
        assert list(read_runs(tmp_path / "run/runs.jsonl"))[: len(before)] == before
        status, _, err = command(*arguments[:-1], "+llm.temperature=1")
    assert status == 2
    assert "llm.temperature=0.7, not 1" in err


def test_a_live_run_elsewhere_is_not_begun_before_somebody_agreed(command, own_task, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    arguments = ("train", *own_task, "llm=openai", "llm.base_url=https://api.example.org/v1", "llm.record=null")
    assert "OPENAI_API_KEY goes to https://api.openai.com alone" in command(*arguments)[2]
    arguments += ("llm.api_key_env=OPENAI_API_KEY",)
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        status, out, err = command(*arguments)
    assert status == 2
    assert "say yes=true, or set a budget" in err
    assert "together" in out
    assert not (tmp_path / "run").exists()


def test_limits_of_a_question_and_a_spent_budget_are_reported(command, own_task, tmp_path):
    with chat_server() as url:
        arguments = ("train", *own_task, "designer=chain", "llm=openai", f"llm.base_url={url}", "llm.record=null")
        limits = ("limits.question.calls=1", "+llm.budget.calls=3", "+llm.max_concurrent=1", "split=test")
        status, out, err = command(*arguments, *limits)
    assert status == 3
    assert "about" in out
    assert "report.md says what was spent" in err
    report = (tmp_path / "run/report.md").read_text()
    assert "Stopped: the budget of 3 calls is spent" in report
    assert "python train.py" in report or "python eval.py" in report


def test_a_design_that_learned_something_is_not_evaluated_on_all_questions(command, tmp_path):
    assert command("train", *SMALL, f"out={tmp_path}/run", "split=null")[0] == 0
    status, _, err = command("eval", f"checkpoint={tmp_path}/run", "split=all")
    assert status == 2
    assert "split=all holds the questions that this designer learns from" in err


def test_questions_that_were_learned_from_are_not_a_test(command, tmp_path):
    assert command("train", *SMALL, f"out={tmp_path}/run", "split=null")[0] == 0
    status, _, err = command("eval", f"checkpoint={tmp_path}/run", "++task.num_train=3")
    assert status == 2
    assert "6 of the 18 questions of split=test" in err
    assert "was trained with them" in err
    assert command("eval", f"checkpoint={tmp_path}/run", "split=train")[0] == 0
    assert command("eval", f"checkpoint={tmp_path}/run", "++task.seed=1")[0] == 0


def test_a_config_that_names_other_code_is_refused_unless_trusted(command, tmp_path):
    folder = tmp_path / "run"
    assert command("train", *SMALL, "designer=single", f"out={folder}", "split=null")[0] == 0
    path = folder / "config.yaml"
    for target in ("os.getcwd", "gdesign.tasks.data.os.getcwd"):
        path.write_text(path.read_text().replace("gdesign.encode.text.HashEncoder", target))
        status, _, err = command("eval", f"checkpoint={folder}")
        assert status == 2
        assert f"would call {target}, which is not part of gdesign" in err
        path.write_text(path.read_text().replace(target, "gdesign.encode.text.HashEncoder"))


@pytest.mark.parametrize(
    "pool",
    [
        "${oc.create:{_target_: os.getcwd}}",
        "${oc.decode:'{_target_: os.getcwd}'}",
        "${oc.${name}:{_target_: os.getcwd}}",
        "${oc.env:MY_SECRET}",
        "${oc.env:HOME,${oc.env:MY_SECRET}}",
        {"_target_": "${name}"},
        {"_target_": "gdesign.runs.checkpoint.load", "folder": "inner", "trust": True},
    ],
)
def test_no_roundabout_way_lets_a_config_call_other_code(pool, tmp_path):
    OmegaConf.save(OmegaConf.create({"name": "create", "pool": pool}), tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match="if you trust it say so"):
        read_config(tmp_path)


@pytest.fixture
def foreign(own_task, tmp_path, command, monkeypatch):
    """A run folder from somebody else, who collects keys."""
    monkeypatch.delenv("MY_KEY", raising=False)
    arguments = (*own_task[:-2], "designer=single", "split=test")
    with chat_server() as url:
        assert command("eval", *arguments, "llm=openai", f"llm.base_url={url}", "llm.record=null")[0] == 0
    path = tmp_path / "run/config.yaml"
    config = OmegaConf.load(path)
    config.llm.base_url = "https://keys.example.org/v1"
    config.llm.api_key_env = "MY_KEY"
    OmegaConf.save(config, path)
    return path.parent


def test_no_key_goes_to_a_machine_that_only_a_saved_config_names(command, foreign):
    status, _, err = command("eval", f"checkpoint={foreign}")
    assert status == 2
    assert "MY_KEY" in err
    assert "to keys.example.org" in err
    assert "trust=true" in err
    for wish in ("trust=true", "+llm.base_url=https://keys.example.org/v1"):  # on it goes, to the missing key
        assert "set the environment variable MY_KEY" in command("eval", f"checkpoint={foreign}", wish)[2]


def test_no_wrapper_hides_such_a_machine(command, foreign):
    config = OmegaConf.load(foreign / "config.yaml")
    config.llm = {"_target_": "gdesign.llm.wrappers.Sampling", "llm": config.llm}
    OmegaConf.save(config, foreign / "config.yaml")
    assert "to keys.example.org" in command("eval", f"checkpoint={foreign}")[2]


def test_no_key_goes_to_a_machine_that_only_the_pool_of_a_saved_config_names(command, foreign, tmp_path):
    config = OmegaConf.load(foreign / "config.yaml")
    config.llm.base_url = "http://127.0.0.1:9/v1"
    OmegaConf.save(config, foreign / "config.yaml")
    pool = tmp_path / "p.yaml"
    pool.write_text(
        pool.read_text().replace("{name: m,", "{name: m, base_url: https://keys.example.org/v1, api_key_env: MY_KEY,")
    )
    status, _, err = command("eval", f"checkpoint={foreign}")
    assert status == 2
    assert "MY_KEY holds, at keys.example.org" in err
    for wish in (["trust=true"], ["pool=file", f"pool.path={pool}"]):  # on it goes, to the missing key
        assert "set the environment variable MY_KEY" in command("eval", f"checkpoint={foreign}", *wish)[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["task=gsm8k", "llm=recorded", "task.recorded=false"], "say ++task.recorded=true"),
        (["task=gsm8k", "+task.recorded=true"], "say ++task.recorded=false"),
        (["task=synthetic", "llm=recorded"], "nobody recorded answers to the questions of gdesign.tasks.synthetic"),
    ],
)
@pytest.mark.parametrize("name", ["train", "eval"])
def test_recorded_answers_and_live_questions_are_not_mixed(command, name, arguments, words, tmp_path):
    status, _, err = command(name, "designer=single", *arguments, f"out={tmp_path}/run")
    assert status == 2
    assert words in err


def test_a_setting_that_no_run_folder_has_is_named(command, tmp_path):
    assert command("train", *SMALL, "designer=single", f"out={tmp_path}/run", "split=null")[0] == 0
    status, _, err = command("eval", f"checkpoint={tmp_path}/run", "~data")
    assert status == 2
    assert "~data cannot be applied to the config of a run folder" in err


def test_training_for_no_epoch_is_refused(command, tmp_path):
    status, _, err = command("train", *SMALL, f"out={tmp_path}/run", "trainer.max_epochs=0")
    assert status == 2
    assert "training ended before the first validation" in err


def test_a_config_of_another_version_is_one_clear_line(tmp_path):
    OmegaConf.save(OmegaConf.create({"pool": {"_target_": "gdesign.nothing.There"}}), tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match=r"gdesign\.nothing\.There, which this version of gdesign does not have"):
        read_config(tmp_path)


def test_training_does_not_end_in_an_evaluation_on_all_questions(command, tmp_path):
    status, _, err = command("train", *SMALL, f"out={tmp_path}/run", "split=all")
    assert status == 2
    assert "split=all holds the questions that this designer learns from" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("train", "designer=joitn", "error: designer=joitn: there is no designer=joitn; did you mean joint"),
        ("train", "designer=single,joitn", "there is no designer=joitn"),
        ("train", "experiment=methods/knm", "did you mean methods/knn"),
        ("eval", "task=zzzz", "there is no task=zzzz; there are aqua, crux, "),
        ("eval", "desinger=joint", "error: desinger=joint: there is no setting desinger; did you mean designer"),
        ("train", "trainer.max_epoch=3", ""),  # known to Hydra alone, which says what there is
    ],
)
def test_a_misspelt_override_is_one_line_with_the_close_names(command, name, typed, words):
    status, out, err = command(name, typed)
    assert words in err
    if words:
        assert status == 2
        assert out == ""
        assert len(err.splitlines()) == 1


def test_a_missing_file_is_one_clear_line(command, own_task, tmp_path):
    status, _, err = command("train", *own_task, f"task.train={tmp_path}/none.jsonl")
    assert status == 2
    assert err.startswith("error: ")
    assert "none.jsonl is not there" in err
    assert "Traceback" not in err


def test_a_broken_line_is_named(command, own_task, tmp_path):
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"id": 3\n')
    status, _, err = command("train", *own_task)
    assert status == 2
    assert "a.jsonl:9: not JSON" in err


def test_an_llm_that_the_pool_lacks_is_named(command):
    status, _, err = command("eval", "designer=single", "designer.llm=gpt-9")
    assert status == 2
    assert "gpt-9" in err
    assert "Traceback" not in err


def test_a_run_folder_that_is_not_there_is_named(command, tmp_path):
    status, _, err = command("eval", f"checkpoint={tmp_path}/none")
    assert status == 2
    assert "none/config.yaml is not there; expected a run folder" in err


def test_a_setting_without_a_value_is_named(command):
    status, _, err = command("train", "text=sentences")
    assert status == 2
    assert "error: text.encoder.model has no value; give it one" in err


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_done_and_the_same_command_goes_on(tmp_path):
    arguments = [sys.executable, "train.py", f"out={tmp_path}/run", "trainer.max_epochs=50", "+task.num_train=90"]
    process = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    last = tmp_path / "run/checkpoint/last.ckpt"
    deadline = time.monotonic() + 90
    while not last.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in err
    assert "Traceback" not in err
    before = sum(1 for _ in read_runs(tmp_path / "run/runs.jsonl"))
    assert before > 0
    more = [*arguments[:-2], "trainer.max_epochs=3", arguments[-1]]
    assert subprocess.run(more, cwd=ROOT, capture_output=True, timeout=120, check=False).returncode == 0
    assert sum(1 for _ in read_runs(tmp_path / "run/runs.jsonl")) > before
    assert (tmp_path / "run/eval.json").is_file()


def test_agents_and_graders_run_programs_in_a_sandbox_that_is_named(command, tmp_path):
    code = {"answer": "def double(x): return 2 * x", "tests": "assert double(3) == 6", "grader": "code"}
    for name in ("train", "test"):
        question = f"Write double(x), {name}.\n>>> double(0)\n0"
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"id": name, "question": question, **code}))
    (tmp_path / "pool.yaml").write_text(
        "roles: [{name: a, profile: You program.}]\n"
        "llms: [{name: m, usd_per_1M_input: 1, usd_per_1M_output: 1}]\noperators: [test]\n"
    )

    def reply(body):
        repaired = len(body["messages"]) > 2
        return f"```python\ndef double(x):\n    return {'2 * x' if repaired else 'x + 2'}\n```"

    with chat_server(reply) as url:
        arguments = (
            "task=jsonl",
            *(f"task.{name}={tmp_path}/{name}.jsonl" for name in ("train", "test")),
            "pool=file",
            f"pool.path={tmp_path}/pool.yaml",
            "llm=openai",
            f"llm.base_url={url}",
            "llm.record=null",
        )
        status, _, err = command("eval", *arguments, "designer=single", f"out={tmp_path}/run", "split=test")
    assert status == 0, err
    assert "programs run in a sandbox: " in err
    summary = json.loads((tmp_path / "run/eval.json").read_text())
    assert (summary["score"], summary["calls"]) == (1, 2)
    assert summary["sandbox"] in ("bubblewrap", "landlock")


@pytest.mark.parametrize(
    ("typed", "today"),
    [
        ("encoder=minilm", "text=minilm"),
        ("+encoder.dim=3", "text.dim=3"),
        ("designer.hidden_dim=16", "gnn.hidden_dim=16"),
        ("learner.weight_decay=1", "learner.optimizer.weight_decay=1"),
        ("designer=joint_recorded", "designer=evidence"),
    ],
)
def test_an_override_of_earlier_versions_is_told_its_name_of_today(typed, today, capsys):
    with pytest.raises(SystemExit, match="2"):
        refuse_mistyped("train", ["seed=1", typed])
    assert f"write {today}" in capsys.readouterr().err
