"""Statistics of agreement; scikit-learn and SciPy where they have them.

Intervals are percentile bootstraps that draw whole questions (whole answers where there are fewer than five questions),
since answers to one question are more alike than answers to two.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import cohen_kappa_score, roc_auc_score

Values = NDArray[np.float64]

RESAMPLES = 400
LEAST_CLUSTERS = 5
LEVELS = 5  # of a total, for the quadratic weighted kappa: fifths of the points
BINS = 10


class Estimate(NamedTuple):
    """A figure with its 95 % interval; `low` and `high` are None where too few resamples have a value."""

    value: float
    low: float | None = None
    high: float | None = None


def kappa(truth: Values, found: Values) -> float:
    """Return Cohen's kappa of two binary judgements; NaN where both say the same of everything."""
    if len(set(truth)) == len(set(found)) == 1:
        return float("nan")
    return float(cohen_kappa_score(truth, found))


def weighted_kappa(truth: Values, found: Values) -> float:
    """Return the quadratic weighted kappa of two totals in 0..1, cut into fifths."""
    levels = [np.minimum(values * LEVELS, LEVELS - 1).astype(int) for values in (truth, found)]
    if len({*levels[0], *levels[1]}) == 1:
        return float("nan")
    return float(cohen_kappa_score(*levels, weights="quadratic", labels=range(LEVELS)))


def spearman(truth: Values, found: Values) -> float:
    """Return the rank correlation; NaN where either doesn't vary."""
    return float(spearmanr(truth, found).statistic) if _vary(truth, found) else float("nan")


def pearson(truth: Values, found: Values) -> float:
    """Return the correlation; NaN where either doesn't vary."""
    return float(pearsonr(truth, found).statistic) if _vary(truth, found) else float("nan")


def auc(truth: Values, found: Values) -> float:
    """Return how often a true one has the higher value than a false one, ties half; NaN where all are the same."""
    return float(roc_auc_score(truth, found)) if len(set(truth)) == 2 else float("nan")


def calibration_error(truth: Values, chances: Values) -> float:
    """Return the expected calibration error over ten equal bins (Guo et al. 2017, arXiv:1706.04599, eq. 3)."""
    bins = np.minimum((chances * BINS).astype(int), BINS - 1)
    return float(
        sum(abs(truth[bins == b].mean() - chances[bins == b].mean()) * (bins == b).mean() for b in set(bins.tolist()))
    )


def estimate(
    statistic: Callable[[Values, Values], float],
    truth: Sequence[float],
    found: Sequence[float],
    questions: Sequence[str],
    answers: Sequence[Hashable],
) -> Estimate:
    """Return a statistic with its 95 % interval.

    Args:
        statistic: Of two arrays of equal length.
        truth: What is so.
        found: What the grader says.
        questions: The question that each pair belongs to.
        answers: The answer that each pair belongs to.
    """
    first, second = np.asarray(truth, float), np.asarray(found, float)
    value = statistic(first, second)
    by_question = len(set(questions)) >= LEAST_CLUSTERS
    names = np.array([str(name) for name in (questions if by_question else answers)])
    clusters = [np.flatnonzero(names == name) for name in dict.fromkeys(names)]
    chance = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([clusters[i] for i in chance.integers(len(clusters), size=len(clusters))])
        drawn.append(statistic(first[rows], second[rows]))
    known = np.array(drawn)[~np.isnan(drawn)]
    if len(known) < RESAMPLES / 2 or len(clusters) < 2:
        return Estimate(value)
    return Estimate(value, float(np.quantile(known, 0.025)), float(np.quantile(known, 0.975)))


def _vary(*arrays: Values) -> bool:
    return all(len(array) > 1 and bool(np.ptp(array) > 0) for array in arrays)
