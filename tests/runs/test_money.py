import pytest
from omegaconf import OmegaConf

from gdesign.errors import ConfigError
from gdesign.runs.money import comparison_runs, endpoints, limits_of
from tests import worlds
from tests.runs.parts import config_of


def test_only_live_clients_have_endpoints_however_deep():
    pool = worlds.pool()
    live = config_of().llm
    assert endpoints(live, pool) == ["https://api.example.org/v1"]
    nested = OmegaConf.create({"_target_": "gdesign.llm.wrappers.Sampling", "llm": live})
    assert endpoints(nested, pool) == ["https://api.example.org/v1"]
    for target in ("gdesign.llm.simulated.SimulatedClient", "gdesign.llm.replay.offline"):
        assert endpoints(OmegaConf.create({"_target_": target}), pool) == []


def test_limits_are_read_from_a_config():
    limits = {"question": {"usd": 0.01, "tokens": None}, "agent": {"calls": None}}
    found = limits_of(config_of(llm={"max_tokens": 100}, limits=limits))
    assert found.question.usd == 0.01
    assert found.agent is None
    assert found.longest_reply == 100
    limits["longest_reply"] = 50
    assert limits_of(config_of(llm={"max_tokens": 100}, limits=limits)).longest_reply == 50


@pytest.mark.parametrize("limits", [{}, None, {"question": {"usd": None}, "agent": {"usd": None}}])
def test_no_limits_are_none(limits):
    assert limits_of(config_of(limits=limits)) is None
    assert limits_of(config_of()) is None


@pytest.mark.parametrize("usd", [0, "much"])
def test_a_limit_that_is_none_is_refused(usd):
    with pytest.raises(ConfigError, match="the limit on usd is"):
        limits_of(config_of(limits={"question": {"usd": usd}}))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (5, "limits is 5; expected a mapping"),
        ({"question": 5}, r"limits\.question is 5; expected a mapping.*limits\.question\.usd=0\.01"),
        ({"agent": {"euros": 5}}, r"limits\.agent has the limit 'euros'; expected any of usd, tokens, calls"),
        ({"agents": {"usd": 5}}, "limits has the entry 'agents'; expected any of question, agent, longest_reply"),
        ({"agent": {"usd": 5}, "longest_reply": "abc"}, r"limits\.longest_reply is 'abc'; expected a whole number"),
    ],
)
def test_limits_of_another_kind_are_named_with_what_is_expected(limits, words):
    with pytest.raises(ConfigError, match=words):
        limits_of(config_of(limits=limits))


def test_a_comparison_takes_no_more_runs_than_its_finalists_need_where_agents_are_few():
    assert comparison_runs(training=100_000, candidates=4, validation=60) == (4 + 2) * 60


def test_a_comparison_of_many_agents_takes_a_share_of_the_training_and_a_few_thousand_at_most():
    asked = [comparison_runs(training=n, candidates=300, validation=60) for n in (0, 2_000, 12_000, 1_000_000)]
    assert asked == [960, 960, 1_200, 3_000]
