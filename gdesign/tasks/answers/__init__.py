"""Readers of answers, a file a kind: pure functions from what an LLM wrote to a canonical answer, or None.

All of them prefer the last line `Answer: X`, which every prompt asks for. None reads a line that is
quoted (`> `): it is what somebody else said. What they cannot read is None; it scores nothing and is
counted. None of them raises on any text.
"""

from gdesign.tasks.answers.choices import choice
from gdesign.tasks.answers.formulas import equivalent, formula
from gdesign.tasks.answers.literals import literal, string
from gdesign.tasks.answers.numbers import number
from gdesign.tasks.answers.programs import defines, program
from gdesign.tasks.answers.texts import exact

__all__ = ["choice", "defines", "equivalent", "exact", "formula", "literal", "number", "program", "string"]
