"""The first tables, in about a minute and a half: real answers of small models, and teams in the simulated world.

    python benchmarks/demo.py

One seed and short trainings; `make results` makes the tables of docs/results.md. A run that is already in the output
folder is not repeated.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import real
from methods import Method, find_optimum, folder
from runner import command, run_all, train

EPOCHS = {"gdesigner": 3, "gdesigner_shuffled": 3, "joint": 2}
"""Of training, so that the whole takes about a minute on two cores."""
METHODS = (
    *(Method(name=n, kind="learned") for n in ("joint", "gdesigner")),
    Method(name="gdesigner_shuffled", kind="control"),
    Method(name="search", kind="search"),
    Method(name="self_consistency_3", kind="rival"),
    *(Method(name=n, kind="fixed") for n in ("single_small", "single_large", "cascade", "vote", "complete", "debate")),
)
REAL = (real.SINGLE, "evidence", "ridge", "length (control)")
"""Rows of the table of real answers; benchmarks/results/real.md has them all."""
SAID = {
    "joint": "joint, ours",
    "gdesigner_shuffled": "gdesigner, reading another question (control)",
    "search": "search: the best one design for all questions",
    "self_consistency_3": "three answers of the best agent, and a vote",
    "single_small": "one small LLM",
    "single_large": "one large LLM",
    "cascade": "small and math-specialist, large if they disagree",
}
"""What rows are called, where that is not their name."""
HOW = (
    "utility = score - 0.03 x USD per 1,000 questions; one seed, 450 test questions, each run twice, so rows less "
    "than .02 apart cannot be told from each other. The best design for each kind of question (domain and "
    "difficulty) is found by enumerating those of at most three different agents on other questions. joint may also "
    "draw copies of an agent and teams of four, which that family lacks, so it may stand above it. The control "
    "learns from questions that are not those its designs are run on: what gdesigner is above it comes from reading "
    "the question."
)


def table(out: Path, seed: int) -> str:
    """Return the table and how it is to be read, as Markdown."""
    (best,) = json.loads((out / "optimum.json").read_text()).values()
    rows = [(best, f"| *best design for each kind of question* | enumerated | | | {best:.3f} |")]
    for method in METHODS:
        found = json.loads((folder(out, method, seed) / "eval.json").read_text())
        name = SAID.get(method.name, method.name)
        rows.append(
            (
                found["utility"],
                f"| {name} | {method.kind} | {found['score']:.3f} | {found['usd']:.2f} | {found['utility']:.3f} |",
            )
        )
    return "\n".join(
        [
            "Simulated, 4 agents (experiment=demo):",
            "",
            "| design | kind | score | USD per 1,000 | utility |",
            "|---|---|---|---|---|",
            *(row for _, row in sorted(rows, key=lambda row: -row[0])),
            "",
            HOW,
        ]
    )


def pictures(out: Path, seed: int) -> None:
    """Draw score against cost, and what gdesigner draws for an easy and a hard question."""
    from gdesign.report.page import write_overview

    write_overview([out], out)
    (method,) = [m for m in METHODS if m.name == "gdesigner"]
    (out / "designs.png").write_bytes((folder(out, method, seed) / "designs.png").read_bytes())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything, print the table, write it beside the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0, help="draws questions, parameters and answers (0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="where run folders go (runs/demo)")
    args = parser.parse_args(arguments)
    began = time.perf_counter()
    args.out.mkdir(parents=True, exist_ok=True)
    jobs: list[Callable[[], None]] = [
        partial(
            train,
            (*m.under("demo"), f"trainer.max_epochs={EPOCHS.get(m.name, 1)}"),
            args.seed,
            folder(args.out, m, args.seed),
        )
        for m in METHODS
    ]
    jobs.insert(3, partial(find_optimum, [args.seed], args.out))  # the long ones first
    jobs += real.jobs(REAL, [args.seed], args.out / "real")
    run_all(jobs, workers=args.workers, folder=args.out)
    pictures(args.out, args.seed)
    answered = (
        f"Real answers, recorded:\n\n{real.table(args.out / 'real', REAL, [args.seed])}\n\n{real.about([args.seed])}"
    )
    text = f"# First tables\n\n`{command()}`\n\n{answered}\n\n{table(args.out, args.seed)}\n"
    (args.out / "table.md").write_text(text)
    print(text)
    print(f"{time.perf_counter() - began:.0f} seconds. Pictures: {args.out}/score_cost.png, {args.out}/designs.png")


if __name__ == "__main__":
    main()
