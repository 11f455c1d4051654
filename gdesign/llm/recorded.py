"""Answers that real LLMs gave to real questions, from outcome tables."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple

from gdesign.agents.pool import SOLVER, priced, read_prices
from gdesign.errors import ConfigError, DataError, PoolError, UnsupportedRequestError
from gdesign.llm.base import refuse_format
from gdesign.llm.simulated.transition import OPTIMISTIC, PESSIMISTIC, Opinion, Transition
from gdesign.tasks.data import data_dir, find
from gdesign.tasks.outcomes import ANSWER, MISSING, OutcomeTable, Recorded
from gdesign.tasks.real import DIRECTORY as REAL
from gdesign.tasks.table import load_scores, load_table
from gdesign.types import AgentPool, Candidate, Label, Origin, Reply, Request, Usage, seed_and_copy

SETS = ("gsm", "math-l5", "crux")
DIRECTORY = "routing/zeroeval"


class Place(NamedTuple):
    """Where an outcome table is, relative to the data folder, and how it is read; see `RecordedClient`."""

    directory: str
    ways_of: str = ""


PLACES = {
    **dict.fromkeys(SETS, Place(DIRECTORY)),
    "ways": Place("ways", ways_of="gpt-4-32k"),
    "real": Place(str(REAL)),  # with the package, not in the data folder
}
"""The tables that come with prompt tokens, by the names that their tasks begin with."""
HIDDEN_REASONING = ("o1-",)
"""Beginnings of the names of LLMs that wrote tokens which the tables do not count."""

TRANSITIONS = {"optimistic": OPTIMISTIC, "pessimistic": PESSIMISTIC, "neutral": OPTIMISTIC.neutral()}
"""The fits by the names that configurations give; `neutral` has the slopes of `optimistic`."""


class RecordedClient:
    """An LLM client that answers from outcome tables, by the request's origin.

    An agent that hears nobody gives the recorded answer, as recorded, with its recorded score and
    the label exact. So single agents, votes over LLMs and gated cascades are exact. The request must
    be the recorded protocol: the neutral role, an operator that the table has answers by, no temperature. Where
    an LLM answered a question several times, each agent of the same kind in a design gives another of these answers,
    from the first on; with the seed s, from the one after s others on.

    An agent that hears others, or sees its own earlier answer, answers by the transition of
    `gdesign.llm.simulated.transition` with the label calibrated: it takes one of the answers in sight with its
    score, or a third one, which is another wrong answer recorded for the question or, where there is
    none, an empty one. Its draws depend on the task, the LLM and what it hears, and on nothing else.
    Only exact answers can be heard: the transition was measured over one hop.

    Usage is the recorded one: the prompt tokens of the question, for each message in sight (heard, or
    its own of the round before) the completion tokens of its turn and `tokens_per_heard`, and the
    completion tokens of the LLM's own recorded answer. Calls are the recorded ones, and so is the cost where the
    table says it in USD; agents that hear others are refused there, for nobody knows what hearing adds.

    Tables that hold scores and no answers know nothing of agreement: gates, votes and agents that hear
    others are refused there.

    Args:
        sets: Names of the outcome tables, as in the task ids `<set>/<qid>`; None for those of `PLACES`, each read when
            it is first asked of.
        directory: Where they are, relative to the data folder: files `<set>.questions.jsonl` and
            `<set>.results.csv`, or a folder `<set>` with `questions.jsonl` and `results.csv`.
        ways_of: The one LLM whose ways of working their column `model` names; empty where it names LLMs.
        scores_only: Whether the tables are files `<set>.jsonl` with scores and no answers instead.
        transition: Which fit agents follow that hear others: `optimistic`, `pessimistic`, or
            `neutral`. A conclusion that needs one of them must say so.
        cost: `recorded` refuses what the tables know no tokens of: questions without prompt tokens
            and LLMs with hidden reasoning. `ignore` answers them; what is unknown counts as 0 tokens,
            so their USD mean nothing.
        tokens_per_heard: Prompt tokens that a message costs beside its text (name and quotation).

    Raises:
        MissingDataError: A table is not there.
        DataError: A table does not hold what its format promises.
        ConfigError: There is no such transition or cost.
    """

    whole_turns = True
    copies_agree = True

    def __init__(
        self,
        *,
        sets: Sequence[str] | None = None,
        directory: str = DIRECTORY,
        ways_of: str = "",
        scores_only: bool = False,
        transition: str = "pessimistic",
        cost: Literal["recorded", "ignore"] = "recorded",
        tokens_per_heard: int = 20,
    ) -> None:
        if transition not in TRANSITIONS:
            raise ConfigError(f"transition is {transition!r}; expected one of {', '.join(TRANSITIONS)}")
        if cost not in ("recorded", "ignore"):
            raise ConfigError(f"cost is {cost!r}; expected recorded or ignore")
        self._places = PLACES if sets is None else dict.fromkeys(sets, Place(directory, ways_of))
        self._scores_only = scores_only
        self._tables = {name: self._read(name) for name in sets or ()}
        self._transition: Transition = TRANSITIONS[transition]
        self._ignore_cost = cost == "ignore"
        self._tokens_per_heard = tokens_per_heard

    async def __call__(self, request: Request) -> Reply:
        """Answer from the tables.

        Raises:
            UnsupportedRequestError: The tables cannot tell what the LLM would answer.
        """
        refuse_format(request, who="recorded agents")
        origin = request.origin
        if origin is None:
            raise UnsupportedRequestError(
                "recorded answers are looked up by a request's origin and this one has none; use the executor, or "
                "another LLM client"
            )
        _refuse_other_protocols(request, origin)
        name, _, qid = origin.task_id.partition("/")
        if name not in self._places:
            raise UnsupportedRequestError(
                f"there is no recorded answer to the task {origin.task_id!r}: the tables are "
                f"{', '.join(self._places)}; choose a task of theirs, name its table by sets and directory, or choose "
                "another LLM client"
            )
        if (table := self._tables.get(name)) is None:
            table = self._tables[name] = self._read(name)
        try:
            sample = _sample(request, len(table.samples(request.llm, origin.operator)))
            own = table.outcome(qid, request.llm, origin.operator, sample)
        except DataError as error:
            raise UnsupportedRequestError(f"there is no recorded answer: {error}") from None
        prompt_tokens = self._prompt_tokens(table, qid, request.llm, own)
        in_sight = origin.heard if origin.previous is None else (*origin.heard, origin.previous)
        if table.scores_only and (in_sight or origin.compared):
            raise UnsupportedRequestError(
                f"outcome table {table.name} holds scores and no answers, so nobody knows who agrees with whom; use "
                "designs of one agent (a router, designer=single, or designer=search designer.families=[singles])"
            )
        text, score = own.answer, own.correct
        if any(reply.label != Label.EXACT for reply in in_sight):
            raise UnsupportedRequestError(
                f"{request.llm} would hear an answer that was itself given after hearing others (task "
                f"{origin.task_id}); recorded answers reach over one message edge: let agents hear only agents who "
                "heard nobody, in at most two rounds, or use another LLM client"
            )
        if in_sight and own.usd is not None:
            raise UnsupportedRequestError(
                f"outcome table {table.name} says what each answer cost in USD, and nobody knows what hearing others "
                "would add to it; use designs in which nobody hears anyone, or leave the column usd out"
            )
        if in_sight:
            text, score = self._after_hearing(request, origin, table, qid, own)
        prompt_tokens += sum(r.usage.completion_tokens + self._tokens_per_heard for r in in_sight)
        return Reply(
            text=text,
            usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=own.output_tokens),
            label=Label.CALIBRATED if in_sight else Label.EXACT,
            score=score,
            num_calls=own.calls,
            usd=None if self._ignore_cost else own.usd,
        )

    def _read(self, name: str) -> OutcomeTable:
        place = self._places[name]
        if self._scores_only:
            return load_scores(data_dir() / place.directory / f"{name}.jsonl")
        return _table(name, place)

    def _prompt_tokens(self, table: OutcomeTable, qid: str, llm: str, own: Recorded) -> int:
        tokens = own.prompt_tokens
        if tokens is None:
            tokens = table.questions[table.position[qid]].prompt_tokens
        if self._ignore_cost or own.usd is not None:
            return tokens or 0
        if tokens is None:
            raise UnsupportedRequestError(
                f"outcome table {table.name} has no prompt tokens, so costs are unknown; set cost=ignore to look at "
                "scores alone"
            )
        if llm.startswith(HIDDEN_REASONING):
            raise UnsupportedRequestError(
                f"{llm} wrote hidden tokens that the tables do not count, so its cost is unknown; leave it out, or set "
                "cost=ignore to look at scores alone"
            )
        return tokens

    def _after_hearing(
        self, request: Request, origin: Origin, table: OutcomeTable, qid: str, own: Recorded
    ) -> tuple[str, float]:
        before = (own.answer, own.correct) if origin.previous is None else _text_and_score(origin.previous)
        said = [before, *map(_text_and_score, origin.heard)]
        opinions = [Opinion(answer=text or None, right=score == 1) for text, score in said]
        who: tuple[object, ...] = (request.llm,)
        if (origin.operator, request.sample) != (ANSWER, 0):
            who += (origin.operator, request.sample)
        seed = repr((origin.task_id, *who, sorted(r.text for r in origin.heard))).encode()
        digest = blake2b(seed, digest_size=24).digest()
        u, v, w = (int.from_bytes(digest[i : i + 8]) >> 11 for i in (0, 8, 16))
        taken = self._transition.next(own=opinions[0], heard=opinions[1:], u=(u / 2**53, v / 2**53))
        if taken is not None:
            return said[next(i for i, o in enumerate(opinions) if o is taken)]
        others = _wrong_answers(table, qid) - {text for text, _ in said}
        return (sorted(others)[w % len(others)], 0.0) if others else ("", 0.0)


def recorded_pool(
    *,
    sets: Sequence[str] = SETS,
    directory: str | None = None,
    ways_of: str = "",
    prices: str | Mapping[str, Mapping[str, float]] = "routing/prices.csv",
    include_hidden_reasoning: bool = False,
    answered: float = 1.0,
) -> AgentPool:
    """Return the pool of all LLMs that have a price and answered every question of every table.

    Its operators are the ways of working that the tables hold, and its candidates those LLMs in those ways that
    answered all.

    Args:
        sets: Names of the outcome tables.
        directory: Where they are, as `RecordedClient` has it; None for where those of their names are known to be.
        ways_of: As `RecordedClient` has it.
        prices: The price list, relative to the data folder; or `usd_per_1M_input` and `usd_per_1M_output` by LLM.
        include_hidden_reasoning: Whether to take in LLMs with hidden reasoning too, whose cost the
            tables understate (for use with `cost=ignore`).
        answered: Least share of the questions of each table that an LLM answered; below 1 for tasks that
            leave the other questions out.

    Raises:
        MissingDataError: A table or the price list is not there.
        PoolError: No LLM is left.
    """
    if isinstance(prices, str):
        price_list, where = read_prices(find(prices)), Path(prices).name
    else:
        price_list, where = {llm: _prices(llm, given) for llm, given in prices.items()}, "prices"
    known = Place(DIRECTORY, ways_of)
    tables = [_table(n, PLACES.get(n, known) if directory is None else Place(directory, ways_of)) for n in sets]
    complete = set.intersection(*(set(t.complete_ways(answered=answered)) for t in tables))
    ways = [
        way
        for way in dict.fromkeys(way for table in tables for way in table.columns if way in complete)
        if way.model in price_list and (include_hidden_reasoning or not way.model.startswith(HIDDEN_REASONING))
    ]
    if not ways:
        raise PoolError(
            f"no LLM has a price in {where} and answered all of {', '.join(sets)}; add prices, or leave a table out"
        )
    pool = priced("recorded", sorted({way.model for way in ways}), price_list)
    operators = tuple(dict.fromkeys(way.operator for way in ways))
    ways.sort(key=lambda way: way.model)
    candidates = tuple(Candidate(SOLVER.name, *way) for way in ways)
    return replace(pool, operators=operators, candidates=candidates)


def _prices(llm: str, given: Mapping[str, float]) -> tuple[float, float]:
    names = ("usd_per_1M_input", "usd_per_1M_output")
    if set(given) != set(names):
        raise PoolError(f"prices of {llm!r} are {dict(given)}; give {' and '.join(names)}")
    return given[names[0]], given[names[1]]


def _table(name: str, place: Place) -> OutcomeTable:
    folder = data_dir() / place.directory
    if (folder / name).is_dir():
        return load_table(folder / name, ways_of=place.ways_of)
    return load_table(folder, name, ways_of=place.ways_of)


def _refuse_other_protocols(request: Request, origin: Origin) -> None:
    if origin.role != SOLVER.name:
        raise UnsupportedRequestError(
            f"recorded answers know no roles but the neutral {SOLVER.name!r}; got {origin.role!r}: use pool=recorded"
        )
    if request.temperature != 0 or request.max_tokens is not None:
        raise UnsupportedRequestError(
            f"answers were recorded at temperature 0 without a limit on tokens; got temperature {request.temperature} "
            f"and max_tokens {request.max_tokens}: leave both alone"
        )


def _sample(request: Request, num: int) -> int:
    """Return which of an LLM's recorded answers a request gets."""
    seed, copy = seed_and_copy(request.sample)
    if max(seed, copy) < num:
        return (seed + copy) % num
    asked = f"{request.llm} is asked for sample {request.sample}"
    if num == 1:
        raise UnsupportedRequestError(
            f"each LLM was recorded once and {asked}; let each LLM appear once in a design (designer.reuse=false where "
            "a method may use copies) and run with seed 0"
        )
    raise UnsupportedRequestError(
        f"each LLM was recorded {num} times and {asked} (copy {copy + 1} of its kind, seed {seed}); let it appear "
        f"{num} times at most in a design and run with seeds below {num}"
    )


def _text_and_score(reply: Reply) -> tuple[str, float]:
    assert reply.score is not None  # every exact reply carries the score of its recording
    return reply.text, reply.score


def _wrong_answers(table: OutcomeTable, qid: str) -> set[str]:
    i = table.position[qid]
    return {
        column.answer[i]
        for columns in table.columns.values()
        for column in columns
        if column.output_tokens[i] != MISSING and column.correct[i] == 0 and column.answer[i]
    }
