"""What the main methods reach in the simulated world against the number of runs that they execute in training.

    python benchmarks/samples.py --write benchmarks/results/samples.md

Each budget is a training of its own, since schedules depend on its length. The largest budget is that of methods.py,
whose run folders are used where they are there. A picture is written beside the table.
"""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from methods import EPOCHS, LEARNED, ROUTERS, RUNS_AN_EPOCH, Method, folder, searches
from runner import command, options, plus_minus, run_all, train

NAMES = ("critic", "gdesigner", "supernet", "cascade_router", "autoregressive", "swarm")
SHARES = (0.25, 1.0, 3.0, EPOCHS)
"""Budgets in epochs."""
VALIDATION = 180


def num_runs(share: float) -> int:
    """Return the most runs that a budget allows, validation included."""
    return round(RUNS_AN_EPOCH * share) if share >= 1 else round((RUNS_AN_EPOCH - VALIDATION) * share) + VALIDATION


def methods(share: float) -> list[Method]:
    """Return the rows, with the overrides that a budget asks for."""
    length = (f"trainer.max_epochs={max(1, round(share))}", f"+trainer.limit_train_batches={min(1.0, share)}")
    if share == EPOCHS:
        length = length[:1]  # as methods.py says it
    found = [Method(name=m.name, kind=m.kind, overrides=(*length, *m.overrides)) for m in LEARNED if m.name in NAMES]
    return found + [m for m in searches(num_runs(share)) if m.name != "search"]


def place(out: Path, full: Path, share: float) -> Path:
    """Return where the run folders of a budget lie."""
    return full if share == EPOCHS else out / f"{num_runs(share)}"


def table(out: Path, full: Path, names: Sequence[str], seeds: Sequence[int]) -> tuple[str, dict[str, list]]:
    """Return the table as Markdown, and by method its points: mean number of runs, utilities by seed."""
    points: dict[str, list] = {}
    for name in names:
        for share in SHARES:
            (method,) = [m for m in methods(share) if m.name == name]
            where = place(out, full, share)
            found = [json.loads((folder(where, method, s) / "eval.json").read_text()) for s in seeds]
            runs = mean(e["training"]["runs"] for e in found)
            points.setdefault(name, []).append((runs, [e["utility"] for e in found]))
    lines = [
        f"| method | {' | '.join(f'{num_runs(share):,} runs' for share in SHARES)} |",
        "|---|" + "---|" * len(SHARES),
    ]
    for name in sorted(names, key=lambda name: -mean(points[name][-1][1])):
        cells = [f"{plus_minus(utility)} ({runs:,.0f})" for runs, utility in points[name]]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines), points


def picture(path: Path, points: dict[str, list], routers: dict[str, tuple], full: Path, seeds: Sequence[int]) -> None:
    """Draw test utility against runs, and validation utility while the longest training goes on."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from gdesign.report.curves import read_curve

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    for i, (name, found) in enumerate(points.items()):
        runs, utility = [r for r, _ in found], [mean(u) for _, u in found]
        left.plot(runs, utility, marker="o", markersize=3, color=f"C{i}", label=name)
        left.fill_between(runs, [min(u) for _, u in found], [max(u) for _, u in found], color=f"C{i}", alpha=0.1)
        (method,) = [m for m in methods(EPOCHS) if m.name == name]
        if method.kind == "learned":
            curves = [read_curve(folder(full, method, s) / "metrics.csv") for s in seeds]
            columns = zip(*(c.runs for c in curves), strict=True), zip(*(c.utility for c in curves), strict=True)
            right.plot(*([mean(c) for c in column] for column in columns), color=f"C{i}", label=name)
    for name, (runs, utility) in routers.items():
        left.plot([runs], [mean(utility)], marker="x", linestyle="none", label=name)
    for axes in (left, right):
        axes.set(xscale="log", xlabel="runs executed in training")
        axes.set_xticks([1_000, 3_000, 10_000, 30_000], ["1,000", "3,000", "10,000", "30,000"])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    left.set(ylabel="utility", title="Test, one training for each budget (band: all seeds)")
    right.set(title=f"Validation, while {num_runs(EPOCHS):,} runs are spent")
    right.legend(*left.get_legend_handles_labels(), fontsize=8, ncols=3, loc="lower right")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Run everything, print the table, draw the picture."""
    parser = options(__doc__, out="runs/samples")
    parser.add_argument("--first-seed", type=int, default=0, help="the first one (0); below 100 only for final results")
    parser.add_argument("--skip", nargs="*", default=[], help="methods to leave out")
    parser.add_argument("--full", type=Path, default=Path("runs/methods"), help="those of methods.py (runs/methods)")
    args = parser.parse_args()
    began = time.perf_counter()
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    args.out.mkdir(parents=True, exist_ok=True)
    jobs: list[Callable[[], None]] = [
        partial(train, m.under("demo"), s, folder(place(args.out, args.full, share), m, s))
        for share in reversed(SHARES)
        for m in methods(share)
        for s in seeds
        if m.name not in args.skip
    ]
    routers = [m for m in ROUTERS if m.name in ("knn", "ridge")]
    longest = (f"trainer.max_epochs={EPOCHS}",)
    jobs += [partial(train, (*m.under("demo"), *longest), s, folder(args.full, m, s)) for m in routers for s in seeds]
    run_all(jobs, workers=args.workers, folder=args.out)
    names = [m.name for m in methods(EPOCHS) if m.name not in args.skip]
    shown, points = table(args.out, args.full, names, seeds)
    beside = {}
    for m in routers:
        found = [json.loads((folder(args.full, m, s) / "eval.json").read_text()) for s in seeds]
        beside[m.name] = mean(e["training"]["runs"] for e in found), [e["utility"] for e in found]
    target = args.write or args.out / "samples.md"
    picture(target.with_suffix(".png"), points, beside, args.full, seeds)
    text = (
        f"# Sample efficiency in the simulated world\n\n`{command()}`; "
        f"experiment=demo.\n\n{shown}\n\n![utility against "
        f"runs]({target.with_suffix('.png').name})\n\nAll answers are simulated. Utility on test questions, mean ± "
        f"standard deviation over {len(seeds)} seeds, and in brackets the runs executed in training, validation "
        "included: a design drawn twice for a question at once is run once, so they are fewer than the budget in the "
        "head of the column. Each budget is a training of its own. Routers run each agent alone once on each "
        "question and have one point: "
        + "; ".join(f"{name} {plus_minus(utility)} ({runs:,.0f})" for name, (runs, utility) in beside.items())
        + ".\n"
    )
    target.write_text(text)
    print(text)
    print(f"{time.perf_counter() - began:.0f} seconds")


if __name__ == "__main__":
    main()
