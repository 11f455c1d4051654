"""How often the graders agree with the recorded verdicts: every recorded answer, stated as `Answer: X`, graded anew.

GDESIGN_DATA=<data folder> python benchmarks/graders.py [--show 10]
"""

import argparse
from collections import Counter
from collections.abc import Callable

from runner import begin

from gdesign.tasks.answers.literals import literal
from gdesign.tasks.base import Benchmark
from gdesign.tasks.crux import CRUXO
from gdesign.tasks.data import data_dir
from gdesign.tasks.gsm8k import GSM8K
from gdesign.tasks.math import MATHL5
from gdesign.tasks.mmlu_pro import MMLUPro
from gdesign.tasks.table import load_table


def quoted(answer: str) -> str:
    """Return a recorded answer with the quotes that CRUXEval's recordings left out."""
    if literal(answer) is not None and answer == answer.strip():
        return answer
    quote = '"' if "'" in answer else "'"
    return f"{quote}{answer}{quote}"


def compare(
    benchmark: Benchmark,
    directory: str,
    set_name: str,
    show: int,
    *,
    name: str = "",
    dress: Callable[[str], str] = str,
) -> str:
    """Return one row of the table: agreement of grader and recording over all recorded answers."""
    table = load_table(data_dir() / directory, set_name)
    counts: Counter[str] = Counter()
    kinds: Counter[tuple[str, str, str]] = Counter()
    for task in benchmark.load("all"):
        qid = task.id.partition("/")[2]
        for model in table.models:
            i = table.position[qid]
            if table.samples(model)[0].output_tokens[i] < 0:
                continue
            recorded = table.outcome(qid, model)
            answer = benchmark.extract(task, f"Answer: {dress(recorded.answer)}")
            score = 0.0 if answer is None else benchmark.grade(task, answer)
            counts["n"] += 1
            if score == recorded.correct:
                counts["agree"] += 1
            elif answer is None:
                counts["unreadable"] += 1
            else:
                kind = "only the grader says right" if score else "only the recording says right"
                counts[kind] += 1
                kinds[kind, task.answer, recorded.answer] += 1
    for (kind, gold, answer), n in kinds.most_common(show):
        print(f"  {n:5} {kind}: reference {gold!r}, answer {answer!r}")
    cells = (
        name or benchmark.name,
        f"{counts['n']:,}",
        f"{counts['agree'] / counts['n']:.3%}",
        f"{counts['unreadable']:,}",
        f"{counts['only the grader says right']:,}",
        f"{counts['only the recording says right']:,}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", type=int, default=0, help="print that many kinds of disagreement for each set")
    show = parser.parse_args().show
    rows = [
        compare(GSM8K(by_text=True), "routing/zeroeval", "gsm", show),
        compare(MATHL5(), "routing/zeroeval", "math-l5", show),
        compare(CRUXO(), "routing/zeroeval", "crux", show),
        compare(CRUXO(), "routing/zeroeval", "crux", show, name="crux, quotes restored", dress=quoted),
        compare(MMLUPro(), "routing/mmlu_pro", "", show),
    ]
    print("| set | answers | agreement | unreadable, recorded right | only grader right | only recording right |")
    print("|---|---:|---:|---:|---:|---:|")
    print("\n".join(rows))


if __name__ == "__main__":
    begin(main)
