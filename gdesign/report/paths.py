"""What a report says of designs that went on deciding: paths that runs took, waves, and how sure they were."""

import math
from collections.abc import Sequence
from statistics import fmean

from gdesign.export.schema import design_from_json
from gdesign.report.document import HAS_MATPLOTLIB, Block, Picture, Table, Text
from gdesign.report.tally import Line, Tally
from gdesign.types import Design

if HAS_MATPLOTLIB:
    from gdesign.report import plots

MOST_PATHS = 12
NUM_BINS = 10


def paths(tally: Tally, file: str) -> list[Block]:
    """Return how often each path was taken, and how often answers were right by how sure a policy was of them.

    Nothing where no run was that of a policy.

    Args:
        file: The name of the picture.
    """
    lines = list(tally.latest.values())
    told = [(design_from_json(line["design"]), line) for line in lines]
    if not any("probability" in line or any(a.gate and a.gate.only_waits for a in d.agents) for d, line in told):
        return []
    found: dict[str, list[tuple[int, Line]]] = {}
    for design, line in told:
        found.setdefault(in_waves(design), []).append((len(design.waves()), line))
    shares = [len(same) / len(lines) for same in found.values()]
    entropy = -sum(share * math.log(share) for share in shares)
    waves = fmean(num for same in found.values() for num, _ in same)
    most = sorted(found.items(), key=lambda item: -len(item[1]))
    rows = [
        [
            path,
            f"{len(same) / len(lines):.1%}",
            f"{fmean(num for num, _ in same):.0f}",
            f"{fmean(line['score'] for _, line in same):.3f}",
            f"{1000 * fmean(line['usd'] for _, line in same):.3f}",
        ]
        for path, same in most[:MOST_PATHS]
    ]
    about = f"{len(found):,} paths in {len(lines):,} runs (entropy {entropy:.2f} nats), {waves:.2f} waves a question."
    more = f" The {MOST_PATHS} most frequent:" if len(found) > MOST_PATHS else ""
    table = Table(head=("asked in waves", "share", "waves", "score", "USD per 1,000"), rows=rows)
    return [Text(about + more), table, *_calibration([line for line in lines if "probability" in line], file)]


def in_waves(design: Design) -> str:
    """Return who is asked at once, wave by wave, as words."""

    def name(i: int) -> str:
        agent = design.agents[i]
        return "/".join(
            (agent.role, agent.llm) if agent.operator == "answer" else (agent.role, agent.llm, agent.operator)
        )

    return ", then ".join(" + ".join(map(name, wave)) for wave in design.waves())


def _calibration(lines: Sequence[Line], file: str) -> list[Block]:
    if not lines:
        return []
    bins: list[list[Line]] = [[] for _ in range(NUM_BINS)]
    for line in lines:
        bins[min(NUM_BINS - 1, int(line["probability"] * NUM_BINS))].append(line)
    filled = [some for some in bins if some]
    held, right = ([fmean(line[key] for line in some) for some in filled] for key in ("probability", "score"))
    share = [len(some) / len(lines) for some in filled]
    error = sum(s * abs(h - r) for s, h, r in zip(share, held, right, strict=True))
    return [
        Text(
            f"How sure it was of the answers it took, beside how often they were right: {error:.3f} apart on average."
        ),
        Picture(file=file, says="reliability", draw=lambda out: plots.reliability(held, right, share, out)),
    ]
