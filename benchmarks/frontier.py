"""Score against cost on recorded answers of 26 LLMs: one `joint` checkpoint beside searches made for each price.

    GDESIGN_DATA=... python benchmarks/frontier.py --write benchmarks/results/frontier.md
    GDESIGN_DATA=... python benchmarks/frontier.py --lockbox --write benchmarks/results/frontier-lockbox.md

GSM8K, MATH-L5 and CRUX-O weigh the same. Each seed splits the questions outside the lock-box into another half for
training and half for the test; every method gets the same training half, validation included. With --lockbox
everything outside the lock-box is trained on and the lock-box is the test. Everything is set in
experiment=frontier.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

import torch
from runner import begin, command, evaluate, options, plus_minus, publish, run_all, train, without_repeats

from gdesign.runs.log import read_runs

PRICES = (0.005, 0.02, 0.05, 0.1)
"""lambda: utility per USD per 1,000 questions."""
REFERENCE = "two-then-one cascade, searched"
METHODS: Mapping[str, tuple[bool, tuple[str, ...]]] = {
    "single LLM, searched": (False, ("designer=search", "designer.families=[singles]")),
    REFERENCE: (False, ("designer=search", "designer.families=[cascades]")),
    "nearest neighbours, one LLM": (True, ("designer=knn",)),
    "ridge, one LLM": (True, ("designer=ridge",)),
    "joint": (True, ("designer=evidence",)),
}
"""Overrides, and whether one checkpoint serves every price; if not, a search is made for each."""


def folder(out: Path, name: str, seed: int, price: float | None = None) -> Path:
    """Return the run folder of a method, a seed and, for what is searched anew at each, a price."""
    text = f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    return out / (text if price is None else f"{text}-{price:g}")


def evaluate_at(trained: Path, *, split: str, price: float) -> None:
    """Evaluate a checkpoint at a price, unless that was done."""
    evaluate(trained, (f"split={split}", f"reward.usd_weight={price}"), trained / f"{split}-{price:g}")


def run(out: Path, name: str, seed: int, *, split: str, extra: tuple[str, ...]) -> None:
    """Train a method with a seed, and evaluate it at every price."""
    once, overrides = METHODS[name]
    for price in PRICES:
        trained = folder(out, name, seed, None if once else price)
        if not (trained / "checkpoint" / "best.ckpt").is_file():
            train(("experiment=frontier", *overrides, f"reward.usd_weight={price}", *extra), seed, trained)
        evaluate_at(trained, split=split, price=price)


def outcomes(folders: Sequence[Path], *, split: str) -> torch.Tensor:
    """Return weight, score and USD for 1,000 questions of every question (by id), a table for each price's folder."""
    tables = []
    for price, trained in zip(PRICES, folders, strict=True):
        path = trained / f"{split}-{price:g}" / "runs.jsonl"
        rows = sorted(read_runs(path, phase=split), key=lambda row: (row["benchmark"], row["task"]))
        tables.append([[row.get("weight", 1.0), row["score"], 1000 * row["usd"]] for row in rows])
    return torch.tensor(tables, dtype=torch.float64)


def utilities(table: torch.Tensor) -> torch.Tensor:
    """Return the utility of every question at every price, and in a last row their mean over prices."""
    worth = table[..., 1] - torch.tensor(PRICES, dtype=torch.float64)[:, None] * table[..., 2]
    return torch.cat([worth, worth.mean(0, keepdim=True)])


def bootstrap(difference: torch.Tensor, weight: torch.Tensor, *, num: int = 4000) -> tuple[float, float]:
    """Return the 95 % interval of a weighted mean over questions."""
    draws = torch.randint(len(weight), (num, len(weight)), generator=torch.Generator().manual_seed(0))
    means = (difference[draws] * weight[draws]).sum(1) / weight[draws].sum(1)
    low, high = means.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def table(out: Path, seeds: Sequence[int], *, split: str) -> str:
    """Return utilities and their differences from the searched cascade, as Markdown."""

    def folders(name: str, seed: int) -> list[Path]:
        return [folder(out, name, seed, None if METHODS[name][0] else price) for price in PRICES]

    found = {name: [outcomes(folders(name, seed), split=split) for seed in seeds] for name in METHODS}

    def means(name: str, against: str | None = None) -> torch.Tensor:
        rows = []
        for i in range(len(seeds)):
            own = found[name][i]
            worth = utilities(own) - (utilities(found[against][i]) if against else 0)
            rows.append((worth * own[0, :, 0]).sum(1) / own[0, :, 0].sum())
        return torch.stack(rows)

    heads = [f"lambda {price:g}" for price in PRICES]
    lines = [f"| utility | {' | '.join(heads)} | mean |", "|---" * (len(PRICES) + 2) + "|"]
    for name in METHODS:
        lines.append(f"| {name} | {' | '.join(plus_minus(column) for column in means(name).T.tolist())} |")
    lines.append(without_repeats(len(PRICES) + 2))
    lines += ["", f"Less that of the {REFERENCE}:", "", lines[0], lines[1]]
    for name in METHODS:
        if name != REFERENCE:
            columns = means(name, REFERENCE).T.tolist()
            lines.append(f"| {name} | {' | '.join(plus_minus_signed(column) for column in columns)} |")
    lines += ["", "95 % intervals of joint's differences, by a bootstrap over questions:", ""]
    for i, seed in enumerate(seeds):
        own, other = found["joint"][i], found[REFERENCE][i]
        difference, weight = utilities(own) - utilities(other), own[0, :, 0]
        cells = []
        for row in difference:
            low, high = bootstrap(row, weight)
            cells.append(f"{float((row * weight).sum() / weight.sum()):+.4f} ({low:+.4f} to {high:+.4f})")
        lines.append(f"- seed {seed}, {len(weight)} questions: {'; '.join(cells[:-1])}; mean {cells[-1]}")
    lines += ["", "| score at USD per 1,000 questions | " + " | ".join(heads) + " |", "|---" * (len(PRICES) + 1) + "|"]
    for name in METHODS:
        cells = []
        for j in range(len(PRICES)):
            score, usd = (
                mean(float((t[j, :, k] * t[j, :, 0]).sum() / t[j, :, 0].sum()) for t in found[name]) for k in (1, 2)
            )
            cells.append(f"{score:.3f} at {usd:.2f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plus_minus_signed(values: Sequence[float]) -> str:
    """Return mean and standard deviation, the mean with its sign."""
    return f"{mean(values):+.4f}" + (f" ± {torch.tensor(values).std():.4f}" if len(values) > 1 else "")


def main() -> None:
    """Run everything, print the table."""
    parser = options(__doc__, out="runs/frontier")
    parser.add_argument("--lockbox", action="store_true", help="train on all else and test on the lock-box")
    args = parser.parse_args()
    split, extra = ("lockbox", ("+task.final=true",)) if args.lockbox else ("test", ())
    out = args.out / split
    seeds = range(args.seeds)
    jobs: list[Callable[[], None]] = [
        partial(run, out, name, seed, split=split, extra=extra) for seed in seeds for name in METHODS
    ]
    run_all(jobs, workers=args.workers, folder=out)
    what = (
        "Trained on all questions outside the lock-box, tested on the lock-box."
        if args.lockbox
        else f"Mean ± standard deviation over {args.seeds} random halves outside the lock-box; the halves overlap, so "
        "the spread is no standard error."
    )
    text = (
        f"# Score against cost on recorded answers{', the lock-box' if args.lockbox else ''}\n\n"
        f"`{command()}`; experiment=frontier; answers exact. "
        f"utility = score - lambda x USD per 1,000 questions; the three benchmarks weigh the same. {what}\n\n"
        f"{table(out, seeds, split=split)}\n"
    )
    publish(text, args.write)


if __name__ == "__main__":
    begin(main)
