"""Every method in the simulated world at equal numbers of executed training runs, with regret against the optimum.

    python benchmarks/methods.py --write benchmarks/results/methods.md
    python benchmarks/methods.py --world second --write benchmarks/results/methods_second.md

Everything is set in experiment=demo, or second_world, and in experiment=methods/..., a file a row; a run that is
already in the output folder is not repeated.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from runner import command, compose, plus_minus, run_all, train

if TYPE_CHECKING:
    from gdesign.types import AgentPool, Design

EPOCHS = 9
RUNS_AN_EPOCH = 900 * 8 + 180
"""Training questions times designs for each, and a run of each validation question."""
WORLDS = {"first": "demo", "second": "second_world"}
CHOICE_SEED = 10_000
"""Draws the questions that the optimum is chosen on; no method sees them."""
NUM_TEST = 450
"""Test questions of a seed, as gdesign.tasks.synthetic has them unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One row of a table.

    Attributes:
        name: What the table calls it, and, with _ for what is no letter, its file in experiment/methods/.
        kind: What it is: `learned`, `control`, `search`, `rival`, `router` or `fixed`.
        overrides: What it needs beside that file.
    """

    name: str
    kind: str
    overrides: tuple[str, ...] = ()

    @property
    def config(self) -> str:
        """The name of its file."""
        return self.name.replace(", ", "_").replace(" ", "_")

    def under(self, experiment: str) -> tuple[str, ...]:
        """Return its overrides in an experiment."""
        return (f"experiment=[{experiment},methods/{self.config}]", *self.overrides)


def folder(out: Path, method: Method, seed: int) -> Path:
    """Return the run folder of a method and a seed."""
    return out / f"{method.config.replace('_', '-')}-{seed}"


NAMES = {
    "learned": "critic joint gdesigner supernet cascade_router autoregressive relaxed prune swarm diffusion",
    "router": "knn ridge mf",
    "fixed": "single_small single_large cascade vote complete debate macnet_chain macnet_mesh macnet_star_reverse "
    "macnet_tree_reverse",
}
LEARNED, ROUTERS, FIXED = (tuple(Method(name=n, kind=kind) for n in names.split()) for kind, names in NAMES.items())
SINGLE = Method(name="best_single", kind="rival")
COPIES = tuple(Method(name=f"self_consistency_{k}", kind="rival") for k in (3, 5, 8))
RIVALS = (SINGLE, *COPIES)
"""The agent that is best alone on training questions, and votes of several copies of it."""
CONTROLS = tuple(Method(name=name, kind="control") for name in ("gdesigner_shuffled", "length", "tfidf"))


def searches(num_runs: int) -> tuple[Method, ...]:
    """Return the rows of searches for one design for all questions, with so many runs where they can be told."""
    told = (f"designer.num_runs={num_runs}",)
    return (
        Method(name="search", kind="search"),
        Method(name="random_search", kind="search", overrides=told),
        Method(name="tree_search", kind="search", overrides=told),
    )


def every_method(epochs: int) -> tuple[Method, ...]:
    """Return all rows, for so many epochs of training."""
    return (*LEARNED, *CONTROLS, *searches(epochs * RUNS_AN_EPOCH), *RIVALS, *ROUTERS, *FIXED)


def with_copies(pool: "AgentPool") -> list["Design"]:
    """Return the designs of up to three agents, copies among them, and the cascades of four."""
    from gdesign.design.searches.enumerate import cascades, small_designs

    return list(dict.fromkeys([*small_designs(pool, copies=True), *cascades(pool, 4, copies=True)]))


OPTIMA = {
    "optimum": "best for each class, <= 3 different agents",
    "optimum-copies": "best for each class, copies and cascades of 4 too",
    "optimum-one": "best one for all questions, <= 3 different agents",
}


def find_optimum(
    seeds: Sequence[int],
    out: Path,
    *,
    name: str = "optimum",
    experiment: str = "demo",
    designs: Callable[["AgentPool"], Sequence["Design"]] | None = None,
    one_for_all: bool = False,
    num_test: int = NUM_TEST,
    **draws: int,
) -> None:
    """Choose the best design of each class by enumeration, then run it on the test questions of every seed.

    Args:
        seeds: Draw the test questions.
        out: Gets `<name>.json`, utility by seed, and `<name>_designs.json`, what was chosen for each class.
        name: What the file is called.
        experiment: Has the world, the pool and the price of cost.
        designs: To choose among, given the pool; None for those of up to three different agents.
        one_for_all: Choose one design for all classes instead.
        num_test: How many test questions each seed has.
        draws: How many draws `optimum` takes.
    """
    found = out / f"{name}.json"
    if found.is_file() and {str(seed) for seed in seeds} <= json.loads(found.read_text()).keys():
        return
    from hydra.utils import instantiate
    from optimum import measure, optimum
    from world import by_class, in_words

    from gdesign.design.searches.enumerate import small_designs
    from gdesign.execute.arena import LocalArena
    from gdesign.execute.reward import Reward
    from gdesign.tasks.synthetic import Synthetic
    from gdesign.types import Task

    config = compose(("designer=single", f"experiment={experiment}"))
    pool, llm = instantiate(config.pool), instantiate(config.llm)
    benchmark = Synthetic(seed=CHOICE_SEED)
    reward = Reward(**config.reward)

    def split(tasks: list[Task]) -> dict[Any, list[Task]]:
        return {"all": tasks} if one_for_all else by_class(tasks)

    def value(tasks: Sequence[Task], chosen: dict[Any, Any]) -> float:
        classes = split(list(tasks))
        values = {
            key: measure(
                chosen[key].design,
                tasks=members,
                arena=arena,
                reward=reward,
                num_draws=len(members) * config.num_test_samples,
            ).utility
            for key, members in classes.items()
        }
        return sum(values[key] * len(members) for key, members in classes.items()) / len(tasks)

    with LocalArena(pool=pool, llm=llm, benchmark=benchmark) as arena:
        chosen = optimum(
            (designs or small_designs)(pool),
            choose=split(benchmark.load("train")),
            score=split(benchmark.load("test")),
            arena=arena,
            reward=reward,
            score_draws=50,
            **draws,
        )
        result = {seed: value(Synthetic(seed=seed, num_test=num_test).load("test"), chosen) for seed in seeds}
    words = {key if one_for_all else " ".join(key): in_words(best.design) for key, best in chosen.items()}
    (out / f"{name}_designs.json").write_text(json.dumps(words, indent=2) + "\n")
    found.write_text(json.dumps(result, indent=2) + "\n")


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
    if "critic" in utility:
        lines += [
            "",
            "critic minus each other method, utility, paired by seed:",
            "",
            "| method | difference | 95 % over seeds | seeds above 0 |",
            "|---|---|---|---|",
        ]
        others = sorted((name for name in utility if name != "critic"), key=lambda name: -mean(utility[name]))
        for name in others:
            lines.append(f"| {name} | {gain([a - b for a, b in zip(utility['critic'], utility[name], strict=True)])} |")
    return "\n".join(lines)


def at_equal_usd(out: Path, methods: Sequence[Method], seeds: Sequence[int]) -> str:
    """Return each method that learns beside the best agent asked as often as that method's USD pay for, as Markdown."""
    rivals = [m for m in methods if m in RIVALS]
    if SINGLE not in rivals:
        return ""
    found = read(out, methods, seeds)
    utility = {name: [e["utility"] for e in evals] for name, evals in found.items()}
    usd = {name: mean(e["usd"] for e in evals) for name, evals in found.items()}
    lines = [
        "Self-consistency at no more USD: beside each method the row of `best_single` and `self_consistency_k` with "
        "the largest USD that is not above the method's own (`best_single` where all are), paired by seed:",
        "",
        "| method | USD per 1,000 | rival | USD per 1,000 | difference in utility | 95 % over seeds | seeds above 0 |",
        "|---|---|---|---|---|---|---|",
    ]
    others = (m.name for m in methods if m.kind not in ("fixed", "rival"))
    for name in sorted(others, key=lambda name: -mean(utility[name])):
        affordable = [m.name for m in rivals if usd[m.name] <= usd[name]]
        rival = max(affordable, key=usd.__getitem__, default=SINGLE.name)
        apart = [a - b for a, b in zip(utility[name], utility[rival], strict=True)]
        lines.append(f"| {name} | {usd[name]:.2f} | {rival} | {usd[rival]:.2f} | {gain(apart)} |")
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
        "`tree_search` get the whole number. `search`, the rivals and the routers run each agent alone once on each "
        "of the same 1,080 questions, and can use no more; the fixed designs learn nothing. USD in training is what "
        "all these runs would have cost; what was run to compare a learned designer with others later is not in it.\n\n"
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
    common = (f"trainer.max_epochs={args.epochs}", f"++task.num_test={args.test_questions}")
    jobs = optima(seeds, out, experiment, args.test_questions)
    jobs += [partial(train, (*m.under(experiment), *common), s, folder(out, m, s)) for m in methods for s in seeds]
    run_all(jobs, workers=args.workers, folder=out)
    weight = json.loads((folder(out, methods[0], seeds[0]) / "eval.json").read_text())["usd_weight"]
    which = "The simulated world" if args.world == "first" else "A second simulated world"
    parts = [
        f"# {which}: every method at equal numbers of runs",
        f"`{command()}`; experiment={experiment}.",
        table(out, methods, seeds),
        at_equal_usd(out, methods, seeds),
        about(args.epochs, seeds, weight, args.test_questions),
        chosen(out),
    ]
    text = "\n\n".join(filter(None, parts)) + "\n"
    if args.write:
        args.write.write_text(text)
    print(text)
    print(f"{time.perf_counter() - began:.0f} seconds")


if __name__ == "__main__":
    main()
