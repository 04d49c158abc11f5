"""What a report says of one metric, and how values are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldwise.report.digits import Digits
from foldwise.stats import Interval


@dataclass(frozen=True)
class MetricReport:
    """One metric's scores.

    Parameters
    ----------
    outer : tuple of float
        Outer scores, in fold order.
    mean, std : float
        Of the outer scores (ddof=0); the mean is the nested score.
    interval : Interval
        95 % interval of the mean.
    flat_best : float
        Mean inner score of the final study's choice: what a search that is not nested would report. By the metric that
        chooses it is the best mean, unless a callable chose otherwise.
    optimism : float
        ``flat_best`` minus ``mean``.
    title : str
        How sentences call the metric; of an estimator's own score, what that is.
    by_rows : float
        Mean of the outer scores, weighted by the rows judged on.
    """

    outer: tuple[float, ...]
    mean: float
    std: float
    interval: Interval
    flat_best: float
    optimism: float
    title: str = "score"
    by_rows: float = math.nan

    @property
    def spread(self) -> float:
        """Half of the interval's width or, where there is none, the deviation over the folds."""
        ends = self.interval.ends
        return self.std if ends is None else (ends[1] - ends[0]) / 2

    @property
    def digits(self) -> Digits:
        """How its scores are shown."""
        return Digits.of(self.mean, self.spread)


def plain(value: Any) -> Any:
    """Return what JSON can hold: numbers, text, lists, dicts; NaN and infinities become None, objects their text."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    return show(value)


def show(value: Any) -> str:
    """Show a param's value on one line: floats with four digits, objects without line breaks."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join((value if isinstance(value, str) else repr(value)).split())
