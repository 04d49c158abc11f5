"""The worker's world is the driver's: configuration, versions, code."""

import importlib
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import foldwise as fw
from foldwise.errors import ClusterError
from foldwise.keys import Digester
from foldwise.process.world import World
from foldwise.testing import small_plan
from foldwise.worker.fit import FitContext

X, Y = load_iris(return_X_y=True)
FRAME = pd.DataFrame(X, columns=list("abcd"))


def pick(table):
    return table[["a"]]


@pytest.mark.parametrize("executor", ["serial", "ray"])
def test_scikit_learns_configuration_holds_in_every_fit(executor):
    needs = make_pipeline(ColumnTransformer([("s", StandardScaler(), ["a", "b"])], verbose_feature_names_out=False),
                          FunctionTransformer(pick), DecisionTreeClassifier(random_state=0))  # fmt: skip
    grid, folds = {"decisiontreeclassifier__max_depth": [1, 3]}, StratifiedKFold(3)
    with sklearn.config_context(transform_output="pandas"):
        ours = fw.NestedSearchCV(needs, grid, search="grid", outer_cv=folds, executor=executor).fit(FRAME, Y)
        theirs = GridSearchCV(needs, grid, cv=folds).fit(FRAME, Y)
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    assert sklearn.get_config()["transform_output"] == "default"


class Tells(ClassifierMixin, BaseEstimator):
    """Predicts the first class where the surroundings are those that it was told of, and raises where they are not."""

    def __init__(self, assume_finite=False, divide="warn", a=1):
        self.assume_finite, self.divide, self.a = assume_finite, divide, a

    def fit(self, X, y):
        found = (sklearn.get_config()["assume_finite"], np.geterr()["divide"])
        if found != (self.assume_finite, self.divide):
            raise RuntimeError(f"expected {(self.assume_finite, self.divide)}, got {found}")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("executor", ["serial", "ray"])
def test_what_holds_is_what_held_when_fit_was_called_in_whichever_thread(executor):
    failures = []

    def search():
        try:
            with sklearn.config_context(assume_finite=True), np.errstate(divide="ignore"):
                nested = fw.NestedSearchCV(Tells(True, "ignore"), {"a": [1, 2]}, search="grid", outer_cv=3, executor=executor)
                assert set(nested.fit(X, Y).trials_["state"]) == {"COMPLETE"}
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    assert not failures
    assert sklearn.get_config()["assume_finite"] is False


def test_the_configuration_is_in_the_key_unless_it_only_shows_things():
    def key(**configuration):
        with sklearn.config_context(**configuration):
            plan = small_plan()
            return plan.fit({"max_depth": 1}, plan.whole).key, plan.problem.key

    assert key(display="text") == key(print_changed_only=False) == key()
    assert not set(key()) & set(key(assume_finite=True))
    assert not set(key()) & set(key(transform_output="pandas"))


# --- versions and code ------------------------------------------------------------------------------------------------


def test_a_plan_names_the_versions_that_its_fits_run_on():
    versions = small_plan().world.versions
    assert {"python", "numpy", "scipy", "scikit-learn", "foldwise"} <= set(versions)
    assert versions["scikit-learn"] == sklearn.__version__


@pytest.mark.parametrize(("name", "version"), [("scikit-learn", "0.1"), ("python", "CPython 2.7.18"), ("no-such-thing", "1.0")])
def test_another_version_on_a_node_is_an_error_that_names_both(name, version):
    with pytest.raises(ClusterError, match=rf"node .+: {name} {version}, got .+; install the same there"):
        World.here().naming(Digester(), {name: version}).check_versions()


def test_a_worker_refuses_other_versions(monkeypatch):
    plan = small_plan()
    versions = {**plan.world.versions, "scikit-learn": "0.1"}
    monkeypatch.setattr("foldwise.plan.plan.versions_of", lambda names: versions)
    executor = fw.RayExecutor()
    fresh = small_plan()
    executor.open(fresh)
    try:
        executor.submit([fresh.fit({"max_depth": 1}, fresh.whole)])
        with pytest.raises(ClusterError, match=rf"scikit-learn 0\.1, got {sklearn.__version__}"):
            list(iter(lambda: executor.results(timeout=1.0), None))
    finally:
        executor.close()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of the user's own, and its file."""
    file = tmp_path / "of_the_users.py"
    file.write_text("def f(x):\n    return x\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("of_the_users"), file
    sys.modules.pop("of_the_users", None)


def test_code_that_is_not_the_drivers_is_an_error_that_names_it(module):
    own, file = module
    digester = Digester()
    digester.digest(own.f)
    world = World.here().naming(digester, {})
    world.check_code()
    assert list(world.own) == ["of_the_users:f"]
    file.write_text("def f(x):\n    return x + 1  # longer\n")
    world.check_code()  # what is loaded is the same all the same
    sys.modules.pop("of_the_users")
    with pytest.raises(ClusterError, match=r"got other code, or none, for of_the_users:f; send the folder"):
        world.check_code()


def test_a_worker_loads_a_module_anew_that_is_older_than_its_file(module):
    own, file = module
    before = file.read_text()
    file.write_text("def f(x):\n    return x + 1  # longer\n")
    driver = Digester()
    driver.digest(importlib.reload(own).f)
    world = World.here().naming(driver, {})
    file.write_text(before)
    importlib.reload(own)  # as a worker may hold it, from before
    file.write_text("def f(x):\n    return x + 1  # longer\n")
    world.check_code()


def test_a_step_that_changes_as_it_transforms_is_never_shared():
    class Counts(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.n_ = 0
            return self

        def transform(self, X):
            self.n_ += 1
            return np.asarray(X) * self.n_

    model = make_pipeline(Counts(), DecisionTreeClassifier(random_state=0))
    grid = {"decisiontreeclassifier__max_depth": [1, 2, 3]}
    plan = fw.NestedSearchCV(model, grid, search="grid", outer_cv=3, executor="serial").plan(X, Y)
    trials = plan.problem.settings.search.open(plan.problem.space, 3, 0).ask(3)
    scores = []
    for share in (True, False):
        context = FitContext.of(plan)
        context.share = share
        results = context.run([plan.fit(trial.params, fold.train) for trial in trials for fold in plan.studies[-1].folds])
        assert not any(result.error or result.warned for result in results)
        scores.append([result.scores for result in results])
    assert scores[0] == scores[1]
