import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdesign.agents.pool import builtin
from gdesign.errors import DataError, DesignError, MissingDataError, PoolError
from gdesign.export.schema import design_from_json, design_to_json, pool_from_json, read_design, schema
from gdesign.types import Agent, Decision, Design, Edge, Gate
from tests.strategies import POOL, designs

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((files("gdesign.export") / "design.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
ROW = {"version": 1, "agents": [{"role": "a", "llm": "m"}, {"role": "b", "llm": "n"}], "decision": {"kind": "last"}}


def with_(**changes):
    return {**ROW, **changes}


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@settings(max_examples=100)
@given(designs())
def test_any_design_survives_and_fits_the_schema(design):
    row = json.loads(json.dumps(design_to_json(design, pool=POOL)))
    VALIDATOR.validate(row)
    assert design_from_json(row) == design
    assert design_to_json(design_from_json(row), pool=POOL) == row


@settings(max_examples=50)
@given(designs())
def test_the_pool_that_comes_with_it_knows_the_designs_agents(design):
    row = design_to_json(design, pool=POOL)
    pool = pool_from_json(row)
    for agent in design.agents:
        pool.check(agent)
        assert pool.role(agent.role) == POOL.role(agent.role)
        assert pool.llm(agent.llm) == POOL.llm(agent.llm)
    assert design_to_json(design, pool=pool) == row


def test_only_what_the_design_names_is_written_of_a_pool_and_no_endpoint():
    design = Design(agents=(Agent(role="reviewer", llm="large"),))
    pool = design_to_json(design, pool=builtin("simulated"))["pool"]
    assert [role["name"] for role in pool["roles"]] == ["reviewer"]
    assert pool["llms"] == [
        {
            "name": "large",
            "usd_per_1M_input": 2.5,
            "usd_per_1M_output": 9.0,
            "profile": "large, a strong and dear model for every purpose",
        }
    ]


def test_a_pool_that_lacks_an_agent_is_named():
    with pytest.raises(PoolError, match="no role 'b'"):
        design_to_json(Design(agents=(Agent(role="b", llm="m"),)), pool=builtin("simulated"))


def test_a_document_is_what_its_page_shows():
    design = Design(
        agents=(
            Agent(role="a", llm="m"),
            Agent(role="b", llm="n", operator="cot"),
            Agent(role="c", llm="n", gate=Gate(watch=(0, 1), quorum=2)),
        ),
        spatial=(Edge(0, 2),),
        temporal=(Edge(2, 0, (3,)),),
        num_rounds=3,
        decision=Decision(kind="vote"),
    )
    assert design_to_json(design) == {
        "version": 1,
        "agents": [
            {"role": "a", "llm": "m", "operator": "answer"},
            {"role": "b", "llm": "n", "operator": "cot"},
            {"role": "c", "llm": "n", "operator": "answer", "gate": {"watch": [0, 1], "quorum": 2}},
        ],
        "spatial": [{"src": 0, "dst": 2}],
        "temporal": [{"src": 2, "dst": 0, "rounds": [3]}],
        "num_rounds": 3,
        "decision": {"kind": "vote"},
    }


def test_the_documents_that_are_shown_can_be_read():
    page = (ROOT / "docs/exports.md").read_text()
    (shown,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for text in (shown, (ROOT / "examples/design.json").read_text()):
        VALIDATOR.validate(json.loads(text))
        assert len(design_from_json(json.loads(text)).agents) == 3


def test_what_may_be_left_out_has_a_default():
    assert design_from_json(with_(spatial=[{"src": 0, "dst": 1}])) == Design(
        agents=(Agent(role="a", llm="m"), Agent(role="b", llm="n")), spatial=(Edge(0, 1),)
    )
    assert pool_from_json(ROW) is None


def test_a_foreign_order_of_agents_becomes_the_canonical_one():
    backwards = design_from_json(with_(spatial=[{"src": 1, "dst": 0}]))
    assert [agent.role for agent in backwards.agents] == ["b", "a"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([], r"the document must be an object; got \[\]"),
        ({"agents": []}, "the field version is missing; a design of this gdesign has version 1"),
        (with_(version=2), "version 2 is unknown; this gdesign reads version 1"),
        (with_(version=True), "version True is unknown"),
        ({"version": 1, "agents": []}, "the field decision is missing"),
        (with_(gates=[]), "the field gates is unknown; expected version, agents, decision"),
        (with_(agents={"role": "a"}), "agents must be a list"),
        (with_(agents=["a"]), r"agents\[0\] must be an object; got 'a'"),
        (with_(agents=[{"role": "a"}]), r"the field agents\[0\].llm is missing"),
        (with_(agents=[{"role": 1, "llm": "m"}]), r"agents\[0\].role must be a text; got 1"),
        (with_(agents=[{"role": "a", "llm": "m", "operator": None}]), r"agents\[0\].operator must be a text"),
        (with_(agents=[{"role": "a", "llm": "m", "gate": {"watch": [0]}}]), r"agents\[0\].gate.quorum is missing"),
        (
            with_(agents=[{"role": "a", "llm": "m", "gate": {"watch": ["b"], "quorum": 1}}]),
            r"agents\[0\].gate.watch\[0\] must be a whole number; got 'b'",
        ),
        (with_(spatial=[{"src": 0}]), r"the field spatial\[0\].dst is missing"),
        (with_(spatial=[[0, 1]]), r"spatial\[0\] must be an object; got \[0, 1\]"),
        (with_(temporal=[{"src": 0, "dst": 1.5}]), r"temporal\[0\].dst must be a whole number; got 1.5"),
        (with_(spatial=[{"src": 0, "dst": 1, "rounds": []}]), r"spatial\[0\].rounds names no round"),
        (with_(num_rounds="2"), "num_rounds must be a whole number; got '2'"),
        (with_(num_rounds=True), "num_rounds must be a whole number; got True"),
        (with_(decision="vote"), "decision must be an object; got 'vote'"),
        (with_(decision={}), "the field decision.kind is missing"),
        (with_(decision={"kind": "weighted_vote", "weights": [1, "x"]}), r"decision.weights\[1\] must be a number"),
        (with_(decision={"kind": "judge", "judge": "b"}), "decision.judge must be a whole number"),
    ],
)
def test_what_is_no_document_is_named(row, message):
    with pytest.raises(DataError, match=message):
        design_from_json(row)
    assert not VALIDATOR.is_valid(row)


def test_a_number_that_no_float_can_hold_is_named():
    huge = 10**400
    with pytest.raises(DataError, match=r"decision.weights\[1\] is too large a number; got 1000"):
        design_from_json(with_(decision={"kind": "weighted_vote", "weights": [1, huge]}))
    llm = {"name": "m", "usd_per_1M_input": huge, "usd_per_1M_output": 1}
    with pytest.raises(DataError, match=r"pool.llms\[0\].usd_per_1M_input is too large a number"):
        pool_from_json(with_(pool={"name": "p", "roles": [], "llms": [llm]}))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (with_(agents=[]), "at least one agent"),
        (with_(spatial=[{"src": 0, "dst": 7}]), r"spatial edge 0 -> 7 names an agent outside 0\.\.1"),
        (with_(spatial=[{"src": 0, "dst": 1}, {"src": 1, "dst": 0}]), "circle"),
        (with_(decision={"kind": "loudest"}), "decision 'loudest' is unknown"),
        (with_(decision={"kind": "judge", "judge": 2}), r"judge names agent 2; expected an index in 0\.\.1"),
        (with_(num_rounds=0), "num_rounds must be in 1..1000"),
    ],
)
def test_what_no_executor_could_run_is_a_design_error(row, message):
    with pytest.raises(DesignError, match=message):
        design_from_json(row)


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ([], "pool must be an object"),
        ({"name": "p", "roles": []}, "the field pool.llms is missing"),
        ({"name": "p", "roles": [{"name": "a"}], "llms": []}, r"the field pool.roles\[0\].profile is missing"),
        (
            {"name": "p", "roles": [], "llms": [{"name": "m", "usd_per_1M_input": "1", "usd_per_1M_output": 1}]},
            r"pool.llms\[0\].usd_per_1M_input must be a number; got '1'",
        ),
        (
            {
                "name": "p",
                "roles": [],
                "llms": [{"name": "m", "usd_per_1M_input": 1, "usd_per_1M_output": 1, "base_url": "http://x"}],
            },
            r"the field pool.llms\[0\].base_url is unknown",
        ),
    ],
)
def test_what_is_no_pool_is_named(pool, message):
    with pytest.raises(DataError, match=message):
        pool_from_json(with_(pool=pool))
    assert not VALIDATOR.is_valid(with_(pool=pool))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["src", "dst", "rounds", "kind", "role", "llm", "gate", "watch"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from([*SCHEMA["properties"], "x"]), JSON))
def test_no_json_raises_anything_but_errors_that_name_what_is_wrong(changes):
    try:
        design_from_json({**ROW, **changes})
    except (DataError, DesignError):
        pass
    else:
        assert VALIDATOR.is_valid({key: value for key, value in {**ROW, **changes}.items() if key != "pool"})


def test_a_file_is_read_and_named_where_it_is_wrong(tmp_path):
    path = tmp_path / "d.json"
    with pytest.raises(MissingDataError, match=r"d.json is not there; `gdesign design --format json"):
        read_design(path)
    path.write_text("{")
    with pytest.raises(DataError, match=r"d.json: not JSON"):
        read_design(path)
    path.write_text("{}")
    with pytest.raises(DataError, match=r"d.json: the field version is missing"):
        read_design(path)
    path.write_text('{"version": 1, "version": 1}')
    with pytest.raises(DataError, match=r"d.json: .*'version' is given twice"):
        read_design(path)
    path.write_bytes(b'{"version": 1,\n"agents": "\xe9"}')
    with pytest.raises(DataError, match=r"d.json:2: not UTF-8"):
        read_design(path)
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_bytes(json.dumps(ROW).encode(encoding))
        assert read_design(path) == (design_from_json(ROW), None)


@pytest.mark.parametrize("num_rounds", [0, 1001, 10**9, 10**400])
def test_rounds_without_end_are_refused_at_once(tmp_path, num_rounds):
    path = tmp_path / "d.json"
    path.write_text(json.dumps({**ROW, "num_rounds": num_rounds}))
    with pytest.raises(DesignError, match=r"d.json: num_rounds must be in 1..1000; got"):
        read_design(path)


def test_the_schema_file_is_what_the_models_say():
    assert schema() == SCHEMA, "write schema() of gdesign.export.schema to gdesign/export/design.schema.json"


def test_what_is_default_may_be_left_out_of_a_document():
    design = Design(agents=(Agent(role="a", llm="m"), Agent(role="b", llm="n", operator="cot")), spatial=(Edge(0, 1),))
    row = design_to_json(design, brief=True)
    assert row == {
        "version": 1,
        "agents": [{"role": "a", "llm": "m"}, {"role": "b", "llm": "n", "operator": "cot"}],
        "spatial": [{"src": 0, "dst": 1}],
        "decision": {"kind": "last"},
    }
    VALIDATOR.validate(row)
    assert design_from_json(row) == design
