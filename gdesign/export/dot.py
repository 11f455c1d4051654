"""A design as a DOT graph, which Graphviz draws."""

from gdesign.export.steps import in_rounds
from gdesign.types import Design


def dot(design: Design) -> str:
    """Return the design as a DOT graph: messages solid, watches dashed, the round before bold."""
    lines = ["digraph design {", "  rankdir=LR;", "  node [shape=box, style=rounded];"]
    for i, agent in enumerate(design.agents):
        operator = "" if agent.operator == "answer" else f", {agent.operator}"
        lines.append(f"  a{i} [label={_quoted(agent.role, agent.llm + operator)}];")
    lines += [f"  a{e.src} -> a{e.dst}{_label(*in_rounds(e))};" for e in design.spatial]
    # what was said a round before holds back nobody in this one, so it orders no ranks
    lines += [
        f"  a{e.src} -> a{e.dst}{_label('next round', *in_rounds(e))[:-1]}, style=bold, constraint=false];"
        for e in design.temporal
    ]
    for i, agent in enumerate(design.agents):
        if agent.gate is not None:
            label = _label("waits" if agent.gate.only_waits else f"quorum {agent.gate.quorum}")[:-1]
            lines += [f"  a{w} -> a{i}{label}, style=dashed];" for w in agent.gate.watch]
    word = "answer" if design.decision.kind in ("last", "judge") else design.decision.kind
    lines.append(f"  answer [label={_quoted(word)}, shape=ellipse, style=solid];")
    weights = design.decision.weights
    lines += [f"  a{i} -> answer{_label(f'{weights[i]:g}') if weights else ''};" for i in design.deciders()]
    return "\n".join([*lines, "}"])


def _label(*words: str) -> str:
    return f" [label={_quoted(', '.join(words))}]" if words else ""


def _quoted(*lines: str) -> str:
    r"""Return lines as one quoted string; what looks like an escape of DOT (`\N`, `\n`) is shown as it is."""
    return '"' + r"\n".join(" ".join(x.split()).replace("\\", r"\\").replace('"', r"\"") for x in lines) + '"'
