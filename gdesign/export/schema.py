"""A design as a JSON document that other programs read and write; `design.schema.json` describes it.

Version 1: `version`, `agents` [{`role`, `llm`, `operator`, `gate`? {`watch`, `quorum`}}], `spatial` and `temporal`
[{`src`, `dst`, `rounds`?}], `num_rounds`, `decision` {`kind`, `weights`?, `judge`?}, `pool`? {`name`, `roles`, `llms`}.
Agents count from 0 and rounds from 1; an edge without `rounds` holds in every round. Endpoints and the names of keys
are no part of it. `gdesign.runs.log` has the shorter form that runs.jsonl holds.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from gdesign.errors import DataError, MissingDataError
from gdesign.types import LLM, Agent, AgentPool, Decision, Design, Edge, Gate, Role

VERSION = 1
"""What this gdesign writes and reads."""


# --------------------------------------------------------------------------- writing


def design_to_json(design: Design, *, pool: AgentPool | None = None) -> dict[str, Any]:
    """Return the design as a JSON document of the newest version.

    Args:
        design: What to write.
        pool: Adds the profiles and prices of the roles and LLMs that the design names.

    Raises:
        PoolError: The pool lacks one of them.
    """
    row: dict[str, Any] = {
        "version": VERSION,
        "agents": [_agent_to_json(agent) for agent in design.agents],
        "spatial": [_edge_to_json(edge) for edge in design.spatial],
        "temporal": [_edge_to_json(edge) for edge in design.temporal],
        "num_rounds": design.num_rounds,
        "decision": _decision_to_json(design.decision),
    }
    if pool is not None:
        row["pool"] = _pool_to_json(pool, design)
    return row


def _agent_to_json(agent: Agent) -> dict[str, Any]:
    row: dict[str, Any] = {"role": agent.role, "llm": agent.llm, "operator": agent.operator}
    if agent.gate is not None:
        row["gate"] = {"watch": list(agent.gate.watch), "quorum": agent.gate.quorum}
    return row


def _edge_to_json(edge: Edge) -> dict[str, Any]:
    row: dict[str, Any] = {"src": edge.src, "dst": edge.dst}
    return {**row, "rounds": list(edge.rounds)} if edge.rounds else row


def _decision_to_json(decision: Decision) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": decision.kind}
    if decision.weights:
        row["weights"] = list(decision.weights)
    if decision.judge is not None:
        row["judge"] = decision.judge
    return row


def _pool_to_json(pool: AgentPool, design: Design) -> dict[str, Any]:
    roles = [pool.role(name) for name in dict.fromkeys(agent.role for agent in design.agents)]
    llms = [pool.llm(name) for name in dict.fromkeys(agent.llm for agent in design.agents)]
    return {
        "name": pool.name,
        "roles": [
            {"name": r.name, "profile": r.profile}
            | {key: value for key, value in (("domain", r.domain), ("attack", r.attack)) if value}
            for r in roles
        ],
        "llms": [
            {"name": m.name, "usd_per_1M_input": m.usd_per_1M_input, "usd_per_1M_output": m.usd_per_1M_output}
            | ({"profile": m.profile} if m.profile else {})
            for m in llms
        ],
    }


# --------------------------------------------------------------------------- reading


def read_design(path: str | Path) -> tuple[Design, AgentPool | None]:
    """Return the design in a JSON file, and the pool where the file has one.

    Raises:
        MissingDataError: The file is not there.
        DataError: It holds no such document; file and field are named.
        DesignError: No executor could run the design.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(f"{path} is not there; `gdesign design --format json --out {path}` writes such a file")
    try:
        row = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    try:
        return design_from_json(row), pool_from_json(row)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def design_from_json(row: Mapping[str, Any]) -> Design:
    """Return the design in a JSON document; it is in canonical form, whatever the order of agents was.

    Raises:
        DataError: A field is missing, unknown or of a wrong kind, or the version is unknown; the field is named.
        DesignError: No executor could run it.
    """
    row = _document(row)
    agents = [_agent_from_json(*each) for each in _rows(row, "agents", "")]
    decision = _object(_field(row, "decision", ""), "decision", required=("kind",), optional=("weights", "judge"))
    return Design(
        agents=tuple(agents),
        spatial=_edges_from_json(row, "spatial"),
        temporal=_edges_from_json(row, "temporal"),
        num_rounds=_whole(row, "num_rounds", "") if "num_rounds" in row else 1,
        decision=Decision(
            # Design says which kinds there are
            kind=cast(Any, _text(decision, "kind", "decision.")),
            weights=tuple(_number(w, where) for w, where in _list(decision, "weights", "decision.")),
            judge=_whole(decision, "judge", "decision.") if "judge" in decision else None,
        ),
    )


def pool_from_json(row: Mapping[str, Any]) -> AgentPool | None:
    """Return the pool in a JSON document, with the operators of its design; None where there is none.

    Raises:
        DataError: A field is missing, unknown or of a wrong kind, or the version is unknown; the field is named.
        PoolError: A price is missing or below zero, or a name stands there twice.
    """
    row = _document(row)
    if "pool" not in row:
        return None
    pool = _object(row["pool"], "pool", required=("name", "roles", "llms"))
    agents = [(agent, f"{where}.") for agent, where in _rows(row, "agents", "") if "operator" in agent]
    operators = ("answer", *(_text(agent, "operator", where) for agent, where in agents))
    return AgentPool(
        name=_text(pool, "name", "pool."),
        roles=tuple(_role_from_json(*each) for each in _rows(pool, "roles", "pool.")),
        llms=tuple(_llm_from_json(*each) for each in _rows(pool, "llms", "pool.")),
        operators=tuple(dict.fromkeys(operators)),
    )


def _document(row: object) -> Mapping[str, Any]:
    if isinstance(row, Mapping):
        if "version" not in row:
            raise DataError(f"the field version is missing; a design of this gdesign has version {VERSION}")
        if row["version"] != VERSION or isinstance(row["version"], bool):
            raise DataError(f"version {row['version']!r} is unknown; this gdesign reads version {VERSION}")
    return _object(
        row,
        "",
        required=("version", "agents", "decision"),
        optional=("spatial", "temporal", "num_rounds", "pool"),
    )


def _agent_from_json(value: object, where: str) -> Agent:
    row = _object(value, where, required=("role", "llm"), optional=("operator", "gate"))
    gate = None
    if row.get("gate") is not None:
        inner = _object(row["gate"], f"{where}.gate", required=("watch", "quorum"))
        watch = (_whole_value(w, at) for w, at in _list(inner, "watch", f"{where}.gate."))
        gate = Gate(watch=tuple(watch), quorum=_whole(inner, "quorum", f"{where}.gate."))
    operator = {"operator": _text(row, "operator", f"{where}.")} if "operator" in row else {}
    return Agent(role=_text(row, "role", f"{where}."), llm=_text(row, "llm", f"{where}."), gate=gate, **operator)


def _edges_from_json(row: Mapping[str, Any], kind: str) -> tuple[Edge, ...]:
    edges = []
    for value, where in _rows(row, kind, ""):
        edge = _object(value, where, required=("src", "dst"), optional=("rounds",))
        rounds = tuple(_whole_value(r, at) for r, at in _list(edge, "rounds", f"{where}."))
        if "rounds" in edge and not rounds:
            raise DataError(f"{where}.rounds names no round; leave it out for every round")
        edges.append(Edge(_whole(edge, "src", f"{where}."), _whole(edge, "dst", f"{where}."), rounds))
    return tuple(edges)


def _role_from_json(value: object, where: str) -> Role:
    row = _object(value, where, required=("name", "profile"), optional=("domain", "attack"))
    return Role(**{key: _text(row, key, f"{where}.") for key in row})


def _llm_from_json(value: object, where: str) -> LLM:
    row = _object(value, where, required=("name", "usd_per_1M_input", "usd_per_1M_output"), optional=("profile",))
    return LLM(
        name=_text(row, "name", f"{where}."),
        usd_per_1M_input=_number(row["usd_per_1M_input"], f"{where}.usd_per_1M_input"),
        usd_per_1M_output=_number(row["usd_per_1M_output"], f"{where}.usd_per_1M_output"),
        profile=_text(row, "profile", f"{where}.") if "profile" in row else "",
    )


# --------------------------------------------------------------------------- fields


def _object(
    value: object, where: str, *, required: Collection[str], optional: Collection[str] = ()
) -> Mapping[str, Any]:
    """Return a JSON object that has all its fields and no other."""
    if not isinstance(value, Mapping):
        raise DataError(f"{where or 'the document'} must be an object; got {_shown(value)}")
    prefix = f"{where}." if where else ""
    for name in required:
        _field(value, name, prefix)
    for name in value:
        if name not in required and name not in optional:
            raise DataError(f"the field {prefix}{name} is unknown; expected {', '.join((*required, *optional))}")
    return value


def _field(row: Mapping[str, Any], name: str, prefix: str) -> Any:
    if name not in row:
        raise DataError(f"the field {prefix}{name} is missing")
    return row[name]


def _list(row: Mapping[str, Any], name: str, prefix: str) -> list[tuple[Any, str]]:
    """Return what a list holds, each with the place where it stands; nothing where there is no list."""
    value = row.get(name, ())
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise DataError(f"{prefix}{name} must be a list; got {_shown(value)}")
    return [(each, f"{prefix}{name}[{i}]") for i, each in enumerate(value)]


def _rows(row: Mapping[str, Any], name: str, prefix: str) -> list[tuple[Any, str]]:
    rows = _list(row, name, prefix)
    for value, where in rows:
        if not isinstance(value, Mapping):
            raise DataError(f"{where} must be an object; got {_shown(value)}")
    return rows


def _text(row: Mapping[str, Any], name: str, prefix: str) -> str:
    value = _field(row, name, prefix)
    if not isinstance(value, str):
        raise DataError(f"{prefix}{name} must be a text; got {_shown(value)}")
    return value


def _whole(row: Mapping[str, Any], name: str, prefix: str) -> int:
    return _whole_value(_field(row, name, prefix), prefix + name)


def _whole_value(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(f"{where} must be a whole number; got {_shown(value)}")
    return value


def _number(value: object, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise DataError(f"{where} must be a number; got {_shown(value)}")
    try:
        return float(value)
    except OverflowError as error:
        raise DataError(f"{where} is too large a number; got {_shown(value)}") from error


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
