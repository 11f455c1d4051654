"""Readers of answers, a file a kind: pure functions from what an LLM wrote to a canonical answer, or None.

All of them prefer the last line `Answer: X`, which every prompt asks for. None reads a line that is
quoted (`> `): it is what somebody else said. What they cannot read is None; it scores nothing and is
counted. None of them raises on any text.
"""
