"""Every config composes, and what it describes can be made."""

from copy import deepcopy
from functools import cache
from inspect import Parameter, signature
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf

from gdesign.errors import MissingDataError
from gdesign.llm.recording import Recording
from gdesign.runs.checkpoint import assemble
from gdesign.runs.config import refuse_foreign_targets
from gdesign.tasks.data import find

CONFIGS = Path(__file__).parents[1] / "gdesign/configs"
NEEDS = {
    ("pool", "file"): ["pool.path=p.yaml"],
    ("task", "jsonl"): ["task.train=a.jsonl", "task.test=b.jsonl"],
    ("learner", "imitation"): ["learner.teacher.path=runs/a"],
    ("learner", "distillation"): ["learner.teacher.path=runs/a"],
    ("llm", "openai"): ["llm.base_url=http://127.0.0.1:9/v1", "llm.record=null"],
    ("llm", "replay"): ["llm.path=calls.sqlite"],
}


def options(*groups):
    return [
        pytest.param(group, path.stem, id=f"{group}={path.stem}")
        for group in groups
        for path in sorted((CONFIGS / group).glob("*.yaml"))
        if not path.stem.startswith("_")
    ]


@cache
def once(*overrides, config):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(config, list(overrides))


def composed(*overrides, config="train"):
    return deepcopy(once(*overrides, config=config))


@pytest.mark.parametrize(
    ("group", "name"), options(*(p.name for p in CONFIGS.iterdir() if p.is_dir() and p.name not in ("experiment",)))
)
def test_every_choice_composes(group, name):
    config = composed(f"{group}={name}", *NEEDS.get((group, name), []))
    assert config[group] is not None


@pytest.mark.parametrize(("_", "name"), options("experiment"))
@pytest.mark.parametrize("config", ["train", "eval"])
def test_every_experiment_composes(_, name, config):
    assert composed(f"experiment={name}", config=config) is not None


@pytest.mark.parametrize(("group", "name"), options("designer"))
def test_every_designer_can_be_made(group, name):
    problems, designer = assemble(composed(f"{group}={name}"))
    assert designer.space == problems.space


VARIANTS = {
    ("kernel", "blocks"),  # describe the encoder that it brings
    ("length", "text_dim"),  # likewise
    ("tfidf", "text_dim"),
    ("tfidf", "idf"),
    ("single", "num_agents"),
    ("adaptive_self_consistency", "num_agents"),
    ("debate_when_needed", "num_agents"),
    ("macnet", "repeat"),
}
"""Settings that a YAML sets otherwise than its constructor would, on purpose."""


def arguments(target):
    """Return the keyword arguments of a constructor or topology, with their defaults as YAML would say them."""
    given = [p for p in signature(get_object(target)).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
    return {p.name: list(p.default) if isinstance(p.default, tuple) else p.default for p in given if p.name != "space"}


@pytest.mark.parametrize(("group", "name"), options("designer"))
def test_every_setting_of_a_designer_is_in_sight_with_the_value_it_has_by_default(group, name):
    settings = OmegaConf.to_container(composed(f"{group}={name}")[group], resolve=True)
    expected = arguments(settings.pop("_target_"))
    if "topology" in settings:
        expected |= arguments(settings["topology"]["_target_"])
    assert settings.keys() == expected.keys()
    for setting, default in expected.items():
        if default is not Parameter.empty and setting != "gnn" and (name, setting) not in VARIANTS:
            assert settings[setting] == default, setting


@pytest.mark.parametrize("key", ["problem", "data"])
def test_every_setting_of_problems_and_batches_is_in_sight(key):
    settings = OmegaConf.to_container(composed()[key])
    expected = arguments(settings.pop("_target_"))
    given_by_code = {"pool", "encoder", "train", "validation", "seed"}
    assert settings.keys() == expected.keys() - given_by_code
    for setting in settings.keys() - {"batch_size", "shuffle_questions"}:
        assert settings[setting] == expected[setting], setting


@pytest.mark.parametrize(("group", "name"), options("text"))
def test_every_setting_of_a_text_encoder_is_in_sight(group, name):
    def check(node):
        expected = arguments(node["_target_"])
        assert node.keys() - {"_target_"} == expected.keys()
        for inner in [*node.get("encoders", ()), *filter(None, [node.get("encoder")])]:
            check(inner)

    check(OmegaConf.to_container(composed(f"{group}={name}")[group], resolve=True))


@pytest.mark.parametrize(("group", "name"), options("pool", "llm"))
def test_pools_and_llms_can_be_made(group, name, tmp_path):
    if name == "recorded":
        try:
            find("routing/prices.csv")
        except MissingDataError as error:
            pytest.skip(str(error))
    config = composed(f"{group}={name}", *NEEDS.get((group, name), []))
    if name == "file":
        config.pool.path = str(tmp_path / "p.yaml")
        (tmp_path / "p.yaml").write_text(
            "roles: [{name: r, profile: R.}]\nllms: [{name: m, usd_per_1M_input: 1, usd_per_1M_output: 1}]\n"
        )
    if name == "replay":
        config.llm.path = str(tmp_path / "calls.sqlite")
        Recording(config.llm.path, create=True)
    assert instantiate(config[group]) is not None


@pytest.mark.parametrize(("group", "name"), options("text", "gnn", "llm", "task", "learner"))
def test_no_choice_needs_trust_when_it_is_read_back_from_a_run_folder(group, name):
    config = composed(f"{group}={name}", *NEEDS.get((group, name), []))
    OmegaConf.set_struct(config, False)
    config.names = {}  # resolved when a run folder is written
    refuse_foreign_targets(config, source="config.yaml")


def test_recorded_answers_bring_their_pool_and_questions_unless_another_is_named():
    config = composed("task=gsm8k", "llm=recorded")
    assert config.pool._target_.endswith("recorded_pool")
    assert config.task.recorded is True
    assert composed("task=gsm8k", "llm=recorded", "pool=mathematics").pool.name == "mathematics"


def test_simulated_agents_are_drawn_anew_for_each_run():
    assert composed().learner.num_samples > 1000
    assert composed("task=gsm8k", "llm=recorded").learner.num_samples == 1


def test_the_price_of_cost_is_one_setting_for_training_and_evaluation():
    assert composed().reward == composed(config="eval").reward


@pytest.mark.parametrize("key", ["problem", "seed", "num_test_samples", "threads", "names"])
def test_training_and_evaluation_start_from_the_same_settings(key):
    assert composed()._get_node(key) == composed(config="eval")._get_node(key)
