"""The pilot: a few timed fits say what the whole will cost."""

import time

import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline

from foldwise.errors import FitFailedError
from foldwise.executors import SerialExecutor
from foldwise.loop.pilot import fly
from foldwise.testing import FaultyEstimator, small_plan


class Slow(TransformerMixin, BaseEstimator):
    """Changes nothing, in 50 ms."""

    def fit(self, X, y=None):
        time.sleep(0.05)
        return self

    def transform(self, X):
        return X + 0.0


def test_a_pilot_reckons_what_fits_take_and_what_they_share():
    estimator = make_pipeline(Slow(), FaultyEstimator("sleep", seconds=0.02))
    plan = small_plan(estimator, {"faultyestimator__bias": [0.0, 0.1, 0.2, 0.3]})
    pilot = fly(plan, SerialExecutor())
    assert pilot.n_fits == 6
    assert plan.n_fits == 4 * (3 + 3) + 1
    least = 25 * 0.02 + 6 * 0.05  # each fit sleeps, and each set of train rows has its prefix fitted once
    assert least <= pilot.cpu_seconds <= 10 * least
    assert pilot.wall_seconds == pilot.cpu_seconds
    assert pilot.peak_bytes > 2**20
    assert pilot.explain().startswith("expected   ")
    assert set(pilot.to_dict()) == {"n_fits", "n_cores", "cpu_seconds", "wall_seconds", "peak_bytes", "is_at_most"}
    assert not pilot.is_at_most


def test_a_pilot_of_a_search_that_adapts_looks_at_its_first_batch():
    plan = small_plan(FaultyEstimator(), {"bias": [0.0, 0.1, 0.2]}, "optuna", n_trials=10, batch=4)
    assert fly(plan, SerialExecutor()).n_fits in {4, 6}


def test_a_pilot_whose_fits_all_fail_says_why():
    with pytest.raises(FitFailedError, match="all 2 pilot fits failed: ValueError: fault asked for"):
        fly(small_plan(FaultyEstimator("raise"), {"bias": [0.0, 0.1]}), SerialExecutor())
