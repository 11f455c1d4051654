"""The pages of docs/ as a site: every page is in its navigation, and what it quotes of Hydra is said by Hydra."""

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


@pytest.mark.parametrize("message", HYDRAS)
def test_the_messages_of_hydra_that_the_docs_explain_are_still_hydras(message):
    assert f"`{message}`" in (DOCS / "quickstart.md").read_text()
    with (
        initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "gdesign/configs")),
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
