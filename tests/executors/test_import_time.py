"""What a worker imports, and that it starts, is no part of the time of the fit that comes first."""

from pathlib import Path

import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline

import foldwise as fw
from foldwise.inputs.imports import add_import_paths
from foldwise.testing import small_plan
from foldwise.worker.fit import FitContext
from foldwise.worker.guard import FitGuard

HELPERS = Path(__file__).parents[1] / "helpers"


ASHA = {"method": "asha", "max_epochs": 2, "grace_epochs": 2}


@pytest.mark.parametrize("schedule", [None, pytest.param(ASHA, marks=pytest.mark.slow)], ids=["plain", "scheduled"])
def test_which_fit_comes_first_does_not_matter(tmp_path, monkeypatch, schedule):
    monkeypatch.chdir(tmp_path)
    add_import_paths(HELPERS)
    from slow_imports import ImportsLate  # which is found now

    monkeypatch.setattr("foldwise.executors.ray._LATE", 3.0)
    monkeypatch.setattr("foldwise.executors.tune.task_monitor._SPARE", 3.0)
    search = fw.NestedSearchCV(
        ImportsLate(), {"alpha": [1e-4, 1e-3]}, search="grid", outer_cv=3, random_state=0, limits={"fit_seconds": 2.0},
        schedule=schedule,
    ).fit(*load_iris(return_X_y=True))  # fmt: skip
    assert set(search.trials_["state"]) == {"COMPLETE"}


class Prepared(SGDClassifier):
    """Notes that it was prepared, and how often it had been fitted by then."""

    said = []

    def _foldwise_prepare(self):
        self.said.append("prepared")

    def fit(self, X, y, coef_init=None, intercept_init=None, sample_weight=None):
        self.said.append("fitted")
        return super().fit(X, y)


@pytest.mark.parametrize("seconds", [None, 60.0])
def test_an_estimator_is_prepared_before_it_is_timed_where_fits_have_a_limit(seconds):
    Prepared.said.clear()
    plan = small_plan(make_pipeline(Prepared()), {"prepared": [Prepared(), Prepared(alpha=1.0)]})
    context = FitContext.of(plan)
    context.guard = FitGuard(seconds)
    result = context.run([plan.fit({"prepared": clone(Prepared())}, plan.whole)])[0]
    assert result.error is None
    assert Prepared.said == ["fitted"] if seconds is None else ["prepared", "prepared", "fitted"]
