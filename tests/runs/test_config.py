import pytest
from omegaconf import OmegaConf

from gdesign.errors import ConfigError, DataError
from gdesign.runs.config import read_config


def written(folder, **config):
    OmegaConf.save(OmegaConf.create(config), folder / "config.yaml")
    return folder


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [\n"])
def test_a_config_that_is_none_is_named(text, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(DataError, match=r"config\.yaml is no config"):
        read_config(tmp_path)


def test_what_trains_is_neither_refused_nor_kept(tmp_path):
    learner = {"_target_": "gdesign.learn.module.DesignModule", "optimizer": {"_target_": "torch.optim.AdamW"}}
    config = read_config(written(tmp_path, learner=learner, trainer={"_target_": "lightning.Trainer"}))
    assert config == {"learner": {"_target_": "gdesign.learn.module.DesignModule"}}


@pytest.mark.parametrize("place", ["learner.estimator", "learner.optimizers", "designer.optimizer", "optimizer"])
def test_an_optimizer_elsewhere_is_foreign(tmp_path, place):
    config = OmegaConf.create({})
    OmegaConf.update(config, place, {"_target_": "torch.optim.AdamW"}, force_add=True)
    with pytest.raises(ConfigError, match=r"would call torch\.optim\.AdamW, which is not part of gdesign"):
        read_config(written(tmp_path, **config))


def test_a_learner_that_is_only_an_interpolation_hides_nothing(tmp_path):
    learner = {"optimizer": {"_target_": "torch.optim.AdamW"}}
    with pytest.raises(ConfigError, match=r"would call torch\.optim\.AdamW"):
        read_config(written(tmp_path, learner="${designer}", designer=learner))


@pytest.mark.parametrize("target", ["gdesign.api.load", "gdesign.runs.config.read_config", "gdesign.cli.main.main"])
def test_what_builds_from_configs_itself_is_not_built(tmp_path, target):
    with pytest.raises(ConfigError, match="would call " + target):
        read_config(written(tmp_path, pool={"_target_": target, "folder": "inner", "trust": True}))


@pytest.mark.parametrize(
    "target",
    [
        "Sequential",
        "MLP",
        "models.basic_gnn.torch.hub.load",
        "conv.gcn_conv.torch.load",
        "resolver.activation_resolver",
    ],
)
def test_of_pyg_only_convolutions_are_built(tmp_path, target):
    conv = {"_target_": f"torch_geometric.nn.{target}", "_partial_": True}
    with pytest.raises(ConfigError, match="would call torch_geometric.nn." + target):
        read_config(written(tmp_path, gnn={"conv": conv}))


@pytest.mark.parametrize("target", ["torch_geometric.nn.NopeConv", "gdesign.design.joint.Joint"])
def test_what_this_version_lacks_is_told(tmp_path, target):
    with pytest.raises(ConfigError, match=target + ", which this version of gdesign does not have; train again"):
        read_config(written(tmp_path, designer={"_target_": target}))
