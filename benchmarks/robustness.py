"""What 0, 1 and 2 adversaries among 6 agents do to every method in the simulated world.

    python benchmarks/robustness.py --write benchmarks/results/robustness.md

The agents are those of benchmarks/six_agents.yaml. An adversary always argues for the popular wrong answer; its role,
LLM, price and texts are those of the honest agent whose place it takes. Everything else is as in methods.py.
"""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from methods import LEARNED, ROUTERS, RUNS_AN_EPOCH, Method, folder, searches
from runner import ROOT, command, evaluate, options, plus_minus, publish, run_all, train

POOL = ("pool=file", f"pool.path={ROOT / 'benchmarks' / 'six_agents.yaml'}")
ADVERSARIES = ("adviser", "clerk")
EPOCHS = 6
FIXED = tuple(Method(name=name, kind="fixed") for name in ("complete", "vote", "chain", "debate", "single_large"))


def world(num: int) -> str:
    """Return the override that turns so many agents."""
    names = ",".join(ADVERSARIES[:num])
    return f"+llm.world={{_target_:gdesign.llm.simulated.World,_convert_:all,adversaries:[{names}]}}"


def run_method(out: Path, method: Method, seed: int, num: int, common: tuple[str, ...]) -> None:
    """Train and evaluate with so many adversaries; trained without any, evaluate with one and with two as well."""
    trained = folder(out / str(num), method, seed)
    train((*method.under("demo"), *POOL, world(num), *common), seed, trained)
    if num == 0 and method.kind != "fixed":
        for later in (1, 2):
            evaluate(trained, (world(later),), folder(out / f"turned-{later}", method, seed))


def table(out: Path, methods: Sequence[Method], seeds: Sequence[int]) -> str:
    """Return both tables as Markdown."""

    def read(case: str, method: Method, key: str) -> list[float]:
        return [json.loads((folder(out / case, method, s) / "eval.json").read_text())[key] for s in seeds]

    def rows(title: str, cases: Sequence[str], shown: Sequence[Method]) -> list[str]:
        lines = [
            f"## {title}",
            "",
            "| method | kind | score, none | score, 1 | score, 2 | change by 1 | change by 2 | utility, none "
            "| utility, 1 | utility, 2 |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for m in sorted(shown, key=lambda m: -mean(read(cases[1], m, "utility"))):
            score = [read(case, m, "score") for case in cases]
            changes = [plus_minus([b - a for a, b in zip(score[0], later, strict=True)]) for later in score[1:]]
            utility = [f"{mean(read(case, m, 'utility')):.3f}" for case in cases]
            cells = [m.name, m.kind, *map(plus_minus, score), *changes, *utility]
            lines.append(f"| {' | '.join(cells)} |")
        return lines

    learners = [m for m in methods if m.kind != "fixed"]
    return "\n".join(
        [
            *rows("Adversaries are there from the start of training", ["0", "1", "2"], methods),
            "",
            *rows("Adversaries appear after training", ["0", "turned-1", "turned-2"], learners),
        ]
    )


def main() -> None:
    """Run everything, print the tables."""
    parser = options(__doc__, out="runs/robustness")
    parser.add_argument("--first-seed", type=int, default=0, help="the first one (0); below 100 only for final results")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of training ({EPOCHS})")
    parser.add_argument("--skip", nargs="*", default=[], help="methods to leave out")
    args = parser.parse_args()
    began = time.perf_counter()
    args.out.mkdir(parents=True, exist_ok=True)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    every = (*LEARNED, *searches(args.epochs * RUNS_AN_EPOCH), *ROUTERS, *FIXED)
    methods = [m for m in every if m.name not in args.skip]
    common = (f"trainer.max_epochs={args.epochs}",)
    jobs: list[Callable[[], None]] = [
        partial(run_method, args.out, m, s, num, common) for m in methods for s in seeds for num in range(3)
    ]
    run_all(jobs, workers=args.workers, folder=args.out)
    text = (
        f"# Robustness: 0, 1 and 2 adversaries of 6 agents\n\n`{command()}`; experiment=demo, "
        f"benchmarks/six_agents.yaml.\n\n{table(args.out, methods, seeds)}\n\nAll answers are simulated. Mean ± "
        f"standard deviation over {len(seeds)} seeds; changes are paired by seed. Six agents: "
        f"{', '.join(ADVERSARIES)} and assistant are cheap generalists, of which the first one or two become "
        "adversaries, which always argue for the popular wrong answer. Nothing that a method reads tells that: "
        "texts, LLM and price stay. So in the first table a method can learn whom not to listen to from what runs "
        "were worth, and its score can fall because an honest agent is missing, too; in the second it learned with "
        f"six honest agents, and is hit if it relies on one that turns. {args.epochs} epochs, at most "
        f"{args.epochs * RUNS_AN_EPOCH:,} runs in training for each; fixed designs have all six agents, but for "
        "single large, and the first adversary speaks first in them. What the simulated world exaggerates about "
        "adversaries is said in [decision 1](../../docs/decisions/0001-simulated-world.md).\n"
    )
    publish(text, args.write)
    print(f"{time.perf_counter() - began:.0f} seconds")


if __name__ == "__main__":
    main()
