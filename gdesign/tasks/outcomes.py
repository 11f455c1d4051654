"""What an outcome table holds: questions, and what LLMs answered to them; `gdesign.tasks.table` reads it."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gdesign.errors import DataError

ANSWER = "answer"
"""How an LLM works where its table does not say it."""
MISSING = -1
"""What the token column of a model holds where it did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of an outcome table.

    Attributes:
        qid: Unique within its table.
        question: The text.
        answer: The reference answer.
        prompt_tokens: Tokens of the recorded prompt; None if the table does not know.
        category: What the table says the question is about; may be empty.
        options: The choices of a multiple-choice question; empty otherwise.
        group: What questions share that no split parts; empty where the question stands for itself.
    """

    qid: str
    question: str
    answer: str
    prompt_tokens: int | None = None
    category: str = ""
    options: tuple[str, ...] = ()
    group: str = ""


class Recorded(NamedTuple):
    """What one LLM answered to one question.

    Attributes:
        answer: The recorded string.
        correct: Its score in [0, 1].
        output_tokens: Of all its calls.
        prompt_tokens: Of all its calls; None for those of the question.
        calls: How many it took.
        usd: What it cost; None where tokens and price say it.
    """

    answer: str
    correct: float
    output_tokens: int
    prompt_tokens: int | None = None
    calls: int = 1
    usd: float | None = None


class Way(NamedTuple):
    """An LLM and how it works."""

    model: str
    operator: str = ANSWER


class Column(NamedTuple):
    """What one LLM answered in one way, by position of the question; `output_tokens` is MISSING where it did not.

    `costs` has prompt tokens, calls and USD of the questions whose answers say them.
    """

    answer: list[str]
    correct: "array[float]"
    output_tokens: "array[int]"
    costs: dict[int, tuple[int | None, int, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OutcomeTable:
    """Questions, and what each LLM answered to them.

    Attributes:
        name: What messages call the table.
        questions: In file order.
        columns: The outcomes of each LLM and way of working, one column for each answer it gave to a question.
        scores_only: Whether the answers themselves are unknown. A text that says so stands for those of each LLM, and
            no token was counted.
        position: Position of each question, by qid.
    """

    name: str
    questions: tuple[Question, ...]
    columns: Mapping[Way, Sequence[Column]]
    scores_only: bool = False
    position: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", {q.qid: i for i, q in enumerate(self.questions)})

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the LLMs, in order of first appearance."""
        return tuple(dict.fromkeys(way.model for way in self.columns))

    def samples(self, model: str, operator: str = ANSWER) -> Sequence[Column]:
        """Return the columns of an LLM that works in one way.

        Raises:
            DataError: The table has no such LLM, or none that works so.
        """
        if (columns := self.columns.get(Way(model, operator))) is not None:
            return columns
        if model not in self.models:
            raise DataError(f"outcome table {self.name} has no model {model!r}; it has {', '.join(self.models)}")
        known = ", ".join(way.operator for way in self.columns if way.model == model)
        raise DataError(f"outcome table {self.name} has no operator {operator!r} of {model!r}; it has {known}")

    def outcome(self, qid: str, model: str, operator: str = ANSWER, sample: int = 0) -> Recorded:
        """Return what an LLM answered to a question.

        Args:
            operator: How it worked.
            sample: Which of its answers, counted from 0.

        Raises:
            DataError: The table has no such question, LLM, way of working, or answer.
        """
        columns = self.samples(model, operator)
        i = self.position.get(qid)
        if i is None:
            raise DataError(f"outcome table {self.name} has no question {qid!r}; was the task made from another table?")
        if sample >= len(columns) or columns[sample].output_tokens[i] == MISSING:
            times = f" {sample + 1} times" if sample else ""
            raise DataError(
                f"outcome table {self.name}: model {model!r} did not answer question {qid!r}{times}; "
                "choose among complete_models()"
            )
        answer, correct, output_tokens, costs = columns[sample]
        return Recorded(answer[i], correct[i], output_tokens[i], *costs.get(i, ()))

    def complete_ways(self, *, answered: float = 1.0) -> tuple[Way, ...]:
        """Return the LLMs and ways of working that answered every question, or at least this share of them."""
        n = len(self.questions)
        return tuple(
            w for w, (first, *_) in self.columns.items() if n - first.output_tokens.count(MISSING) >= answered * n
        )

    def complete_models(self, *, answered: float = 1.0) -> tuple[str, ...]:
        """Return the LLMs that did so in each of their ways of working."""
        partial = set(self.columns).difference(self.complete_ways(answered=answered))
        return tuple(m for m in self.models if not any(way.model == m for way in partial))

    def answered_by(self, models: Sequence[str]) -> tuple[Question, ...]:
        """Return the questions that each of these LLMs answered, in each of its ways of working."""
        tokens = [columns[0].output_tokens for way, columns in self.columns.items() if way.model in models]
        return tuple(q for i, q in enumerate(self.questions) if all(t[i] != MISSING for t in tokens))
