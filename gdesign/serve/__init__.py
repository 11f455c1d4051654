"""Servers: what speaks OpenAI's chat completions to clients of any kind."""
