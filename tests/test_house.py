"""What holds for the whole project: configs, layers, pins, packaging."""

import inspect
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from hydra.utils import get_object
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONFIGS = sorted((ROOT / "gdesign/configs").rglob("*.yaml"))
ABSOLUTE = re.compile(r"(?<![\w.~}:-])/(?:home|root|Users|work|tmp|opt|mnt)/[\w.-]+")


def built(node):
    """Yield the parts of a config that something is built from."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield node
        for value in node.values():
            yield from built(value)
    elif isinstance(node, list):
        for value in node:
            yield from built(value)


TARGETS = {}
for path in CONFIGS:
    for node in built(yaml.safe_load(path.read_text())):
        TARGETS.setdefault(node["_target_"], set()).update(key for key in node if not key.startswith("_"))


def contract(name):
    (found,) = [c for c in PROJECT["tool"]["importlinter"]["contracts"] if c["name"] == name]
    return found


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_target_in_the_configs_exists_and_takes_what_they_give_it(target):
    if target.startswith("hydra_plugins."):
        pytest.importorskip(target.rpartition(".")[0], reason="this launcher of Hydra is not installed")
    if target == "gdesign.execute.cluster.RayArena":
        pytest.importorskip("ray", reason="the extra ray is not installed")
    parameters = inspect.signature(get_object(target)).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    assert open_ended or TARGETS[target] <= set(parameters)


def test_every_room_has_a_layer():
    rooms = {p.stem for p in (ROOT / "gdesign").iterdir() if p.is_dir() or p.suffix == ".py"}
    rooms -= {"__init__", "__pycache__", "py", "configs"}
    layers = contract("A room imports only rooms below it")
    assert layers["exhaustive"]
    named = {room for layer in layers["layers"] for room in re.findall(r"\w+", layer)}
    assert rooms <= named


def test_running_a_design_loads_no_machine_learning_stack():
    code = (
        "import sys, gdesign.execute.run, gdesign.llm.simulated, gdesign.tasks.synthetic, gdesign.execute.reward; "
        "print(*sorted({'torch', 'torch_geometric', 'lightning', 'hydra'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    sources = contract("Running a design needs no machine-learning stack")["source_modules"]
    assert {"gdesign.types", "gdesign.llm", "gdesign.execute", "gdesign.export"} <= set(sources)


def test_the_pinned_versions_lie_in_the_ranges():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *(r for name in installed_extras() for r in extras[name])]
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        assert name in pins, f"constraints.txt lacks {name}"
        assert requirement.specifier.contains(pins[name], prereleases=True), f"{requirement}, pinned to {pins[name]}"


def installed_extras():
    found = re.search(r"^EXTRAS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return found[1].split(",")


def test_make_venv_installs_every_extra_that_the_tests_need():
    assert {"dev", "openai", "text", "report"} <= set(installed_extras())


def test_the_package_ships_its_types_and_pools():
    assert (files("gdesign") / "py.typed").is_file()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["gdesign"]
    assert [p for p in (files("gdesign.agents") / "pools").iterdir() if p.name.endswith(".yaml")]


def test_no_tracked_file_names_a_path_of_somebodys_machine():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nothing is tracked")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if not path.is_file() or b"\0" in (data := path.read_bytes()):
            continue
        found += [f"{name}: {hit}" for hit in ABSOLUTE.findall(data.decode())]
    assert found == []
