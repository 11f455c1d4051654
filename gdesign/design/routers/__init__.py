"""Routers to one agent, a file each."""
