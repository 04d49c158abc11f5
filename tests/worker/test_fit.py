"""Fitting and scoring: seeds, warnings, threads; failure is a value."""

import random
import sys
import threading
import warnings

import numpy as np
import pytest
import threadpoolctl
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.metrics import make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from foldwise.keys.seeds import seed_random_states, seeded
from foldwise.testing import small_plan
from foldwise.worker.fit import FitContext, caught_warnings, limited_threads


class Doing(ClassifierMixin, BaseEstimator):
    """A classifier that does something while it is fitted."""

    def __init__(self, do=None):
        self.do = do

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.done_ = self.do()
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def run_one(estimator, **options):
    plan = small_plan(estimator, {"do": [estimator.do]} if isinstance(estimator, Doing) else None, **options)
    params = {"do": estimator.do} if isinstance(estimator, Doing) else {}
    (result,) = FitContext.of(plan).run([plan.fit(params, plan.studies[0].folds[0].train, keep_model=True)])
    return result


def test_seeds_derive_from_the_step_and_equal_prefixes_get_equal_ones():
    long = make_pipeline(SelectFromModel(RandomForestClassifier()), DecisionTreeClassifier())
    other = make_pipeline(SelectFromModel(RandomForestClassifier()), RandomForestClassifier())
    first, second = (seed_random_states(one, 7).get_params() for one in (long, other))
    name = "selectfrommodel__estimator__random_state"
    assert first[name] == second[name] is not None
    assert first["decisiontreeclassifier__random_state"] not in {None, first[name]}
    assert seed_random_states(DecisionTreeClassifier(random_state=3), 7).random_state == 3


def test_global_generators_are_seeded_and_put_back():
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    draws = []
    for _ in range(2):
        with seeded(5):
            draws.append((random.random(), np.random.rand()))
    assert draws[0] == draws[1]
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_an_estimator_that_draws_from_the_global_generator_repeats():
    results = [run_one(Doing(do)).model.done_ for do in [np.random.rand] * 2]
    assert results[0] == results[1]


def test_warnings_are_caught_once_each_and_only_of_the_own_thread():
    with warnings.catch_warnings(record=True) as outside:
        warnings.simplefilter("always")
        with caught_warnings() as caught:
            for _ in range(3):
                warnings.warn("mine", RuntimeWarning, stacklevel=1)
            other = threading.Thread(target=lambda: warnings.warn("another thread's", UserWarning, stacklevel=1))
            other.start()
            other.join()
    assert list(caught) == [("builtins:RuntimeWarning", "mine")]
    assert [str(one.message) for one in outside] == ["another thread's"]


def raising(error):
    raise error


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyError(), SystemExit(3), RecursionError("deep\nand long")])
def test_whatever_a_fit_raises_is_a_value(error):
    result = run_one(Doing(lambda: raising(error)))
    assert result.error.kind == type(error).__name__
    assert result.error.message
    assert "\n" not in result.error.message
    assert "raising" in result.error.traceback
    assert result.scores == {}
    assert result.model is None


def test_a_metric_that_fails_fails_the_fit_and_keeps_the_others():
    def broken(y_true, y_predicted):
        raise ZeroDivisionError("no rows")

    scoring = {"accuracy": "accuracy", "broken": make_scorer(broken)}
    result = run_one(Doing(lambda: 1), scoring=scoring)
    assert result.error is None
    assert {str(error) for error in result.failures} == {"ZeroDivisionError: broken: no rows"}
    assert all(set(scores) == {"accuracy"} for scores in result.scores.values())


def test_a_fit_is_scored_on_every_set_that_any_study_wants():
    plan = small_plan(outer_cv=4)
    for train, held_out in plan.held_out.items():
        (result,) = FitContext.of(plan).run([plan.fit({"max_depth": 1}, train)])
        assert set(result.scores) == set(held_out)


def test_threads_are_limited_while_fits_run_and_put_back():
    def threads():
        return {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}

    with threadpoolctl.threadpool_limits(2):
        with limited_threads(1):
            assert threads() == {1}
        assert threads() == {2}
    assert "sklearn" in sys.modules
