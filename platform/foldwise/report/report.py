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
from foldwise.keys import label
from foldwise.plan.plan import Plan
from foldwise.plan.scoring import Scoring
from foldwise.plan.study import FINAL
from foldwise.reduce.reduce import Choice, FitWarning, OuterResult
from foldwise.report import text
from foldwise.report.metric import MetricReport, plain, plain_params, show_param, show_params
from foldwise.report.training import TrainingReport, lineage_dicts, lineage_lines, training_report
from foldwise.safety.masking import masked, shown
from foldwise.stats.intervals import nested_interval
from foldwise.trial import Lineage, Params, Trial

_MOST_WARNINGS = _MOST_CAUSES = 5


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
        Distinct params that the final study tried.
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
    causes : tuple of (str, int)
        Why fits failed, with how many did; the commonest first.
    chooser : str or None
        The name of the callable that chose; None: the best mean did.
    best_mean : float
        The best inner mean of the final study in ``metric``, which a callable need not choose.
    n_train : (float, float)
        Rows that fits behind the flat best and behind the nested score learned from, on average.
    by_group : bool
        Whether each outer fold is one group.
    remarks : tuple of str
        What a reader should know of how it was scored.
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
    causes: tuple[tuple[str, int], ...] = ()
    chooser: str | None = None
    best_mean: float = math.nan
    n_train: tuple[float, float] = (math.nan, math.nan)
    by_group: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def is_deterministic(self) -> bool:
        """Whether the same job gives the same report to the bit; what a schedule does depends on what finishes first."""
        return self.training is None

    def recurrence(self) -> dict[str, Counter[str]]:
        """Count how often each value of each param was chosen over the outer folds."""
        counts: dict[str, Counter[str]] = {}
        for result in self.outer:
            for name, value in result.params.items():
                counts.setdefault(name, Counter())[show_param(name, value)] += 1
        return dict(sorted(counts.items()))

    @property
    def is_quotable(self) -> bool:
        """Whether there is a score that may be quoted."""
        return not self.partial and bool(self.outer) and self.metric in self.scores and self.best_params is not None

    def summary(self) -> str:
        """Say which number to quote, or why none should be."""
        if self.is_quotable:
            score, n_test = self.scores[self.metric], [one.n_test for one in self.outer]
            return " ".join(
                words
                for words in (
                    text.sentence(score, self.n_params, self.chooser, self.best_mean),
                    text.optimism_words(score),
                    text.train_words(*self.n_train) if _differ(*self.n_train) else "",
                    text.weighing_words(score, n_test, by_group=self.by_group),
                    text.WEIGHTED if self.weighs_inner_only else "",
                    *self.remarks,
                )
                if words
            )
        done = f"{len(self.outer)} of {self.n_folds} outer folds"
        why = "" if self.ended is None else f"; {self.ended}"
        return f"PARTIAL: {done} are complete, {self._missing()}{why}; do not quote these numbers."

    def to_dict(self) -> dict[str, Any]:
        """Return the report as what JSON can hold; NaN becomes null."""
        return {
            "job": masked(self.job),
            "key": self.key,
            "seconds": round(self.seconds, 3),
            "seed": self.seed,
            "metric": self.metric,
            "deterministic": self.is_deterministic,
            "schedule": None if self.training is None else self.training.to_dict(),
            "partial": self.partial,
            "ended": None if self.ended is None else masked(self.ended),
            "n_fits": self.n_fits,
            "n_fits_found": self.n_fits_found,
            "n_fits_shared": self.n_fits_shared,
            "n_fits_failed": self.n_fits_failed,
            "n_fits_plain": self.n_fits_plain,
            "n_retries": self.n_retries,
            "n_params": self.n_params,
            "causes": [{"cause": cause, "n_fits": n_fits} for cause, n_fits in self.causes],
            "chooser": self.chooser,
            "best_params": plain_params(self.best_params),
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
                    "by_rows": plain(metric.by_rows),
                    "flat_best": plain(metric.flat_best),
                    "optimism": plain(metric.optimism),
                }
                for name, metric in self.scores.items()
            },
            "outer": [
                {
                    "fold": one.fold,
                    "params": plain_params(one.params),
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
            "warned": [{"category": one.category, "text": masked(one.text), "n_fits": one.n_fits} for one in self.warned],
        }

    def to_json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        return shown("\n\n".join(self._paragraphs()))

    def _paragraphs(self) -> list[str]:
        parts = [f"{self.job} (seed {self.seed})"]
        if self.partial:
            parts.append(self.summary())
        if self.outer:
            parts += [
                text.outer_table(self.outer, self.scores, self.metric), text.metric_lines(self.scores, self.metric)
            ]  # fmt: skip
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
            chosen = show_params(self.best_params)
            parts.append(f"Final model, searched and fitted on all rows: {chosen}")
        parts.append("\n".join(self._account()))
        return parts

    def failures(self) -> str:
        """Say how many fits failed, and why; empty if none did."""
        if not self.n_fits_failed:
            return ""
        listed = "; ".join(f"{n_fits} x {cause}" for cause, n_fits in self.causes[:_MOST_CAUSES])
        more = len(self.causes) - _MOST_CAUSES
        return f"{self.n_fits_failed} fits failed: {listed}{f'; and {more} causes more' if more > 0 else ''}"

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
            lines.append(self.failures())
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
    choice: Choice | None,
    n_asked: Mapping[str, int],
    trials: Mapping[str, Sequence[Trial]],
    counts: Counts,
    seconds: float,
    partial: bool,
    model_error: Failure | None,
    warned: tuple[FitWarning, ...],
    causes: Mapping[str, int] | None = None,
    ended: str | None = None,
) -> Report:
    """Reduce the outer results and the final study's choice to a report."""
    problem, final = plan.problem, None if choice is None else choice.trial
    by_callable = callable(scoring.refit)
    metric = choice.metrics[0] if choice is not None and by_callable and len(choice.metrics) == 1 else scoring.objective
    searched = trials.get(FINAL, ())
    means = [trial.scores[metric].mean for trial in searched if metric in trial.scores]
    return Report(
        job=problem.settings.name,
        key=problem.key,
        seed=problem.settings.seed,
        metric=metric,
        scores={name: _metric_report(plan, scoring, name, outer, final) for name in scoring.metrics},
        outer=tuple(outer),
        best_params=None if final is None else dict(final.params),
        n_params=_n_distinct(searched),
        n_folds=len(plan.studies) - 1,
        n_fits=counts.run,
        n_fits_found=counts.found,
        n_fits_shared=counts.shared,
        n_fits_failed=counts.failed,
        n_fits_plain=plan.plain_fits(n_asked),
        seconds=seconds,
        partial=partial or model_error is not None or any(math.isnan(one.scores.get(metric, math.nan)) for one in outer),
        model_error=model_error,
        warned=warned,
        ended=ended,
        n_retries=counts.retries,
        training=training_report(plan, trials),
        best_lineage=() if final is None else final.lineage,
        weighs_inner_only=bool(problem.handed.inner) and not problem.handed.outer,
        causes=tuple(sorted((causes or {}).items(), key=lambda pair: (-pair[1], pair[0]))),
        chooser=_name_of(scoring.refit) if by_callable else None,
        best_mean=max((mean for mean in means if math.isfinite(mean)), default=math.nan),
        n_train=_train_rows(plan, outer),
        by_group=_are_groups(plan, outer),
        remarks=error_score_words(problem.settings.error_score, metric, trials),
    )


def error_score_words(error_score: float | str, metric: str, trials: Mapping[str, Sequence[Trial]]) -> tuple[str, ...]:
    """Warn of a number for failed fits that is better than what fits really scored."""
    if isinstance(error_score, str) or math.isnan(error_score):
        return ()
    of_all = [trial for of_study in trials.values() for trial in of_study if metric in trial.scores]
    if all(trial.error is None for trial in of_all):
        return ()
    worse = [score for trial in of_all for score in trial.scores[metric].held_out if score < error_score]
    if not worse:
        return ()
    return (
        f"error_score={error_score:g}, the score of failed fits, is better than scores of fits that did not fail "
        f"({metric} down to {min(worse):.4g}), so that params whose fits fail may win: use error_score=nan.",
    )


def _n_distinct(trials: Sequence[Trial]) -> int:
    return len({label(dict(trial.params)) for trial in trials})


def _name_of(refit: Any) -> str:
    name = getattr(refit, "__name__", type(refit).__name__)
    return "a function" if name == "<lambda>" else f"{name}()"


def _train_rows(plan: Plan, outer: Sequence[OuterResult]) -> tuple[float, float]:
    """Average the rows behind the flat best and behind the nested score; the first is NaN where they cannot differ."""
    if plan.problem.folds.shared or not outer:
        return math.nan, math.nan
    choosing = [len(plan.rows[fold.train]) for fold in plan.studies[-1].folds]
    return float(np.mean(choosing)), float(np.mean([one.n_train for one in outer]))


def _differ(one: float, other: float) -> bool:
    return math.isfinite(one) and round(one) != round(other)


def _are_groups(plan: Plan, outer: Sequence[OuterResult]) -> bool:
    """Tell whether each outer fold is held out for one group of its own."""
    groups = plan.problem.dataset.groups
    if groups is None or len(outer) < 2:
        return False
    judged = [study.judged.held_out for study in plan.studies if study.judged is not None]
    held_out = [np.unique(groups[plan.rows[judged[one.fold]]]) for one in outer]
    return all(len(one) == 1 for one in held_out) and len({one[0] for one in held_out}) == len(held_out)


def _metric_report(
    plan: Plan, scoring: Scoring, metric: str, outer: Sequence[OuterResult], final: Trial | None
) -> MetricReport:
    problem = plan.problem
    scores = tuple(result.scores.get(metric, math.nan) for result in outer)
    mean = float(np.mean(scores)) if scores else math.nan
    zero_one = metric in scoring.zero_one and problem.dataset.groups is None
    judged = [study.judged.held_out for study in plan.studies if study.judged is not None]
    n_rows = (
        len(np.unique(np.concatenate([plan.rows[judged[result.fold]] for result in outer]))) if zero_one and outer else None
    )
    n_test = [result.n_test for result in outer]
    interval = nested_interval(
        scores,
        [result.n_train for result in outer],
        n_test,
        limits=scoring.ranges.get(metric, (-math.inf, math.inf)),
        n_rows=n_rows,
        time_ordered=problem.folds.are_time_ordered,
    )
    flat = final.scores[metric].mean if final is not None and metric in final.scores else math.nan
    by_rows = float(np.average(scores, weights=n_test)) if scores else math.nan
    std = float(np.std(scores)) if scores else math.nan
    return MetricReport(
        scores, mean, std, interval, flat, flat - mean, title=scoring.titles.get(metric, metric), by_rows=by_rows
    )
