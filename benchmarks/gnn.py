"""What messages bring: every learned method with other graph encoders, without the task node, without the anchor.

    python benchmarks/gnn.py --write benchmarks/results/gnn.md

Two simulated worlds; runs are ordered so that what is compared most is there first, and a run that is already in the
output folder is not repeated, so it may be stopped and gone on with. swarm and prune have no network, so no row.
"""

import json
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from runner import command, options, plus_minus, publish, run_all, train

EPOCHS = 3
NUM_TRAIN = 450
WORLDS = {"demo": "the first world, 4 agents", "wider_world": "the wider world, 24 agents"}
METHODS = ("critic", "joint", "gdesigner", "supernet", "cascade_router", "autoregressive", "relaxed")
CONVOLUTIONS = ("none", "mean", "gat", "transformer")
WITHOUT = {
    "all edges": (),
    "no task node": ("gnn.task_node=false",),
    "no anchor": ("problem.anchor=none",),
    "neither": ("gnn.task_node=false", "problem.anchor=none"),
}


class Cell(NamedTuple):
    """One training setting."""

    world: str
    method: str
    gnn: str
    edges: str = "all edges"

    def folder(self, out: Path, seed: int) -> Path:
        """Return where its run of a seed is kept."""
        return out / "-".join([self.world, self.method, self.gnn, self.edges.replace(" ", "_"), str(seed)])

    @property
    def overrides(self) -> tuple[str, ...]:
        """The command line."""
        return (
            f"experiment={self.world}",
            f"trainer.max_epochs={EPOCHS}",
            f"++task.num_train={NUM_TRAIN}",
            f"designer={self.method}",
            f"gnn={self.gnn}",
            *WITHOUT[self.edges],
        )


def cells() -> Iterator[Cell]:
    """Yield all settings, what is compared most first; without messages there are no edges to leave out."""

    def edges(gnn: str, world: str) -> Iterator[Cell]:
        return (Cell(world, method, gnn, part) for part in list(WITHOUT)[1:] for method in METHODS)

    first, wider = WORLDS
    yield from (Cell(first, method, gnn) for method in METHODS for gnn in CONVOLUTIONS)
    yield from (Cell(wider, method, gnn) for gnn in CONVOLUTIONS[:2] for method in METHODS)
    yield from edges("mean", first)
    yield from (Cell(wider, method, gnn) for gnn in CONVOLUTIONS[2:] for method in METHODS)
    yield from edges("mean", wider)
    for gnn in CONVOLUTIONS[2:]:
        for world in WORLDS:
            yield from edges(gnn, world)


def utilities(cell: Cell, out: Path, seeds: Sequence[int]) -> dict[int, float]:
    """Return the test utilities that are there, by seed."""
    files = {seed: cell.folder(out, seed) / "eval.json" for seed in seeds}
    return {seed: json.loads(file.read_text())["utility"] for seed, file in files.items() if file.is_file()}


def difference(one: dict[int, float], other: dict[int, float]) -> str:
    """Return the mean paired difference and its 95 % interval over seeds."""
    from scipy import stats

    gains = [one[seed] - other[seed] for seed in one if seed in other]
    if not gains:
        return "-"
    if len(set(gains)) < 2:  # one seed, or the same designs with both
        return f"{mean(gains):+.3f}"
    low, high = stats.t.interval(0.95, len(gains) - 1, mean(gains), stats.sem(gains))
    return f"{mean(gains):+.3f} ({low:+.3f} to {high:+.3f})"


def tables(out: Path, seeds: Sequence[int]) -> str:
    """Return the page's tables."""
    found = {cell: utilities(cell, out, seeds) for cell in cells()}
    lines: list[str] = []
    for world, name in WORLDS.items():
        lines += [
            f"## Convolutions, {name}",
            "",
            "Utility, and beside it the paired difference from `none` with its 95 % interval over seeds:",
            "",
            "| method | seeds | " + " | ".join(CONVOLUTIONS) + " |",
            "|---" * (2 + len(CONVOLUTIONS)) + "|",
        ]
        for method in METHODS:
            none, *others = (found[Cell(world, method, gnn)] for gnn in CONVOLUTIONS)
            if none:
                texts = [plus_minus(list(none.values()))]
                texts += [f"{mean(v.values()):.3f}, {difference(v, none)}" if v else "-" for v in others]
                seeds_there = ", ".join(map(str, dict.fromkeys(len(v) for v in (none, *others) if v)))
                lines.append(f"| {method} | {seeds_there} | " + " | ".join(texts) + " |")
        lines.append("")
    for world, name in WORLDS.items():
        lines += [
            f"## Edges, {name}",
            "",
            "Paired difference from the same encoder with all edges:",
            "",
            "| method | gnn | seeds | " + " | ".join(list(WITHOUT)[1:]) + " |",
            "|---" * (2 + len(WITHOUT)) + "|",
        ]
        for gnn in CONVOLUTIONS[1:]:
            for method in METHODS:
                whole = found[Cell(world, method, gnn)]
                parts = [found[Cell(world, method, gnn, edges)] for edges in list(WITHOUT)[1:]]
                if any(len(part) > 1 for part in parts):
                    texts = [difference(part, whole) for part in parts]
                    lines.append(f"| {method} | {gnn} | {max(map(len, parts))} | " + " | ".join(texts) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Run everything, print the tables."""
    parser = options(__doc__, out="runs/gnn", workers=2)
    parser.add_argument("--tables", action="store_true", help="only make the tables of what is there")
    args = parser.parse_args()
    began = time.perf_counter()
    seeds = range(args.seeds)
    if not args.tables:
        args.out.mkdir(parents=True, exist_ok=True)
        jobs = [partial(train, cell.overrides, seed, cell.folder(args.out, seed)) for cell in cells() for seed in seeds]
        run_all(jobs, workers=args.workers, folder=args.out)
    text = (
        f"# What messages bring\n\n`{command()}`\n\nAll answers are simulated. {EPOCHS} epochs of {NUM_TRAIN} "
        "questions, 8 designs for each; utility = score - 0.03 x USD per 1,000 questions on 450 test questions of each "
        "seed, each run twice. `none` passes no messages: each candidate is read with the question alone.\n\n"
        f"{tables(args.out, seeds)}"
    )
    publish(text, args.write)
    print(f"{time.perf_counter() - began:.0f} seconds")


if __name__ == "__main__":
    main()
