"""Step 8, show: what a report says of one metric."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foldwise.reduce.archive import Archive
from foldwise.report.digits import Digits
from foldwise.stats.intervals import Interval, nested_interval


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


def metric_reports(archive: Archive) -> dict[str, MetricReport]:
    """Reduce the outer results and the final study's choice to a report of each metric."""
    return {name: _metric_report(archive, name) for name in archive.plan.scoring.metrics}


def _metric_report(archive: Archive, metric: str) -> MetricReport:
    plan, outer, scoring = archive.plan, archive.outer, archive.plan.scoring
    final = None if archive.choice is None else archive.choice.trial
    scores = tuple(result.scores.get(metric, math.nan) for result in outer)
    mean = float(np.mean(scores)) if scores else math.nan
    n_test = [result.n_test for result in outer]
    interval = nested_interval(
        scores,
        [result.n_train for result in outer],
        n_test,
        limits=scoring.ranges.get(metric, (-math.inf, math.inf)),
        n_rows=archive.n_rows_judged if metric in scoring.zero_one else None,
        time_ordered=plan.time_ordered,
    )
    flat = final.scores[metric].mean if final is not None and metric in final.scores else math.nan
    by_rows = float(np.average(scores, weights=n_test)) if scores else math.nan
    std = float(np.std(scores)) if scores else math.nan
    return MetricReport(
        scores, mean, std, interval, flat, flat - mean, title=scoring.titles.get(metric, metric), by_rows=by_rows
    )
