"""The loop: what is asked, run, told and said."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.svm import SVC

import foldwise as fw
from foldwise.errors import StudyFailedError
from foldwise.events import FitEnded, RunEnded, RunStarted, RunWaits, StudyEnded, TrialEnded
from foldwise.executors import SerialExecutor
from foldwise.ledger import MemoryLedger
from foldwise.loop.run import Interrupted, Run
from foldwise.plan.study import FINAL
from foldwise.report import Report
from foldwise.testing import FaultyEstimator, ShuffledExecutor, small_plan


class Watched(SerialExecutor):
    """A serial executor that notes what was submitted, and how much was in flight at most."""

    def __init__(self, n_slots=1):
        super().__init__()
        self.submitted, self.most, self.n_slots, self.closed = [], 0, n_slots, 0

    @property
    def slots(self):
        return self.n_slots

    def submit(self, chunk):
        self.submitted += [fit.key for fit in chunk]
        super().submit(chunk)
        self.most = max(self.most, len(self._waiting))

    def close(self):
        self.closed += 1
        super().close()


def test_each_fit_runs_once_and_the_plan_counts_them():
    executor = Watched(n_slots=4)
    plan = small_plan(outer_cv=5)
    report = Report(Run(plan, executor).execute())
    assert len(executor.submitted) == len(set(executor.submitted)) == plan.n_fits == report.n_fits
    assert report.n_fits + report.n_fits_shared == plan.n_fits_plain == report.n_fits_plain
    assert executor.most <= 4
    assert executor.closed == 1


def test_a_ledger_that_has_everything_leaves_only_the_final_model_to_run():
    ledger, plan = MemoryLedger(), small_plan()
    first = Report(Run(plan, SerialExecutor(), ledger).execute())
    executor = Watched()
    second = Report(Run(plan, executor, ledger).execute())
    assert len(executor.submitted) == 1
    assert second.scores == first.scores
    assert [one.params for one in second.outer] == [one.params for one in first.outer]


def test_a_search_that_is_larger_uses_what_a_smaller_one_ran():
    ledger = MemoryLedger()
    space = {"max_depth": fw.Int(1, 30), "min_samples_leaf": fw.Int(1, 20)}
    small = Report(Run(small_plan(space=space, search="optuna", n_trials=4, batch=2), SerialExecutor(), ledger).execute())
    large = Report(Run(small_plan(space=space, search="optuna", n_trials=8, batch=2), SerialExecutor(), ledger).execute())
    alone = Report(Run(small_plan(space=space, search="optuna", n_trials=8, batch=2), SerialExecutor()).execute())
    assert large.scores == alone.scores
    assert large.n_fits <= alone.n_fits - small.n_fits + 4 + 1  # the final model, and refits of other choices


def test_events_tell_the_whole_story_in_order():
    events = []
    plan = small_plan()
    Run(plan, ShuffledExecutor(1), listeners=[events.append]).execute()
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunEnded)
    assert events[-1].model.model.predict(load_iris().data).shape == (150,)
    assert sum(isinstance(event, FitEnded) for event in events) == plan.n_fits
    assert sum(isinstance(event, TrialEnded) for event in events) == plan.n_trials * len(plan.studies)
    ended = {event.study: event for event in events if isinstance(event, StudyEnded)}
    assert set(ended) == {study.name for study in plan.studies}
    assert ended[FINAL].outer is None
    for name, event in ended.items():
        assert [trial.number for trial in event.trials] == list(range(plan.n_trials))
        told = [i for i, e in enumerate(events) if isinstance(e, TrialEnded) and e.study == name]
        assert max(told) < events.index(event)


def test_an_adapting_search_is_asked_in_batches_and_told_in_order():
    told = []

    class Noted(type(fw.RandomSearch())):
        adapts = True

        def open(self, space, n_trials, seed):
            asker = super().open(space, n_trials, seed)
            log = []
            told.append(log)
            ask, tell = asker.ask, asker.tell
            asker.ask = lambda n: (log.append(("ask", n)), ask(n))[1]
            asker.tell = lambda trials: (log.extend(("tell", t.number) for t in trials), tell(trials))[1]
            return asker

    plan = small_plan(space={"max_depth": fw.Int(1, 30)}, search=Noted(), n_trials=5, batch=2)
    Run(plan, ShuffledExecutor(4)).execute()
    story = [("ask", 2), ("tell", 0), ("tell", 1), ("ask", 2), ("tell", 2), ("tell", 3), ("ask", 2), ("tell", 4)]
    assert told[-len(plan.studies) :] == [story] * len(plan.studies)


def test_step_by_step_is_execute():
    plan = small_plan()
    run = Run(plan, SerialExecutor())
    steps = 0
    while run.step():
        steps += 1
        assert Report(run.archive()).partial
    assert not run.step()
    assert 2 <= steps <= plan.n_fits
    assert Report(run.archive()).to_dict()["scores"] == Report(Run(plan, SerialExecutor()).execute()).to_dict()["scores"]


def test_aborting_keeps_what_is_complete_and_says_that_it_is_partial():
    events = []
    run = Run(small_plan(outer_cv=4), SerialExecutor(), listeners=[events.append])
    while run.step():
        if (n_complete := sum(isinstance(event, StudyEnded) and event.outer is not None for event in events)) >= 2:
            break
    run.abort()
    report = Report(run.archive())
    assert report.partial
    assert len(report.outer) == n_complete < 4
    assert f"PARTIAL: {n_complete} of 4 outer folds are complete" in str(report)
    assert "quote the second" not in str(report)
    assert events[-1].interrupted
    assert Report(events[-1].archive).partial


def test_an_interruption_carries_the_partial_report():
    def interrupt(event):
        if isinstance(event, StudyEnded):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        Run(small_plan(), SerialExecutor(), listeners=[interrupt]).execute()
    assert Report(caught.value.archive).partial


def test_a_failed_outer_refit_makes_its_fold_nan_and_the_report_partial():
    class FailsOnManyRows(SVC):
        def fit(self, X, y):
            if len(X) == 112:
                raise MemoryError("112 rows are too many")
            return super().fit(X, y)

    report = Report(Run(small_plan(FailsOnManyRows(), {"C": [1.0]}, outer_cv=4, error_score=0.5), SerialExecutor()).execute())
    assert report.partial
    failed = [one for one in report.outer if one.error is not None]
    assert [str(one.error) for one in failed] == ["MemoryError: 112 rows are too many"] * len(failed)
    assert len(failed) == 2
    assert all(np.isnan(one.scores["score"]) for one in failed)
    assert report.scores["score"].interval.how == "an outer fold has no score"
    assert "2 of them without a score" in str(report)


def test_nothing_finished_closes_the_executor_and_shows_the_causes():
    executor, events = Watched(), []
    with pytest.raises(StudyFailedError, match="2 x ValueError: fault asked for"):
        Run(small_plan(FaultyEstimator("raise"), {"bias": [0.0, 1.0]}), executor, listeners=[events.append]).execute()
    assert executor.closed == 1
    assert isinstance(events[-1].error, StudyFailedError)
    assert not events[-1].interrupted


def test_a_wait_is_said_once():
    class Busy(SerialExecutor):
        def waits_for(self):
            return "waiting for a node with GPU 1"

    events = []
    Run(small_plan(), Busy(), listeners=[events.append]).execute()
    assert [event.reason for event in events if isinstance(event, RunWaits)] == ["waiting for a node with GPU 1"]


def test_a_callable_whose_metrics_show_late_is_reported_by_its_names():
    def two(estimator, X, y):
        return {"right": float((estimator.predict(X) == y).mean()), "rows": float(len(y))}

    report = Report(Run(small_plan(scoring=two, refit="right"), ShuffledExecutor(0)).execute())
    assert list(report.scores) == ["right", "rows"]
    assert report.metric == "right"
    assert report.scores["rows"].outer == (50.0, 50.0, 50.0)


@pytest.mark.parametrize("n_slots", [1, 3, 50])
def test_a_large_grid_is_asked_as_the_queue_drains(n_slots):
    plan = small_plan(space={"max_depth": list(range(1, 200)), "min_samples_leaf": list(range(1, 200))})
    executor = Watched(n_slots)
    run = Run(plan, executor)
    for _ in range(5):
        run.step()
    assert sum(live.n_asked for live in run.studies.values()) < 1000 * (1 + n_slots) < 4 * plan.n_trials
    run.abort()
