"""What a report says of one evaluation and of what its runs took, as blocks."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Literal

from gdesign.export.schema import design_from_json
from gdesign.report.document import HAS_MATPLOTLIB, Block, Folded, Numbers, Part, Picture, Shares, Table, Text
from gdesign.report.examples import Example, examples
from gdesign.report.folders import Evaluation
from gdesign.report.tally import STAGES, Line, Tally
from gdesign.report.text import describe
from gdesign.report.text import money as usd_in_words
from gdesign.runs.comparison import SAID, said
from gdesign.runs.estimate import ESTIMATE
from gdesign.runs.folder import COMMANDS

if HAS_MATPLOTLIB:
    from gdesign.report import plots

MEANING = {
    "live": "Answers came from an endpoint.",
    "replayed": "Answers came from an endpoint earlier, and were recorded.",
    "exact": "Answers were given by real LLMs to these very prompts, and recorded.",
    "calibrated": "Answers were recorded, and then changed by a model of how agents that hear others change their "
    "minds. They support no claim that one method beats another.",
    "simulated": "Answers come from synthetic agents on generated questions. They say what a method can learn, not "
    "what it is worth on your questions.",
}
ARROWS = (
    "Solid arrows carry text, dashed ones are watched by a gate, dotted ones carry text to the next round. A frame "
    "marks who may decide."
)
MOST_WORDS = 2000
MOST_FAILURES = 10


def meaning(labels: Sequence[str]) -> list[Block]:
    """Return what the labels of answers mean."""
    text = " ".join(MEANING[label] for label in labels if label in MEANING)
    return [Text(text, "soft")] if text else []


def in_short(evaluation: Evaluation) -> list[Block]:
    """Return the numbers that matter most, and what training took."""
    s = evaluation.summary
    low, high = s["interval"]
    worst, best = s["utility_interval"]
    tokens = s["prompt_tokens"], s["completion_tokens"]
    tiles = [
        ("score", f"{s['score']:.3f}", f"{low:.3f} to {high:.3f}"),
        ("USD per 1,000 questions", usd_in_words(s["usd"]), f"{s['calls']:.2f} calls a question"),
        ("utility", f"{s['utility']:.3f}", f"{worst:.3f} to {best:.3f}"),
        ("questions", f"{s['n']:,}", f"{s['num_distinct_designs']:,} different designs"),
        ("tokens a question", f"{sum(tokens):,.0f}", "{:,.0f} + {:,.0f}".format(*tokens)),
    ]
    if s.get("latency"):
        tiles.append(("seconds a question", f"{s['latency']['mean']:.2f}", f"95 % below {s['latency']['p95']:.2f}"))
    t = s["training"]
    took = f"Training took {t['runs']} runs, {t['calls']} calls, {usd_in_words(t['usd'])} USD"
    took += f" and {t['seconds']:.1f} seconds"
    took += f", of which {usd_in_words(t['paid_usd'])} USD were paid" if t.get("paid_usd") else ""
    took += f"; {t['faults']} faults were survived" if t.get("faults") else ""
    return [Numbers(tiles), Text(f"{took}.")]


def beside(evaluation: Evaluation) -> list[Block]:
    """Return what the learned designer was worth beside other designs, and which of them is deployed."""
    if (found := evaluation.summary.get("comparison")) is None:
        return []
    split = evaluation.summary["split"]
    names = {"learned": "the learned designer"} | {str(kind): what for kind, what in SAID.items()}
    rows = []
    for name, part in (("validation", found["validation"]), (split, found["evaluated"])):
        for kind, what in names.items():
            if (one := part.get(kind)) is not None:
                apart = ""
                if kind != "learned":
                    apart = "{:+.4f} ({:+.4f} to {:+.4f})".format(one["difference"], *one["interval"])
                about = "" if kind == "learned" else _agents(one["design"])
                numbers = [f"{one['score']:.4f}", usd_in_words(one["usd"]), f"{one['utility']:.4f}"]
                rows.append([what, about, name, f"{part['n']:,}", *numbers, apart])
    head = ("design", "", "questions of", "questions", "score", "USD per 1,000", "utility", "learned minus this")
    took = found["took"]
    notes = [
        f"The comparison took {took['runs']} runs, {took['calls']} calls and {usd_in_words(took['usd'])} USD more."
    ]
    if found["validation"]["in_sample"]:
        notes.append("The designer learned from the validation questions too, which flatters it there.")
    style: Literal["", "bad"] = "bad" if (found["evaluated"].get("single") or {}).get("difference", 0) < 0 else ""
    text = said(found)
    return [
        Text(f"{text[0].upper()}{text[1:]}.", style),
        Table(head=head, rows=rows, num_words=3),
        Text(" ".join(notes), "soft"),
    ]


def _agents(design: Mapping[str, Any]) -> str:
    lines = describe(design_from_json(design)).splitlines()
    return _cut("; ".join(line.strip() for line in lines[1:]), 200)


def estimate(folder: Path) -> list[Block]:
    """Return what a training was estimated to cost before it began; nothing where it was not."""
    path = folder / ESTIMATE
    if not path.is_file():
        return []
    return [Text("Before training began, this was expected:", "soft"), Text(path.read_text(encoding="utf-8"), "code")]


def tasks(evaluation: Evaluation, tally: Tally) -> list[Block]:
    """Return tables by benchmark and by domain."""
    found: list[Block] = _sums(tally.benchmarks(), "benchmark", per_question=True)
    if domains := evaluation.summary["domains"]:
        rows = [
            [name or "(none)", f"{d['n']:,}", f"{d['score']:.4f}", usd_in_words(d["usd"]), f"{d['utility']:.4f}"]
            for name, d in domains.items()
        ]
        found.append(Table(head=("domain", "questions", "score", "USD per 1,000", "utility"), rows=rows))
    return found


def designs(tally: Tally, file: str) -> list[Block]:
    """Return what typical evaluated designs look like, in words and as a picture, and what was said."""
    found = examples(list({(benchmark, task): line for (benchmark, task, _), line in tally.latest.items()}.values()))
    if not found:
        return []
    titled = [(f"{e.title}: {e.question}", e.design) for e in found]
    picture = Picture(file=file, says="designs", draw=lambda out: plots.draw_designs(titled, out))
    return [Text(ARROWS, "soft"), picture, *map(_example, found)]


def money(tally: Tally, unread: Sequence[Block] = ()) -> list[Block]:
    """Return what each phase took, and each LLM and role in training and evaluation; and what could not be read."""
    found: list[Block] = _sums(tally.phases, "phase")
    for stage in STAGES:
        usd = {
            word: {name: usd for (s, w, name), usd in tally.usd.most_common() if (s, w) == (stage, word) and usd > 0}
            for word in ("LLM", "role")
        }
        if (total := sum(usd["LLM"].values())) > 0:
            shares = Shares(usd=usd, total=total)
            found.append(Part(title=f"{stage.capitalize()}: {usd_in_words(total)} USD", blocks=[shares]))
    for stage, untold in tally.untold.items():
        told = f"{stage.capitalize()}: {usd_in_words(untold)} USD were spent by an earlier version"
        found.append(Text(f"{told}, which did not write which agent took them.", "soft"))
    return [*found, *unread] or [Text("Nothing was spent.", "soft")]


def failures(tally: Tally, *, finished: bool) -> list[Block]:
    """Return what failed, what could not be read, and what was survived; or, of a finished run, that nothing did."""
    found: list[Block] = []
    errors = tally.errors()
    lost, faults = (sum(s[name] for s in tally.phases.values()) for name in ("failures", "faults"))
    unreadable = [line for line in tally.latest.values() if line["unreadable"]]
    if lost:
        which = f", {errors.total()} of them in the evaluation" if errors else ""
        found.append(Text(f"{lost} calls failed for good{which}; their agents said nothing."))
    if faults:
        found.append(Text(f"{faults} faults were survived by asking again."))
    if errors:
        rows = [(why, f"{count}") for why, count in errors.most_common(MOST_FAILURES)]
        found.append(Table(head=("why a call of the evaluation failed", "times"), rows=rows))
    if unreadable:
        found.append(Text(f"{len(unreadable)} evaluated runs ended with an answer that could not be read."))
        shown = unreadable[:MOST_FAILURES]
        said = [block for line in shown for block in (_question(line), Text(_last_words(line), "code"))]
        title = "Which" if len(shown) == len(unreadable) else f"The first {len(shown)}"
        found.append(Folded(title=title, blocks=said))
    if not found and finished:
        found = [Text("None: no call failed, every answer could be read, and no fault had to be survived.")]
    return found


def commands(folder: Path) -> list[list[Block]]:
    """Return what was typed to make a folder and what it ran with, oldest first."""
    path = folder / COMMANDS
    if not path.is_file():  # an earlier version made it
        return []
    found: list[list[Block]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(JSONDecodeError):  # a kill cut it short, and the next command may stand behind it
            typed = json.loads(line)
            about = Text(f"{typed['time']}, {told_versions(typed['versions'])}", "soft")
            found.append([Text(typed["command"], "code"), about])
    return found


def told_versions(versions: Mapping[str, str]) -> str:
    """Return names and versions as words."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _sums(sums: Mapping[str, Mapping[str, float]], what: str, *, per_question: bool = False) -> list[Block]:
    if not sums:
        return []
    money = {"usd": "USD per 1,000" if per_question else "USD", "paid_usd": "paid"}
    if not any(s["paid_usd"] for s in sums.values()):
        del money["paid_usd"]
    counts = ("faults", "prompt_tokens", "completion_tokens", "unreadable", "failures")
    head = [what, "runs", "mean score", "calls", *money.values()]
    head += ["faults survived", "prompt tokens", "completion tokens", "unreadable", "failed calls"]
    rows = [
        [
            name,
            f"{s['runs']:,}",
            f"{s['score'] / s['weight']:.4f}",
            f"{s['calls']:,}",
            *(usd_in_words(s[key] * (1000 / s["runs"] if per_question else 1)) for key in money),
            *(f"{s[key]:,}" for key in counts),
        ]
        for name, s in sums.items()
    ]
    return [Table(head=head, rows=rows)]


def _example(example: Example) -> Part:
    line = example.line
    answer = "unreadable" if line["answer"] is None else line["answer"]
    calls = f"{line['calls']} call{'' if line['calls'] == 1 else 's'}"
    told = f"Answer {answer}, score {line['score']:g}, {calls}, {usd_in_words(line['usd'])} USD."
    worth = Text(told, "bad" if line["answer"] is None else "")
    blocks: list[Block] = [_question(line), worth, Text(describe(example.design), "code")]
    if said := [_turn(line, *turn) for turn in line["turns"] if len(turn) > 4]:
        blocks.append(Folded(title="What was said", blocks=said))
    return Part(title=example.title, blocks=blocks, framed=True)


def _turn(line: Line, number: int, round: int, answer: str | None, text: str | None, error: str | None) -> Part:
    agent = line["design"]["agents"][number]
    read = "" if answer is None else f": {answer}"
    said: Block = Text("stayed silent", "soft")
    if text is not None:
        said = Text(_cut(text), "code")
    elif error:
        said = Text(error, "bad")
    return Part(title=f"{number + 1}. {agent['role']} ({agent['llm']}, round {round}){read}", blocks=[said])


def _question(line: Line) -> Text:
    return Text(_cut(line.get("question", line["task"])), "quote")


def _last_words(line: Line) -> str:
    said: list[Any] = [turn[3] for turn in line["turns"] if len(turn) > 4 and turn[3]]
    return _cut(said[-1]) if said else "nobody said anything"


def _cut(text: str, most: int = MOST_WORDS) -> str:
    return text if len(text) <= most else f"{text[:most]} [...]"
