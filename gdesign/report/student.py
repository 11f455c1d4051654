"""What a few seeds say about all others: Student's t."""

from collections.abc import Sequence
from math import sqrt
from statistics import mean, stdev

from scipy import stats

Interval = tuple[float, float]


def interval(values: Sequence[float]) -> Interval:
    """Return the 95 % interval of the mean of two or more values."""
    half = float(stats.t.ppf(0.975, len(values) - 1)) * stdev(values) / sqrt(len(values))  # 0 where all are equal
    return mean(values) - half, mean(values) + half


def p_value(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of the t-test that the mean of two or more differences, not all equal, is 0."""
    return float(stats.ttest_1samp(differences, 0.0).pvalue)
