"""A design as a Mermaid flowchart, which GitHub and many editors draw."""

from gdesign.export.steps import in_rounds
from gdesign.types import Design


def mermaid(design: Design) -> str:
    """Return the design as a Mermaid flowchart: messages solid, watches dashed, the round before thick."""
    lines = ["flowchart LR"]
    for i, agent in enumerate(design.agents):
        operator = "" if agent.operator == "answer" else f", {_escaped(agent.operator)}"
        lines.append(f'  a{i}["{_escaped(agent.role)}<br/>{_escaped(agent.llm)}{operator}"]')
    lines += [f"  a{e.src} -->{_labelled(*in_rounds(e))} a{e.dst}" for e in design.spatial]
    lines += [f"  a{e.src} ==>{_labelled('next round', *in_rounds(e))} a{e.dst}" for e in design.temporal]
    for i, agent in enumerate(design.agents):
        if agent.gate is not None:
            words = "waits" if agent.gate.only_waits else f"quorum {agent.gate.quorum}"
            lines += [f"  a{w} -.->{_labelled(words)} a{i}" for w in agent.gate.watch]
    lines.append(f"  answer([{'answer' if design.decision.kind in ('last', 'judge') else design.decision.kind}])")
    weights = design.decision.weights
    lines += [f"  a{i} -->{_labelled(f'{weights[i]:g}') if weights else ''} answer" for i in design.deciders()]
    return "\n".join(lines)


def _labelled(*words: str) -> str:
    return f"|{', '.join(words)}|" if words else ""


def _escaped(text: str) -> str:
    """Return a text in which nothing is markup, by Mermaid's own entity codes."""
    return "".join(c if c.isalnum() or c in " -_.,:/()" else " " if c.isspace() else f"#{ord(c)};" for c in text)
