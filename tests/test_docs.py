"""The pages of docs/ as a site: every page is in its navigation, and what it quotes is said by the code."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
HYDRAS = {
    "Could not override ...": ["designer.no.such=1"],
    "Could not append ...": ["+seed=1"],
    "mismatched input '='": ["out=runs/lr=0.1"],
}


def said():
    """Return the texts in the code; `...` stands where a value is put in."""
    texts = []
    for path in [*sorted((ROOT / "gdesign").rglob("*.py")), ROOT / "train.py", ROOT / "eval.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Constant(value=str(text)):
                    texts.append(text)
                case ast.JoinedStr(values=values):
                    texts.append("".join(v.value if isinstance(v, ast.Constant) else "..." for v in values))
    return "\0".join(texts)


def quoted():
    """Return the messages in the first columns of the tables of errors.md."""
    rows = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", (DOCS / "errors.md").read_text(), re.MULTILINE)
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row)]


def test_the_messages_that_the_docs_explain_are_in_the_code():
    texts = said()
    unsaid = []
    for message in quoted():
        parts = [re.escape(part) for part in message.split("...") if part.strip()]
        if message not in HYDRAS and not re.search("[^\0]*?".join(parts), texts):
            unsaid.append(message)
    assert len(quoted()) > 40
    assert unsaid == []


@pytest.mark.parametrize("message", HYDRAS)
def test_the_messages_of_hydra_that_the_docs_explain_are_still_hydras(message):
    assert message in quoted()
    with (
        initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "configs")),
        pytest.raises(HydraException, match=re.escape(message.removesuffix(" ..."))),
    ):
        compose(config_name="train", overrides=HYDRAS[message])


def test_every_page_is_in_the_navigation():
    entries = re.findall(r"^[\w./*-]+$", (DOCS / "index.md").read_text(), re.MULTILINE)
    listed = {path.resolve() for entry in entries for path in DOCS.glob(f"{entry}.md") if ".." not in entry}
    assert {p.resolve() for p in DOCS.rglob("*.md")} - {DOCS / "index.md"} <= listed


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("furo", reason="the extra docs is not installed")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-c", "docs", ".", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "docs/index.html").is_file()
