"""Step 5, map: a scheduled trial trains its inner folds in lockstep, an epoch each. Runs on workers, knows nothing of Ray.

After each epoch a schedule is told the mean over the folds, as the reduce computes it. So it judges by cross-validation, and
not by a single split. The rows of the outer fold are named nowhere here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sklearn.utils import get_tags

from foldwise.data import Slice
from foldwise.errors import Failure, InputError
from foldwise.keys.seeds import seed_generators
from foldwise.plan.epochs import changed
from foldwise.plan.plan import Plan
from foldwise.plan.scoring import Scoring
from foldwise.plan.steps import is_pipeline
from foldwise.plan.study import Study
from foldwise.process.exclusive import peak_bytes
from foldwise.trial import Fit, FitResult, FoldScores, Lineage, Params, Segment, Trial, count_epochs
from foldwise.worker.epochs import EpochTrainer
from foldwise.worker.fit import FitContext, caught_warnings, failure_of
from foldwise.worker.guard import TimeLimitExceeded

MOST_POINTS = 200
"""Points of a curve; a longer training keeps every second one, every fourth, and so on."""


def fits_of(plan: Plan, study: Study, trial: Trial) -> tuple[Fit, ...]:
    """Name what a scheduled trial trains: a fit per inner fold, scored only on the rows that its study asks for."""
    return tuple(
        replace(plan.fit(trial.params, fold.train), held_out=plan.asked_of(fold)) for fold in study.folds
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """What a trial has come to, after an epoch of all its folds.

    Parameters
    ----------
    value : float
        Mean over the folds of the metric that chooses: what a schedule judges by. NaN if it could not be computed.
    results : tuple of FitResult
        One per fold, in fold order, as a plain fit that ended here would give them.
    lineage : tuple of Segment
        The epochs that went well.
    curve : tuple of (int, float)
        Epochs and values so far; at most `MOST_POINTS` + 1.
    """

    value: float
    results: tuple[FitResult, ...]
    lineage: Lineage
    curve: tuple[tuple[int, float], ...]

    @property
    def epochs(self) -> int:
        """Epochs that went well."""
        return count_epochs(self.lineage)

    @property
    def has_failed(self) -> bool:
        """Whether a fold failed, or there is nothing to judge by."""
        return not math.isfinite(self.value)

    @property
    def error(self) -> Failure | None:
        """The first cause, in fold order."""
        return next((one for result in self.results if (one := result.failure_on(*result.scores)) is not None), None)


class Lockstep:
    """A trial in training. It can be pickled between epochs, and then goes on as if nothing had happened.

    Parameters
    ----------
    fits : sequence of Fit
        One per inner fold, with the trial's params.

    Attributes
    ----------
    progress : Progress or None
        What it came to after its last epoch.
    """

    def __init__(self, fits: Sequence[Fit]) -> None:
        self.progress: Progress | None = None
        self._folds = [_Fold(fit) for fit in fits]
        self._params = fits[0].params
        self._lineage: Lineage = (Segment(self._params, 0),)
        self._curve = _Curve()

    @property
    def params(self) -> Params:
        """What the next epoch is trained with."""
        return self._params

    @property
    def epochs(self) -> int:
        """Epochs that went well."""
        return count_epochs(self._lineage)

    def set_params(self, params: Params) -> None:
        """Train with these from the next epoch on; those that cannot change make it fail."""
        self._params = params

    def train_epoch(self, context: FitContext) -> Progress:
        """Train an epoch of each fold, and score it; whatever is raised is a failure that says so."""
        with context.surroundings():
            context.prepare(self._params)
            for fold in self._folds:
                fold.train_epoch(context, self._params)
        results = tuple(fold.result() for fold in self._folds)
        value = _mean_of(results, [fold.fit for fold in self._folds], context.scoring)
        if math.isfinite(value):
            self._lineage = _one_more(self._lineage, self._params)
            self._curve.add(self.epochs, value)
        self.progress = Progress(value, results, self._lineage, self._curve.points)
        return self.progress

    def note(self, category: str, text: str) -> None:
        """Note a warning that no fold gave."""
        self._folds[0].warned[category, text] = None


@dataclass
class _Fold:
    """An inner fold of a trial in training; its rows are the worker's, and do not travel."""

    fit: Fit
    trainer: EpochTrainer | None = None
    params: Params = field(default_factory=dict)
    started: float = 0.0
    fit_seconds: float = 0.0
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    score_seconds: dict[str, float] = field(default_factory=dict)
    score_errors: dict[str, dict[str | None, Failure]] = field(default_factory=dict)
    error: Failure | None = None
    warned: dict[tuple[str, str], None] = field(default_factory=dict)
    _rows: dict[str, Slice] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_rows": {}}

    def train_epoch(self, context: FitContext, params: Params) -> None:
        """Train and score one more epoch."""
        self.started = self.started or time.time()
        with caught_warnings() as caught:
            try:
                with context.guard:
                    self._train(context, params)
                    self._score(context)
            except (Exception, SystemExit, TimeLimitExceeded) as raised:  # whatever it raises: failure is a value
                self.error, self.scores = failure_of(raised), {}
        self.warned |= caught

    def result(self) -> FitResult:
        """Return its result so far, as a plain fit would give it."""
        return FitResult(
            self.fit.key, {key: dict(scores) for key, scores in self.scores.items()}, self.started, self.fit_seconds,
            dict(self.score_seconds), self.error, dict(self.score_errors), tuple(self.warned), peak_bytes=peak_bytes(),
        )  # fmt: skip

    def _train(self, context: FitContext, params: Params) -> None:
        clock = time.perf_counter()
        if self.trainer is None:
            model = context.model_for(params, self.fit.seed)
            self.trainer = EpochTrainer(model, self.fit.seed, context.horizon)
        else:
            self.trainer.set_params(changed(self.params, params))
        self.params = params
        if self.fit.train not in self._rows:
            self._rows[self.fit.train] = self._take(context, self.fit.train)
        X, y, fit_params = self._rows[self.fit.train]
        self.trainer.train(X, y, fit_params)
        self.fit_seconds += time.perf_counter() - clock

    def _score(self, context: FitContext) -> None:
        assert self.trainer is not None
        for held_out in self.fit.held_out:
            clock = time.perf_counter()
            self.scores[held_out] = {}
            self.score_errors.pop(held_out, None)
            try:
                model, X, y = self._seen_by_scorers(context, self.trainer, held_out)
                handed = context.dataset.take_of(context.handed.get(held_out, {}), context.rows[held_out])
                seed_generators(self.fit.seed ^ int(held_out[:7], 16))
                self.scores[held_out], errors = context.scoring(model, X, y, handed)
                failures = context.failures_among(self.scores[held_out], errors, held_out)
            except Exception as raised:  # a scorer may raise anything; other rows may do
                failures = {None: failure_of(raised)}
            if failures:
                self.score_errors[held_out] = failures
            self.score_seconds[held_out] = self.score_seconds.get(held_out, 0.0) + time.perf_counter() - clock

    def _seen_by_scorers(self, context: FitContext, trainer: EpochTrainer, held_out: str) -> tuple[Any, Any, Any]:
        """Return what scorers are given: of a pipeline the last step alone where that is the same, on rows transformed once."""
        if is_pipeline(trainer.model) and (not context.scoring.needs_only_predictions or _is_pairwise(trainer.model)):
            X, y, _ = self._take(context, held_out)  # of its own, since a transformer may write into them
            return trainer.model, X, y
        name = f"{held_out}-seen"  # not the train rows, which may be asked for, too
        if name not in self._rows:
            X, y, fit_params = self._take(context, held_out)
            self._rows[name] = trainer.transform(X), y, fit_params
        X, y, _ = self._rows[name]
        return trainer.last, X, y

    def _take(self, context: FitContext, key: str) -> Slice:
        assert self.trainer is not None
        columns = context.rows[self.fit.train] if _is_pairwise(self.trainer.model) else None
        return context.dataset.take(context.rows[key], columns)


class _Curve:
    """Values by epoch, of which a bounded number is kept, evenly spaced, and the last."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, float]] = []
        self._every = 1
        self._last: tuple[int, float] | None = None

    def add(self, epoch: int, value: float) -> None:
        self._last = (epoch, value)
        if epoch % self._every == 0:
            self._kept.append(self._last)
        if len(self._kept) > MOST_POINTS:
            self._every *= 2
            self._kept = [point for point in self._kept if point[0] % self._every == 0]

    @property
    def points(self) -> tuple[tuple[int, float], ...]:
        kept = tuple(self._kept)
        return kept if self._last is None or kept[-1:] == (self._last,) else (*kept, self._last)


def _is_pairwise(model: Any) -> bool:
    return bool(get_tags(model).input_tags.pairwise)


def _mean_of(results: Sequence[FitResult], fits: Sequence[Fit], scoring: Scoring) -> float:
    """Compute the mean of the metric that chooses as the reduce does; NaN where a fold has none."""
    pairs = list(zip(results, fits, strict=True))
    if any(result.error is not None for result in results):
        return math.nan
    scores = [result.scores.get(fit.held_out[0], {}) for result, fit in pairs]
    if not scoring.metrics:  # a callable names its metrics with its first scores
        try:
            scoring = scoring.named(tuple(scores[0]))
        except InputError:  # the driver, which hears the same names, says so
            return math.nan
    mean = FoldScores(tuple(one.get(scoring.objective, math.nan) for one in scores)).mean
    return mean if math.isfinite(mean) else math.nan


def _one_more(lineage: Lineage, params: Params) -> Lineage:
    """Add an epoch to a lineage; epochs of equal params are one segment."""
    *before, last = lineage
    if last.epochs == 0 or not (changed(last.params, params) or changed(params, last.params)):
        return (*before, Segment(params, last.epochs + 1))
    return (*lineage, Segment(params, 1))
