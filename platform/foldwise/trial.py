"""Trial, Fit and FitResult: the plain frozen data that flows from ask to tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from foldwise.errors import Failure

Params = Mapping[str, Any]


class TrialState(StrEnum):
    """How a trial ended."""

    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAILED = "FAILED"

    def is_usable(self) -> bool:
        """Tell whether the trial's score may be compared with others'."""
        return self is TrialState.COMPLETE


@dataclass(frozen=True, slots=True)
class Segment:
    """Epochs trained one after the other with the same params.

    Parameters
    ----------
    params : mapping
        What they were trained with.
    epochs : int
        How many.
    """

    params: Params
    epochs: int


Lineage = tuple[Segment, ...]
"""How a scheduled trial came about, from its first epoch to its last; population based training changes params on the way."""


def count_epochs(lineage: Lineage) -> int:
    """Count the epochs of a lineage."""
    return sum(segment.epochs for segment in lineage)


@dataclass(frozen=True, slots=True)
class Fit:
    """The unit of work: learn from some rows, then be scored on others.

    Parameters
    ----------
    key : str
        What it learns from: data, train rows, estimator, params, seed and code. Equal keys are one fit.
    train : str
        Key of the train rows in the plan's row sets.
    held_out : tuple of str
        Keys of the row sets to score on.
    params : mapping
        Set on the estimator before it is fitted.
    seed : int
        What each ``random_state`` that is None derives from.
    keep_model : bool
        Whether the fitted estimator is wanted back (the final model's fit).
    lineage : tuple of Segment
        The epochs to train, with which params, one after the other; empty: the estimator's own ``fit`` decides.
    """

    key: str
    train: str
    held_out: tuple[str, ...]
    params: Params
    seed: int
    keep_model: bool = False
    lineage: Lineage = ()


@dataclass(frozen=True, slots=True)
class FitResult:
    """What came of a fit.

    Parameters
    ----------
    key : str
        The fit's key.
    scores : mapping of str to mapping of str to float
        Held-out rows' key -> metric -> score. A metric that could not be computed is missing.
    started : float
        When the fit began, in seconds since the epoch.
    fit_seconds : float
        How long the fit took.
    score_seconds : mapping of str to float
        How long the scoring took, per held-out rows.
    error : Failure or None
        Why it failed; None if it did not.
    score_errors : mapping of str to mapping of str to Failure
        Held-out rows' key -> metric -> why it could not be computed, or is not finite; under None why there is no score at
        all. Apart from ``error``, since a study must not hear of a failure on rows, or of a metric, that it does not ask for.
    warned : tuple of (str, str)
        Category (``module:Class``) and text of the warnings that it gave.
    model : object or None
        The fitted estimator, where it was asked for.
    shared_seconds : float
        How much of its time went into what later fits on the same train rows find made: sliced rows, fitted prefixes.
    peak_bytes : int
        Most memory that its process has held so far; 0 where the system does not say.
    retries : int
        How often it was begun again, since its worker or node was lost.
    """

    key: str
    scores: Mapping[str, Mapping[str, float]]
    started: float
    fit_seconds: float = 0.0
    score_seconds: Mapping[str, float] = field(default_factory=dict)
    error: Failure | None = None
    score_errors: Mapping[str, Mapping[str | None, Failure]] = field(default_factory=dict)
    warned: tuple[tuple[str, str], ...] = ()
    model: Any = None
    shared_seconds: float = 0.0
    peak_bytes: int = 0
    retries: int = 0

    def failure_on(self, *held_out: str, metric: str | None = None) -> Failure | None:
        """Return why a metric (None: any) has no score on some of these rows; None if it has one on all."""
        if self.error is not None:
            return self.error
        for key in held_out:
            for name, failure in self.score_errors.get(key, {}).items():
                if metric is None or name in (None, metric):
                    return failure
        return None

    @property
    def failures(self) -> tuple[Failure, ...]:
        """All that went wrong."""
        of_scores = (failure for by_metric in self.score_errors.values() for failure in by_metric.values())
        return (*(() if self.error is None else (self.error,)), *of_scores)


@dataclass(frozen=True, slots=True)
class FoldScores:
    """A trial's scores of one metric, one per inner fold, in fold order."""

    held_out: tuple[float, ...]
    train: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """Mean over the inner folds, computed as scikit-learn computes it."""
        return float(np.average(np.asarray(self.held_out, dtype=np.float64)))

    @property
    def std(self) -> float:
        """Standard deviation over the inner folds (ddof=0), computed as scikit-learn computes it."""
        scores = np.asarray(self.held_out, dtype=np.float64)
        with np.errstate(invalid="ignore"):  # a score may be infinite
            return float(np.sqrt(np.average((scores - np.average(scores)) ** 2)))


@dataclass(frozen=True, slots=True)
class Trial:
    """Params that a search asks about and, once reduced, what is known of them.

    Parameters
    ----------
    number : int
        Position in the order in which its study asked, from 0.
    params : mapping
        Name -> value, as ``set_params`` takes them. Once reduced, those that it trained with in the end: population based
        training may have changed them.
    state : TrialState or None
        None until it is reduced.
    scores : mapping of str to FoldScores
        Per metric.
    value : float
        Mean score of the metric that chooses: what the search maximises. NaN until reduced, or where nothing was scored.
    started, seconds : float
        When its first fit began (seconds since the epoch), and how long its fits took in all, shared ones included.
    fit_seconds, score_seconds : tuple of float
        Per inner fold.
    error : Failure or None
        Why folds have no score of the metric that chooses: the first cause, in fold order. A trial is COMPLETE all the same
        where a numeric ``error_score`` stands for them.
    n_scored : int
        Folds that have one; where a callable chooses, that have any score.
    lineage : tuple of Segment
        The epochs that a scheduled trial trained; empty for a plain one.
    curve : tuple of (int, float)
        Epoch and mean inner score of the metric that chooses, of a scheduled trial; bounded in length.
    """

    number: int
    params: Params
    state: TrialState | None = None
    scores: Mapping[str, FoldScores] = field(default_factory=dict)
    value: float = math.nan
    started: float = math.nan
    seconds: float = 0.0
    fit_seconds: tuple[float, ...] = ()
    score_seconds: tuple[float, ...] = ()
    error: Failure | None = None
    n_scored: int = 0
    lineage: Lineage = ()
    curve: tuple[tuple[int, float], ...] = ()

    @property
    def epochs(self) -> int | None:
        """Epochs that it trained; None for a plain trial, whose estimator decides."""
        return count_epochs(self.lineage) if self.lineage else None

    @property
    def has_scores(self) -> bool:
        """Whether some fold was scored by what chooses, rather than given ``error_score``."""
        return self.n_scored > 0

    @property
    def can_win(self) -> bool:
        """Whether it may be chosen: a scheduled trial only if it trained to its end."""
        return self.state is TrialState.COMPLETE or (self.state is not TrialState.PRUNED and not self.lineage)


@dataclass(frozen=True, slots=True)
class TrialEnd:
    """What came of a scheduled trial.

    Parameters
    ----------
    study : str
        Whose trial it is.
    number : int
        Which.
    state : TrialState
        COMPLETE after ``schedule.max_epochs``, PRUNED if it was stopped before, FAILED if a fold's result has an error.
    results : tuple of FitResult
        One per inner fold, in fold order, as a plain fit would give them: scores on the rows that the study asks for, after
        the last epoch.
    lineage : tuple of Segment
        The epochs that it trained, and with which params; of no epochs where it failed in its first.
    curve : tuple of (int, float)
        Epoch and mean inner score of the metric that chooses; bounded in length.
    """

    study: str
    number: int
    state: TrialState
    results: tuple[FitResult, ...]
    lineage: Lineage
    curve: tuple[tuple[int, float], ...] = ()
