"""Readers of answers, a file a kind: pure functions from what an LLM wrote to a canonical answer, or None.

A reply is first rid of thoughts (`thoughts`), quotes and made-up turns; then the answer that it marks is found
(`marked`, with the words of `words`); then it is read by its kind. What they cannot read is None; it scores nothing and
is counted. None of them raises on any text.
"""

from gdesign.tasks.answers.choices import choice
from gdesign.tasks.answers.formulas import equivalent, formula
from gdesign.tasks.answers.literals import literal, string
from gdesign.tasks.answers.numbers import number
from gdesign.tasks.answers.programs import defines, program
from gdesign.tasks.answers.texts import exact

__all__ = ["choice", "defines", "equivalent", "exact", "formula", "literal", "number", "program", "string"]
