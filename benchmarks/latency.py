"""How long a design takes from the text of a question, in a fresh process and then, for questions never seen.

    python benchmarks/latency.py

trains small designers (or takes `--checkpoint`), with MiniLM and with hashed words, and writes
benchmarks/results/latency.md. Each row is the median of several fresh processes. `gdesign.load` keeps no embeddings in
files and every question is asked once, so each is embedded when it is asked for.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from runner import ROOT, command

NUM_QUESTIONS = 200
FRESH = """
import json, sys, time
began = time.perf_counter(), time.process_time()
import gdesign
model = gdesign.load(sys.argv[1])
imported = time.perf_counter() - began[0]
model.design("What is asked first in this process?")
first = time.perf_counter() - began[0], time.process_time() - began[1]
from gdesign.tasks.synthetic import Synthetic
questions = [t.question for t in Synthetic(seed=int(sys.argv[2])).load("test")][: int(sys.argv[3])]
wall, cpu = [], []
for question in questions:
    start = time.perf_counter(), time.process_time()
    model.design(question)
    wall.append(time.perf_counter() - start[0])
    cpu.append(time.process_time() - start[1])
wall.sort(), cpu.sort()
half, most = len(wall) // 2, len(wall) * 95 // 100
print(json.dumps({"loaded": imported, "first": first[0], "first_cpu": first[1], "p50": wall[half], "p95": wall[most],
                  "p50_cpu": cpu[half]}))
"""


def fresh(checkpoint: Path, seed: int) -> dict[str, float]:
    """Return what a fresh process measures, in seconds."""
    arguments = [sys.executable, "-c", FRESH, str(checkpoint), str(seed), str(NUM_QUESTIONS)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, action="append", default=[], help="a run folder; several may be")
    parser.add_argument("--repeat", type=int, default=5, help="fresh processes (5)")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/latency.md")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        runs = {path.name: path for path in options.checkpoint}
        if not runs:
            for designer, encoder in (("joint", "minilm"), ("joint", "hash"), ("gdesigner", "minilm")):
                path = runs[f"{designer}, {encoder}"] = Path(folder) / f"{designer}-{encoder}"
                overrides = [f"designer={designer}", "experiment=demo", "trainer.max_epochs=1", f"out={path}"]
                overrides += ["learner=critic"] if designer == "joint" else []
                overrides += [f"text={encoder}", "+task.num_train=120", "split=null"]
                subprocess.run([sys.executable, "train.py", *overrides], cwd=ROOT, check=True)
        for name, path in runs.items():
            found = [fresh(path, 700 + k) for k in range(options.repeat)]
            mid = {key: median(f[key] for f in found) for key in found[0]}
            rows.append(
                f"| {name} | {mid['loaded']:.1f} s | {mid['first']:.1f} s ({mid['first_cpu']:.1f} s) "
                f"| {1000 * mid['p50']:.1f} ms ({1000 * mid['p50_cpu']:.1f} ms) | {1000 * mid['p95']:.1f} ms |"
            )
            print(rows[-1], flush=True)
    page = [
        "# From the text of a question to its design",
        "",
        f"`{command()}`; {os.cpu_count()} cores, medians of {options.repeat} fresh processes. In brackets what the CPU "
        "worked, over all cores: on a machine that does other things too, the clock says more than that. The first two "
        "count from the start of the process.",
        "",
        "| designer, encoder | loaded after | first design after | design, p50 | p95 |",
        "|---|---|---|---|---|",
        *rows,
        "",
        f"{NUM_QUESTIONS} questions a process, none of which any process or file has seen: `gdesign.load` takes the "
        "caches off the encoder.",
        "",
    ]
    options.out.write_text("\n".join(page))


if __name__ == "__main__":
    main()
