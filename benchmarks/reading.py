"""How replies of real LLMs are read: share read, agreement with the reference, differences from upstream's reading.

GDESIGN_DATA=<data folder> python benchmarks/reading.py [--save after.json] [--before before.json] [--list differences]

The data are 17,156 replies of three LLMs to GSM8K, SVAMP, CommonsenseQA and MGSM. `--save` keeps the readings, and
`--before` compares with readings that were kept (those of another version: check it out, and run it with `--save`).
`--list` prints replies for the eye: `differences` from upstream, `changes` since before, `unread` ones, or a number of
random others.
"""

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

from runner import begin

from gdesign.tasks.base import read
from gdesign.tasks.data import find

Row = dict[str, Any]
COLUMNS = ("replies", "read", "right", "other reading than upstream", "other verdict than upstream")


def replies() -> Iterator[Row]:
    """Yield the replies."""
    with gzip.open(find("replies/replies.jsonl"), "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def reading(row: Row, text: str) -> str | None:
    """Return what the grader of a reply's question reads in a text."""
    return read(text, row["kind"], tuple(row.get("options") or ()))


def upstream(row: Row) -> str | Fraction | None:
    """Return upstream's reading, as a value; None where upstream read nothing."""
    said = "" if row["upstream_answer"] is None else str(row["upstream_answer"]).strip()
    if row["kind"] == "choice" or not said:
        return said.upper() or None
    try:
        return Fraction(said.replace(",", ""))
    except ValueError:
        return said


def differs(row: Row, said: str | None) -> bool:
    """Return whether upstream read something else."""
    if "upstream_answer" not in row:
        return False
    value = Fraction(said) if said is not None and row["kind"] == "number" else said
    return value != upstream(row)


def group(row: Row) -> tuple[str, str, str, str]:
    """Return benchmark, language, model and way of a reply."""
    name, _, language = row["set"].partition("-")
    return name, language or "en", row["model"], row["way"]


def counts(rows: list[Row], said: dict[str, str | None]) -> dict[tuple[str, ...], Counter[str]]:
    """Return the counts of each group."""
    table: dict[tuple[str, ...], Counter[str]] = {}
    for row in rows:
        count = table.setdefault(group(row), Counter())
        answer = said[row["id"]]
        right = answer is not None and answer == reading(row, row["gold"])
        count.update({"replies": 1, "read": answer is not None, "right": right})
        count["other reading than upstream"] += differs(row, answer)
        if "upstream_score" in row:
            count["other verdict than upstream"] += right != bool(row["upstream_score"])
    return table


def table(after: dict[tuple[str, ...], Counter[str]], before: dict[tuple[str, ...], Counter[str]] | None) -> str:
    """Return the table, with the counts before in front of an arrow where they differ."""
    lines = [f"| benchmark | language | model | way | {' | '.join(COLUMNS)} |", "|---|---|---|---" + "|---:" * 5 + "|"]
    totals = [Counter[str](), Counter[str]()]
    for key, now in after.items():
        then = now if before is None else before[key]
        totals[0].update(then)
        totals[1].update(now)
        lines.append(f"| {' | '.join(key)} | {' | '.join(cell(then[c], now[c]) for c in COLUMNS)} |")
    cells = " | ".join(cell(totals[0][c], totals[1][c]) for c in COLUMNS)
    return "\n".join([*lines, f"| all | | | | {cells} |"])


def cell(then: int, now: int) -> str:
    """Return a count, with what it was before if it was another."""
    return f"{now:,}" if then == now else f"{then:,} → {now:,}"


def show(row: Row, said: str | None, was: str | None) -> None:
    """Print one reply for the eye."""
    about = f"{said!r}" + ("" if was == said else f", was {was!r}")
    print(f"== {row['id']}: {about}; upstream {row.get('upstream_answer')!r}; reference {row['gold']!r}")
    print(*(row.get("options") or ()), sep=" | ")
    print(row["reply"][-600:].strip(), end="\n\n")


def main() -> None:
    """Print the table, and what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", type=Path, help="write the readings there")
    parser.add_argument("--before", type=Path, help="compare with these readings")
    parser.add_argument("--list", default="", help="differences, changes, unread, or a number of random others")
    options = parser.parse_args()
    rows = list(replies())
    said = {row["id"]: reading(row, row["reply"]) for row in rows}
    if options.save is not None:
        options.save.write_text(json.dumps(said))
    was = said if options.before is None else json.loads(options.before.read_text())
    if options.list.isdecimal():
        others = [row for row in rows if not differs(row, said[row["id"]]) and was[row["id"]] == said[row["id"]]]
        chosen = Random(0).sample(others, int(options.list))
    else:
        wanted = {
            "differences": lambda row: differs(row, said[row["id"]]),
            "changes": lambda row: said[row["id"]] != was[row["id"]],
            "unread": lambda row: said[row["id"]] is None,
            "": lambda row: False,
        }[options.list]
        chosen = [row for row in rows if wanted(row)]
    for row in chosen:
        show(row, said[row["id"]], was[row["id"]])
    print(table(counts(rows, said), None if options.before is None else counts(rows, was)))


if __name__ == "__main__":
    begin(main)
