"""How well what a designer expects of its designs is borne out on test questions, as it stands and calibrated.

    python benchmarks/calibration.py --write benchmarks/results/calibration.md

Trains designers that expect a score and a cost, some of them for a few steps only, in the simulated worlds and on
recorded answers (where GDESIGN_DATA has them). Then each designs teams for the test questions at five prices of cost,
from a tenth to ten times that of the training, and these are run. A run that is already in the output folder is not
repeated.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from hydra.utils import instantiate
from runner import ROOT

from gdesign.design.calibrated import Calibrated, Calibration, chance_of, error_of, reliability
from gdesign.design.choose import held
from gdesign.execute.arena import LocalArena
from gdesign.execute.operators import tools_of
from gdesign.runs.checkpoint import BEST, assemble, restore
from gdesign.runs.config import read_config
from gdesign.runs.standing import read_standing
from gdesign.types import Job

PRICES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Of cost, times that of the training."""
SECOND, WIDER = "experiment=second_world", "experiment=wider_world"
RUNS = {
    "simulated, critic, 1 epoch": ["designer=critic", "trainer.max_epochs=1"],
    "simulated, critic, 3 epochs": ["designer=critic", "trainer.max_epochs=3"],
    "simulated, critic": ["designer=critic"],
    "simulated, joint, 2 epochs": ["designer=joint", "trainer.max_epochs=2"],
    "simulated, joint": ["designer=joint"],
    "simulated, evidence": ["designer=evidence"],
    "simulated, adaptive": ["designer=adaptive"],
    "simulated, critic, 20 validation questions": [
        "designer=critic",
        "trainer.max_epochs=2",
        "+task.num_validation=20",
    ],
    "second world, critic": [SECOND, "designer=critic"],
    "second world, joint": [SECOND, "designer=joint"],
    "second world, adaptive": [SECOND, "designer=adaptive"],
    "gsm8k, evidence": ["designer=evidence", "task=gsm8k", "llm=recorded"],
    "gsm8k, adaptive": ["designer=adaptive", "task=gsm8k", "llm=recorded"],
    "math_l5, evidence": ["designer=evidence", "task=math_l5", "llm=recorded"],
    "math_l5, adaptive": ["designer=adaptive", "task=math_l5", "llm=recorded"],
}


HOW = """# What is expected, and what is found

`python benchmarks/calibration.py --write benchmarks/results/calibration.md`

Each designer draws a team for every test question at five prices of cost, from a tenth to ten times that of its
training; the teams are run (simulated: four times a question). Pairs are sorted by what was expected and parted into
ten bins of the same size; the error is how far the means of a bin lie apart, on average over bins: of the score as it
is, of the cost as a share of what was found. `chance` is about how large it would be if all that is told were true, by
what single questions stray. `raw` is what the method itself expects, `told` what the page, `--max-usd` and Python tell
after calibration on the validation questions of the training. Where that did not hold on validation questions that
were kept back, nothing is told.
"""


class Found(NamedTuple):
    """What was expected and found, pair by pair; score and USD for 1,000 questions."""

    calibration: Calibration | None
    raw: np.ndarray
    told: np.ndarray | None
    found: np.ndarray


def trained(name: str, overrides: list[str], out: Path) -> Path:
    """Train silently unless that was done; return the run folder."""
    folder = out / name.replace(", ", "-").replace(" ", "_")
    if not (folder / "report.md").is_file():
        quiet = ["trainer.enable_progress_bar=false", "split=null", "seed=0", f"out={folder}"]
        subprocess.run([sys.executable, ROOT / "train.py", *overrides, *quiet], check=True, capture_output=True)
    return folder


@torch.no_grad()
def measured(folder: Path) -> Found:
    """Run what a trained designer draws for the test questions."""
    torch.manual_seed(0)
    config = read_config(folder)
    config.out = None
    problems, designer = assemble(config)
    restore(designer, folder / BEST)
    standing = read_standing(folder / BEST)
    calibration = None if standing is None else standing.calibration
    benchmark, llm = instantiate(config.task), instantiate(config.llm)
    tasks, pool = benchmark.load("test"), problems.space.pool
    num_samples = 1 if "recorded" in config.task else 4
    raw, told, found = [], [], []
    with LocalArena(pool=pool, llm=llm, benchmark=benchmark, sandbox=tools_of(benchmark, pool)) as arena:
        for times in PRICES:
            price = times * config.reward.usd_weight
            best = held(designer, problems, tasks, usd_weight=price)
            raw += [[b.score, b.usd] for b in best]
            told += [
                [b.score, b.usd] for b in held(Calibrated(designer, calibration), problems, tasks, usd_weight=price)
            ]
            jobs = [Job(b.design, t, seed) for b, t in zip(best, tasks, strict=True) for seed in range(num_samples)]
            outcomes = [(o.score, 1000 * o.usd) for _, o in arena.run(jobs, phase="test")]
            found += np.array(outcomes).reshape(len(tasks), num_samples, 2).mean(1).tolist()
    shown = None if told[0][0] is None else np.array(told)
    return Found(calibration, np.array(raw), shown, np.array(found))


def page(results: dict[str, Found]) -> str:
    """Return the results as Markdown."""
    lines = [
        HOW,
        "| what | pairs | score, raw | score, told | chance | cost, raw | cost, told | chance | why nothing is told |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, (calibration, raw, told, found) in results.items():
        cells = []
        for k, relative in ((0, False), (1, True)):
            for numbers in (raw, told):
                if numbers is None:
                    cells.append("")
                    continue
                error = error_of(reliability(numbers[:, k], found[:, k]), relative=relative)
                cells.append(f"{error:.0%}" if relative else f"{error:.3f}")
            shown = raw if told is None else told
            question = np.arange(len(raw)) % (len(raw) // len(PRICES))
            chance = chance_of(shown[:, k], found[:, k], question, relative=relative)
            cells.append(f"{chance:.0%}" if relative else f"{chance:.3f}")
        why = "" if calibration is None else calibration.why
        lines.append(f"| {name} | {len(raw):,} | {' | '.join(cells)} | {why} |")
    for name, (_, _, told, found) in results.items():
        if told is None:
            continue
        score, usd = (reliability(told[:, k], found[:, k]) for k in (0, 1))
        lines += ["", f"## {name}", "", "| score told | score found | USD told | USD found |", "|---|---|---|---|"]
        lines += [f"| {a:.3f} | {b:.3f} | {c:.3g} | {d:.3g} |" for (a, b, _), (c, d, _) in zip(score, usd, strict=True)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, measure, and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/calibration"), help="where the runs go")
    parser.add_argument("--only", default="", help="what the name of a run must hold")
    parser.add_argument("--write", type=Path, help="the page; printed otherwise")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    for name, overrides in RUNS.items():
        recorded = "llm=recorded" in overrides
        if options.only in name and (not recorded or os.environ.get("GDESIGN_DATA")):
            results[name] = measured(trained(name, overrides, options.out))
            print(
                next(line for line in page({name: results[name]}).split("\n") if line.startswith(f"| {name}")),
                flush=True,
            )
    if options.write is None:
        print(page(results))
    else:
        options.write.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
