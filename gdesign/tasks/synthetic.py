"""Generated questions in three domains and three difficulties, whose text carries both.

Mathematics: a story in one to seven sums. Code: a little program, written or described. Knowledge: a
made-up fact, one to four relations away. The right answer is a pure function of the text (`solve`),
so whoever reads the text can know the truth, and nothing else is needed to know it.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from importlib.resources import files
from itertools import accumulate
from random import Random
from typing import Any, Literal, NamedTuple

from gdesign.errors import ConfigError, DataError
from gdesign.tasks.base import Split, normalised
from gdesign.types import Task

Domain = Literal["mathematics", "code", "knowledge"]
Difficulty = Literal["easy", "medium", "hard"]
DOMAINS: tuple[Domain, ...] = ("mathematics", "code", "knowledge")
DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "hard")

_WORDS: dict[str, list[Any]] = json.loads((files("gdesign.tasks") / "synthetic.json").read_bytes())

FACTS: tuple[str, ...] = tuple(_WORDS["answers"])
"""The made-up names that answer knowledge questions."""

MOST = 50_000
"""The largest number of questions of one seed, for all domains: a class of questions has not many more wordings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the text of a generated question says.

    Attributes:
        domain: What it is about.
        difficulty: How many steps it takes: easy, medium or hard.
        answer: The right answer.
    """

    domain: Domain
    difficulty: Difficulty
    answer: str


class Synthetic:
    """Generated questions; needs no data.

    Every class of domain and difficulty is equally frequent in every split, up to rounding. The splits
    are disjoint and follow one another in one stream of questions, so a larger test split leaves
    training and validation as they were.

    Args:
        num_train: Number of training questions.
        num_validation: Number of validation questions.
        num_test: Number of test questions.
        domains: What questions are about: one or more of mathematics, code and knowledge.
        seed: Draws the questions.
    """

    name = "synthetic"

    def __init__(
        self,
        *,
        num_train: int = 900,
        num_validation: int = 180,
        num_test: int = 450,
        domains: Sequence[Domain] = DOMAINS,
        seed: int = 0,
    ) -> None:
        for size, number in (("num_train", num_train), ("num_validation", num_validation), ("num_test", num_test)):
            if number < 0:
                raise ConfigError(f"{size} must be 0 or more; got {number}")
        if not domains or not set(domains) <= set(DOMAINS) or len(set(domains)) < len(domains):
            raise ConfigError(f"domains must name some of {', '.join(DOMAINS)}, each once; got {list(domains)}")
        most = MOST * len(domains) // len(DOMAINS)
        if (total := num_train + num_validation + num_test) > most:
            raise ConfigError(f"at most {most} questions of one seed differ enough; got {total}, use several seeds")
        self._sizes = {"train": num_train, "validation": num_validation, "test": num_test}
        self._domains = tuple(domains)
        self._seed = seed

    def load(self, split: Split) -> list[Task]:
        """Return the tasks of a split, in a fixed order.

        Raises:
            ConfigError: For a split other than train, validation, test and all; generated questions need
                no lock-box, another seed gives fresh ones.
        """
        if split == "all":
            return list(self._tasks)
        if split not in self._sizes:
            raise ConfigError(
                f"synthetic questions have the splits {', '.join(self._sizes)} and all; got {split!r} "
                "(for questions nobody has seen, give another seed)"
            )
        ends = dict(zip(self._sizes, accumulate(self._sizes.values()), strict=True))
        return list(self._tasks[ends[split] - self._sizes[split] : ends[split]])

    def extract(self, task: Task, text: str) -> str | None:
        """Return the last `Answer:` line, white space trimmed, lower case; None where there is none."""
        return read_answer(text)

    def grade(self, task: Task, answer: str) -> float:
        """Return 1 for the right answer, else 0."""
        return float(answer == task.answer)

    @cached_property
    def _tasks(self) -> tuple[Task, ...]:
        random = Random(f"synthetic {self._seed}")
        classes = [(domain, difficulty) for domain in self._domains for difficulty in DIFFICULTIES]
        total = sum(self._sizes.values())
        tasks: list[Task] = []
        seen: set[str] = set()
        block: list[tuple[Domain, Difficulty]] = []
        while len(tasks) < total:
            if not block:
                block = random.sample(classes, len(classes))
            domain, difficulty = block[-1]
            question = WRITERS[domain](difficulty, random)
            if (text := normalised(question)) in seen:
                continue
            seen.add(text)
            block.pop()
            tasks.append(
                Task(
                    id=f"synthetic-{self._seed}-{len(tasks)}",
                    question=question,
                    answer=solve(question),
                    benchmark=self.name,
                    domain=domain,
                )
            )
        return tuple(tasks)


_ANSWER = re.compile(r"^answer:[ \t]*(.*\S)[ \t]*$", re.IGNORECASE | re.MULTILINE)


def read_answer(text: str) -> str | None:
    """Return what the last `Answer:` line of a text says, in lower case; None where there is none."""
    found = _ANSWER.findall(text)
    return found[-1].lower() if found else None


def solve(question: str) -> str:
    """Return the right answer, from the text alone.

    Raises:
        DataError: The text is not a generated question.
    """
    return read(question).answer


def observable(task: Task) -> tuple[Domain, Difficulty]:
    """Return the class that anybody can see in the question's text: its domain and difficulty."""
    question = read(task.question)
    return question.domain, question.difficulty


@lru_cache(maxsize=65536)
def read(question: str) -> Question:
    """Return what the text of a generated question says.

    Raises:
        DataError: The text is not a generated question.
    """
    for reader in (_read_story, _read_program, _read_fact):
        found = reader(question)
        if found is not None:
            return found
    raise DataError(f"not a question that gdesign.tasks.synthetic generates: {question[:80]!r}")


def _difficulty(steps: int, limits: tuple[int, int]) -> Difficulty:
    return "easy" if steps <= limits[0] else "medium" if steps <= limits[1] else "hard"


# --------------------------------------------------------------------------- mathematics

_STORY_STEP = re.compile("|".join(phrase.replace("{}", r"(\d+)") for phrase, _ in _WORDS["story steps"]))
_STORY_OPENING = re.compile(r"(?:starts the week with|At first \w+ owns|counts|There are) (\d+) ")
_STORY_LIMITS = (2, 4)


def _write_story(difficulty: Difficulty, random: Random) -> str:
    num_steps = random.randint(*{"easy": (1, 2), "medium": (3, 4), "hard": (6, 7)}[difficulty])
    who, what = random.choice(_WORDS["people"]), random.choice(_WORDS["things"])
    amount = random.randint(12, 60)
    sentences = [random.choice(_WORDS["story openings"]).format(who=who, n=amount, what=what)]
    for _ in range(num_steps):
        signs = "+*" if amount < 12 else "+-" if amount > 400 else "+-*"
        phrase, sign = random.choice([s for s in _WORDS["story steps"] if s[1] in signs])
        n = random.randint(2, 4 if sign == "*" else amount // 2 if sign == "-" else 60)
        amount = _sum(amount, sign, n)
        sentences.append(random.choice(_WORDS["story links"]).format(who=who) + phrase.format(n) + ".")
    sentences.append(random.choice(_WORDS["story ends"]).format(who=who, what=what))
    return " ".join(sentences)


def _read_story(question: str) -> Question | None:
    opening = _STORY_OPENING.search(question)
    if opening is None:
        return None
    amount = int(opening[1])
    steps = 0
    for step in _STORY_STEP.finditer(question, opening.end()):
        assert step.lastindex is not None
        amount = _sum(amount, _WORDS["story steps"][step.lastindex - 1][1], int(step[step.lastindex]))
        steps += 1
    return Question(domain="mathematics", difficulty=_difficulty(steps, _STORY_LIMITS), answer=str(amount))


def _sum(amount: int, sign: str, n: int) -> int:
    return amount + n if sign == "+" else amount - n if sign == "-" else amount * n


# --------------------------------------------------------------------------- code

_VARIABLES = ("x", "total", "acc", "value", "result", "state", "count", "buf")


class _Operation(NamedTuple):
    python: str
    words: str
    effect: Callable[[int, int], int]


_OPERATIONS = (
    _Operation("{v} = {v} + {n}", "add {n} to {v}", lambda x, n: x + n),
    _Operation("{v} = {v} - {n}", "subtract {n} from {v}", lambda x, n: x - n),
    _Operation("{v} = {v} * {n}", "multiply {v} by {n}", lambda x, n: x * n),
    _Operation("{v} = {v} % {n}", "replace {v} by its remainder modulo {n}", lambda x, n: x % n),
    _Operation("{v} = max({v}, {n})", "raise {v} to {n} if it is smaller", lambda x, n: max(x, n)),
    _Operation(
        "for i in range({n}): {v} = {v} + i",
        "loop i from zero below {n} adding i to {v}",
        lambda x, n: x + n * (n - 1) // 2,
    ),
    _Operation(
        "for i in range({n}): {v} = {v} - 2 * i",
        "loop i from zero below {n} taking twice i off {v}",
        lambda x, n: x - n * (n - 1),
    ),
    _Operation(
        "if {v} % 2 == 0: {v} = {v} + {n}", "if {v} is even increase it by {n}", lambda x, n: x + n if x % 2 == 0 else x
    ),
)
_PROGRAM_START = re.compile(r"^(\w+) = (\d+)$", re.MULTILINE)
_RECIPE_START = re.compile(r"\bset (\w+) to (\d+)[;.]")
_PROGRAM_LIMITS = (2, 4)


def _steps(texts: Sequence[str], start: str, end: str) -> re.Pattern[str]:
    """Return a pattern whose n-th group holds the number of the n-th text."""
    joined = "|".join(re.escape(t).replace(r"\{v\}", r"\w+").replace(r"\{n\}", r"(\d+)") for t in texts)
    return re.compile(f"{start}(?:{joined}){end}", re.MULTILINE)


_PROGRAM_STEP = _steps([o.python for o in _OPERATIONS], "^", "$")
_RECIPE_STEP = _steps([o.words for o in _OPERATIONS], " ", "[;.]")


def _write_program(difficulty: Difficulty, random: Random) -> str:
    num_steps = random.randint(*{"easy": (1, 2), "medium": (3, 4), "hard": (6, 8)}[difficulty])
    # Loops and branches come with difficulty, as they do in real exercises.
    rows = _OPERATIONS[: {"easy": 3, "medium": 6, "hard": 8}[difficulty]]
    v, start = random.choice(_VARIABLES), random.randint(2, 40)
    steps = [(random.choice(rows), random.randint(2, 9)) for _ in range(num_steps)]
    if random.random() < 0.5:
        lines = [row.python.format(v=v, n=n) for row, n in steps]
        return "\n".join([random.choice(_WORDS["program openings"]), f"{v} = {start}", *lines, f"print({v})"])
    words = "; ".join([f"set {v} to {start}", *(row.words.format(v=v, n=n) for row, n in steps)])
    opening, end = random.choice(_WORDS["recipe openings"]), random.choice(_WORDS["recipe ends"]).format(v=v)
    return f"{opening} First {words}. {end}"


def _read_program(question: str) -> Question | None:
    step_pattern = _PROGRAM_STEP
    start = _PROGRAM_START.search(question)
    if start is None:
        step_pattern = _RECIPE_STEP
        start = _RECIPE_START.search(question)
    if start is None:
        return None
    value = int(start[2])
    steps = 0
    for step in step_pattern.finditer(question, start.end()):
        assert step.lastindex is not None
        value = _OPERATIONS[step.lastindex - 1].effect(value, int(step[step.lastindex]))
        steps += 1
    return Question(domain="code", difficulty=_difficulty(steps, _PROGRAM_LIMITS), answer=str(value))


# --------------------------------------------------------------------------- knowledge

_FACT_OPENINGS = ("What is the", "Name the", "Which word names the", "Recall the")
_FACT = re.compile(rf"^(?:{'|'.join(_FACT_OPENINGS)}) (.+) of the (?:{'|'.join(_WORDS['realms'])}) of (\w+)[?.]$")
_FACT_LIMITS = (0, 2)


def _write_fact(difficulty: Difficulty, random: Random) -> str:
    num_relations = random.randint(*{"easy": (0, 0), "medium": (1, 2), "hard": (3, 4)}[difficulty])
    opening = random.choice(_FACT_OPENINGS)
    chain = [
        random.choice(_WORDS["possessions"] if num_relations else _WORDS["facts"]),
        *random.choices(_WORDS["relations"], k=num_relations),
    ]
    asked = " of the ".join(chain)
    end = "." if opening in ("Name the", "Recall the") else "?"
    return f"{opening} {asked} of the {random.choice(_WORDS['realms'])} of {random.choice(_WORDS['places'])}{end}"


def _read_fact(question: str) -> Question | None:
    asked = _FACT.match(question)
    if asked is None:
        return None
    digest = blake2b(f"{asked[1]} of {asked[2]}".encode(), digest_size=8, key=b"fact").digest()
    answer = FACTS[int.from_bytes(digest) % len(FACTS)]
    steps = asked[1].count(" of the ")
    return Question(domain="knowledge", difficulty=_difficulty(steps, _FACT_LIMITS), answer=answer)


WRITERS: dict[Domain, Callable[[Difficulty, Random], str]] = {
    "mathematics": _write_story,
    "code": _write_program,
    "knowledge": _write_fact,
}
