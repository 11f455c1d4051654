"""What an agent says after it has heard others: a transition measured in recorded debates.

An agent that holds an opinion and hears others is right next with a probability that rises with its
being right already and with the fraction of what it heard that is right; where it is wrong next, it
keeps its own wrong answer, conforms to the wrong answer heard most, or gives a third one.

Sources, as counted from recordings of debates (own answer, answers heard, next answer):
    GPT35_MMLU: gpt-3.5-turbo-0301 on MMLU in teams of 2, 3, 4 and 7 (DyLAN's recordings), n = 8,423.
    SLM_GSM, SLM_MMLU: five language models of 0.6 to 14 billion parameters, n = 2,562 and 2,660.
    GPT4_HUMANEVAL: gpt-4-0613 on HumanEval in teams of 4 (DyLAN's recordings), n = 918. It is kept
        out of everything else here and serves to check how well the others predict another source.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from pathlib import Path

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """An answer and whether it is right.

    Attributes:
        answer: As the benchmark's `extract` reads it; None if unreadable, which counts as wrong.
        right: Whether it is right.
    """

    answer: str | None
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How often an agent conforms, persists, or does neither, in one case of one source.

    Attributes:
        switch: Share that takes over the plurality of what it heard.
        keep: Share that keeps its own answer.
        third: Share that gives another answer.
    """

    switch: float
    keep: float
    third: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """From an own opinion and those heard to the next opinion.

    Slopes carry over between sources, levels do not: the recordings hold a later round only where
    agents disagreed, and one generation of LLMs. Each constant of this module keeps the level of its
    source, which for questions that agents disagree on is the level wanted (where all agree, rules
    hold and no fit is asked). OPTIMISTIC and PESSIMISTIC are the sources with the highest and the
    lowest such level; a conclusion that needs one of them must say so. `neutral` sets a level that
    favours nobody.

    Attributes:
        source: LLM and benchmark the figures were measured on.
        intercept: Logit of being right next for an agent that is wrong and hears nothing right.
        own_right: What being right already adds to it.
        fraction_right: What hearing nothing but right answers adds to it.
        right_hears_wrong: Conformity of an agent that is right and hears a wrong plurality.
        wrong_hears_right: Conformity of an agent that is wrong and hears a right plurality.
        wrong_hears_wrong: Conformity of an agent that is wrong and hears another wrong plurality.
    """

    source: str
    intercept: float
    own_right: float
    fraction_right: float
    right_hears_wrong: Shares
    wrong_hears_right: Shares
    wrong_hears_wrong: Shares

    def neutral(self) -> "Transition":
        """Return these slopes at the level where a pair that disagrees is right as often after talking as before.

        That is, the intercept where P(right | was right, heard one wrong answer) and P(right | was
        wrong, heard one right answer) sum to one.
        """
        return replace(
            self, source=f"{self.source}, level set neutral", intercept=-(self.own_right + self.fraction_right) / 2
        )

    def probability_right(self, own_right: bool, fraction_right: float) -> float:
        """Return P(right next) of an agent whose opinion is not shared by all it hears."""
        return 1 / (1 + exp(-(self.intercept + self.own_right * own_right + self.fraction_right * fraction_right)))

    def next(self, *, own: Opinion, heard: Sequence[Opinion], u: tuple[float, float]) -> Opinion | None:
        """Return the opinion that an agent holds after it has heard others.

        Where neither its own nor any heard answer is right, the next one is wrong; where all agree,
        the answer is kept. So nobody is right who has not seen a right answer, and no design scores
        above the union of its agents' answers.

        Args:
            own: What it thinks before.
            heard: What it hears, one opinion an agent.
            u: Two independent draws, uniform in [0, 1): the first decides whether it is right, the
                second what it says if it is wrong.

        Returns:
            The next opinion; None for a third answer, wrong and neither its own nor the plurality's.
        """
        if not heard or (own.answer is not None and all(o.answer == own.answer for o in heard)):
            return own
        own_right = own.right and own.answer is not None
        right = [o for o in heard if o.right and o.answer is not None]
        if own_right and len(right) == len(heard):
            return own  # right in different words is agreement too
        if (own_right or right) and u[0] < self.probability_right(own_right, len(right) / len(heard)):
            return own if own_right else _most_frequent(right)
        readable = [o for o in heard if o.answer is not None]
        wrong = [o for o in readable if not o.right]
        if own_right:
            shares = self.right_hears_wrong
        elif right and _most_frequent(readable).right:
            shares = self.wrong_hears_right
        else:
            shares = self.wrong_hears_wrong
        # What is impossible here (to keep a right or unreadable answer, to switch to a right one) leaves
        # its share to what is possible.
        keep = 0.0 if own_right or own.answer is None else shares.keep
        switch = 0.0 if not wrong or shares is self.wrong_hears_right else shares.switch
        draw = u[1] * (keep + switch + shares.third)
        if draw < keep:
            return own
        return _most_frequent(wrong) if draw < keep + switch else None


def _most_frequent(opinions: Sequence[Opinion]) -> Opinion:
    answer, _ = Counter(o.answer for o in opinions).most_common(1)[0]
    return next(o for o in opinions if o.answer == answer)


def _fits() -> dict[str, Transition]:
    rows = yaml.safe_load(Path(__file__).with_name("transitions.yaml").read_bytes())
    for row in rows.values():
        row |= {name: Shares(**value) for name, value in row.items() if isinstance(value, dict)}
    return {name: Transition(**row) for name, row in rows.items()}


_FITS = _fits()
GPT35_MMLU, SLM_GSM, SLM_MMLU = _FITS["GPT35_MMLU"], _FITS["SLM_GSM"], _FITS["SLM_MMLU"]
GPT4_HUMANEVAL = _FITS["GPT4_HUMANEVAL"]

OPTIMISTIC = GPT35_MMLU
"""The highest level: of a pair that disagrees, 67 % are right after talking, where 50 % were before."""

PESSIMISTIC = SLM_MMLU
"""The lowest level: of a pair that disagrees, 51 % are right after talking, where 50 % were before."""
