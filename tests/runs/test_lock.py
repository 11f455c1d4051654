import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gdesign.errors import ConfigError
from gdesign.runs.lock import only_writer

HOLD = """
import sys, time
from pathlib import Path
from gdesign.runs.lock import only_writer
with only_writer(Path(sys.argv[1]), command='gdesign train'):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    arguments = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_who_holds_the_folder(holder, tmp_path):
    with pytest.raises(ConfigError, match=rf"written by process {holder.pid} on .* since .*; wait"):
        with only_writer(tmp_path / "run", command="gdesign train"):
            pytest.fail("two writers")


def test_the_lock_of_a_killed_writer_is_taken_over(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run/.writer.json").exists()
    with only_writer(tmp_path / "run", command="gdesign train"):
        pass


def test_a_folder_is_free_again_and_nothing_is_left_of_the_lock(tmp_path):
    for _ in range(2):
        with only_writer(tmp_path / "run", command="gdesign train"):
            (tmp_path / "run/config.yaml").write_text("")
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["config.yaml"]


def test_a_folder_in_which_nothing_was_written_is_gone_again(tmp_path):
    with pytest.raises(ConfigError, match="no"), only_writer(tmp_path / "runs/a", command="gdesign train"):
        raise ConfigError("no")
    assert list(tmp_path.iterdir()) == []


def test_somebody_may_write_into_a_folder_within(tmp_path):
    with (
        only_writer(tmp_path / "run", command="gdesign train"),
        only_writer(tmp_path / "run/lockbox", command="gdesign train"),
    ):
        assert Path(tmp_path / "run/lockbox").is_dir()
