"""Step 5, map: fit and score. The only code that runs on workers."""

from __future__ import annotations

import contextlib
import functools
import random
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import get_tags
from threadpoolctl import ThreadpoolController

from foldwise.data import Dataset
from foldwise.digest import derive_seed
from foldwise.errors import NON_FINITE, Failure
from foldwise.plan import Plan
from foldwise.problem import with_params
from foldwise.scoring import Scoring
from foldwise.trial import Fit, FitResult

_LONGEST_MESSAGE = 500
_ONE_AT_A_TIME = threading.RLock()
"""Seeds, warnings and thread limits are a process's, so serial runs in several threads take turns."""


@dataclass(frozen=True)
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
    """

    dataset: Dataset
    estimator: Any
    scoring: Scoring
    rows: Mapping[str, np.ndarray]
    threads: int

    @classmethod
    def of(cls, plan: Plan) -> Workshop:
        """Take from a plan what its fits need."""
        problem = plan.problem
        return cls(problem.dataset, problem.estimator, problem.scoring, plan.rows, problem.resources.threads)

    def run(self, chunk: Sequence[Fit]) -> list[FitResult]:
        """Run fits, one after the other; a fit that raises is a result that says so."""
        with _ONE_AT_A_TIME, limited_threads(self.threads):
            return [self._run_one(fit) for fit in chunk]

    def _run_one(self, fit: Fit) -> FitResult:
        started, clock = time.time(), time.perf_counter()
        scores: dict[str, dict[str, float]] = {}
        score_seconds: dict[str, float] = {}
        score_errors: dict[str, Failure] = {}
        error: Failure | None = None
        model: Any = None
        fit_seconds: float | None = None
        with seeded(fit.seed), caught_warnings() as caught:
            try:
                model = seed_random_states(with_params(self.estimator, fit.params), fit.seed)
                X, y, fit_params = self.dataset.take(self.rows[fit.train], self._columns(model, fit))
                model.fit(X, **fit_params) if y is None else model.fit(X, y, **fit_params)
                fit_seconds = time.perf_counter() - clock
                for held_out in fit.held_out:
                    before = time.perf_counter()
                    scores[held_out] = {}
                    try:
                        scores[held_out], failure = self._score(model, fit, held_out)
                    except Exception as raised:  # a scorer may raise anything; other rows may do
                        failure = failure_of(raised)
                    if failure is not None:
                        score_errors[held_out] = failure
                    score_seconds[held_out] = time.perf_counter() - before
            except (Exception, SystemExit) as raised:  # an estimator or scorer may raise anything: failure is a value
                error = failure_of(raised)
        if fit_seconds is None:
            fit_seconds = time.perf_counter() - clock
        return FitResult(
            fit.key, scores, started, fit_seconds, score_seconds, error, score_errors, tuple(caught),
            model if fit.keep_model and error is None else None,
        )  # fmt: skip

    def _score(self, model: Any, fit: Fit, held_out: str) -> tuple[dict[str, float], Failure | None]:
        X, y, _ = self.dataset.take(self.rows[held_out], self._columns(model, fit))
        scores, errors = self.scoring(model, X, y)
        for name, trace in errors.items():
            last = trace.strip().splitlines()[-1]
            kind, _, message = last.partition(": ")
            return scores, Failure(kind.rpartition(".")[2], f"{name}: {message}"[:_LONGEST_MESSAGE], trace)
        for name, score in scores.items():
            if not np.isfinite(score):
                return scores, Failure(NON_FINITE, f"{name} is {score} on {len(self.rows[held_out])} rows")
        return scores, None

    def _columns(self, model: Any, fit: Fit) -> np.ndarray | None:
        """Return the columns of a precomputed kernel that belong to the train rows."""
        return self.rows[fit.train] if get_tags(model).input_tags.pairwise else None


def seed_random_states(estimator: Any, seed: int) -> Any:
    """Set each ``random_state`` that is None, from the seed and the step's name.

    The param's path is all that tells steps apart, so equal pipeline prefixes get equal seeds.
    """
    unset = {
        name: derive_seed(seed, name)
        for name, value in estimator.get_params(deep=True).items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    }
    return estimator.set_params(**unset) if unset else estimator


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators, for estimators that draw from them, and put them back."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002  (the ones that estimators draw from)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002


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
