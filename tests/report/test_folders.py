import json
from pathlib import Path

import pytest

from gdesign.errors import MissingDataError
from gdesign.report.folders import Incomplete, find_evaluations, last_phase, look_at, read_evaluation, typed
from tests.report.folders import write

BEST = "checkpoint/best.ckpt"


def unfinished(folder, *, phases=(), checkpoint=True, metrics=(), config=None):
    """A run folder without an evaluation, whose runs were done for some phases."""
    write(folder, score=None, config={"resume": True, "split": "test", **(config or {})})
    (folder / "runs.jsonl").write_text("".join(json.dumps({"phase": p}) + "\n" for p in phases))
    if checkpoint:
        (folder / BEST).parent.mkdir()
        (folder / BEST).touch()
    if metrics:
        (folder / "metrics.csv").write_text("step\n" + "".join(f"{step}\n" for step in metrics))
    return folder


def test_a_folder_without_runs_is_named(tmp_path):
    with pytest.raises(MissingDataError, match="holds no run folder"):
        find_evaluations([tmp_path])


def test_a_folder_that_is_found_twice_is_listed_once(tmp_path, monkeypatch):
    write(tmp_path / "runs/a")
    unfinished(tmp_path / "runs/b")
    monkeypatch.chdir(tmp_path)
    done, incomplete = find_evaluations([Path("runs"), Path("runs/a"), tmp_path / "runs", Path("runs/b")])
    assert [e.folder for e in done] == [Path("runs/a")]
    assert [i.folder for i in incomplete] == [Path("runs/b")]


def test_links_to_folders_are_followed_and_may_lead_back(tmp_path):
    write(tmp_path / "elsewhere/a")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "runs")
    done, _ = find_evaluations([tmp_path / "runs"])
    assert [e.folder for e in done] == [tmp_path / "runs/linked/a"]


def test_a_training_that_stopped_is_told_how_to_go_on(tmp_path):
    folder = unfinished(tmp_path / "a", phases=["fit:train"], metrics=[9, 19])
    found = look_at(folder)
    assert found.missing == "training stopped at step 20, or still goes on"
    assert found.command.startswith(f"gdesign train --config-path={folder} --config-name=config hydra.run.dir=. ")


def test_a_training_that_stopped_early_has_no_checkpoint(tmp_path):
    found = look_at(unfinished(tmp_path / "a", phases=["fit:train"], checkpoint=False))
    assert found.missing == "stopped before there was a checkpoint"
    assert "gdesign train" in found.command


def test_a_training_without_an_evaluation_is_evaluated_next(tmp_path):
    folder = unfinished(tmp_path / "a", phases=["fit:validation"], metrics=[9], config={"split": None})
    found = look_at(folder)
    assert found.missing == "trained, last at step 10; no evaluation was asked for (split=null)"
    assert found.command == f"gdesign eval checkpoint={folder} split=test"


def test_an_evaluation_that_stopped_is_told_apart_from_a_training(tmp_path):
    folder = unfinished(tmp_path / "a", phases=["fit:validation", "test"])
    found = look_at(folder)
    assert found.missing == "stopped in the evaluation on test"
    assert found.command == f"gdesign eval checkpoint={folder} split=test"


def test_an_evaluation_of_another_folders_checkpoint_is_repeated_with_what_it_changed(tmp_path):
    write(tmp_path / "a", config={"reward": {"usd_weight": 0.03, "token_weight": 0.0}})
    changed = {"reward": {"usd_weight": 0.1, "token_weight": 0.0}, "checkpoint": "a", "split": "validation"}
    folder = unfinished(tmp_path / "a/b", phases=["validation"], config=changed)
    command = look_at(folder).command
    assert command.startswith(f"gdesign eval checkpoint={tmp_path / 'a'} ++reward.usd_weight=0.1 ")
    assert command.endswith(f"split=validation out={folder}")
    assert "token_weight" not in command


def test_a_broken_evaluation_is_incomplete(tmp_path):
    write(tmp_path / "a")
    (tmp_path / "a/eval.json").write_text('{"score": 0.')
    assert look_at(tmp_path / "a").missing == "eval.json is broken"
    (tmp_path / "a/eval.json").write_text("null")
    assert look_at(tmp_path / "a").missing == "eval.json is broken"
    write(tmp_path / "b")
    summary = json.loads((tmp_path / "b/eval.json").read_text())
    del summary["usd_weight"]
    (tmp_path / "b/eval.json").write_text(json.dumps(summary))
    assert look_at(tmp_path / "b").missing == "eval.json lacks usd_weight, as earlier versions wrote it"


def test_a_config_that_cannot_be_read_is_incomplete(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    assert look_at(tmp_path) == Incomplete(
        folder=tmp_path, missing="config.yaml cannot be read; remove the folder, and train again", command=None
    )


def test_a_training_that_went_on_after_its_evaluation_is_incomplete(tmp_path):
    write(tmp_path / "a", config={"resume": True, "split": "test"})
    (tmp_path / "a/runs.jsonl").write_text('{"phase": "test"}\n{"phase": "fit:train"}\n')
    assert look_at(tmp_path / "a").missing.startswith("trained further after its evaluation")


def test_the_last_line_counts_that_was_written_to_its_end(tmp_path):
    path = tmp_path / "runs.jsonl"
    assert last_phase(path) is None
    path.touch()
    assert last_phase(path) is None
    path.write_text('{"phase": "fi')
    assert last_phase(path) is None
    path.write_text('{"phase": "fit:train"}\n{"phase": "test", "words": "' + "x" * 100_000 + '"}\n{"phase": "fi')
    assert last_phase(path) == "test"


def test_an_evaluation_knows_what_its_checkpoint_was_trained_with(tmp_path):
    write(tmp_path / "a", task="crux")
    write(tmp_path / "elsewhere", config={"checkpoint": str(tmp_path / "a")})
    assert read_evaluation(tmp_path / "elsewhere").trained["names"]["task"] == "crux"


def test_an_override_is_typed_so_that_shell_and_hydra_read_it():
    assert typed("checkpoint", Path("runs/a-0")) == "checkpoint=runs/a-0"
    assert typed("checkpoint", Path("runs/a-x=1-0")) == "\"checkpoint='runs/a-x=1-0'\""
    assert typed("++llms", ["a", "b"]) == "'++llms=['\"'\"'a'\"'\"', '\"'\"'b'\"'\"']'"
