import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from gdesign.errors import DataError, MissingDataError
from gdesign.export.schema import design_from_json, design_to_json
from gdesign.runs.log import RunsFile, read_runs
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


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.designs())
def test_any_design_survives_a_line(tmp_path, design):
    path = tmp_path / "runs.jsonl"
    path.unlink(missing_ok=True)
    with RunsFile(path) as runs:
        runs.append(replace(RUN, design=design), OUTCOME, phase="train")
    (row,) = read_runs(path)
    assert design_from_json(row["design"]) == design


@pytest.mark.parametrize("probability", [None, 0.0, 0.75])
def test_a_line_says_how_likely_a_policy_held_its_answer_to_be_right(tmp_path, probability):
    with RunsFile(tmp_path / "runs.jsonl") as runs:
        runs.append(replace(RUN, probability=probability), OUTCOME, phase="test")
    (row,) = read_runs(tmp_path / "runs.jsonl")
    assert row.get("probability") == probability


def test_lines_of_older_run_folders_are_read_as_those_of_today(tmp_path):
    """Their designs had a form of their own."""
    path = tmp_path / "runs.jsonl"
    old = {
        "agents": [
            {"role": "r", "llm": "a"},
            {"role": "r", "llm": "b"},
            {"role": "r", "llm": "c", "operator": "cot", "watch": [0, 1], "quorum": 2},
        ],
        "spatial": [[0, 2]],
        "temporal": [[0, 1, [3]], [1, 0]],
        "num_rounds": 3,
        "decision": "weighted_vote",
        "weights": [1.0, 2.0, 0.5],
    }
    path.write_text(
        "".join(json.dumps({"phase": "train", "design": d}) + "\n" for d in (old, {"agents": old["agents"][:1]}))
    )
    team, single = (row["design"] for row in read_runs(path))
    design = Design(
        agents=(*DESIGN.agents[:2], replace(DESIGN.agents[2], operator="cot")),
        spatial=(Edge(0, 2),),
        temporal=(Edge(0, 1, (3,)), Edge(1, 0)),
        num_rounds=3,
        decision=DESIGN.decision,
    )
    assert team == design_to_json(design, brief=True)
    assert design_from_json(team) == design
    assert design_from_json(single) == Design(agents=(Agent(role="r", llm="a"),))


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
