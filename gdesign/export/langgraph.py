"""A design as a LangGraph graph: a node for every turn, rounds unrolled, gates as conditional edges.

The nodes ask what `gdesign.execute.run` asks (`gdesign.execute.plan`), so both give the same calls and answers.
LangGraph goes in supersteps: turns of one step run at the same time, and the next step waits for the slowest of them.
So a run may take longer than with our executor.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NotRequired, TypedDict

from langgraph.graph import END, START, StateGraph

from gdesign.errors import LLMError, UnsupportedRequestError
from gdesign.execute.decide import decide
from gdesign.execute.operators import NEED_SANDBOX, work
from gdesign.execute.plan import Plan, stays_silent
from gdesign.export.steps import BEGIN, Step, steps
from gdesign.llm.base import LLMClient
from gdesign.sandbox import Sandbox
from gdesign.types import AgentPool, Design, Extract, Gate, Task, Turn


def _more(turns: list[Turn], new: list[Turn] | None) -> list[Turn]:
    return [] if new is None else turns + new


class State(TypedDict):
    """What the graph passes on; give it `task` and, for another sample, `seed`.

    Attributes:
        task: The question.
        seed: As in `gdesign.execute.run`; 0 unless given, and on a thread as it was given last.
        turns: What was said and what failed, in no certain order; an agent that stayed silent is not among them.
        answer: The decided answer; None if nobody gave a readable one.
        decided_by: Index of the agent whose answer it is; None if nobody entitled to decide spoke.
    """

    task: Task
    seed: NotRequired[int]
    turns: NotRequired[Annotated[list[Turn], _more]]
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

    def turn(step: Step) -> Any:  # LangGraph's type of a node is private
        i, r = step.agent, step.round

        async def take_turn(state: State) -> dict[str, list[Turn]]:
            task, said = state["task"], _by_turn(state)
            previous = said.get((i, r - 1))
            request = plan.request(
                i,
                task,
                seed=state.get("seed", 0),
                heard=[said[key] for key in step.hears if key in said],
                previous=None if previous is None else previous.reply,
            )
            try:
                reply = await work(
                    request, operator=design.agents[i].operator, task=task, pool=pool, ask=llm, tools=tools
                )
            except LLMError as error:
                return {"turns": [Turn(agent=i, round=r, error=str(error))]}
            return {"turns": [Turn(agent=i, round=r, reply=reply, answer=extract(task, reply.text))]}

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
    graph.add_node(BEGIN, _begin)
    graph.add_edge(START, BEGIN)
    unrolled = steps(design, plan)
    for step in unrolled:
        gate = design.agents[step.agent].gate
        graph.add_node(step.name, turn(step))
        if gate is not None:
            graph.add_node(step.entry, _pass)
            graph.add_node(step.end, _pass)
            graph.add_conditional_edges(step.entry, _way(gate, step.round), {"speak": step.name, "silent": step.end})
            graph.add_edge(step.name, step.end)
        graph.add_edge(_sources(step.waits), step.entry)
    graph.add_node("decide", conclude)
    graph.add_edge(_sources([step.end for step in unrolled if step.round == design.num_rounds]), "decide")
    graph.add_edge("decide", END)
    return graph


def _begin(state: State) -> dict[str, Any]:
    """Forget what was said to the last question of a thread."""
    return {"turns": None, "answer": None, "decided_by": None}


def _pass(state: State) -> dict[str, Any]:
    """Do nothing: where several ways part or meet."""
    return {}


def _way(gate: Gate, r: int) -> Callable[[State], str]:
    def way(state: State) -> str:
        said = _by_turn(state)
        answers = [said[j, r].answer for j in gate.watch if (j, r) in said]
        return "silent" if stays_silent(gate, answers) else "speak"

    return way


def _sources(names: Sequence[str]) -> list[str] | str:
    """Return where an edge begins; LangGraph waits for all of a list."""
    return list(names) if len(names) > 1 else names[0]


def _by_turn(state: State) -> dict[tuple[int, int], Turn]:
    return {(turn.agent, turn.round): turn for turn in state.get("turns", ())}
