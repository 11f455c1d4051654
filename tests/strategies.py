"""Hypothesis strategies for designs."""

from typing import Any

from hypothesis import strategies as st

from gdesign.types import LLM, Agent, AgentPool, Decision, Design, Edge, Gate, Role

POOL = AgentPool(
    name="pool",
    roles=tuple(Role(name=name, profile=f"You are {name}.") for name in "abcdef"),
    llms=(
        LLM(name="m", usd_per_1M_input=1.0, usd_per_1M_output=2.0),
        LLM(name="n", usd_per_1M_input=10.0, usd_per_1M_output=30.0),
    ),
    operators=("answer", "cot"),
)
"""Holds every agent that these strategies draw."""

CASCADE = Design(
    agents=(
        Agent(role="solver", llm="a"),
        Agent(role="solver", llm="b", operator="cot"),
        Agent(role="solver", llm="c", gate=Gate(watch=(0, 1), quorum=2)),
    )
)
DEBATE = Design(
    agents=(Agent(role="x", llm="a"), Agent(role="y", llm="b")),
    spatial=(Edge(0, 1),),
    temporal=(Edge(1, 0),),
    num_rounds=2,
    decision=Decision(kind="vote"),
)


@st.composite
def design_args(
    draw: st.DrawFn,
    *,
    max_agents: int = 5,
    max_rounds: int = 3,
    distinct: bool = False,
    kinds: tuple[str, ...] = ("last", "vote", "weighted_vote", "judge"),
) -> dict[str, Any]:
    """Draw the arguments of a valid design, not in canonical form.

    Args:
        max_agents: At most so many agents.
        max_rounds: At most so many rounds.
        distinct: Whether all agents have different roles.
        kinds: The decisions to draw from.
    """
    n = draw(st.integers(1, max_agents))
    num_rounds = draw(st.integers(1, max_rounds))
    place = draw(st.permutations(range(n)))  # i may hear or watch j within a round only if place[j] < place[i]
    roles = (
        draw(st.permutations("abcdef")) if distinct else draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n))
    )
    agents = []
    for i in range(n):
        earlier = [j for j in range(n) if place[j] < place[i]]
        gate = None
        if earlier and draw(st.booleans()):
            watch = draw(st.lists(st.sampled_from(earlier), min_size=1, unique=True))
            gate = Gate(watch=tuple(watch), quorum=draw(st.integers(1, len(watch) + 1)))
        agents.append(
            Agent(
                role=roles[i],
                llm=draw(st.sampled_from("mn")),
                operator=draw(st.sampled_from(["answer", "cot"])),
                gate=gate,
            )
        )

    def edges(pairs: list[tuple[int, int]], first_round: int) -> tuple[Edge, ...]:
        chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=8)) if pairs else []
        rounds = (
            st.lists(st.integers(first_round, num_rounds), unique=True) if first_round <= num_rounds else st.just([])
        )
        return tuple(Edge(src, dst, tuple(draw(rounds))) for src, dst in chosen)

    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    kind = draw(st.sampled_from(kinds))
    weights = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=n, max_size=n).filter(any))
    return {
        "agents": tuple(agents),
        "spatial": edges([(i, j) for i, j in pairs if place[i] < place[j]], first_round=1),
        "temporal": edges(pairs, first_round=2),
        "num_rounds": num_rounds,
        "decision": Decision(
            kind=kind,
            weights=tuple(weights) if kind == "weighted_vote" else (),
            judge=draw(st.integers(0, n - 1)) if kind == "judge" else None,
        ),
    }


def designs(**kwargs: Any) -> st.SearchStrategy[Design]:
    """Draw a valid design; see `design_args`."""
    return design_args(**kwargs).map(lambda args: Design(**args))
