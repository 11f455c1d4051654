"""Small models that really answered: what learns beside the best single agent, on the recording in the package.

    python benchmarks/real.py --write benchmarks/results/real.md

Everything is composed exactly from what each agent replied once; nobody hears anybody. A run that is already in the
output folder is not repeated.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from methods import gain
from runner import command, options, plus_minus, publish, run_all, train, without_repeats

from gdesign.tasks.real import DIRECTORY, Real
from gdesign.tasks.table import load_table

SINGLE = "best single agent, by training and validation"
METHODS = {
    SINGLE: ("designer=search", "designer.families=[singles]"),
    "search: the best one design for all questions": ("designer=search", "designer.families=[singles,votes,cascades]"),
    "evidence": ("designer=evidence",),
    "adaptive": ("designer=adaptive",),
    "ridge": ("designer=ridge",),
    "knn": ("designer=knn",),
    "tfidf (control)": ("designer=tfidf",),
    "length (control)": ("designer=length",),
}
USD_WEIGHT = 0.5


def folder(out: Path, name: str, seed: int) -> Path:
    """Return where a row's run is kept."""
    return out / f"{name.partition(':')[0].partition(',')[0].replace(' ', '_')}-{seed}"


def by_hindsight(seeds: Sequence[int]) -> dict[str, list[tuple[float, float]]]:
    """Return score and USD of the best single agent, and of the best of each question, chosen on the test questions."""
    table = load_table(DIRECTORY, "real")
    found: dict[str, list[tuple[float, float]]] = {"best single agent, by hindsight": [], "the best agent of each": []}
    for seed in seeds:
        qids = [t.id.partition("/")[2] for t in Real(recorded=True, split_seed=seed).load("test")]
        cells = {w: [table.outcome(q, w.model, w.operator) for q in qids] for w in table.columns}
        rows = {w: [(o.correct, 1000 * (o.usd or 0.0)) for o in cells[w]] for w in cells}
        best = max(rows, key=lambda w: mean(score - USD_WEIGHT * usd for score, usd in rows[w]))
        found["best single agent, by hindsight"].append(_means(rows[best]))
        each = [max((rows[w][i] for w in rows), key=lambda r: r[0] - USD_WEIGHT * r[1]) for i in range(len(qids))]
        found["the best agent of each"].append(_means(each))
    return found


def _means(rows: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return mean(score for score, _ in rows), mean(usd for _, usd in rows)


def table(out: Path, names: Sequence[str], seeds: Sequence[int]) -> str:
    """Return the table, best first, with what each is above the best single agent, paired by split."""
    found = {n: [json.loads((folder(out, n, s) / "eval.json").read_text()) for s in seeds] for n in names}
    single = [e["utility"] for e in found[SINGLE]]
    head = (
        "| method | score | USD per 1,000 | utility | above the best single agent | 95 % over splits | splits above 0 |"
    )
    rows = []
    for name, evals in found.items():
        utility = [e["utility"] for e in evals]
        apart = " | |" if name == SINGLE else gain([a - b for a, b in zip(utility, single, strict=True)])
        usd, score = mean(e["usd"] for e in evals), plus_minus([e["score"] for e in evals])
        rows.append((mean(utility), f"| {name} | {score} | {usd:.3f} | {plus_minus(utility)} | {apart} |"))
    for name, pairs in by_hindsight(seeds).items():
        worth = [score - USD_WEIGHT * usd for score, usd in pairs]
        cells = f"{plus_minus([s for s, _ in pairs])} | {mean(u for _, u in pairs):.3f} | {plus_minus(worth)}"
        rows.append((mean(worth), f"| *{name}* | {cells} | | | |"))
    lines = [row for _, row in sorted(rows, key=lambda row: -row[0])]
    return "\n".join([head, "|---|---|---|---|---|---|---|", *lines, without_repeats(7)])


def jobs(names: Sequence[str], seeds: Sequence[int], out: Path) -> list[Callable[[], None]]:
    """Return what is to be run for some rows."""
    out.mkdir(parents=True, exist_ok=True)
    return [
        partial(train, ("experiment=real", "deploy=learned", *METHODS[name]), seed, folder(out, name, seed))
        for name in names
        for seed in seeds
    ]


def about(seeds: Sequence[int]) -> str:
    """Return how the table is to be read."""
    num = len(Real(recorded=True).load("test"))
    splits = (
        f"Mean ± standard deviation over {len(seeds)} splits, about {num} test questions each; splits overlap, so the "
        "spread is no standard error."
        if len(seeds) > 1
        else f"One split, {num} test questions."
    )
    return (
        "Real answers of two small models in three ways of working, each recorded once "
        f"(gdesign/tasks/real_answers/README.md). {splits} utility = score - {USD_WEIGHT} x USD per 1,000 questions, "
        "where USD are seconds of two shared cores at 0.1 USD an hour. Designs are single agents, votes and cascades, "
        "composed exactly from what each agent replied alone; agents that hear each other were not recorded."
    )


def main() -> None:
    """Run everything, print the table."""
    args = options(__doc__, out="runs/real", workers=1).parse_args()
    seeds = range(args.seeds)
    names = list(METHODS)
    run_all(jobs(names, seeds, args.out), workers=args.workers, folder=args.out)
    parts = ["# Small models that really answered", f"`{command()}`", table(args.out, names, seeds), about(seeds)]
    publish("\n\n".join(parts) + "\n", args.write)


if __name__ == "__main__":
    main()
