"""Train a designer against utility."""
