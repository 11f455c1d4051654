"""A design as a Python file of its own, for the repository of whoever runs it: LangGraph and the openai package."""

import inspect
import json
from collections.abc import Iterable
from importlib.resources import files

from gdesign import __version__
from gdesign.agents.prompt import DATA, MAX_QUOTED, SEVERAL_CALLS, prompt, quoted
from gdesign.errors import ConfigError
from gdesign.execute.plan import Plan
from gdesign.export.steps import BEGIN, Step, steps
from gdesign.llm.seeds import seed_of
from gdesign.types import AgentPool, Design, Request, Task

_NOTHING = Task(id="", question="", answer="", benchmark="")


def to_python(design: Design, *, pool: AgentPool) -> str:
    """Return a Python file that runs the design, prompts and all, without gdesign.

    It asks what `gdesign.execute.run` asks at seed 0 and temperature 0. It reads answers by a function of its own,
    `read_answer`, which suits words and numbers; a benchmark's own reader takes its place where answers look otherwise.

    Args:
        design: Who takes part, who hears whom, and how they decide.
        pool: Knows the profiles and endpoints of the roles and LLMs that the design names.

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
    unrolled = steps(design, plan)
    text = files("gdesign.export").joinpath("team.txt").read_text(encoding="utf-8")
    for marker, value in {
        "VERSION": __version__,
        "MAX_QUOTED": f"{MAX_QUOTED:_}",
        "HEARD": _literal(DATA),
        "QUOTED": inspect.getsource(quoted).strip(),
        "STEPS": str(3 * len(unrolled) + 10),
        "DECISION": _decision(design),
        "GRAPH": "\n".join(f"    {line}" for line in _graph(design, unrolled)),
        "AGENTS": _agents(design, plan, pool),  # last, for a profile may hold anything
    }.items():
        text = text.replace(f"@@{marker}@@", value, 1)
    return text


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _agents(design: Design, plan: Plan, pool: AgentPool) -> str:
    lines = ["["]
    for i, agent in enumerate(design.agents):
        llm = pool.llm(agent.llm)
        request: Request = plan.request(i, _NOTHING, seed=0, heard=(), previous=None)
        system, _ = prompt(agent, _NOTHING, pool=pool)
        lines += [
            "    {",
            f'        "role": {_literal(agent.role)},',
            f'        "model": {_literal(llm.name)},',
            f'        "endpoint": ({_or_none(llm.base_url)}, {_or_none(llm.api_key_env)}),',
            f'        "seed": {seed_of(request.sample)},',
            '        "system": (',
            *(f"            {_literal(line)}" for line in system.content.splitlines(keepends=True)),
            "        ),",
            "    },",
        ]
    return "\n".join([*lines, "]"])


def _or_none(text: str | None) -> str:
    return "None" if text is None else _literal(text)


def _decision(design: Design) -> str:
    decision = design.decision
    fields = [f'"kind": "{decision.kind}"']
    if decision.weights:
        fields.append(f'"weights": {list(decision.weights)}')
    if decision.judge is not None:
        fields.append(f'"judge": {decision.judge}')
    return f"{{{', '.join(fields)}}}"


def _graph(design: Design, unrolled: list[Step]) -> Iterable[str]:
    yield f'graph.add_node("{BEGIN}", begin)'
    yield f'graph.add_edge(START, "{BEGIN}")'
    for step in unrolled:
        gate = design.agents[step.agent].gate
        name = _literal(step.name)
        yield f"graph.add_node({name}, speak({step.agent}, {step.round}, hears={list(step.hears)}))"
        if gate is not None:
            entry, end = _literal(step.entry), _literal(step.end)
            yield f"graph.add_node({entry}, wait)"
            yield f"graph.add_node({end}, wait)"
            condition = f"gate({step.round}, watch={list(gate.watch)}, quorum={gate.quorum})"
            yield "graph.add_conditional_edges("
            yield f'    {entry}, {condition}, {{"speak": {name}, "silent": {end}}}'
            yield ")"
            yield f"graph.add_edge({name}, {end})"
        yield f"graph.add_edge({_sources(step.waits)}, {_literal(step.entry)})"
    yield 'graph.add_node("decide", decide)'
    yield f'graph.add_edge({_sources([step.end for step in unrolled if step.round == design.num_rounds])}, "decide")'
    yield 'graph.add_edge("decide", END)'


def _sources(names: Iterable[str]) -> str:
    first, *others = map(_literal, names)
    return f"[{', '.join([first, *others])}]" if others else first  # LangGraph waits for all of a list
