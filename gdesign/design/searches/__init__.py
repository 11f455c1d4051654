"""Searches for one design for all questions, a file each."""
