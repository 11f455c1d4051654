"""Pictures: score against cost, learning, and the graphs of designs.

Each is written as PNG to a path, or as SVG to a stream.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from statistics import mean
from textwrap import fill, shorten
from typing import BinaryIO

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text

from gdesign.execute.decide import deciders
from gdesign.export.graphml import NO_XML
from gdesign.report.curves import Learning
from gdesign.report.student import interval
from gdesign.report.tables import Row
from gdesign.types import Design

MARKERS = "osD^v"
COLOURS = ("#4C72B0", "#DD8452", "#55A868", "#C44E52", "#8172B3", "#937860", "#DA8BC3", "#8C8C8C", "#CCB974", "#64B5CD")
INK = "#333333"


def score_against_cost(rows: Sequence[Row], out: Path | BinaryIO) -> None:
    """Draw score over USD per 1,000 questions and the Pareto front, a panel for each task, split and label.

    Bars are 95 % intervals. What the same checkpoints are worth at several lambdas is joined by a line.
    """
    panels = [(k, list(g)) for k, g in groupby(rows, key=lambda r: (r.task, r.split, r.label))]
    figure, axes_of = _panels(len(panels))
    look = _looks(rows)
    for axes, ((task, split, label), members) in zip(axes_of, panels, strict=True):
        front = pareto_front([(r.usd, r.score) for r in members])
        axes.step(
            [usd for usd, _ in front],
            [score for _, score in front],
            where="post",
            color=INK,
            alpha=0.35,
            linewidth=1.2,
            zorder=1,
            label="Pareto front of the means",
        )
        lines: dict[tuple[str, tuple[int, ...]], list[Row]] = {}
        for r in sorted(members, key=lambda r: r.usd):
            lines.setdefault((r.method, r.seeds), []).append(r)  # what the same checkpoints do at several lambdas
        for (method, _), same in lines.items():
            marker, colour = look[method]
            axes.errorbar(
                [r.usd for r in same],
                [r.score for r in same],
                xerr=None
                if any(r.usd_interval is None for r in same)
                else _bars([(r.usd, r.usd_interval) for r in same]),
                yerr=_bars([(r.score, r.score_interval) for r in same]),
                fmt=marker,
                linestyle="-" if len(same) > 1 else "none",
                color=colour,
                elinewidth=0.9,
                capsize=2,
                label=_plain(fill(method, 40)),
            )
            for r in same if len(same) > 1 else ():
                axes.annotate(
                    f"{r.usd_weight:g}", (r.usd, r.score), (4, -9), textcoords="offset points", fontsize=6, color=colour
                )
        axes.set_xlabel("USD per 1,000 questions")
        axes.set_ylabel("score")
        axes.set_title(_plain(f"{task}, {split} ({label})"))
        dear = [r.usd for r in members if r.usd > 0]
        if dear and max(dear) > 20 * min(dear):
            axes.set_xscale("log")
        else:
            axes.set_xlim(left=max(axes.get_xlim()[0], 0.0))
        low, high = axes.get_ylim()  # an interval of two seeds may reach where no score is
        axes.set_ylim(max(low, 0.0), min(high, 1.0))
        _finish(axes)
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
    panels = [(k, list(g)) for k, g in groupby(rows, key=lambda r: (r.task, r.split, r.label, r.usd_weight))]
    figure, axes_of = _panels(len(panels))
    look = _looks(rows)
    for axes, ((task, split, label, usd_weight), members) in zip(axes_of, panels, strict=True):
        for r in (r for r in members if r.training_runs > 0):
            marker, colour = look[r.method]
            axes.errorbar(
                r.training_runs,
                r.utility,
                yerr=_bars([(r.utility, r.utility_interval)]),
                fmt=marker,
                color=colour,
                capsize=3,
                label=_plain(fill(r.method, 40)),
            )
        if untrained := [r for r in members if r.training_runs == 0]:
            best = max(untrained, key=lambda r: r.utility)
            axes.axhline(
                best.utility,
                color=INK,
                linestyle="--",
                linewidth=1,
                label=_plain(fill(f"untrained: {best.method}", 40)),
            )
        counts = [r.training_runs for r in members if r.training_runs > 0]
        if counts and max(counts) > 20 * min(counts):
            axes.set_xscale("log")
        axes.set_xlabel("runs that training took, validation included")
        axes.set_ylabel("utility")
        axes.set_title(_plain(f"{task}, {split} ({label}), lambda {usd_weight:g}"))
        _finish(axes)
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
    figure = Figure(figsize=(11.0 if counted else 6.0, 4.2 * len(panels)), dpi=120)
    FigureCanvasAgg(figure)
    methods = list(dict.fromkeys(t.method for t in trainings))
    grid = figure.subplots(len(panels), 1 + counted, squeeze=False, sharey="row")
    for found, ((task, label, usd_weight), members) in zip(grid, panels.items(), strict=True):
        for t in members:
            colour = COLOURS[methods.index(t.method) % len(COLOURS)]
            style = ("-", "--", "-.", ":")[methods.index(t.method) // len(COLOURS) % 4]
            _curve(found[0], t, [c.steps for c in t.curves], colour, style)
            if all(c.runs for c in t.curves):
                _curve(found[-1], t, [c.runs for c in t.curves], colour, style)
        found[-1].set_xlabel("executed runs, validation included")
        found[0].set_xlabel("training steps")
        found[0].set_ylabel("validation utility")
        found[0].set_title(_plain(f"{task} ({label}), lambda {usd_weight:g}"))
        values = [utility for t in members for c in t.curves for utility in c.utility]
        margin = 0.15 * (max(values) - min(values)) + 0.01  # a band of two seeds would leave no room for the curves
        for axes in found:
            axes.grid(alpha=0.3)
            axes.set_ylim(min(values) - margin, max(values) + margin)
        found[-1].legend(
            *found[0].get_legend_handles_labels(),
            loc="center left",
            bbox_to_anchor=(1.01, 0.5),
            fontsize=8,
            frameon=False,
        )
    _save(figure, out)


def _curve(axes: Axes, training: Learning, xs: Sequence[Sequence[float]], colour: str, style: str) -> None:
    for x, curve in zip(xs, training.curves, strict=True):
        axes.plot(x, curve.utility, color=colour, linestyle=style, linewidth=0.7, alpha=0.35)
    shared = min(map(len, xs))
    columns = [[curve.utility[k] for curve in training.curves] for k in range(shared)]
    at = [mean(x[k] for x in xs) for k in range(shared)]
    axes.plot(
        at,
        [mean(column) for column in columns],
        color=colour,
        linestyle=style,
        marker="o",
        markersize=3,
        linewidth=1.8,
        label=_plain(fill(training.method, 40)),
    )
    if len(xs) > 1:
        band = [interval(column) for column in columns]
        axes.fill_between(
            at, [low for low, _ in band], [high for _, high in band], color=colour, alpha=0.15, linewidth=0
        )


def _plain(text: str) -> str:
    """Return what draws a text as it stands: no dollars begin mathematics, and what no SVG can hold is marked."""
    return NO_XML.sub("\N{REPLACEMENT CHARACTER}", text).replace("$", r"\$")


def _save(figure: Figure, out: Path | BinaryIO) -> None:
    if isinstance(out, Path):
        figure.savefig(out, bbox_inches="tight")
        return
    with rc_context({"svg.hashsalt": "gdesign"}):  # the same picture has the same bytes
        figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})


def _panels(num: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(7.0, 4.6 * num), dpi=120)
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(num, squeeze=False, gridspec_kw={"hspace": 0.35})[:, 0])


def _looks(rows: Sequence[Row]) -> dict[str, tuple[str, str]]:
    """Return a marker and a colour for each method."""
    methods = dict.fromkeys(r.method for r in rows)
    return {m: (MARKERS[i // len(COLOURS) % len(MARKERS)], COLOURS[i % len(COLOURS)]) for i, m in enumerate(methods)}


def _bars(values: Sequence[tuple[float, tuple[float, float] | None]]) -> list[list[float]]:
    """Return how far intervals reach below and above."""
    found = [(value, interval) for value, interval in values if interval is not None]
    return [[max(v - low, 0.0) for v, (low, _) in found], [max(high - v, 0.0) for v, (_, high) in found]]


def _finish(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))  # one a label
    axes.legend(
        handles.values(), handles.keys(), loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False
    )


def training_curve(
    steps: Sequence[int], utility: Sequence[float], score: Sequence[float], out: Path | BinaryIO
) -> None:
    """Draw utility and score of each validation over the training steps."""
    figure = Figure(figsize=(6.5, 3.6), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(steps, score, marker="o", color=COLOURS[0], label="score")
    axes.plot(steps, utility, marker="o", color=COLOURS[1], label="utility")
    axes.set_xlabel("training step")
    axes.set_ylabel("validation")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    _save(figure, out)


def draw_designs(designs: Sequence[tuple[str, Design]], out: Path | BinaryIO) -> None:
    """Draw titled designs below each other.

    Agents stand from left to right in the order in which they can speak. Solid arrows carry text,
    dashed ones are watched by a gate, dotted ones carry text to the next round.
    """
    depths = [_depths(d) for _, d in designs]
    widths = [max(d) + 2 for d in depths]
    heights = [max(d.count(x) for x in d) for d in depths]
    figure = Figure(figsize=(2.4 * max(widths) + 0.6, sum(1.15 * h + 1.0 for h in heights)), dpi=120)
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(designs), squeeze=False, gridspec_kw={"height_ratios": [h + 0.9 for h in heights]})
    llms = sorted({a.llm for _, d in designs for a in d.agents})
    for axes, (title, design), depth in zip(panels[:, 0], designs, depths, strict=True):
        _draw(axes, design, depth, {m: COLOURS[i % len(COLOURS)] for i, m in enumerate(llms)})
        axes.set_xlim(-0.55, max(widths) - 0.45)
        axes.set_title(_plain(fill(shorten(title, 150), 75)), fontsize=9, loc="left", color=INK)
    figure.tight_layout()
    figure.draw_without_rendering()  # arrows end at the boxes, whose size is known once they are drawn
    _save(figure, out)


def _depths(design: Design) -> list[int]:
    """Return for each agent how many others it may have to wait for in a row."""
    depth: list[int] = []
    for i, agent in enumerate(design.agents):
        before = [e.src for e in design.spatial if e.dst == i] + list(agent.gate.watch if agent.gate else ())
        depth.append(max((depth[j] + 1 for j in before), default=0))
    return depth


def _draw(axes: Axes, design: Design, depth: Sequence[int], colours: dict[str, str]) -> None:
    columns = {x: [i for i, d in enumerate(depth) if d == x] for x in set(depth)}
    place: dict[int, tuple[float, float]] = {}
    boxes: list[Text] = []
    for column, members in columns.items():
        for k, i in enumerate(members):
            # agents of neighbouring columns do not stand on one line, so that longer arrows pass between them
            place[i] = (float(column), (len(members) - 1) / 2 - k + (0.22 if column % 2 else 0.0))
    answer = len(design.agents)
    place[answer] = (max(depth) + 1.0, 0.0)
    for i, agent in enumerate(design.agents):
        operator = "" if agent.operator == "answer" else f"\n{agent.operator}"
        deciding = i in deciders(design)
        box = axes.text(
            *place[i],
            _plain(f"{fill(agent.role, 16)}\n{fill(agent.llm, 18)}{operator}"),
            ha="center",
            va="center",
            fontsize=7.5,
            color="white",
            zorder=3,
            bbox={
                "boxstyle": "round,pad=0.4",
                "facecolor": colours[agent.llm],
                "edgecolor": INK if deciding else colours[agent.llm],
                "linewidth": 2.0 if deciding else 1.0,
            },
        )
        boxes.append(box)
    kind = design.decision.kind
    box = axes.text(
        *place[answer],
        "answer" if kind in ("last", "judge") else kind.replace("_", " "),
        ha="center",
        va="center",
        fontsize=8,
        color=INK,
        zorder=3,
        bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": INK},
    )
    boxes.append(box)
    for e in design.spatial:
        _arrow(axes, place, boxes, e.src, e.dst, "-")
    for e in design.temporal:
        _arrow(axes, place, boxes, e.src, e.dst, ":", bend=-0.35)
    for i, agent in enumerate(design.agents):
        for w in agent.gate.watch if agent.gate else ():
            _arrow(axes, place, boxes, w, i, "--")
        if agent.gate is not None:
            x, y = place[i]
            axes.text(x, y - 0.42, f"while fewer than {agent.gate.quorum} agree", ha="center", fontsize=7, color=INK)
    for decider in deciders(design):
        _arrow(axes, place, boxes, decider, answer, "-", width=2.0)
    ys = [y for _, y in place.values()]
    axes.set_ylim(min(ys) - 0.65, max(ys) + 0.55)
    axes.axis("off")


def _arrow(
    axes: Axes,
    place: dict[int, tuple[float, float]],
    boxes: Sequence[Text],
    src: int,
    dst: int,
    style: str,
    *,
    bend: float | None = None,
    width: float = 1.1,
) -> None:
    (x0, y0), (x1, y1) = place[src], place[dst]
    if bend is None:
        bend = 0.0 if x1 - x0 <= 1.0 else (0.56 if y0 >= 0 else -0.56) / (x1 - x0)
    axes.add_patch(
        FancyArrowPatch(
            (x0, y0),
            (x1, y1),
            connectionstyle=f"arc3,rad={-bend}",
            arrowstyle="-|>",
            mutation_scale=11,
            linestyle=style,
            linewidth=width,
            color=INK,
            patchA=boxes[src].get_bbox_patch(),
            patchB=boxes[dst].get_bbox_patch(),
            clip_on=False,
            shrinkA=2,
            shrinkB=2,
            zorder=1,
        )
    )
