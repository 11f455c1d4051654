"""Training over HTTP while a fifth of all requests fail, beside training without faults.

    python benchmarks/faults.py

For each seed one G-Designer is trained and evaluated three times with the same settings: on the simulated
world in the same process, over HTTP on `gdesign simulate`, and over HTTP while that lets requests
fail (429 with Retry-After, 500, lost connections, no answer, JSON that breaks off, no choices).
Every command is a process of its own, as a user starts it. Writes benchmarks/results/faults.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any
from urllib.request import urlopen

from runner import ROOT, command, plus_minus

from gdesign.runs.log import read_runs

SETTINGS = (
    "designer=gdesigner",
    "task=synthetic",
    "pool=simulated",
    "+task.num_train=120",
    "+task.num_validation=45",
    "+task.num_test=450",
    "learner.num_samples=1000000",
    "reward.usd_weight=0.03",
    "trainer.max_epochs=3",
    "trainer.enable_progress_bar=false",
    "patience=null",
)
OVER_HTTP = (
    "llm=openai",
    "llm.record=null",
    "+llm.timeout=1",
    "+llm.backoff=0.05",
    "yes=true",
    "+llm.max_concurrent=64",
)
SIMULATE = ("--latency", "10", "--jitter", "5")
FAULTS = ("--faults", "0.2", "--retry-after", "0.1")
WAYS = ("same process", "HTTP", "HTTP, 20 % faults")
SAME = ("phase", "task", "seed", "design", "answer", "score", "usd", "prompt_tokens", "completion_tokens", "turns")
"""What a run says that depends neither on time nor on where its answers came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One training with its evaluation.

    Attributes:
        summary: Its eval.json.
        runs: Every run of a design by what it says, and how often it came.
        failures: Calls that failed for good.
        survived: Faults that training and evaluation report.
        seconds: How long the command took.
        stats: What the server counted; empty in the same process.
    """

    summary: dict[str, Any]
    runs: Counter[str]
    failures: int
    survived: int
    seconds: float
    stats: dict[str, Any]


@contextmanager
def simulating(*options: str) -> Iterator[str]:
    """Start `gdesign simulate`; yield its base_url."""
    script = str(Path(sys.executable).with_name("gdesign"))
    with subprocess.Popen([script, "simulate", "--port", "0", *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.terminate()


def train(folder: Path, seed: int, base_url: str | None = None) -> Result:
    """Train and evaluate by train.py in a process of its own."""
    live = () if base_url is None else (*OVER_HTTP, f"llm.base_url={base_url}")
    overrides = (*SETTINGS, *live, f"seed={seed}", f"+task.seed={seed}", f"out={folder}")
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *overrides],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}")
    summary = json.loads((folder / "eval.json").read_text())
    rows = list(read_runs(folder / "runs.jsonl"))
    stats = {}
    if base_url is not None:
        with urlopen(base_url.removesuffix("/v1") + "/stats") as response:
            stats = json.loads(response.read())
    return Result(
        summary=summary,
        runs=Counter(json.dumps([row[name] for name in SAME], sort_keys=True) for row in rows),
        failures=sum(row["failures"] for row in rows),
        survived=summary["faults"] + summary["training"].get("faults", 0),
        seconds=seconds,
        stats=stats,
    )


def one_seed(seed: int, out: Path) -> dict[str, Result]:
    """Train with one seed in each of the three ways."""
    results = {WAYS[0]: train(out / f"process-{seed}", seed)}
    for way, folder, options in ((WAYS[1], "http", ()), (WAYS[2], "faults", (*FAULTS, "--seed", str(seed)))):
        with simulating(*SIMULATE, *options) as url:
            results[way] = train(out / f"{folder}-{seed}", seed, url)
    return results


def page(found: Sequence[dict[str, Result]]) -> str:
    """Return the page with its tables, as Markdown."""
    lines = [
        "# Training while a fifth of all requests fail",
        "",
        f"`{command()}`; {os.cpu_count()} cores. gdesigner on generated questions, {len(found)} seeds, each trained "
        "three times with the same settings: on the simulated world in the same process; over HTTP, on "
        f"`gdesign simulate {' '.join(SIMULATE)}`; and on `gdesign simulate {' '.join((*SIMULATE, *FAULTS))}`. "
        "Over HTTP the command is",
        "",
        "```console",
        f"python train.py {' '.join((*SETTINGS, *OVER_HTTP))} llm.base_url=http://127.0.0.1:PORT/v1",
        "```",
        "",
        "| training | score | utility | requests | answers | faults survived | calls that failed for good | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way in WAYS:
        rows = [results[way] for results in found]
        asked = [r.stats["requests"] for r in rows if r.stats]
        answered = [r.stats["answered"] for r in rows if r.stats]
        lines.append(
            f"| {way} | {plus_minus([r.summary['score'] for r in rows])} "
            f"| {plus_minus([r.summary['utility'] for r in rows])} | {f'{mean(asked):,.0f}' if asked else ''} "
            f"| {f'{mean(answered):,.0f}' if answered else ''} | {mean(r.survived for r in rows):,.0f} "
            f"| {sum(r.failures for r in rows)} | {mean(r.seconds for r in rows):.0f} |"
        )
    lines += [
        "",
        "Scores are those of the test questions, mean ± standard deviation over seeds. Calls that failed for good are "
        "a sum, the other columns means. A run of a design counts as the same if phase, question, seed, design, every "
        "agent's answer, tokens and price are:",
        "",
        f"| seed | score, {' | '.join(WAYS)} | runs over HTTP that are the same | with faults |",
        f"|---|{'---|' * len(WAYS)}---|---|",
    ]
    for seed, results in enumerate(found):
        first, *others = (results[way] for way in WAYS)
        scores = " | ".join(f"{results[way].summary['score']:.4f}" for way in WAYS)
        same = " | ".join(f"{(first.runs & other.runs).total():,} of {first.runs.total():,}" for other in others)
        lines.append(f"| {seed} | {scores} | {same} |")
    failed: Counter[str] = Counter()
    for results in found:
        failed.update(results[WAYS[2]].stats["faults"])
    kinds = ", ".join(f"{kind} {num:,}" for kind, num in failed.items())
    survived = sum(results[WAYS[2]].survived for results in found)
    lines += [
        "",
        f"The servers let {failed.total():,} requests fail ({kinds}); the runs report {survived:,} faults survived."
        + (" Those beyond are answers that took longer than the timeout." if survived > failed.total() else ""),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, print the page, write it down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=4, help="how many seeds (4)")
    parser.add_argument("--workers", type=int, default=2, help="seeds at a time (2)")
    parser.add_argument("--out", type=Path, help="where run folders go (a temporary folder)")
    parser.add_argument("--write", type=Path, default=ROOT / "benchmarks/results/faults.md", help="the page")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere, ThreadPoolExecutor(args.workers) as pool:
        out = args.out or Path(nowhere)
        found = list(pool.map(lambda seed: one_seed(seed, out), range(args.seeds)))
    text = page(found)
    args.write.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
