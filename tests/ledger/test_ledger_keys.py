"""What enters a fit's key, and what does not, as docs/ledger.md promises."""

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import foldwise as fw
from foldwise.job.job import Job

X, Y = load_iris(return_X_y=True)
WEIGHTS = np.linspace(1, 2, len(Y))


def changed(values, row, value):
    values = values.copy()
    values[row] = value
    return values


def keys_of(estimator=None, *, X=X, y=Y, params=None, weights=WEIGHTS, groups=None, **options):
    """Return the keys of some params' fits in every study's folds."""
    options = {"search": "grid", "outer_cv": 5, "random_state": 0, **options}
    estimator, space = (SVC(), {"C": fw.Float(1, 2)}) if estimator is None else (estimator, {})
    if options["search"] == "grid":
        space = {next(iter(params or {"C": 2.0})): [1]}
    search = fw.NestedSearchCV(estimator, space, **options)
    plan = search.plan(X, y, groups=groups, sample_weight=weights)
    return {plan.fit(params or {"C": 2.0}, fold.train).key for study in plan.studies for fold in study.folds}


@pytest.mark.parametrize(
    "change",
    [
        {"X": changed(X, (140, 2), 9.0)},
        {"X": X.astype(np.float32)},
        {"X": X[:, ::-1]},
        {"X": np.asfortranarray(X)},
        {"X": pd.DataFrame(X)},
        {"y": changed(Y, 0, 2)},
        {"weights": changed(WEIGHTS, 3, 5.0)},
        {"weights": None},
        {"params": {"C": 3.0}},
        {"params": {"C": 2}},
        {"params": {"C": 2.0, "gamma": "scale"}},
        {"estimator": SVC(gamma="auto")},
        {"estimator": SVC(C=2.0)},  # a default that the params override is a default that was changed all the same
        {"estimator": SVC(random_state=0)},
        {"random_state": 1},
        {"outer_cv": 4},
    ],
    ids=str,
)
def test_what_a_fit_learns_from_changes_its_key(change):
    assert keys_of() == keys_of()
    assert not keys_of() & keys_of(**change)


def test_rows_that_a_fold_leaves_out_change_the_keys_too_since_data_is_one():
    assert not keys_of() & keys_of(X=X[:-1], y=Y[:-1], weights=WEIGHTS[:-1])


@pytest.mark.parametrize(
    "change",
    [
        {"estimator": SVC(C=1.0, kernel="rbf")},  # its defaults, written out
        {"X": X.copy()},
        {"groups": None},
        {"search": "random", "n_trials": 3},
        {"search": "optuna", "n_trials": 3, "batch": 2},
        {"scoring": "f1_macro"},
        {"refit": False},
        {"n_jobs": 1},
        {"verbose": 2},
        {"resources": {"cpu": 2, "memory": "2GiB"}},
        {"executor": "serial"},
        {"tracking": "sqlite:///elsewhere.db", "experiment": "another"},
        {"ledger": "elsewhere.db"},
        {"error_score": 0.0},
    ],
    ids=str,
)
def test_what_a_fit_does_not_learn_from_leaves_its_key(change):
    assert keys_of() == keys_of(**change)


def test_a_groups_column_matters_by_the_folds_that_it_makes_only():
    groups = np.arange(len(Y))
    assert keys_of(groups=groups) == keys_of(groups=groups + 1000)


def test_a_pipelines_step_names_and_order_matter():
    one = keys_of(make_pipeline(StandardScaler(), SVC()), params={"svc__C": 2.0})
    assert one == keys_of(make_pipeline(StandardScaler(), SVC()), params={"svc__C": 2.0})
    assert not one & keys_of(make_pipeline(StandardScaler(with_mean=False), SVC()), params={"svc__C": 2.0})
    assert not one & keys_of(make_pipeline(StandardScaler(), StandardScaler(), SVC()), params={"svc__C": 2.0})


def test_params_are_the_same_in_any_order():
    tree = DecisionTreeClassifier()
    one = keys_of(tree, params={"max_depth": 2, "criterion": "gini"})
    assert one == keys_of(tree, params={"criterion": "gini", "max_depth": 2})


JOB = """
name: tiny
data: {loader: "sklearn.datasets:load_iris"}
estimator: {use: sklearn.svm:SVC, kernel: rbf, gamma: auto}
space: {C: [1, 10], shrinking: [true, false]}
search: {method: grid}
executor: serial
seed: 0
"""


def test_a_jobs_file_may_be_written_otherwise():
    def keys(text):
        plan = Job.parse(yaml.safe_load(text)).plan()
        trials = plan.problem.settings.search.open(plan.problem.space, plan.n_trials, 0).ask(plan.n_trials)
        return {plan.fit(trial.params, fold.train).key for trial in trials for study in plan.studies for fold in study.folds}

    otherwise = """
seed: 0
tracking: false
executor: ray
resources: {cpu: 1}
ledger: false
n_jobs: 1
search:
  method: grid
space:
  shrinking: [false, true]
  C: [10, 1]
estimator:
  gamma: auto
  kernel: rbf
  use: sklearn.svm:SVC
data:
  loader: sklearn.datasets:load_iris
name: another
"""
    assert keys(JOB) == keys(otherwise)
    assert not keys(JOB) & keys(JOB.replace("auto", "scale"))
