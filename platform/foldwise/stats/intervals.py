"""Step 6, reduce: intervals. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats as scipy_stats

_ROUNDING = 1e-12
"""Share of the largest by which equal scores may differ, since a mean of equal terms in another order has other last bits."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval, or the reason why there is none.

    Parameters
    ----------
    low, high : float or None
        Its ends, both None where there is none.
    how : str
        How it was computed, or why it could not be.
    """

    low: float | None
    high: float | None
    how: str

    @property
    def ends(self) -> tuple[float, float] | None:
        """(low, high), or None."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def corrected_t_interval(
    scores: Sequence[float], n_train: Sequence[int], n_test: Sequence[int], confidence: float = 0.95
) -> tuple[float, float]:
    """Compute the corrected resampled t interval of a mean over folds.

    The folds share train rows, so the variance of their mean is larger than s^2 / J:
    ``SE^2 = (1 / J + n_test / n_train) s^2``, with J - 1 degrees of freedom.

    Parameters
    ----------
    scores : sequence of float, length J >= 2
        One per fold.
    n_train, n_test : sequence of int, length J
        Rows learned from and judged on.
    confidence : float, default=0.95
        Nominal coverage.

    Returns
    -------
    (float, float)
        Lower and upper end, not clipped.

    References
    ----------
    C. Nadeau and Y. Bengio. Inference for the generalization error. Machine Learning 52, 2003.

    Examples
    --------
    >>> low, high = corrected_t_interval([0.1, 0.2, 0.3, 0.4, 0.5], [80] * 5, [20] * 5)
    >>> round(low, 4), round(high, 4)
    (0.0055, 0.5945)
    """
    values = np.asarray(scores, dtype=np.float64)
    n_scores = len(values)
    error = math.sqrt((1 / n_scores + sum(n_test) / sum(n_train)) * values.var(ddof=1))
    reach = float(scipy_stats.t.ppf((1 + confidence) / 2, n_scores - 1)) * error
    return float(values.mean()) - reach, float(values.mean()) + reach


def wilson_interval(share: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Compute Wilson's score interval of a share of n independent rows.

    References
    ----------
    E. B. Wilson. Probable inference, the law of succession, and statistical inference. JASA 22, 1927.

    Examples
    --------
    >>> low, high = wilson_interval(1.0, 100)
    >>> round(low, 4), round(high, 4)
    (0.963, 1.0)
    """
    z = float(scipy_stats.norm.ppf((1 + confidence) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def nested_interval(
    scores: Sequence[float],
    n_train: Sequence[int],
    n_test: Sequence[int],
    *,
    limits: tuple[float, float] = (-math.inf, math.inf),
    n_rows: int | None = None,
    time_ordered: bool = False,
) -> Interval:
    """Compute the 95 % interval of a nested mean.

    Parameters
    ----------
    scores : sequence of float
        Outer scores.
    n_train, n_test : sequence of int
        Rows that each was learned from and judged on.
    limits : (float, float)
        Lowest and highest possible score.
    n_rows : int, optional
        Distinct rows judged on, for scores that are shares of right rows, or minus the shares of wrong ones, on folds
        without groups: the interval is then never narrower than Wilson's on the pooled rows, since the t interval collapses
        near the ceiling.
    time_ordered : bool, default=False
        Whether folds are ordered in time, where no interval is known to hold.

    Returns
    -------
    Interval
        Its ends, or the reason why there are none.
    """
    values = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(values).all():
        return Interval(None, None, "an outer fold has no score")
    if len(values) < 2:
        return Interval(None, None, "one outer fold has no spread")
    if time_ordered:
        return Interval(None, None, "the folds are ordered in time, and no interval is known to hold for them")
    spread = bool(np.ptp(values) > _ROUNDING * np.abs(values).max())
    if not spread and n_rows is None:
        return Interval(None, None, "all outer scores are equal, which says nothing of their spread")
    low, high = corrected_t_interval(scores, n_train, n_test)
    how = "corrected resampled t (Nadeau and Bengio)"
    if n_rows is not None:
        pooled = float(np.average(values, weights=np.asarray(n_test)))
        lowest = limits[0] if math.isfinite(limits[0]) else 0.0  # minus the share of wrong rows is at least -1
        floor_low, floor_high = (end + lowest for end in wilson_interval(min(max(pooled - lowest, 0.0), 1.0), n_rows))
        if floor_low < low or floor_high > high:
            how += ", widened to Wilson's interval" if spread else ""
            how = how if spread else "Wilson's interval on the pooled outer rows"
        low, high = min(low, floor_low), max(high, floor_high)
    return Interval(max(low, limits[0]), min(high, limits[1]), how)
