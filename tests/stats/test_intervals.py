"""Intervals against published numbers, scipy, and the reasons why there is none."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.svm import SVC

from foldwise.stats.intervals import Interval, corrected_t_interval, nested_interval, wilson_interval


def test_the_interval_of_the_published_nested_search_on_iris():
    X, y = load_iris(return_X_y=True)
    folds = KFold(4, shuffle=True, random_state=0)
    search = GridSearchCV(SVC(kernel="rbf"), {"C": [1, 10, 100], "gamma": [0.01, 0.1]}, cv=folds)
    scores, n_train, n_test = [], [], []
    for train, test in folds.split(X):
        scores.append(search.fit(X[train], y[train]).score(X[test], y[test]))
        n_train.append(len(train))
        n_test.append(len(test))
    assert scores == pytest.approx([0.973684, 0.894737, 1.0, 0.918919], abs=1e-6)
    low, high = corrected_t_interval(scores, [3] * 4, [1] * 4)
    assert np.mean(scores) == pytest.approx(0.946835, abs=1e-6)
    assert (low, high) == pytest.approx((0.829082, 1.064588), abs=1e-6)
    reach = scipy.stats.t.ppf(0.975, 3)
    assert (high - low) / 2 / reach == pytest.approx(0.037001, abs=1e-6)
    assert corrected_t_interval(scores, n_train, n_test) == pytest.approx((low, high), abs=1e-4)


def test_the_corrected_t_of_the_toy_example():
    # ORACLES.md, item 8: t 2.828427, two-sided p .047421: the interval of that confidence ends at zero
    differences = [0.1, 0.2, 0.3, 0.4, 0.5]
    low, high = corrected_t_interval(differences, [4] * 5, [1] * 5, confidence=1 - 0.047421)
    assert low == pytest.approx(0, abs=1e-5)
    assert high == pytest.approx(0.6, abs=1e-5)
    assert 0.3 / ((high - 0.3) / scipy.stats.t.ppf(1 - 0.047421 / 2, 4)) == pytest.approx(2.828427, abs=1e-5)


def test_the_corrected_t_of_a_repeated_comparison():
    # ORACLES.md, item 2: mean .01, s .038297, 100 scores, n_train 90, n_test 10: t .7503126954
    scores = np.tile([-1.0, 1.0], 50)
    scores = 0.01 + 0.038297 * scores / scores.std(ddof=1)
    low, high = corrected_t_interval(scores, [90] * 100, [10] * 100)
    assert 0.01 / ((high - low) / 2 / scipy.stats.t.ppf(0.975, 99)) == pytest.approx(0.7503126954, abs=1e-4)


@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.9, 0.95, 0.99]))
def test_wilsons_interval_is_scipys(n, share, confidence):
    right = round(share * n)
    expected = scipy.stats.binomtest(right, n).proportion_ci(confidence, method="wilson")
    assert wilson_interval(right / n, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


# --- of a nested mean -------------------------------------------------------------------------------------------------

SCORES, TRAIN, TEST = [0.9, 0.8, 0.95, 0.85, 0.9], [80] * 5, [20] * 5


def test_the_interval_is_the_corrected_t():
    interval = nested_interval(SCORES, TRAIN, TEST)
    assert interval.ends == corrected_t_interval(SCORES, TRAIN, TEST)
    assert interval.how == "corrected resampled t (Nadeau and Bengio)"


def test_the_interval_ends_where_the_metric_does():
    scores = [1.0, 0.6, 1.0, 0.9, 1.0]
    assert corrected_t_interval(scores, TRAIN, TEST)[1] > 1
    assert nested_interval(scores, TRAIN, TEST, limits=(0, 1)).high == 1
    assert nested_interval([0.0, 0.4, 0.0, 0.1, 0.0], TRAIN, TEST, limits=(0, 1)).low == 0


def test_near_the_ceiling_the_interval_is_never_narrower_than_wilsons():
    scores = [1.0, 1.0, 0.95, 1.0, 1.0]
    interval = nested_interval(scores, TRAIN, TEST, limits=(0, 1), n_rows=100)
    t, wilson = corrected_t_interval(scores, TRAIN, TEST), wilson_interval(0.99, 100)
    assert interval.ends == (min(t[0], wilson[0]), 1.0)
    assert wilson[0] < t[0]
    assert interval.how == "corrected resampled t (Nadeau and Bengio), widened to Wilson's interval"


def test_a_wide_interval_is_not_widened():
    interval = nested_interval([1.0, 0.5, 1.0, 0.5, 1.0], TRAIN, TEST, limits=(0, 1), n_rows=100)
    assert interval.ends == (corrected_t_interval([1.0, 0.5, 1.0, 0.5, 1.0], TRAIN, TEST)[0], 1)


def test_with_all_scores_equal_wilsons_interval_is_left():
    interval = nested_interval([1.0] * 5, TRAIN, TEST, limits=(0, 1), n_rows=100)
    assert interval.ends == wilson_interval(1.0, 100)
    assert interval.how == "Wilson's interval on the pooled outer rows"


def test_pooled_rows_weigh_folds_by_their_size():
    interval = nested_interval([1.0, 1.0, 0.5], [10, 10, 58], [29, 29, 2], limits=(0, 1), n_rows=60)
    assert interval.low <= wilson_interval(59 / 60, 60)[0]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"scores": [0.9, math.nan, 0.8]}, "an outer fold has no score"),
        ({"scores": [0.9, math.inf, 0.8]}, "an outer fold has no score"),
        ({"scores": [0.9]}, "one outer fold has no spread"),
        ({"scores": []}, "one outer fold has no spread"),
        ({"scores": [0.9, 0.9, 0.9]}, "all outer scores are equal, which says nothing of their spread"),
        (
            {"scores": [0.9, 0.8, 0.7], "time_ordered": True},
            "the folds are ordered in time, and no interval is known to hold for them",
        ),
        ({"scores": [0.9], "n_rows": 100}, "one outer fold has no spread"),
    ],
)
def test_where_there_is_no_interval_there_is_the_reason(arguments, reason):
    n = len(arguments["scores"])
    interval = nested_interval(**{"n_train": [80] * n, "n_test": [20] * n, **arguments})
    assert interval == Interval(None, None, reason)
    assert interval.ends is None


@given(st.lists(st.floats(0, 1), min_size=2, max_size=10), st.integers(10, 100), st.sampled_from([None, 50, 500]))
def test_an_interval_holds_the_mean_within_the_limits(scores, n_train, n_rows):
    n = len(scores)
    interval = nested_interval(scores, [n_train] * n, [10] * n, limits=(0, 1), n_rows=n_rows)
    if interval.ends is not None:
        assert 0 <= interval.low <= np.mean(scores) + 1e-12
        assert np.mean(scores) - 1e-12 <= interval.high <= 1
