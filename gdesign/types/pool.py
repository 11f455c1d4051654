"""The roles, LLMs and operators that a designer may choose from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gdesign.errors import PoolError
from gdesign.types.design import Agent

MAX_PRICE = 1e10
"""USD for a million tokens; what is dearer is a slip of the keyboard, and sums of it would be endless."""

MIN_CONTEXT = 256
"""Tokens; less holds no question and reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What an agent is told to be.

    Attributes:
        name: Unique within a pool.
        profile: The text that opens the agent's system prompt and that encoders read.
        domain: The domain the role is made for; empty for a neutral one.
        attack: How its agents were turned against their team (a key of `gdesign.agents.prompt.ATTACKS`); empty
            where they were not. It stands in their system prompt alone: no designer reads it.
    """

    name: str
    profile: str
    domain: str = ""
    attack: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LLM:
    """A language model with a price.

    Attributes:
        name: The name requests carry.
        usd_per_1M_cached_input: What prompt tokens cost that were read from a cache; None for as much as others.
        profile: What encoders read of it: family, size, price. Never a score from evaluation questions.
        base_url: The endpoint that serves it; None for the client's own.
        api_key_env: Name of the environment variable that holds the key; None for the client's own.
        context: Tokens that it takes, prompt and reply together; what an agent hears is cut so that it fits. None
            for no limit.
    """

    name: str
    usd_per_1M_input: float
    usd_per_1M_output: float
    profile: str = ""
    base_url: str | None = None
    api_key_env: str | None = None
    usd_per_1M_cached_input: float | None = None
    context: int | None = None

    def usd(self, *, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Return the price of one call in USD; `cached_tokens` are those of the prompt that a cache held."""
        usd = prompt_tokens * self.usd_per_1M_input + completion_tokens * self.usd_per_1M_output
        if self.usd_per_1M_cached_input is not None:
            usd += cached_tokens * (self.usd_per_1M_cached_input - self.usd_per_1M_input)
        return usd / 1e6


class Candidate(NamedTuple):
    """An agent that a pool offers: names of a role, an LLM and an operator."""

    role: str
    llm: str
    operator: str = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPool:
    """The roles, LLMs and operators that a designer may choose from.

    Attributes:
        name: What tables call it.
        roles: At least one.
        llms: At least one, each with a price.
        operators: How agents may work.
        anchor: Pairs of role names; the first is worth hearing for the second. An empty anchor
            means that no pair is preferred.
        candidates: The agents on offer; every role with every LLM and operator unless given.
        prompts: The words of its agents' prompts (`gdesign.agents.prompt.read_prompts`); None for the package's own.
    """

    name: str
    roles: tuple[Role, ...]
    llms: tuple[LLM, ...]
    operators: tuple[str, ...] = ("answer",)
    anchor: tuple[tuple[str, str], ...] = ()
    candidates: tuple[Candidate, ...] = ()
    prompts: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)
    _roles: dict[str, Role] = field(init=False, repr=False, compare=False)
    _llms: dict[str, LLM] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for kind, names in (("role", [r.name for r in self.roles]), ("LLM", [m.name for m in self.llms])):
            if not names:
                raise PoolError(f"pool {self.name!r} has no {kind}; give at least one")
            if twice := sorted({x for x in names if names.count(x) > 1}):
                raise PoolError(f"pool {self.name!r} names the {kind} {twice[0]!r} twice")
        set_ = object.__setattr__
        set_(self, "_roles", {r.name: r for r in self.roles})
        set_(self, "_llms", {m.name: m for m in self.llms})
        for llm in self.llms:
            if llm.context is not None and llm.context < MIN_CONTEXT:
                raise PoolError(
                    f"LLM {llm.name!r} in pool {self.name!r} has a context of {llm.context} tokens; give "
                    f"{MIN_CONTEXT} or more, or leave it out for no limit"
                )
            cached = () if llm.usd_per_1M_cached_input is None else (llm.usd_per_1M_cached_input,)
            for price in (llm.usd_per_1M_input, llm.usd_per_1M_output, *cached):
                if not isinstance(price, int | float) or not 0 <= price <= MAX_PRICE:
                    raise PoolError(
                        f"LLM {llm.name!r} in pool {self.name!r} has the price {price!r}; give usd_per_1M_input and "
                        f"usd_per_1M_output in USD, 0 for a model that costs nothing and {MAX_PRICE:.0e} at most"
                    )
        for pair in self.anchor:
            for role in pair:
                self.role(role)
        if not self.candidates:
            every = (Candidate(r.name, m.name, o) for r in self.roles for m in self.llms for o in self.operators)
            set_(self, "candidates", tuple(every))
        for candidate in self.candidates:
            self.check(candidate)

    def role(self, name: str) -> Role:
        """Return the role of that name, or raise PoolError."""
        if name not in self._roles:
            raise PoolError(f"pool {self.name!r} has no role {name!r}; it has {', '.join(self._roles)}")
        return self._roles[name]

    def llm(self, name: str) -> LLM:
        """Return the LLM of that name, or raise PoolError."""
        if name not in self._llms:
            raise PoolError(f"pool {self.name!r} has no LLM {name!r}; it has {', '.join(self._llms)}")
        return self._llms[name]

    def check(self, agent: Agent | Candidate) -> None:
        """Raise PoolError unless role, LLM and operator of the agent are in the pool."""
        self.role(agent.role)
        self.llm(agent.llm)
        if agent.operator not in self.operators:
            raise PoolError(
                f"pool {self.name!r} has no operator {agent.operator!r}; it has {', '.join(self.operators)}"
            )
