"""What a critic goes over again: the runs of earlier training steps."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from gdesign.errors import ConfigError
from gdesign.export.schema import design_from_json, design_to_json
from gdesign.types import Design, Outcome, Run

Key = tuple[int, str, str]
"""Training step, benchmark and id of a task."""


class Done(NamedTuple):
    """A run of training, as far as a critic can learn from it."""

    design: Design
    score: float
    usd: float
    tokens: int
    seconds: float
    seed: int


class ReplayBuffer:
    """The runs of earlier training steps, kept by step and task; its state rides in the training checkpoint.

    Args:
        num_tasks: How many tasks of earlier steps, with all their runs then, are drawn for each step.
    """

    def __init__(self, *, num_tasks: int) -> None:
        if num_tasks < 1:
            raise ConfigError(f"num_tasks of the replay must be 1 or more; got {num_tasks}")
        self.num_tasks = num_tasks
        self._done: dict[Key, list[Done]] = {}

    def add(self, run: Run, outcome: Outcome, *, step: int) -> None:
        """Keep a run of a training step."""
        tokens = outcome.prompt_tokens + outcome.completion_tokens
        done = Done(run.design, outcome.score, outcome.usd, tokens, outcome.seconds, run.seed)
        self._done.setdefault((step, run.task.benchmark, run.task.id), []).append(done)

    def draw(self, generator: torch.Generator) -> list[tuple[Key, list[Done]]]:
        """Return tasks of earlier steps with their runs; none before the first step."""
        if not self._done:
            return []
        keys = list(self._done)
        chosen = [keys[i] for i in torch.randint(len(keys), (self.num_tasks,), generator=generator).tolist()]
        return [(key, self._done[key]) for key in chosen]

    def by_task(self) -> list[tuple[tuple[str, str], list[Done]]]:
        """Return all runs of each task, by benchmark and id, always in the same order."""
        found: dict[tuple[str, str], list[Done]] = {}
        for key in sorted(self._done):
            found.setdefault(key[1:], []).extend(self._done[key])
        return [(task, found[task]) for task in sorted(found)]

    def state_dict(self) -> dict[str, Any]:
        """Return all runs as tensors and plain values, each design once."""
        designs: dict[Design, int] = {}
        runs = [
            (place, designs.setdefault(done.design, len(designs)), *done[1:])
            for place, found in enumerate(self._done.values())
            for done in found
        ]
        return {
            "keys": list(self._done),
            "designs": [json.dumps(design_to_json(design, brief=True)) for design in designs],
            "runs": torch.tensor(runs, dtype=torch.float64),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Keep the runs that `state_dict` returned, and no others."""
        designs = [design_from_json(json.loads(text)) for text in state["designs"]]
        keys = [(step, benchmark, task) for step, benchmark, task in state["keys"]]
        self._done = {key: [] for key in keys}
        for place, design, score, usd, tokens, seconds, seed in state["runs"].tolist():
            done = Done(designs[int(design)], score, usd, int(tokens), seconds, int(seed))
            self._done[keys[int(place)]].append(done)
