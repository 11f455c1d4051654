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


def _in_rounds(rounds: tuple[int, ...]) -> str:
    return f" (round {', '.join(map(str, rounds))})" if rounds else ""
