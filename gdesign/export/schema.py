"""A design as a JSON document that other programs read and write; `design.schema.json` describes it.

It is the one form that designs have outside Python: `gdesign design` prints it, `gdesign serve` takes and sends it, and
runs.jsonl holds it with what is default left out. Agents count from 0 and rounds from 1; an edge without `rounds` holds
in every round. Endpoints and the names of keys are no part of it. The models below say what each field may be, and
`schema` writes the schema file from them; what only a whole design can break, such as a circle, `Design` refuses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from gdesign.errors import DataError, DesignError, MissingDataError, PoolError
from gdesign.files import read_json
from gdesign.types import LLM, Agent, AgentPool, Decision, Design, Edge, Gate, Role
from gdesign.types.design import MAX_ROUNDS

VERSION = 1
"""What this gdesign writes and reads."""

Some = Field(json_schema_extra={"minItems": 1})
Index = Annotated[int, Field(json_schema_extra={"minimum": 0})]
Positive = Annotated[int, Field(json_schema_extra={"minimum": 1})]
Rounds = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": MAX_ROUNDS})]
Price = Annotated[float, Field(json_schema_extra={"minimum": 0})]
# what a design has nothing of is left out
Text = Annotated[str | None, BeforeValidator(lambda value: None if value == "" else value)]
Left = BeforeValidator(lambda value: None if value == () else value)


class _Part(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, model_title_generator=lambda kind: kind.__name__.lstrip("_")
    )


class _Gate(_Part):
    watch: Annotated[list[Index], Some, FailFast()]
    quorum: Positive


class _Agent(_Part):
    role: str = Field(description="Name of a role.")
    llm: str = Field(description="Name of an LLM.")
    operator: str = Field(default="answer", description="How the agent works: answer, cot, ...")
    gate: _Gate | None = Field(
        default=None,
        description="The agent speaks only while fewer than quorum of the watched agents give the same answer in this "
        "round; without a gate it always speaks.",
    )


class _Edge(_Part):
    src: Index
    dst: Index
    rounds: Annotated[list[Positive] | None, Left] = Field(
        default=None, min_length=1, description="The rounds in which dst hears src; left out for every round."
    )


_Edges = Annotated[list[_Edge], FailFast()]


class _Decision(_Part):
    kind: Annotated[str, Field(json_schema_extra={"enum": ["last", "vote", "weighted_vote", "judge"]})]
    weights: Annotated[list[float] | None, Left] = Field(
        default=None, fail_fast=True, description="For weighted_vote: one an agent."
    )
    judge: Index | None = Field(default=None, description="For judge: which agent.")


class _Role(_Part):
    name: str
    profile: str = Field(description="What opens the agent's system prompt.")
    domain: Text = None
    attack: Text = Field(default=None, description="How its agents were turned against their team.")


class _LLM(_Part):
    name: str
    usd_per_1M_input: Price = Field(description="USD for a million prompt tokens.")
    usd_per_1M_output: Price = Field(description="USD for a million completion tokens.")
    profile: Text = Field(default=None, description="What encoders read of it.")
    usd_per_1M_cached_input: Price | None = Field(
        default=None, description="USD for a million prompt tokens that a cache held."
    )


class _Pool(_Part):
    name: str
    roles: Annotated[list[_Role], Some]
    llms: Annotated[list[_LLM], Some]


class Document(_Part):
    """A team of LLM agents: who takes part, who hears whom, who may stay silent, when to stop, how they decide.

    Agents count from 0, rounds from 1. Spatial edges and watches together have no circle.
    """

    model_config = ConfigDict(title="A design of gdesign, version 1")
    version: Literal[1]
    agents: Annotated[list[_Agent], Some, FailFast()] = Field(
        description="In an order in which they can speak: of spatial edges and watches, the source stands first. A "
        "reader puts other orders right."
    )
    spatial: _Edges = Field(default=[], description="dst hears what src says in the same round.")
    temporal: _Edges = Field(
        default=[],
        description="dst hears what src said in the round before; rounds names those in which dst hears, from 2 on.",
    )
    num_rounds: Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": MAX_ROUNDS})] = Field(
        default=1, description="How often each agent gets the floor."
    )
    decision: _Decision = Field(
        description="How the last words become one answer. last: of the agents that spoke, the one with the highest "
        "index. vote: the most frequent answer. weighted_vote: the answer with the largest sum of weights. judge: the "
        "answer of one agent. Ties go to the earliest agent."
    )
    pool: _Pool | None = Field(
        default=None, description="What the names stand for; left out where the reader has the pool."
    )


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a document, which `design.schema.json` holds."""
    found = Document.model_json_schema(schema_generator=_Plain)
    return {"$schema": GenerateJsonSchema.schema_dialect, **found}


class _Plain(GenerateJsonSchema):
    def normalize_name(self, name: str) -> str:
        return super().normalize_name(name).lstrip("_")

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


# --------------------------------------------------------------------------- writing


def design_to_json(design: Design, *, pool: AgentPool | None = None, brief: bool = False) -> dict[str, Any]:
    """Return the design as a JSON document of the newest version.

    Args:
        design: What to write.
        pool: Adds the profiles and prices of the roles and LLMs that the design names.
        brief: Whether to leave out what is default.

    Raises:
        PoolError: The pool lacks one of them.
    """
    kept = None
    if pool is not None:
        kept = {
            "name": pool.name,
            "roles": [pool.role(name) for name in dict.fromkeys(agent.role for agent in design.agents)],
            "llms": [pool.llm(name) for name in dict.fromkeys(agent.llm for agent in design.agents)],
        }
    parts = {field.name: getattr(design, field.name) for field in fields(design)}
    row = {"version": VERSION, **parts, "pool": kept}
    document = Document.model_validate(row, from_attributes=True, strict=False)
    return document.model_dump(exclude_none=True, exclude_defaults=brief)


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
    row = read_json(path)
    try:
        return design_from_json(row), pool_from_json(row)
    except (DataError, DesignError, PoolError) as error:
        raise type(error)(f"{path}: {error}") from error


def design_from_json(row: Mapping[str, Any]) -> Design:
    """Return the design in a JSON document; it is in canonical form, whatever the order of agents was.

    Raises:
        DataError: A field is missing, unknown or of a wrong kind, or the version is unknown; the field is named.
        DesignError: No executor could run it.
    """
    read = _document(row)
    return Design(
        agents=tuple(
            Agent(**{**dict(a), "gate": a.gate and Gate(watch=tuple(a.gate.watch), quorum=a.gate.quorum)})
            for a in read.agents
        ),
        spatial=tuple(Edge(e.src, e.dst, tuple(e.rounds or ())) for e in read.spatial),
        temporal=tuple(Edge(e.src, e.dst, tuple(e.rounds or ())) for e in read.temporal),
        num_rounds=read.num_rounds,
        decision=Decision(
            kind=cast(Any, read.decision.kind),  # Design says which kinds there are
            weights=tuple(read.decision.weights or ()),
            judge=read.decision.judge,
        ),
    )


def pool_from_json(row: Mapping[str, Any]) -> AgentPool | None:
    """Return the pool in a JSON document, with the operators of its design; None where there is none.

    Raises:
        DataError: A field is missing, unknown or of a wrong kind, or the version is unknown; the field is named.
        PoolError: A price is missing or below zero, or a name stands there twice.
    """
    read = _document(row)
    if read.pool is None:
        return None
    return AgentPool(
        name=read.pool.name,
        roles=tuple(Role(**role.model_dump(exclude_none=True)) for role in read.pool.roles),
        llms=tuple(LLM(**llm.model_dump(exclude_none=True)) for llm in read.pool.llms),
        operators=tuple(dict.fromkeys(["answer", *(agent.operator for agent in read.agents)])),
    )


def _document(row: object) -> Document:
    if isinstance(row, Mapping):
        if "version" not in row:
            raise DataError(f"the field version is missing; a design of this gdesign has version {VERSION}")
        if row["version"] != VERSION or isinstance(row["version"], bool):
            raise DataError(f"version {row['version']!r} is unknown; this gdesign reads version {VERSION}")
    try:
        return Document.model_validate(row)
    except ValidationError as error:
        raise DataError(_said(error)) from error


def _said(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where, kind = place(first["loc"]), first["type"]
    if kind == "missing":
        return f"the field {where} is missing"
    if kind == "extra_forbidden":
        fields = _fields(first["loc"][:-1])
        names = sorted(fields, key=lambda name: not fields[name].is_required())
        return f"the field {where} is unknown; expected {', '.join(names)}"
    if kind == "too_short":
        return f"{where} names no round; leave it out for every round"
    value = first["input"]
    wanted = {
        "model_type": "an object",
        "list_type": "a list",
        "string_type": "a text",
        "int_type": "a whole number",
        "float_type": "a number",
    }[kind]
    text = repr(value)
    shown = text if len(text) <= 60 else text[:57] + "..."
    if kind == "float_type" and isinstance(value, int) and not isinstance(value, bool):
        return f"{where} is too large a number; got {shown}"
    return f"{where or 'the document'} must be {wanted}; got {shown}"


def place(loc: Sequence[str | int]) -> str:
    """Return where something stands in a document, such as `agents[0].llm`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")


def _fields(loc: Sequence[str | int]) -> Mapping[str, Any]:
    found: Any = Document
    for part in loc:
        if isinstance(part, str):
            kind = found.model_fields[part].annotation
            while not (isinstance(kind, type) and issubclass(kind, BaseModel)):
                kind = kind.__args__[0]
            found = kind
    return cast(Mapping[str, Any], found.model_fields)
