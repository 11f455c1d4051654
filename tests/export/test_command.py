import contextlib
import json

import pytest

from gdesign.cli.main import main
from gdesign.export.dot import dot
from gdesign.export.graphml import graphml
from gdesign.export.mermaid import mermaid
from gdesign.export.python import to_python
from gdesign.export.schema import design_to_json
from gdesign.report.text import describe
from gdesign.types import Agent, Design
from tests.export.worlds import DESIGNS, POOL

STAR = DESIGNS["star"]


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "d.json"
    path.write_text(json.dumps(design_to_json(STAR)))
    return path


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        main(["export", *map(str, arguments)])
    assert exit_.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("text", describe(STAR)),
        ("mermaid", mermaid(STAR)),
        ("dot", dot(STAR)),
        ("graphml", graphml(STAR)),
        ("json", json.dumps(design_to_json(STAR), indent=2)),
    ],
)
def test_a_saved_design_is_written_in_every_format(format, text, saved, capsys):
    main(["export", str(saved), "--format", format])
    assert capsys.readouterr().out == text + "\n"


def test_the_profiles_for_langgraph_come_from_a_pool(saved, tmp_path, capsys):
    out = tmp_path / "deep/team.py"
    main(["export", str(saved), "--format", "langgraph", "--pool", "simulated", "--out", str(out)])
    assert capsys.readouterr().out == f"written to {out}\n"
    assert out.read_text() == to_python(STAR, pool=POOL)


def test_or_from_the_design_where_they_were_saved_with_it(tmp_path, capsys):
    path = tmp_path / "d.json"
    path.write_text(json.dumps(design_to_json(STAR, pool=POOL)))
    main(["export", str(path), "--format", "langgraph"])
    assert capsys.readouterr().out == to_python(STAR, pool=POOL)


@pytest.mark.parametrize("format", ["text", "mermaid", "dot", "graphml", "json"])
def test_half_a_character_in_a_name_is_written_as_its_number(format, tmp_path):
    path, out = tmp_path / "d.json", tmp_path / "out"
    path.write_text(json.dumps(design_to_json(Design(agents=(Agent(role="half \ud83d", llm="small"),)))))
    with path.with_name("printed").open("w", encoding="utf-8") as printed, contextlib.redirect_stdout(printed):
        main(["export", str(path), "--format", format])
    main(["export", str(path), "--format", format, "--out", str(out)])
    assert out.read_text() == path.with_name("printed").read_text()
    assert "half" in out.read_text()


def test_what_is_missing_is_named(saved, tmp_path, capsys):
    assert "name the pool that does by --pool" in refused(capsys, saved, "--format", "langgraph")
    assert "--format" in refused(capsys, saved)
    assert "no.json is not there" in refused(capsys, tmp_path / "no.json", "--format", "dot")
    assert "has no role 'assistant'" in refused(capsys, saved, "--format", "dot", "--pool", "code")
