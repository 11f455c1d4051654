"""A design, what a policy does, and money, in words."""

from math import floor, log10

from gdesign.types import Branch, Design, Move, Stop, Wave


def money(usd: float) -> str:
    """Return USD with two significant digits, as people say them: 0.0033, 1.6, 120, 4,700."""
    if usd == 0:
        return "0"
    rounded = float(f"{usd:.2g}")
    return f"{rounded:,.{max(0, 1 - floor(log10(abs(rounded))))}f}"


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
            only = f"speaks only while fewer than {agent.gate.quorum} of {watched} agree"
            parts.append(f"waits for {watched}" if agent.gate.only_waits else only)
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


def describe_move(move: Move, *, wave: int, first: int) -> str:
    """Return what a policy does, and why; agents and waves count from 1.

    Args:
        wave: The number of the wave, if it is one.
        first: How many agents were asked before.
    """
    if isinstance(move, Stop):
        sure = "" if move.probability is None else f" (right with probability {move.probability:.2f})"
        return f"stop{sure}" + (f": {move.reason}" if move.reason else "")
    if isinstance(move, Design):
        return describe(move)
    who = []
    for i, agent in enumerate(move.agents):
        heard = ", ".join(str(j + 1) for j in move.hears[i]) if move.hears else ""
        operator = "" if agent.operator == "answer" else f", {agent.operator}"
        who.append(f"{first + i + 1}. {agent.role} ({agent.llm}{operator})" + (f" hears {heard}" if heard else ""))
    return f"wave {wave}: " + "; ".join(who) + (f": {move.reason}" if move.reason else "")


def describe_tree(branch: Branch, *, wave: int = 1, first: int = 0) -> str:
    """Return what a policy does first, and indented below it what may follow, with probabilities."""
    lines = [describe_move(branch.move, wave=wave, first=first)]
    asked = len(branch.move.agents) if isinstance(branch.move, Wave) else 0
    for below in branch.branches:
        head, *rest = describe_tree(below, wave=wave + 1, first=first + asked).splitlines()
        when = f" {below.when}" if below.when else ""
        lines += [f"  {below.probability:.2f}{when}: {head}", *(f"  {line}" for line in rest)]
    return "\n".join(lines)


def _in_rounds(rounds: tuple[int, ...]) -> str:
    return f" (round {', '.join(map(str, rounds))})" if rounds else ""
