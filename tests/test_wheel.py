"""What is built and installed elsewhere trains, evaluates, asks and reports, with nothing of a checkout beside it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from gdesign.tasks.synthetic import Synthetic

ROOT = Path(__file__).parents[1]


def run(*command, cwd, **environment):
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def installed(tmp_path):
    """The `gdesign` command of an environment that has the wheel, built of the sdist, and this one's other packages."""
    source, dist = tmp_path / "source", tmp_path / "dist"
    shutil.copytree(ROOT / "gdesign", source / "gdesign", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = f"import setuptools.build_meta as backend; print(backend.build_sdist({str(dist)!r}))"
    name = run(sys.executable, "-c", build, cwd=source).splitlines()[-1]
    wheel = ("wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(dist), str(dist / name))
    run(sys.executable, "-m", "pip", *wheel, cwd=tmp_path)
    environment = tmp_path / "venv"
    venv.create(environment, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ("install", "-q", "--no-deps", "--no-index", "--ignore-installed", *map(str, dist.glob("*.whl")))
    run(sys.executable, "-m", "pip", "--python", str(environment / "bin/python"), *install, cwd=tmp_path)
    return environment / "bin/gdesign"


@pytest.mark.slow
def test_an_installed_wheel_trains_evaluates_asks_and_reports(installed, tmp_path):
    few = ("+task.num_train=6", "+task.num_validation=6", "+task.num_test=6", "trainer.max_epochs=1")
    run(installed, "train", "experiment=demo", *few, "out=runs/a", cwd=tmp_path)
    run(installed, "eval", "checkpoint=runs/a", "split=validation", cwd=tmp_path)
    question = Synthetic().load("test")[0].question
    assert run(installed, "ask", "--checkpoint", "runs/a", question, cwd=tmp_path).strip()
    assert "report.md" in run(installed, "report", "runs", cwd=tmp_path)
    assert str(installed.parents[1]) in run(
        installed.parent / "python", "-c", "import gdesign; print(gdesign.__file__)", cwd=tmp_path
    )
