"""Synthetic agents on generated tasks: the world, how agents change their minds, and the client."""

from gdesign.llm.simulated.client import Ability, SimulatedClient, World

__all__ = ["Ability", "SimulatedClient", "World"]
