"""For tests, ours and yours.

Estimators that fail or remember on purpose, an executor that finishes out of order, and the suites that every search and
every executor passes.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from foldwise.data import Dataset
from foldwise.digest import digest
from foldwise.executors import Executor
from foldwise.fit import Workshop
from foldwise.plan import Plan
from foldwise.problem import make_problem
from foldwise.search import Asker, Search, make_search
from foldwise.space import SearchSpace
from foldwise.trial import Fit, FitResult, Trial, TrialState


class FaultyEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that predicts the commonest class, unless it is told to fail.

    Parameters
    ----------
    fault : str or None
        "raise", "nan" (its score), "sleep" or "exit" (its process); None: no fault.
    times : int, optional
        Fail the first so many fits only; they are counted in ``counter``.
    counter : str, optional
        A file that grows by one byte with each fit of any process.
    seconds : float, default=0.1
        How long it sleeps.
    bias : float, default=0
        Added to its score; something to search over.
    """

    def __init__(
        self,
        fault: str | None = None,
        times: int | None = None,
        counter: str | None = None,
        seconds: float = 0.1,
        bias: float = 0.0,
    ) -> None:
        self.fault = fault
        self.times = times
        self.counter = counter
        self.seconds = seconds
        self.bias = bias

    def fit(self, X: Any, y: Any) -> FaultyEstimator:
        """Count the fit, and fail if it is time to."""
        n_before = self._count()
        self.is_failing_ = self.fault is not None and (self.times is None or n_before < self.times)
        if self.is_failing_ and self.fault == "raise":
            raise ValueError(f"fault asked for, at fit {n_before}")
        if self.is_failing_ and self.fault == "sleep":
            time.sleep(self.seconds)
        if self.is_failing_ and self.fault == "exit":
            os._exit(17)
        self.classes_, counts = np.unique(y, return_counts=True)
        self.commonest_ = self.classes_[counts.argmax()]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the commonest class."""
        return np.full(len(X), self.commonest_)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return accuracy plus bias, or NaN."""
        if self.is_failing_ and self.fault == "nan":
            return math.nan
        return float(np.mean(self.predict(X) == np.asarray(y))) + self.bias

    def _count(self) -> int:
        if self.counter is None:
            return 0
        file = os.open(self.counter, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            before = os.fstat(file).st_size
            os.write(file, b".")
        finally:
            os.close(file)
        return before


class RecordingEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that writes down which rows it saw; the first column of X must be the row's number.

    Parameters
    ----------
    folder : str
        A file per call is written there: ``<train rows>.fit`` and ``<train rows>-<n>.predict``, as npy.
    shift : int, default=0
        Added to its predictions; something to search over.
    """

    def __init__(self, folder: str = ".", shift: int = 0) -> None:
        self.folder = folder
        self.shift = shift

    def fit(self, X: Any, y: Any) -> RecordingEstimator:
        """Write down the rows to learn from."""
        self.rows_ = np.asarray(X)[:, 0].astype(np.int64)
        self.classes_ = np.unique(y)
        self._write("fit", self.rows_)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Write down the rows to be judged on; predict by their numbers."""
        rows = np.asarray(X)[:, 0].astype(np.int64)
        self._write("predict", rows)
        return self.classes_[(rows + self.shift) % len(self.classes_)]

    def _write(self, what: str, rows: np.ndarray) -> None:
        name = f"{digest(self.rows_)}-{self.shift}-{digest(rows)}.{what}.npy"
        np.save(Path(self.folder) / name, rows)


class ShuffledExecutor(Executor):
    """Runs fits in this process, and hands results over in a random order.

    Parameters
    ----------
    seed : int
        Of the order.
    n_slots : int, default=7
        Chunks in flight.
    """

    def __init__(self, seed: int, n_slots: int = 7) -> None:
        self._random = np.random.default_rng(seed)
        self._n_slots = n_slots
        self._waiting: list[tuple[Fit, ...]] = []
        self._workshop: Workshop | None = None

    def open(self, plan: Plan, n_jobs: int | None = None) -> None:  # noqa: D102
        self._workshop = Workshop.of(plan)

    @property
    def n_at_once(self) -> int:  # noqa: D102
        return 1

    @property
    def slots(self) -> int:  # noqa: D102
        return self._n_slots

    def submit(self, chunk: Sequence[Fit]) -> None:  # noqa: D102
        self._waiting.append(tuple(chunk))

    def results(self, timeout: float | None = None) -> list[FitResult]:  # noqa: D102
        assert self._workshop is not None
        if not self._waiting:
            return []
        chosen = self._waiting.pop(int(self._random.integers(len(self._waiting))))
        results = self._workshop.run(chosen)
        self._random.shuffle(results)
        return results

    def cancel(self, keys: Collection[str]) -> None:  # noqa: D102
        self._waiting = [chunk for chunk in self._waiting if not all(fit.key in keys for fit in chunk)]

    def close(self) -> None:  # noqa: D102
        self._waiting.clear()
        self._workshop = None


def small_plan(estimator: Any = None, space: Any = None, search: Any = "grid", **options: Any) -> Plan:
    """Plan a small search on iris: a tree over its depth, three folds."""
    X, y = load_iris(return_X_y=True)
    options = {"outer_cv": 3, "random_state": 0, **options}
    tree = DecisionTreeClassifier() if estimator is None else estimator
    problem = make_problem(Dataset(X, y), tree, space or {"max_depth": [1, 2]}, search=make_search(search), **options)
    return Plan.of(problem)


def check_search(search: Search, space: SearchSpace, n_trials: int = 12, batch: int = 4) -> None:
    """Check what every search must hold: it asks alike for equal seeds, in order, within the space, and ends.

    Raises
    ------
    AssertionError
        Saying what does not hold.
    """
    n_trials = search.check(space, n_trials)
    first, second = (_exhaust(search.open(space, n_trials, seed=1), batch) for _ in range(2))
    assert [trial.number for trial in first] == list(range(len(first))), "trials must be numbered in the order asked"
    assert len(first) == n_trials, f"expected {n_trials} trials, got {len(first)}"
    assert digest([t.params for t in first]) == digest([t.params for t in second]), "equal seeds must ask alike"
    names = set(space.names)
    assert all(set(trial.params) <= names for trial in first), "params must be those of the space"
    if not search.adapts:
        told = _exhaust(search.open(space, n_trials, seed=1), batch, value=lambda trial: -trial.number)
        assert digest([t.params for t in told]) == digest([t.params for t in first]), "results must not change what is asked"


def _exhaust(asker: Asker, batch: int, value: Callable[[Trial], float] = lambda trial: float(trial.number % 5)) -> list[Trial]:
    asked: list[Trial] = []
    while not asker.done:
        trials = asker.ask(batch)
        assert trials, "a search that is not done and has been told of everything must ask"
        asked += trials
        asker.tell([Trial(t.number, t.params, state=TrialState.COMPLETE, value=value(t)) for t in trials])
    assert asker.ask(1) == [], "a search that is done must not ask"
    return asked


def check_executor(make: Callable[[], Executor]) -> None:
    """Check what every executor must hold: each fit's result comes back once, equal to the serial one; failure is a value.

    Raises
    ------
    AssertionError
        Saying what does not hold.
    """
    plan = small_plan()
    fits = _some_fits(plan)
    expected = {result.key: result for result in Workshop.of(plan).run(fits)}
    executor = make()
    for _ in range(2):  # it may be opened again
        executor.open(plan)
        assert executor.slots >= 1
        for fit in fits:
            executor.submit((fit,))
        got = _collect(executor, len(fits))
        executor.close()
        assert {key: result.scores for key, result in got.items()} == {key: one.scores for key, one in expected.items()}
    _check_failure(executor)
    executor.open(plan, 1)
    executor.submit((fits[0],))
    executor.cancel([fits[0].key])
    assert executor.results(timeout=0.1) == [], "nothing may be heard of what was cancelled"
    executor.close()


def _check_failure(executor: Executor) -> None:
    plan = small_plan(FaultyEstimator(), {"fault": ["raise", None]})
    fits = _some_fits(plan)
    executor.open(plan)
    executor.submit(tuple(fits[:2]))
    got = _collect(executor, 2)
    executor.close()
    failed = [fit.params["fault"] for fit in fits[:2] if got[fit.key].error is not None]
    assert failed == ["raise"], f"a fit that raises must fail, and its siblings must not; failed: {failed}"


def _some_fits(plan: Plan) -> list[Fit]:
    asker = plan.problem.search.open(plan.problem.space, plan.n_trials, plan.search_seed)
    trials = asker.ask(plan.n_trials)
    trains = dict.fromkeys(fold.train for study in plan.studies for fold in study.folds)
    return [plan.fit(trial.params, train) for train in trains for trial in trials]


def _collect(executor: Executor, n_results: int, patience: float = 120.0) -> dict[str, FitResult]:
    got: dict[str, FitResult] = {}
    deadline = time.monotonic() + patience
    while len(got) < n_results and time.monotonic() < deadline:
        for result in executor.results(timeout=1.0):
            assert result.key not in got, "each result must come once"
            got[result.key] = result
    assert len(got) == n_results, f"expected {n_results} results, got {len(got)}"
    return got
