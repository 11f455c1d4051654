"""Trained on one task or pool and used on another, in the simulated world; and an LLM that is added after training.

    python benchmarks/transfer.py --write benchmarks/results/transfer.md

Methods whose parameters belong to no slot, with their settings of methods.py, each beside what it reaches when it is
trained on what it is used on.
"""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from methods import LEARNED, RUNS_AN_EPOCH, Method, gain
from runner import command, evaluate, options, plus_minus, publish, run_all, train

NAMES = ("joint", "gdesigner", "supernet", "cascade_router", "autoregressive")
DOMAINS = ("mathematics", "code", "knowledge")
LLMS = ("small", "math-specialist", "code-specialist", "knowledge-specialist", "large")
"""Those of the candidates 0 to 4 of the pool simulated_large; candidate 5 is an adversary."""
HELD_OUT = (1, 2, 3)
EPOCHS = 6
BLIND = Method(name="search", kind="search")
"""One design for all questions, for comparison where a domain is left out."""
PROBES = {"joint": ("designer.num_probes=null", "designer.max_probes=null", "designer.hidden=0.3")}
"""What lets a method ask agents alone before training; these runs count as training's."""
NUM_ADDED = 300
"""How many questions an agent is asked that is added later."""


def some(slots: Sequence[int]) -> str:
    """Return the override that offers these candidates."""
    return f"problem.slots=[{','.join(map(str, slots))}]"


def fresh(domain: str, seed: int) -> tuple[str, ...]:
    """Return the overrides for test questions of one domain, of a seed that nothing is trained with."""
    return f"+task.domains=[{domain}]", f"+task.seed={20_000 + seed}"


def run_method(out: Path, method: Method, seed: int, training: str, common: tuple[str, ...]) -> None:
    """Train in one of the ways, then evaluate wherever that is used."""
    here = out / training / f"{method.name}-{seed}"

    def learn(*overrides: str) -> None:
        train((*method.under("demo"), *common, *overrides), seed, here)

    def use(name: str, *overrides: str) -> None:
        evaluate(here, overrides, out / name / f"{method.name}-{seed}")

    kind, _, what = training.partition("-")
    match kind:
        case "everything":  # four agents, all domains
            learn()
            for domain in DOMAINS:
                use(f"everything-on-{domain}", *fresh(domain, seed))
            if method.name != BLIND.name:
                use("simulated-on-large", "pool.name=simulated_large")
        case "without":  # a domain
            others = ",".join(d for d in DOMAINS if d != what)
            learn(f"+task.domains=[{others}]")
            use(f"without-on-{what}", *fresh(what, seed))
        case "large":
            learn("pool.name=simulated_large")
        case "five":
            learn("pool.name=simulated_large", some(range(5)), *PROBES.get(method.name, ()))
        case "held":  # an LLM, by its slot
            probes = PROBES.get(method.name, ())
            learn("pool.name=simulated_large", some([i for i in range(5) if i != int(what)]), *probes)
            if probes:
                added = (f"start={here}", "trainer.max_epochs=0", f"designer.num_probes={NUM_ADDED}")
                overrides = (*method.under("demo"), *common, "pool.name=simulated_large", some(range(5)), *added)
                train(overrides, seed, out / f"added-{what}" / f"{method.name}-{seed}")
            else:
                use(f"added-{what}", some(range(5)))
        case _:
            raise AssertionError(training)


TRAININGS = (
    "everything",
    *(f"without-{domain}" for domain in DOMAINS),
    "large",
    "five",
    *(f"held-{slot}" for slot in HELD_OUT),
)


def tables(out: Path, methods: Sequence[Method], seeds: Sequence[int]) -> str:
    """Return the three tables as Markdown."""

    def utility(case: str, name: str) -> list[float]:
        return [json.loads((out / case / f"{name}-{s}" / "eval.json").read_text())["utility"] for s in seeds]

    def minus(first: Sequence[float], second: Sequence[float]) -> list[float]:
        return [a - b for a, b in zip(first, second, strict=True)]

    lines = ["## Another task: a domain of questions left out of training", ""]
    head = "| method | tested on | trained on the other two | trained on all three | difference | 95 % | above 0 |"
    lines += [head, "|---|---|---|---|---|---|---|"]
    for m in (*methods, BLIND):
        for domain in DOMAINS:
            moved, trained = (utility(f"{case}-on-{domain}", m.name) for case in ("without", "everything"))
            cells = f"{plus_minus(moved)} | {plus_minus(trained)} | {gain(minus(moved, trained))}"
            lines.append(f"| {m.name} | {domain} | {cells} |")
    lines += [
        "",
        "## Another pool: trained on `simulated` (4 agents), used on `simulated_large` (6, one an adversary)",
        "",
    ]
    lines += [
        "| method | used on the 4 | used on the 6 | trained on the 6 | used - trained on the 6 | 95 % | above 0 |",
        "|---|---|---|---|---|---|---|",
    ]
    for m in methods:
        small, used, trained = (utility(case, m.name) for case in ("everything", "simulated-on-large", "large"))
        cells = [*map(plus_minus, (small, used, trained)), gain(minus(used, trained))]
        lines.append(f"| {m.name} | {' | '.join(cells)} |")
    lines += ["", "## An LLM added after training", ""]
    lines += [
        "| method | held out | without it | added later | trained with it | gain, added | gain, trained | share |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for m in methods:
        added_gains: list[float] = []
        trained_gains: list[float] = []
        for slot in HELD_OUT:
            without, added, trained = (utility(case, m.name) for case in (f"held-{slot}", f"added-{slot}", "five"))
            gains = minus(added, without), minus(trained, without)
            added_gains += gains[0]
            trained_gains += gains[1]
            cells = [*map(plus_minus, (without, added, trained)), *map(plus_minus, gains)]
            lines.append(f"| {m.name} | {LLMS[slot]} | {' | '.join(cells)} | |")
        share = f"{mean(added_gains) / mean(trained_gains):.0%}" if mean(trained_gains) > 0 else "nothing to gain"
        lines.append(
            f"| {m.name} | *all three* | | | | {plus_minus(added_gains)} | {plus_minus(trained_gains)} | {share} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run everything, print the tables."""
    parser = options(__doc__, out="runs/transfer")
    parser.add_argument("--first-seed", type=int, default=0, help="the first one (0); below 100 only for final results")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of training ({EPOCHS})")
    parser.add_argument("--skip", nargs="*", default=[], help="methods to leave out")
    args = parser.parse_args()
    began = time.perf_counter()
    args.out.mkdir(parents=True, exist_ok=True)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    methods = [m for m in LEARNED if m.name in NAMES and m.name not in args.skip]
    common = (f"trainer.max_epochs={args.epochs}",)
    jobs: list[Callable[[], None]] = [
        partial(run_method, args.out, m, s, training, common) for training in TRAININGS for m in methods for s in seeds
    ]
    jobs += [
        partial(run_method, args.out, BLIND, s, training, common)
        for training in ("everything", *(f"without-{domain}" for domain in DOMAINS))
        for s in seeds
    ]
    run_all(jobs, workers=args.workers, folder=args.out)
    text = (
        f"# Transfer in the simulated world\n\n`{command()}`; "
        f"experiment=demo.\n\n{tables(args.out, methods, seeds)}\n\nAll answers are simulated. Utility "
        f"at 0.03 per USD per 1,000 questions, mean ± standard deviation over {len(seeds)} seeds (in the last rows "
        "over seeds and LLMs), differences paired by seed with the 95 % interval over seeds. Every training takes "
        f"{args.epochs} epochs, at most {args.epochs * RUNS_AN_EPOCH:,} runs. Nothing is trained again where a method "
        "is used on something else. The first table tests on 450 questions of one domain that no training has seen; "
        "the last offers the five honest agents of `simulated_large`, of which one specialist is left out of "
        "training. joint asks each agent the training questions alone before it is trained, and the added one "
        f"{NUM_ADDED} of them; the other methods know the added one by its text alone. share: gain of adding it over "
        "the gain of training with it, pooled over the three.\n"
    )
    publish(text, args.write)
    print(f"{time.perf_counter() - began:.0f} seconds")


if __name__ == "__main__":
    main()
