"""Trained on all recorded benchmarks but one and used on the one left out; and what training the text brings.

    GDESIGN_DATA=... python benchmarks/unseen.py --write benchmarks/results/unseen.md

GSM8K, MATH-L5 and CRUX-O (26 LLMs), the categories of MMLU-Pro (28 LLMs, every twentieth question), and the kinds of
questions of `ways` (seven ways of working). Each seed splits the questions outside the lock-box into another half for
learning and half for the test. What is already in the output folder is not run again. One method, half and benchmark:
`python train.py experiment=frontier designer=ridge +task.without=[crux] seed=0 out=runs/a`, then
`python eval.py checkpoint=runs/a task=crux`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import torch
from frontier import PRICES, plus_minus_signed
from runner import begin, command, compose, options, plus_minus, publish, run_all, train, without_repeats
from ways import PLAIN, Half
from ways import PRICES as PRICES_OF_WAYS

if TYPE_CHECKING:
    from gdesign.types import Task

ALL, ALONE, WITHOUT = "all", "alone", "without"
"""Trained on all benchmarks, on the one alone, on all but the one."""
ELSEWHERE, HERE = "best single, chosen on the others", "best single, chosen on it"
ROUTERS: Mapping[str, tuple[str, ...]] = {
    "knn": ("designer=knn",),
    "ridge": ("designer=ridge",),
    "kernel": ("designer=kernel", "text=joined"),
    "evidence": ("designer=evidence", "designer.shapes=[single,cascade]"),
}
"""What is fitted to the runs of every agent alone."""
CRITIC = ("designer=critic", *PLAIN, "trainer.max_epochs=3", "patience=null")
TEXTS: Mapping[str, tuple[str, ...]] = {
    "frozen": ("text=minilm",),
    "trained": ("text=minilm", "text.trainable=true", "text.encoder.batch_size=4"),
}
FEW = 64
"""Questions that a benchmark gives for training, and for the test, where frozen and trained text are compared."""
PRICE = 0.02
"""lambda there."""


@dataclass(frozen=True, kw_only=True)
class World:
    """Benchmarks that the same agents answered.

    Attributes:
        prices: lambda, utility per USD per 1,000 questions; a row of a table is the mean over them.
        part: The benchmark of a task.
        every: One question in so many is used.
        alone: Whether anything is chosen on each benchmark alone too; some are too small for that.
        step: One benchmark in so many, by their names, is left out.
    """

    title: str
    experiment: str
    prices: tuple[float, ...]
    part: "Callable[[Task], str]"
    every: int = 1
    alone: bool = True
    step: int = 1

    def takes(self, task: "Task") -> bool:
        """Return whether a task is used, the same ones in every half; a group is used whole."""
        return int(sha256((task.group or task.id).encode()).hexdigest(), 16) % self.every == 0


WORLDS = {
    "recorded": World(
        title="GSM8K, MATH-L5 and CRUX-O, 26 LLMs",
        experiment="frontier",
        prices=PRICES,
        part=lambda task: task.benchmark,
    ),
    "mmlu_pro": World(
        title="MMLU-Pro by category, 28 LLMs",
        experiment="mmlu_pro",
        prices=(0.0,),
        part=lambda task: task.domain,
        every=20,
        alone=False,
        step=2,
    ),
    "ways": World(
        title="GPT-4 in seven ways of working",
        experiment="ways",
        prices=PRICES_OF_WAYS,
        part=lambda task: "mgsm" if task.domain.startswith("mgsm") else task.domain,
        every=2,
    ),
}

# --------------------------------------------------------------------------- runs


def file(out: Path, world: str, method: str, training: str, seed: int) -> Path:
    """Return where the rows of a method are kept, trained in one of the ways."""
    return out / world / f"{method.replace(', ', '-').replace(' ', '-')}-{training}-{seed}.json"


def trainings(parts: Sequence[str], *, step: int = 1) -> list[tuple[str, list[str], list[str]]]:
    """Return the ways of training: name, the benchmarks learned from, those that it is used on."""
    return [
        (ALL, list(parts), list(parts)),
        *((f"{WITHOUT}-{part}", [p for p in parts if p != part], [part]) for part in parts[::step]),
        *((f"{ALONE}-{part}", [part], [part]) for part in parts[::step]),
    ]


def run_world(out: Path, name: str, methods: Sequence[str], seed: int) -> None:
    """Fit and use everything on one half of a world, but for what was done before."""
    from gdesign.runs.checkpoint import assemble

    world = WORLDS[name]
    half = Half(seed, world.experiment)
    learning, test = ([t for t in tasks if world.takes(t)] for tasks in (half.learning, half.splits["test"]))
    parts = sorted({world.part(t) for t in test})
    for training, seen, used in trainings(parts, step=world.step):
        tasks = [t for t in learning if world.part(t) in seen]
        asked = [t for t in test if world.part(t) in used]
        if training.startswith(ALONE) and not world.alone:
            continue
        for method in (*methods, HERE if training.startswith(ALONE) else ELSEWHERE):
            path = file(out, name, method, training, seed)
            if path.is_file():
                continue
            if method in (ELSEWHERE, HERE):
                rows = {price: best_single(half, tasks, asked, price) for price in world.prices}
            else:
                config = compose((f"experiment={world.experiment}", *ROUTERS[method])).copy()
                config.seed = seed
                problems, designer = assemble(config)
                half.fit(designer, problems, tasks, world.prices[0])  # type: ignore[arg-type]
                designer.eval()
                rows = {price: half.rows(designer, problems, asked, price) for price in world.prices}
            write(path, rows)


def best_single(half: Half, tasks: "Sequence[Task]", asked: "Sequence[Task]", price: float) -> list[list[Any]]:
    """Return the rows of the one agent that is worth most on some tasks, each by its weight."""
    from gdesign.agents import teams
    from gdesign.runs.checkpoint import assemble
    from gdesign.types import Job

    agents = assemble(compose((f"experiment={half.experiment}",)).copy())[0].space.agents
    probes = [teams.single([agent]) for agent in agents]
    results = half.run([Job(probe, task, 0) for task in tasks for probe in probes])
    worth = torch.tensor([o.score - price * 1000 * o.usd for _, o in results]).view(len(tasks), -1)
    best = probes[int((torch.tensor([t.weight for t in tasks]) @ worth).argmax())]
    found = half.run([Job(best, task, 0) for task in asked])
    return [[t.id, t.group, t.domain, o.score, 1000 * o.usd] for t, (_, o) in zip(asked, found, strict=True)]


def write(path: Path, rows: Mapping[float, list[list[Any]]]) -> None:
    """Keep rows, by price."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({f"{price:g}": found for price, found in rows.items()}))


def run_text(out: Path, seed: int) -> None:
    """Train the critic on one half of the recorded benchmarks, text frozen and trained; on all, and on all but one."""
    from gdesign.runs.checkpoint import load

    world = WORLDS["recorded"]
    half = Half(seed, world.experiment)
    parts = sorted({world.part(t) for t in half.splits["test"]})
    left_out = parts[seed % len(parts)]
    few = [t for part in parts for t in [t for t in half.splits["test"] if world.part(t) == part][:FEW]]
    for training, gone in ((ALL, ""), (f"{WITHOUT}-{left_out}", left_out)):
        for text, overrides in TEXTS.items():
            path = file(out, "text", text, training, seed)
            if path.is_file():
                continue
            folder = out / "trained" / f"text-{path.stem}"
            limited = (f"+task.without=[{gone}]", f"+task.limit={FEW}")
            train((f"experiment={world.experiment}", *CRITIC, *overrides, *limited), seed, folder)
            problems, designer = load(folder)
            write(path, {PRICE: half.rows(designer, problems, few, PRICE)})


# --------------------------------------------------------------------------- tables


Worth = dict[tuple[str, str], tuple[float, str]]
"""Mean utility over prices and group of each question, by part and id."""


def read(out: Path, world: str, method: str, training: str, seed: int) -> Worth:
    """Return what a method was worth on each question that it was used on."""
    from gdesign.types import Task

    rows = json.loads(file(out, world, method, training, seed).read_text())
    found: dict[tuple[str, str], list[float]] = {}
    groups: dict[tuple[str, str], str] = {}
    for price, each in rows.items():
        for key, group, domain, score, usd in each:
            benchmark = key.partition("/")[0]
            task = Task(id=key, question="", answer="", benchmark=benchmark, domain=domain)
            at = (WORLDS["recorded" if world == "text" else world].part(task), key)
            found.setdefault(at, []).append(score - float(price) * usd)
            groups[at] = group or key
    return {at: (mean(worth), groups[at]) for at, worth in found.items()}


def over_parts(worth: Mapping[tuple[str, str], tuple[float, str]]) -> float:
    """Return the mean over parts of the mean over questions."""
    parts: dict[str, list[float]] = {}
    for (part, _), (value, _) in worth.items():
        parts.setdefault(part, []).append(value)
    return mean(map(mean, parts.values()))


def less(first: Worth, second: Worth) -> Worth:
    """Return differences, by question."""
    assert first.keys() == second.keys()
    return {at: (first[at][0] - second[at][0], first[at][1]) for at in first}


def apart(differences: Sequence[Worth]) -> str:
    """Return mean and spread over halves, and the 95 % interval over questions, each with its group and all halves."""
    sums: dict[tuple[str, str], list[float]] = {}
    for each in differences:
        sizes: dict[str, int] = {}
        for part, _ in each:
            sizes[part] = sizes.get(part, 0) + 1
        for (part, _), (value, group) in each.items():
            total = sums.setdefault((part, group), [0.0, 0.0])
            total[0] += value / sizes[part]
            total[1] += 1 / sizes[part]
    table = torch.tensor(list(sums.values()), dtype=torch.float64)
    draws = torch.randint(len(table), (4000, len(table)), generator=torch.Generator().manual_seed(0))
    summed = table[draws].sum(1)
    low, high = (summed[:, 0] / summed[:, 1]).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return f"{plus_minus_signed([over_parts(d) for d in differences])} ({low:+.3f} to {high:+.3f})"


def world_tables(out: Path, name: str, methods: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """Return what a world came to, on average over what was left out and for each of it, as Markdown."""
    parts = sorted({part for part, _ in read(out, name, ELSEWHERE, ALL, seeds[0])})[:: WORLDS[name].step]

    def joined(method: str, kind: str) -> list[Worth]:
        if kind == ALL:
            whole = [read(out, name, method, ALL, seed) for seed in seeds]
            return [{at: worth for at, worth in half.items() if at[0] in parts} for half in whole]
        each = [[read(out, name, method, f"{kind}-{part}", seed) for part in parts] for seed in seeds]
        return [{at: worth for one in some for at, worth in one.items()} for some in each]

    others = {ELSEWHERE: joined(ELSEWHERE, WITHOUT)} | ({HERE: joined(HERE, ALONE)} if WORLDS[name].alone else {})
    head = [
        "method",
        "not trained on it",
        "trained on it alone",
        "trained on all",
        f"unseen less trained on {'it alone' if WORLDS[name].alone else 'all'}",
        *(f"unseen less {single}" for single in others),
    ]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    shown: dict[str, list[Worth]] = {}
    for method in methods:
        unseen, whole = joined(method, WITHOUT), joined(method, ALL)
        alone = joined(method, ALONE) if WORLDS[name].alone else None
        shown[method] = unseen
        cells = ["" if w is None else plus_minus(list(map(over_parts, w))) for w in (unseen, alone, whole)]
        cells += [apart(list(map(less, unseen, halves))) for halves in (alone or whole, *others.values())]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    for method, halves in others.items():
        cell = plus_minus([over_parts(w) for w in halves])
        cells = [cell, "", ""] if method == ELSEWHERE else ["", cell, ""]
        lines.append(f"| {method} | {' | '.join(cells)} |" + " |" * (1 + len(others)))
        shown[method] = halves
    lines += [without_repeats(len(head)), "", "Not trained on what is named, mean over halves:", ""]
    lines += [f"| left out | {' | '.join(shown)} |", "|---" * (len(shown) + 1) + "|"]
    for part in parts:
        cells = [
            f"{mean(mean(v for (p, _), (v, _) in half.items() if p == part) for half in halves):.3f}"
            for halves in shown.values()
        ]
        lines.append(f"| {part} | {' | '.join(cells)} |")
    return lines


def text_tables(out: Path, seeds: Sequence[int]) -> list[str]:
    """Return what training the text came to, as Markdown."""
    parts = sorted({part for part, _ in read(out, "text", "frozen", ALL, seeds[0])})
    lines = ["| trained on | used on | text frozen | text trained | trained less frozen |", "|---|---|---|---|---|"]

    def row(title: str, used: str, halves: Mapping[str, list[Worth]]) -> str:
        cells = [plus_minus([over_parts(w) for w in halves[text]]) for text in TEXTS]
        cells.append(apart(list(map(less, halves["trained"], halves["frozen"]))))
        return f"| {title} | {used} | {' | '.join(cells)} |"

    whole = {text: [read(out, "text", text, ALL, seed) for seed in seeds] for text in TEXTS}
    lines.append(row("all three", "all three", whole))
    left_out = {seed: parts[seed % len(parts)] for seed in seeds}
    moved = {text: [read(out, "text", text, f"{WITHOUT}-{left_out[seed]}", seed) for seed in seeds] for text in TEXTS}
    for title, unseen in (("two", True), ("two", False)):
        some = {
            text: [
                {at: v for at, v in half.items() if (at[0] == left_out[seed]) == unseen}
                for seed, half in zip(seeds, moved[text], strict=True)
            ]
            for text in TEXTS
        }
        lines.append(row(title, "the third" if unseen else "these two", some))
    return lines


def main() -> None:
    """Run everything, print the tables."""
    parser = options(__doc__, out="runs/unseen", seeds=3, workers=1)
    args = parser.parse_args()
    seeds = range(args.seeds)
    jobs: list[Callable[[], None]] = [
        partial(run_world, args.out, name, tuple(ROUTERS), seed) for name in WORLDS for seed in seeds
    ]
    jobs += [partial(run_text, args.out, seed) for seed in seeds]
    run_all(jobs, workers=args.workers, folder=args.out)
    text = page(args.out, seeds)
    publish(text, args.write)


def page(out: Path, seeds: Sequence[int]) -> str:
    """Return all tables with what they need to be read, as Markdown."""
    return "\n".join(
        [
            "# Used on benchmarks that were not trained on",
            "",
            f"`GDESIGN_DATA=... {command()}`; utility = score - lambda x USD per 1,000 questions.",
            "",
            f"Mean ± standard deviation over {len(seeds)} random halves outside the lock-box; the halves overlap, so "
            "the spread is no standard error. Benchmarks weigh the same, and so do the prices of cost. Differences are "
            "paired by question; in brackets is their 95 % interval over questions (of `ways` over problems), each "
            "with all the halves that test it. Settings are each method's own. No test question chose anything.",
            "",
            f"{ELSEWHERE}: the agent that is worth most on the training half of all benchmarks but the one it is used "
            f"on; {HERE}: on the training half of that one.",
            "",
            "Missing are methods that let agents hear each other, gdesigner among them: a recording holds no answer to "
            "what another agent said, and an estimate of one reaches over a single message. joint is here its evidence "
            "(single agents and two-then-one cascades).",
            *(
                line
                for name, world in WORLDS.items()
                for line in (
                    "",
                    f"## {world.title}",
                    "",
                    f"Answers exact. lambda {', '.join(f'{price:g}' for price in world.prices)}"
                    + (f"; one question in {world.every} is used, to save time." if world.every > 1 else ".")
                    + (f" One category in {world.step} is left out in turn." if world.step > 1 else ""),
                    "",
                    *world_tables(out, name, tuple(ROUTERS), seeds),
                )
            ),
            "",
            "## Training the text encoder",
            "",
            f"Answers exact. critic, text=minilm, lambda {PRICE:g}: three epochs over {FEW} questions a benchmark, "
            f"{3 * FEW} test questions a half; text.trainable=true trains the last two layers at rank 8, for the rest "
            "both are the same. Another benchmark is left out in each half. So few, since a step that encodes its "
            "questions anew takes a second or more of one core.",
            "",
            *text_tables(out, seeds),
            "",
        ]
    )


if __name__ == "__main__":
    begin(main)
