"""Step 8, show: what a nested search found, in numbers and words. It is made of an archive and nothing else."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from foldwise.errors import Failure
from foldwise.inputs.words import counted
from foldwise.plan.study import FINAL
from foldwise.plan.summary import PlanSummary
from foldwise.reduce.archive import Archive
from foldwise.reduce.reduce import FitWarning, OuterResult
from foldwise.reduce.values import duration, plain, plain_params, show_param, show_params
from foldwise.report import text
from foldwise.report.metric import MetricReport, metric_reports
from foldwise.report.training import TrainingReport, lineage_dicts, lineage_lines, training_report
from foldwise.safety.masking import masked, shown
from foldwise.trial import Lineage, Params, Trial

_MOST_WARNINGS = _MOST_CAUSES = 5


@dataclass(frozen=True, repr=False)
class Report:
    """What a nested search found.

    Parameters
    ----------
    archive : Archive
        What the run left.
    """

    archive: Archive

    def __repr__(self) -> str:
        return f"Report({self.archive!r})"

    # --- what was asked ---

    @property
    def job(self) -> str:
        """Name of the job."""
        return self.archive.plan.name

    @property
    def key(self) -> str:
        """Digest of all that affects the job's results."""
        return self.archive.plan.key

    @property
    def seed(self) -> int:
        """What every seed was derived from."""
        return self.archive.plan.seed

    @property
    def n_folds(self) -> int:
        """Outer folds that were planned."""
        return len(self.archive.plan.folds)

    @property
    def chooser(self) -> str | None:
        """The name of the callable that chose; None: the best mean did."""
        return self.archive.plan.scoring.chooser

    # --- what was found ---

    @cached_property
    def metric(self) -> str:
        """The metric that chose."""
        choice, scoring = self.archive.choice, self.archive.plan.scoring
        looked_at = () if choice is None or scoring.chooser is None else choice.metrics
        return looked_at[0] if len(looked_at) == 1 else scoring.objective

    @cached_property
    def scores(self) -> Mapping[str, MetricReport]:
        """Per metric."""
        return metric_reports(self.archive)

    @property
    def outer(self) -> tuple[OuterResult, ...]:
        """The outer folds that are complete, in order."""
        return self.archive.outer

    @property
    def best_params(self) -> Params | None:
        """The final study's choice; None where it has none."""
        return None if self.archive.choice is None else dict(self.archive.choice.trial.params)

    @property
    def best_lineage(self) -> Lineage:
        """The epochs that the final model trained; empty without a schedule."""
        return () if self.archive.choice is None else self.archive.choice.trial.lineage

    @cached_property
    def best_mean(self) -> float:
        """The best inner mean of the final study in `metric`, which a callable need not choose."""
        searched = self.archive.trials.get(FINAL, ())
        means = [trial.scores[self.metric].mean for trial in searched if self.metric in trial.scores]
        return max((mean for mean in means if math.isfinite(mean)), default=math.nan)

    @property
    def n_params(self) -> int:
        """Distinct params that the final study tried."""
        return self.archive.n_params

    @cached_property
    def n_train(self) -> tuple[float, float]:
        """Rows that fits behind the flat best and behind the nested score learned from, on average."""
        return _train_rows(self.archive.plan, self.outer)

    @property
    def weighs_inner_only(self) -> bool:
        """Whether inner scores are weighted and outer ones are not, so that optimism compares means of two kinds."""
        return self.archive.plan.weighs_inner and not self.archive.plan.weighs_outer

    @property
    def by_group(self) -> bool:
        """Whether each outer fold is one group."""
        held_out = {self.archive.plan.folds[one.fold].group for one in self.outer}
        return len(self.outer) > 1 and None not in held_out and len(held_out) == len(self.outer)

    @cached_property
    def training(self) -> TrainingReport | None:
        """What a schedule did; None without one."""
        return training_report(self.archive)

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What a reader should know of how it was scored."""
        return error_score_words(self.archive.plan.error_score, self.metric, self.archive.trials)

    # --- how it went ---

    @property
    def n_fits(self) -> int:
        """Fits run."""
        return self.archive.counts.run

    @property
    def n_fits_found(self) -> int:
        """Fits that the ledger held."""
        return self.archive.counts.found

    @property
    def n_fits_shared(self) -> int:
        """Fits answered by one that was run or found."""
        return self.archive.counts.shared

    @property
    def n_fits_failed(self) -> int:
        """Fits that failed."""
        return self.archive.counts.failed

    @property
    def n_fits_plain(self) -> int:
        """Fits run by a nested search that shares nothing, for the trials that were asked."""
        return self.archive.plan.plain_fits(self.archive.n_asked)

    @property
    def n_retries(self) -> int:
        """How often fits were begun again, since their workers or nodes were lost."""
        return self.archive.counts.retries

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.archive.seconds

    @cached_property
    def partial(self) -> bool:
        """Whether an outer fold, the final study or its model is missing."""
        has_gap = any(math.isnan(one.scores.get(self.metric, math.nan)) for one in self.outer)
        return not self.archive.complete or self.model_error is not None or has_gap

    @property
    def ended(self) -> str | None:
        """Why the run ended before its end."""
        return self.archive.ended

    @property
    def model_error(self) -> Failure | None:
        """Why the final model could not be fitted."""
        return self.archive.model_error

    @property
    def warned(self) -> tuple[FitWarning, ...]:
        """Kinds of warnings that fits gave, the commonest first."""
        return self.archive.warned

    @property
    def causes(self) -> tuple[tuple[str, int], ...]:
        """Why fits failed, with how many did; the commonest first."""
        return self.archive.causes

    @property
    def mlflow_run_id(self) -> str | None:
        """The job's MLflow run."""
        return self.archive.tracked.run_id

    @property
    def mlflow_address(self) -> str | None:
        """Where that can be seen."""
        return self.archive.tracked.address

    @property
    def mlflow_missing(self) -> str | None:
        """What could not be tracked, and why."""
        return self.archive.tracked.missing

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
        return f"{counted(self.n_fits_failed, 'fit')} failed: {listed}{f'; and {more} causes more' if more > 0 else ''}"

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
        run = f"{counted(self.n_fits, 'fit')} run in {duration(self.seconds)}"
        plainly = f"; a nested search that shares nothing would have run {self.n_fits_plain}"
        lines = [f"{run}." if self.training is not None else f"{run}{plainly}."]
        if self.training is not None:
            lines.append(str(self.training))
        if self.n_fits_found:
            lines.append(f"{text.found_words(self.n_fits_found, self.n_fits_found + self.n_fits)}.")
        if self.n_fits_failed:
            lines.append(self.failures())
        if self.n_retries:
            lines.append(f"Fits were begun again {counted(self.n_retries, 'time')}, since their workers or nodes were lost.")
        lines += [f"{counted(one.n_fits, 'fit')} warned: {one}" for one in self.warned[:_MOST_WARNINGS]]
        if self.mlflow_address:
            lines.append(f"Tracked in MLflow: {self.mlflow_address}")
        if self.mlflow_missing:
            lines.append(f"Not tracked: {self.mlflow_missing}")
        return lines


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


def _train_rows(plan: PlanSummary, outer: Sequence[OuterResult]) -> tuple[float, float]:
    """Average the rows behind the flat best and behind the nested score; the first is NaN where they cannot differ."""
    if plan.shared or not outer:
        return math.nan, math.nan
    return float(np.mean(plan.studies[-1].n_train)), float(np.mean([one.n_train for one in outer]))


def _differ(one: float, other: float) -> bool:
    return math.isfinite(one) and round(one) != round(other)
