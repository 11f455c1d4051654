import pytest
from omegaconf import OmegaConf

from gdesign.errors import ConfigError
from gdesign.learn.runfolder import with_overrides

SAVED = OmegaConf.create(
    {"task": {"_target_": "a.Mix", "recorded": True}, "llm": {"_target_": "a.Recorded"}, "names": {"task": "mix"}}
)
NOW = OmegaConf.create(
    {"task": {"_target_": "a.GSM8K"}, "llm": {"_target_": "a.Live"}, "names": {"task": "gsm8k", "llm": "live"}}
)


def test_another_task_is_read_as_recorded_where_the_answers_are():
    merged = with_overrides(SAVED, NOW, ["task=gsm8k"])
    assert merged.task == {"_target_": "a.GSM8K", "recorded": True}
    assert merged.names.task == "gsm8k"
    assert "recorded" not in NOW.task


def test_another_task_is_read_as_the_command_line_says():
    live = OmegaConf.merge(NOW, {"task": {"recorded": False}})
    assert with_overrides(SAVED, live, ["task=gsm8k", "++task.recorded=false"]).task.recorded is False
    assert "recorded" not in with_overrides(SAVED, NOW, ["task=gsm8k", "llm=live"]).task


@pytest.mark.parametrize("override", ["~task", "nothing=1", "task._target_.part=1"])
def test_an_override_that_cannot_be_applied_is_named(override):
    with pytest.raises(ConfigError, match="cannot be applied to the config of a run folder"):
        with_overrides(SAVED, NOW, [override])
