"""Methods in the wide simulated world, 144 candidates, beside a bound, rivals at equal USD and controls.

    python benchmarks/wide.py --write benchmarks/results/wide.md

The world is experiment=wide_world, the bound that of benchmarks/results/bound_wide.md. A run that is
already in the output folder is not repeated, so it may be stopped and gone on with.
"""

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from methods import COPIES, RUNS_AN_EPOCH, SINGLE, Method, at_equal_usd, folder, gain
from runner import command, options, plus_minus, publish, run_all, train

EPOCHS = 3
BOUND = {"bound: best design of each class": 0.948, "bound: best design for all": 0.862}
JOINT = Method(name="joint", kind="learned")
CONTROLS = (
    Method(name="joint, no messages", kind="control", overrides=("gnn=none",)),
    Method(name="joint, shuffled questions", kind="control", overrides=("data.shuffle_questions=true",)),
)
LEARNED = tuple(
    Method(name=name, kind="learned")
    for name in ("critic", "supernet", "cascade_router", "autoregressive", "gdesigner", "diffusion", "swarm", "prune")
)
ROUTERS = (Method(name="ridge", kind="router"), Method(name="knn", kind="router"))
METHODS = (JOINT, SINGLE, *COPIES, *CONTROLS, *LEARNED, *ROUTERS)


def overrides(method: Method, epochs: int) -> tuple[str, ...]:
    """Return the command line of a row."""
    config = "joint" if method in CONTROLS else method.config
    return (f"experiment=[wide_world,methods/{config}]", f"trainer.max_epochs={epochs}", *method.overrides)


def table(out: Path, methods: Sequence[Method], seeds: Sequence[int]) -> str:
    """Return the table, best first, with what `joint` is above each row, paired by seed."""
    found = {m: [json.loads((folder(out, m, s) / "eval.json").read_text()) for s in seeds] for m in methods}
    own = [e["utility"] for e in found[JOINT]]
    lines = [
        "| method | kind | runs in training | USD in training | score | USD per 1,000 | utility | joint less it "
        "| 95 % over seeds | seeds above 0 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows = [(worth, f"| *{name}* | long search | | | | | {worth:.3f} | | | |") for name, worth in BOUND.items()]
    for m, evals in found.items():
        runs, usd = (mean(e["training"][key] for e in evals) for key in ("runs", "usd"))
        utility = [e["utility"] for e in evals]
        apart = " | |" if m == JOINT else gain([a - b for a, b in zip(own, utility, strict=True)])
        rows.append(
            (
                mean(utility),
                f"| {m.name} | {m.kind} | {runs:,.0f} | {usd:.2f} | {plus_minus([e['score'] for e in evals])} "
                f"| {mean(e['usd'] for e in evals):.2f} | {plus_minus(utility)} | {apart} |",
            )
        )
    return "\n".join([*lines, *(row for _, row in sorted(rows, key=lambda row: -row[0]))])


def main() -> None:
    """Run everything, print the table."""
    parser = options(__doc__, out="runs/wide", workers=1)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of training ({EPOCHS})")
    parser.add_argument("--methods", nargs="+", choices=[m.name for m in METHODS], help="rows beside joint (all)")
    args = parser.parse_args()
    began = time.perf_counter()
    seeds = range(args.seeds)
    methods = [m for m in METHODS if not args.methods or m == JOINT or m.name in args.methods]
    args.out.mkdir(parents=True, exist_ok=True)
    jobs = [partial(train, overrides(m, args.epochs), s, folder(args.out, m, s)) for m in methods for s in seeds]
    run_all(jobs, workers=args.workers, folder=args.out)
    about = (
        "All answers are simulated. Eight LLMs, six roles and three ways of working, 144 candidates; mean ± standard "
        f"deviation over {len(seeds)} seeds, each with questions of its own. utility = score - 0.03 x USD per 1,000 "
        "questions on 450 test questions a seed, each run twice. Each learned method has "
        f"{args.epochs} epochs, at most {args.epochs * RUNS_AN_EPOCH:,} runs, and `joint` those beside it in which "
        "agents are asked alone. The best single agent, self-consistency (k samples of it, voted) and the routers are "
        "chosen with a run of every agent on each of 1,080 questions. The bound is what a search of 1.5 million runs "
        "finds ([how](bound_wide.md)): not shown to be the best there is. The controls are `joint` whose graph encoder "
        "passes no messages (`gnn=none`), and `joint` that reads another task's question."
    )
    parts = [
        "# The wide world",
        f"`{command()}`",
        table(args.out, methods, seeds),
        at_equal_usd(args.out, methods, seeds),
        about,
    ]
    text = "\n\n".join(filter(None, parts)) + "\n"
    publish(text, args.write)
    print(f"{time.perf_counter() - began:.0f} seconds")


if __name__ == "__main__":
    main()
