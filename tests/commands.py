"""train.py and eval.py in this process, as from a command line."""

import sys

import pytest
from hydra.core.global_hydra import GlobalHydra

from gdesign.cli import eval as eval_command
from gdesign.cli import train as train_command


class Commands:
    """Runs a command; returns its exit status and what it wrote."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str] | None = None) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, name: str, *arguments: str) -> tuple[int, str, str]:
        main = {"train": train_command.run, "eval": eval_command.run}[name]
        self._monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        status = 0
        try:
            main()
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        finally:
            GlobalHydra.instance().clear()
        out, err = ("", "") if self._capsys is None else self._capsys.readouterr()
        return status, out, err
