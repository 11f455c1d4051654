"""What a designer expects, as it was borne out on questions that it did not learn from.

Of several curves the one is taken that is closest to what is found on questions kept back: what was expected as it is;
a score by Platt's curve ("Probabilistic outputs for support vector machines", 1999), a cost by a factor or a power of
it; isotonic regression (Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
estimates", KDD 2002), over the means of bins, so that a few lucky questions at an end do not count for certain.

Shape letters: T problems in a batch, B designs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch_geometric.data import Batch

from gdesign.design.base import Designer, Draft, Expected
from gdesign.design.draws import RNG
from gdesign.errors import ConfigError
from gdesign.types import Design

FEWEST = 60
"""Questions without which nothing is known."""
NUM_BINS = 10
"""Bins in which what was expected is compared with what was found."""
NUM_FOLDS = 5
MOST_SCORE_ERROR, MOST_USD_ERROR = 0.05, 0.15
"""How far what is expected may lie from what is found, on average over the bins, beside chance: score, share of USD."""
ALIKE = 1.01
"""Curves whose squared errors differ by less are alike."""
LUCK = 1.5
"""So many times what chance makes of the error is no fault."""
_IN_A_BIN = 25

Numbers = NDArray[np.float64]
Line = tuple[tuple[float, ...], tuple[float, ...]]
"""Where its points are, and how high."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What is found where something is expected: a line through points, from left to right never falling.

    Attributes:
        expected: Where the points are.
        found: What was found there.
        error: How far off it is, on average over bins, on questions that it was not fitted to.
        chance: How much of that error would come of chance alone.
    """

    expected: tuple[float, ...]
    found: tuple[float, ...]
    error: float
    chance: float

    def __call__(self, expected: Tensor, *, scaled: bool) -> Tensor:
        """Return what will be found; beyond the points the same, or `scaled` as far beyond."""
        values = expected.detach().double().cpu().numpy()
        found = _read(values, (self.expected, self.found), scaled=scaled)
        return torch.from_numpy(found).to(expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How what a designer expects was borne out.

    Attributes:
        n: Number of questions.
        score: Of the score; None where too little is known to tell any.
        usd: Of the USD for 1,000 questions; None likewise.
        why: Why something is not told; empty where all is.
    """

    n: int
    score: Curve | None = None
    usd: Curve | None = None
    why: str = ""

    def plain(self) -> dict[str, Any]:
        """Return it as values that a checkpoint may hold."""
        curves = {"score": self.score, "usd": self.usd}
        rows = {
            name: None
            if curve is None
            else [list(curve.expected), list(curve.found), float(curve.error), float(curve.chance)]
            for name, curve in curves.items()
        }
        return {"n": self.n, "why": self.why, **rows}


def from_plain(row: Mapping[str, Any]) -> Calibration:
    """Return what `Calibration.plain` gave."""
    curves = {
        name: None if row[name] is None else Curve(tuple(row[name][0]), tuple(row[name][1]), *row[name][2:])
        for name in ("score", "usd")
    }
    return Calibration(n=row["n"], why=row["why"], **curves)


def calibrate(expected: Numbers, found: Numbers, question: NDArray[np.int64]) -> Calibration:
    """Return what is found where something is expected, if that holds on questions that were kept back.

    Args:
        expected: Score and USD for 1,000 questions of each of B pairs of design and question, (B, 2).
        found: Likewise.
        question: Which question each pair is of.
    """
    n = len(np.unique(question))
    if n < FEWEST:
        return Calibration(n=n, why=f"{n} validation questions are too few to tell")
    curves: list[Curve | None] = []
    reasons = []
    for k, (name, most, relative) in enumerate((("score", MOST_SCORE_ERROR, False), ("cost", MOST_USD_ERROR, True))):
        curve = _curve(expected[:, k], found[:, k], question, relative=relative)
        holds = curve.error <= most + LUCK * curve.chance
        curves.append(curve if holds else None)
        if not holds:
            off = f"{curve.error:.0%}" if relative else f"{curve.error:.2f}"
            reasons.append(f"the {name} expected was off by {off} on {n} validation questions")
    return Calibration(n=n, score=curves[0], usd=curves[1], why="; ".join(reasons))


def reliability(expected: Numbers, found: Numbers, *, num_bins: int = NUM_BINS) -> Float[np.ndarray, "bins 3"]:
    """Return, for bins that hold about as many pairs each, what was expected and found on average, and how many."""
    bins = _parts(expected, num_bins)
    return np.array([[expected[part].mean(), found[part].mean(), len(part)] for part in bins])


def _parts(expected: Numbers, num_bins: int) -> list[NDArray[np.int64]]:
    return [part for part in np.array_split(np.argsort(expected, kind="stable"), num_bins) if len(part)]


def error_of(rows: Float[np.ndarray, "bins 3"], *, relative: bool) -> float:
    """Return how far expected and found lie apart, on average over bins; relative to what was found if so."""
    apart = np.abs(rows[:, 0] - rows[:, 1])
    if relative:
        apart = apart / np.maximum(rows[:, 1], 1e-12)
    return float(np.average(apart, weights=rows[:, 2]))


def chance_of(expected: Numbers, found: Numbers, question: NDArray[np.int64], *, relative: bool) -> float:
    """Return how large `error_of` would be about if all that is expected were true, by what strays within the bins.

    Pairs of one question stray together, so questions are counted.
    """
    total = 0.0
    for part in _parts(expected, NUM_BINS):
        stray = np.std(found[part] - expected[part]) * np.sqrt(2 / np.pi / len(np.unique(question[part])))
        total += len(part) * float(stray / max(float(found[part].mean()), 1e-12) if relative else stray)
    return total / len(expected)


def _curve(expected: Numbers, found: Numbers, question: NDArray[np.int64], *, relative: bool) -> Curve:
    """Return the curve that is closest to what is found on questions kept back, the simplest of those alike."""
    fold = np.unique(question, return_inverse=True)[1] % NUM_FOLDS
    scale = np.maximum(expected, 1e-12) if relative else np.ones_like(expected)
    fits = _USD_FITS if relative else _SCORE_FITS
    outs = [np.empty_like(expected) for _ in fits]
    for fit, out in zip(fits, outs, strict=True):
        for k in range(NUM_FOLDS):
            here = fold == k
            out[here] = _read(expected[here], fit(expected[~here], found[~here]), scaled=relative)
    losses = [float(np.mean(((found - out) / scale) ** 2)) for out in outs]
    best = next(i for i, loss in enumerate(losses) if loss <= ALIKE * min(losses))
    out = outs[best]
    error = error_of(reliability(out, found), relative=relative)
    chance = chance_of(out, found, question, relative=relative)
    return Curve(*fits[best](expected, found), error, chance)


def _read(expected: Numbers, line: Line, *, scaled: bool) -> Numbers:
    x, y = line
    found = np.interp(expected, x, y)
    if scaled:
        low, high = max(x[0], 1e-12), max(x[-1], 1e-12)
        found = np.where(expected < low, y[0] * expected / low, found)
        found = np.where(expected > high, y[-1] * expected / high, found)
    return np.asarray(found)


def _same(expected: Numbers, found: Numbers) -> Line:
    return (0.0, 1.0), (0.0, 1.0)


def _times(expected: Numbers, found: Numbers) -> Line:
    return (0.0, 1.0), (0.0, float(found.sum() / max(float(expected.sum()), 1e-12)))


def _power(expected: Numbers, found: Numbers) -> Line:
    """Return a line in logs through the means of bins."""
    rows = np.log(np.maximum(_bins(expected, found)[:, :2], 1e-9))
    slope, level = (1.0, 0.0) if np.ptp(rows[:, 0]) < 1e-9 else np.polyfit(rows[:, 0], rows[:, 1], 1)
    x = np.geomspace(max(float(expected.min()), 1e-9), max(float(expected.max()), 2e-9), 33)
    y = np.exp(level) * x ** max(slope, 0.0)
    out = np.interp(expected, x, y)
    return tuple(map(float, x)), tuple(map(float, y * found.sum() / max(float(out.sum()), 1e-12)))


def _logistic(expected: Numbers, found: Numbers) -> Line:
    """Return Platt's curve, held to rise, over the range of scores: one log-odds against the other."""

    def odds(score: Numbers) -> Numbers:
        kept = np.clip(score, 0.01, 0.99)
        return np.asarray(np.log(kept / (1 - kept)))

    x = np.linspace(0.0, 1.0, 65)
    # each pair counts as right as far as it was, as wrong for the rest
    both = np.concatenate([odds(expected)] * 2)[:, None]
    weight = np.concatenate([found, 1 - found])
    if min(float(found.sum()), float((1 - found).sum())) < 1:
        return (0.0, 1.0), (float(found.mean()),) * 2
    fitted = LogisticRegression(C=10.0).fit(both, np.repeat([1, 0], len(found)), sample_weight=weight)
    slope, level = max(0.0, float(fitted.coef_[0, 0])), float(fitted.intercept_[0])
    return tuple(map(float, x)), tuple(map(float, 1 / (1 + np.exp(-(level + slope * odds(x))))))


def _isotonic(expected: Numbers, found: Numbers) -> Line:
    rows = _bins(expected, found)
    x, first = np.unique(rows[:, 0], return_inverse=True)
    y = np.array([np.average(rows[first == i, 1], weights=rows[first == i, 2]) for i in range(len(x))])
    weight = np.array([rows[first == i, 2].sum() for i in range(len(x))])
    risen = IsotonicRegression().fit_transform(x, y, sample_weight=weight)
    return tuple(map(float, x)), tuple(map(float, risen))


def _bins(expected: Numbers, found: Numbers) -> Float[np.ndarray, "bins 3"]:
    return reliability(expected, found, num_bins=max(2, min(20, len(expected) // _IN_A_BIN)))


_SCORE_FITS = (_same, _logistic, _isotonic)
_USD_FITS = (_same, _times, _power, _isotonic)
"""Ways of fitting, the simplest first."""


class Calibrated(Designer):
    """A designer whose expectations are told as they were borne out, or not at all.

    Args:
        learned: The designer; what it draws is left as it is.
        calibration: None where nobody looked.
    """

    def __init__(self, learned: Designer, calibration: Calibration | None) -> None:
        super().__init__(space=learned.space)
        self.learned = learned
        self._calibration = calibration

    def forward(self, problem: Batch, *, num_designs: int = 1, generator: RNG = None, greedy: bool = False) -> Draft:
        """Draw as the learned designer does."""
        return self._told(self.learned(problem, num_designs=num_designs, generator=generator, greedy=greedy))

    def log_prob(self, problem: Batch, designs: Sequence[Design]) -> Float[Tensor, " T"]:
        """Return what the learned designer does."""
        return self.learned.log_prob(problem, designs)

    def expect(self, problem: Batch, designs: Sequence[Design], *, of: Int[Tensor, " B"] | None = None) -> Expected:
        """Return what will be found, as far as that is known.

        Raises:
            ConfigError: It is not known.
        """
        found = self._borne_out(self.learned.expect(problem, designs, of=of))
        if found is None:
            raise self._unknown()
        return found

    def frontier(self, problem: Batch, usd_weights: Sequence[float]) -> Draft:
        """Return what the learned designer does, with what will be found.

        Raises:
            ConfigError: It is not known.
        """
        draft = self._told(self.learned.frontier(problem, usd_weights))
        if draft.expected is None:
            raise self._unknown()
        return draft

    def _told(self, draft: Draft) -> Draft:
        if draft.expected is not None:
            draft.expected = self._borne_out(draft.expected)
        return draft

    def _borne_out(self, expected: Expected) -> Expected | None:
        c = self._calibration
        if c is None or c.score is None or c.usd is None:
            return None
        return Expected(c.score(expected.score, scaled=False), c.usd(expected.usd, scaled=True))

    def _unknown(self) -> ConfigError:
        why = "nobody compared it with what came" if self._calibration is None else self._calibration.why
        return ConfigError(
            f"what designs score and cost is not known well enough here ({why}); train longer, or give a price of cost "
            "(--lambda) in place of a limit"
        )
