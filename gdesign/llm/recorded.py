"""Answers that real LLMs gave to real questions, once each, from outcome tables."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from gdesign.agents.pool import SOLVER, priced, read_prices
from gdesign.errors import ConfigError, DataError, PoolError, UnsupportedRequestError
from gdesign.llm.simulated.transition import OPTIMISTIC, PESSIMISTIC, Opinion, Transition
from gdesign.tasks.data import data_dir, find
from gdesign.tasks.table import MISSING, OutcomeTable, Recorded, load_scores, load_table
from gdesign.types import AgentPool, Label, Origin, Reply, Request, Usage

SETS = ("gsm", "math-l5", "crux")
DIRECTORY = "routing/zeroeval"
HIDDEN_REASONING = ("o1-",)
"""Beginnings of the names of LLMs that wrote tokens which the tables do not count."""

TRANSITIONS = {"optimistic": OPTIMISTIC, "pessimistic": PESSIMISTIC, "neutral": OPTIMISTIC.neutral()}
"""The fits by the names that configurations give; `neutral` has the slopes of `optimistic`."""


class RecordedClient:
    """An LLM client that answers from outcome tables, by the request's origin.

    An agent that hears nobody gives the recorded answer, as recorded, with its recorded score and
    the label exact. So single agents, votes over LLMs and gated cascades are exact. The request must
    be the recorded protocol: the neutral role, the operator `answer`, temperature 0, sample 0.

    An agent that hears others, or sees its own earlier answer, answers by the transition of
    `gdesign.llm.simulated.transition` with the label calibrated: it takes one of the answers in sight with its
    score, or a third one, which is another wrong answer recorded for the question or, where there is
    none, an empty one. Its draws depend on the task, the LLM and what it hears, and on nothing else.
    Only exact answers can be heard: the transition was measured over one hop.

    Usage is the recorded one: the prompt tokens of the question, for each message in sight (heard, or
    its own of the round before) the completion tokens of its turn and `tokens_per_heard`, and the
    completion tokens of the LLM's own recorded answer.

    Tables that hold scores and no answers know nothing of agreement: gates, votes and agents that hear
    others are refused there.

    Args:
        sets: Names of the outcome tables, as in the task ids `<set>/<qid>`.
        directory: Where they are, relative to the data folder: files `<set>.questions.jsonl` and
            `<set>.results.csv`, or a folder `<set>` with `questions.jsonl` and `results.csv`.
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

    def __init__(
        self,
        *,
        sets: Sequence[str] = SETS,
        directory: str = DIRECTORY,
        scores_only: bool = False,
        transition: str = "pessimistic",
        cost: Literal["recorded", "ignore"] = "recorded",
        tokens_per_heard: int = 20,
    ) -> None:
        if transition not in TRANSITIONS:
            raise ConfigError(f"transition is {transition!r}; expected one of {', '.join(TRANSITIONS)}")
        if cost not in ("recorded", "ignore"):
            raise ConfigError(f"cost is {cost!r}; expected recorded or ignore")
        self._tables = {
            name: load_scores(data_dir() / directory / f"{name}.jsonl") if scores_only else _table(directory, name)
            for name in sets
        }
        self._transition: Transition = TRANSITIONS[transition]
        self._ignore_cost = cost == "ignore"
        self._tokens_per_heard = tokens_per_heard

    async def __call__(self, request: Request) -> Reply:
        """Answer from the tables.

        Raises:
            UnsupportedRequestError: The tables cannot tell what the LLM would answer.
        """
        origin = request.origin
        if origin is None:
            raise UnsupportedRequestError(
                "recorded answers are looked up by a request's origin and this one has none; use the executor, or "
                "another LLM client"
            )
        _refuse_other_protocols(request, origin)
        name, _, qid = origin.task_id.partition("/")
        table = self._tables.get(name)
        if table is None:
            raise UnsupportedRequestError(
                f"there is no recorded answer to the task {origin.task_id!r}: the tables are "
                f"{', '.join(self._tables)}; choose a task of theirs, name its table by sets and directory, or choose "
                "another LLM client"
            )
        try:
            own = table.outcome(qid, request.llm)
        except DataError as error:
            raise UnsupportedRequestError(f"there is no recorded answer: {error}") from None
        prompt_tokens = self._prompt_tokens(table, qid, request.llm)
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
        if in_sight:
            text, score = self._after_hearing(request, origin, table, qid, own)
        prompt_tokens += sum(r.usage.completion_tokens + self._tokens_per_heard for r in in_sight)
        return Reply(
            text=text,
            usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=own.output_tokens),
            label=Label.CALIBRATED if in_sight else Label.EXACT,
            score=score,
        )

    def _prompt_tokens(self, table: OutcomeTable, qid: str, llm: str) -> int:
        tokens = table.questions[table.position[qid]].prompt_tokens
        if self._ignore_cost:
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
        seed = repr((origin.task_id, request.llm, sorted(r.text for r in origin.heard))).encode()
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
    directory: str = DIRECTORY,
    prices: str = "routing/prices.csv",
    include_hidden_reasoning: bool = False,
    answered: float = 1.0,
) -> AgentPool:
    """Return the pool of all LLMs that have a price and answered every question of every table.

    Args:
        sets: Names of the outcome tables.
        directory: Where they are, as `RecordedClient` has it.
        prices: The price list, relative to the data folder.
        include_hidden_reasoning: Whether to take in LLMs with hidden reasoning too, whose cost the
            tables understate (for use with `cost=ignore`).
        answered: Least share of the questions of each table that an LLM answered; below 1 for tasks that
            leave the other questions out.

    Raises:
        MissingDataError: A table or the price list is not there.
        PoolError: No LLM is left.
    """
    price_list = read_prices(find(prices))
    tables = [_table(directory, name) for name in sets]
    complete = set.intersection(*(set(t.complete_models(answered=answered)) for t in tables))
    models = sorted(
        m for m in complete if m in price_list and (include_hidden_reasoning or not m.startswith(HIDDEN_REASONING))
    )
    if not models:
        raise PoolError(
            f"no LLM has a price in {Path(prices).name} and answered all of {', '.join(sets)}; add prices, or leave a "
            "table out"
        )
    return priced("recorded", models, price_list)


def _table(directory: str, name: str) -> OutcomeTable:
    folder = data_dir() / directory
    return load_table(folder / name) if (folder / name).is_dir() else load_table(folder, name)


def _refuse_other_protocols(request: Request, origin: Origin) -> None:
    if origin.role != SOLVER.name:
        raise UnsupportedRequestError(
            f"recorded answers know no roles but the neutral {SOLVER.name!r}; got {origin.role!r}: use pool=recorded"
        )
    if origin.operator != "answer":
        raise UnsupportedRequestError(
            f"recorded answers know no operator but 'answer'; got {origin.operator!r}: use pool=recorded"
        )
    if request.sample != 0:
        raise UnsupportedRequestError(
            f"each LLM was recorded once and {request.llm} is asked for sample {request.sample}; let each LLM appear "
            "once in a design (designer.reuse=false where a method may use copies) and run with seed 0"
        )
    if request.temperature != 0 or request.max_tokens is not None:
        raise UnsupportedRequestError(
            f"answers were recorded at temperature 0 without a limit on tokens; got temperature {request.temperature} "
            f"and max_tokens {request.max_tokens}: leave both alone"
        )


def _text_and_score(reply: Reply) -> tuple[str, float]:
    assert reply.score is not None  # every exact reply carries the score of its recording
    return reply.text, reply.score


def _wrong_answers(table: OutcomeTable, qid: str) -> set[str]:
    i = table.position[qid]
    return {
        column.answer[i]
        for column in table.columns.values()
        if column.output_tokens[i] != MISSING and column.correct[i] == 0 and column.answer[i]
    }
