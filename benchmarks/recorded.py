"""Whom to ask first and when to ask a dearer LLM, on recorded answers of 26 LLMs.

    GDESIGN_DATA=... python benchmarks/recorded.py --write benchmarks/results/recorded.md

GSM8K, MATH-L5 and CRUX-O weigh the same. Each seed splits the questions outside the lock-box into another
half for training and half for the test; search and joint get the same training half. Everything is set in
configs/experiment/recorded.yaml.
"""

import argparse
import json
import os
from collections import Counter
from functools import partial
from pathlib import Path
from statistics import mean

from runner import plus_minus, run_all, train

from gdesign.execute.runs import design_from_json, read_runs
from gdesign.report.tables import paired_interval
from gdesign.types import Design

COMMAND = "python benchmarks/recorded.py --write benchmarks/results/recorded.md"
SINGLE, CASCADE = "best single LLM (search)", "best two-then-one cascade (search)"
SCRATCH, WARM = "joint from scratch", "joint from the searched cascade"
TAUGHT = ("trainer.max_epochs=5", "learner.lr=0.002", "learner.entropy_weight=0.0", "split=null")
GOING_ON = ("learner.entropy_weight=0.005", "learner.lr=0.0003", "trainer.max_epochs=12")
METHODS = (SINGLE, CASCADE, SCRATCH, WARM)


def folder(out: Path, name: str, seed: int) -> Path:
    """Return the run folder of a method and a seed."""
    return out / f"{name.split(' (')[0].replace(' ', '-')}-{seed}"


def run_seed(out: Path, seed: int, *, searched: bool) -> None:
    """Run one seed: joint from scratch, or both searches and joint from what the second one found."""
    common = ("experiment=recorded",)
    if not searched:
        train((*common, "designer=joint"), seed, folder(out, SCRATCH, seed))
        return
    for name, family in ((SINGLE, "singles"), (CASCADE, "cascades")):
        train((*common, "designer=search", f"designer.families=[{family}]"), seed, folder(out, name, seed))
    taught = out / f"taught-{seed}"
    teacher = f"learner.teacher.path={folder(out, CASCADE, seed)}"
    train((*common, "designer=joint", "learner=distillation", teacher, *TAUGHT), seed, taught)
    train((*common, "designer=joint", f"start={taught}", *GOING_ON), seed, folder(out, WARM, seed))


def in_words(design: Design) -> str:
    """Return the LLMs of a design, the gated one marked."""
    return ", ".join(f"{'?' if a.gate else ''}{a.llm}" for a in design.agents)


def table(out: Path, num_seeds: int) -> str:
    """Return scores, paired differences and the commonest designs as Markdown."""
    seeds = range(num_seeds)
    evals = {m: [json.loads((folder(out, m, s) / "eval.json").read_text()) for s in seeds] for m in METHODS}
    weight = evals[WARM][0]["usd_weight"]
    lines = ["| method | answers | questions | score | USD per 1,000 | utility |", "|---|---|---|---|---|---|"]
    for name, found in evals.items():
        (label,) = {e["label"] for e in found}
        lines.append(
            f"| {name} | {label} | {found[0]['n']} | {plus_minus([e['score'] for e in found])} "
            f"| {plus_minus([e['usd'] for e in found])} | {plus_minus([e['utility'] for e in found])} |"
        )
    lines += [
        "",
        f"Mean ± standard deviation over {num_seeds} seeds; the test halves overlap, so the spread is no standard "
        f"error. utility = score - {weight} x USD per 1,000 questions; the three benchmarks weigh the same.",
        "",
        "Paired by question, 95 % by a bootstrap over questions:",
        "",
        "| first | second | seed | score, first - second | utility |",
        "|---|---|---|---|---|",
    ]
    for first in (SCRATCH, WARM):
        for second in (SINGLE, CASCADE):
            for seed in seeds:
                cells = []
                for metric in ("score", "utility"):
                    pair = paired_interval(
                        folder(out, first, seed), folder(out, second, seed), metric=metric, usd_weight=weight
                    )
                    low, high = pair.interval
                    cells.append(f"{pair.difference:+.4f} ({low:+.4f} to {high:+.4f})")
                lines.append(f"| {first} | {second} | {seed} | {cells[0]} | {cells[1]} |")
            gains = [a["utility"] - b["utility"] for a, b in zip(evals[first], evals[second], strict=True)]
            lines.append(f"| {first} | {second} | mean | | {mean(gains):+.4f} |")
    lines += ["", "Designs on the test half, and the share of questions they were drawn for:", ""]
    for name in METHODS:
        for seed in seeds:
            designs = [
                design_from_json(r["design"]) for r in read_runs(folder(out, name, seed) / "runs.jsonl", phase="test")
            ]
            common = Counter(map(in_words, designs)).most_common(3)
            shown = "; ".join(f"{text} ({count / len(designs):.0%})" for text, count in common)
            lines.append(f"- {name}, seed {seed}: {shown}")
    return "\n".join(lines)


def main() -> None:
    """Run everything, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (3)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    parser.add_argument("--out", type=Path, default=Path("runs/recorded"), help="where run folders go (runs/recorded)")
    parser.add_argument("--write", type=Path, help="write the table to this file too")
    args = parser.parse_args()
    jobs = [
        partial(run_seed, args.out, seed, searched=searched) for searched in (False, True) for seed in range(args.seeds)
    ]
    run_all(jobs, workers=args.workers, folder=args.out)
    text = (
        "# Recorded answers: joint beside search\n\n"
        f"`{COMMAND}`; configs/experiment/recorded.yaml. `?` marks the agent that speaks only where the others "
        f"disagree.\n\n{table(args.out, args.seeds)}\n"
    )
    if args.write:
        args.write.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
