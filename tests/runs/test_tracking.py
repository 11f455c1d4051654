"""W&B is told a whole run: its offline files are read back here, record by record."""

import json
import struct

import pytest

from gdesign.runs.tracking import sweep_of
from tests.commands import Commands
from tests.test_train import SMALL

BLOCK = 32768


def records(path):
    """Yield the records of an offline file: LevelDB's log format, blocks with fragments, after seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or its last fragment
            record = Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def read_back(path):
    """Return the run, its config, summary and history, and how it ended."""
    found = {"config": {}, "summary": {}, "logged": set(), "exit": None}
    for record in records(path):
        match record.WhichOneof("record_type"):
            case "run":
                found["name"], found["group"] = record.run.display_name, record.run.run_group
                found["config"] |= {c.key: json.loads(c.value_json) for c in record.run.config.update}
            case "config":
                found["config"] |= {c.key: json.loads(c.value_json) for c in record.config.update}
            case "summary":
                for item in record.summary.update:
                    found["summary"][item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
            case "history":
                found["logged"] |= {item.key or "/".join(item.nested_key) for item in record.history.item}
            case "exit":
                found["exit"] = record.exit.exit_code
    return found


@pytest.mark.slow
def test_every_job_of_a_sweep_is_a_run_of_its_own(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_SILENT", "true")
    command = Commands(monkeypatch, capsys)
    status, _, err = command("train", "-m", *SMALL, "seed=0,1", "logger=wandb")
    assert status == 0, err
    runs = {path.parents[2].name: read_back(path) for path in tmp_path.glob("runs/*/wandb/*/run-*.wandb")}
    assert len(runs) == len(list((tmp_path / "runs").iterdir())) == 2
    for folder, run in runs.items():
        summary = json.loads((tmp_path / "runs" / folder / "eval.json").read_text())
        assert len(run["name"]) == 128
        assert folder.startswith(run["name"].split("...")[0])
        assert run["name"].endswith(folder[-20:])
        assert run["group"].startswith("seed=0,1 +task.num_train=9 ")
        assert run["config"]["seed"] == int(folder[-1])
        assert run["config"]["names"]["designer"] == "gdesigner"
        assert run["summary"]["test/score"] == summary["score"]
        assert {"val/utility", "test/questions/nrows", "report/score_cost/path"} <= run["logged"]
        assert run["summary"]["test/questions/nrows"] == 18
        assert run["exit"] == 0


def test_a_sweep_is_called_as_it_was_typed():
    assert sweep_of(["designer=joint", "seed=0"]) is None
    typed = ["-m", "task=gsm8k", "designer=joint,swarm", "seed=0,1", "out=a", "logger=wandb", "logger.offline=false"]
    assert sweep_of(typed) == "designer=joint,swarm seed=0,1 task=gsm8k"
