"""gdesign learns, per question, which team of LLM agents should answer it."""

__version__ = "0.1.0"
