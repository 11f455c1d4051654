import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from gdesign.export.schema import design_to_json
from gdesign.report import document, page
from gdesign.runs.folder import write_command
from gdesign.types import Agent
from tests.report.test_page import CASCADE, SUMMARY, write

HOSTILE = "<script>alert(1)</script><img src=http://example.org/x onerror=alert(2)>\"'&]]>"
ROW = {
    "phase": "test", "benchmark": "gsm8k", "task": "1", "question": "Why?", "seed": 0, "answer": "4", "score": 1.0,
    "usd": 0.004, "prompt_tokens": 10, "completion_tokens": 5, "calls": 2, "critical_path": 1, "unreadable": False,
    "failures": 0, "label": "exact", "seconds": 0.1, "design": design_to_json(CASCADE),
    "agent_usd": [0.001, 0.003, 0.0],
    "turns": [[0, 1, "4", "It is 4.", None], [1, 1, "4", "It is 4.", None], [2, 1, None, None, None]],
}  # fmt: skip


class Elements(HTMLParser):
    """Collects tags, attributes and texts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Draw nothing, for drawing takes long."""
    monkeypatch.setattr(document, "HAS_MATPLOTLIB", False)


def told(folder, *rows, **changed):
    if not folder.exists():
        write(folder, **changed)
    (folder / "runs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page.write_page(folder)
    return (folder / "report.html").read_text()


def test_a_page_holds_all_it_shows_and_runs_nothing(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    monkeypatch.setattr(document, "HAS_MATPLOTLIB", True)
    one = {"mathematics": {"score": 1.0, "usd": 1.0, "utility": 0.9, "n": 1}}
    text = told(tmp_path / "a", ROW, domains=one)
    tags = Elements(text).tags
    assert {tag for tag, _ in tags}.isdisjoint({"script", "iframe", "object", "form"})
    for tag, attributes in tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert "url(" not in text
    assert len([tag for tag, _ in tags if tag == "img"]) == 2
    assert "default-src 'none'" in text


def test_what_others_wrote_is_shown_as_text(tmp_path):
    names = ("question", "answer", "benchmark", "role", "llm", "text", "error", "domain", "command", "unreadable")
    by = {name: f"{name} {HOSTILE}" for name in names}
    design = design_to_json(replace(CASCADE, agents=(Agent(role=by["role"], llm=by["llm"]),) * 2))
    row = ROW | {"question": by["question"], "answer": by["answer"], "benchmark": by["benchmark"], "design": design}
    row |= {"turns": [[0, 1, "4", by["text"], None], [0, 1, None, None, by["error"]]], "failures": 1}
    lost = row | {"task": "2", "unreadable": True, "turns": [[0, 1, None, by["unreadable"], None]]}
    domains = {by["domain"]: {"n": 1, "score": 1.0, "usd": 1.0, "utility": 1.0}}
    folder = write(tmp_path / "a", domains=domains)
    write_command(folder, by["command"])
    found = Elements(told(folder, row, lost, domains=domains))
    assert "script" not in {tag for tag, _ in found.tags}
    assert not any("onerror" in attributes for _, attributes in found.tags)
    for text in by.values():
        assert any(text in said for said in found.texts), text


def test_a_page_shows_where_the_money_went_by_llm_and_by_role(tmp_path):
    text = told(tmp_path / "a", ROW, ROW | {"task": "2"})
    assert "Evaluation: 0.0080 USD" in text
    assert re.search(r"<span>b</span><i[^>]*></i><span[^>]*>0.0060 \(75 %\)", text)
    assert re.search(r"<span>solver</span><i[^>]*></i><span[^>]*>0.0080 \(100 %\)", text)


def test_money_of_training_and_evaluation_is_kept_apart_and_what_is_untold_is_said(tmp_path):
    trained = {k: v for k, v in ROW.items() if k != "agent_usd"} | {"phase": "fit:train"}
    text = told(tmp_path / "a", trained, ROW)
    assert "Training: 0.0040 USD were spent by an earlier version" in text
    assert "Evaluation: 0.0040 USD" in text


def test_a_page_names_what_failed_and_what_could_not_be_read(tmp_path):
    lost = {"task": "2", "answer": None, "unreadable": True, "failures": 1, "score": 0.0}
    lost["turns"] = [[0, 1, None, "Perhaps.", None], [1, 1, None, None, "timed out"]]
    text = told(tmp_path / "a", ROW, ROW | lost)
    assert "1 calls failed for good" in text
    assert "<td>timed out</td>" in text
    assert "1 evaluated runs ended with an answer that could not be read" in text
    assert "<pre>Perhaps.</pre>" in text


def test_a_page_without_failures_says_so(tmp_path):
    assert "no call failed, every answer could be read" in told(tmp_path / "a", ROW)


def test_a_page_tells_the_commands_and_versions_that_made_it(tmp_path):
    folder = write(tmp_path / "a")
    write_command(folder, "python train.py seed=7 out=a")
    page.write_page(folder)
    text = (folder / "report.html").read_text()
    assert "<pre>python train.py seed=7 out=a</pre>" in text
    assert "torch " in text
    assert "To repeat the evaluation" in text


def test_a_run_that_stopped_is_told_how_to_go_on(tmp_path):
    folder = write(tmp_path / "a")
    page.write_page(folder, stopped="the budget of 1 usd is spent.")
    text = (folder / "report.html").read_text()
    assert "the budget of 1 usd is spent." in text
    (tmp_path / "b").mkdir()
    page.write_page(tmp_path / "b")
    assert "Not evaluated yet" in (tmp_path / "b/report.html").read_text()


def test_without_matplotlib_the_page_has_its_numbers_and_says_what_is_missing(tmp_path):
    text = told(tmp_path / "a", ROW)
    assert "Pictures need matplotlib" in text
    assert "<svg" not in text
    assert "data:image" not in text


def test_an_overview_holds_the_same_as_its_table_and_leads_to_each_report(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    monkeypatch.setattr(document, "HAS_MATPLOTLIB", True)
    told(tmp_path / "runs/a", ROW, utility=0.9)
    write(tmp_path / "runs/<b>")
    page.write_overview([tmp_path / "runs"], tmp_path / "out")
    text = (tmp_path / "out/report.html").read_text()
    assert 'href="../runs/a/report.html"' in text
    assert "The best against each other" in text
    assert "<b>" not in re.sub(r"<b>[\d.]+</b>|<b>4</b>", "", text)
    assert SUMMARY["label"] in text
    assert text.count("data:image/svg+xml") == 3


def test_an_overview_names_a_folder_whose_runs_cannot_be_read_and_shows_the_others(tmp_path):
    told(tmp_path / "runs/a", ROW)
    broken = write(tmp_path / "runs/b", utility=0.9)
    (broken / "runs.jsonl").write_text('{"phase": "te\n{}\n')
    page.write_overview([tmp_path / "runs"], tmp_path / "out")
    text = (tmp_path / "out/report.html").read_text()
    assert f"Not counted: {broken}/runs.jsonl:1: not JSON" in text
    assert "Evaluation: 0.0040 USD" in text


def test_a_command_that_a_kill_cut_short_is_left_out(tmp_path):
    folder = write(tmp_path / "a")
    write_command(folder, "python train.py seed=7 out=a")
    with (folder / "commands.jsonl").open("a") as file:
        file.write('{"time": "20')
    assert "<pre>python train.py seed=7 out=a</pre>" in told(folder, ROW)


def test_an_overview_leads_to_reports_in_folders_of_any_name(tmp_path):
    folders = [tmp_path / os.fsdecode(name) for name in (b"a #1 ?x%20", b"b:c", b"\xff")]
    for folder in folders:
        write(folder)
        (folder / "report.html").touch()
    text = page.write_overview(folders, tmp_path).with_suffix(".html").read_text()
    links = {attributes["href"] for tag, attributes in Elements(text).tags if tag == "a"}
    assert {"a%20%231%20%3Fx%2520/report.html", "b%3Ac/report.html", "%FF/report.html"} <= links


def test_markdown_keeps_what_others_wrote_in_its_place_and_leaves_out_what_it_cannot_fold():
    table = document.Table(head=("name", "to go on"), rows=[("a|b\nc", "python eval.py"), ("d", "")], code=1)
    said = document.Folded(title="What was said", blocks=[document.Text("Four.")])
    blocks = [table, document.Text("```\n1 agent", "code"), document.Text("Why?\nHow?", "quote"), said]
    text = document.markdown(document.Report(title="Runs", sections={"Numbers": blocks, "Folded": [said]}))
    assert r"| a\|b c | `python eval.py` |" in text
    assert "| d |  |" in text
    assert "~~~\n```\n1 agent\n~~~" in text
    assert "> Why?\n> How?" in text
    assert "said" not in text
    assert "## Folded" not in text


def test_both_files_say_the_same(tmp_path):
    html = told(
        tmp_path / "a",
        ROW,
        ROW | {"phase": "fit:train"},
        domains={"algebra": {"n": 1, "score": 1.0, "usd": 1.0, "utility": 1.0}},
    )
    text = (tmp_path / "a/report.md").read_text()
    headings = re.findall(r"^## (.*)$", text, flags=re.M)
    assert headings == re.findall(r"<h2 [^>]*>(.*)</h2>", html)
    assert "Where the money went" in headings
    tables = text.partition("### Training")[0]  # bars of the one are a table of the other
    cells = {cell.strip() for line in tables.splitlines() if line.startswith("| ") for cell in line.split("|")}
    shown = {said.strip() for said in Elements(html).texts}
    assert {"algebra", "fit:train", "0.5000 (0.2000 to 0.8000)"} <= cells
    assert [cell for cell in cells if cell.partition(" (")[0] not in shown] == []
