"""Every method with its default settings on pools of 4, 20, 60 and 300 candidates, beside the best single agent.

    python benchmarks/scale.py --write benchmarks/results/scale.md

Four roles and so many LLMs, from cheap and weak to dear and strong. A run that is already in the output folder is not
repeated, so it may be stopped and gone on with.
"""

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from pools import pool
from runner import command, options, plus_minus, publish, run_all, train

NUM_LLMS = {4: 1, 20: 5, 60: 15, 300: 75}
"""Of each pool, by its number of candidates."""
LEARNED = (
    "joint", "gdesigner", "supernet", "cascade_router", "autoregressive", "relaxed", "prune", "swarm", "diffusion",
)  # fmt: skip
OTHERS = ("knn", "ridge", "mf", "search", "random_search", "tree_search")
SINGLE = "best single agent"
QUESTIONS = {"num_train": 300, "num_validation": 90, "num_test": 450}
USD_WEIGHT = 0.05
FIRST_SEED = 1
"""Defaults were chosen with seed 0."""


def overrides(method: str, size: int, seed: int, out: Path) -> tuple[str, ...]:
    """Return the command line of a row; nothing but the method's name is set."""
    chosen = ("designer=search", "designer.families=[singles]") if method == SINGLE else (f"designer={method}",)
    return (
        *chosen,
        *pool(out.resolve() / f"{size}.yaml", NUM_LLMS[size]),
        *(f"++task.{name}={number}" for name, number in QUESTIONS.items()),
        f"++task.seed={seed}",
        f"reward.usd_weight={USD_WEIGHT}",
        "num_test_samples=2",
    )


def folder(out: Path, method: str, size: int, seed: int) -> Path:
    """Return where the run of a row, a size and a seed is kept."""
    return out / f"{method.replace(' ', '_')}-{size}-{seed}"


def run(method: str, size: int, seed: int, out: Path) -> None:
    """Train and evaluate; what cannot start leaves its reason."""
    from gdesign.errors import UserError

    where = folder(out, method, size, seed)
    if (where / "refused.txt").is_file():
        return
    try:
        train(overrides(method, size, seed, out), seed, where)
    except UserError as error:
        where.mkdir(parents=True, exist_ok=True)
        (where / "refused.txt").write_text(f"{error}\n")


def read(out: Path, method: str, size: int, seeds: Sequence[int]) -> dict[int, dict]:
    """Return the evaluations that are there, by seed."""
    files = {seed: folder(out, method, size, seed) / "eval.json" for seed in seeds}
    return {seed: json.loads(file.read_text()) for seed, file in files.items() if file.is_file()}


def table(out: Path, size: int, methods: Sequence[str], seeds: Sequence[int]) -> str:
    """Return the table of a pool, best first."""
    found = {m: read(out, m, size, seeds) for m in methods}
    single = {seed: e["utility"] for seed, e in found[SINGLE].items()}
    lines = [
        f"## {size} candidates",
        "",
        "| method | utility | less the best single agent | score | USD per 1,000 | training runs | training USD |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = []
    for name, evals in found.items():
        if not evals:
            refused = [f for s in seeds if (f := folder(out, name, size, s) / "refused.txt").is_file()]
            reason = refused[0].read_text().splitlines()[0].split("; ")[0] if refused else "not run"
            rows.append((-2.0, f"| {name} | {reason} | | | | | |"))
            continue
        utility = {seed: e["utility"] for seed, e in evals.items()}
        gains = [utility[seed] - single[seed] for seed in utility if seed in single]
        gain = f"{mean(gains):+.3f}, {sum(g >= -0.01 for g in gains)} of {len(gains)}" if gains else ""
        runs, usd = (mean(e["training"][key] for e in evals.values()) for key in ("runs", "usd"))
        rows.append(
            (
                mean(utility.values()),
                f"| {name} | {plus_minus(list(utility.values()))} | {gain} "
                f"| {mean(e['score'] for e in evals.values()):.3f} | {mean(e['usd'] for e in evals.values()):.2f} "
                f"| {runs:,.0f} | {usd:.2f} |",
            )
        )
    return "\n".join([*lines, *(row for _, row in sorted(rows, key=lambda row: -row[0]))])


def main() -> None:
    """Run everything, print the tables."""
    parser = options(__doc__, out="runs/scale", seeds=3, workers=1)
    parser.add_argument("--sizes", type=int, nargs="+", choices=list(NUM_LLMS), default=list(NUM_LLMS), help="of pools")
    parser.add_argument("--methods", nargs="+", default=[*LEARNED, *OTHERS], help="rows beside the best single agent")
    parser.add_argument("--tables", action="store_true", help="only make the tables of what is there")
    args = parser.parse_args()
    began = time.perf_counter()
    methods, seeds = [SINGLE, *args.methods], range(FIRST_SEED, FIRST_SEED + args.seeds)
    args.out.mkdir(parents=True, exist_ok=True)
    if not args.tables:
        jobs = [partial(run, m, size, seed, args.out) for seed in seeds for size in args.sizes for m in methods]
        run_all(jobs, workers=args.workers, folder=args.out)
    tables = "\n\n".join(table(args.out, size, methods, seeds) for size in args.sizes)
    text = (
        f"# Pools of any size, default settings\n\n`{command()}`\n\nAll answers are simulated. Four roles and so many "
        "LLMs, each a quarter dearer than the one before it and evenly stronger; so among 300 candidates most cost "
        f"more than a right answer is worth. {QUESTIONS['num_train']} training questions, "
        f"{QUESTIONS['num_validation']} for validation, utility = score - {USD_WEIGHT} x USD per 1,000 questions on "
        f"{QUESTIONS['num_test']} test questions of each seed, each run twice. Nothing is set but the method's name. "
        "Beside the difference from the best single agent, which is chosen by running each on all training and "
        "validation questions, stands in how many of the seeds a method ends at or above it, less 0.01. Mean ± "
        f"standard deviation over {args.seeds} seeds.\n\n{tables}\n"
    )
    publish(text, args.write)
    print(f"{time.perf_counter() - began:.0f} seconds")


if __name__ == "__main__":
    main()
