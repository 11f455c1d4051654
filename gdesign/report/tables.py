"""What run folders say, as one table. Results of different labels, tasks or splits never share an average."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from gdesign.report.document import Block, Table, Text
from gdesign.report.folders import NAMES, Evaluation
from gdesign.report.student import Interval, interval
from gdesign.report.text import money
from gdesign.runs.folder import LATER, MAY_DIFFER_OF_LLM, flat

SETTINGS = ("designer", "problem", "data", "reward", "text", "gnn", "task", "pool", "llm", "num_test_samples", "limits")
"""What may tell two evaluations of one method apart."""
TRAINING = ("learner", "trainer", "patience", "start")
"""What may tell two trainings apart."""
NO_SETTINGS = (
    "trainer.default_root_dir", "trainer.enable_", "trainer.log_every_n_steps", "reward.usd_weight",
    "reward.second_weight",
    *(f"llm.{name}" for name in MAY_DIFFER_OF_LLM),
)  # fmt: skip
"""What changes nothing that is compared, by how it begins; what cost and latency weigh tells groups apart anyway."""
INTERVALS = (
    "Means over seeds. In brackets a 95 % interval: over seeds, by Student's t, where there are several, and else "
    "over questions, by a bootstrap. The first covers no other questions where all seeds share theirs, and the "
    "second no other seeds."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The evaluations that differ in their seed only.

    Attributes:
        method: Name of the designer, with the settings that tell it from others of that name.
        label: Where the answers come from.
        usd_weight: lambda of the evaluation, for USD per 1,000 questions; likewise for tokens and seconds of latency.
        members: One evaluation a seed, by seed.
    """

    method: str
    designer: str
    task: str
    split: str
    label: str
    usd_weight: float
    token_weight: float
    second_weight: float
    members: tuple[Evaluation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a group was worth: means over seeds, and sums of what failed.

    Attributes:
        n: Least and largest number of questions of a seed.
        usd: USD per 1,000 questions.
        score_interval: 95 %, over seeds where there are several, else over questions; likewise utility_interval.
        usd_interval: The same over seeds; None for one seed.
        training_runs: Validation included.
        training_usd: Of the runs of training, whether they were paid for then or came from a recording.
        training_paid_usd: What was paid for them then; None where that was not written down.
        paid_usd: What of `usd` was asked live; the rest came from a recording.
        latency: Mean seconds of a question, and the 95th percentile; None where nobody measured.
        unreadable: Decided answers that could not be parsed.
        faults: Survived by asking again.
        counted: Turns whose tokens were counted here.
        single: What the learned designer's utility is above that of the best single agent, with a 95 % interval as for
            utility; None where it was not compared.
        expected: Score and USD per 1,000 questions that were told beforehand; None where they were not.
        deployed: Of how many seeds something else was evaluated in the learned designer's place.
    """

    method: str
    task: str
    split: str
    label: str
    usd_weight: float
    seeds: tuple[int, ...]
    n: tuple[int, int]
    score: float
    usd: float
    utility: float
    score_interval: Interval
    utility_interval: Interval
    usd_interval: Interval | None
    training_runs: float
    unreadable: int
    failures: int
    training_usd: float = 0.0
    training_paid_usd: float | None = None
    paid_usd: float = 0.0
    latency: tuple[float, float] | None = None
    faults: int = 0
    counted: int = 0
    single: tuple[float, Interval] | None = None
    expected: tuple[float, float] | None = None
    deployed: int = 0


def make_groups(evaluations: Sequence[Evaluation]) -> tuple[list[Group], dict[str, dict[str, Any]]]:
    """Return groups of evaluations that differ in their seed only, best utility first within a task and lambda.

    A second evaluation of the same seed gets a group of its own, with the name of its folder.

    Returns:
        The groups, and for each designer the settings that its names leave unsaid, since most of them share these.
    """
    names, unsaid = _names(evaluations)
    members: dict[tuple[Any, ...], dict[int, Evaluation]] = {}
    for e, name in zip(evaluations, names, strict=True):
        s = e.summary
        weights = (s["usd_weight"], s["token_weight"], s.get("second_weight", 0.0))
        about = (e.config["names"]["designer"], e.config["names"]["task"], s["split"], str(s["label"]), *weights)
        seed = e.config["seed"]
        for method in (name, f"{name} ({e.folder.name})", f"{name} ({e.folder})"):
            found = members.setdefault((method, *about), {})
            if seed not in found:  # one seed twice is no spread over seeds
                found[seed] = e
                break
    columns = ("method", "designer", "task", "split", "label", "usd_weight", "token_weight", "second_weight")
    groups = [
        Group(**dict(zip(columns, about, strict=True)), members=tuple(found[seed] for seed in sorted(found)))
        for about, found in members.items()
    ]
    return sorted(groups, key=lambda g: (*panel(g), -mean(e.summary["utility"] for e in g.members))), unsaid


def panel(group: Group) -> tuple[str, str, str, float, float, float]:
    """Return what two groups must share so that their utilities compare."""
    return group.task, group.split, group.label, group.usd_weight, group.token_weight, group.second_weight


def make_rows(groups: Sequence[Group]) -> list[Row]:
    """Return one row a group, in their order."""
    return list(map(_row, groups))


def _row(group: Group) -> Row:
    found = [e.summary for e in group.members]
    values = {name: [float(s[name]) for s in found] for name in ("score", "usd", "utility")}
    intervals: dict[str, Interval]
    if len(found) > 1:
        intervals = {name: interval(column) for name, column in values.items()}
    else:
        names = {"score": "interval", "utility": "utility_interval"}
        intervals = {name: (found[0][key][0], found[0][key][1]) for name, key in names.items()}
    trained = [s["training"] for s in found]
    paid = [t["paid_usd"] for t in trained if "paid_usd" in t]
    waits = [s["latency"] for s in found if s.get("latency")]
    return Row(
        method=group.method,
        task=group.task,
        split=group.split,
        label=group.label,
        usd_weight=group.usd_weight,
        seeds=tuple(e.config["seed"] for e in group.members),
        n=(min(s["n"] for s in found), max(s["n"] for s in found)),
        score=mean(values["score"]),
        usd=mean(values["usd"]),
        utility=mean(values["utility"]),
        score_interval=intervals["score"],
        utility_interval=intervals["utility"],
        usd_interval=intervals.get("usd"),
        training_runs=mean(t["runs"] for t in trained),
        training_usd=mean(t.get("usd", 0.0) for t in trained),
        training_paid_usd=mean(paid) if len(paid) == len(trained) else None,
        unreadable=sum(s["unreadable"] for s in found),
        failures=sum(s["failures"] for s in found),
        paid_usd=mean(s.get("paid_usd", 0.0) for s in found),
        latency=(mean(w["mean"] for w in waits), mean(w["p95"] for w in waits)) if waits else None,
        faults=sum(s.get("faults", 0) for s in found),
        counted=sum(s.get("counted", 0) for s in found),
        single=_single(found),
        expected=_expected(found),
        deployed=sum(s.get("comparison", {}).get("deployed", "learned") != "learned" for s in found),
    )


def _single(summaries: Sequence[Mapping[str, Any]]) -> tuple[float, Interval] | None:
    found = [s["comparison"]["evaluated"]["single"] for s in summaries if "comparison" in s]
    if not found or len(found) < len(summaries):
        return None
    gains = [float(single["difference"]) for single in found]
    low, high = found[0]["interval"]
    return mean(gains), interval(gains) if len(gains) > 1 else (low, high)


def _expected(summaries: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    found = [s["expected"] for s in summaries if "expected" in s]
    if not found or len(found) < len(summaries):
        return None
    return mean(float(e["score"]) for e in found), mean(float(e["usd"]) for e in found)


def told(rows: Sequence[Row]) -> list[Block]:
    """Return the rows as a table, and what is to be known to read it."""
    shown = {
        name: cells
        for name, cell in COLUMNS.items()
        if (cells := [cell(r) for r in rows]) and (name not in SELDOM or not NOTHING.issuperset(cells))
    }
    same = {name: shown.pop(name)[0] for name in ABOUT if len(set(shown[name])) == 1}
    notes = [INTERVALS]
    if any("paid" in cell for cell in shown["training USD"]) or PAID in shown:
        notes.append("USD are what the calls cost when they are asked; paid is what was not in a recording already.")
    if SINGLE in shown:
        notes.append(
            "The best single agent was chosen on validation, and answered the same questions as the learned designer; "
            "the difference is of utility."
        )
    if INSTEAD in shown:
        notes.append(
            "Where another design is deployed, it was worth more on validation than the learned designer, and score, "
            "USD and utility are its own."
        )
    if EXPECTED in shown:
        notes.append("What is expected was told before the questions were asked, calibrated on validation questions.")
    if LATENCY in shown:
        notes.append("Latency is that of the slowest chain of calls of a question, by what the endpoints took.")
    if any(r.label == "calibrated" for r in rows):
        notes.append("Calibrated rows support no claim that one method beats another.")
    table = Table(head=tuple(shown), rows=list(zip(*shown.values(), strict=True)))
    above = (
        [Text("Of every row: " + ", ".join(f"{name} {value}" for name, value in same.items()) + ".")] if same else []
    )
    return [*above, table, *(Text(note, "soft") for note in notes)]


def _training_usd(row: Row) -> str:
    """Return what training cost, and what was paid for it where answers are live or replayed and it is not the same."""
    paid = row.training_paid_usd
    if row.label not in ("live", "replayed") or paid is None or money(paid) == money(row.training_usd):
        return money(row.training_usd)
    return f"{money(row.training_usd)} (paid {money(paid)})"


def _with_interval(value: float, interval: Interval | None, told: Callable[[float], str] = "{:.4f}".format) -> str:
    return told(value) if interval is None else f"{told(value)} ({told(interval[0])} to {told(interval[1])})"


PAID, LATENCY = "paid per 1,000", "latency s (95 % below)"
SINGLE, INSTEAD = "learned - best single agent", "another design deployed"
EXPECTED = "expected score, USD"
COLUMNS: dict[str, Callable[[Row], str]] = {
    "method": lambda r: r.method,
    "utility": lambda r: _with_interval(r.utility, r.utility_interval),
    "score": lambda r: _with_interval(r.score, r.score_interval),
    "USD per 1,000": lambda r: _with_interval(r.usd, r.usd_interval, money),
    SINGLE: lambda r: "" if r.single is None else _with_interval(*r.single),
    EXPECTED: lambda r: "" if r.expected is None else f"{r.expected[0]:.3f}, {money(r.expected[1])}",
    "task": lambda r: r.task,
    "split": lambda r: r.split,
    "answers": lambda r: r.label,
    "lambda": lambda r: f"{r.usd_weight:g}",
    "seeds": lambda r: f"{len(r.seeds)} ({', '.join(map(str, r.seeds))})",
    "questions": lambda r: " to ".join(map(str, dict.fromkeys(r.n))),
    INSTEAD: lambda r: f"{r.deployed} of {len(r.seeds)}" if r.deployed else "",
    "training runs": lambda r: f"{r.training_runs:.0f}",
    "training USD": _training_usd,
    "unreadable": lambda r: str(r.unreadable),
    "failed calls": lambda r: str(r.failures),
    PAID: lambda r: money(r.paid_usd),
    LATENCY: lambda r: "" if r.latency is None else "{:.2f} ({:.2f})".format(*r.latency),
    "faults survived": lambda r: str(r.faults),
    "tokens counted here": lambda r: str(r.counted),
}
ABOUT = ("task", "split", "lambda", "seeds", "questions")
"""Columns that are said once, above, where they are the same in every row; where answers come from stands in each."""
SELDOM = (SINGLE, EXPECTED, INSTEAD, PAID, LATENCY, "faults survived", "tokens counted here")
"""Columns that a table has only if they say something."""
NOTHING = frozenset(("", "0"))


# --------------------------------------------------------------------------- names


def _names(evaluations: Sequence[Evaluation]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Return the designers' names with the settings that differ among those of one name and task.

    Of each setting one value goes unsaid: none at all, or else the one that is commonest.
    """
    flats = [_settings(e) for e in evaluations]
    families: dict[tuple[str, str], list[int]] = {}
    for i, e in enumerate(evaluations):
        families.setdefault((e.config["names"]["designer"], e.config["names"]["task"]), []).append(i)
    names = [""] * len(evaluations)
    unsaid: dict[str, dict[str, Any]] = {}
    for (designer, _), members in families.items():
        variants = list({json.dumps(flats[i], sort_keys=True): flats[i] for i in members}.values())
        parts: dict[int, list[str]] = {i: [] for i in members}
        differing = [key for key in dict.fromkeys(k for v in variants for k in v) if _differs(key, variants)]
        ends = [key.split(".")[-1] for key in differing]
        for key, end in zip(differing, ends, strict=True):
            common = _commonest([v.get(key) for v in variants])
            if common is not None:
                unsaid.setdefault(designer, {})[key] = common
            for i in members:
                if (value := flats[i].get(key)) is not None and value != common:
                    parts[i].append(_part(key if ends.count(end) > 1 else end, key, value))
        for i in members:
            plain, others = ([part for part in parts[i] if ("=" in part) == whether] for whether in (False, True))
            names[i] = f"{designer}: {', '.join(plain)}" if plain else designer
            names[i] += f" ({', '.join(others)})" if others else ""
    return names, unsaid


def _settings(e: Evaluation) -> dict[str, Any]:
    """Return what may tell an evaluation from others: its settings, and those of its training, if anything was run."""
    seed = e.config["seed"]
    own, trained = (
        _flat(config, SETTINGS, seed) | {name: config["names"].get(name) for name in NAMES}
        for config in (e.config, e.trained)
    )
    for key, value in trained.items():
        group = key.split(".")[0]
        if key in NAMES or e.trained["names"].get(group) == e.config["names"].get(group):
            if key != "num_test_samples" and value != own.get(key):
                own[f"trained with {key}"] = value
    reward = e.trained.get("reward") or {}
    own |= {"usd_weight": reward.get("usd_weight"), "second_weight": reward.get("second_weight") or 0.0}
    if e.summary["training"]["runs"]:
        own |= _flat(e.trained, TRAINING, seed) | {"deploy": e.config.get("deploy") or "learned"}
    return own


def _flat(config: Mapping[str, Any], keys: Sequence[str], seed: int) -> dict[str, Any]:
    earlier = {key: value for key, value in LATER.items() if key.split(".")[0] in keys}
    leaves = earlier | flat({key: config.get(key) for key in keys})
    kept = {k: v for k, v in leaves.items() if not k.startswith(NO_SETTINGS) and not k.endswith("._partial_")}
    if "gnn" in keys and (gnn := config.get("gnn")) is not None:
        kept["gnn"] = _gnn(gnn.get("conv"))
    for key, value in kept.items():
        if key == "start" or key.endswith(".path"):  # folders of other runs, one a seed
            kept[key] = re.sub(rf"(?<![\w.]){seed}(?![\w.])", "SEED", value) if isinstance(value, str) else value
    return kept


def _gnn(conv: Mapping[str, Any] | None) -> str:
    """Return what `gnn=` calls a convolution: GATConv is gat, and SimpleConv what it takes of neighbours."""
    if conv is None:
        return "none"
    name = str(conv.get("_target_")).split(".")[-1].removesuffix("Conv").lower()
    return str(conv.get("aggr", name)) if name == "simple" else name


def _differs(key: str, variants: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether a setting has several values among those that made the same choice in its group of configs."""
    group, dot, _ = key.partition(".")
    values: dict[Any, set[str]] = {}
    for v in variants:
        values.setdefault(v.get(group) if dot else None, set()).add(json.dumps(v.get(key)))
    return any(len(found) > 1 for found in values.values())


def _commonest(values: Sequence[Any]) -> Any:
    counts = Counter(map(json.dumps, values))
    most = max(counts.values())
    first = [text for text, count in counts.items() if count == most]
    return None if "null" in counts or len(first) > 1 else json.loads(first[0])


def _part(name: str, key: str, value: Any) -> str:
    """Return a setting as names show it: of what is built the last word of its path, of an agent its LLM or role."""
    if key in ("designer.llm", "designer.role", "designer.operator"):
        return str(value)
    if key.endswith("._target_"):
        return f"{key.split('.')[-2]}={str(value).split('.')[-1]}"
    return f"{name}={value}"
