"""LLMRouter's scores of 9 LLMs on 14 tasks: which LLM to ask, from the question alone.

    GDESIGN_DATA=... python benchmarks/llmrouter.py --write benchmarks/results/llmrouter.md

Everything is set in experiment=llmrouter and in `METHODS` below; a run that is already in the output
folder is not repeated.
"""

from functools import partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from routing import ROUTERS, SINGLE, SINGLES, Methods, by_domain, evaluations, overall, run_seed
from runner import begin, compose, options, plus_minus, publish, run_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gdesign.report.folders import Evaluation

COMMAND = "python benchmarks/llmrouter.py --write benchmarks/results/llmrouter.md"
METHODS: Methods = {
    SINGLE: SINGLES,
    **ROUTERS,
    "joint (one agent)": ("designer=evidence", "designer.shapes=[single]"),
}
"""A method is a line; only designs of one agent are exact here."""
HALVES = "+task.halves=true"


def with_halves(methods: Methods) -> Methods:
    """Return the same methods on halves of the training file."""
    return {name: (*overrides, HALVES) for name, overrides in methods.items()}


def oracle(halves: bool, seeds: "Sequence[int]") -> str:
    """Return the score of who would know the best LLM for each test question."""
    from hydra.utils import instantiate

    from gdesign.tasks.data import data_dir
    from gdesign.tasks.table import load_scores

    config = compose(("experiment=llmrouter",))
    tables = {name: load_scores(data_dir() / config.llm.directory / f"{name}.jsonl") for name in config.llm.sets}
    means = []
    for seed in seeds:
        tasks = instantiate(config.task, halves=halves, split_seed=seed).load("test")
        best = []
        for task in tasks:
            name, _, qid = task.id.partition("/")
            best.append(max(tables[name].outcome(qid, model).correct for model in tables[name].models))
        means.append(sum(best) / len(best))
    return plus_minus(means)


def chosen(members: "Sequence[Evaluation]") -> str:
    """Return how many different LLMs a method asked on the test questions, on average over seeds."""
    return f"{mean(e.summary['num_distinct_designs'] for e in members):.1f}"


def section(methods: Methods, out: Path, seeds: range, *, halves: bool) -> list[str]:
    """Return the tables of one split."""
    found = evaluations(methods, out, seeds)
    lines = overall(found, {"LLMs asked": {name: chosen(members) for name, members in found.items()}})
    lines += ["", f"Knowing the best LLM for every question: {oracle(halves, seeds)}.", ""]
    return [*lines, *by_domain(found, "task"), ""]


def main() -> None:
    """Run everything, print the tables."""
    parser = options(__doc__, out="runs/llmrouter")
    args = parser.parse_args()
    seeds = range(args.seeds)
    own, halves = args.out / "own", args.out / "halves"
    jobs = [partial(run_seed, METHODS, "llmrouter", own, seed) for seed in seeds]
    jobs += [partial(run_seed, with_halves(METHODS), "llmrouter", halves, seed) for seed in seeds]
    run_all(jobs, workers=args.workers, folder=args.out)
    text = "\n".join(
        [
            "# LLMRouter: which of 9 LLMs to ask",
            "",
            f"`GDESIGN_DATA=... {COMMAND}`; one method and seed: `python train.py designer=ridge experiment=llmrouter "
            "seed=0`, for the second part with `+task.halves=true` (experiment=llmrouter).",
            "",
            "Recorded scores, no answers and no token counts: so only designs of one agent are exact, there is no "
            "cost, and everything learns from the score alone. Mean ± standard deviation over "
            f"{args.seeds} seeds. Gains are paired by question; their intervals resample questions.",
            "",
            "## LLMRouter's own files",
            "",
            "Learned from the training file outside the lock-box (4,208 of 5,607 questions of 14 tasks), tested on "
            "what is left of the test file: of its 500 questions 119 stand in the training file too (by text in lower "
            "case, white space folded), and 9 GSM8K questions stand there as agentverse-mgsm, with one more sentence. "
            "372 questions of 8 tasks are left; gpqa and human_eval leaked as a whole. Training and test questions "
            "are the same for every seed, so the spread is that of a method's own draws: only mf and kernel have any. "
            "So few questions tell no method from another; the halves below do.",
            "",
            *section(METHODS, own, seeds, halves=False),
            "## Halves of the training file",
            "",
            "All 14 tasks: each seed splits the training file outside the lock-box into another half for learning and "
            "half for the test. The halves overlap, so the spread is no standard error.",
            "",
            *section(with_halves(METHODS), halves, seeds, halves=True),
        ]
    )
    publish(text, args.write)


if __name__ == "__main__":
    begin(main)
