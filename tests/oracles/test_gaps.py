"""Fits and metrics that fail in each place, beside loops written by hand with scikit-learn and Optuna: equal to the last bit."""

import math
import warnings

import numpy as np
import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)  # fmt: skip
from sklearn.tree import DecisionTreeClassifier

import foldwise as fw

N = 48
RNG = np.random.RandomState(0)
X = np.column_stack([RNG.normal(size=(N, 2)), np.arange(N)])  # the last column numbers the rows
Y = (X[:, 0] + 0.7 * RNG.normal(size=N) > 0).astype(int)
GROUPS = np.arange(N) % 12


class Gappy(ClassifierMixin, BaseEstimator):
    """A tree on two columns that fails, or is scored badly, where row 0 is (or is not) among its rows."""

    def __init__(self, max_depth=1, trouble="none"):
        self.max_depth, self.trouble = max_depth, trouble

    def fit(self, X, y):
        if self.trouble == "fit" and 0 not in X[:, 2]:
            raise ValueError("row 0 is missing")
        self.tree_ = DecisionTreeClassifier(max_depth=self.max_depth, random_state=0).fit(X[:, :2], y)
        self.classes_ = self.tree_.classes_
        return self

    def predict(self, X):
        return self.tree_.predict(X[:, :2])


def scorer_with(name):
    """Make a scorer that has gaps for estimators whose trouble names it."""

    def score(model, X, y):
        value = accuracy_score(y, model.predict(X)) - (0.02 * model.max_depth if name == "other" else 0)
        if model.trouble == f"{name} nan" and 0 in X[:, 2]:
            return math.nan
        if model.trouble == f"{name} train" and len(X) > N / 2:
            return math.nan
        if model.trouble == f"{name} raises" and 0 in X[:, 2]:
            raise ZeroDivisionError(f"{name} is not defined here")
        return value

    return score


SCORERS = {name: scorer_with(name) for name in ("acc", "other")}
TROUBLES = ["none", "fit", *(f"{name} {what}" for name in ("acc", "other") for what in ("nan", "raises", "train"))]


def near_the_best(results):
    """Choose the shallowest tree within a deviation of the best."""
    mean, std = results["mean_test_acc"], results["std_test_acc"]
    near = np.flatnonzero(mean >= np.nanmax(mean) - std[np.nanargmax(mean)])
    return int(min(near, key=lambda index: (results["params"][index]["max_depth"], index)))


def best_other(results):
    return int(np.nanargmax(results["mean_test_other"]))


FOLDS = {
    "shared": (KFold(4), "shared", False),
    "shared, strata": (StratifiedKFold(3, shuffle=True, random_state=1), "shared", False),
    "repeats": (RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), "shared", False),
    "groups": (GroupKFold(4), "shared", True),
    "own inner": (KFold(3), StratifiedKFold(4), False),
    "own inner, groups": (GroupKFold(3), GroupKFold(2), True),
    "a hold-out": (ShuffleSplit(1, random_state=0), KFold(3), False),
    "equal splitters": (KFold(3), KFold(3), False),
}


def inner_of(outer, repeat_size, fold):
    """Return the other outer folds of its repeat, as a splitter of the fold's train rows."""
    first = fold // repeat_size * repeat_size
    number = np.full(N, -1)
    for other in range(first, first + repeat_size):
        if other != fold:
            number[outer[other][1]] = other
    return PredefinedSplit(number[outer[fold][0]])


def by_hand(grid, folds, **how):
    """Return chosen params, outer scores of both metrics, and the final search."""
    outer_cv, inner_cv, grouped = FOLDS[folds]
    groups = GROUPS if grouped else None
    outer = list(outer_cv.split(X, Y, groups))
    repeat_size = getattr(outer_cv, "cvargs", {}).get("n_splits", len(outer))
    chosen, scores = [], []
    for fold, (train, test) in enumerate(outer):
        inner = inner_of(outer, repeat_size, fold) if inner_cv == "shared" else inner_cv
        search = GridSearchCV(Gappy(), grid, cv=inner, scoring=SCORERS, **how)
        try:
            search.fit(X[train], Y[train], groups=None if groups is None else groups[train])
        except ValueError:  # its refit failed
            chosen.append(search.best_params_ if hasattr(search, "best_params_") else None)
            scores.append(dict.fromkeys(SCORERS, math.nan))
            continue
        chosen.append(search.best_params_)
        scores.append({})
        for name, scorer in SCORERS.items():
            try:
                scores[-1][name] = scorer(search.best_estimator_, X[test], Y[test])
            except ZeroDivisionError:
                scores[-1][name] = math.nan
    final = GridSearchCV(Gappy(), grid, cv=outer_cv if inner_cv == "shared" else inner_cv, scoring=SCORERS, **how)
    return chosen, scores, final.fit(X, Y, groups=groups)


CASES = {
    "trouble": st.sampled_from(TROUBLES),
    "error_score": st.sampled_from([math.nan, 0.0, 0.7, -3]),
    "folds": st.sampled_from(list(FOLDS)),
    "refit": st.sampled_from(["acc", "other", near_the_best, best_other]),
    "train_scores": st.booleans(),
}


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(**CASES)
def test_choices_scores_and_the_final_model_are_those_of_scikit_learn(**case):
    compare(**case)


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(**CASES)
def test_many_choices_scores_and_final_models_are_those_of_scikit_learn(**case):
    compare(**case)


def compare(trouble, error_score, folds, refit, train_scores):
    """Compare one search with its loop by hand."""
    grid = [{"max_depth": [1, 2, 3]}, {"max_depth": [2, 4], "trouble": [trouble]}]
    how = {"refit": refit, "error_score": error_score, "return_train_score": train_scores}
    outer_cv, inner_cv, grouped = FOLDS[folds]
    search = fw.NestedSearchCV(
        Gappy(), grid, search="grid", outer_cv=outer_cv, inner_cv=inner_cv, scoring=SCORERS, executor="serial", **how
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen, scores, final = by_hand(grid, folds, **how)
        search.fit(X, Y, groups=GROUPS if grouped else None)
    assert [one for one, known in zip(search.outer_results_["params"], chosen, strict=True) if known] == [
        c for c in chosen if c
    ]
    for name in SCORERS:
        np.testing.assert_array_equal(search.outer_scores_[name], [one[name] for one in scores])
    for column, values in final.cv_results_.items():
        if "_test_" in column or "_train_" in column:
            np.testing.assert_array_equal(search.cv_results_[column], values, column)
    assert (search.best_params_, search.best_index_) == (final.best_params_, final.best_index_)
    np.testing.assert_array_equal(search.predict(X), final.predict(X))
    of_final = search.trials_[search.trials_["study"] == "final"]
    means = search.cv_results_[f"mean_test_{refit if isinstance(refit, str) else 'acc'}"]
    assert of_final["state"].tolist() == ["COMPLETE" if np.isfinite(mean) else "FAILED" for mean in means]


def asked_by_hand(n_trials, batch, error_score, scoring, cv):
    """Let Optuna ask in batches, and tell it the mean that chooses; what is no number is told as a failure."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=3))
    params = []
    while len(params) < n_trials:
        trials = [study.ask() for _ in range(min(batch, n_trials - len(params)))]
        for trial in trials:
            trial.suggest_int("max_depth", 1, 8)
            trial.suggest_categorical("trouble", TROUBLES)
        for trial in trials:
            scores = cross_validate(Gappy(**trial.params), X, Y, cv=cv, scoring=scoring, error_score=error_score)
            mean = np.average(scores["test_acc"])
            study.tell(trial, mean) if np.isfinite(mean) else study.tell(trial, state=optuna.trial.TrialState.FAIL)
            params.append(trial.params)
    return params, study


@pytest.mark.parametrize("error_score", [math.nan, 0.0, -3.0])
@pytest.mark.parametrize("scoring", [{"acc": SCORERS["acc"]}, SCORERS], ids=["alone", "beside another"])
def test_optuna_is_told_the_number_that_chooses(error_score, scoring):
    space = {"max_depth": fw.Int(1, 8), "trouble": TROUBLES}
    search = fw.NestedSearchCV(
        Gappy(), space, search=fw.OptunaSearch(sampler=optuna.samplers.TPESampler(seed=3)), n_trials=32, outer_cv=KFold(3),
        scoring=scoring, refit="acc", error_score=error_score, executor="serial", random_state=0,
    )  # fmt: skip
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, study = asked_by_hand(32, 8, error_score, scoring, KFold(3))
        search.fit(X, Y)
    optuna.logging.set_verbosity(verbosity)
    ours = search.studies_["final"].trials
    assert [trial.params for trial in ours] == expected
    assert [trial.state for trial in ours] == [trial.state for trial in study.trials]
    np.testing.assert_array_equal(
        [t.value for t in ours if t.value is not None], [t.value for t in study.trials if t.value is not None]
    )


def test_one_metric_by_a_scorer_object_is_the_metric_by_name():
    both = [
        fw.NestedSearchCV(
            DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}, search="grid", outer_cv=3, scoring=scoring,
            executor="serial", random_state=0,
        ).fit(X, Y)
        for scoring in ("accuracy", make_scorer(accuracy_score))
    ]  # fmt: skip
    by_name, made = both
    np.testing.assert_array_equal(by_name.outer_scores_["accuracy"], made.outer_scores_["score"])
    assert by_name.interval_ == made.interval_
