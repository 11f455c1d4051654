"""Texts and problems as tensors."""
