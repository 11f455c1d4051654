"""`report.html`: a report as one file that needs no network, for the eyes.

Pictures are SVG inside of it. It holds no scripts, and its policy forbids browsers to run any or to fetch anything.
"""

import json
import os
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from importlib.util import find_spec
from io import BytesIO
from json import JSONDecodeError
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from gdesign.errors import DataError
from gdesign.report.examples import Example, examples
from gdesign.report.folders import Evaluation
from gdesign.report.ledger import Ledger, Stage, Sum, read_ledger
from gdesign.report.tables import Row, columns, notes
from gdesign.report.text import describe
from gdesign.runs.folder import COMMANDS, versions

HAS_MATPLOTLIB = find_spec("matplotlib") is not None
LABELS = {
    "live": "Answers came from an endpoint.",
    "replayed": "Answers came from an endpoint earlier, and were recorded.",
    "exact": "Answers were given by real LLMs to these very prompts, and recorded.",
    "calibrated": "Answers were recorded, and then changed by a model of how agents that hear others change their "
    "minds. They support no claim that one method beats another.",
    "simulated": "Answers come from synthetic agents on generated questions. They say what a method can learn, not "
    "what it is worth on your questions.",
}
MOST_WORDS = 2000
MOST_FAILURES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        head: Its columns.
        rows: Its cells.
        words: How many columns, from the first, hold words; the rest are numbers and stand to the right.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture.

    Attributes:
        url: Holds the picture itself.
        says: What it shows, for those who do not see it.
    """

    url: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A share of the money.

    Attributes:
        name: Whose.
        usd: How much.
        share: Of all, in percent.
    """

    name: str
    usd: float
    share: float


def picture(draw: Callable[[BinaryIO], None], says: str) -> Picture:
    """Return what a function draws into a stream as SVG.

    Args:
        draw: Draws it.
        says: What it shows.
    """
    stream = BytesIO()
    draw(stream)
    return Picture(url=f"data:image/svg+xml;base64,{b64encode(stream.getvalue()).decode()}", says=says)


def write(path: Path, **about: Any) -> Path:
    """Write a page; return its path.

    Args:
        path: Where to.
        **about: What the template shows.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files("gdesign.report") / "report.html.jinja").read_text(encoding="utf-8"))
    text = template.render(made_with=versions(), drawn=HAS_MATPLOTLIB, **about)
    path.write_text(text, encoding="utf-8", errors="backslashreplace")  # LLMs may say lone surrogates
    return path


def write_run(
    folder: Path,
    *,
    evaluation: Evaluation | None,
    rows: Sequence[Row],
    stopped: str | None,
    resume: str | None,
    repeat: str | None,
    curve: Callable[[BinaryIO], None] | None,
) -> Path:
    """Write the page of one run folder; return its path.

    Args:
        folder: The run folder.
        evaluation: Its evaluation; None if there is none yet.
        rows: The evaluation, and others of the same checkpoint, as rows of a table.
        stopped: Why it stopped; None if it did not.
        resume: The command that goes on; None if nothing is left to do, or nobody knows.
        repeat: The command that repeats the evaluation.
        curve: Draws validations over training; None if there are too few.
    """
    summary = None if evaluation is None else evaluation.summary
    ledger = (
        read_ledger(folder, split=None)
        if summary is None
        else read_ledger(folder, split=summary["split"], num_samples=summary["num_samples"])
    )
    pictures: dict[str, Picture | None] = {"frontier": None, "learning": None}
    if HAS_MATPLOTLIB:
        from gdesign.report import plots

        if rows:
            says = "Score over USD per 1,000 questions: " + "; ".join(
                f"{r.method} {r.score:.3f} at {r.usd:.3f}" for r in rows
            )
            pictures["frontier"] = picture(lambda out: plots.score_against_cost(rows, out), says)
        if curve is not None:
            pictures["learning"] = picture(curve, "Validation utility and score over training steps.")
    return write(
        folder / "report.html",
        title=folder.name,
        rows=_table(rows),
        notes=notes(rows) if rows else [],
        label=summary and summary["label"],
        meaning=summary and LABELS.get(summary["label"], ""),
        tiles=[] if evaluation is None else _tiles(evaluation),
        stopped=stopped,
        resume=resume,
        pictures=pictures,
        phases=_sums(ledger.phases, "phase"),
        benchmarks=_sums(ledger.benchmarks(), "benchmark", per_question=True),
        domains=None if summary is None else _domains(summary["domains"]),
        examples=_examples(ledger),
        examples_of=None,
        money=_money(ledger),
        untold=dict(ledger.untold),
        errors=ledger.errors().most_common(MOST_FAILURES),
        num_errors=sum(ledger.errors().values()),
        unreadable=[
            {"question": _cut(row.get("question", row["task"])), "words": _words(row)}
            for row in ledger.latest.values()
            if row["unreadable"]
        ][:MOST_FAILURES],
        num_unreadable=sum(row["unreadable"] for row in ledger.latest.values()),
        num_faults=sum(s.faults for s in ledger.phases.values()),
        num_lost=sum(s.failures for s in ledger.phases.values()),
        commands=_commands(folder),
        repeat=repeat,
        overview=None,
    )


def write_many(
    path: Path,
    *,
    title: str,
    rows: Sequence[Row],
    unsaid: Mapping[str, Mapping[str, Any]],
    drawings: Mapping[str, tuple[Callable[[BinaryIO], None], str]],
    sections: Sequence[tuple[str, Sequence[tuple[str, Table]], Sequence[str]]],
    folders: Sequence[Path],
    best: tuple[str, Evaluation] | None,
) -> Path:
    """Write the page of many run folders; return its path.

    Args:
        path: Where to.
        title: What it is called.
        rows: One a method, task, split, label and price of cost.
        unsaid: The settings that the methods' names leave unsaid, by designer.
        drawings: What draws the pictures, and what they show, by heading.
        sections: Heading, named tables, and paragraphs.
        folders: The run folders, whose money is summed.
        best: A method and one of its evaluations, whose designs are shown; None to show none.
    """
    ledger = Ledger()
    unread: dict[Path, str] = {}
    for folder in folders:
        try:
            one = read_ledger(folder, split=None)
        except DataError as error:
            unread[folder] = str(error)
            continue
        for mine, its in ((ledger.by_llm, one.by_llm), (ledger.by_role, one.by_role)):
            for stage, usd in its.items():
                mine[stage] = mine[stage] + usd if stage in mine else usd
        ledger.untold.update(one.untold)
    shown: list[dict[str, Any]] = []
    if best is not None and best[1].folder not in unread:
        summary = best[1].summary
        shown = _examples(read_ledger(best[1].folder, split=summary["split"], num_samples=summary["num_samples"]))
    labels = sorted({row.label for row in rows})
    return write(
        path,
        title=title,
        rows=_table(rows),
        notes=notes(rows) if rows else [],
        label=", ".join(labels),
        meaning=" ".join(LABELS.get(label, "") for label in labels),
        tiles=[],
        stopped=None,
        resume=None,
        pictures={"frontier": None, "learning": None},
        phases=None,
        benchmarks=None,
        domains=None,
        examples=shown,
        examples_of=None if best is None else best[0],
        money=_money(ledger),
        untold=dict(ledger.untold),
        errors=[],
        num_errors=0,
        unreadable=[],
        num_unreadable=0,
        num_faults=0,
        num_lost=0,
        commands=[],
        repeat=None,
        overview={
            "unsaid": {name: settings for name, settings in unsaid.items() if settings},
            "drawings": {name: picture(draw, says) for name, (draw, says) in drawings.items()},
            "sections": sections,
            "unread": list(unread.values()),
            "folders": [
                {
                    "name": str(folder),
                    "report": quote(os.fsencode(Path(os.path.relpath(folder / path.name, path.parent)).as_posix()))
                    if (folder / path.name).is_file()
                    else None,
                    "last": _commands(folder)[-1:],
                }
                for folder in folders
            ],
        },
    )


def _table(rows: Sequence[Row]) -> Table | None:
    if not rows:
        return None
    head, cells = columns(rows)
    return Table(head=head, rows=cells, words=4)


def _tiles(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Return the numbers that matter most: what, how much, and how sure."""
    s = evaluation.summary
    score, utility = s["interval"], s["utility_interval"]
    tiles = [
        ("score", f"{s['score']:.3f}", f"{score[0]:.3f} to {score[1]:.3f}"),
        ("USD per 1,000 questions", f"{s['usd']:.3f}", f"{s['calls']:.1f} calls a question"),
        ("utility", f"{s['utility']:.3f}", f"{utility[0]:.3f} to {utility[1]:.3f}"),
        ("questions", f"{s['n']:,}", f"{s['num_distinct_designs']:,} different designs"),
        (
            "tokens a question",
            f"{s['prompt_tokens'] + s['completion_tokens']:,.0f}",
            f"{s['prompt_tokens']:,.0f} + {s['completion_tokens']:,.0f}",
        ),
    ]
    if s.get("latency"):
        tiles.append(("seconds a question", f"{s['latency']['mean']:.2f}", f"95 % below {s['latency']['p95']:.2f}"))
    if s["training"]["runs"]:
        t = s["training"]
        tiles.append(("training runs", f"{t['runs']:,}", f"{t.get('usd', 0.0):.4f} USD, {t.get('seconds', 0.0):.0f} s"))
    return tiles


def _sums(sums: Mapping[str, Sum], what: str, *, per_question: bool = False) -> Table | None:
    if not sums:
        return None
    head = [what, "runs", "mean score", "calls", "USD per 1,000" if per_question else "USD"]
    paid = any(s.paid_usd for s in sums.values())
    head += ["paid"] if paid else []
    head += ["prompt tokens", "completion tokens", "unreadable", "failed calls", "faults survived"]
    rows = []
    for name, s in sums.items():
        per = 1000 / s.runs if per_question else 1.0
        row = [name, f"{s.runs:,}", f"{s.mean_score:.4f}", f"{s.calls:,}", f"{s.usd * per:,.4f}"]
        row += [f"{s.paid_usd * per:,.4f}"] if paid else []
        row += [f"{n:,}" for n in (s.prompt_tokens, s.completion_tokens, s.unreadable, s.failures, s.faults)]
        rows.append(row)
    return Table(head=head, rows=rows)


def _domains(domains: Mapping[str, Mapping[str, Any]]) -> Table | None:
    if not domains:
        return None
    rows = [
        [name or "(none)", f"{d['n']:,}", f"{d['score']:.4f}", f"{d['usd']:.4f}", f"{d['utility']:.4f}"]
        for name, d in domains.items()
    ]
    return Table(head=["domain", "questions", "score", "USD per 1,000", "utility"], rows=rows)


def _money(ledger: Ledger) -> list[dict[str, Any]]:
    """Return for training and evaluation what each LLM and each role took, dearest first."""
    found = []
    stages: tuple[Stage, ...] = ("training", "evaluation")
    for stage in stages:
        if stage not in ledger.by_llm:
            continue
        total = ledger.by_llm[stage].total()
        bars = {
            word: [Bar(name=n, usd=usd, share=100 * usd / total) for n, usd in by[stage].most_common() if usd > 0]
            for word, by in (("LLM", ledger.by_llm), ("role", ledger.by_role))
        }
        if total > 0:
            found.append({"stage": stage, "total": total, "bars": bars})
    return found


def _examples(ledger: Ledger) -> list[dict[str, Any]]:
    """Return what the page says of the designs that were evaluated; an LLM has the same colour in all of them."""
    found = examples(list({(benchmark, task): row for (benchmark, task, _), row in ledger.latest.items()}.values()))
    llms = sorted({agent.llm for example in found for agent in example.design.agents})
    return [_shown(example, llms) for example in found]


def _shown(example: Example, llms: Sequence[str]) -> dict[str, Any]:
    """Return what the page says of an example."""
    row = example.row
    drawn = None
    if HAS_MATPLOTLIB:
        from gdesign.report import plots

        draw = partial(plots.draw_designs, [("", example.design)], llms=llms)
        drawn = picture(draw, describe(example.design))
    return {
        "title": example.title,
        "question": _cut(row.get("question", row["task"])),
        "picture": drawn,
        "words": describe(example.design),
        "answer": row["answer"],
        "score": row["score"],
        "usd": row["usd"],
        "calls": row["calls"],
        "turns": _turns(row),
    }


def _turns(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each agent said, where the words were written down."""
    agents = row["design"]["agents"]
    return [
        {
            "agent": turn[0] + 1,
            "round": turn[1],
            "role": agents[turn[0]]["role"],
            "llm": agents[turn[0]]["llm"],
            "answer": turn[2],
            "text": None if turn[3] is None else _cut(turn[3]),
            "error": turn[4],
        }
        for turn in row["turns"]
        if len(turn) > 4
    ]


def _words(row: Mapping[str, Any]) -> str:
    """Return the last words that were said in a run."""
    said = [turn["text"] for turn in _turns(row) if turn["text"]]
    return said[-1] if said else "nobody said anything"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_WORDS else f"{text[:MOST_WORDS]} [...]"


def _commands(folder: Path) -> list[dict[str, Any]]:
    """Return what was typed to make a folder, oldest first."""
    path = folder / COMMANDS
    if not path.is_file():  # an earlier version made it
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(JSONDecodeError):  # a kill cut it short, and the next command may stand behind it
            found.append(json.loads(line))
    return found
