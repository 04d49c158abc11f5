"""Report: what a nested search found, as pure data."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldwise.errors import Failure
from foldwise.events import Counts
from foldwise.plan import Plan
from foldwise.reduce import FitWarning, OuterResult
from foldwise.report import text
from foldwise.report.metric import MetricReport, plain, show
from foldwise.report.training import TrainingReport, lineage_dicts, lineage_lines, training_report
from foldwise.scoring import Scoring
from foldwise.stats import nested_interval
from foldwise.trial import Lineage, Params, Trial

_MOST_WARNINGS = 5


@dataclass(frozen=True)
class Report:
    """What a nested search found.

    Parameters
    ----------
    job, key : str
        Name of the job, and the digest of all that affects its results.
    seed : int
        What every seed was derived from.
    metric : str
        The metric that chose.
    scores : mapping of str to MetricReport
        Per metric.
    outer : tuple of OuterResult
        The outer folds that are complete, in order.
    best_params : mapping or None
        The final study's choice; None where it has none.
    n_params : int
        Params that the final study tried.
    n_folds : int
        Outer folds that were planned.
    n_fits, n_fits_shared, n_fits_failed, n_fits_plain : int
        Fits run; answered by one that was run or found; failed; run by a nested search that shares nothing.
    seconds : float
        Wall time.
    partial : bool
        Whether an outer fold, the final study or its model is missing.
    ended : str or None
        Why the run ended before its end.
    n_retries : int
        How often fits were begun again, since their workers or nodes were lost.
    model_error : Failure or None
        Why the final model could not be fitted.
    warned : tuple of FitWarning
        Kinds of warnings that fits gave, the commonest first.
    mlflow_run_id, mlflow_address : str or None
        Where it is tracked.
    mlflow_missing : str or None
        What could not be tracked, and why.
    n_fits_found : int
        Fits that the ledger held.
    training : TrainingReport or None
        What a schedule did; None without one.
    best_lineage : tuple of Segment
        The epochs that the final model trained; empty without a schedule.
    weighs_inner_only : bool
        Whether the inner scores are weighted and the outer ones are not, so that optimism compares means of two kinds.
    """

    job: str
    key: str
    seed: int
    metric: str
    scores: Mapping[str, MetricReport]
    outer: tuple[OuterResult, ...]
    best_params: Params | None
    n_params: int
    n_folds: int
    n_fits: int
    n_fits_shared: int
    n_fits_failed: int
    n_fits_plain: int
    seconds: float
    partial: bool
    model_error: Failure | None = None
    warned: tuple[FitWarning, ...] = ()
    ended: str | None = None
    n_retries: int = 0
    mlflow_run_id: str | None = None
    mlflow_address: str | None = None
    mlflow_missing: str | None = None
    n_fits_found: int = 0
    training: TrainingReport | None = None
    best_lineage: Lineage = ()
    weighs_inner_only: bool = False

    @property
    def is_deterministic(self) -> bool:
        """Whether the same job gives the same report to the bit; what a schedule does depends on what finishes first."""
        return self.training is None

    def recurrence(self) -> dict[str, Counter[str]]:
        """Count how often each value of each param was chosen over the outer folds."""
        counts: dict[str, Counter[str]] = {}
        for result in self.outer:
            for name, value in result.params.items():
                counts.setdefault(name, Counter())[show(value)] += 1
        return dict(sorted(counts.items()))

    @property
    def is_quotable(self) -> bool:
        """Whether there is a score that may be quoted."""
        return not self.partial and bool(self.outer) and self.metric in self.scores and self.best_params is not None

    def summary(self) -> str:
        """Say which number to quote, or why none should be."""
        if self.is_quotable:
            score = self.scores[self.metric]
            words = text.sentence(score, self.n_params) + " " + text.optimism_words(score)
            return f"{words} {text.WEIGHTED}" if self.weighs_inner_only else words
        done = f"{len(self.outer)} of {self.n_folds} outer folds"
        why = "" if self.ended is None else f"; {self.ended}"
        return f"PARTIAL: {done} are complete, {self._missing()}{why}; do not quote these numbers."

    def to_dict(self) -> dict[str, Any]:
        """Return the report as what JSON can hold; NaN becomes null."""
        return {
            "job": self.job,
            "key": self.key,
            "seconds": round(self.seconds, 3),
            "seed": self.seed,
            "metric": self.metric,
            "deterministic": self.is_deterministic,
            "schedule": None if self.training is None else self.training.to_dict(),
            "partial": self.partial,
            "ended": self.ended,
            "n_fits": self.n_fits,
            "n_fits_found": self.n_fits_found,
            "n_fits_shared": self.n_fits_shared,
            "n_fits_failed": self.n_fits_failed,
            "n_fits_plain": self.n_fits_plain,
            "n_retries": self.n_retries,
            "best_params": plain(self.best_params),
            "best_lineage": lineage_dicts(self.best_lineage),
            "model_error": None if self.model_error is None else str(self.model_error),
            "mlflow_run_id": self.mlflow_run_id,
            "scores": {
                name: {
                    "mean": plain(metric.mean),
                    "std": plain(metric.std),
                    "interval": plain(metric.interval.ends),
                    "interval_how": metric.interval.how,
                    "outer": plain(metric.outer),
                    "flat_best": plain(metric.flat_best),
                    "optimism": plain(metric.optimism),
                }
                for name, metric in self.scores.items()
            },
            "outer": [
                {
                    "fold": one.fold,
                    "params": plain(one.params),
                    "lineage": lineage_dicts(one.lineage),
                    "scores": plain(one.scores),
                    "inner_best": plain(one.inner_best),
                    "n_train": one.n_train,
                    "n_test": one.n_test,
                    "seconds": round(one.seconds, 3),
                    "error": None if one.error is None else str(one.error),
                }
                for one in self.outer
            ],
            "warned": [{"category": one.category, "text": one.text, "n_fits": one.n_fits} for one in self.warned],
        }

    def to_json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        return "\n\n".join(self._paragraphs())

    def _paragraphs(self) -> list[str]:
        parts = [f"{self.job} (seed {self.seed})"]
        if self.partial:
            parts.append(self.summary())
        if self.outer:
            parts += [text.outer_table(self.outer, list(self.scores), self.metric), text.metric_lines(self.scores)]
        if self.is_quotable:
            parts += [self.summary()]
        if self.outer:
            parts.append(text.recurrence_lines(self.recurrence(), len(self.outer)))
        changes = lineage_lines(self._lineages())
        if changes:
            parts.append(changes)
        if self.model_error is not None:
            parts.append(f"The final model could not be fitted: {self.model_error}")
        elif self.best_params is not None:
            chosen = ", ".join(f"{name}={show(value)}" for name, value in sorted(self.best_params.items()))
            parts.append(f"Final model, searched and fitted on all rows: {chosen}")
        parts.append("\n".join(self._account()))
        return parts

    def _lineages(self) -> dict[str, Lineage]:
        return {f"outer fold {one.fold}": one.lineage for one in self.outer} | {"final model": self.best_lineage}

    def _missing(self) -> str:
        n_missing = sum(math.isnan(one.scores.get(self.metric, math.nan)) for one in self.outer)
        if n_missing:
            return f"{n_missing} of them without a score"
        if self.best_params is None:
            return "the final study is not"
        return "the final model is missing" if len(self.outer) == self.n_folds else "the others are not"

    def _account(self) -> list[str]:
        run = f"{self.n_fits} fits run in {text.duration(self.seconds)}"
        plainly = f"; a nested search that shares nothing would have run {self.n_fits_plain}"
        lines = [f"{run}." if self.training is not None else f"{run}{plainly}."]
        if self.training is not None:
            lines.append(str(self.training))
        if self.n_fits_found:
            lines.append(f"{text.found_words(self.n_fits_found, self.n_fits_found + self.n_fits)}.")
        if self.n_fits_failed:
            lines.append(f"{self.n_fits_failed} fits failed; their causes stand with their trials.")
        if self.n_retries:
            lines.append(f"Fits were begun again {self.n_retries} times, since their workers or nodes were lost.")
        lines += [f"{one.n_fits} fits warned: {one}" for one in self.warned[:_MOST_WARNINGS]]
        if self.mlflow_address:
            lines.append(f"Tracked in MLflow: {self.mlflow_address}")
        if self.mlflow_missing:
            lines.append(f"Not tracked: {self.mlflow_missing}")
        return lines


def make_report(
    plan: Plan,
    *,
    scoring: Scoring,
    outer: Sequence[OuterResult],
    final: Trial | None,
    n_asked: Mapping[str, int],
    trials: Mapping[str, Sequence[Trial]],
    counts: Counts,
    seconds: float,
    partial: bool,
    model_error: Failure | None,
    warned: tuple[FitWarning, ...],
    ended: str | None = None,
) -> Report:
    """Reduce the outer results and the final study's choice to a report."""
    problem = plan.problem
    objective, metrics = scoring.objective, scoring.metrics
    n_folds = len(plan.studies) - 1
    return Report(
        job=problem.name,
        key=problem.key,
        seed=problem.seed,
        metric=objective,
        scores={metric: _metric_report(plan, metric, outer, final) for metric in metrics},
        outer=tuple(outer),
        best_params=None if final is None else dict(final.params),
        n_params=n_asked.get(plan.studies[-1].name, 0),
        n_folds=n_folds,
        n_fits=counts.run,
        n_fits_found=counts.found,
        n_fits_shared=counts.shared,
        n_fits_failed=counts.failed,
        n_fits_plain=plan.plain_fits(n_asked),
        seconds=seconds,
        partial=partial or model_error is not None or any(math.isnan(one.scores.get(objective, math.nan)) for one in outer),
        model_error=model_error,
        warned=warned,
        ended=ended,
        n_retries=counts.retries,
        training=training_report(plan, trials),
        best_lineage=() if final is None else final.lineage,
        weighs_inner_only=bool(problem.handed.inner) and not problem.handed.outer,
    )


def _metric_report(plan: Plan, metric: str, outer: Sequence[OuterResult], final: Trial | None) -> MetricReport:
    problem = plan.problem
    scores = tuple(result.scores.get(metric, math.nan) for result in outer)
    mean = float(np.mean(scores)) if scores else math.nan
    zero_one = metric in problem.scoring.zero_one and problem.dataset.groups is None
    judged = [study.judged.held_out for study in plan.studies if study.judged is not None]
    n_rows = (
        len(np.unique(np.concatenate([plan.rows[judged[result.fold]] for result in outer]))) if zero_one and outer else None
    )
    interval = nested_interval(
        scores,
        [result.n_train for result in outer],
        [result.n_test for result in outer],
        limits=problem.scoring.ranges.get(metric, (-math.inf, math.inf)),
        n_rows=n_rows,
        time_ordered=problem.folds.are_time_ordered,
    )
    flat = final.scores[metric].mean if final is not None and metric in final.scores else math.nan
    return MetricReport(scores, mean, float(np.std(scores)) if scores else math.nan, interval, flat, flat - mean)
