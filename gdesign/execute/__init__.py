"""Run a design on a task."""
