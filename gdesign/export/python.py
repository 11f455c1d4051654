"""A design as a Python file of its own, for the repository of whoever runs it: LangGraph and the openai package."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from gdesign import __version__
from gdesign.agents import prompt as prompts
from gdesign.agents.prompt import MAX_QUOTED, SEVERAL_CALLS, cut, form_of, prompt, quoted, words_of
from gdesign.errors import ConfigError
from gdesign.execute.plan import Plan
from gdesign.export.steps import steps
from gdesign.llm.seeds import seed_of
from gdesign.tasks.answers import thoughts
from gdesign.types import Agent, AgentPool, Design, Task

_NOTHING = Task(id="", question="", answer="", benchmark="")
_PROGRAM = replace(_NOTHING, wants_program=True)
_SAID = replace(_PROGRAM, question="```python")  # a question that says its form itself


def to_python(design: Design, *, pool: AgentPool, wants_programs: bool = False) -> str:
    """Return a Python file that runs the design, prompts and all, without gdesign.

    It asks what `gdesign.execute.run` asks at seed 0 and temperature 0. It reads answers by a function of its own,
    `read_answer`, which suits words and numbers, or programs where those are wanted; a benchmark's own reader takes its
    place where answers look otherwise.

    Args:
        design: Who takes part, who hears whom, and how they decide.
        pool: Knows the profiles and endpoints of the roles and LLMs that the design names.
        wants_programs: Whether right answers are programs.

    Raises:
        PoolError: The pool lacks one of them.
        ConfigError: An agent works by an operator of several calls, or was turned against its team.
    """
    plan = Plan(design, pool=pool)
    for i, agent in enumerate(design.agents):
        if agent.operator in SEVERAL_CALLS:
            raise ConfigError(
                f"agent {i + 1} works by {agent.operator}, which takes several calls and more code than a file of its "
                "own should hold; run the design by gdesign.export.langgraph.state_graph instead"
            )
        if pool.role(agent.role).attack:
            raise ConfigError(f"agent {i + 1} was turned against its team; export the role {agent.role!r} as it was")
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    environment.filters |= {"literal": _literal, "sources": _sources}
    template = environment.from_string(files("gdesign.export").joinpath("team.py.jinja").read_text(encoding="utf-8"))
    unrolled = steps(design, plan)
    decision = design.decision
    words = words_of(pool)
    parts: list[Callable[..., Any]] = [quoted, cut]
    if contexts := any(pool.llm(agent.llm).context for agent in design.agents):
        parts += [prompts._fitted, prompts._room, prompts._size]
    return template.render(
        version=__version__,
        most_quoted=f"{MAX_QUOTED:_}",
        quotes=words["quotes"],
        titles=words["titles"],
        form=words["forms"]["program"] if wants_programs else "",
        form_ends_user=words["place"] == "user",
        contexts=contexts,
        bytes_per_token=prompts.BYTES_PER_TOKEN,
        for_prompt=prompts.FOR_PROMPT,
        mark=prompts._MARK,
        quoted="\n\n\n".join(inspect.getsource(function).strip() for function in parts),
        thoughts=inspect.getsource(thoughts).split("import re\n", 1)[1].strip(),
        agents=[_agent(i, agent, plan, pool, wants_programs) for i, agent in enumerate(design.agents)],
        decision={"kind": decision.kind}
        | ({"weights": decision.weights} if decision.weights else {})
        | ({} if decision.judge is None else {"judge": decision.judge}),
        gates=[agent.gate for agent in design.agents],
        steps=unrolled,
        last=[step.end for step in unrolled if step.round == design.num_rounds],
    )


def _agent(i: int, agent: Agent, plan: Plan, pool: AgentPool, wants_programs: bool) -> dict[str, Any]:
    request = plan.request(i, _NOTHING, seed=0, heard=(), previous=None)
    said = prompt(agent, _SAID if wants_programs else _NOTHING, pool=pool)[0].content
    words = words_of(pool)
    form = "" if wants_programs or words["place"] != "user" else form_of(agent.operator, _NOTHING, words)
    return {
        "role": agent.role,
        "llm": pool.llm(agent.llm),
        "seed": seed_of(request.sample),
        "system": said.splitlines(keepends=True),
        "form": form,
    }


def _literal(value: Any) -> str:
    return "None" if value is None else json.dumps(value, ensure_ascii=False)


def _sources(names: Sequence[str]) -> str:
    """Return where an edge begins; LangGraph waits for all of a list."""
    return _literal(names if len(names) > 1 else names[0])
