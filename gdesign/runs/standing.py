"""How a learned designer stands beside single agents and beside the designs that its training saw."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from gdesign.design import calibrated
from gdesign.design.base import Designer
from gdesign.design.calibrated import Calibrated, Calibration
from gdesign.design.deployed import Deployed, Measured
from gdesign.errors import ConfigError, PoolError
from gdesign.export.schema import design_from_json, design_to_json
from gdesign.runs import checkpoint
from gdesign.runs.comparison import SAID, Kind, apart, said
from gdesign.types import AgentPool

DEPLOY = ("better", "learned")
"""What may be deployed."""
ENTRY = "standing"
"""What a checkpoint calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A design for all questions that a learned designer was compared with.

    Attributes:
        kind: `single` of one agent; `seen` of several, which training ran often.
        worth: What it was worth on the validation questions.
        difference: The learned designer's utility less its own, question by question.
        interval: 95 % of that, over questions.
    """

    kind: Kind
    worth: Measured
    difference: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        agents = ", ".join(f"{a.role}/{a.llm}/{a.operator}" for a in self.worth.design.agents)
        return f"{SAID[self.kind]} ({agents})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What was found on the validation questions.

    Attributes:
        usd_weight: lambda.
        n: Number of questions.
        score: Of the learned designer.
        usd: USD for 1,000 questions, of the learned designer.
        utility: Likewise.
        in_sample: Whether the designer had learned from these questions too, which flatters it.
        rivals: All that were measured; at least one of a single agent.
        calibration: How what the designer expects was borne out; None where it expects nothing, or nobody looked.
        took: Runs, calls and USD that were spent on it beside those of the training, as `gdesign.runs.money.bill` says.
    """

    usd_weight: float
    n: int
    score: float
    usd: float
    utility: float
    in_sample: bool
    rivals: tuple[Rival, ...]
    took: Mapping[str, int | float]
    calibration: Calibration | None = None

    def best(self, usd_weight: float, *kinds: Kind) -> Rival | None:
        """Return the rival that was worth most at a price of cost, of some kinds or of all."""
        found = [rival for rival in self.rivals if not kinds or rival.kind in kinds]
        return max(found, key=lambda rival: rival.worth.utility(usd_weight), default=None)

    @property
    def lost_to(self) -> Rival | None:
        """The best rival, if it was worth more than the learned designer."""
        best = self.best(self.usd_weight)
        return best if best is not None and best.worth.utility(self.usd_weight) > self.utility else None

    def within(self, pool: AgentPool) -> "Standing | None":
        """Return it with the rivals that a pool has the agents of; None if no single agent is left."""
        left = tuple(rival for rival in self.rivals if _made_of(rival, pool))
        return replace(self, rivals=left) if any(rival.kind == "single" for rival in left) else None

    def deployed(self, learned: Designer, *, deploy: str) -> Designer:
        """Return what answers questions: the learned designer, or, if it lost, the measured designs before it."""
        learned = Calibrated(learned, self.calibration)
        if deploy != "better" or self.lost_to is None:
            return learned
        return Deployed(learned, measured=[rival.worth for rival in self.rivals], usd_weight=self.usd_weight)

    def plain(self) -> dict[str, Any]:
        """Return it as values that a checkpoint may hold."""
        rivals = [
            {
                "kind": rival.kind,
                "design": design_to_json(rival.worth.design),
                "score": rival.worth.score,
                "usd": rival.worth.usd,
                "other": rival.worth.other,
                "difference": rival.difference,
                "interval": list(rival.interval),
            }
            for rival in self.rivals
        ]
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        calibration = None if self.calibration is None else self.calibration.plain()
        return {**own, "took": dict(self.took), "rivals": rivals, "calibration": calibration}

    def told(self) -> dict[str, Any]:
        """Return what `eval.json` says of it, for the best rival of each kind."""
        own = {"score": self.score, "usd": self.usd, "utility": self.utility}
        found: dict[str, Any] = {"n": self.n, "in_sample": self.in_sample, "learned": own}
        for kind in SAID:
            if (rival := self.best(self.usd_weight, kind)) is not None:
                found[kind] = {
                    "design": design_to_json(rival.worth.design, brief=True),
                    "score": rival.worth.score,
                    "usd": rival.worth.usd,
                    "utility": rival.worth.utility(self.usd_weight),
                    "difference": rival.difference,
                    "interval": list(rival.interval),
                }
        return found

    def line(self, *, deploy: str) -> str:
        """Return what was found in a few words, for a training that nothing is evaluated after."""
        lost_to = self.lost_to if deploy == "better" else None
        deployed = "learned" if lost_to is None else lost_to.kind
        return said({"deployed": deployed, "validation": self.told(), "evaluated": {}})

    def warning(self, *, deploy: str) -> str | None:
        """Return a sentence that says by how much the learned designer lost, and what answers; None if it did not."""
        if (rival := self.lost_to) is None:
            return None
        every = "where that is deployed" if deploy == "better" else "where it is deployed all the same (deploy=learned)"
        return (
            f"the learned designer is {apart(rival.difference, rival.interval)} in utility than {rival}, on {self.n} "
            f"validation questions at lambda {self.usd_weight:g}, {every}"
        )


def from_plain(row: Mapping[str, Any]) -> Standing:
    """Return what `Standing.plain` gave."""
    rivals = []
    for rival in row["rivals"]:
        worth = {name: rival[name] for name in ("score", "usd", "other")}
        rivals.append(
            Rival(
                kind=rival["kind"],
                worth=Measured(design=design_from_json(rival["design"]), **worth),
                difference=rival["difference"],
                interval=tuple(rival["interval"]),
            )
        )
    known = row.get("calibration")  # versions before it had none
    calibration = None if known is None else calibrated.from_plain(known)
    return Standing(**{**row, "rivals": tuple(rivals), "calibration": calibration})


def read_standing(path: str | Path) -> Standing | None:
    """Return how the designer of a checkpoint stands; None where it was not compared.

    Raises:
        DataError: It is no checkpoint, or was cut short.
    """
    row = checkpoint.content(path).get(ENTRY)
    return None if row is None else from_plain(row)


def deployed(designer: Designer, path: str | Path, *, deploy: str) -> tuple[Designer, str | None]:
    """Give a designer the tensors of a checkpoint; return what is deployed of it, and `Standing.warning`.

    Raises:
        MissingDataError: The checkpoint is not there.
        DataError: It is no checkpoint, or was cut short.
        ConfigError: It is of another designer or other agents.
    """
    checkpoint.restore(designer, path)
    standing = read_standing(path)
    standing = None if standing is None else standing.within(designer.space.pool)
    if standing is None:
        return Calibrated(designer, None), None
    return standing.deployed(designer, deploy=deploy), standing.warning(deploy=deploy)


def write_standing(standing: Standing, path: str | Path) -> None:
    """Add to a checkpoint how its designer stands."""
    checkpoint.write({**checkpoint.content(path), ENTRY: standing.plain()}, path)


def refuse_other(deploy: str) -> None:
    """Raise ConfigError where `deploy` is not one of what there is."""
    if deploy not in DEPLOY:
        raise ConfigError(
            f"deploy is {deploy!r}; expected better (the learned designer, or measured designs where it lost to one) "
            "or learned"
        )


def _made_of(rival: Rival, pool: AgentPool) -> bool:
    try:
        for agent in rival.worth.design.agents:
            pool.check(agent)
    except PoolError:
        return False
    return True
