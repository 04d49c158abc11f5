"""Step 8, the loop's state: what a run has heard of fits so far, whoever ran them."""

from __future__ import annotations

from dataclasses import replace

from foldwise.errors import NON_FINITE, Failure, FitFailedError, failed
from foldwise.events import Counts
from foldwise.problem import Problem
from foldwise.reduce import WarningCounts
from foldwise.trial import Fit, FitResult


class Account:
    """Counts, warnings and the names of the metrics.

    Parameters
    ----------
    problem : Problem
        What is being solved.
    at_most : int
        The most fits that may be asked for.

    Attributes
    ----------
    counts : Counts
        Fits so far.
    scoring : Scoring
        The problem's; a callable names its metrics with its first scores.
    warned : WarningCounts
        By kind.
    """

    def __init__(self, problem: Problem, at_most: int) -> None:
        self.counts, self.scoring, self.warned = Counts(at_most=at_most), problem.scoring, WarningCounts()
        self._raises = problem.error_score == "raise"

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
        self.warned.add(result)
        self.count(failed=int(result.failure_on(*fit.held_out) is not None))

    def may_keep(self, *results: FitResult) -> bool:
        """Tell whether results may be kept: not those whose failure ends the run, which the next one tries again."""
        return not (self._raises and any(_failures(result) for result in results))


def _raise_failure(result: FitResult) -> None:
    """Raise what a fit or a scorer raised."""
    for failure in _failures(result):
        raise failed(FitFailedError, f"a fit failed: {failure}\n{failure.traceback}", [failure])


def _failures(result: FitResult) -> list[Failure]:
    """Return what was raised; a score that is not finite was not."""
    causes = (result.error, *result.score_errors.values())
    return [cause for cause in causes if cause is not None and cause.kind != NON_FINITE]
