from dataclasses import replace

import pytest
from hypothesis import given, settings

from gdesign.errors import DataError, MissingDataError
from gdesign.runs.log import RunsFile, design_from_json, design_to_json, read_runs
from gdesign.types import Agent, Decision, Design, Edge, Gate, Outcome, Run, Task
from tests import strategies

TASK = Task(id="q", question="?", answer="1", benchmark="b")
DESIGN = Design(
    agents=(
        Agent(role="r", llm="a"),
        Agent(role="r", llm="b"),
        Agent(role="r", llm="c", gate=Gate(watch=(0, 1), quorum=2)),
    ),
    temporal=(Edge(0, 1, (3,)),),
    num_rounds=3,
    decision=Decision(kind="weighted_vote", weights=(1.0, 2.0, 0.5)),
)
RUN = Run(design=DESIGN, task=TASK, seed=0, turns=(), answer=None, decided_by=None, label=None)
OUTCOME = Outcome(
    score=0.0,
    usd=0.0,
    prompt_tokens=0,
    completion_tokens=0,
    calls=0,
    critical_path=0,
    unreadable=True,
    failures=0,
    label=None,
)


def test_a_design_survives_json():
    assert design_from_json(design_to_json(DESIGN)) == DESIGN


@settings(max_examples=50)
@given(strategies.designs())
def test_any_design_survives_json(design):
    assert design_from_json(design_to_json(design)) == design


def test_what_is_no_design_is_named():
    with pytest.raises(DataError, match="no design"):
        design_from_json({"spatial": []})


def test_a_line_is_on_disk_as_soon_as_it_is_appended(tmp_path):
    runs = RunsFile(tmp_path / "deep/runs.jsonl")
    runs.append(RUN, OUTCOME, phase="train", step=3)
    (row,) = read_runs(runs.path)
    assert (row["phase"], row["step"], row["task"], row["answer"]) == ("train", 3, "q", None)
    assert design_from_json(row["design"]) == DESIGN
    runs.close()


def test_a_line_says_what_each_agent_cost(tmp_path):
    with RunsFile(tmp_path / "runs.jsonl") as runs:
        runs.append(RUN, replace(OUTCOME, agent_usd=(1 / 3, 0.0, 0.5)), phase="train")
        runs.append(RUN, OUTCOME, phase="train")
    told, untold = read_runs(runs.path)
    assert told["agent_usd"] == [0.333333, 0.0, 0.5]
    assert "agent_usd" not in untold


def test_a_line_that_a_kill_cut_short_is_left_out_and_then_overwritten(tmp_path):
    path = tmp_path / "runs.jsonl"
    for cut in (True, False):
        with RunsFile(path) as runs:
            runs.append(RUN, OUTCOME, phase="train")
        if cut:
            with path.open("a") as file:
                file.write('{"phase": "tr')
            assert len(list(read_runs(path))) == 1
    assert len(list(read_runs(path))) == 2


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text('{"phase": "train"}\n{"pha\n{"phase": "train"}\n')
    with pytest.raises(DataError, match=r"runs\.jsonl:2: not JSON"):
        list(read_runs(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"runs\.jsonl is not there"):
        list(read_runs(tmp_path / "runs.jsonl"))
