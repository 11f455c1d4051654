import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

import gdesign
from gdesign.agents.teams import single
from gdesign.cli.main import main
from gdesign.cli.talk import agree, friendly, refuse_mistyped
from gdesign.errors import BudgetExceededError, ConfigError, LLMError
from gdesign.export.python import to_python
from gdesign.export.schema import design_from_json, read_design
from gdesign.runs.checkpoint import assemble, save
from gdesign.tasks.synthetic import Synthetic
from gdesign.types import Agent
from tests.commands import Commands
from tests.llm.chat_server import chat_server
from tests.serve.folders import POLICY, SWARM, folder, lost
from tests.test_configs import composed

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert Commands(monkeypatch)("eval", "designer=chain", f"out={folder}", "+task.num_test=18")[0] == 0
    return folder


@pytest.fixture(scope="module")
def question():
    return Synthetic().load("test")[0].question


def test_a_design_is_drawn_for_a_question(run_folder, question, capsys):
    main(["design", "--checkpoint", str(run_folder), question])
    out = capsys.readouterr().out
    assert "hears" in out
    assert "the last to speak decides" in out


@pytest.fixture(scope="module")
def policy_folder(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("runs") / "policy", designer=POLICY)


def test_a_policy_is_shown_by_what_it_does_first(policy_folder, question, capsys):
    main(["design", "--checkpoint", str(policy_folder), question])
    assert capsys.readouterr().out.strip().startswith("wave 1: 1. assistant (small): the first is asked")
    main(["design", "--json", "--checkpoint", str(policy_folder), question])
    assert len(design_from_json(json.loads(capsys.readouterr().out)).agents) == 1


def test_a_policy_tells_its_waves_on_stderr_as_they_are_decided(policy_folder, question, capsys):
    main(["ask", "--checkpoint", str(policy_folder), question])
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    *moves, costs = err.splitlines()
    assert [line.split(":")[0] for line in moves] == [f"wave {i + 1}" for i in range(len(moves) - 1)] + ["stop"]
    assert "1 of 1 agree, 2 are needed" in moves[1]
    assert f"{len(moves) - 1} calls" in costs


def test_what_lost_to_a_single_agent_is_told_beside_a_design_on_stderr(question, tmp_path, capsys):
    path = folder(tmp_path / "a", designer=SWARM, deploy="better")
    lost(path, to=single([Agent(role="assistant", llm="small")]))
    main(["design", "--json", "--checkpoint", str(path), question])
    out, err = capsys.readouterr()
    assert [a.llm for a in design_from_json(json.loads(out)).agents] == ["small"]
    assert "0.5000 worse (0.4000 to 0.6000) in utility than the best single agent (assistant/small/answer)" in err
    main(["ask", "--checkpoint", str(path), question])
    assert "0.5000 worse" in capsys.readouterr().err


def test_the_agents_of_a_pool_are_listed_by_name_with_prices(capsys):
    main(["pool", "simulated"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["0", "assistant/small/answer", "0.1", "0.4", "llm.base_url"]


def test_a_design_can_be_had_as_json_and_as_mermaid(run_folder, question, capsys):
    main(["design", "--json", "--checkpoint", str(run_folder), question])
    design = design_from_json(json.loads(capsys.readouterr().out))
    main(["design", "--mermaid", "--checkpoint", str(run_folder), question])
    out = capsys.readouterr().out
    assert out.startswith("flowchart LR")
    assert out.count("[") >= len(design.agents)


def test_a_drawn_design_is_saved_for_other_programs(run_folder, question, tmp_path, capsys):
    path, team = tmp_path / "d.json", tmp_path / "team.py"
    main(["design", "--format", "json", "--out", str(path), "--checkpoint", str(run_folder), question])
    assert capsys.readouterr().out == f"written to {path}\n"
    design, pool = read_design(path)
    for agent in design.agents:
        pool.check(agent)
    main(["design", "--format", "langgraph", "--out", str(team), "--checkpoint", str(run_folder), question])
    assert team.read_text() == to_python(design, pool=pool)


def test_a_question_is_answered_and_its_cost_told(run_folder, question, capsys):
    main(["ask", "--verbose", "--checkpoint", str(run_folder), question])
    out, err = capsys.readouterr()
    assert "round 1]" in out
    assert "USD" in err
    assert "simulated" in err


def test_an_endpoint_can_answer_instead(run_folder, capsys):
    with chat_server(lambda body: "Answer: 42") as url:
        main(["ask", "--llm", url, "--checkpoint", str(run_folder), "What is the answer?"])
    out, err = capsys.readouterr()
    assert out == "42\n"
    assert "live" in err


def test_the_usual_key_goes_to_no_endpoint_that_only_a_url_names(run_folder, capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with pytest.raises(SystemExit) as exit_:
        main(["ask", "--llm", "https://api.example.org/v1", "--checkpoint", str(run_folder), "What is the answer?"])
    assert exit_.value.code == 2
    assert "--api-key-env" in capsys.readouterr().err


def test_a_key_without_an_endpoint_is_refused(run_folder, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["ask", "--api-key-env", "MY_KEY", "--checkpoint", str(run_folder), "What is the answer?"])
    assert exit_.value.code == 2
    assert "name it by --llm URL" in capsys.readouterr().err


def test_a_question_goes_to_no_machine_that_only_a_saved_config_names(run_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    config = OmegaConf.load(folder / "config.yaml")
    config.llm = {"_target_": "gdesign.llm.openai.OpenAIClient"}
    OmegaConf.save(config, folder / "config.yaml")
    for arguments, words in (([], "OPENAI_API_KEY holds, to api.openai.com"), (["--trust"], "set the environment")):
        with pytest.raises(SystemExit) as exit_:
            main(["ask", *arguments, "--checkpoint", str(folder), "What is the answer?"])
        assert exit_.value.code == 2
        assert words in capsys.readouterr().err


OWN_AGENTS = ["pool=file", "pool.path=examples/team.yaml", "llm=openai", "llm.base_url=http://127.0.0.1:9/v1"]


@pytest.mark.parametrize(
    "task",
    [
        ["task=jsonl", "task.train=data/tiny/train.jsonl", "task.test=data/tiny/test.jsonl"],
        ["task=mix", "+task.recorded=true"],
        ["task=gsm8k", "+task.recorded=true"],
    ],
    ids=["jsonl", "mix", "recorded gsm8k"],
)
def test_a_question_that_is_in_no_file_is_answered_too(task, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    config = composed("designer=vote", "designer.num_agents=2", *OWN_AGENTS, *task)
    OmegaConf.set_struct(config, False)
    config.names = {"designer": "vote", "task": "own", "pool": "file", "llm": "openai"}
    OmegaConf.save(config, tmp_path / "config.yaml")
    save(assemble(config)[1], tmp_path / "checkpoint/best.ckpt")
    with chat_server(lambda body: "It has seven days.\n**Answer:** 35") as url:
        main(["ask", "--llm", url, "--checkpoint", str(tmp_path), "How many days are there in five weeks?"])
    assert capsys.readouterr().out == "35\n"


def test_runs_are_compared(run_folder, capsys):
    main(["report", str(run_folder.parent)])
    out = capsys.readouterr().out
    assert "Of every row: task synthetic, split test, " in out
    assert (run_folder.parent / "report.md").is_file()


def test_a_baseline_that_nobody_knows_is_named_with_those_there_are(run_folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["report", str(run_folder.parent), "--baseline", "nobody", "--out", str(tmp_path)])
    assert exit_.value.code == 2
    assert 'choose one of "chain"' in capsys.readouterr().err


def test_comparing_two_runs_leaves_the_page_of_each_alone(run_folder, tmp_path, capsys):
    for name in ("a", "b"):
        shutil.copytree(run_folder, tmp_path / name)
        (tmp_path / name / "report.md").write_text("its own page")
    main(["report", str(tmp_path / "a"), str(tmp_path / "b")])
    assert {(tmp_path / name / "report.md").read_text() for name in ("a", "b")} == {"its own page"}
    assert "# Runs" in (tmp_path / "report.md").read_text()


def test_a_folder_without_runs_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["report", str(tmp_path)])
    assert exit_.value.code == 2
    assert "holds no run folder; gdesign train and gdesign eval write them" in capsys.readouterr().err


def test_data_files_are_listed_with_licence_and_state(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GDESIGN_DATA", str(tmp_path))
    main(["data", "list"])
    out = capsys.readouterr().out
    assert str(tmp_path) in out.splitlines()[0]
    assert "missing  bench/HumanEval.jsonl.gz" in out
    assert "MIT" in out


def test_a_data_file_that_nobody_knows_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GDESIGN_DATA", str(tmp_path))
    with pytest.raises(SystemExit) as exit_:
        main(["data", "fetch", "nothing.csv"])
    assert exit_.value.code == 2
    assert "no data file is known as 'nothing.csv'" in capsys.readouterr().err


def test_changed_data_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GDESIGN_DATA", str(tmp_path))
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/HumanEval.jsonl.gz").write_bytes(b"no")
    with pytest.raises(SystemExit) as exit_:
        main(["data", "verify"])
    assert exit_.value.code == 2
    assert "bench/HumanEval.jsonl.gz: not the file that gdesign knows" in capsys.readouterr().err


def test_help_needs_no_torch():
    code = (
        "import sys, gdesign.cli.main\n"
        "try: gdesign.cli.main.main(['data', 'list'])\n"
        "finally: assert not {'torch', 'hydra', 'lightning'} & set(sys.modules), 'slow start'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ConfigError("mend it"), 2, "error: mend it"),
        (BudgetExceededError("the budget is spent"), 3, "the budget is spent. Everything so far is kept; do it again."),
        (KeyboardInterrupt(), 130, "Stopped. Everything so far is kept; do it again."),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_a_status(error, status, words, capsys):
    with pytest.raises(SystemExit) as exit_, friendly(resume="do it again"):
        raise error
    assert exit_.value.code == status
    assert words in capsys.readouterr().err


def test_a_file_that_cannot_be_reached_is_one_line_too(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as caught:
        (tmp_path / "file/calls").mkdir()
    wrapping = LookupError()
    wrapping.__cause__ = caught.value
    for error in (caught.value, wrapping):
        with pytest.raises(SystemExit) as exit_, friendly(wrapped_in=LookupError):
            raise error
        assert exit_.value.code == 2
        assert f"{tmp_path / 'file/calls'}: Not a directory" in capsys.readouterr().err


def test_other_failures_of_the_system_are_not_hidden():
    for error in (BrokenPipeError(32, "Broken pipe"), OSError(24, "Too many open files")):
        with pytest.raises(OSError, match=error.strerror), friendly():
            raise error


class Terminal:
    """A terminal at which somebody types."""

    def __init__(self, typed):
        self.typed = typed

    def isatty(self):
        return self.typed is not None

    def readline(self):
        return self.typed


def test_nothing_is_asked_before_somebody_agreed(monkeypatch, capsys):
    far, here = ["https://api.example.org/v1"], ["http://127.0.0.1:9000/v1", "http://localhost:1/v1"]
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    agree("3 USD", urls=far, settled=False)
    assert "api.example.org/v1.\n3 USD\nGo on? [y/N]" in capsys.readouterr().out
    for typed in ("\n", "n\n", ""):
        monkeypatch.setattr(sys, "stdin", Terminal(typed))
        with pytest.raises(SystemExit):
            agree("3 USD", urls=far, settled=False)
    monkeypatch.setattr(sys, "stdin", Terminal(None))
    with pytest.raises(ConfigError, match=r"yes=true.*llm\.budget\.usd"):
        agree("3 USD", urls=[*here, *far], settled=False)
    agree("3 USD", urls=far, settled=True)
    agree("3 USD", urls=here, settled=False)


def test_our_own_mistakes_keep_their_traceback():
    with pytest.raises(LLMError), friendly():
        raise LLMError("lost")


def test_the_sandbox_in_force_is_told(capsys):
    main(["sandbox"])
    said = capsys.readouterr().out
    assert said.startswith("in force: ")
    assert "cpu_seconds" in said
    assert re.search(r"an empty program takes \d+ ms", said)


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])
    assert capsys.readouterr().out == f"gdesign {gdesign.__version__}\n"


@pytest.mark.parametrize("name", ["train", "eval"])
def test_training_and_evaluation_are_commands_that_list_their_groups(name, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gdesign"])
    with pytest.raises(SystemExit, match=r"^0$"):
        main([name, "--help"])
    GlobalHydra.instance().clear()
    assert "arena: local" in capsys.readouterr().out


def test_an_evaluation_by_the_command_is_written_down_as_it_was_typed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gdesign"])
    main(["eval", "designer=single", "experiment=demo", "+task.num_test=9", f"out={tmp_path}/run"])
    GlobalHydra.instance().clear()
    (line,) = (tmp_path / "run/commands.jsonl").read_text().splitlines()
    assert json.loads(line)["command"].startswith("gdesign eval designer=single experiment=demo ")


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("httpx2", ["eval", "designer=single", "llm=openai", "llm.base_url=http://127.0.0.1:9/v1", "llm.record=null"]),
        ("wandb", ["train", "designer=single", "logger=wandb"]),
        ("starlette", ["simulate"]),
        ("ray", ["eval", "designer=single", "arena=ray"]),
    ],
)
def test_a_missing_extra_is_one_line_that_says_what_to_install(package, arguments, tmp_path):
    code = f"import sys; sys.modules[{package!r}] = None; from gdesign.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert f"the package {package}; install the extra: pip install " in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("launcher", "remedy"), [("joblib", "[sweep]"), ("submitit_slurm", "[sweep]"), ("ray", "no-deps")]
)
def test_a_launcher_of_hydra_that_is_not_there_is_one_line_that_says_what_to_install(
    launcher, remedy, capsys, monkeypatch
):
    plugin = f"hydra_{launcher.partition('_')[0]}_launcher"
    monkeypatch.setitem(sys.modules, f"hydra_plugins.{plugin}", None)
    with pytest.raises(SystemExit, match="2"):
        refuse_mistyped("train", ["-m", f"hydra/launcher={launcher}", "seed=0,1"])
    (line,) = capsys.readouterr().err.splitlines()
    assert f"needs the package {plugin}" in line
    assert remedy in line


def test_the_launchers_that_hydra_brings_are_taken():
    refuse_mistyped("train", ["-m", "hydra/launcher=basic", "seed=0,1"])
