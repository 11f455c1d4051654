"""A config of a training on a live endpoint, as far as money is told of it."""

from omegaconf import OmegaConf


def config_of(*, llm=None, **others):
    llm = {"_target_": "gdesign.llm.live.endpoint", "base_url": "https://api.example.org/v1", **(llm or {})}
    reward = {"usd_weight": 0.0, "token_weight": 0.0}
    learner = {"num_designs": 3, "num_validation_samples": 1, "teacher": None}
    parts = {"llm": llm, "reward": reward, "learner": learner, "num_test_samples": 1, "split": "test"}
    return OmegaConf.create({**parts, **others})
