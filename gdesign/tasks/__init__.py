"""Benchmarks, their splits and graders."""
