"""An LLM that is added after training, on recorded answers: how much of what training with it would bring.

    GDESIGN_DATA=... python benchmarks/added_llm.py --write benchmarks/results/added_llm.md

For each LLM held out, `joint` is trained without it, then the LLM answers some training questions alone and is used
at once, nothing being trained again; and `joint` is trained with it from the start. The gain is that in utility, mean
over four prices of cost, over the one trained without it.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from frontier import PRICES, evaluate_at, outcomes, utilities
from runner import begin, command, compose, options, plus_minus, publish, run_all, train

LLMS = ("gpt-4o-mini-2024-07-18", "claude-3-5-sonnet-20241022", "deepseek-v2.5-0908")
WAYS = ("without", "added", "with")


def folder(out: Path, llm: str, way: str, seed: int) -> Path:
    """Return the run folder of an LLM held out, a way to have it, and a seed."""
    return out / f"with-{seed}" if way == "with" else out / f"{llm}-{way}-{seed}"


def trained(out: Path, llm: str, way: str, seed: int, *, num_questions: int) -> None:
    """Train one way, and evaluate it at every price."""
    from hydra.utils import instantiate

    overrides = ["experiment=frontier", "designer=evidence"]
    into = folder(out, llm, way, seed)
    if way == "without":
        names = [c.llm for c in instantiate(compose(tuple(overrides)).pool).candidates]
        overrides.append(f"problem.slots={[i for i, name in enumerate(names) if name != llm]}".replace(" ", ""))
    if way == "added":
        overrides += [f"start={folder(out, llm, 'without', seed)}", f"designer.num_probes={num_questions}"]
    if not (into / "checkpoint" / "best.ckpt").is_file():
        train(tuple(overrides), seed, into)
    for price in PRICES:
        evaluate_at(into, split="test", price=price)


def one(out: Path, llm: str, seed: int, *, num_questions: int) -> None:
    """Train without an LLM, then add it."""
    for way in ("without", "added"):
        trained(out, llm, way, seed, num_questions=num_questions)


def mean_utility(path: Path) -> float:
    """Return the weighted mean utility of a run folder over questions and prices."""
    table = outcomes([path] * len(PRICES), split="test")
    return float((utilities(table)[-1] * table[0, :, 0]).sum() / table[0, :, 0].sum())


def table(out: Path, num_seeds: int) -> str:
    """Return gains as Markdown."""
    lines = [
        "| LLM held out | utility without | gain when added | gain when trained with | share |",
        "|---|---|---|---|---|",
    ]
    total = [0.0, 0.0]
    for llm in LLMS:
        values = {way: [mean_utility(folder(out, llm, way, s)) for s in range(num_seeds)] for way in WAYS}
        added, whole = (
            [a - b for a, b in zip(values[way], values["without"], strict=True)] for way in ("added", "with")
        )
        total[0] += sum(added)
        total[1] += sum(whole)
        share = f"{sum(added) / sum(whole):.0%}" if sum(whole) > 0.002 * num_seeds else "(next to no gain)"
        lines.append(
            f"| {llm} | {plus_minus(values['without'])} | {plus_minus(added)} | {plus_minus(whole)} | {share} |"
        )
    return "\n".join([*lines, "", f"Pooled over the LLMs and seeds: {total[0] / total[1]:.0%} of the gain."])


def main() -> None:
    """Run everything, print the table."""
    parser = options(__doc__, out="runs/added_llm")
    parser.add_argument("--questions", type=int, default=200, help="what an added LLM is asked (200)")
    args = parser.parse_args()
    jobs: list[Callable[[], None]] = [
        partial(trained, args.out, "", "with", seed, num_questions=0) for seed in range(args.seeds)
    ]
    jobs += [
        partial(one, args.out, llm, seed, num_questions=args.questions) for seed in range(args.seeds) for llm in LLMS
    ]
    run_all(jobs, workers=args.workers, folder=args.out)
    text = (
        f"# An LLM added after training\n\n`{command()}`; experiment=frontier; "
        f"answers exact. The added LLM answers {args.questions} training questions; utilities are means over lambda "
        f"{', '.join(f'{p:g}' for p in PRICES)}, mean ± standard deviation over {args.seeds} random halves outside the "
        f"lock-box.\n\n{table(args.out, args.seeds)}\n"
    )
    publish(text, args.write)


if __name__ == "__main__":
    begin(main)
