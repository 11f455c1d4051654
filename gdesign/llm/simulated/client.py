"""Synthetic agents that answer generated questions: no key, no data, no network.

An agent reads the text of its messages and nothing else: its role and operator in the system message,
the question, what others said, its own earlier answer. It answers by its ability, hears by the
transition of recorded debates, and says so in words. Nothing maps a design to a score; answers emerge
from messages.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from hashlib import blake2b
from math import exp
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import yaml

from gdesign.agents.prompt import OWN_FORM, SEVERAL_CALLS, words_of
from gdesign.errors import ConfigError, DataError, PoolError, UnsupportedRequestError
from gdesign.llm.base import refuse_format
from gdesign.llm.simulated.transition import SLM_GSM, Opinion, Transition
from gdesign.tasks.synthetic import DIFFICULTIES, FACTS, Question, read, read_answer
from gdesign.types import AgentPool, Label, Message, Reply, Request, Role, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """What one synthetic LLM is good at, in logits before what a question takes off.

    Attributes:
        mathematics: Ability in mathematics.
        code: Ability in code.
        knowledge: Ability in knowledge.
        weighing: How well it tells right from wrong in what it hears, in logits above the level at
            which a pair that disagrees gains nothing by talking.
        tokens: Completion tokens of an easy answer.
    """

    mathematics: float
    code: float
    knowledge: float
    weighing: float = 0.0
    tokens: int = 120


def _abilities() -> dict[str, Ability]:
    return {
        "small": Ability(mathematics=3.1, code=2.9, knowledge=3.3, weighing=-0.5, tokens=90),
        "math-specialist": Ability(mathematics=3.8, code=0.6, knowledge=0.4, tokens=160),
        "code-specialist": Ability(mathematics=0.6, code=3.8, knowledge=0.4, tokens=150),
        "knowledge-specialist": Ability(mathematics=0.4, code=0.4, knowledge=3.8, tokens=110),
        "large": Ability(mathematics=3.8, code=3.8, knowledge=4.0, weighing=3.0, tokens=180),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Every setting of the simulated world; triples are for easy, medium and hard questions.

    Attributes:
        seed: Draws everything that is hidden.
        abilities: By name of the LLM.
        role_lift: Logits that a role adds to ability in its own domain and takes off in another one.
        difficulty: Logits that questions take off ability.
        operator_lift: Logits that operators add to ability.
        operator_tokens: Factors of operators on completion tokens.
        difficulty_tokens: Factors of questions on completion tokens.
        doubt: Logits by which `refine` gives up a wrong answer of its own more readily for a right one.
        question_jitter: Standard deviation of a hidden logit of each question, shared by all agents.
        llm_jitter: The same of each pair of question and LLM, shared by all agents with that LLM.
        popular: Chance that a wrong answer is the one that most go wrong with.
        num_wrong: Number of other wrong answers to a question, 1 to 22.
        transition: How heard answers change an answer. Its slopes and conformity are used; its level is
            set neutral and shifted by `Ability.weighing`.
        dilution: Logits lost for each 100 tokens heard; of one message at most 500 tokens count.
        adversaries: Names of the roles that always argue for the popular wrong answer, as agents do whose
            prompt holds the attack `liar`.
        endless: Completion tokens after which the endless text of a `babbler` breaks off.
    """

    seed: int = 0
    abilities: Mapping[str, Ability] = field(default_factory=_abilities)
    role_lift: float = 0.5
    difficulty: tuple[float, float, float] = (-1.0, 1.7, 4.0)
    operator_lift: Mapping[str, float] = field(default_factory=lambda: {"cot": 0.6})
    operator_tokens: Mapping[str, float] = field(default_factory=lambda: {"cot": 2.0, "refine": 1.3})
    difficulty_tokens: tuple[float, float, float] = (1.0, 1.3, 1.6)
    doubt: float = 0.5
    question_jitter: float = 0.6
    llm_jitter: float = 1.0
    popular: float = 0.6
    num_wrong: int = 6
    transition: Transition = SLM_GSM
    dilution: tuple[float, float, float] = (0.2, 0.35, 0.5)
    adversaries: Collection[str] = ("adversary",)
    endless: int = 8192

    def __post_init__(self) -> None:
        for name in ("difficulty", "difficulty_tokens", "dilution"):
            if len(values := getattr(self, name)) != len(DIFFICULTIES):
                raise ConfigError(f"World.{name} needs one value for each of {', '.join(DIFFICULTIES)}; got {values}")
        if not 1 <= self.num_wrong < _WRONG:
            raise ConfigError(f"World.num_wrong must be 1 to {_WRONG - 1}; got {self.num_wrong}")


class SimulatedClient:
    """An LLM client whose agents are synthetic; every reply is labelled `simulated`.

    The same request gets the same reply, bit for bit. An agent's own answer depends on its LLM, role
    and operator, the question and the sample, so it does not change with what is heard; what the agent
    makes of what it hears depends on the whole request. `Request.origin` and the temperature are
    ignored.

    Usage counts a prompt token for every four characters of the messages, rounded up. Completion
    tokens follow the LLM, the operator and the difficulty. They include working that is billed and not
    shown, so they exceed the text; where they exceed `max_tokens` the reply ends before its answer.

    An agent whose system prompt ends with an attack (`gdesign.agents.prompt.ATTACKS`) does as it says:
    a liar argues for the popular wrong answer; an injector wraps it in what looks like parts of a
    prompt; a babbler writes `World.endless` tokens, all of them shown, and no answer. Simulated agents
    take a quoted message for one opinion, whatever it orders, and lose to its length (`World.dilution`).

    Args:
        pool: Knows the profiles by which roles are recognised.
        world: The settings; the default world unless given.

    Raises:
        PoolError: The world does not know an LLM of the pool, or two roles share a profile.
    """

    copies_agree = True

    def __init__(self, *, pool: AgentPool, world: World | None = None) -> None:
        self._pool = pool
        self._world = world = World() if world is None else world
        for llm in pool.llms:
            if llm.name not in world.abilities:
                raise PoolError(
                    f"LLM {llm.name!r} of pool {pool.name!r} is not in the simulated world, which has "
                    f"{', '.join(world.abilities)}; use one of those, or give the world an ability for it"
                )
        # The longest first, so that no profile hides another one that it begins.
        self._roles = sorted(pool.roles, key=lambda role: -len(role.profile))
        if len({role.profile for role in pool.roles}) < len(pool.roles):
            raise PoolError(f"two roles of pool {pool.name!r} share a profile, so nobody can tell their agents apart")
        self._words = words_of(pool)
        self._key = blake2b(f"world {world.seed}".encode(), digest_size=32).digest()
        # The same texts come again and again: in rounds, in copies, in every design tried on a question.
        self._system = lru_cache(maxsize=4096)(self._read_system)
        self._user = lru_cache(maxsize=16384)(self._read_user)
        self._own = lru_cache(maxsize=65536)(self._draw_own)
        self._transition = lru_cache(maxsize=4096)(self._shifted)

    def __reduce__(self) -> tuple[partial["SimulatedClient"], tuple[()]]:
        return partial(SimulatedClient, pool=self._pool, world=self._world), ()

    async def __call__(self, request: Request) -> Reply:
        """Answer one request.

        Raises:
            UnsupportedRequestError: The messages are not those of `gdesign.agents.prompt`, the question is
                not a generated one, or the world lacks the LLM.
        """
        refuse_format(request, who="simulated agents")
        world = self._world
        ability = world.abilities.get(request.llm)
        if ability is None:
            raise UnsupportedRequestError(
                f"LLM {request.llm!r} is not in the simulated world; it has {', '.join(world.abilities)}"
            )
        system, user = _texts(request.messages)
        role, operator, attack = self._system(system)
        said = self._user(user)
        try:
            question = read(said.question)
        except DataError as error:
            raise UnsupportedRequestError(f"the simulated agents know no other questions: {error}") from None
        level = DIFFICULTIES.index(question.difficulty)
        words = _WORDS["working"][question.domain][level]
        answer: str | None
        if attack == "babbler":
            return _babble(world.endless, request.max_tokens, len(system) + len(user))
        if attack:
            answer = self._wrong(said.question, question, 0)
            words = _WORDS["certain"] if attack == "liar" else _WORDS["injection"].format(answer=answer)
        else:
            if said.spoke_before:
                answer = said.previous
                words = _WORDS["again"]
            else:
                answer = self._own(request.llm, role, operator, said.question, request.sample)
            if said.heard:
                before = answer
                answer = self._hear(request, said, question, role, operator, before)
                words = _WORDS["kept"] if answer == before else _WORDS["changed"]
        tokens = round(
            ability.tokens
            * world.difficulty_tokens[level]
            * world.operator_tokens.get(operator, 1.0)
            * (0.8 + 0.4 * self._uniform("tokens", request.llm, said.question, str(request.sample))[0])
        )
        if attack == "injector":
            tokens += len(words) // _CHARS_PER_TOKEN
        cut = request.max_tokens is not None and tokens > request.max_tokens
        if cut:
            assert request.max_tokens is not None
            tokens = request.max_tokens
        return Reply(
            text=words if cut or answer is None else f"{words}\nAnswer: {answer}",
            usage=Usage(prompt_tokens=-(-(len(system) + len(user)) // 4), completion_tokens=tokens),
            label=Label.SIMULATED,
            finish_reason="length" if cut else "stop",
        )

    def _read_system(self, system: str) -> tuple[Role, str, str]:
        """Return role, operator and attack (empty for none) of who is told so."""
        words = self._words
        operators: Mapping[str, str] = words["operators"]
        for role in self._roles:
            if not system.startswith(role.profile + "\n"):
                continue
            rest = system[len(role.profile) + 1 :]
            for operator, instruction in operators.items():
                if f"{rest}\n".startswith(self._opening(operator, instruction)):
                    if operator in SEVERAL_CALLS:
                        raise UnsupportedRequestError(
                            f"simulated agents write no programs and criticise nothing, so none works by "
                            f"{operator}; offer {', '.join(o for o in operators if o not in SEVERAL_CALLS)}"
                        )
                    attacks = (name for name, text in words["attacks"].items() if system.endswith(f"\n{text}"))
                    return role, operator, next(attacks, "liar" if role.name in self._world.adversaries else "")
        raise UnsupportedRequestError(
            "the system message is none that gdesign writes for a role of this pool; expected the profile of "
            f"{', '.join(sorted(r.name for r in self._roles))}, then an operator, then the answer format; "
            f"got {system[:80]!r}"
        )

    def _opening(self, operator: str, instruction: str) -> str:
        """Return what follows the profile in the system message of an agent that works by an operator."""
        asks = self._words["place"] == "system" and operator not in OWN_FORM
        return f"{instruction}\n" + (f"{self._words['forms']['words']}\n" if asks else "")

    def _read_user(self, user: str) -> "_Said":
        words, titles = self._words, self._words["titles"]
        first = f"{titles['question']}\n" if titles["question"] else ""
        if not user.startswith(first):
            raise UnsupportedRequestError(f"the user message must begin with {first!r}; got {user[:80]!r}")
        rest = user.removeprefix(first)
        if words["place"] == "user":
            rest = rest.removesuffix(f"\n\n{words['forms']['words']}")
        rest, before, previous = rest.partition(f"\n\n{titles['previous']}\n\n")
        question, _, heard = rest.partition(f"\n\n{titles['heard']}\n\n")
        blocks = heard.split("\n\n") if heard else []
        drawn_by = _DRAWN_BY["user"].format(question=question, heard=heard)
        return _Said(
            question=question,
            heard=tuple(_quoted_answer(block) for block in blocks),
            heard_chars=sum(min(len(block), _MOST_DILUTING) for block in blocks) + max(0, 2 * len(blocks) - 2),
            spoke_before=bool(before),
            previous=_quoted_answer(previous),
            drawn_by=drawn_by + (_DRAWN_BY["before"].format(previous=previous) if before else ""),
        )

    def _uniform(self, *key: str) -> tuple[float, float, float]:
        """Return three independent draws, uniform in (0, 1), that depend on the key and the world's seed."""
        digest = blake2b("\0".join(key).encode(), digest_size=24, key=self._key).digest()
        u, v, w = (((int.from_bytes(digest[i : i + 8]) >> 12) + 0.5) / 2**52 for i in (0, 8, 16))
        return u, v, w

    def _wrong(self, text: str, question: Question, k: int) -> str:
        """Return the k-th wrong answer to the question; the popular one is number 0."""
        h = int(self._uniform("wrong", text)[0] * 2 * _WRONG)
        step = 1 + (h + 7 * k) % _WRONG
        if question.domain == "knowledge":
            return FACTS[(FACTS.index(question.answer) + step) % len(FACTS)]
        return str(int(question.answer) + (step if h < _WRONG else -step))

    def _draw_wrong(self, text: str, question: Question, u: float, v: float) -> int:
        return 0 if u < self._world.popular else 1 + int(v * self._world.num_wrong)

    def _draw_own(self, llm: str, role: Role, operator: str, text: str, sample: int) -> str:
        world = self._world
        question = read(text)
        logit = (
            getattr(world.abilities[llm], question.domain)
            + world.operator_lift.get(operator, 0.0)
            - world.difficulty[DIFFICULTIES.index(question.difficulty)]
            + world.question_jitter * _NORMAL.inv_cdf(self._uniform("jitter", text)[0])
            + world.llm_jitter * _NORMAL.inv_cdf(self._uniform("jitter", text, llm)[0])
        )
        if role.domain:
            logit += world.role_lift if role.domain == question.domain else -world.role_lift
        u, v, w = self._uniform("own", llm, role.name, operator, text, str(sample))
        if u < 1 / (1 + exp(-logit)):
            return question.answer
        return self._wrong(text, question, self._draw_wrong(text, question, v, w))

    def _shifted(self, llm: str, doubts: bool, level: int, heard_chars: int) -> Transition:
        world = self._world
        shift = (
            world.abilities[llm].weighing
            + (world.doubt if doubts else 0.0)
            - world.dilution[level] * heard_chars / _CHARS_PER_TOKEN / 100
        )
        neutral = world.transition.neutral()
        return replace(neutral, intercept=neutral.intercept + shift)

    def _hear(
        self, request: Request, said: "_Said", question: Question, role: Role, operator: str, own: str | None
    ) -> str:
        system = _DRAWN_BY["system"].format(profile=role.profile, operator=_DRAWN_BY["operators"][operator])
        user = said.drawn_by
        right = own == question.answer
        doubts, level = operator == "refine" and not right, DIFFICULTIES.index(question.difficulty)
        transition = self._transition(request.llm, doubts, level, said.heard_chars)
        u, v, _ = self._uniform("hear", request.llm, system, user, str(request.sample))
        after = transition.next(
            own=Opinion(answer=own, right=right),
            heard=[Opinion(answer=a, right=a == question.answer) for a in said.heard],
            u=(u, v),
        )
        if after is not None and after.answer is not None:
            return after.answer
        first = self._draw_wrong(said.question, question, *self._uniform("third", request.llm, user)[:2])
        others = (
            self._wrong(said.question, question, (first + k) % (self._world.num_wrong + 1))
            for k in range(self._world.num_wrong + 1)
        )
        seen = {own, *said.heard}
        return next((a for a in others if a not in seen), self._wrong(said.question, question, first))


_NORMAL = NormalDist()
_WRONG = 23  # wrong answers that differ: a prime below the number of made-up facts
_CHARS_PER_TOKEN = 4
_MOST_DILUTING = 2_000  # characters; the slope was meant for messages far shorter, and only a babbler's are longer


class _Said(NamedTuple):
    """What a user message says.

    Where there is no answer to read, in a message that is quoted (`heard`) or in its own of the round before
    (`previous`), it is None. Of no message more counts to `heard_chars` than dilutes. Chance goes by `drawn_by`.
    """

    question: str
    heard: tuple[str | None, ...]
    heard_chars: int
    spoke_before: bool
    previous: str | None
    drawn_by: str


def _babble(endless: int, max_tokens: int | None, prompt_chars: int) -> Reply:
    tokens = endless if max_tokens is None else min(endless, max_tokens)
    chars = tokens * _CHARS_PER_TOKEN
    babble = _WORDS["babble"]
    return Reply(
        text=(babble * (chars // len(babble) + 1))[:chars],
        usage=Usage(prompt_tokens=-(-prompt_chars // _CHARS_PER_TOKEN), completion_tokens=tokens),
        label=Label.SIMULATED,
        finish_reason="length",
    )


def _texts(messages: tuple[Message, ...]) -> tuple[str, str]:
    if [m.role for m in messages] != ["system", "user"]:
        raise UnsupportedRequestError(
            "the simulated agents expect a system message and a user message, as gdesign writes them; "
            f"got {', '.join(m.role for m in messages) or 'none'}"
        )
    return messages[0].content, messages[1].content


@lru_cache(maxsize=16384)
def _quoted_answer(block: str) -> str | None:
    return read_answer(_QUOTE.sub("", block))


_QUOTE = re.compile(r"^> ", re.MULTILINE)

_WORDS: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("words.yaml").read_bytes())
_DRAWN_BY: Mapping[str, Any] = _WORDS["drawn_by"]
