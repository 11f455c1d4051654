"""A design in words."""

from gdesign.types import Design


def describe(design: Design) -> str:
    """Return who takes part, who hears whom, who may stay silent and how they decide; agents count from 1."""
    n = len(design.agents)
    rounds = "" if design.num_rounds == 1 else f", {design.num_rounds} rounds"
    lines = [f"{n} agent{'s' if n > 1 else ''}{rounds}"]
    names = [
        f"{i + 1}. {a.role} ({a.llm}{'' if a.operator == 'answer' else ', ' + a.operator})"
        for i, a in enumerate(design.agents)
    ]
    for i, agent in enumerate(design.agents):
        parts = []
        heard = [str(e.src + 1) + _in_rounds(e.rounds) for e in design.spatial if e.dst == i]
        if heard:
            parts.append("hears " + ", ".join(heard))
        earlier = [str(e.src + 1) + _in_rounds(e.rounds) for e in design.temporal if e.dst == i]
        if earlier:
            parts.append("hears of the round before " + ", ".join(earlier))
        if agent.gate is not None:
            watched = ", ".join(str(w + 1) for w in agent.gate.watch)
            parts.append(f"speaks only while fewer than {agent.gate.quorum} of {watched} agree")
        lines.append(f"  {names[i]}" + (": " + "; ".join(parts) if parts else ""))
    decision = design.decision
    match decision.kind:
        case "last":
            how = "the last to speak decides" if n > 1 else "its answer stands"
        case "vote":
            how = "the most frequent answer wins"
        case "weighted_vote":
            how = "the answer with the largest weight wins (" + ", ".join(f"{w:g}" for w in decision.weights) + ")"
        case "judge":
            assert decision.judge is not None
            how = f"agent {decision.judge + 1} decides"
    return "\n".join([*lines, f"  {how}"])


def mermaid(design: Design) -> str:
    """Return the design as a Mermaid flowchart: messages solid, watches dashed, the round before thick."""
    lines = ["flowchart LR"]
    for i, agent in enumerate(design.agents):
        operator = "" if agent.operator == "answer" else f", {agent.operator}"
        label = f"{agent.role}<br/>{agent.llm}{operator}".replace('"', "#quot;")
        lines.append(f'  a{i}["{label}"]')
    lines += [f"  a{e.src} --> a{e.dst}" for e in design.spatial]
    lines += [f"  a{e.src} ==>|next round| a{e.dst}" for e in design.temporal]
    for i, agent in enumerate(design.agents):
        if agent.gate is not None:
            lines += [f"  a{w} -.->|quorum {agent.gate.quorum}| a{i}" for w in agent.gate.watch]
    lines.append(f"  answer([{'answer' if design.decision.kind in ('last', 'judge') else design.decision.kind}])")
    lines += [f"  a{i} --> answer" for i in deciders(design)]
    return "\n".join(lines)


def deciders(design: Design) -> list[int]:
    """Return the agents whose last words may be the decision, or count in it."""
    match design.decision.kind:
        case "vote" | "weighted_vote":
            return list(range(len(design.agents)))
        case "judge":
            assert design.decision.judge is not None
            return [design.decision.judge]
        case "last":
            first = max(i for i, agent in enumerate(design.agents) if agent.gate is None)
            return list(range(first, len(design.agents)))


def _in_rounds(rounds: tuple[int, ...]) -> str:
    return f" (round {', '.join(map(str, rounds))})" if rounds else ""
