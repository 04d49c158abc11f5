"""What is known of metrics before anything runs: held-out rows that they cannot judge."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import load_diabetes, make_classification
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import make_scorer, mean_absolute_error, roc_auc_score
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, PredefinedSplit, StratifiedKFold

import foldwise as fw
from foldwise.errors import FoldsError

X, Y = make_classification(60, 6, n_classes=3, n_informative=4, random_state=0)
ORDER = np.argsort(Y == 2, kind="stable")
X, Y = X[ORDER], Y[ORDER]
LACKS = np.arange(60) % 4
LACKS[Y == 2] = np.arange((Y == 2).sum()) % 3  # fold 3 holds no row of class 2
NUMBERS = tuple(part[:20] for part in load_diabetes(return_X_y=True))


def plan(data, estimator, **changes):
    given = {"search": "grid", "executor": "serial", "random_state": 0, **changes}
    space = {"C": [1]} if isinstance(estimator, LogisticRegression) else {"fit_intercept": [True]}
    return fw.NestedSearchCV(estimator, space, **given).plan(*data)


@pytest.mark.parametrize(
    ("scoring", "outer", "inner", "words"),
    [
        ("neg_log_loss", PredefinedSplit(LACKS), "shared", r"^outer_cv: .*neg_log_loss, which chooses.* fold 3 with 1\d rows without class 2 \(.*use a strat"),
        ("roc_auc_ovr", PredefinedSplit(LACKS), "shared", r"^outer_cv: .*roc_auc_ovr"),
        (["accuracy", "roc_auc_ovr"], PredefinedSplit(LACKS), "shared", None),
        (["roc_auc_ovr", "accuracy"], PredefinedSplit(LACKS), "shared", r"^outer_cv: .*roc_auc_ovr"),
        ("neg_log_loss", StratifiedKFold(4), PredefinedSplit(LACKS), r"^inner_cv: .*neg_log_loss"),
        (make_scorer(roc_auc_score, response_method="predict_proba", multi_class="ovo"), PredefinedSplit(LACKS), "shared", r"^outer_cv: .*roc_auc_ovo, which"),
        ("accuracy", PredefinedSplit(LACKS), "shared", None),
        ("f1_macro", PredefinedSplit(LACKS), "shared", None),
        ("neg_log_loss", StratifiedKFold(4), "shared", None),
        (None, PredefinedSplit(LACKS), "shared", None),
        (lambda estimator, X, y: 0.5, PredefinedSplit(LACKS), "shared", None),
    ],
)  # fmt: skip
def test_held_out_rows_without_a_class_are_refused_where_the_metric_that_chooses_needs_it(scoring, outer, inner, words):
    if words is None:
        assert plan((X, Y), LogisticRegression(), scoring=scoring, outer_cv=outer, inner_cv=inner).n_fits
        return
    with pytest.raises(FoldsError, match=words):
        plan((X, Y), LogisticRegression(), scoring=scoring, outer_cv=outer, inner_cv=inner)


@pytest.mark.parametrize("inner", ["shared", 3])
@pytest.mark.parametrize("scoring", [None, "r2"])
def test_a_metric_that_needs_two_rows_is_refused_on_single_ones(scoring, inner):
    words = r"^outer_cv: .*, which chooses, can be computed, got fold 0 with 1 row \(.*; use fewer folds, of several rows each, or .* neg_mean_squared_error"
    with pytest.raises(FoldsError, match=words):
        plan(NUMBERS, LinearRegression(), scoring=scoring, outer_cv=LeaveOneOut(), inner_cv=inner)


@pytest.mark.parametrize(
    "scoring", ["neg_mean_squared_error", "max_error", make_scorer(mean_absolute_error, greater_is_better=False)]
)
def test_a_metric_that_takes_single_rows_is_not(scoring):
    scoring = "neg_max_error" if scoring == "max_error" else scoring
    assert plan(NUMBERS, LinearRegression(), scoring=scoring, outer_cv=LeaveOneOut()).n_fits


def test_two_classes_on_single_rows_cannot_have_a_roc():
    data = X[Y < 2], Y[Y < 2]
    with pytest.raises(FoldsError, match=r"1 row without class 1 .*use fewer folds, of several rows each"):
        plan(data, LogisticRegression(), scoring="roc_auc", outer_cv=LeaveOneOut())
    assert plan(data, LogisticRegression(), scoring=["accuracy", "roc_auc"], outer_cv=LeaveOneOut()).n_fits
    assert plan(data, LogisticRegression(), scoring=["accuracy", "roc_auc"], refit=len, outer_cv=LeaveOneOut()).n_fits


def test_targets_of_several_columns_are_judged_alike():
    two = np.column_stack([NUMBERS[1], NUMBERS[1] ** 2])
    with pytest.raises(FoldsError, match="with 1 row"):
        plan((NUMBERS[0], two), LinearRegression(), outer_cv=LeaveOneOut())
    assert plan((NUMBERS[0], two), LinearRegression(), outer_cv=KFold(3)).n_fits


def test_groups_that_hold_one_class_are_refused_for_a_roc():
    y = np.repeat([0, 1], 30)
    with pytest.raises(FoldsError, match="without class"):
        fw.NestedSearchCV(LogisticRegression(), {"C": [1]}, search="grid", outer_cv=GroupKFold(6), scoring="roc_auc").plan(
            X, y, groups=np.arange(60) // 10
        )


def test_an_estimator_that_is_neither_is_left_alone():
    class Anything(BaseEstimator):
        def __init__(self, a=0):
            self.a = a

        def fit(self, X, y=None):
            return self

        def score(self, X, y=None):
            return 0.0

    assert fw.NestedSearchCV(Anything(), {"a": [1]}, search="grid", outer_cv=LeaveOneOut()).plan(X[:8]).n_fits


def test_repeats_of_unequal_numbers_of_folds_are_not_shared():
    folds = [*KFold(3).split(X), *KFold(4).split(X)]
    with pytest.raises(FoldsError, match=r"^outer_cv: expected repeats of equal numbers of folds to share them, got 3, 4"):
        fw.NestedSearchCV(DummyClassifier(), {"constant": [0]}, search="grid", outer_cv=folds).plan(X, Y % 2)


@pytest.mark.parametrize(
    ("rows", "place"), [((np.array([], int), np.arange(5)), "outer_cv"), ((np.arange(5), np.array([], int)), "outer_cv")]
)
def test_empty_sides_are_refused(rows, place):
    with pytest.raises(FoldsError, match=f"^{place}: fold 0: expected rows on both sides"):
        fw.NestedSearchCV(DummyRegressor(), {"constant": [0]}, search="grid", outer_cv=[rows], inner_cv=2).plan(*NUMBERS)
