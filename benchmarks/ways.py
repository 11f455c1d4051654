"""One LLM in seven ways of working, three of them multi-agent: which way, vote or cascade to run, on recorded answers.

    GDESIGN_DATA=... python benchmarks/ways.py --write benchmarks/results/ways.md

Each seed splits the questions outside the lock-box into another half for learning and half for the test. MGSM is the
same 250 problems in ten languages: a problem lies on one side in all of them, of the lock-box and of validation too.
Everything is set in experiment=ways and in `METHODS` below; what is already in the output folder is not
run again. A method, seed and price can be had by one command of its own, such as
`python train.py experiment=ways designer=evidence seed=0 split=test`.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import torch
from frontier import plus_minus_signed
from runner import begin, command, compose, options, plus_minus, publish, run_all, train

if TYPE_CHECKING:
    from gdesign.design.base import Designer, Searched
    from gdesign.encode.problem import ProblemEncoder
    from gdesign.execute.arena import Result
    from gdesign.types import Job, Task

PRICES = (0.0001, 0.0005)
"""lambda: utility per USD per 1,000 questions."""
SEARCH = "search over all of these"
PER_SET, ORACLE = "search, one design a set (told the set)", "oracle: the best single way of each question"
FEW = ("trainer.max_epochs=4", "patience=null")
"""Gradient steps for some 1,000 questions; the networks see each of them so often."""
PLAIN = ("designer.shapes=[single,vote,cascade]", "designer.reuse=false")
"""What one recorded answer a way allows: nobody hears anyone, no way twice."""
BOTH = ("learner.usd_weight_range=[0.0001,0.0005]",)
"""The prices that each question of a training draws its own from."""
METHODS: Mapping[str, tuple[bool, tuple[str, ...]]] = {
    "single way, searched": (False, ("designer=search", "designer.families=[singles]")),
    "vote of three, searched": (False, ("designer=search", "designer.families=[votes]")),
    "two-then-one cascade, searched": (False, ("designer=search", "designer.families=[cascades]")),
    SEARCH: (False, ("designer=search",)),
    "knn, one way": (True, ("designer=knn",)),
    "ridge, one way": (True, ("designer=ridge",)),
    "mf, one way": (True, ("designer=mf",)),
    "kernel, one way": (True, ("designer=kernel", "text=joined")),
    "words, one way (control)": (True, ("designer=tfidf", "text=words")),
    "length, one way (control)": (True, ("designer=length", "text=length")),
    "evidence": (True, ("designer=evidence", "designer.shapes=[single,vote,cascade]")),
    "adaptive": (True, ("designer=adaptive",)),
    "critic": (True, ("designer=critic", *PLAIN, *BOTH, *FEW)),
    "joint": (True, ("designer=joint", *PLAIN, "designer.num_probes=null", *BOTH, *FEW)),
    "cascade_router": (False, ("designer=cascade_router", "designer.modes=[single,vote]", *FEW)),
}
"""Overrides, and whether one fit serves both prices."""


class Half:
    """One random half for learning and one for the test, with what every way alone comes to on each question."""

    def __init__(self, seed: int, experiment: str = "ways") -> None:
        from hydra.utils import instantiate

        config = compose((f"experiment={experiment}",)).copy()
        config.seed = seed
        self.seed, self.experiment = seed, experiment
        self._task, self._llm, self._pool = config.task, config.llm, instantiate(config.pool)
        self.done: dict[Job, Result] = {}
        self.splits: dict[str, list[Task]] = {
            split: self._benchmark.load(split)  # type: ignore[arg-type]
            for split in ("train", "validation", "test")
        }

    @cached_property
    def _benchmark(self) -> Any:
        from hydra.utils import instantiate

        return instantiate(self._task)

    @property
    def learning(self) -> "list[Task]":
        """The tasks to learn from, validation included."""
        return [*self.splits["train"], *self.splits["validation"]]

    def run(self, jobs: "Sequence[Job]") -> "list[Result]":
        """Run jobs, each once."""
        from hydra.utils import instantiate

        from gdesign.execute.arena import LocalArena

        new = [job for job in dict.fromkeys(jobs) if job not in self.done]
        with LocalArena(pool=self._pool, llm=instantiate(self._llm), benchmark=self._benchmark) as arena:
            self.done.update(zip(new, arena.run(new, phase="benchmark"), strict=True))
        return [self.done[job] for job in jobs]

    def fit(self, designer: "Searched", problems: "ProblemEncoder", tasks: "Sequence[Task]", price: float) -> None:
        """Let a designer that asks for runs of its own have them."""
        generator = torch.Generator().manual_seed(self.seed)
        steps = designer.search(tasks, problems=problems, usd_weight=price, generator=generator)
        jobs = next(steps, None)
        while jobs is not None:
            try:
                jobs = steps.send(self.run(jobs))
            except StopIteration:
                jobs = None

    def rows(
        self, designer: "Designer", problems: "ProblemEncoder", tasks: "Sequence[Task]", price: float
    ) -> list[list[Any]]:
        """Return id, group, set, score and USD for 1,000 questions of tasks, each by the design held best for it."""
        from gdesign.design.choose import greedy
        from gdesign.types import Job

        rows: list[list[Any]] = []
        for start in range(0, len(tasks), 256):
            batch = tasks[start : start + 256]
            designs = greedy(designer, problems, batch, usd_weight=price)
            results = self.run([Job(design, task, 0) for design, task in zip(designs, batch, strict=True)])
            rows += [[t.id, t.group, t.domain, o.score, 1000 * o.usd] for t, (_, o) in zip(batch, results, strict=True)]
        return rows


def file(out: Path, name: str, seed: int, price: float) -> Path:
    """Return where the rows of a method, a seed and a price are kept."""
    return out / f"{name.split(' (')[0].replace(', ', '-').replace(' ', '-').replace(':', '')}-{seed}-{price:g}.json"


def run_seed(out: Path, names: Sequence[str], seed: int) -> None:
    """Fit and test methods on one half at every price, but for what was done before."""
    half = Half(seed)
    for name in (*names, PER_SET, ORACLE):
        fitted: tuple[Any, Any] | None = None
        for price in PRICES:
            path = file(out, name, seed, price)
            if path.is_file():
                continue
            if name == ORACLE:
                rows = oracle(half, price)
            elif name == PER_SET:
                rows = per_set(half, price)
            else:
                once, overrides = METHODS[name]
                if fitted is None or not once:
                    fitted = learned(half, overrides, price, out / "trained" / f"{path.stem}")
                rows = half.rows(fitted[1], fitted[0], half.splits["test"], price)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(rows))


def learned(half: Half, overrides: Sequence[str], price: float, folder: Path) -> "tuple[ProblemEncoder, Designer]":
    """Return a method that has learned from a half at a price, with what encodes its problems."""
    from gdesign.design.base import Searched
    from gdesign.runs.checkpoint import assemble, load

    said = ("experiment=ways", *overrides, f"reward.usd_weight={price}")
    config = compose(said).copy()
    config.seed = half.seed
    problems, designer = assemble(config)
    if isinstance(designer, Searched) and not any(p.requires_grad for p in designer.parameters()):
        half.fit(designer, problems, half.learning, price)
        return problems, designer.eval()
    train(said, half.seed, folder)
    return load(folder)


def oracle(half: Half, price: float) -> list[list[Any]]:
    """Return the rows of the way that is worth most on each question, which nobody can know beforehand."""
    from gdesign.runs.checkpoint import assemble
    from gdesign.types import Job

    config = compose(("experiment=ways", "designer=search")).copy()
    probes = assemble(config)[1].probes
    rows = []
    for task in half.splits["test"]:
        outcomes = [outcome for _, outcome in half.run([Job(probe, task, 0) for probe in probes])]
        best = max(outcomes, key=lambda o: o.score - price * 1000 * o.usd)
        rows.append([task.id, task.group, task.domain, best.score, 1000 * best.usd])
    return rows


def per_set(half: Half, price: float) -> list[list[Any]]:
    """Return the rows of designs that were searched for each set alone; which set a question is of is told."""
    from gdesign.runs.checkpoint import assemble

    rows = []
    for name in sorted({task.domain for task in half.splits["test"]}):
        config = compose(("experiment=ways", "designer=search")).copy()
        problems, designer = assemble(config)
        half.fit(designer, problems, [task for task in half.learning if task.domain == name], price)  # type: ignore[arg-type]
        rows += half.rows(designer, problems, [task for task in half.splits["test"] if task.domain == name], price)
    return rows


# --------------------------------------------------------------------------- tables


def read(out: Path, name: str, seeds: Sequence[int]) -> "list[list[list[list[Any]]]]":
    """Return the rows of a method, by price and seed, in the order of the tasks' ids."""
    return [[sorted(json.loads(file(out, name, s, price).read_text())) for s in seeds] for price in PRICES]


def worth(rows: Sequence[Sequence[Any]], price: float) -> list[float]:
    """Return the utility of every question."""
    return [score - price * usd for *_, score, usd in rows]


def interval(groups: Mapping[str, tuple[float, int]], *, num: int = 4000) -> tuple[float, float]:
    """Return the 95 % interval of a mean over questions, by a bootstrap over groups.

    Args:
        groups: Sum and number of a group's questions, over all halves that test it.
    """
    sums, counts = torch.tensor(list(groups.values()), dtype=torch.float64).T
    draws = torch.randint(len(sums), (num, len(sums)), generator=torch.Generator().manual_seed(0))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = means.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def table(out: Path, names: Sequence[str], seeds: Sequence[int], k: int) -> list[str]:
    """Return what every method is worth at a price, and paired with the search, as Markdown."""
    price = PRICES[k]
    reference = read(out, SEARCH, seeds)[k]
    head = [
        "method",
        "utility",
        "score",
        "USD per 1,000",
        f"less that of the {SEARCH}",
        "95 % over problems",
        "better in",
    ]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name in (*names, PER_SET, ORACLE):
        found = read(out, name, seeds)[k]
        cells = [name]
        for column in (
            [mean(worth(rows, price)) for rows in found],
            [mean(row[3] for row in rows) for rows in found],
        ):
            cells.append(plus_minus(column))
        cells.append(f"{mean(row[4] for rows in found for row in rows):.1f}")
        if name != SEARCH:
            differences, groups = [], {}
            for rows, other in zip(found, reference, strict=True):
                assert [row[0] for row in rows] == [row[0] for row in other]
                each = [a - b for a, b in zip(worth(rows, price), worth(other, price), strict=True)]
                differences.append(mean(each))
                for row, difference in zip(rows, each, strict=True):
                    total, count = groups.get(row[1], (0.0, 0))
                    groups[row[1]] = total + difference, count + 1
            low, high = interval(groups)
            won = sum(d > 0 for d in differences)
            cells += [plus_minus_signed(differences), f"{low:+.4f} to {high:+.4f}", f"{won} of {len(differences)}"]
        lines.append(f"| {' | '.join(cells)} |" + (" | | |" if name == SEARCH else ""))
    return lines


def by_set(out: Path, names: Sequence[str], seeds: Sequence[int], k: int) -> list[str]:
    """Return mean scores by set, as Markdown, the best of a row in bold."""
    scores: dict[str, dict[str, list[float]]] = {}
    for name in names:
        for rows in read(out, name, seeds)[k]:
            for row in rows:
                scores.setdefault(row[2], {}).setdefault(name, []).append(row[3])
    lines = ["| set | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1)]
    for domain, columns in sorted(scores.items()):
        means = [round(mean(columns[name]), 3) for name in names]
        lines.append(
            f"| {domain} | " + " | ".join(f"**{m:.3f}**" if m == max(means) else f"{m:.3f}" for m in means) + " |"
        )
    return lines


def whole_table() -> list[str]:
    """Return what the table itself holds: score, USD and calls of every way on all questions."""
    from gdesign.tasks.data import data_dir
    from gdesign.tasks.table import load_table

    data = load_table(data_dir() / "ways", "ways", ways_of="gpt-4-32k")
    lines = ["| way | score | USD per 1,000 | calls |", "|---|---|---|---|"]
    for way in data.columns:
        rows = [data.outcome(q.qid, *way) for q in data.questions]
        usd = mean(((r.prompt_tokens or 0) * 60 + r.output_tokens * 120) / 1000 for r in rows)
        calls = mean(r.calls for r in rows)
        lines.append(f"| {way.operator} | {mean(r.correct for r in rows):.3f} | {usd:.1f} | {calls:.2f} |")
    return lines


def main() -> None:
    """Run everything, print the tables."""
    parser = options(__doc__, out="runs/ways", workers=1)
    parser.add_argument("--without", nargs="*", default=[], help="beginnings of the names of methods to leave out")
    args = parser.parse_args()
    seeds = range(args.seeds)
    names = [name for name in METHODS if not name.startswith(tuple(args.without) or "\0")]
    run_all([partial(run_seed, args.out, names, seed) for seed in seeds], workers=args.workers, folder=args.out)
    parts = [
        "# GPT-4 in seven ways of working",
        "",
        f"`GDESIGN_DATA=... {command()}`; experiment=ways; answers exact. utility = score - lambda x USD "
        "per 1,000 questions. One LLM (gpt-4-32k, 60 and 120 USD per million tokens) in seven ways of working; three "
        "of them are multi-agent: multi-persona in one call, meta and meta-python by a conductor that calls experts. "
        "What a way takes is recorded: all prompts, replies and calls.",
        "",
        "All 3,250 questions (`python eval.py designer=single designer.operator=cot task=ways llm=recorded pool=ways "
        "split=all` gives a row, and every set's mean):",
        "",
        *whole_table(),
        "",
        f"From here on: mean ± standard deviation over {args.seeds} random halves outside the lock-box, by problem; "
        "the halves overlap, so the spread is no standard error. Differences are paired by question. Their intervals "
        "resample problems, each with all its languages and all the halves that test it.",
        "",
        f"critic, joint and cascade_router take gradient steps, here for {FEW[0].partition('=')[2]} passes over a half "
        "(their default is 20). Designs are single ways, votes of three and two-then-one cascades (cascade_router: "
        "ways alone and votes), in which nobody hears anyone: a recording holds no answer to what another way said. So "
        "methods that place message edges are missing (gdesigner, supernet, autoregressive, relaxed, swarm, prune, "
        "diffusion). Routers choose their strengths by leaving out one question at a time, whose other languages stay.",
    ]
    for k, price in enumerate(PRICES):
        parts += ["", f"## lambda {price:g}", "", *table(args.out, names, seeds, k)]
    shown = [
        n
        for n in ("single way, searched", SEARCH, "ridge, one way", "evidence", PER_SET, ORACLE)
        if n in (*names, PER_SET, ORACLE)
    ]
    parts += ["", f"## Scores by set, lambda {PRICES[0]:g}", "", *by_set(args.out, shown, seeds, 0), ""]
    text = "\n".join(parts)
    publish(text, args.write)


if __name__ == "__main__":
    begin(main)
