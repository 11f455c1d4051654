"""`gdesign export`: write a saved design for another program."""

import json
from argparse import Namespace
from pathlib import Path

from gdesign.agents.pool import named
from gdesign.cli.talk import say
from gdesign.errors import ConfigError
from gdesign.export.dot import dot
from gdesign.export.graphml import graphml
from gdesign.export.mermaid import mermaid
from gdesign.export.python import to_python
from gdesign.export.schema import design_to_json, read_design
from gdesign.report.text import describe
from gdesign.types import AgentPool, Design


def run(options: Namespace) -> None:
    """Print the design, or write it to a file."""
    design, pool = read_design(options.design)
    if options.pool is not None:
        pool = named(options.pool)
    if pool is not None:
        for agent in design.agents:
            pool.check(agent)
    elif options.format == "langgraph":
        raise ConfigError(f"{options.design} holds no profiles of its roles; name the pool that does by --pool")
    put(formatted(design, pool, options.format, wants_programs=options.programs), options.out)


def formatted(design: Design, pool: AgentPool | None, format: str, *, wants_programs: bool) -> str:
    """Return a design in one of the formats of `--format`."""
    match format:
        case "mermaid":
            return mermaid(design)
        case "dot":
            return dot(design)
        case "graphml":
            return graphml(design)
        case "json":
            return json.dumps(design_to_json(design, pool=pool), indent=2)
        case "langgraph":
            assert pool is not None
            return to_python(design, pool=pool, wants_programs=wants_programs).rstrip("\n")
        case _:
            return describe(design)


def put(text: str, out: Path | None) -> None:
    """Print a text, or write it to a file and say so."""
    if out is None:
        say(text)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")  # as `say` does
    say(f"written to {out}")
