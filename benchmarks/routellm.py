"""RouteLLM's own metric on its MMLU and GSM8K responses: when to call the strong LLM, from the prompt's text alone.

    GDESIGN_DATA=... python benchmarks/routellm.py --write benchmarks/results/routellm.md

Weak is Mixtral-8x7B-Instruct, strong gpt-4-1106-preview. Each seed draws other labelled questions outside the
lock-box; every other question is a test question.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from runner import begin, compose, plus_minus

from gdesign.design.routers.base import Router
from gdesign.encode.problem import Space
from gdesign.encode.text import TextEncoder
from gdesign.files import read_csv
from gdesign.tasks.base import normalised, split_of
from gdesign.tasks.data import find
from gdesign.types import LLM, AgentPool, Role

COMMAND = "python benchmarks/routellm.py --write benchmarks/results/routellm.md"
WEAK, STRONG = "mixtral-8x7b-instruct", "gpt-4-1106-preview"
POOL = AgentPool(
    name="routellm",
    roles=(Role(name="solver", profile="You solve the task."),),
    llms=(
        LLM(name=WEAK, usd_per_1M_input=0.24, usd_per_1M_output=0.24),  # their appendix D: mean of input and output
        LLM(name=STRONG, usd_per_1M_input=24.7, usd_per_1M_output=24.7),
    ),
)
BINS = 10
DEVELOPED_ON = "mmlu"
NUM_LABELS = {"mmlu": (500, 1500), "gsm8k": (500,)}
PUBLISHED = {
    "mmlu": {
        "random": (50.1, 79.9, 0.500),
        "BERT, arena + about 1,500 MMLU labels": (41.3, 72.2, 0.572),
        "matrix factorisation, the same": (35.5, 71.4, 0.597),
        "causal LLM, the same": (35.5, 70.3, 0.600),
        "similarity weighting, the same": (35.4, 71.6, 0.603),
    },
    "gsm8k": {
        "random": (50.0, 80.1, 0.497),
        "BERT, arena + judge": (44.8, 79.1, 0.531),
        "matrix factorisation, the same": (38.8, 72.6, 0.565),
        "similarity weighting, the same": (41.2, 72.2, 0.568),
        "causal LLM, the same": (33.6, 63.3, 0.622),
    },
}
"""CPT(50 %), CPT(80 %) in % of strong calls, and APGR: arXiv 2406.18665v4, tables 2 and 3."""
LEARNED: dict[str, tuple[str, ...]] = {
    "knn": ("designer=knn", "text=minilm"),
    "ridge": ("designer=ridge", "text=minilm"),
    "mf": ("designer=mf", "text=minilm"),
    "kernel": ("designer=kernel",),
    "length": ("designer=length",),
    "tfidf": ("designer=tfidf",),
    "tfidf, shrunk harder": ("designer=tfidf", "designer.weakest=3", "designer.strongest=3"),
}
"""Overrides that make each router; the last one's strength is the best on the development questions."""
FIRST, DOMAIN = "longer first", "domain"
CONTROLS = {
    FIRST: "control: no labels, the longest prompts go to the strong LLM",
    "length": "control: ridge on the length",
    "tfidf": "control: ridge on TF-IDF",
    "tfidf, shrunk harder": "control: the same at a fixed strength",
}
NOTES = {**CONTROLS, DOMAIN: "the column, not the text"}
CHUNK = 2000
"""Test questions predicted at once; bounds the memory that words take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Responses:
    """What both LLMs scored on the questions of a set, each text once.

    Attributes:
        texts: The prompts.
        domain: The column `domain`; empty where there is none.
        scores: Of weak and strong.
        usd: Of weak and strong, a question.
        held_out: Not looked at while anything was developed: test half or lock-box of `split_of`.
        lockbox: In the lock-box, so never labelled.
    """

    texts: list[str]
    domain: list[str]
    scores: torch.Tensor
    usd: torch.Tensor
    held_out: np.ndarray
    lockbox: np.ndarray


def load(name: str, *, regraded: bool) -> Responses:
    """Read a set; contaminated prompts (RouteLLM's own list) and repeated texts are dropped."""
    suffix = "_regraded" if regraded else ""
    columns = (f"mixtral_correct{suffix}", f"gpt4_correct{suffix}")
    needs = ("prompt", "contaminated", "prompt_tokens_cl100k", *columns)
    rows: dict[str, dict[str, str]] = {}
    for _, row in read_csv(find(f"routing/routellm/{name}.csv"), needs=needs):
        if row["contaminated"] == "0":
            rows.setdefault(normalised(row["prompt"]), row)
    kept = list(rows.values())
    splits = np.array([split_of(r["prompt"]) for r in kept])
    tokens = torch.tensor([float(r["prompt_tokens_cl100k"]) for r in kept])
    return Responses(
        texts=[r["prompt"] for r in kept],
        domain=[r.get("domain", "") for r in kept],
        scores=torch.tensor([[float(r[c]) for c in columns] for r in kept]),
        usd=tokens[:, None] * torch.tensor([m.usd_per_1M_input for m in POOL.llms]) / 1e6,
        held_out=np.isin(splits, ("test", "lockbox")),
        lockbox=splits == "lockbox",
    )


def measure(wish: np.ndarray, scores: torch.Tensor) -> tuple[float, float, float]:
    """Return CPT(50 %), CPT(80 %) in % and APGR as RouteLLM's evaluation computes them.

    The strong LLM answers where the wish for it reaches a threshold; thresholds are the deciles of the wishes. APGR is
    the area under the share of the gap recovered, by trapezoids over the share of strong calls.
    """
    weak, strong = scores.numpy().T.astype(float)
    thresholds = np.quantile(wish, np.linspace(0, 1, BINS + 1))
    points = []
    for i, threshold in enumerate(thresholds):
        called = wish >= threshold if i < BINS else wish > threshold
        points.append((called.mean(), np.where(called, strong, weak).mean()))
    share, accuracy = (np.array(p) for p in zip(*sorted(points), strict=True))
    recovered = (accuracy - weak.mean()) / (strong.mean() - weak.mean())
    half, most = (100 * np.interp(q, recovered, share) for q in (0.5, 0.8))
    return float(half), float(most), float(np.trapezoid(recovered, share) / (share[-1] - share[0]))


def router_of(overrides: tuple[str, ...]) -> tuple[Callable[..., Router], TextEncoder]:
    """Return a designer as the overrides make it, and the encoder that it reads."""
    config = compose(overrides)
    return instantiate(config.designer, _partial_=True), instantiate(config.text)


def wishes(
    router: Router, x: torch.Tensor, data: Responses, labelled: np.ndarray, test: np.ndarray, seed: int
) -> np.ndarray:
    """Return predicted score of strong less that of weak on the test questions, after a fit to the labelled ones."""
    router.fit(
        x[labelled],
        scores=data.scores[labelled],
        usd=data.usd[labelled],
        weight=torch.ones(len(labelled)),
        generator=torch.Generator().manual_seed(seed),
    )
    score = torch.cat([router.predict(part)[0] for part in x[test].split(CHUNK)])
    return (score[:, 1] - score[:, 0]).double().numpy()


def by_domain(data: Responses, labelled: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the mean gain of the labelled questions of each test question's domain, shrunk by 20 average ones."""
    gain = (data.scores[:, 1] - data.scores[:, 0]).double().numpy()
    domain = np.array(data.domain)
    average = gain[labelled].mean()
    means = {
        d: (gain[labelled][domain[labelled] == d].sum() + 20 * average) / ((domain[labelled] == d).sum() + 20)
        for d in set(data.domain)
    }
    return np.array([means[d] for d in domain[test]])


INTRODUCTION = """# RouteLLM's metric on its responses

`GDESIGN_DATA=... {command}`

Which questions go to gpt-4-1106-preview and which to Mixtral-8x7B-Instruct, from the prompt's text alone. CPT(50 %) and
CPT(80 %): percentage of strong calls that recover so much of the gap between the two LLMs, less is better. APGR: area
under the recovered share of the gap over the share of strong calls, .5 for chance, more is better. Both as RouteLLM
(arXiv 2406.18665) computes them: eleven thresholds at the deciles of a router's wishes, straight lines between.

Prompts that RouteLLM lists as contaminated are dropped, as there, and so are repeated texts, unlike there. Each of
{seeds} draws labels other questions, none of them in the lock-box, and tests on all others. Figures are means over
draws and ± is their standard deviation; the test questions overlap, so it is no standard error.

Everything was developed on those questions of MMLU that its second tables leave out, none on GSM8K; hyperparameters are
chosen within the labelled questions. See [the routers' page](../../docs/methods/routers.md). Published routers learned
from other data: human preferences with judged pairs or, for MMLU, with about 1,500 labelled questions of its validation
set. GSM8K's shipped labels count 42 right answers of the strong LLM as wrong ("$20.00" for 20); re-graded ones do
not.
"""

Found = dict[str, list[tuple[float, float, float]]]


def run(
    data: Responses,
    routers: Mapping[str, Callable[..., Router]],
    encoded: Mapping[str, torch.Tensor],
    *,
    num_labels: int,
    seeds: Sequence[int],
) -> dict[str, Found]:
    """Return the three figures by test set, method and seed."""
    everything, unseen = "tested on all other questions", "tested on those of them not used in development"
    found: dict[str, Found] = {everything: {}, unseen: {}}
    length = np.array([len(t) for t in data.texts], dtype=float)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        labelled = rng.permutation(np.flatnonzero(~data.lockbox))[:num_labels]
        test = np.setdiff1d(np.arange(len(data.texts)), labelled)
        wish = {FIRST: length[test]}
        for name, make in routers.items():
            x = encoded[name]
            router = make(space=Space(pool=POOL, slots=POOL.candidates, text_dim=x.shape[1]))
            wish[name] = wishes(router, x, data, labelled, test, seed)
        if any(data.domain):
            wish[DOMAIN] = by_domain(data, labelled, test)
        for name, values in wish.items():
            for where, chosen in ((everything, np.ones(len(test), dtype=bool)), (unseen, data.held_out[test])):
                found[where].setdefault(name, []).append(measure(values[chosen], data.scores[test[chosen]]))
    return found


def table(found: Found) -> list[str]:
    """Return one test set's table, best APGR last."""
    lines = ["| router | CPT(50 %) | CPT(80 %) | APGR |", "|---|---|---|---|"]
    for name in sorted(found, key=lambda n: np.mean([f[2] for f in found[n]])):
        half, most, apgr = zip(*found[name], strict=True)
        what = f"{name} ({NOTES[name]})" if name in NOTES else name
        lines.append(f"| {what} | {np.mean(half):.1f} | {np.mean(most):.1f} | {plus_minus(apgr)} |")
    lines += ["", "Gain of kernel in APGR over each control, paired by draw:", ""]
    for name in CONTROLS:
        gains = [a[2] - b[2] for a, b in zip(found["kernel"], found[name], strict=True)]
        lines.append(f"- {name}: {plus_minus(gains)}, above 0 in {sum(g > 0 for g in gains)} of {len(gains)} draws")
    return lines


def main() -> None:
    """Fit and measure everything, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=10, help="how many draws of the labelled questions (10)")
    parser.add_argument("--write", type=Path, help="write the tables to this file too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    made = {name: router_of(overrides) for name, overrides in LEARNED.items()}
    routers = {name: make for name, (make, _) in made.items()}
    encoders = {encoder.name: encoder for _, encoder in made.values()}
    lines = [INTRODUCTION.format(command=COMMAND, seeds=args.seeds)]
    for name, regraded in (("mmlu", False), ("gsm8k", True), ("gsm8k", False)):
        data = load(name, regraded=regraded)
        views = {key: encoder(data.texts) for key, encoder in encoders.items()}
        encoded = {n: views[encoder.name] for n, (_, encoder) in made.items()}
        labels = " (re-graded labels)" if regraded else " (labels as shipped)" if name == "gsm8k" else ""
        weak, strong = (100 * data.scores.mean(0)).tolist()
        lines += [f"## {name.upper()}{labels}", ""]
        lines += [f"{len(data.texts):,} questions; weak is right on {weak:.1f} %, strong on {strong:.1f} %.", ""]
        for num_labels in NUM_LABELS[name]:
            found = run(data, routers, encoded, num_labels=num_labels, seeds=range(args.seeds))
            for where, figures in found.items() if name == DEVELOPED_ON else list(found.items())[:1]:
                lines += [f"### {num_labels:,} labels, {where}", "", *table(figures), ""]
        if not regraded:
            lines += ["### Published, all questions", ""]
            lines += ["| router | CPT(50 %) | CPT(80 %) | APGR |", "|---|---|---|---|"]
            lines += [f"| {r} | {a:.1f} | {b:.1f} | {c:.3f} |" for r, (a, b, c) in PUBLISHED[name].items()]
            lines.append("")
    text = "\n".join(lines).rstrip() + "\n"
    if args.write:
        args.write.write_text(text)
    print(text)


if __name__ == "__main__":
    begin(main)
