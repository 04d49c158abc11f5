"""Step 5, map: fit and score. The only code that runs on workers."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from threadpoolctl import ThreadpoolController

from foldwise.data import Dataset
from foldwise.epochs import train_lineage
from foldwise.errors import NON_FINITE, Failure
from foldwise.guard import FitGuard, TimeLimitExceeded
from foldwise.plan import Plan
from foldwise.problem import with_params
from foldwise.process import ONE_AT_A_TIME, peak_bytes
from foldwise.scoring import Scoring
from foldwise.seeds import is_random_state, kept_generators, seed_generators, seed_random_states
from foldwise.sharing import Bench, Benches
from foldwise.sharing.composites import last_step, release
from foldwise.trial import Fit, FitResult

_LONGEST_MESSAGE = 500


@dataclass
class Workshop:
    """What all fits of a plan share; it reaches each worker once.

    Parameters
    ----------
    dataset, estimator, scoring
        The problem's.
    rows : mapping of str to array of int64
        The plan's row sets.
    threads : int
        BLAS and OpenMP threads of a fit; they change the last bits, so every executor sets them.
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
    rows: Mapping[str, np.ndarray]
    threads: int
    share: bool = True
    guard: FitGuard = field(default_factory=FitGuard)
    horizon: int = 0
    _benches: Benches | None = field(default=None, repr=False)

    @classmethod
    def of(cls, plan: Plan) -> Workshop:
        """Take from a plan what its fits need."""
        problem = plan.problem
        guard = FitGuard(problem.limits.fit_seconds)
        threads = problem.resources.threads
        horizon = 0 if problem.schedule is None else problem.schedule.max_epochs
        return cls(problem.dataset, problem.estimator, problem.scoring, plan.rows, threads, guard=guard, horizon=horizon)

    def run(self, chunk: Sequence[Fit]) -> list[FitResult]:
        """Run fits, one after the other; a fit that raises is a result that says so."""
        with ONE_AT_A_TIME, limited_threads(self.threads), kept_generators():
            return [self._run_one(fit) for fit in chunk]

    def _bench_for(self, fit: Fit) -> Bench:
        """Return the bench of the fit's train rows."""
        if self._benches is None:
            self._benches = Benches(self.dataset, self.rows)
        return self._benches.of(fit.train, lambda: seed_random_states(clone(self.estimator), fit.seed))

    def _model_for(self, fit: Fit, bench: Bench) -> Any:
        """Make the fit's own estimator; random states are set once per bench, unless the params bring some of their own."""
        if any(is_random_state(name) or hasattr(value, "get_params") for name, value in fit.params.items()):
            return seed_random_states(with_params(self.estimator, fit.params), fit.seed)
        return with_params(bench.estimator, fit.params)

    def _run_one(self, fit: Fit) -> FitResult:
        started, clock = time.time(), time.perf_counter()
        work = _Work()
        with caught_warnings() as caught:
            try:
                with self.guard:
                    self._attempt(fit, work)
            except (Exception, SystemExit, TimeLimitExceeded) as raised:  # whatever it raises: failure is a value
                work.error = failure_of(raised)
        total = time.perf_counter() - clock
        return FitResult(
            fit.key, work.scores, started, total if work.fit_seconds is None else work.fit_seconds, work.score_seconds,
            work.error, work.score_errors, tuple(caught), work.model if fit.keep_model and work.error is None else None,
            work.shared_seconds, peak_bytes(),
        )  # fmt: skip

    def _attempt(self, fit: Fit, work: _Work) -> None:
        """Fit and score on shared rows or, if that fails since they must not be written into, on rows of its own."""
        bench = self._bench_for(fit)
        if self.share and not fit.keep_model and not fit.lineage:
            before = bench.seconds
            try:
                with bench.lending(work.make(self._model_for(fit, bench)).model):
                    self._fit_and_score(fit, bench, work, share=True)
                return
            except Exception as error:
                if not _wants_to_write(error):
                    raise
            finally:
                work.shared_seconds = bench.seconds - before
        self._fit_and_score(fit, bench, work.make(self._model_for(fit, bench)), share=False)

    def _fit_and_score(self, fit: Fit, bench: Bench, work: _Work, *, share: bool) -> None:
        """Fit and score, on shared rows that must not be written into or on rows of the fit's own."""
        seed_generators(fit.seed)
        clock = time.perf_counter()
        model = work.model
        pairwise = get_tags(model).input_tags.pairwise
        take = bench.take if share else bench.fresh
        X, y, fit_params = take(fit.train, pairwise=pairwise)
        if fit.lineage:
            horizon = self.horizon
            model = work.model = train_lineage(model, fit.lineage, X, y, fit_params, horizon=horizon, seed=fit.seed)
        else:
            model.fit(X, **fit_params) if y is None else model.fit(X, y, **fit_params)
        work.fit_seconds = time.perf_counter() - clock
        # Scorers that look at predictions only may be given the last step and what it gets; one of the user's own sees all.
        by_step = share and type(model) is Pipeline and self.scoring.needs_only_predictions and not pairwise
        if share and not by_step:
            release(model)
        for held_out in fit.held_out:
            before = time.perf_counter()
            work.scores[held_out] = {}
            try:
                if by_step and hasattr(last_step(model), "fit"):
                    scores, errors = self.scoring(*bench.before_last_step(model, held_out))
                else:
                    X, y, _ = take(held_out, pairwise=pairwise)
                    scores, errors = self.scoring(model, X, y)
                work.scores[held_out] = scores
                failure = self.failure_among(scores, errors, held_out)
            except Exception as raised:  # a scorer may raise anything; other rows may do
                if share and _wants_to_write(raised):
                    raise
                failure = failure_of(raised)
            if failure is not None:
                work.score_errors[held_out] = failure
            work.score_seconds[held_out] = time.perf_counter() - before

    def failure_among(self, scores: Mapping[str, float], errors: Mapping[str, str], held_out: str) -> Failure | None:
        """Return the first failure among the scores on some rows: a scorer that raised, or a score that is not finite."""
        for name, trace in errors.items():
            kind, _, message = trace.strip().splitlines()[-1].partition(": ")
            return Failure(kind.rpartition(".")[2], f"{name}: {message}"[:_LONGEST_MESSAGE], trace)
        for name, score in scores.items():
            if not np.isfinite(score):
                return Failure(NON_FINITE, f"{name} is {score} on {len(self.rows[held_out])} rows")
        return None


@dataclass
class _Work:
    """What came of a fit so far."""

    model: Any = None
    fit_seconds: float | None = None
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    score_seconds: dict[str, float] = field(default_factory=dict)
    score_errors: dict[str, Failure] = field(default_factory=dict)
    error: Failure | None = None

    shared_seconds: float = 0.0

    def make(self, model: Any) -> _Work:
        """Begin, or begin again, with a model that is not fitted yet."""
        self.model = model
        self.scores.clear()
        self.score_seconds.clear()
        self.score_errors.clear()
        return self


def _wants_to_write(error: BaseException | None) -> bool:
    """Tell whether an error is, or comes from, the attempt to write into shared rows."""
    while error is not None:
        if any(words in str(error) for words in ("read-only", "not writeable", "WRITEABLE", "readonly")):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def caught_warnings() -> Iterator[dict[tuple[str, str], None]]:
    """Collect the distinct warnings of this thread, as (category, text); those of other threads take their usual way."""
    caught: dict[tuple[str, str], None] = {}
    thread, show = threading.get_ident(), warnings.showwarning

    def collect(message: Any, category: type[Warning], *place: Any, **options: Any) -> None:
        if threading.get_ident() == thread:
            caught[f"{category.__module__}:{category.__qualname__}", str(message)] = None
        else:
            show(message, category, *place, **options)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = collect
        yield caught


def limited_threads(threads: int) -> contextlib.AbstractContextManager[Any]:
    """Limit the BLAS and OpenMP threads of every library that is loaded now."""
    limit: contextlib.AbstractContextManager[Any] = _controller(len(sys.modules)).limit(limits=threads)
    return limit


@functools.lru_cache(maxsize=1)
def _controller(n_modules: int) -> ThreadpoolController:
    """Find the thread pools once, and again whenever modules were loaded since: finding them takes milliseconds."""
    return ThreadpoolController()


def failure_of(error: BaseException) -> Failure:
    """Describe an exception as plain data."""
    message = " ".join(str(error).split())[:_LONGEST_MESSAGE] or "no message"
    return Failure(type(error).__name__, message, "".join(traceback.format_exception(error)))
