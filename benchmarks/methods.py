"""Every method in the simulated world at equal numbers of executed training runs, with regret against the optimum.

    python benchmarks/methods.py --write benchmarks/results/methods.md
    python benchmarks/methods.py --world second --write benchmarks/results/methods_second.md

Everything is set in configs/experiment/demo.yaml, or second_world.yaml, and in `METHODS` below; a run that is
already in the output folder is not repeated.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from demo import JOINT, NUM_TEST, Method, find_optimum, fixed, folder
from runner import command, plus_minus, run_all, train

if TYPE_CHECKING:
    from gdesign.types import AgentPool, Design

EPOCHS = 9
RUNS_AN_EPOCH = 900 * 8 + 180
"""Training questions times designs for each, and a run of each validation question."""
WORLDS = {"first": "demo", "second": "second_world"}


def learned(name: str, *overrides: str) -> Method:
    """Return the row of a method that is trained by gradient steps, with the command that its page names."""
    return Method(name=name, kind="learned", overrides=overrides or (f"designer={name}",))


def router(name: str, *overrides: str, kind: str = "router") -> Method:
    """Return the row of a router to one agent."""
    return Method(name=name, kind=kind, overrides=(f"designer={name}", *overrides))


LEARNED = (
    learned("joint", *JOINT),
    learned("gdesigner"),
    learned("supernet", "designer=supernet", "learner.entropy_weight=0.03"),
    learned("cascade_router"),
    learned("autoregressive"),
    learned("relaxed", "designer=relaxed", "learner=bilevel"),
    learned("prune", "designer=prune", "learner.lr=0.05", "learner.entropy_weight=0.03"),
    learned("swarm", "designer=swarm", "learner.lr=0.05"),
)
SHUFFLED = Method(
    name="gdesigner, questions shuffled",
    kind="control",
    overrides=("designer=gdesigner", "data.shuffle_questions=true"),
)
ROUTERS = (
    router("knn"),
    router("ridge"),
    router("mf"),
    router("length", "text=length", kind="control"),
    router("tfidf", "text=words", kind="control"),
)
FIXED = (
    fixed("fixed", "single small", "designer=single", "designer.llm=small"),
    fixed("fixed", "single large", "designer=single", "designer.llm=large"),
    fixed(
        "fixed",
        "cascade small, math-specialist, large",
        "designer=cascade",
        "designer.llms=[small,math-specialist,large]",
    ),
    fixed("fixed", "vote"),
    fixed("fixed", "complete"),
    fixed("fixed", "debate"),
    *(fixed("fixed", f"macnet {shape}", "designer=macnet", f"designer.shape={shape}") for shape in ("chain", "mesh")),
    *(
        fixed("fixed", f"macnet {shape} reverse", "designer=macnet", f"designer.shape={shape}", "designer.reverse=true")
        for shape in ("star", "tree")
    ),
)


def searches(num_runs: int) -> tuple[Method, ...]:
    """Return the rows of searches for one design for all questions, with so many runs where they can be told."""
    told = (f"designer.num_runs={num_runs}", "designer.num_samples=1000")
    return (
        Method(name="search", kind="search", overrides=("designer=search",)),
        Method(name="random_search", kind="search", overrides=("designer=random_search", *told)),
        Method(name="tree_search", kind="search", overrides=("designer=tree_search", *told)),
    )


def every_method(epochs: int) -> tuple[Method, ...]:
    """Return all rows, for so many epochs of training."""
    return (*LEARNED, SHUFFLED, *searches(epochs * RUNS_AN_EPOCH), *ROUTERS, *FIXED)


def with_copies(pool: "AgentPool") -> list["Design"]:
    """Return the designs of up to three agents, copies among them, and the cascades of four."""
    from gdesign.design.searches.enumerate import cascades, small_designs

    return list(dict.fromkeys([*small_designs(pool, copies=True), *cascades(pool, 4, copies=True)]))


OPTIMA = {
    "optimum": "best for each class, <= 3 different agents",
    "optimum-copies": "best for each class, copies and cascades of 4 too",
    "optimum-one": "best one for all questions, <= 3 different agents",
}


def optima(seeds: Sequence[int], out: Path, experiment: str, num_test: int) -> list[Callable[[], None]]:
    """Return the enumerations."""
    careful = {"first_draws": 40, "final_draws": 2560}
    find = partial(find_optimum, seeds, out, experiment=experiment, num_test=num_test)
    return [
        partial(find, name="optimum-copies", designs=with_copies, **careful),
        partial(find, name="optimum", **careful),
        partial(find, name="optimum-one", one_for_all=True, first_draws=180, final_draws=11520),
    ]


def read(out: Path, methods: Sequence[Method], seeds: Sequence[int]) -> dict[str, list[dict]]:
    """Return what the evaluations found, by method and seed."""
    return {m.name: [json.loads((folder(out, m, s) / "eval.json").read_text()) for s in seeds] for m in methods}


def gain(values: Sequence[float]) -> str:
    """Return mean, 95 % interval over seeds and the number of seeds above 0."""
    from gdesign.report.student import interval

    won = f"{sum(v > 0 for v in values)} of {len(values)}"
    if len(values) < 2:
        return f"{mean(values):+.3f} | | {won}"
    low, high = interval(values)
    return f"{mean(values):+.3f} | {low:+.3f} to {high:+.3f} | {won}"


def table(out: Path, methods: Sequence[Method], seeds: Sequence[int]) -> str:
    """Return the table and the paired differences, as Markdown."""
    best = {name: json.loads((out / f"{name}.json").read_text()) for name in OPTIMA}
    values = {name: [best[name][str(s)] for s in seeds] for name in OPTIMA}
    found = read(out, methods, seeds)
    utility = {name: [e["utility"] for e in evals] for name, evals in found.items()}
    lines = [
        "| method | kind | runs in training | USD in training | score | USD per 1,000 | utility | regret "
        "| regret, copies |",
        "|---|---|---|---|---|---|---|---|---|",
    ]

    def regrets(worth: Sequence[float]) -> str:
        return " | ".join(
            plus_minus([b - u for b, u in zip(values[name], worth, strict=True)]) for name in list(OPTIMA)[:2]
        )

    rows = [
        (mean(values[key]), f"| *{name}* | enumerated | | | | | {plus_minus(values[key])} | {regrets(values[key])} |")
        for key, name in OPTIMA.items()
    ]
    for m in methods:
        evals = found[m.name]
        (label,) = {e["label"] for e in evals}
        assert label == "simulated"
        runs, usd = (mean(e["training"][key] for e in evals) for key in ("runs", "usd"))
        rows.append(
            (
                mean(utility[m.name]),
                f"| {m.name} | {m.kind} | {runs:,.0f} | {usd:.2f} | {plus_minus([e['score'] for e in evals])} "
                f"| {mean(e['usd'] for e in evals):.2f} | {plus_minus(utility[m.name])} | {regrets(utility[m.name])} |",
            )
        )
    lines += [row for _, row in sorted(rows, key=lambda row: -row[0])]
    if "joint" in utility:
        lines += [
            "",
            "joint minus each other method, utility, paired by seed:",
            "",
            "| method | difference | 95 % over seeds | seeds above 0 |",
            "|---|---|---|---|",
        ]
        others = sorted((name for name in utility if name != "joint"), key=lambda name: -mean(utility[name]))
        for name in others:
            lines.append(f"| {name} | {gain([a - b for a, b in zip(utility['joint'], utility[name], strict=True)])} |")
    return "\n".join(lines)


def chosen(out: Path) -> str:
    """Return the best designs of both families by class, as Markdown."""
    few, copies = (json.loads((out / f"{name}_designs.json").read_text()) for name in list(OPTIMA)[:2])
    (one,) = json.loads((out / "optimum-one_designs.json").read_text()).values()
    lines = ["| class | <= 3 different agents | with copies and cascades of 4 |", "|---|---|---|"]
    lines += [f"| {key} | {few[key]} | {copies[key]} |" for key in few]
    return "\n".join(
        [
            "What the enumeration chose (`?` marks an agent that speaks only where the others do not all agree, `?2` "
            "where no two of them do; `0>1`: the second hears the first):",
            "",
            *lines,
            "",
            f"For all questions, <= 3 different agents: {one}.",
        ]
    )


def about(epochs: int, seeds: Sequence[int], weight: float, num_test: int) -> str:
    """Return how the table is to be read."""
    return (
        f"All answers are simulated. Mean ± standard deviation over {len(seeds)} seeds; each seed draws other "
        f"questions, other parameters and other answers, the same for all methods. utility = score - {weight} x USD "
        f"per 1,000 questions, on {num_test:,} test questions of each seed, each run twice.\n\n"
        f"**Equal runs.** Each learned method draws 8 designs for each of 900 questions in each of {epochs} epochs and "
        f"runs 180 validation questions after each: {epochs * RUNS_AN_EPOCH:,} runs. Where it draws the same design "
        "twice for a question at once, that is executed once, so the column counts fewer. `random_search` and "
        "`tree_search` get the whole number. `search` and the routers run each agent alone once on each of the same "
        "1,080 questions, and can use no more; the fixed designs learn nothing. USD in training is what all these runs "
        "would have cost.\n\n"
        "**Regret** is the utility lost against the best design for each class of questions (domain and difficulty, "
        "which the text shows), found by enumeration on other questions and scored on the test questions of each "
        "seed. The first family has the graphs, votes and cascades of at most three *different* agents; the second "
        "also has copies of an agent and cascades of four. A method that draws designs outside a family may pass its "
        "optimum: then its regret is negative, as it may be by chance. Each optimum is a lower bound of the best "
        "there is.\n\n"
        "Each learned method has the settings that its page names; they were chosen on other seeds."
    )


def main() -> None:
    """Run everything, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--world", choices=list(WORLDS), default="first", help="which simulated world (first)")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds (5)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first one (0); below 100 only for final results")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of training ({EPOCHS})")
    parser.add_argument(
        "--test-questions",
        type=int,
        default=NUM_TEST,
        help=f"of each seed ({NUM_TEST}); another number needs another --out",
    )
    parser.add_argument("--skip", nargs="*", default=[], help="methods to leave out")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    parser.add_argument("--out", type=Path, help="where run folders go (runs/methods or runs/methods_second)")
    parser.add_argument("--write", type=Path, help="write the table to this file too")
    args = parser.parse_args()
    began = time.perf_counter()
    experiment = WORLDS[args.world]
    size = "" if args.test_questions == NUM_TEST else f"_{args.test_questions}"
    out = args.out or Path("runs") / (("methods" if args.world == "first" else f"methods_{args.world}") + size)
    out.mkdir(parents=True, exist_ok=True)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    methods = [m for m in every_method(args.epochs) if m.name not in args.skip]
    common = (
        f"experiment={experiment}",
        f"trainer.max_epochs={args.epochs}",
        f"+task.num_test={args.test_questions}",
    )
    jobs = optima(seeds, out, experiment, args.test_questions)
    jobs += [partial(train, (*common, *m.overrides), s, folder(out, m, s)) for m in methods for s in seeds]
    run_all(jobs, workers=args.workers, folder=out)
    weight = json.loads((folder(out, methods[0], seeds[0]) / "eval.json").read_text())["usd_weight"]
    which = "The simulated world" if args.world == "first" else "A second simulated world"
    text = (
        f"# {which}: every method at equal numbers of runs\n\n`{command()}`; configs/experiment/{experiment}.yaml.\n\n"
        f"{table(out, methods, seeds)}\n\n{about(args.epochs, seeds, weight, args.test_questions)}\n\n{chosen(out)}\n"
    )
    if args.write:
        args.write.write_text(text)
    print(text)
    print(f"{time.perf_counter() - began:.0f} seconds")


if __name__ == "__main__":
    main()
