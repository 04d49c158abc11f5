"""Step 5, map: fit and score. The only code that runs on workers."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import get_tags

from foldwise.data import Dataset
from foldwise.errors import NON_FINITE, Failure
from foldwise.keys.seeds import (
    derive_seeds,
    is_random_state,
    kept_generators,
    seed_generators,
    seed_random_states,
    unset_random_states,
)
from foldwise.plan.plan import Plan
from foldwise.plan.problem import with_params
from foldwise.plan.row_set import RowSets
from foldwise.plan.scoring import Scoring
from foldwise.plan.steps import last_step
from foldwise.process.exclusive import ONE_AT_A_TIME, peak_bytes
from foldwise.process.world import World
from foldwise.safety.masking import masked
from foldwise.trial import Fit, FitResult, Params
from foldwise.worker.compat import no_autologging
from foldwise.worker.epochs import train_lineage
from foldwise.worker.guard import FitGuard, TimeLimitExceeded
from foldwise.worker.sharing import CannotShare, SharedRows, SharedRowsCache
from foldwise.worker.sharing.composites import can_share, release
from foldwise.worker.threads import limited_threads

_LONGEST_MESSAGE = 500


@dataclass
class FitContext:
    """What all fits of a plan share; it reaches each worker once.

    Parameters
    ----------
    dataset, scoring
        The problem's.
    estimator : estimator
        A clone of the problem's, which is cloned again for each fit, as scikit-learn's searches do.
    rows : RowSets
        The plan's row sets.
    threads : int
        BLAS and OpenMP threads of a fit; they change the last bits, so every executor sets them.
    world : World
        What surrounds each fit, as it surrounds the driver.
    handed : mapping of str to mapping
        Of row sets: what the scorer is handed with them.
    share : bool, default=True
        Whether fits on the same train rows share rows and pipeline prefixes; the results are the same.
    guard : FitGuard
        Keeps each fit to its time.
    horizon : int, default=0
        The most epochs that a fit with a lineage may train.
    """

    dataset: Dataset
    estimator: Any
    scoring: Scoring
    rows: RowSets
    threads: int
    world: World
    handed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    share: bool = True
    guard: FitGuard = field(default_factory=FitGuard)
    horizon: int = 0
    _cache: SharedRowsCache | None = field(default=None, repr=False)
    _unset: tuple[str, ...] | None = field(default=None, repr=False)
    _seeds: dict[int, dict[str, int]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, plan: Plan) -> FitContext:
        """Take from a plan what its fits need."""
        problem, settings = plan.problem, plan.problem.settings
        return cls(
            problem.dataset, clone(problem.estimator), problem.scoring, plan.rows, settings.resources.threads, plan.world,
            plan.handed, guard=FitGuard(settings.limits.fit_seconds),
            horizon=0 if settings.schedule is None else settings.schedule.max_epochs,
        )  # fmt: skip

    def run(self, chunk: Sequence[Fit], done: list[FitResult] | None = None) -> list[FitResult]:
        """Run fits, one after the other; a fit that raises is a result that says so. Results are added to ``done``."""
        done = [] if done is None else done
        with self.surroundings():
            self.prepare(*(fit.params for fit in chunk))
            for fit in chunk:
                done.append(self._run_one(fit))
        return done

    def prepare(self, *some: Params) -> None:
        """Have estimators load what they need, where fits have a limit: it is no part of the time of the fit that comes first.

        An estimator, also one that is a param's value, says how in a method ``_foldwise_prepare``, which may be called often.
        """
        if self.guard.seconds is None:
            return
        for estimator in [self.estimator, *(value for params in some for value in params.values())]:
            for part in (estimator, *_parts(estimator)):
                if callable(prepare := getattr(part, "_foldwise_prepare", None)) and not isinstance(part, type):
                    with contextlib.suppress(Exception):  # the fit, which needs it, says so
                        prepare()

    @contextlib.contextmanager
    def surroundings(self) -> Iterator[None]:
        """Make this thread's surroundings those of the driver, with the threads that a fit may use, for a time."""
        with ONE_AT_A_TIME, self.world.applied(), limited_threads(self.threads), kept_generators(), no_autologging():
            yield

    def model_for(self, params: Params, seed: int) -> Any:
        """Make an estimator ready to be fitted: cloned, given its params, and a seed for each random state that is None."""
        if self._unset is None:
            self._unset = tuple(unset_random_states(self.estimator))
        if _may_change_states(params, self._unset):
            return seed_random_states(with_params(self.estimator, params), seed)
        if seed not in self._seeds:
            self._seeds[seed] = derive_seeds(self._unset, seed)
        return with_params(self.estimator, params, self._seeds[seed])

    def _shared_rows_of(self, fit: Fit) -> SharedRows:
        """Return the `SharedRows` of the fit's train rows."""
        if self._cache is None:
            self._cache = SharedRowsCache(self.dataset, self.rows, self.handed)
        return self._cache.of(fit.train)

    def _run_one(self, fit: Fit) -> FitResult:
        started, clock = time.time(), time.perf_counter()
        work = _Work()
        with caught_warnings() as caught:
            try:
                with self.guard:
                    work = self._attempt(fit, work)
            except (Exception, SystemExit, TimeLimitExceeded) as raised:  # whatever it raises: failure is a value
                work.error = failure_of(raised)
        total = time.perf_counter() - clock
        return FitResult(
            fit.key, work.scores, started, total if work.fit_seconds is None else work.fit_seconds, work.score_seconds,
            work.error, work.score_errors, tuple(caught), work.model if fit.keep_model and work.error is None else None,
            work.shared_seconds, peak_bytes(),
        )  # fmt: skip

    def _attempt(self, fit: Fit, work: _Work) -> _Work:
        """Fit and score on what is shared or, if anything is raised there, apart: sharing is never the cause of a failure."""
        shared_rows = self._shared_rows_of(fit)
        work.model = self.model_for(fit.params, fit.seed)
        if not self.share or fit.keep_model or fit.lineage or not can_share(work.model):
            self._fit_and_score(fit, shared_rows, work)
            return work
        shared, before = _Work(work.model), shared_rows.seconds
        trouble: Exception | Failure | None
        try:
            self._fit_and_score_shared(fit, shared_rows, shared)
            trouble = next((one for one in shared.score_failures if one.kind != NON_FINITE), None)
        except Exception as error:
            trouble = error
        work.shared_seconds = shared.shared_seconds = shared_rows.seconds - before
        if trouble is None:
            return shared
        work.model = self.model_for(fit.params, fit.seed)
        self._fit_and_score(fit, shared_rows, work)
        if not work.has_failed and not _is_expected(trouble):
            shown = trouble if isinstance(trouble, Failure) else failure_of(trouble)
            words = f"fits ran without sharing, since they failed where they shared ({shown})"
            warnings.warn(words, RuntimeWarning, stacklevel=2)
        return work

    def _fit_and_score(self, fit: Fit, shared_rows: SharedRows, work: _Work) -> None:
        """Fit and score on rows of the fit's own, as scikit-learn does: train rows are scored as a plain fit has left them."""
        seed_generators(fit.seed)
        clock = time.perf_counter()
        pairwise = get_tags(work.model).input_tags.pairwise
        X, y, fit_params = shared_rows.fresh(fit.train, pairwise=pairwise)
        if fit.lineage:
            work.model = train_lineage(work.model, fit.lineage, X, y, fit_params, horizon=self.horizon, seed=fit.seed)
        else:
            work.model.fit(X, *(() if y is None else (y,)), **fit_params)
        work.fit_seconds = time.perf_counter() - clock

        def rows_of(held_out: str) -> tuple[Any, Any, Any]:
            is_trained = self.rows.are_same(held_out, fit.train) and not fit.lineage
            return (work.model, *((X, y) if is_trained else shared_rows.fresh(held_out, pairwise=pairwise)[:2]))

        self._score(fit, shared_rows, work, rows_of)

    def _fit_and_score_shared(self, fit: Fit, shared_rows: SharedRows, work: _Work) -> None:
        """Fit and score a pipeline whose transformers may have been fitted and applied for other fits on the same rows."""
        seed_generators(fit.seed)
        clock = time.perf_counter()
        model = work.model
        pairwise = get_tags(model).input_tags.pairwise
        with shared_rows.lending(model):
            X, y, fit_params = shared_rows.take(fit.train, pairwise=pairwise)
            model.fit(X, *(() if y is None else (y,)), **fit_params)
            work.fit_seconds = time.perf_counter() - clock
            # Scorers that look at predictions only may be given the last step and what it gets; one of the user's own sees all.
            by_step = self.scoring.needs_only_predictions and not pairwise and hasattr(last_step(model), "fit")
            if by_step and not self.world.configuration["enable_metadata_routing"]:
                self._score(fit, shared_rows, work, lambda held_out: shared_rows.before_last_step(model, held_out))
            else:
                release(model)
                self._score(
                    fit, shared_rows, work, lambda held_out: (model, *shared_rows.fresh(held_out, pairwise=pairwise)[:2])
                )

    def _score(self, fit: Fit, shared_rows: SharedRows, work: _Work, seen: Callable[[str], tuple[Any, Any, Any]]) -> None:
        """Score on every held-out set; ``seen`` gives what the scorers see of one: an estimator, X and y."""
        for held_out in fit.held_out:
            before = time.perf_counter()
            work.scores[held_out] = {}
            seed_generators(fit.seed ^ int(held_out[:7], 16))  # so that no score depends on what else is scored
            try:
                scores, errors = self.scoring(*seen(held_out), shared_rows.handed(held_out))
                work.scores[held_out] = scores
                failures = self.failures_among(scores, errors, held_out)
            except Exception as raised:  # a scorer may raise anything; other rows may do
                failures = {None: failure_of(raised)}
            if failures:
                work.score_errors[held_out] = failures
            work.score_seconds[held_out] = time.perf_counter() - before

    def failures_among(
        self, scores: Mapping[str, float], errors: Mapping[str, str], held_out: str
    ) -> dict[str | None, Failure]:
        """Map metrics to what failed on some rows: their scorer raised, or their score is not finite."""
        failures: dict[str | None, Failure] = {}
        for name, trace in errors.items():
            kind, _, message = trace.strip().splitlines()[-1].partition(": ")
            failures[name] = Failure(kind.rpartition(".")[2], masked(f"{name}: {message}")[:_LONGEST_MESSAGE], trace)
        for name, score in scores.items():
            if not np.isfinite(score):
                failures[name] = Failure(NON_FINITE, f"{name} is {score} on {self.rows.size(held_out)} rows")
        return failures


@dataclass
class _Work:
    """What came of a fit so far."""

    model: Any = None
    fit_seconds: float | None = None
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    score_seconds: dict[str, float] = field(default_factory=dict)
    score_errors: dict[str, dict[str | None, Failure]] = field(default_factory=dict)
    error: Failure | None = None
    shared_seconds: float = 0.0

    @property
    def score_failures(self) -> list[Failure]:
        """What went wrong as it was scored."""
        return [failure for by_metric in self.score_errors.values() for failure in by_metric.values()]

    @property
    def has_failed(self) -> bool:
        """Whether it raised, or a scorer did."""
        return self.error is not None or any(one.kind != NON_FINITE for one in self.score_failures)


def _parts(estimator: Any) -> Iterable[Any]:
    """Return all params of an estimator, those of its parts too; of anything else nothing."""
    return estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ()


def _may_change_states(params: Params, unset: Sequence[str]) -> bool:
    """Tell whether params may bring random states of their own, or take the place of parts that have some."""
    return any(
        is_random_state(name)
        or not isinstance(value, int | float | str | np.generic | None)
        or any(path.startswith(f"{name}__") for path in unset)
        for name, value in params.items()
    )


def _is_expected(trouble: Exception | Failure) -> bool:
    """Tell whether sharing fails as it is meant to: what is shared must not be written into, nor change as it is used."""
    if isinstance(trouble, Failure):
        return trouble.kind == CannotShare.__name__ or _says_read_only(trouble.message) or _says_read_only(trouble.traceback)
    error: BaseException | None = trouble
    while error is not None:
        if isinstance(error, CannotShare) or _says_read_only(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _says_read_only(text: str) -> bool:
    return any(words in text for words in ("read-only", "not writeable", "WRITEABLE", "readonly", "CannotShare"))


@contextlib.contextmanager
def caught_warnings() -> Iterator[dict[tuple[str, str], None]]:
    """Collect the distinct warnings of this thread, as (category, text); those of other threads take their usual way."""
    caught: dict[tuple[str, str], None] = {}
    thread, show = threading.get_ident(), warnings.showwarning

    def collect(message: Any, category: type[Warning], *place: Any, **options: Any) -> None:
        if threading.get_ident() == thread:
            caught[f"{category.__module__}:{category.__qualname__}", masked(str(message))] = None
        else:
            show(message, category, *place, **options)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = collect
        yield caught


def failure_of(error: BaseException) -> Failure:
    """Describe an exception as plain data."""
    message = " ".join(masked(str(error)).split())[:_LONGEST_MESSAGE] or "no message"
    return Failure(type(error).__name__, message, "".join(traceback.format_exception(error)), _is_own(error))


_PACKAGE = Path(__file__).parents[1]
_OF_FITS = ("models", "testing", "plan/epochs.py", "plan/scoring.py", "worker/epochs.py")
"""What of this package raises in a fit's name: estimators, and checks of what estimators and scorers do."""


def _is_own(error: BaseException) -> bool:
    """Tell whether an exception was raised by this package's own code, and not by what it calls."""
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None:
        return False
    raised_in = Path(innermost.tb_frame.f_code.co_filename)
    return raised_in.is_relative_to(_PACKAGE) and not any(raised_in.is_relative_to(_PACKAGE / one) for one in _OF_FITS)
