"""A design as a LangGraph graph: a node for every turn, rounds unrolled, gates as conditional edges.

The nodes ask what `gdesign.execute.run` asks (`gdesign.execute.plan`), so both give the same calls and answers.
LangGraph goes in supersteps: turns of one step run at the same time, and the next step waits for the slowest of them.
So a run may take longer than with our executor.
"""

import operator
import re
from collections.abc import Callable
from typing import Annotated, Any, NotRequired, TypedDict

from langgraph.graph import END, START, StateGraph

from gdesign.errors import LLMError, UnsupportedRequestError
from gdesign.execute.decide import decide
from gdesign.execute.operators import NEED_SANDBOX, work
from gdesign.execute.plan import Plan, stays_silent
from gdesign.llm.base import LLMClient
from gdesign.tasks.sandbox import Sandbox
from gdesign.types import AgentPool, Design, Extract, Gate, Task, Turn


class State(TypedDict):
    """What the graph passes on; give it `task` and, for another sample, `seed`.

    Attributes:
        task: The question.
        seed: As in `gdesign.execute.run`; 0 unless given.
        turns: What was said and what failed, in no certain order; an agent that stayed silent is not among them.
        answer: The decided answer; None if nobody gave a readable one.
        decided_by: Index of the agent whose answer it is; None if nobody entitled to decide spoke.
    """

    task: Task
    seed: NotRequired[int]
    turns: NotRequired[Annotated[list[Turn], operator.add]]
    answer: NotRequired[str | None]
    decided_by: NotRequired[int | None]


def state_graph(
    design: Design, *, pool: AgentPool, llm: LLMClient, extract: Extract, tools: Sandbox | None = None
) -> "StateGraph[State]":
    """Return the design as a graph; compile it, and it answers `ainvoke({"task": task})`.

    Args:
        design: Who takes part, who hears whom, and how they decide.
        pool: Knows the roles and LLMs that the design names.
        llm: Answers each agent's request. A call that fails is recorded in its turn, and its hearers go on without it.
        extract: The benchmark's reader of answers; gates and votes compare what it returns.
        tools: Where agents run the programs that they write, if their operators say so; None for nowhere.

    Raises:
        PoolError: The design names a role, LLM or operator that the pool lacks.
        UnsupportedRequestError: An operator runs programs and there is nowhere to run them.
    """
    plan = Plan(design, pool=pool)
    for agent in design.agents:
        if tools is None and agent.operator in NEED_SANDBOX:
            raise UnsupportedRequestError(
                f"the operator {agent.operator} runs what a model wrote, and nobody said where: hand in tools=Sandbox()"
            )

    def turn(i: int, r: int) -> Any:  # LangGraph's type of a node is private
        async def take_turn(state: State) -> dict[str, list[Turn]]:
            said = _by_turn(state)
            previous = said.get((i, r - 1))
            request = plan.request(
                i,
                state["task"],
                seed=state.get("seed", 0),
                heard=[said[key] for key in plan.heard(i, r) if key in said],
                previous=None if previous is None else previous.reply,
            )
            how = design.agents[i].operator
            try:
                reply = await work(request, operator=how, task=state["task"], ask=llm, tools=tools)
            except LLMError as error:
                return {"turns": [Turn(agent=i, round=r, error=str(error))]}
            return {"turns": [Turn(agent=i, round=r, reply=reply, answer=extract(state["task"], reply.text))]}

        return take_turn

    def conclude(state: State) -> dict[str, Any]:
        said = _by_turn(state)
        last_words: list[Turn | None] = [None] * len(design.agents)
        for i, r in sorted(said):
            if said[i, r].reply is not None:
                last_words[i] = said[i, r]
        decided = decide(design.decision, last_words)
        if decided is None:
            return {"answer": None, "decided_by": None}
        return {"answer": decided.answer, "decided_by": decided.agent}

    graph = StateGraph(State)
    names = node_names(design)
    for (i, r), name in names.items():
        agent = design.agents[i]
        graph.add_node(name, turn(i, r))
        waits = plan.heard(i, r) + ([(i, r - 1)] if r > 1 else [])
        entry = name
        if agent.gate is not None:
            waits += [(j, r) for j in agent.gate.watch]
            entry = f"{name}_gate"
            graph.add_node(entry, _pass)
            graph.add_node(f"{name}_end", _pass)
            graph.add_conditional_edges(entry, _gate(agent.gate, r), {"speak": name, "silent": f"{name}_end"})
            graph.add_edge(name, f"{name}_end")
        _join(graph, [_end(design, names, *key) for key in waits], entry)
    graph.add_node("decide", conclude)
    ends = [_end(design, names, i, design.num_rounds) for i in range(len(design.agents))]
    _join(graph, ends, "decide")
    graph.add_edge("decide", END)
    return graph


def node_names(design: Design) -> dict[tuple[int, int], str]:
    """Return the name of each turn's node, by agent and round: the agent's number, its role, the round."""
    names = {}
    for r in range(1, design.num_rounds + 1):
        for i, agent in enumerate(design.agents):
            words = ["agent", str(i + 1), *re.findall(r"[A-Za-z0-9]+", agent.role)]
            names[i, r] = "_".join([*words, *(["round", str(r)] if design.num_rounds > 1 else [])])
    return names


def _pass(state: State) -> dict[str, Any]:
    """Do nothing: where several ways part or meet."""
    return {}


def _gate(gate: Gate, r: int) -> Callable[[State], str]:
    def way(state: State) -> str:
        said = _by_turn(state)
        answers = [said[j, r].answer for j in gate.watch if (j, r) in said]
        return "silent" if stays_silent(gate, answers) else "speak"

    return way


def _end(design: Design, names: dict[tuple[int, int], str], i: int, r: int) -> str:
    """Return the node after which a turn is over, whether the agent spoke or not."""
    return names[i, r] if design.agents[i].gate is None else f"{names[i, r]}_end"


def _join(graph: "StateGraph[State]", sources: list[str], entry: str) -> None:
    """Let a node wait for all others; a list of several is what makes LangGraph wait for all of them."""
    sources = list(dict.fromkeys(sources))
    if len(sources) > 1:
        graph.add_edge(sources, entry)
    else:
        graph.add_edge(sources[0] if sources else START, entry)


def _by_turn(state: State) -> dict[tuple[int, int], Turn]:
    return {(turn.agent, turn.round): turn for turn in state.get("turns", ())}
