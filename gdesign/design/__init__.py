"""Designers: conditional distributions over designs."""
