"""Limits: validated like resources, no part of any key, and kept."""

import threading

import pytest
from sklearn.datasets import load_iris

import foldwise as fw
from foldwise.errors import InputError, InputTypeError
from foldwise.job.job import Job
from foldwise.loop.run import Run
from foldwise.plan.limits import Limits
from foldwise.report import Report
from foldwise.testing import FaultyEstimator, small_plan

IRIS = load_iris(return_X_y=True)
JOB = {
    "data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "sklearn.dummy:DummyClassifier",
    "space": {"strategy": ["prior", "uniform"]}, "search": {"method": "grid"}, "executor": "serial", "seed": 0,
}  # fmt: skip


def test_limits_are_read():
    assert Limits.of(None) == Limits.of({}) == Limits()
    assert Limits.of({"fit_seconds": 1, "seconds": 2.5, "wait_seconds": None}) == Limits(1.0, 2.5)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (60, InputTypeError, r"limits: expected a mapping such as .*got 60"),
        (
            {"fit_second": 60},
            InputError,
            r"limits\.fit_second: expected a known limit, got 'fit_second'; did you mean fit_seconds\?",
        ),
        ({"fit_seconds": "60"}, InputTypeError, r"limits\.fit_seconds: expected seconds > 0, got '60'"),
        ({"fit_seconds": True}, InputTypeError, r"limits\.fit_seconds: expected seconds > 0, got True"),
        ({"seconds": 0}, InputError, r"limits\.seconds: expected seconds > 0, got 0; leave it out for no limit"),
        ({"wait_seconds": -1}, InputError, r"limits\.wait_seconds: .*got -1"),
        ({"seconds": float("nan")}, InputError, r"limits\.seconds: .*got nan"),
        ({"seconds": float("inf")}, InputError, r"limits\.seconds: .*got inf"),
    ],
)
def test_a_wrong_limit_is_named_in_python_and_in_a_job(given, error, words):
    with pytest.raises(error, match=words):
        small_plan(limits=given)
    with pytest.raises(InputError, match="job: limits"):
        Job.parse({**JOB, "limits": given}).plan()


def test_limits_are_no_part_of_a_key():
    limited = small_plan(limits={"fit_seconds": 60, "seconds": 60, "wait_seconds": 60})
    free = small_plan()
    assert limited.problem.settings.limits.fit_seconds == 60
    assert limited.problem.key == free.problem.key
    assert limited.fit({}, free.whole).key == free.fit({}, free.whole).key


def test_a_fit_that_hangs_fails_with_that_cause_and_others_go_on():
    search = fw.NestedSearchCV(
        FaultyEstimator(), {"fault": ["hang", None]}, search="grid", outer_cv=3, executor="serial", limits={"fit_seconds": 0.8}
    ).fit(*IRIS)
    states = search.trials_.groupby("trial")["state"].unique()
    assert states[0].tolist() == ["FAILED"]
    assert states[1].tolist() == ["COMPLETE"]
    assert search.trials_["error"][0] == "TimeLimitExceeded: the fit took longer than 0.8 s (limits.fit_seconds)"


def test_the_serial_executor_refuses_a_limit_that_it_cannot_keep():
    caught = []

    def fit():
        search = fw.NestedSearchCV(FaultyEstimator(), {"bias": [0.0]}, executor="serial", limits={"fit_seconds": 1})
        with pytest.raises(InputError, match=r"limits\.fit_seconds: .*main thread.*use executor='ray'") as error:
            search.fit(*IRIS)
        caught.append(error.value)

    thread = threading.Thread(target=fit)
    thread.start()
    thread.join()
    assert caught


def test_a_job_whose_time_is_over_ends_in_good_order():
    estimator = FaultyEstimator("sleep", seconds=0.02)
    space = {"bias": [i / 100 for i in range(100)]}
    plan = small_plan(estimator, space, limits={"seconds": 2})
    run = Run(plan, fw.SerialExecutor())
    report = Report(run.execute())
    assert report.partial
    assert report.ended == "its time is over (limits.seconds: 2)"
    assert "PARTIAL: 0 of 3 outer folds are complete, the final study is not; its time is over" in str(report)
    assert 0 < report.n_fits <= 2 / 0.02 + 50 < plan.n_fits, "a chunk more than its time holds"
    assert not run.step(), "what has ended does not begin again"


def test_in_python_a_search_whose_time_is_over_keeps_what_is_complete_and_warns():
    search = fw.NestedSearchCV(
        FaultyEstimator("sleep", seconds=0.02), {"bias": [i / 100 for i in range(100)]}, search="grid", outer_cv=3,
        executor="serial", limits={"seconds": 0.5},
    )  # fmt: skip
    with pytest.warns(RuntimeWarning, match=r"PARTIAL: .*limits\.seconds"):
        search.fit(*IRIS)
    assert search.report().partial
    assert not hasattr(search, "best_params_")
    with pytest.raises(Exception, match="not fitted"):
        search.predict(IRIS[0])
    search.set_params(limits=None, space={"bias": [0.0]}).fit(*IRIS)
    assert search.best_params_ == {"bias": 0.0}
