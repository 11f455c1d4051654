"""Train and evaluate every method on the simulated world, side by side: a table and two pictures.

    python benchmarks/demo.py

No key, no data, no network. Everything is set in configs/experiment/demo.yaml; a run that is already
in the output folder is not repeated.
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

from runner import compose, plus_minus, run_all, train

if TYPE_CHECKING:
    from gdesign.types import AgentPool, Design

COMMAND = "python benchmarks/demo.py"
CHOICE_SEED = 10_000
"""Draws the questions that the optimum is chosen on; no method sees them."""
NUM_TEST = 450
"""Test questions of a seed, as gdesign.tasks.synthetic has them unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One row of the table.

    Attributes:
        name: What the table calls it.
        kind: `ungated`, `gated` (fixed designs without and with a gate), `learned` or `control`.
        overrides: Of the config.
    """

    name: str
    kind: str
    overrides: tuple[str, ...]


def fixed(kind: str, name: str, *overrides: str) -> Method:
    """Return a fixed design's row."""
    return Method(name=name, kind=kind, overrides=overrides or (f"designer={name}",))


JOINT = ("designer=joint", "learner=critic")
"""Overrides of joint, here and in the protocols that import them."""
LLMS = ("small", "math-specialist", "code-specialist", "large")
METHODS = (
    *(fixed("ungated", f"single {llm}", "designer=single", f"designer.llm={llm}") for llm in LLMS),
    *(fixed("ungated", name) for name in ("vote", "chain", "star", "tree", "layered", "complete")),
    *(fixed("ungated", name) for name in ("random", "small_world", "debate")),
    *(
        fixed("gated", f"cascade {a}, {b}, large", "designer=cascade", f"designer.llms=[{a},{b},large]")
        for a, b in (("small", "math-specialist"), ("small", "code-specialist"), ("math-specialist", "code-specialist"))
    ),
    Method(name="search", kind="gated", overrides=("designer=search",)),
    Method(name="swarm", kind="learned", overrides=("designer=swarm", "learner.lr=0.05", "trainer.max_epochs=5")),
    Method(name="gdesigner", kind="learned", overrides=("designer=gdesigner",)),
    Method(name="joint", kind="learned", overrides=(*JOINT, "trainer.max_epochs=4")),
    Method(
        name="gdesigner, questions shuffled",
        kind="control",
        overrides=("designer=gdesigner", "data.shuffle_questions=true"),
    ),
)


def folder(out: Path, method: Method, seed: int) -> Path:
    """Return the run folder of a method and a seed."""
    return out / f"{method.name.replace(', ', '-').replace(' ', '-')}-{seed}"


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


def table(out: Path, seeds: Sequence[int]) -> str:
    """Return the table and what follows from it, as Markdown."""
    best = {int(k): v for k, v in json.loads((out / "optimum.json").read_text()).items()}
    summaries = {m: [json.loads((folder(out, m, s) / "eval.json").read_text()) for s in seeds] for m in METHODS}
    utility = {m.name: [e["utility"] for e in found] for m, found in summaries.items()}
    lines = [
        "| design | kind | answers | score | USD per 1,000 | utility | regret |",
        "|---|---|---|---|---|---|---|",
        f"| best for each class, <= 3 agents | optimum | simulated | | | {plus_minus([best[s] for s in seeds])} | 0 |",
    ]
    for m in sorted(METHODS, key=lambda m: -mean(utility[m.name])):
        found = summaries[m]
        regret = [best[s] - u for s, u in zip(seeds, utility[m.name], strict=True)]
        (label,) = {e["label"] for e in found}
        lines.append(
            f"| {m.name} | {m.kind} | {label} | {plus_minus([e['score'] for e in found])} "
            f"| {mean(e['usd'] for e in found):.2f} | {plus_minus(utility[m.name])} | {plus_minus(regret)} |"
        )
    n = summaries[METHODS[0]][0]["n"]
    lines += [
        "",
        f"Mean ± standard deviation over {len(seeds)} seeds; each seed draws other questions ({n} for the test), other "
        "parameters and other answers, the same for all methods. utility = score - 0.03 x USD per 1,000 questions. "
        "regret: utility lost against the best design of at most three agents for each domain and difficulty, found by "
        "enumeration on other questions; joint may draw copies of an agent and teams of four, which that family lacks.",
        "",
    ]

    def compare(name: str, rivals: Sequence[str]) -> str:
        rival = max(rivals, key=lambda r: mean(utility[r]))
        gains = [a - b for a, b in zip(utility[name], utility[rival], strict=True)]
        won = sum(gain > 0 for gain in gains)
        return f"- {name} over {rival}: {plus_minus(gains)}, above 0 with {won} of {len(gains)} seeds"

    ungated = [m.name for m in METHODS if m.kind == "ungated"]
    gated = [m.name for m in METHODS if m.kind == "gated"]
    return "\n".join(
        [
            *lines,
            "Differences in utility, paired by seed:",
            "",
            compare("gdesigner", ungated) + " (the best ungated fixed design)",
            compare("gdesigner", ["gdesigner, questions shuffled"]) + " (the control)",
            compare("joint", ungated + gated) + " (the best fixed design)",
            compare("joint", ["gdesigner"]),
        ]
    )


def pictures(out: Path, seeds: Sequence[int]) -> None:
    """Draw score against cost, and what gdesigner draws for an easy and a hard question.

    The graphs are those of the seed with most different ones.
    """
    from gdesign.report.page import write_overview

    write_overview([out], out)
    method = next(m for m in METHODS if m.name == "gdesigner")
    runs = [folder(out, method, seed) for seed in seeds]
    richest = max(runs, key=lambda run: json.loads((run / "eval.json").read_text())["num_distinct_designs"])
    (out / "designs.png").write_bytes((richest / "designs.png").read_bytes())


def main() -> None:
    """Run everything, print the table, write it beside the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds (5)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="where run folders go (runs/demo)")
    parser.add_argument("--write", type=Path, help="write the table to this file too")
    args = parser.parse_args()
    began = time.perf_counter()
    seeds = range(args.seeds)
    args.out.mkdir(parents=True, exist_ok=True)
    order = sorted(METHODS, key=lambda m: m.kind in ("ungated", "gated"))  # the long ones first
    jobs: list[Callable[[], None]] = [partial(find_optimum, seeds, args.out)]
    jobs += [partial(train, ("experiment=demo", *m.overrides), s, folder(args.out, m, s)) for m in order for s in seeds]
    run_all(jobs, workers=args.workers, folder=args.out)
    pictures(args.out, seeds)
    text = (
        f"# The simulated world, every method\n\n`{COMMAND}`; configs/experiment/demo.yaml.\n\n"
        f"{table(args.out, seeds)}\n"
    )
    (args.out / "table.md").write_text(text)
    if args.write:
        args.write.write_text(text)
    print(text)
    print(f"{time.perf_counter() - began:.0f} seconds. Pictures: {args.out}/score_cost.png, {args.out}/designs.png")


if __name__ == "__main__":
    main()
