"""MMLU-Pro by category: which of 28 LLMs to ask, and when to ask several, on recorded answers.

    GDESIGN_DATA=... python benchmarks/mmlu_pro.py --write benchmarks/results/mmlu_pro.md

Each seed splits the questions outside the lock-box into another half for learning and half for the test. Everything
is set in experiment=mmlu_pro and in `METHODS` below; a run that is already in the output folder is not
repeated.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import mean
from typing import TYPE_CHECKING

from routing import ROUTERS, SINGLE, SINGLES, Methods, by_domain, evaluations, gains, in_words, overall, run_seed
from runner import begin, compose, options, plus_minus, publish, run_all

if TYPE_CHECKING:
    from gdesign.report.folders import Evaluation
    from gdesign.types import Task

COMMAND = "python benchmarks/mmlu_pro.py --write benchmarks/results/mmlu_pro.md"
CASCADE, JOINT = "best two-then-one cascade", "joint"
METHODS: Methods = {
    SINGLE: SINGLES,
    "best vote of three": ("designer=search", "designer.families=[votes]"),
    CASCADE: ("designer=search", "designer.families=[cascades]"),
    **ROUTERS,
    JOINT: ("designer=evidence",),
}
"""A method is a line; all learn from the score alone."""
CHARACTERS_A_TOKEN = 4.45
"""Characters of a prompt by cl100k tokens, over the 14,042 MMLU prompts of RouteLLM, which are of the same kind."""


def prompt_tokens(task: "Task") -> float:
    """Return the estimated tokens of the question and its lettered options; worked examples are not counted."""
    options = "".join(f"\n{letter}. {option}" for letter, option in zip("ABCDEFGHIJ", task.options, strict=False))
    return len(task.question + options) / CHARACTERS_A_TOKEN


def estimated_usd(evaluation: "Evaluation", tokens: Mapping[str, float]) -> float:
    """Return USD per 1,000 questions: recorded completion tokens, and the estimated prompt for every call.

    Args:
        evaluation: Has counted no prompt tokens.
        tokens: Of the prompt, by task.
    """
    from gdesign.runs.log import read_runs

    price = prices()
    usd = []
    for row in read_runs(evaluation.folder / "runs.jsonl", phase="test"):
        assert row["prompt_tokens"] == 0, evaluation.folder
        asked = [row["design"]["agents"][agent]["llm"] for agent, _, _, text, _ in row["turns"] if text is not None]
        usd.append(1000 * row["usd"] + sum(price[llm] for llm in asked) * tokens[row["task"]] / 1000)
    return mean(usd)


def prices() -> dict[str, float]:
    """Return USD per million prompt tokens, by LLM."""
    from hydra.utils import instantiate

    pool = instantiate(compose(("experiment=mmlu_pro",)).pool)
    return {llm.name: llm.usd_per_1M_input for llm in pool.llms}


def tasks_of(split: str, seed: int) -> "list[Task]":
    """Return the tasks of a split."""
    from hydra.utils import instantiate

    tasks: list[Task] = instantiate(compose(("experiment=mmlu_pro",)).task, split_seed=seed).load(split)
    return tasks


def oracle(seeds: Sequence[int]) -> str:
    """Return the share of test questions that some LLM of the pool answered rightly."""
    from gdesign.tasks.data import data_dir
    from gdesign.tasks.table import load_table

    table = load_table(data_dir() / "routing/mmlu_pro")
    llms = prices()
    known = {q.qid: max(table.samples(m)[0].correct[i] for m in llms) for i, q in enumerate(table.questions)}
    return plus_minus([mean(known[t.id.partition("/")[2]] for t in tasks_of("test", seed)) for seed in seeds])


def designs(members: "Sequence[Evaluation]") -> list[str]:
    """Return the commonest designs of each seed, the gated agent marked."""
    from gdesign.export.schema import design_from_json
    from gdesign.runs.log import read_runs

    lines = []
    for e in members:
        drawn = Counter(
            ", ".join(f"{'?' if a.gate else ''}{a.llm}" for a in design_from_json(row["design"]).agents)
            for row in read_runs(e.folder / "runs.jsonl", phase="test")
        )
        total = sum(drawn.values())
        lines.append("; ".join(f"{text} ({count / total:.0%})" for text, count in drawn.most_common(4)))
    return lines


def main() -> None:
    """Run everything, print the tables."""
    parser = options(__doc__, out="runs/mmlu_pro")
    args = parser.parse_args()
    seeds = range(args.seeds)
    jobs = [partial(run_seed, METHODS, "mmlu_pro", args.out, seed) for seed in seeds]
    run_all(jobs, workers=args.workers, folder=args.out)
    found = evaluations(METHODS, args.out, seeds)
    tokens = {t.id: prompt_tokens(t) for seed in seeds for t in tasks_of("test", seed)}
    columns = {
        "LLM calls": {name: f"{mean(e.summary['calls'] for e in es):.2f}" for name, es in found.items()},
        "completion tokens": {
            name: f"{mean(e.summary['completion_tokens'] for e in es):.0f}" for name, es in found.items()
        },
        "USD per 1,000 (estimate)": {
            name: plus_minus([estimated_usd(e, tokens) for e in es]) + " (est.)" for name, es in found.items()
        },
    }
    text = "\n".join(
        [
            "# MMLU-Pro by category: which of 28 LLMs to ask",
            "",
            f"`GDESIGN_DATA=... {COMMAND}`; one method and seed: `python train.py designer=ridge experiment=mmlu_pro "
            "seed=0` (experiment=mmlu_pro).",
            "",
            "Recorded answers (five worked examples before each question, chain of thought). 28 LLMs answered all of "
            "11,954 questions; a quarter of these is the lock-box, which stays closed, and each seed splits the rest "
            "into another half for learning and half for the test. Everything learns from the score alone; routers "
            "and joint read the question without its options. An empty recorded answer agrees with nothing.",
            "",
            *overall(found, columns),
            "",
            f"Mean ± standard deviation over {args.seeds} split seeds; the test halves overlap, so the spread is no "
            "standard error. Gains are paired by question; their intervals resample questions, each with all the seeds "
            "that test it. "
            f"{JOINT} over {CASCADE}: {in_words(gains({n: found[n] for n in (CASCADE, JOINT)}, CASCADE)[JOINT])}.",
            "",
            "**Every USD is an estimate.** The table has no prompt tokens. Completion tokens are the recorded ones; a "
            f"prompt counts as (characters of the question and its lettered options) / {CHARACTERS_A_TOKEN}, which is "
            "the ratio of characters to cl100k tokens in RouteLLM's MMLU prompts. The worked examples that stood "
            "before each question are not counted, so what was really paid for prompts was more. No claim about cost "
            "rests on this column.",
            "",
            f"Some LLM of the 28 is right on {oracle(seeds)} of the test questions (up to ten options, so guesses are "
            "among them).",
            "",
            "## By category",
            "",
            "Mean scores over seeds; the best of each row in bold.",
            "",
            *by_domain(found, "category"),
            "",
            "## Designs",
            "",
            "On the test half, and the share of questions they were drawn for; `?` marks the agent that speaks only "
            "where the others disagree.",
            "",
            *(
                f"- {name}, seed {seed}: {line}"
                for name, members in found.items()
                for seed, line in zip(seeds, designs(members), strict=True)
            ),
            "",
        ]
    )
    publish(text, args.write)


if __name__ == "__main__":
    begin(main)
