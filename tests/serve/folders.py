"""A run folder as train.py writes it, with a designer that has learned nothing."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gdesign.design.calibrated import Calibration, Curve
from gdesign.design.deployed import Measured
from gdesign.runs.checkpoint import BEST, assemble, save
from gdesign.runs.money import NOTHING_SPENT
from gdesign.runs.standing import Rival, Standing, write_standing
from gdesign.types import Agent, Design

JOINT = {
    "_target_": "gdesign.design.joint.joint.Joint",
    "shapes": ["single", "pair", "vote"],
    "gnn": {"_target_": "gdesign.encode.graph.GraphEncoder", "_partial_": True, "hidden_dim": 8},
}
POLICY = {
    "_target_": "gdesign.design.fixed.Fixed",
    "topology": {"_target_": "gdesign.agents.policies.agreement_cascade.agreement_cascade", "_partial_": True},
    "num_agents": 4,
    "quorum": 2,
}
SAME = Curve((0.0, 1.0), (0.0, 1.0), 0.0, 0.0)
"""What is expected is what is found."""
SWARM = {"_target_": "gdesign.design.learned.swarm.Swarm"}


def folder(path: Path, *, designer: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Write one and return its path.

    Args:
        path: Where.
        designer: Its config; `JOINT` unless given.
        **changes: Entries of the config that differ.
    """
    config = OmegaConf.create(
        {
            "seed": 0,
            "out": str(path),
            "threads": 1,
            "names": {"designer": "joint", "task": "synthetic", "pool": "simulated", "llm": "simulated"},
            "problem": {"_target_": "gdesign.encode.problem.ProblemEncoder"},
            "task": {"_target_": "gdesign.tasks.synthetic.Synthetic"},
            "pool": {"_target_": "gdesign.agents.pool.builtin", "name": "simulated"},
            "text": {
                "_target_": "gdesign.encode.text.CachedEncoder",
                "encoder": {"_target_": "gdesign.encode.text.HashEncoder", "dim": 32},
                "path": str(path / "embeddings.sqlite"),
            },
            "designer": designer or JOINT,
            "reward": {"usd_weight": 0.03, "token_weight": 0.0, "second_weight": 0.0},
            "llm": {"_target_": "gdesign.llm.simulated.SimulatedClient", "pool": "${pool}"},
        }
        | changes
    )
    path.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, path / "config.yaml")
    _, made = assemble(config)
    save(made, path / BEST)
    (path / "embeddings.sqlite").unlink(missing_ok=True)
    calibrated(path)
    return path


def calibrated(path: Path, *, score: Curve = SAME, usd: Curve = SAME) -> None:
    """Add to a run folder that what its designer expects was borne out so, on 60 validation questions."""
    single = Design(agents=(Agent(role="assistant", llm="small"),))
    rival = Rival(kind="single", worth=Measured(design=single, score=0.0, usd=0.1), difference=1.0, interval=(0.9, 1.1))
    found = Standing(
        usd_weight=0.03, n=60, score=1.0, usd=0.0, utility=1.0, in_sample=False, rivals=(rival,), took=NOTHING_SPENT,
        calibration=Calibration(n=60, score=score, usd=usd),
    )  # fmt: skip
    write_standing(found, path / BEST)


def lost(path: Path, *, to: Design) -> None:
    """Add to a run folder that its designer was worth .3 on validation, and another design .8."""
    worth = Measured(design=to, score=0.8, usd=0.1)
    rival = Rival(kind="single", worth=worth, difference=-0.5, interval=(-0.6, -0.4))
    found = Standing(
        usd_weight=0.03, n=60, score=0.3, usd=0.0, utility=0.3, in_sample=False, rivals=(rival,), took=NOTHING_SPENT
    )
    write_standing(found, path / BEST)
