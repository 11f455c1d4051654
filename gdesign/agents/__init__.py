"""Pools of agents and the prompt an agent gets."""
