import pytest
import torch

from gdesign.design.learned.gdesigner import GDesigner
from gdesign.design.learned.swarm import Swarm
from gdesign.errors import ConfigError, DataError, MissingDataError
from gdesign.runs.checkpoint import restore, save
from tests import worlds


@pytest.fixture
def designer():
    return Swarm(space=worlds.encoder().space)


def test_a_designer_is_read_back(designer, tmp_path):
    save(designer, tmp_path / "best.ckpt")
    other = Swarm(space=designer.space)
    for parameter in other.parameters():
        torch.nn.init.ones_(parameter)
    restore(other, tmp_path / "best.ckpt")
    for one, two in zip(designer.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"hello" * 9, lambda b: b[9:]])
def test_a_damaged_checkpoint_is_named(designer, tmp_path, damage):
    path = tmp_path / "best.ckpt"
    save(designer, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"best\.ckpt is no checkpoint of gdesign, or was cut short"):
        restore(designer, path)


def test_a_file_of_other_tensors_is_no_checkpoint(designer, tmp_path):
    torch.save(torch.zeros(3), tmp_path / "best.ckpt")
    with pytest.raises(DataError, match="no checkpoint of gdesign"):
        restore(designer, tmp_path / "best.ckpt")


def test_a_checkpoint_that_is_not_there_is_named(designer, tmp_path):
    with pytest.raises(MissingDataError, match=r"best\.ckpt is not there"):
        restore(designer, tmp_path / "best.ckpt")


def test_the_checkpoint_of_another_designer_is_refused(designer, tmp_path):
    save(GDesigner(space=designer.space), tmp_path / "best.ckpt")
    with pytest.raises(ConfigError, match="does not fit the designer that the config describes"):
        restore(designer, tmp_path / "best.ckpt")
