"""Train gdesigner for a few epochs by the Python API, without Hydra, and compare it with the untrained one.

python examples/train_a_designer.py

It takes some seconds, so it shows how and not how well; `make demo` trains for longer and with several seeds.
"""

from functools import partial
from typing import Any

import lightning as L
import torch

from gdesign.agents.pool import builtin
from gdesign.cli.talk import quiet
from gdesign.design.learned.gdesigner import GDesigner
from gdesign.encode.problem import ProblemEncoder
from gdesign.encode.text import CachedEncoder, HashEncoder
from gdesign.execute.arena import LocalArena
from gdesign.execute.reward import Reward
from gdesign.learn.data import TaskData, items
from gdesign.learn.estimators import leave_one_out
from gdesign.learn.evaluate import evaluate, summarise
from gdesign.learn.module import DesignModule
from gdesign.llm.simulated import SimulatedClient
from gdesign.tasks.synthetic import Synthetic

REWARD = Reward(usd_weight=0.03)  # lambda: what one USD per 1,000 questions costs in score


def main(num_train: int = 180, num_test: int = 90, num_epochs: int = 8) -> None:
    """Train and evaluate on the simulated world."""
    quiet()
    pool = builtin("simulated")
    benchmark = Synthetic(num_train=num_train, num_validation=9, num_test=num_test)
    problems = ProblemEncoder(pool=pool, encoder=CachedEncoder(encoder=HashEncoder()))
    torch.manual_seed(0)  # draws the first parameters; all that follows is drawn from the module's own seed
    designer = GDesigner(space=problems.space)
    with LocalArena(pool=pool, llm=SimulatedClient(pool=pool), benchmark=benchmark) as arena:
        test = partial(
            evaluate,
            designer,
            items(benchmark.load("test")),
            problems=problems,
            arena=arena,
            usd_weight=REWARD.usd_weight,
        )
        before = summarise(test(), reward=REWARD)
        module = DesignModule(
            designer=designer,
            problems=problems,
            arena=arena,
            estimator=leave_one_out,
            optimizer=torch.optim.Adam,
            lr=0.01,
            reward=REWARD,
            num_designs=4,
            entropy_weight=0.01,
            final_entropy_weight=0.0,
            penalty_weight=1.0,
        )
        data = TaskData(
            train=benchmark.load("train"),
            validation=benchmark.load("validation"),
            batch_size=4,
            shuffle_questions=False,
            seed=0,
        )
        trainer = L.Trainer(
            accelerator="cpu",
            max_epochs=num_epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, data)
        after = summarise(test(), reward=REWARD)
    show("untrained", before)
    show(f"after {num_epochs} epochs", after)


def show(name: str, summary: dict[str, Any]) -> None:
    """Print what matters most."""
    print(
        f"{name}: utility {summary['utility']:.3f}, score {summary['score']:.3f}, "
        f"{summary['usd']:.3f} USD per 1,000 questions ({summary['label']})"
    )


if __name__ == "__main__":
    main()
