"""One agent a question: what every router shares.

A router runs each agent alone on each training question, fits score and USD of every slot to the question's
features, and asks the agent whose predicted score, less lambda times its predicted USD, is highest. lambda is read
from the problem, so one fit serves every price of cost (the plug-in rule of RouterBench, Hu et al., arXiv 2403.12031,
section 4, and of CARROT, arXiv 2502.03261).

Shape letters: T training questions, B problems in a batch, N slots of a problem, S slots of the space, D text features.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.agents import teams
from gdesign.design.base import Draft, Searched, Trials
from gdesign.design.draws import RNG
from gdesign.encode.problem import ProblemEncoder, Rows, Space
from gdesign.errors import ConfigError
from gdesign.types import Design, Job, Task

CHUNK = 64
"""Questions encoded at once; bounds the memory that a search takes."""


@dataclass(frozen=True, kw_only=True)
class Table(Rows):
    """What every agent alone came to on each training question.

    Attributes:
        scores: Of each slot's agent, in [0, 1].
        usd: Of each slot's agent, a question.
    """

    x: Float[Tensor, "T D"]
    scores: Float[Tensor, "T S"]
    usd: Float[Tensor, "T S"]
    weight: Float[Tensor, " T"]


class Router(Searched):
    """All mass on the one agent that is predicted to be worth most on the question; of equals the lowest slot.

    Args:
        **buffers: Shapes of what is learned, by name; a length of 0 stands for the number of training questions.
    """

    of_questions: ClassVar[tuple[str, ...]] = ()
    """Buffers with a row a training question, whose number only a checkpoint knows."""
    fitted: Int[Tensor, ""]

    def __init__(self, *, space: Space, **buffers: tuple[int, ...]) -> None:
        super().__init__(space=space)
        self.register_buffer("fitted", torch.tensor(0))
        for name, shape in buffers.items():
            self.register_buffer(name, torch.zeros(shape))

    @abstractmethod
    def fit(self, table: Table, *, generator: torch.Generator) -> None:
        """Learn what each agent scores and costs, and set `fitted`."""

    @abstractmethod
    def predict(self, x: Float[Tensor, "B D"]) -> tuple[Float[Tensor, "B S"], Float[Tensor, "B S"]]:
        """Return the score and the USD expected of each slot's agent on questions with these features."""

    def search(
        self, tasks: Sequence[Task], *, problems: ProblemEncoder, usd_weight: float, generator: torch.Generator
    ) -> Trials:
        """Run every agent alone on every question, then fit; lambda is not used before a design is chosen."""
        probes = [teams.single([agent]) for agent in self.space.agents]
        results = yield [Job(probe, task, 0) for task in tasks for probe in probes]
        outcomes = [outcome for _, outcome in results]
        table = Table(
            x=features(problems, tasks),
            scores=torch.tensor([o.score for o in outcomes]).view(len(tasks), -1),
            usd=torch.tensor([o.usd for o in outcomes]).view(len(tasks), -1),
            weight=torch.tensor([t.weight for t in tasks]),
        )
        self.fit(table, generator=generator)

    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Return the agent that is predicted to be worth most, as often as designs are drawn."""
        chosen = self._chosen(problem).repeat_interleave(num_designs)
        log_prob = torch.zeros(len(chosen), device=problem.x.device)
        return Draft(designs=lambda: self._designs(chosen), log_prob=log_prob)

    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " B"]:
        """Return 0 for the design that `forward` returns, -inf for every other."""
        own = self._designs(self._chosen(problem))
        same = [0.0 if a == b else -torch.inf for a, b in zip(own, designs, strict=True)]
        return torch.tensor(same, device=problem.x.device)

    def _chosen(self, problem: Batch) -> Int[Tensor, " B"]:
        if not self.fitted:
            raise ConfigError("this router has not seen any question yet; train it first (gdesign train designer=...)")
        is_slot = problem.slot >= 0
        score, usd = self.predict(problem.x[~is_slot])
        worth = score - 1000 * problem.usd_weight[:, None] * usd
        absent = torch.ones_like(worth, dtype=torch.bool)
        absent[problem.batch[is_slot], problem.slot[is_slot]] = False
        chosen: Tensor = worth.masked_fill(absent, -torch.inf).argmax(1)
        return chosen

    def _designs(self, chosen: Int[Tensor, " B"]) -> list[Design]:
        return [teams.single([self.space.agents[i]]) for i in chosen.tolist()]

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        for name in self.of_questions:
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *args)


def features(problems: ProblemEncoder, tasks: Sequence[Task]) -> Float[Tensor, "T D"]:
    """Return the text features of the questions of some tasks."""
    batches = (problems(tasks[start : start + CHUNK]) for start in range(0, len(tasks), CHUNK))
    return torch.cat([problem.x[problem.slot < 0] for problem in batches])


def contrast(scores: Float[Tensor, "T S"]) -> Float[Tensor, "T S"]:
    """Return scores less their mean over slots: all that the choice between agents depends on."""
    return scores - scores.mean(1, keepdim=True)
