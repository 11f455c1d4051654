"""What README.md and docs/ tell a reader to type works, and their links lead somewhere.

`sh` and `python` blocks are run as they stand, except that trainings are cut short; an HTML comment
`slow` above a block keeps it out of the default tests. Of `console` blocks those commands are run that
train or evaluate, each for a step on few questions, one of each kind in the default tests; endpoints are
played by a server of ours. Of all others make targets and scripts must exist, and the parser of the
command take their arguments.
"""

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from inspect import signature
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import OmegaConf
from torch_geometric.nn import GraphConv

from gdesign.agents.pool import load
from gdesign.cli.main import parser
from gdesign.runs.checkpoint import assemble
from gdesign.tasks.jsonl import JSONL
from tests.commands import Commands
from tests.llm.chat_server import chat_server
from tests.serve.folders import folder

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALSO_LINKED = [ROOT / "data/README.md", *sorted((ROOT / "benchmarks").rglob("*.md"))]
FENCE = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
TINY = ROOT / "data/tiny"
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
SHOWN = ("text", "json", "yaml", "bibtex")


class Block(NamedTuple):
    where: str
    language: str
    text: str
    slow: bool


def blocks():
    for page in PAGES:
        text = page.read_text()
        for found in FENCE.finditer(text):
            above = text[: found.start()]
            where = f"{page.relative_to(ROOT)}:{above.count(chr(10)) + 1}"
            yield Block(where, found[1], found[2], above.rstrip().endswith("<!-- slow -->"))


def in_language(*languages):
    return [
        pytest.param(b.text, id=b.where, marks=[pytest.mark.slow] if b.slow else [])
        for b in blocks()
        if b.language in languages
    ]


def commands():
    """Each different command, with the place where it stands first."""
    seen = {}
    for block in blocks():
        if block.text.startswith("curl "):  # one command, of several lines
            seen[block.text] = block.where
        elif block.language in ("sh", "console", ""):
            for line in block.text.replace("\\\n", " ").splitlines():
                seen.setdefault(line.split("#")[0].strip(), block.where)
    return [pytest.param(line, id=f"{where}: {line[:60]}") for line, where in seen.items() if line]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """Return a folder that looks like a checkout, in which runs may be written."""
    for name in ("train.py", "eval.py", "examples", "benchmarks", "data", "docs"):
        if (ROOT / name).exists():
            (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cut_short(line):
    if not line.startswith("python train.py"):
        return line
    if "task=" in line.replace("task.", ""):
        return f"{line} trainer.max_epochs=1 ++task.limit=6"
    return f"{line} trainer.max_epochs=1 ++task.num_train=12 ++task.num_validation=6 ++task.num_test=6"


@pytest.mark.parametrize("text", in_language("sh"))
def test_a_block_of_commands_runs(text, workspace):
    script = "\n".join(cut_short(line) for line in text.replace("\\\n", " ").splitlines())
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=workspace, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("text", in_language("python"))
def test_a_block_of_python_runs(text, workspace):
    folder(workspace / "runs/a")
    exec(compile(text, "<docs>", "exec"), {"__name__": "__docs__"})


# a launcher's config has the name of its plugin's schema, which Hydra will one day not match by itself
@pytest.mark.filterwarnings("ignore:\\s*'hydra/launcher/:UserWarning")
@pytest.mark.parametrize("line", commands())
def test_a_command_names_what_exists(line):
    words = shlex.split(line)
    match words:
        case ["git", "clone", *_] | ["source", _]:
            pass
        case ["curl", *words]:
            (url,) = (word for word in words if word.startswith("http"))
            assert f'"{urlsplit(url).path}"' in (ROOT / "gdesign/serve/app.py").read_text(), "no such route"
            for flag, value in itertools.pairwise(words):
                if flag in ("-d", "--data"):
                    json.loads(value)
        case ["export", *assignments]:
            assert all(re.match(r"[A-Z_]+=.", assignment) for assignment in assignments)
        case ["ray", "start", *_] | ["pip", "install", "--no-deps", _]:  # other people's commands and packages
            pass
        case ["pip", "install", *wanted]:
            assert {extra for w in wanted for extra in re.findall(r"\w+", w)[1:]} <= set(EXTRAS), wanted
        case ["make", target, *_]:
            assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        case ["gdesign", *arguments]:
            if arguments[-1] == "--help":
                with pytest.raises(SystemExit, match=r"^0$"):
                    parser().parse_args(arguments)
            else:
                parser().parse_args(arguments)
        case [override, *overrides] if override.startswith("+"):  # options, told without their command
            composes("train", ["llm=openai", override, *overrides])
        case ["python", "train.py" | "eval.py" as script, "--help"]:
            assert (ROOT / script).is_file()
        case ["python", "train.py" | "eval.py" as script, *overrides]:
            assert (ROOT / script).is_file()
            for each in sweep(overrides):
                composes(Path(script).stem, each)
        case ["python", script, *_]:
            assert (ROOT / script).is_file()
        case _:
            pytest.fail(f"nobody can tell whether this works: {line}")


def sweep(overrides):
    """Return commands in which every value of a sweep is there, though not with every other."""
    if "-m" not in overrides:
        return [overrides]
    parts = [o.partition("=") for o in overrides if o != "-m"]
    values = [[f"{k}={v}" for v in vs.split(",")] for k, _, vs in parts]
    return [[found[i % len(found)] for found in values] for i in range(max(map(len, values)))]


def composes(name, overrides):
    with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "gdesign/configs")):
        config = compose(config_name=name, overrides=overrides)
    assert "???" not in OmegaConf.to_yaml(config), "a value is missing that the command must give"
    if "name" in config.pool and "HashEncoder" in config.text.encoder._target_:  # needs neither data nor weights
        assemble(config)


# ------------------------------------------------------------------ commands that train or evaluate

FEW = {"num_train": 6, "num_validation": 3, "num_test": 3, "limit": 3}
"""Questions, by the argument of the task that says how many."""


def kind(words):
    """What a command is like: its script, where answers come from, what else it reads."""
    said = dict(word.partition("=")[::2] for word in words)
    reads = {"checkpoint", "learner.teacher.path"} & said.keys()
    return (words[1], said.get("llm"), *sorted(reads))


def trainings():
    """Each different command that trains or evaluates; all but the first of its kind are slow, as are sweeps."""
    seen, found = set(), []
    for block in sorted(blocks(), key=lambda b: "quickstart" not in b.where):
        lines = block.text.replace("\\\n", " ").splitlines() if block.language in ("console", "") else ()
        for line in lines:
            match words := shlex.split(line, comments=True) if line.startswith("python ") else []:
                case ["python", "train.py" | "eval.py", *overrides] if "--help" not in words and line not in seen:
                    slow = "-m" in words or "start=" in line or kind(words) in seen
                    seen |= {line, *([] if slow else [kind(words)])}
                    marks = [pytest.mark.slow] if slow else []
                    found.append(pytest.param(words[1], overrides, id=f"{block.where}: {line[:60]}", marks=marks))
    return found


class Reader:
    """Somebody who types commands of the docs, but for one training step on few questions each."""

    def __init__(self, commands, url):
        self._commands = commands
        self._url = url
        self._num = 0

    def type(self, script, overrides):
        """Run a command, and before it what its text takes for granted: a folder, a checkpoint, a recording."""
        said = dict(o.lstrip("+").split("=", 1) for o in overrides)
        if script == "train" and "start" in said and not Path(said["start"]).exists():
            others = [o for o in overrides if o.partition("=")[0] not in ("start", "out", "designer.num_probes")]
            self.type("train", [*others, f"out={said['start']}"])
        for key in {"checkpoint", "learner.teacher.path"} & said.keys():
            if not Path(said[key]).exists():
                self.type("train", ["designer=gdesigner", f"out={said[key]}"])
        if said.get("llm") == "replay" and not Path(said["llm.path"]).exists():
            others = [o for o in overrides if not o.startswith("llm")]
            self.type("train", [*others, "llm=openai", f"llm.record={said['llm.path']}"])
        self._num += 1
        out = [] if {"out", "checkpoint"} & said.keys() else [f"out=runs/{self._num}"]
        status, _, err = self._commands(script, *overrides, *self._cut(script, overrides, said), *out)
        if status == 2 and re.search(r"(routing|benchmarks|multiagent)/\S+ is not there", err):
            pytest.skip(err)
        assert status == 0, f"{script} {overrides}: {err}"

    def _cut(self, script, overrides, said):
        with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "gdesign/configs")):
            config = compose(config_name=script, overrides=overrides)
        if script == "train":
            yield from ("trainer.max_epochs=1", "trainer.enable_progress_bar=false")
            if "num_runs" in signature(get_object(config.designer._target_)).parameters:
                yield "++designer.num_runs=20"
        if "checkpoint" not in said:
            takes = signature(get_object(config.task._target_)).parameters
            yield from (f"++task.{name}={num}" for name, num in FEW.items() if name in takes)
        if config.llm._target_ == "gdesign.llm.live.endpoint":
            yield from (f"llm.base_url={self._url}", "yes=true")


@pytest.mark.parametrize(("script", "overrides"), trainings())
def test_a_command_that_trains_or_evaluates_runs(script, overrides, workspace, monkeypatch, capsys):
    with chat_server() as url:
        reader = Reader(Commands(monkeypatch, capsys), url)
        for each in sweep(overrides):
            reader.type(Path(script).stem, each)


def test_every_block_has_a_language_that_is_looked_at():
    assert {b.language for b in blocks()} <= {"sh", "console", "python", "", *SHOWN}


@pytest.mark.parametrize("page", PAGES + ALSO_LINKED, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def anchors(page):
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shown(language, *, naming=""):
    """Return the one block of docs/adding.md in a language that has such a key."""
    (text,) = (
        b.text for b in blocks() if b.where.startswith("docs/adding.md") and b.language == language and naming in b.text
    )
    return text


def test_the_questions_and_agents_that_the_docs_show_can_be_read(tmp_path):
    (tmp_path / "team.yaml").write_text(shown("yaml", naming="roles:"))
    (tmp_path / "questions.jsonl").write_text(shown("json"))
    assert len(load(tmp_path / "team.yaml").candidates) == 4
    assert len(JSONL(train=TINY / "train.jsonl", test=tmp_path / "questions.jsonl").load("test")) == 3


def test_the_convolution_that_the_docs_show_is_one(tmp_path):
    shutil.copytree(ROOT / "gdesign/configs", tmp_path / "configs")
    (tmp_path / "configs/gnn/graphconv.yaml").write_text(shown("yaml", naming="conv:"))
    with initialize_config_dir(version_base="1.3", config_dir=str(tmp_path / "configs")):
        config = compose(config_name="train", overrides=["gnn=graphconv"])
    _, designer = assemble(config)
    assert any(isinstance(part, GraphConv) for part in designer.modules())


def test_the_agents_of_the_examples_can_be_read():
    assert load(ROOT / "examples/team.yaml").anchor == (("solver", "checker"),)
