"""Train routers and searches that ask for the same runs, and compare them; what the routing protocols share.

Each method can be had by one command of its own, `python train.py <its overrides> experiment=<name> seed=<seed>`.
Here the runs that several of them ask for (every LLM alone on every training question) are made once a seed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from runner import compose, plus_minus, train, without_repeats

if TYPE_CHECKING:
    from gdesign.design.base import Searched
    from gdesign.encode.problem import ProblemEncoder
    from gdesign.execute.arena import Result
    from gdesign.report.compare import Comparison
    from gdesign.report.folders import Evaluation
    from gdesign.types import Job

Methods = Mapping[str, tuple[str, ...]]
"""What to type for each method, by the name it has in tables."""

SINGLE = "best single LLM"
SINGLES = ("designer=search", "designer.families=[singles]")
ROUTERS: Methods = {
    "knn": ("designer=knn",),
    "ridge": ("designer=ridge",),
    "mf": ("designer=mf",),
    "kernel": ("designer=kernel", "text=joined"),
    "length (control)": ("designer=length", "text=length"),
    "tfidf (control)": ("designer=tfidf", "text=words"),
}


def folder(out: Path, name: str, seed: int) -> Path:
    """Return the run folder of a method and a seed."""
    return out / f"{name.split(' (')[0].replace(' ', '-')}-{seed}"


def run_seed(methods: Methods, experiment: str, out: Path, seed: int) -> None:
    """Train and evaluate all methods with one seed; those whose folder holds an evaluation already are left alone."""
    from gdesign.design.base import Searched
    from gdesign.runs.checkpoint import assemble

    done: dict[Job, Result] = {}
    for name, overrides in methods.items():
        path = folder(out, name, seed)
        if (path / "eval.json").is_file():
            continue
        said = (f"experiment={experiment}", *overrides)
        config = compose(said).copy()
        config.seed, config.out = seed, str(path)
        problems, designer = assemble(config)
        if isinstance(designer, Searched) and not any(p.requires_grad for p in designer.parameters()):
            _search(config, problems, designer, done)
        else:
            train(said, seed, path)


def _search(config: Any, problems: "ProblemEncoder", designer: "Searched", done: "dict[Job, Result]") -> None:
    """Do as train.py does with a search, and take the runs that were already made from `done`."""
    import torch
    from hydra.utils import instantiate

    from gdesign.execute.arena import LocalArena
    from gdesign.execute.reward import Reward
    from gdesign.learn.data import items
    from gdesign.learn.evaluate import evaluate_into
    from gdesign.runs.checkpoint import BEST, save
    from gdesign.runs.folder import open_folder, write_splits
    from gdesign.runs.log import RunsFile

    path = Path(config.out)
    benchmark, llm = instantiate(config.task), instantiate(config.llm)
    splits = {split: benchmark.load(split) for split in ("train", "validation", "test")}
    open_folder(path, config)
    write_splits(path, splits)
    reward = Reward(**config.reward)
    (path / "runs.jsonl").unlink(missing_ok=True)  # of an evaluation that was stopped
    pool = problems.space.pool
    with (
        LocalArena(pool=pool, llm=llm, benchmark=benchmark) as unwritten,
        RunsFile(path / "runs.jsonl") as log,
        LocalArena(pool=pool, llm=llm, benchmark=benchmark, log=log) as arena,
    ):
        generator = torch.Generator().manual_seed(config.seed)
        tasks = [*splits["train"], *splits["validation"]]
        steps = designer.search(tasks, problems=problems, usd_weight=reward.usd_weight, generator=generator)
        asked = set()
        jobs = next(steps, None)
        while jobs is not None:
            asked.update(jobs)
            new = [job for job in dict.fromkeys(jobs) if job not in done]
            results = unwritten.run(new, phase="fit:search")
            done.update(zip(new, results, strict=True))
            try:
                jobs = steps.send([done[job] for job in jobs])
            except StopIteration:
                jobs = None
        save(designer, path / BEST, seconds=0.0)
        evaluate_into(
            path,
            designer,
            items(splits["test"]),
            problems=problems,
            arena=arena,
            reward=reward,
            split="test",
            num_samples=1,
            training={
                "runs": len(asked),
                "calls": sum(done[job][1].calls for job in asked),
                "usd": sum(done[job][1].usd for job in asked),
                "seconds": 0.0,
            },
        )


def evaluations(methods: Methods, out: Path, seeds: Sequence[int]) -> "dict[str, list[Evaluation]]":
    """Return what `run_seed` left, by method."""
    from gdesign.report.folders import read_evaluation

    return {name: [read_evaluation(folder(out, name, seed)) for seed in seeds] for name in methods}


def gains(found: "Mapping[str, Sequence[Evaluation]]", baseline: str = SINGLE) -> "dict[str, Comparison]":
    """Return how much better each other method scores than the baseline, paired by seed and by question."""
    from gdesign.report.compare import compare, read_answers
    from gdesign.report.tables import Group

    groups = {
        name: Group(
            method=name,
            designer=members[0].config["names"]["designer"],
            task=members[0].config["names"]["task"],
            split="test",
            label=members[0].summary["label"],
            usd_weight=0.0,
            token_weight=0.0,
            second_weight=0.0,
            members=tuple(members),
        )
        for name, members in found.items()
    }
    read = read_answers(list(groups.values()))
    return {
        name: compare(group, groups[baseline], metrics=["score"], read=read)[0]
        for name, group in groups.items()
        if name != baseline
    }


def overall(
    found: "Mapping[str, Sequence[Evaluation]]", extra: Mapping[str, Mapping[str, str]], baseline: str = SINGLE
) -> list[str]:
    """Return one row a method: score, gain over the baseline, and further columns, as Markdown.

    Args:
        found: Evaluations by method.
        extra: Further columns: cells by method.
        baseline: What the others are compared with.
    """
    better = gains(found, baseline)
    head = ["method", "answers", "questions", "score", f"gain over {baseline}, 95 % over questions", *extra]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, members in found.items():
        summaries = [e.summary for e in members]
        (label,) = {s["label"] for s in summaries}
        sizes = sorted({s["n"] for s in summaries})
        gain = "" if name == baseline else in_words(better[name])
        size = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        cells = [name, label, size, plus_minus([s["score"] for s in summaries]), gain]
        lines.append("| " + " | ".join([*cells, *(column[name] for column in extra.values())]) + " |")
    return [*lines, without_repeats(len(head))]


def in_words(gain: "Comparison") -> str:
    """Return a difference and its interval over questions."""
    low, high = gain.question_interval
    return f"{gain.difference:+.4f} ({low:+.4f} to {high:+.4f})"


def by_domain(found: "Mapping[str, Sequence[Evaluation]]", what: str) -> list[str]:
    """Return mean scores by domain and method as Markdown, the best of a row in bold.

    Args:
        found: Evaluations by method.
        what: What a domain is called.
    """
    lines = [f"| {what} | questions | " + " | ".join(found) + " |", "|" + "---|" * (len(found) + 2)]
    first = next(iter(found.values()))
    for domain in sorted({d for e in first for d in e.summary["domains"]}):
        scores = [mean(e.summary["domains"][domain]["score"] for e in members) for members in found.values()]
        num = mean(e.summary["domains"][domain]["n"] for e in first)
        shown = [f"**{s:.3f}**" if round(s, 3) == round(max(scores), 3) else f"{s:.3f}" for s in scores]
        lines.append(f"| {domain} | {num:.0f} | " + " | ".join(shown) + " |")
    return lines
