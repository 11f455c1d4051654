"""The reports of one run folder, and of many together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, combinations, groupby
from pathlib import Path

from gdesign.errors import BudgetExceededError, DataError, UserError
from gdesign.report.compare import Comparison, Metric, compare, find_baseline, read_answers
from gdesign.report.curves import learning, validations
from gdesign.report.document import HAS_MATPLOTLIB, Block, Folded, Items, Part, Picture, Report, Table, Text, write
from gdesign.report.folders import Evaluation, Incomplete, find_evaluations, look_at, read_evaluation
from gdesign.report.paths import paths
from gdesign.report.sections import (
    beside,
    commands,
    designs,
    estimate,
    failures,
    in_short,
    meaning,
    money,
    tasks,
    told_versions,
)
from gdesign.report.tables import Group, Row, make_groups, make_rows, panel, told
from gdesign.report.tally import Tally, read_tally
from gdesign.runs.checkpoint import BEST
from gdesign.runs.comparison import SAID
from gdesign.runs.config import CONFIG, read_config
from gdesign.runs.folder import typed, versions
from gdesign.runs.standing import read_standing

if HAS_MATPLOTLIB:
    from gdesign.report import plots

COMPARISON = (
    "first", "second", "number", "first - second", "95 % over seeds", "p", "seeds", "95 % over questions", "p",
    "questions",
)  # fmt: skip
BANDS = "Bands are 95 % intervals over seeds, as far as all seeds of a method went; thin lines are seeds."
NUM_BEST = 6
"""How many methods of a task are compared where there is no baseline."""


@contextmanager
def reported(folder: Path) -> Iterator[None]:
    """Leave a report of what there is where a spent budget ends the work, or Ctrl-C."""
    try:
        yield
    except (BudgetExceededError, KeyboardInterrupt) as error:
        write_page(folder, stopped=f"{str(error) or 'it was interrupted'}.")
        raise


def write_page(folder: Path, *, stopped: str | None = None) -> Path:
    """Write the report of one run folder, with its pictures, and the same as `report.html`; return its path.

    `stopped` says why it stopped, if it did.

    Where the run was not evaluated yet, or stopped, the page says what was run so far, what it cost, and how to go on.
    """
    made = commands(folder) or [[Text("The command was not noted; an earlier version made this folder.")]]
    if stopped is not None or not (folder / "eval.json").is_file():
        badge, tally = "", read_tally(folder, split=None)
        lead = [*_unfinished(folder, stopped), *_standing(folder)]
        asked: dict[str, list[Block]] = {"Learning": _learning(folder)}
    else:
        evaluation = read_evaluation(folder)
        summary = evaluation.summary
        badge, lead = summary["label"] or "", [*meaning([summary["label"]]), *in_short(evaluation)]
        tally = read_tally(folder, split=summary["split"], num_samples=summary["num_samples"])
        asked = {
            "Beside other designs": beside(evaluation),
            "Score against cost": _score_against_cost(_with_others(evaluation), _measures(evaluation)),
            "Learning": _learning(folder),
            "Tasks": tasks(evaluation, tally),
            "Paths": paths(tally, "reliability.png"),
            "Designs": designs(tally, "designs.png"),
        }
        repeat = f"gdesign eval {typed('checkpoint', folder)} split={summary['split']}"
        made.append([Text("To repeat the evaluation:"), Text(repeat, "code")])
    took = {
        "Where the money went": [*money(tally), *estimate(folder)],
        "Failures": failures(tally, finished=stopped is None),
        "How this was made": list(chain(*made)),
    }
    return _write(folder, folder.name, badge, lead, asked | took)


def write_overview(paths: Sequence[Path], out: Path, *, baseline: str | None = None) -> Path:
    """Write one report over many run folders, and the same as `report.html`; return its path.

    Args:
        paths: Run folders, or folders that hold some.
        out: The folder that gets `report.md` and its pictures.
        baseline: What every method is compared with: a method as the table names it, a designer, or a run
            folder. None compares the best methods with each other.

    Raises:
        MissingDataError: There is no run folder.
        ConfigError: The baseline is unknown.
    """
    evaluations, incomplete = find_evaluations(paths)
    groups, unsaid = make_groups(evaluations)
    against = None if baseline is None else find_baseline(groups, baseline)
    rows = make_rows(groups)
    labels = sorted({row.label for row in rows})
    lead: list[Block] = meaning(labels) if rows else [Text("No run was evaluated yet.")]
    sections: dict[str, list[Block]] = {}
    if rows:
        sections["Score against cost"] = [*_score_against_cost(rows), *_unsaid(unsaid)]
    heading = f"Against {against}" if against else "The best against each other"
    sections[heading] = _comparisons(groups, against)
    sections["Not in the table"] = _left_out(incomplete, groups)
    if any(r.training_runs for r in rows):
        says = "utility against runs of training"
        picture = Picture(file="runs_utility.png", says=says, draw=lambda out: plots.utility_against_runs(rows, out))
        sections["What training took"] = [picture]
    if trainings := learning(groups):
        says = "validation utility against runs and steps"
        picture = Picture(file="learning.png", says=says, draw=lambda out: plots.learning_curves(trainings, out))
        sections["Learning curves"] = [picture, Text(BANDS)]
    folders = [*(e.folder for e in evaluations), *(run.folder for run in incomplete)]
    tallies, unread = _read_tallies(folders)
    if groups and (best := groups[0].members[0]).folder in tallies:
        summary = best.summary
        tally = read_tally(best.folder, split=summary["split"], num_samples=summary["num_samples"])
        sections[f"Designs of {groups[0].method}"] = designs(tally, "best_designs.png")
    together = Tally()
    for tally in tallies.values():
        together.usd.update(tally.usd)
        together.untold.update(tally.untold)
    sections["Where the money went"] = money(together, unread)
    sections["How this was made"] = [_made(folders)]
    out.mkdir(parents=True, exist_ok=True)
    return _write(out, "Runs", ", ".join(labels), lead, sections)


def _write(
    folder: Path, title: str, badge: str, lead: Sequence[Block], sections: Mapping[str, Sequence[Block]]
) -> Path:
    filled = {heading: blocks for heading, blocks in sections.items() if blocks}
    footer = f"Written with {told_versions(versions())}."
    return write(Report(title=title, badge=badge, lead=lead, sections=filled, footer=footer), folder)


# --------------------------------------------------------------------------- one run folder


def _unfinished(folder: Path, stopped: str | None) -> list[Block]:
    look = look_at(folder) if (folder / CONFIG).is_file() else None
    command = look.command if isinstance(look, Incomplete) else None
    if stopped is None:
        command = command or f"gdesign eval {typed('checkpoint', folder)}"
        return [Text("Not evaluated yet. To go on:", "bad"), Text(command, "code")]
    lead: list[Block] = [Text(f"Stopped: {stopped} Everything so far is kept.", "bad")]
    if command is None:
        return [*lead, Text("To go on: the same command again.")]
    return [*lead, Text("To go on: the same command again, or"), Text(command, "code")]


def _standing(folder: Path) -> list[Block]:
    """Return how a designer stands that was trained, and not evaluated."""
    if not ((folder / CONFIG).is_file() and (folder / BEST).is_file()):
        return []
    if (found := read_standing(folder / BEST)) is None:
        return []
    line = found.line(deploy=read_config(folder, trust=True).get("deploy") or "learned")
    return [Text(f"{line[0].upper()}{line[1:]}.")]


def _with_others(evaluation: Evaluation) -> list[Row]:
    """Return the row of a run folder, and of what was evaluated within it on the same questions at other prices."""
    (own,) = make_rows(make_groups([evaluation])[0])
    around, _ = find_evaluations([evaluation.folder])
    found = make_rows(make_groups(around)[0])
    same = [r for r in found if (r.task, r.split, r.label) == (own.task, own.split, own.label)]
    return sorted(same, key=lambda r: r.usd_weight) if len(same) > 1 else [own]


def _measures(evaluation: Evaluation) -> list[tuple[str, float, float]]:
    """Return names, USD and scores of what the same questions were asked beside, and of each kind of them."""
    summary = evaluation.summary
    found = [(name or "no domain", d["usd"], d["score"]) for name, d in summary["domains"].items()]
    if (comparison := summary.get("comparison")) is not None:
        names = {"learned": "the learned designer"} | {str(kind): name for kind, name in SAID.items()}
        others = [kind for kind in names if kind != comparison["deployed"] and kind in comparison["evaluated"]]
        found += [(names[kind], *(comparison["evaluated"][kind][key] for key in ("usd", "score"))) for kind in others]
    return found


def _learning(folder: Path) -> list[Block]:
    rows = validations(folder / "metrics.csv") if (folder / "metrics.csv").is_file() else []
    if len(rows) < 2:
        return []
    steps = [int(r["step"]) for r in rows]
    utility, score = ([float(r[name]) for r in rows] for name in ("val/utility", "val/score"))
    says = "validation utility and score"
    return [Picture(file="training.png", says=says, draw=lambda out: plots.training_curve(steps, utility, score, out))]


# --------------------------------------------------------------------------- many


def _score_against_cost(rows: Sequence[Row], measures: Sequence[tuple[str, float, float]] = ()) -> list[Block]:
    """Return a table and its picture; a single row is drawn with what gives it a measure, or not at all."""
    beside = measures if len(rows) == 1 else ()
    if len(rows) == 1 and not beside:
        return told(rows)
    picture = Picture(
        file="score_cost.png",
        says="score against cost",
        draw=lambda out: plots.score_against_cost(rows, out, beside=beside),
    )
    hollow = "Hollow: what else answered the same questions, and the kinds of questions alone."
    return [picture, *([Text(hollow, "soft")] if beside else []), *told(rows)]


def _unsaid(unsaid: Mapping[str, Mapping[str, object]]) -> list[Block]:
    texts = [
        f"{designer}: " + ", ".join(f"{key}={value}" for key, value in settings.items())
        for designer, settings in unsaid.items()
        if settings
    ]
    return [Text("Unless a name says otherwise:"), Items(texts)] if texts else []


def _left_out(incomplete: Sequence[Incomplete], groups: Sequence[Group]) -> list[Block]:
    found: list[Block] = []
    if incomplete:
        rows = [(str(run.folder), run.missing, run.command or "") for run in incomplete]
        found.append(Table(head=("run", "what is missing", "to go on"), rows=rows, num_words=3, code=2))
    lacking = []
    for about, members in groupby(groups, key=panel):
        seeds = {g.method: {e.config["seed"] for e in g.members} for g in members}
        everybodys = set().union(*seeds.values())
        lacking += [
            f"{method} ({_where(about)}): {', '.join(map(str, sorted(everybodys - own)))}"
            for method, own in seeds.items()
            if everybodys - own
        ]
    return found + ([Text("Seeds that others have and these lack:"), Items(lacking)] if lacking else [])


def _comparisons(groups: Sequence[Group], baseline: str | None) -> list[Block]:
    metrics: tuple[Metric, ...] = ("utility",) if baseline is None else ("utility", "score", "usd")
    tables: dict[str, list[Comparison]] = {}
    notes = []
    for about, found in groupby(groups, key=panel):
        members, where = list(found), _where(about)
        if about[2] == "calibrated":
            notes.append(f"{where}: calibrated answers support no claim that one method beats another")
            continue
        if baseline is None:
            pairs = list(combinations(members[:NUM_BEST], 2))
        else:
            reference = [g for g in members if g.method == baseline]
            if not reference:
                notes.append(f"{where}: {baseline} was not evaluated there")
            pairs = [(g, r) for r in reference for g in members if g is not r]
        involved = {g.method for pair in pairs for g in pair}
        read = read_answers([g for g in members if g.method in involved])
        for first, second in pairs:
            try:
                tables.setdefault(where, []).extend(compare(first, second, metrics=metrics, read=read))
            except UserError as error:
                notes.append(f"{first.method} and {second.method} ({where}): {error}")
    blocks: list[Block] = [
        Part(title=where, blocks=[Table(head=COMPARISON, rows=list(map(_cells, found)), num_words=3)])
        for where, found in tables.items()
        if found
    ]
    if num := sum(map(len, tables.values())):
        blocks.append(Text(_how(num)))
        if baseline is None:
            blocks.append(Text("--baseline NAME compares every method with one, by score and cost too."))
    return blocks + ([Text("Not compared:"), Items(notes)] if notes else [])


def _how(num: int) -> str:
    return (
        "Paired. Over seeds: Student's t of the differences seed by seed; no seeds are named where the means over "
        "each method's seeds were compared. Over questions: a bootstrap in which a question that several seeds "
        "were asked counts with all of them; its p is never below 0.001. Every p is two-sided and not corrected "
        f"for making {num} comparisons. usd is per 1,000 questions."
    )


def _cells(c: Comparison) -> list[str]:
    return [
        c.first,
        c.second,
        c.metric,
        f"{c.difference:+.4f}",
        "" if c.seed_interval is None else f"{c.seed_interval[0]:+.4f} to {c.seed_interval[1]:+.4f}",
        "" if c.seed_p is None else f"{c.seed_p:.3g}",
        ", ".join(map(str, c.seeds)),
        f"{c.question_interval[0]:+.4f} to {c.question_interval[1]:+.4f}",
        f"{c.question_p:.3g}",
        str(c.num_questions),
    ]


def _where(about: tuple[str, str, str, float, float, float]) -> str:
    task, split, label, usd_weight, token_weight, second_weight = about
    weights = f"lambda {usd_weight:g}" + (f" and {token_weight:g}" if token_weight else "")
    return f"{task}, {split}, {label}, {weights}" + (f", latency {second_weight:g}" if second_weight else "")


def _read_tallies(folders: Sequence[Path]) -> tuple[dict[Path, Tally], list[Block]]:
    found, unread = {}, list[Block]()
    for folder in folders:
        try:
            found[folder] = read_tally(folder, split=None)
        except DataError as error:
            unread.append(Text(f"Not counted: {error}", "bad"))
    return found, unread


def _made(folders: Sequence[Path]) -> Folded:
    unknown: list[Block] = [Text("An earlier version made it, and did not note the command.", "soft")]
    parts = []
    for folder in folders:
        page = folder / "report.html"
        last = commands(folder)[-1:] or [unknown]
        parts.append(Part(title=str(folder), blocks=last[0], to=page if page.is_file() else None))
    title = f"{len(folders)} run folders, each with the last command that worked in it"
    return Folded(title=title, blocks=parts)
