"""Pictures: score against cost, learning, and the graphs of designs.

Each is written as PNG to a path, or as SVG to a stream.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from statistics import mean
from textwrap import fill, shorten
from typing import Any, BinaryIO

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text

from gdesign.export.graphml import NO_XML
from gdesign.report.curves import Learning
from gdesign.report.glyphs import drawable
from gdesign.report.student import Interval, interval
from gdesign.report.tables import Row
from gdesign.types import Design

COLOURS = ("#4C72B0", "#DD8452", "#55A868", "#C44E52", "#8172B3", "#937860", "#DA8BC3", "#CCB974")
INK = "#333333"
GREY = "#9A9A9A"
MOST_SERIES = 8
"""In colours; the rest is grey, and named at the point."""
FRONT: dict[str, Any] = {
    "color": INK,
    "alpha": 0.35,
    "linewidth": 1.2,
    "zorder": 1,
    "label": "Pareto front of the means",
}
LEGEND: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5), "fontsize": 8, "frameon": False}
ARROW: dict[str, Any] = {
    "arrowstyle": "-|>", "mutation_scale": 11, "color": INK, "clip_on": False, "zorder": 1, "shrinkA": 2, "shrinkB": 2,
}  # fmt: skip


def score_against_cost(
    rows: Sequence[Row], out: Path | BinaryIO, *, beside: Sequence[tuple[str, float, float]] = ()
) -> None:
    """Draw score over USD per 1,000 questions and the Pareto front, a panel for each task, split and label.

    Bars are 95 % intervals. What the same checkpoints are worth at several lambdas is joined by a line.

    Args:
        beside: Names, USD and scores that are no rows and give a lonely one its measure.
    """
    figure, panels = _panels(rows, lambda r: (r.task, r.split, r.label))
    looks = _looks(rows)
    for axes, (task, split, label), members in panels:
        if len(members) > 1:
            axes.step(*zip(*pareto_front([(r.usd, r.score) for r in members]), strict=True), where="post", **FRONT)
        lines: dict[tuple[str, tuple[int, ...]], list[Row]] = {}
        for r in sorted(members, key=lambda r: r.usd):
            lines.setdefault((r.method, r.seeds), []).append(r)  # what the same checkpoints do at several lambdas
        for (method, _), same in lines.items():
            usd, score = [r.usd for r in same], [r.score for r in same]
            wide = [r.usd_interval for r in same if r.usd_interval is not None]
            axes.errorbar(
                usd,
                score,
                xerr=_reach(usd, wide) if len(wide) == len(same) else None,
                yerr=_reach(score, [r.score_interval for r in same]),
                linestyle="-" if len(same) > 1 else "none",
                elinewidth=0.9,
                **looks[method],
            )
            if "label" not in looks[method]:
                _name(axes, method, (usd[-1], score[-1]), GREY, left=usd[-1] == max(r.usd for r in members))
            for r in same if len(same) > 1 else ():
                at: dict[str, Any] = {"textcoords": "offset points", "fontsize": 6, "color": looks[method]["color"]}
                axes.annotate(f"{r.usd_weight:g}", (r.usd, r.score), (4, -9), **at)
        for name, usd_of, score_of in beside:
            axes.plot([usd_of], [score_of], "o", color=GREY, fillstyle="none", zorder=1)
            _name(axes, name, (usd_of, score_of), INK, left=usd_of == max(usd for _, usd, _ in beside))
        axes.set(xlabel="USD per 1,000 questions", ylabel="score", title=_plain(f"{task}, {split} ({label})"))
        if not _log_scale(axes, [*(r.usd for r in members), *(usd for _, usd, _ in beside)]):
            axes.set_xlim(left=max(axes.get_xlim()[0], 0.0))
        low, high = axes.get_ylim()  # an interval of two seeds may reach where no score is
        axes.set_ylim(max(low, 0.0), min(high, 1.0))
    _save(figure, out)


def pareto_front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the pairs of cost and score that no other beats in one without losing in the other, cheapest first."""
    front: list[tuple[float, float]] = []
    for usd, score in sorted(points, key=lambda p: (p[0], -p[1])):
        if not front or score > front[-1][1]:
            front.append((usd, score))
    return front


def utility_against_runs(rows: Sequence[Row], out: Path | BinaryIO) -> None:
    """Draw utility over the runs that training took, a panel for each task, split, label and lambda.

    The best method that was not trained is a line.
    """
    figure, panels = _panels(rows, lambda r: (r.task, r.split, r.label, r.usd_weight))
    looks = _looks(rows)
    for axes, (task, split, label, usd_weight), members in panels:
        trained = [r for r in members if r.training_runs > 0]
        for r in trained:
            bars = _reach([r.utility], [r.utility_interval])
            axes.errorbar(r.training_runs, r.utility, yerr=bars, **looks[r.method])
            if "label" not in looks[r.method]:
                _name(axes, r.method, (r.training_runs, r.utility), GREY)
        if untrained := [r for r in members if r.training_runs == 0]:
            best = max(untrained, key=lambda r: r.utility)
            name = _plain(fill(f"untrained: {best.method}", 40))
            axes.axhline(best.utility, color=INK, linestyle="--", linewidth=1, label=name)
        _log_scale(axes, [r.training_runs for r in trained])
        title = _plain(f"{task}, {split} ({label}), lambda {usd_weight:g}")
        axes.set(xlabel="runs that training took, validation included", ylabel="utility", title=title)
    _save(figure, out)


def learning_curves(trainings: Sequence[Learning], out: Path | BinaryIO) -> None:
    """Draw validation utility over executed runs and over steps, a row for each task, label and lambda.

    A thin line is one seed. The thick line is the mean over seeds and the band its 95 % interval, as far as
    all seeds went.
    """
    panels: dict[tuple[str, str, float], list[Learning]] = {}
    for t in trainings:
        panels.setdefault((t.task, t.label, t.usd_weight), []).append(t)
    counted = any(c.runs for t in trainings for c in t.curves)  # earlier versions did not count runs
    figure = _figure(11.0 if counted else 6.0, 4.2 * len(panels))
    best = _best((t.method, max(u for c in t.curves for u in c.utility)) for t in trainings)
    grid = figure.subplots(len(panels), 1 + counted, squeeze=False, sharey="row")
    for found, ((task, label, usd_weight), members) in zip(grid, panels.items(), strict=True):
        for t in members:
            look = {"color": COLOURS[best.index(t.method)] if t.method in best else GREY}
            _curve(found[0], t, [c.steps for c in t.curves], look)
            if all(c.runs for c in t.curves):
                _curve(found[-1], t, [c.runs for c in t.curves], look)
        found[-1].set_xlabel("executed runs, validation included")
        title = _plain(f"{task} ({label}), lambda {usd_weight:g}")
        found[0].set(xlabel="training steps", ylabel="validation utility", title=title)
        values = [utility for t in members for c in t.curves for utility in c.utility]
        margin = 0.15 * (max(values) - min(values)) + 0.01  # a band of two seeds would leave no room for the curves
        for axes in found:
            axes.grid(alpha=0.3)
            axes.set_ylim(min(values) - margin, max(values) + margin)
        found[-1].legend(*found[0].get_legend_handles_labels(), **LEGEND)
    _save(figure, out)


def _curve(axes: Axes, training: Learning, xs: Sequence[Sequence[float]], look: dict[str, Any]) -> None:
    for x, curve in zip(xs, training.curves, strict=True):
        axes.plot(x, curve.utility, linewidth=0.7, alpha=0.35, **look)
    shared = min(map(len, xs))
    columns = [[curve.utility[k] for curve in training.curves] for k in range(shared)]
    at = [mean(x[k] for x in xs) for k in range(shared)]
    label = None if look["color"] == GREY else _plain(fill(training.method, 40))
    if label is None and shared:
        _name(axes, training.method, (at[-1], mean(columns[-1])), GREY)
    axes.plot(at, [mean(c) for c in columns], marker="o", markersize=3, linewidth=1.8, label=label, **look)
    if len(xs) > 1:
        low, high = zip(*map(interval, columns), strict=True)
        axes.fill_between(at, low, high, color=look["color"], alpha=0.15, linewidth=0)


def training_curve(
    steps: Sequence[int], utility: Sequence[float], score: Sequence[float], out: Path | BinaryIO
) -> None:
    """Draw utility and score of each validation over the training steps."""
    figure = _figure(6.5, 3.6)
    axes = figure.subplots()
    axes.plot(steps, score, marker="o", color=COLOURS[0], label="score")
    axes.plot(steps, utility, marker="o", color=COLOURS[1], label="utility")
    axes.set(xlabel="training step", ylabel="validation")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    _save(figure, out)


def reliability(held: Sequence[float], right: Sequence[float], share: Sequence[float], out: Path | BinaryIO) -> None:
    """Draw how often answers were right by how probable that was held; larger points are of more answers."""
    figure = _figure(4.4, 4.2)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.9, linestyle="--", label="as sure as right")
    axes.plot(held, right, color=COLOURS[0], linewidth=0.9, alpha=0.5)
    axes.scatter(held, right, s=[20 + 400 * s for s in share], color=COLOURS[0], label="answers", zorder=3)
    axes.set(xlabel="probability held", ylabel="score", xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
    _save(figure, out)


def _plain(text: str) -> str:
    """Return what draws a text as it stands: no dollars begin mathematics, and what no SVG can hold is marked."""
    return NO_XML.sub("\N{REPLACEMENT CHARACTER}", text).replace("$", r"\$")


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=120)
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, out: Path | BinaryIO) -> None:
    drawable(figure)
    if isinstance(out, Path):
        figure.savefig(out, bbox_inches="tight")
        return
    with rc_context({"svg.hashsalt": "gdesign"}):  # the same picture has the same bytes
        figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})


def _panels(
    rows: Sequence[Row], key: Callable[[Row], tuple[Any, ...]]
) -> tuple[Figure, Iterator[tuple[Axes, tuple[Any, ...], list[Row]]]]:
    """Return a figure, and panels below each other to draw into; a panel gets its grid and legend when it is left."""
    groups = [(about, list(members)) for about, members in groupby(rows, key=key)]
    figure = _figure(7.0, 4.6 * len(groups))
    axes_of = figure.subplots(len(groups), squeeze=False, gridspec_kw={"hspace": 0.35})[:, 0]

    def each() -> Iterator[tuple[Axes, tuple[Any, ...], list[Row]]]:
        for axes, (about, members) in zip(axes_of, groups, strict=True):
            yield axes, about, members
            axes.grid(alpha=0.3)
            handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))  # one a label
            axes.legend(handles.values(), handles.keys(), **LEGEND)

    return figure, each()


def _looks(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return how each method is drawn: the best of their panels in colours, the rest grey and without a legend."""
    best = _best((r.method, r.utility) for r in rows)
    found: dict[str, dict[str, Any]] = {}
    for method in dict.fromkeys(r.method for r in rows):
        if method in best:
            colour = COLOURS[best.index(method)]
            found[method] = {"fmt": "o", "color": colour, "capsize": 2, "label": _plain(fill(method, 40))}
        else:
            found[method] = {"fmt": "o", "color": GREY, "markersize": 4, "zorder": 1}
    return found


def _best(worth: Iterable[tuple[str, float]]) -> list[str]:
    """Return the methods that are drawn in colours, best first."""
    utility: dict[str, float] = {}
    for method, value in worth:
        utility[method] = max(value, utility.get(method, value))
    return sorted(utility, key=lambda method: -utility[method])[:MOST_SERIES]


def _name(axes: Axes, name: str, at: tuple[float, float], colour: str, *, left: bool = False) -> None:
    """Write a name beside its point, to the right or the left."""
    where: dict[str, Any] = {"textcoords": "offset points", "ha": "right" if left else "left", "fontsize": 7}
    axes.annotate(_plain(shorten(name, 40)), at, (-5 if left else 5, 3), color=colour, **where)


def _log_scale(axes: Axes, values: Sequence[float]) -> bool:
    """Make the horizontal axis logarithmic where values differ much; return whether they do."""
    positive = [value for value in values if value > 0]
    wide = bool(positive) and max(positive) > 20 * min(positive)
    if wide:
        axes.set_xscale("log")
    return wide


def _reach(values: Sequence[float], intervals: Sequence[Interval]) -> list[list[float]]:
    found = list(zip(values, intervals, strict=True))
    return [[max(v - low, 0.0) for v, (low, _) in found], [max(high - v, 0.0) for v, (_, high) in found]]


def draw_designs(designs: Sequence[tuple[str, Design]], out: Path | BinaryIO) -> None:
    """Draw titled designs below each other.

    Agents stand from left to right in the order in which they can speak. Solid arrows carry text,
    dashed ones are watched by a gate, dotted ones carry text to the next round.
    """
    depths = [_depths(d.waves()) for _, d in designs]
    widths = [max(d) + 2 for d in depths]
    heights = [max(d.count(x) for x in d) + 0.9 for d in depths]
    figure = _figure(max(7.0, 2.4 * max(widths) + 0.6), sum(0.95 * h for h in heights))
    panels = figure.subplots(len(designs), squeeze=False, gridspec_kw={"height_ratios": heights})
    llms = sorted({a.llm for _, d in designs for a in d.agents})
    for axes, (title, design), depth in zip(panels[:, 0], designs, depths, strict=True):
        _draw(axes, design, depth, {m: COLOURS[i % len(COLOURS)] for i, m in enumerate(llms)})
        axes.set_xlim(-0.55, max(widths) - 0.45)
        axes.set_title(_plain(fill(shorten(title, 150), 75)), fontsize=9, loc="left", color=INK)
    drawable(figure)
    figure.tight_layout()
    figure.draw_without_rendering()  # arrows end at the boxes, whose size is known once they are drawn
    _save(figure, out)


def _depths(waves: Sequence[Sequence[int]]) -> list[int]:
    """Return the column of each agent."""
    column = {agent: i for i, wave in enumerate(waves) for agent in wave}
    return [column[agent] for agent in sorted(column)]


def _draw(axes: Axes, design: Design, depth: Sequence[int], colours: dict[str, str]) -> None:
    place: list[tuple[float, float]] = []
    for i, x in enumerate(depth):
        column = [j for j, other in enumerate(depth) if other == x]
        # agents of neighbouring columns do not stand on one line, so that longer arrows pass between them
        place.append((float(x), (len(column) - 1) / 2 - column.index(i) + (0.22 if x % 2 else 0.0)))
    answer = len(design.agents)
    place.append((max(depth) + 1.0, 0.0))
    boxes: list[Text] = []
    for i, agent in enumerate(design.agents):
        words = f"{fill(agent.role, 16)}\n{fill(agent.llm, 18)}"
        words += "" if agent.operator == "answer" else f"\n{agent.operator}"
        face = colours[agent.llm]
        frame = {"facecolor": face, "edgecolor": INK, "linewidth": 2.0} if i in design.deciders() else {"color": face}
        boxes.append(_box(axes, place[i], _plain(words), frame, fontsize=7.5, color="white"))
        if agent.gate is not None:
            left, middle = place[i]
            when = "after them" if agent.gate.only_waits else f"while fewer than {agent.gate.quorum} agree"
            axes.text(left, middle - 0.42, when, ha="center", fontsize=7, color=INK)
    kind = design.decision.kind
    words = "answer" if kind in ("last", "judge") else kind.replace("_", " ")
    boxes.append(_box(axes, place[answer], words, {"facecolor": "white", "edgecolor": INK}, fontsize=8, color=INK))
    watches = [(w, i, "--") for i, a in enumerate(design.agents) for w in (a.gate.watch if a.gate else ())]
    arrows = [*((e.src, e.dst, "-") for e in design.spatial), *((e.src, e.dst, ":") for e in design.temporal), *watches]
    for src, dst, style in [*arrows, *((decider, answer, "-") for decider in design.deciders())]:
        (x0, y0), (x1, y1) = place[src], place[dst]
        bend = 0.0 if x1 - x0 <= 1.0 else (0.56 if y0 >= 0 else -0.56) / (x1 - x0)
        look = ARROW | {"linestyle": style, "linewidth": 2.0 if dst == answer else 1.1}
        look |= {"patchA": boxes[src].get_bbox_patch(), "patchB": boxes[dst].get_bbox_patch()}
        look |= {"connectionstyle": f"arc3,rad={0.35 if style == ':' else -bend}"}
        axes.add_patch(FancyArrowPatch((x0, y0), (x1, y1), **look))
    ys = [y for _, y in place]
    axes.set_ylim(min(ys) - 0.65, max(ys) + 0.55)
    axes.axis("off")


def _box(axes: Axes, at: tuple[float, float], words: str, look: dict[str, Any], **font: Any) -> Text:
    return axes.text(*at, words, ha="center", va="center", zorder=3, bbox={"boxstyle": "round,pad=0.4"} | look, **font)
