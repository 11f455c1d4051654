"""Whether questions and answers fit each other."""

from inspect import signature

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from gdesign.errors import ConfigError

RECORDED = "gdesign.llm.recorded.RecordedClient"


def refuse_mixed(config: DictConfig) -> None:
    """Raise ConfigError where recorded answers would be read as live ones, or the other way round.

    Votes and gates compare recorded answers as they were recorded, live ones as the benchmark reads them.
    """
    recorded_llm = RECORDED in OmegaConf.to_yaml(config.llm)
    recorded_task = bool(config.task.get("recorded", False))
    target = str(config.task._target_)
    if recorded_llm and "recorded" not in signature(get_object(target)).parameters:
        raise ConfigError(
            f"nobody recorded answers to the questions of {target}; choose another task, or another llm than recorded"
        )
    if recorded_llm and not recorded_task:
        raise ConfigError(
            "llm=recorded answers with recorded texts, and the task would read them as live ones; say "
            "++task.recorded=true, or choose another llm"
        )
    if recorded_task and not recorded_llm:
        raise ConfigError(
            "the task compares recorded answers (task.recorded=true), and the llm is not recorded; say "
            "++task.recorded=false, or llm=recorded"
        )
