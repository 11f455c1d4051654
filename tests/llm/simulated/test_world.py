import pytest
import yaml

from gdesign.errors import ConfigError, MissingDataError
from gdesign.llm.simulated.client import Ability, World
from gdesign.llm.simulated.transition import GPT35_MMLU
from gdesign.llm.simulated.world import load

SHARES = ("right_hears_wrong", "wrong_hears_right", "wrong_hears_wrong")


@pytest.fixture
def written(tmp_path):
    def write(data):
        path = tmp_path / "world.yaml"
        path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
        return path

    return write


def test_what_a_file_leaves_out_is_as_in_the_default_world(written):
    assert load(written({"seed": 3, "popular": 1})) == World(seed=3, popular=1)
    assert load(written({})) == World()


def test_every_kind_of_setting_can_be_given(written):
    slopes = {name: getattr(GPT35_MMLU, name) for name in ("source", "intercept", "own_right", "fraction_right")}
    shares = {name: {s: getattr(getattr(GPT35_MMLU, name), s) for s in ("switch", "keep", "third")} for name in SHARES}
    world = load(
        written(
            {
                "abilities": {"m": {"mathematics": 1.0, "code": 2, "knowledge": 3.0}},
                "difficulty": [0, 1, 2],
                "operator_lift": {"cot": 0.4},
                "adversaries": ["liar"],
                "transition": {**slopes, **shares},
            }
        )
    )
    assert world == World(
        abilities={"m": Ability(mathematics=1.0, code=2, knowledge=3.0)},
        difficulty=(0, 1, 2),
        operator_lift={"cot": 0.4},
        adversaries=("liar",),
        transition=GPT35_MMLU,
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("- 1", r"is \[1\]; expected a mapping with any of seed"),
        ("a: [", "is not YAML"),
        ({"sed": 1}, "unknown setting 'sed'; expected any of seed"),
        ({"seed": "one"}, "seed is 'one'; expected a number"),
        ({"popular": True}, "popular is True"),
        ({"difficulty": 1}, "difficulty is 1; expected a list"),
        ({"difficulty": [1]}, "one value for each of easy, medium, hard"),
        ({"abilities": {"m": {"code": 1}}}, "abilities.m lacks mathematics"),
        ({"operator_lift": 3}, "operator_lift is 3; expected a mapping"),
        ({"transition": {"third": 1}}, "transition has the unknown setting 'third'"),
    ],
)
def test_a_setting_that_cannot_be_is_named(written, data, words):
    with pytest.raises(ConfigError, match=words):
        load(written(data))


@pytest.mark.parametrize(
    "data",
    ["seed: caf\u00e9".encode("latin-1"), b"seed: \x01", b"? [a, b]\n: c", b"seed: " + b"[" * 5000],
    ids=["not UTF-8", "control character", "list as key", "deep"],
)
def test_a_file_that_is_no_yaml_is_named(tmp_path, data):
    path = tmp_path / "world.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"world\.yaml is not YAML"):
        load(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"no file .*world\.yaml"):
        load(tmp_path / "world.yaml")
