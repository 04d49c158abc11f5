"""The suites that every search and every executor passes."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from foldwise.data import Dataset
from foldwise.errors import NON_FINITE
from foldwise.executors import Executor
from foldwise.keys import digest
from foldwise.plan.plan import Plan
from foldwise.plan.problem import make_problem
from foldwise.plan.settings import Settings
from foldwise.search import Asker, Search
from foldwise.space.space import SearchSpace
from foldwise.testing.estimators import FaultyEstimator
from foldwise.trial import Fit, FitResult, Segment, Trial, TrialState
from foldwise.worker.fit import FitContext


def small_plan(estimator: Any = None, space: Any = None, search: Any = "grid", **options: Any) -> Plan:
    """Plan a small search on iris: a tree over its depth, three folds."""
    X, y = load_iris(return_X_y=True)
    settings = Settings.of({"search": search, "outer_cv": 3, "random_state": 0, **options})
    tree = DecisionTreeClassifier() if estimator is None else estimator
    return Plan.of(make_problem(Dataset(X, y), tree, space or {"max_depth": [1, 2]}, settings))


def check_search(search: Search, space: SearchSpace, n_trials: int = 12, batch: int = 4) -> None:
    """Check what every search must hold.

    It asks alike for equal seeds, whoever else asks meanwhile; in order; within the space; whatever fails; and it ends.

    Raises
    ------
    AssertionError
        Saying what does not hold.
    """
    n_trials = search.check(space, n_trials)
    first, second = _exhaust([search.open(space, n_trials, seed=1) for _ in range(2)], batch)
    assert [trial.number for trial in first] == list(range(len(first))), "trials must be numbered in the order asked"
    assert len(first) == n_trials, f"expected {n_trials} trials, got {len(first)}"
    assert _params_of(first) == _params_of(second), "equal seeds must ask alike, and searches must not touch each other"
    names = set(space.names)
    assert all(set(trial.params) <= names for trial in first), "params must be those of the space"
    for told in (_failed, _infinite, _without_score, _stopped):
        one, other = _exhaust([search.open(space, n_trials, seed=1) for _ in range(2)], batch, told)
        assert len(one) == n_trials, f"failures must not end a search: expected {n_trials} trials, got {len(one)}"
        assert _params_of(one) == _params_of(other), "equal failures must be followed by equal questions"
        assert search.adapts or _params_of(one) == _params_of(first), "results must not change what is asked"


def _scored(trial: Trial) -> Trial:
    return Trial(trial.number, trial.params, state=TrialState.COMPLETE, value=float(trial.number % 5))


def _failed(trial: Trial) -> Trial:
    return Trial(trial.number, trial.params, state=TrialState.FAILED)


def _infinite(trial: Trial) -> Trial:
    return Trial(trial.number, trial.params, state=TrialState.FAILED, value=math.inf)


def _without_score(trial: Trial) -> Trial:
    return _scored(trial) if trial.number % 3 else Trial(trial.number, trial.params, state=TrialState.COMPLETE)


def _stopped(trial: Trial) -> Trial:
    """Return most trials as a schedule stops them."""
    if not trial.number % 3:
        return _scored(trial)
    epochs = 1 + trial.number % 2
    value = float(trial.number % 5)
    curve, lineage = ((epochs, value),), (Segment(trial.params, epochs),)
    return Trial(trial.number, trial.params, state=TrialState.PRUNED, value=value, lineage=lineage, curve=curve)


def _exhaust(askers: list[Asker], batch: int, told: Callable[[Trial], Trial] = _scored) -> list[list[Trial]]:
    """Ask searches to their ends, in turn, and return what each asked."""
    asked: list[list[Trial]] = [[] for _ in askers]
    while not all(asker.done for asker in askers):
        for asker, so_far in zip(askers, asked, strict=True):
            trials = asker.ask(batch)
            assert trials, "a search that is not done and has been told of everything must ask"
            so_far += trials
            asker.tell([told(trial) for trial in trials])
    assert all(asker.ask(1) == [] for asker in askers), "a search that is done must not ask"
    return asked


def _params_of(trials: list[Trial]) -> str:
    return digest([trial.params for trial in trials])


def check_executor(make: Callable[[], Executor], *, isolates: bool = False) -> None:
    """Check what every executor must hold: each fit's result comes back once, equal to the serial one; failure is a value.

    Parameters
    ----------
    make : callable
        Gives an executor.
    isolates : bool, default=False
        Whether fits run in processes of their own, so that one that ends its process or never returns fails alone.

    Raises
    ------
    AssertionError
        Saying what does not hold.
    """
    executor = make()
    _check_results(executor)
    _check_failures(executor, {"raise": "ValueError", "nan": NON_FINITE, "inf": NON_FINITE})
    _check_failures(executor, {"hang": "TimeLimitExceeded"}, limits={"fit_seconds": 2})
    if isolates:
        _check_failures(executor, {"freeze": "TimeLimitExceeded"}, limits={"fit_seconds": 2})
        _check_failures(executor, {"exit": "WorkerLost", "segfault": "WorkerLost"})
        _check_retries(executor)
    _check_cancelling(executor)


def _check_results(executor: Executor) -> None:
    plan = small_plan()
    fits = _some_fits(plan)
    expected = {result.key: result for result in FitContext.of(plan).run(fits)}
    for _ in range(2):  # it may be opened again
        executor.open(plan)
        assert executor.slots >= 1
        for fit in fits:
            executor.submit((fit,))
        got = _collect(executor, len(fits))
        executor.close()
        assert {key: result.scores for key, result in got.items()} == {key: one.scores for key, one in expected.items()}
        assert not any(result.retries for result in got.values()), "nothing was lost, so nothing was tried again"


def _check_failures(executor: Executor, kinds: Mapping[str, str], limits: Any = None) -> None:
    """Check that faults fail with their causes, and do nothing to those that travel with them."""
    faults = [*kinds, None, "sleep"]
    plan = small_plan(FaultyEstimator(seconds=0.0), {"fault": faults}, limits=limits)
    fits = _some_fits(plan)[: len(faults)]
    executor.open(plan)
    executor.submit(fits)
    got = _collect(executor, len(fits))
    executor.close()
    causes = {fit.params["fault"]: got[fit.key].failure_on(*fit.held_out) for fit in fits}
    found = {fault: cause.kind for fault, cause in causes.items() if cause is not None}
    assert found == kinds, f"expected the faults to fail, and these only: {kinds}; failed: {found}"


def _check_retries(executor: Executor) -> None:
    """Check that a loss which is no fit's fault costs a retry and no result."""
    with tempfile.TemporaryDirectory() as folder:
        faulty = FaultyEstimator("kill", times=2, counter=str(Path(folder) / "counter"))
        plan = small_plan(faulty, {"bias": [0.0, 0.1, 0.2]})
        fits = _some_fits(plan)[:3]
        executor.open(plan)
        executor.submit(fits)
        got = _collect(executor, len(fits))
        executor.close()
    assert all(result.error is None for result in got.values()), "a lost worker's fits must be run again"
    n_retries = sum(result.retries for result in got.values())
    assert 3 <= n_retries <= 4, f"expected the retries of three fits to be noted, got {n_retries}"


def _check_cancelling(executor: Executor) -> None:
    plan = small_plan()
    fit = _some_fits(plan)[0]
    executor.open(plan, 1)
    executor.submit((fit,))
    executor.cancel([fit.key])
    assert executor.results(timeout=0.1) == [], "nothing may be heard of what was cancelled"
    executor.close()


def _some_fits(plan: Plan) -> list[Fit]:
    asker = plan.problem.settings.search.open(plan.problem.space, plan.n_trials, plan.search_seed)
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
