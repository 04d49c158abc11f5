"""Step 7, the loop's state: what a run has heard of fits so far, whoever ran them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from foldwise.errors import NON_FINITE, Failure, FitFailedError, failed
from foldwise.events import Counts
from foldwise.plan.plan import Plan
from foldwise.reduce.reduce import WarningCounts
from foldwise.trial import Fit, FitResult

_GAP = "builtins:UserWarning"


class Account:
    """Counts, failures, warnings and the names of the metrics.

    Parameters
    ----------
    plan : Plan
        What is run.

    Attributes
    ----------
    counts : Counts
        Fits so far. A fit has failed if it raised, or if the metric that chooses could not be computed on held-out rows.
    scoring : Scoring
        The problem's; a callable names its metrics with its first scores.
    causes : Counter of str
        Why fits failed, with how many did.
    warned : WarningCounts
        By kind; that another metric, or a train score, could not be computed counts as a warning.
    """

    def __init__(self, plan: Plan) -> None:
        self.counts, self.scoring = Counts(at_most=plan.n_fits_at_most), plan.problem.scoring
        self.causes: Counter[str] = Counter()
        self.warned = WarningCounts()
        self._raises = plan.problem.settings.error_score == "raise"
        self._judged = frozenset(fold.held_out for fold in plan.all_folds())

    def count(self, **more: int) -> None:
        """Add to the counts."""
        self.counts = replace(self.counts, **{name: getattr(self.counts, name) + n for name, n in more.items()})

    def hear(self, fit: Fit, result: FitResult) -> None:
        """Take in what is new to the run, whether it ran the fit or found it.

        Raises
        ------
        FitFailedError
            If it failed and the problem's ``error_score`` is "raise".
        """
        if self._raises:
            _raise_failure(result)
        scores = next((one for one in result.scores.values() if one), None)
        if not self.scoring.metrics and scores is not None:
            self.scoring = self.scoring.named(tuple(scores))
        failure = self.failure_of(fit, result)
        if failure is not None:
            self.causes[str(failure)] += 1
            self.count(failed=1)
        self.warned.add([*result.warned, *(() if result.error is not None else self._gaps(result))])

    def failure_of(self, fit: Fit, result: FitResult) -> Failure | None:
        """Return why a fit's params cannot be judged by it; None if they can."""
        judged = (key for key in fit.held_out if key in self._judged)
        return result.failure_on(*judged, metric=self.scoring.objective)

    def may_keep(self, *results: FitResult) -> bool:
        """Tell whether results may be kept: not those that the next run is to try again.

        These are failures that end the run, and those that are no answer: of time, memory, workers or foldwise itself.
        """
        failures = [failure for result in results for failure in result.failures]
        return all(one.is_answer for one in failures) and not (self._raises and any(_was_raised(one) for one in failures))

    def _gaps(self, result: FitResult) -> list[tuple[str, str]]:
        """Word what could not be computed and judges nothing."""
        return [
            (_GAP, f"{metric or 'a score'} could not be computed: {failure}")
            for key, by_metric in result.score_errors.items()
            for metric, failure in by_metric.items()
            if key not in self._judged or metric not in (None, self.scoring.objective)
        ]


def _raise_failure(result: FitResult) -> None:
    """Raise what a fit or a scorer raised."""
    for failure in result.failures:
        if _was_raised(failure):
            raise failed(FitFailedError, f"a fit failed: {failure}\n{failure.traceback}", [failure])


def _was_raised(failure: Failure) -> bool:
    """Tell whether somebody raised it; a score that is not finite was not."""
    return failure.kind != NON_FINITE
