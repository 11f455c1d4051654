from pathlib import Path

import pytest

from gdesign.agents.pool import SOLVER, attacked, builtin, describe, load, priced, read_prices
from gdesign.agents.prompt import ATTACKS, prompt
from gdesign.errors import DataError, MissingDataError, PoolError
from gdesign.types import Agent, Candidate, Task

GOOD = """
roles:
  - {name: solver, profile: You solve., domain: mathematics}
  - {name: critic, profile: You criticise.}
llms:
  - {name: small, profile: A small one., usd_per_1M_input: .15, usd_per_1M_output: 0.6}
  - {name: own, usd_per_1M_input: 0, usd_per_1M_output: 0, base_url: "http://127.0.0.1:9/v1", api_key_env: KEY}
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return write


def test_a_file_becomes_a_pool_named_after_it(written):
    pool = load(written(GOOD + "operators: [answer, cot]\nanchor: [[solver, critic]]\n"))
    assert pool.name == "mine"
    assert pool.role("solver").domain == "mathematics"
    assert pool.llm("small").usd_per_1M_input == 0.15
    assert pool.llm("own").api_key_env == "KEY"
    assert pool.anchor == (("solver", "critic"),)
    assert len(pool.candidates) == 8


def test_a_file_may_say_what_prompt_tokens_of_a_cache_cost(written):
    pool = load(written(GOOD.replace(".15", ".15, usd_per_1M_cached_input: .05")))
    assert pool.llm("small").usd_per_1M_cached_input == 0.05
    assert pool.llm("own").usd_per_1M_cached_input is None


def test_a_file_may_list_its_candidates(written):
    text = (
        GOOD
        + "operators: [answer, cot]\ncandidates: [{role: critic, llm: own}, {role: solver, llm: small, operator: cot}]"
    )
    assert load(written(text)).candidates == (Candidate("critic", "own"), Candidate("solver", "small", "cot"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; expected a mapping"),
        ("[1, 2]", "expected a mapping"),
        ("roles: [", "not YAML"),
        (GOOD + "color: red", "unknown key 'color'"),
        (GOOD + "roles: []", "'roles' is given twice"),
        ("roles: []\nllms: []", "no role"),
        ("roles: 3\nllms: []", "roles is 3; expected a list"),
        ("llms: []", "lacks roles"),
        (GOOD.replace("usd_per_1M_input: .15, ", ""), r"llms\[0\] \(small\) has no price usd_per_1M_input"),
        (GOOD.replace(".15", "cheap"), r"llms\[0\] \(small\): usd_per_1M_input is 'cheap'; expected a number"),
        (GOOD.replace(".15", "true"), "expected a number"),
        (GOOD.replace(".15", "-1"), "'small'.*-1"),
        (GOOD.replace(".15", ".nan"), "'small'.*nan"),
        (GOOD.replace(".15", ".15, usd_per_1M_cached_input: -1"), "'small'.*-1"),
        (
            GOOD.replace(".15", ".15, usd_per_1M_cached_input: low"),
            "usd_per_1M_cached_input is 'low'; expected a number",
        ),
        (
            GOOD.replace("profile: You solve.", "profil: You solve."),
            r"roles\[0\] \(solver\) has the unknown key 'profil'",
        ),
        (GOOD.replace("profile: You solve., ", ""), r"roles\[0\] \(solver\) lacks profile"),
        (GOOD.replace("name: critic", "name: solver"), "role 'solver' twice"),
        (GOOD.replace("name: own", "name: small"), "LLM 'small' twice"),
        (GOOD + "operators: [guess]", r"operators\[0\] is 'guess'; expected one of answer"),
        (GOOD + "operators: []", "operators is empty"),
        (GOOD + "operators: [cot, cot]", "'cot' twice"),
        (GOOD + "anchor: [[solver, nobody]]", "no role 'nobody'"),
        (GOOD + "anchor: [solver]", r"anchor\[0\] is 'solver'; expected two names"),
        (GOOD + "anchor: [[solver, critic], [solver, critic]]", r"\[solver, critic\] twice"),
        (GOOD + "candidates: []", "candidates is empty"),
        (GOOD + "candidates: [{role: solver, llm: large}]", "no LLM 'large'"),
        (GOOD + "candidates: [{role: nobody, llm: own}]", "no role 'nobody'"),
        (GOOD + "operators: [answer]\ncandidates: [{role: solver, llm: own, operator: cot}]", "no operator 'cot'"),
        (GOOD + "candidates: [{role: solver, llm: own, operator: guess}]", "operators of candidates.* is 'guess'"),
        (GOOD.replace(".15", ".15, context: 100"), "a context of 100 tokens; give 256 or more"),
        (GOOD.replace(".15", ".15, context: many"), "context is 'many'; expected a whole number"),
        (GOOD.replace(".15", ".15, context: 4096.5"), "context is 4096.5; expected a whole number"),
        (GOOD + "prompts: 3", "prompts is 3; expected a text"),
        (GOOD + "candidates: [{role: solver}]", r"candidates\[0\] lacks llm"),
        (GOOD + "candidates: [{role: solver, llm: own}, {role: solver, llm: own, operator: answer}]", "twice"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_the_file(written, text, message):
    path = written(text)
    with pytest.raises(PoolError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"roles: \x01",
        b"? [a, b]\n: c",
        b"roles: 2026-13-45",
        b"roles: " + b"[" * 5000,
    ],
    ids=["control character", "list as key", "no date", "deep"],
)
def test_a_file_that_is_no_yaml_is_named(tmp_path, data):
    path = tmp_path / "pool.yaml"
    path.write_bytes(data)
    with pytest.raises(PoolError, match=r"pool\.yaml is not YAML"):
        load(path)


WHOLE = "roles: [{name: solver, profile: Löser}]\nllms: [{name: m, usd_per_1M_input: 1e-3, usd_per_1M_output: 2E+1}]\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_is_read_as_editors_save_it(tmp_path, encoding, end):
    path = tmp_path / "pool.yaml"
    path.write_bytes(WHOLE.replace("\n", end).encode(encoding))
    pool = load(path)
    assert pool.roles[0].profile == "Löser"
    assert (pool.llms[0].usd_per_1M_input, pool.llms[0].usd_per_1M_output) == (0.001, 20)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1e-3", "1e400", "the price inf"),
        ("1e-3", ".nan", "the price nan"),
        ("1e-3", "9" * 400, "the price 999.*1e.10 at most"),
        ("1e-3", "9" * 5000, "is not YAML with the text of a pool"),
        ("Löser", '"\\udc00"', r"roles\[0\] \(solver\): profile holds half a character"),
        ("name: m", 'name: " "', r"llms\[0\] .*: name is empty"),
    ],
)
def test_numbers_and_texts_that_nothing_could_use_are_named(tmp_path, old, new, message):
    path = tmp_path / "pool.yaml"
    path.write_text(WHOLE.replace(old, new))
    with pytest.raises(PoolError, match=message):
        load(path)


def test_a_file_in_a_foreign_encoding_is_named_with_its_line(tmp_path):
    path = tmp_path / "pool.yaml"
    path.write_bytes(("# prices\n" + WHOLE).encode("latin-1"))
    with pytest.raises(DataError, match=r"pool\.yaml:2: not UTF-8 .*save it as UTF-8"):
        load(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"none\.yaml"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("name", "num_roles", "num_anchors"), [("mathematics", 4, 9), ("code", 5, 10), ("knowledge", 9, 35)]
)
def test_the_pools_that_ship_are_whole(name, num_roles, num_anchors):
    pool = builtin(name)
    assert (pool.name, len(pool.roles), len(pool.anchor)) == (name, num_roles, num_anchors)
    assert all(3 <= r.profile.count(". ") + 1 <= 6 for r in pool.roles)
    assert all(a != b for a, b in pool.anchor)
    task = Task(id="1", question="q", answer="a", benchmark="b")
    for c in pool.candidates:
        system, _ = prompt(Agent(role=c.role, llm=c.llm, operator=c.operator), task, pool=pool)
        assert pool.role(c.role).profile in system.content


def test_the_code_pool_has_the_edge_that_a_misspelt_name_lost():
    assert ("Project Manager", "Programming Expert") in builtin("code").anchor


def test_an_unknown_built_in_pool_is_refused_with_those_there_are():
    with pytest.raises(PoolError, match="code, knowledge, llmrouter, mathematics"):
        builtin("maths")


def test_priced_llms_share_the_neutral_role():
    pool = priced(
        "p", ["gpt-4o-mini", "Qwen2-7B-Instruct"], {"gpt-4o-mini": (0.15, 0.6), "Qwen2-7B-Instruct": (0.2, 0.2)}
    )
    assert pool.roles == (SOLVER,)
    assert [c.llm for c in pool.candidates] == ["gpt-4o-mini", "Qwen2-7B-Instruct"]
    assert pool.llm("gpt-4o-mini").usd_per_1M_output == 0.6


def test_an_llm_without_a_price_is_refused():
    with pytest.raises(PoolError, match=r"'x'.*no price"):
        priced("p", ["x"], {})


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("Meta-Llama-3.1-70B-Instruct", ["Llama (by Meta)", "70 billion"]),
        ("Mixtral-8x7B-Instruct-v0.1", ["Mistral", "8x7 billion"]),
        ("claude-3-5-haiku-20241022", ["Claude", "small"]),
        ("claude-3-opus-20240229", ["Claude", "large"]),
        ("gpt-4o-2024-05-13", ["GPT"]),
        ("gpt-4o-mini-2024-07-18", ["GPT", "small"]),
        ("gemini-1.5-pro", ["Gemini", "large"]),
        ("somebody-7b", ["7 billion"]),
    ],
)
def test_a_profile_tells_name_family_size_and_price(model, words):
    profile = describe(model, 0.15, 10)
    for word in [model, *words, "0.15 USD", "10 per million"]:
        assert word in profile


def test_prices_are_read_by_name(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("model,usd_per_1M_input,usd_per_1M_output,source\nm,0.1,2,list\n")
    assert read_prices(path) == {"m": (0.1, 2.0)}


def test_a_price_list_may_come_from_a_spreadsheet(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_bytes("\ufeffmodel;usd_per_1M_input;usd_per_1M_output\r\nm;0,15;0,6\r\n;;\r\n".encode())
    assert read_prices(path) == {"m": (0.15, 0.6)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,usd_per_1M_input\nm,1\n", "lacks usd_per_1M_output"),
        ("model,usd_per_1M_input,usd_per_1M_output\nm,1,?\n", r":2: .*'m'"),
        ("model,usd_per_1M_input,usd_per_1M_output\nm,1\n", r":2: .*'m'"),
        ("model,usd_per_1M_input,usd_per_1M_output\nm,1,1\nm,2,2\n", r":3: .*two prices"),
    ],
)
def test_a_broken_price_list_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "prices.csv"
    path.write_text(text)
    with pytest.raises((PoolError, DataError), match=message):
        read_prices(path)


def test_a_price_list_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingDataError, match=r"prices\.csv"):
        read_prices(tmp_path / "prices.csv")


def test_a_file_may_name_a_role_that_attacks(written):
    text = GOOD.replace("profile: You criticise.", "profile: You criticise., attack: liar")
    assert [r.attack for r in load(written(text)).roles] == ["", "liar"]
    with pytest.raises(PoolError, match=r"roles\[1\] \(critic\): attack is 'thief'; expected one of liar, injector"):
        load(written(text.replace("liar", "thief")))


def test_any_pool_can_take_an_attack_in(written):
    for pool in (
        load(written(GOOD), attacks={"critic": "injector"}),
        attacked(load(written(GOOD)), {"critic": "injector"}),
    ):
        assert [r.attack for r in pool.roles] == ["", "injector"]
        assert attacked(pool, {"solver": "babbler"}).role("solver").attack == "babbler"
    for name, role in (("mathematics", "Inspector"), ("knowledge", "Critic"), ("code", "Bug Fixer")):
        for attack in ATTACKS:
            pool, before = builtin(name, attacks={role: attack}), builtin(name)
            assert pool.role(role).attack == attack
            assert (pool.candidates, pool.llms, pool.anchor) == (before.candidates, before.llms, before.anchor)
            assert {(r.name, r.profile, r.domain) for r in pool.roles} == {
                (r.name, r.profile, r.domain) for r in before.roles
            }


def test_an_attack_on_nobody_or_by_nothing_is_refused():
    with pytest.raises(PoolError, match="no role 'Judge'"):
        builtin("code", attacks={"Judge": "liar"})
    with pytest.raises(PoolError, match="attack on 'Bug Fixer' is 'thief'; expected one of liar, injector, babbler"):
        builtin("code", attacks={"Bug Fixer": "thief"})


def test_no_pool_of_the_package_attacks_unless_asked():
    names = ("code", "knowledge", "llmrouter", "mathematics", "simulated", "simulated_large")
    assert not any(r.attack for name in names for r in builtin(name).roles)


def test_operators_follow_from_candidates(written):
    pool = load(written(GOOD + "candidates: [{role: solver, llm: own, operator: cot}, {role: critic, llm: own}]"))
    assert pool.operators == ("cot", "answer")


def test_a_pool_brings_the_words_of_its_prompts_and_its_context(written, tmp_path):
    (tmp_path / "words.yaml").write_text("operators: {cot: Go slowly.}", encoding="utf-8")
    (tmp_path / "others.yaml").write_text("operators: {cot: Go fast.}", encoding="utf-8")
    path = written(GOOD.replace(".15", ".15, context: 4096") + "operators: [cot]\nprompts: words.yaml")
    task = Task(id="1", question="What?", answer="", benchmark="b")
    for pool, words in ((load(path), "Go slowly."), (load(path, prompts=tmp_path / "others.yaml"), "Go fast.")):
        assert words in prompt(Agent(role="solver", llm="own", operator="cot"), task, pool=pool)[0].content
        assert pool.llm("small").context == 4096
    with pytest.raises(MissingDataError, match="no file of prompts"):
        load(path, prompts=tmp_path / "none.yaml")
