"""What a report says of one metric, and how values are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldwise.report.digits import Digits
from foldwise.safety.masking import masked_tree, masked_value, printable, shown
from foldwise.stats.intervals import Interval
from foldwise.trial import Params


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


def plain_params(params: Params | None) -> Any:
    """Return params as what JSON can hold, without secrets."""
    return masked_tree(plain(params))


def show_params(params: Params) -> str:
    """Show params on one line, by name, without secrets.

    Examples
    --------
    >>> show_params({"svc__C": 0.125, "kernel": "rbf", "token": "abc"})
    'kernel=rbf, svc__C=0.125, token=***'
    """
    return ", ".join(f"{printable(name)}={show_param(name, value)}" for name, value in sorted(params.items()))


def show_param(name: str, value: Any) -> str:
    """Show the value of a param of a name."""
    return shown(show(masked_value(name, value)))


def show(value: Any) -> str:
    """Show a value on one line: floats with four digits, objects without line breaks."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join((value if isinstance(value, str) else repr(value)).split())
