"""The suite that every executor of scheduled trials passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from sklearn.linear_model import SGDClassifier

from foldwise.errors import NON_FINITE
from foldwise.executors import ScheduledExecutor
from foldwise.plan.plan import Plan
from foldwise.plan.schedule import PBT
from foldwise.plan.study import Study
from foldwise.testing.conformance import small_plan
from foldwise.testing.estimators import FaultyEstimator
from foldwise.trial import FitResult, FoldScores, Segment, Trial, TrialEnd, TrialState, count_epochs
from foldwise.worker.fit import FitContext

_ALPHAS = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]


def check_scheduled_executor(make: Callable[[], ScheduledExecutor], method: str = "asha") -> None:
    """Check what every executor of scheduled trials must hold.

    Each trial ends once. One that was not stopped trained to its end, and some did. Its folds were scored on the rows that
    its study asks for and no others, and are what plain fits of its lineage are, to the bit. Failure is a value. Fits run
    beside trials, and it may be opened again.

    Parameters
    ----------
    make : callable
        Gives an executor.
    method : str, default="asha"
        The schedule's.

    Raises
    ------
    AssertionError
        Saying what does not hold.
    """
    executor = make()
    plan = scheduled_plan(method)
    for _ in range(2):  # it may be opened again
        _check_ends(executor, plan)
    _check_failures(executor, method)
    _check_leaving(executor, plan)


def scheduled_plan(method: str = "asha", estimator: Any = None, space: Any = None, **options: Any) -> Plan:
    """Plan a small search of a linear model on iris, judged by a schedule of nine epochs."""
    schedule = {"method": method, "max_epochs": 9, "grace_epochs": 2, "reduction": 3, **options.pop("schedule", {})}
    learner = SGDClassifier() if estimator is None else estimator
    return small_plan(learner, space or {"alpha": _ALPHAS}, schedule=schedule, **options)


def _check_ends(executor: ScheduledExecutor, plan: Plan) -> None:
    some = [plan.studies[0], plan.studies[-1]]  # side by side; no more is heard of the others than that they end
    asked = {study.name: _asked(plan) for study in some}
    executor.open(plan)
    for study in plan.studies:
        if study.name in asked:
            executor.submit_trials(study.name, asked[study.name])
        executor.end_study(study.name)
    refit = plan.fit({}, plan.whole, lineage=(Segment({"alpha": 1e-3}, 2), Segment({"alpha": 1e-2}, 1)))
    executor.submit((refit,))
    ends, results = _collect(executor, sum(map(len, asked.values())), 1)
    executor.close()
    assert results[0].key == refit.key, "fits must run beside trials"
    assert results[0].error is None, f"a fit beside trials failed: {results[0].error}"
    for study in some:
        its = {number: end for (name, number), end in ends.items() if name == study.name}
        assert sorted(its) == [trial.number for trial in asked[study.name]], "each trial must end, and once"
        assert any(end.state is TrialState.COMPLETE for end in its.values()), "some trial must train to its end"
        for trial in asked[study.name]:
            _check_end(plan, study, trial, its[trial.number])


def _check_end(plan: Plan, study: Study, trial: Trial, end: TrialEnd) -> None:
    schedule = plan.problem.settings.schedule
    assert schedule is not None
    epochs, name = count_epochs(end.lineage), f"trial {trial.number} of {study.name}"
    if end.state is TrialState.COMPLETE:
        assert epochs == schedule.max_epochs, f"{name} is complete, so it must have trained {schedule.max_epochs}, not {epochs}"
    else:
        assert end.state is TrialState.PRUNED, f"{name} must not fail: {end.results}"
        assert schedule.method != PBT, "population based training stops no trial"
        assert schedule.grace_epochs <= epochs < schedule.max_epochs, f"{name} was stopped at a wrong epoch: {epochs}"
    assert schedule.method == PBT or [dict(one.params) for one in end.lineage] == [dict(trial.params)]
    fits = [plan.fit(trial.params, fold.train, lineage=end.lineage) for fold in study.folds]
    assert [len(one.scores) for one in end.results] == [len(plan.asked_of(fold)) for fold in study.folds], (
        f"{name} must be scored on the rows that its study asks for, and on no others"
    )
    for fold, result, plain in zip(study.folds, end.results, FitContext.of(plan).run(fits), strict=True):
        wanted = {rows: plain.scores[rows] for rows in plan.asked_of(fold)}
        assert result.scores == wanted, f"{name} must be what its lineage gives: {result.scores}, {wanted}"
    objective = plan.problem.scoring.objective
    pairs = zip(study.folds, end.results, strict=True)
    mean = FoldScores(tuple(one.scores[fold.held_out][objective] for fold, one in pairs)).mean
    assert end.curve[-1] == (epochs, mean), f"{name}: its curve must end with the mean over the folds"


def _check_failures(executor: ScheduledExecutor, method: str) -> None:
    """Check that faults fail with their causes, and do nothing to other trials."""
    kinds: Mapping[str, str] = {"raise": "ValueError", "nan": NON_FINITE, "inf": NON_FINITE}
    space = {"fault": [*kinds, None], "bias": [0.0, 0.1]}
    plan = scheduled_plan(method, FaultyEstimator(seconds=0.0), space, schedule={"max_epochs": 3, "grace_epochs": 1})
    study, trials = plan.studies[0], _asked(plan)
    executor.open(plan)
    executor.submit_trials(study.name, trials)
    executor.end_study(study.name)
    ends, _ = _collect(executor, len(trials), 0)
    executor.close()
    for trial in trials:
        end, kind = ends[study.name, trial.number], kinds.get(trial.params["fault"])
        causes = [one for result in end.results if (one := result.failure_on(*result.scores)) is not None]
        assert (end.state is TrialState.FAILED) == (kind is not None), f"{trial.params} ended as {end.state}: {causes}"
        assert {cause.kind for cause in causes} == ({kind} if kind else set()), f"{trial.params} failed by {causes}"
        assert end.lineage, "a trial has a lineage, of no epochs where the first one failed"


def _check_leaving(executor: ScheduledExecutor, plan: Plan) -> None:
    """Check that it can be closed while trials run, and that nothing is heard of them afterwards."""
    executor.open(plan)
    executor.submit_trials(plan.studies[0].name, _asked(plan))
    executor.close()
    executor.open(plan)
    assert executor.trial_ends(timeout=0.1) == [], "nothing may be heard of trials that were given up"
    executor.close()


def _asked(plan: Plan) -> list[Trial]:
    return plan.problem.settings.search.open(plan.problem.space, plan.n_trials, plan.search_seed).ask(plan.n_trials)


def _collect(
    executor: ScheduledExecutor, n_ends: int, n_results: int, patience: float = 180.0
) -> tuple[dict[tuple[str, int], TrialEnd], list[FitResult]]:
    ends: dict[tuple[str, int], TrialEnd] = {}
    results: list[FitResult] = []
    deadline = time.monotonic() + patience
    while (len(ends) < n_ends or len(results) < n_results) and time.monotonic() < deadline:
        results += executor.results(timeout=0.1)
        for end in executor.trial_ends(timeout=0.1):
            assert (end.study, end.number) not in ends, "each trial must end once"
            ends[end.study, end.number] = end
    assert (len(ends), len(results)) == (n_ends, n_results), (
        f"expected {n_ends} ends, {n_results} results, got {len(ends)}, {len(results)}"
    )
    return ends, results
