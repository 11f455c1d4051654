"""Pictures: score against cost, and the graphs of designs."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from textwrap import fill, shorten

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text

from gdesign.report.tables import Row
from gdesign.report.text import deciders
from gdesign.types import Design

MARKERS = "osD^v"
COLOURS = ("#4C72B0", "#DD8452", "#55A868", "#C44E52", "#8172B3", "#937860", "#DA8BC3", "#8C8C8C", "#CCB974", "#64B5CD")
INK = "#333333"


def score_against_cost(rows: Sequence[Row], path: Path) -> None:
    """Draw score over USD per 1,000 questions, a panel for each task, split and label.

    Bars are the standard deviation over seeds, or for one seed the interval over questions.
    """
    panels = [(k, list(g)) for k, g in groupby(rows, key=lambda r: (r.task, r.split, r.label))]
    figure = Figure(figsize=(7.0, 4.6 * len(panels)), dpi=120)
    FigureCanvasAgg(figure)
    methods = list(dict.fromkeys(r.method for r in rows))
    for axes, ((task, split, label), members) in zip(
        figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True
    ):
        for r in members:
            below, above = (r.score_spread or 0.0,) * 2
            if r.interval is not None:
                below, above = r.score - r.interval[0], r.interval[1] - r.score
            colour = COLOURS[methods.index(r.method) % len(COLOURS)]
            axes.errorbar(
                r.usd,
                r.score,
                yerr=[[max(below, 0.0)], [max(above, 0.0)]],
                fmt=MARKERS[methods.index(r.method) // len(COLOURS) % len(MARKERS)],
                color=colour,
                capsize=3,
                label=r.method,
            )
        axes.set_xlabel("USD per 1,000 questions")
        axes.set_ylabel("score")
        axes.set_title(f"{task}, {split} ({label})")
        axes.grid(alpha=0.3)
        dear = [r.usd for r in members if r.usd > 0]
        if dear and max(dear) > 20 * min(dear):
            axes.set_xscale("log")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
    figure.savefig(path, bbox_inches="tight")


def training_curve(steps: Sequence[int], utility: Sequence[float], score: Sequence[float], path: Path) -> None:
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
    figure.savefig(path, bbox_inches="tight")


def draw_designs(designs: Sequence[tuple[str, Design]], path: Path) -> None:
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
        axes.set_title(fill(shorten(title, 150), 75), fontsize=9, loc="left", color=INK)
    figure.tight_layout()
    figure.draw_without_rendering()  # arrows end at the boxes, whose size is known once they are drawn
    figure.savefig(path, bbox_inches="tight")


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
            f"{fill(agent.role, 16)}\n{fill(agent.llm, 18)}{operator}",
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
